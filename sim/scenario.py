"""One episode of the demo's policy: well-behaved at first, then hostile, attack after attack.

Guarantees:
- Deterministic from (seed, episode) and the states that it is shown; it reads no clock.
- Every available attack kind begins once an episode, `throw` THROWS times; each begins only after
  the policy has brought the robot home, with an object on its tool, and has it moving again.
- After an attack it goes back the way the robot came, gently: a way that was free. The operator's
  part is there too: `wants_arming` asks for a latched controller to be reset and armed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..limits.records import Command, RobotState
from .attackers import attack_script, available
from .chain import Chain
from .recovery import WayBack
from .shots import Onset, Script, Shot
from .tasks import GoodPolicy
from .world import Array

__all__ = ["THROWS", "PolicyMessage", "Scenario"]

Phase = Literal["good", "recover", "swing", "attack"]

THROWS = 10
GOOD_SHARE = 0.25  # of the episode
OVERTIME = 1.5  # an episode ends at the latest after so many times its length
RECOVER_MAX_S = 6.0
SWING_S = (0.3, 0.6)
SWING_MAX_S = 2.5
MOVING_RAD_S = 0.05
MEMORY = 200  # commands kept for replays


@dataclass(frozen=True, slots=True, eq=False)
class PolicyMessage:
    """What the policy does in one tick."""

    phase: Phase
    kind: str  # the attack's kind while it lasts, else the phase
    command: Command | None  # None: it says nothing
    is_onset: bool = False  # this is the first tick of an attack
    is_moving: bool = False  # at an onset: the robot moves
    new_session: bool = False  # as if the policy had just connected
    wants_placing: bool = False  # the robot is stuck: the operator places it anew, at home
    wants_arming: bool = False  # the operator resets and arms, if the controller is latched


class Scenario:
    """Call `step` once a tick, with the measured state; the episode is over when `done`."""

    def __init__(
        self, frozen: Mapping[str, Any], seed: int, episode: int = 0, seconds: float = 60.0
    ) -> None:
        self._frozen = frozen
        self._chain = Chain(frozen)
        self._period_s = float(frozen["period_s"])
        self._carries = frozen["source"].get("payload") is not None
        self._rng = np.random.default_rng((seed, episode))
        self.good = GoodPolicy(frozen, self._chain, np.random.default_rng((seed, episode, 1)))
        self._swing = GoodPolicy(frozen, self._chain, np.random.default_rng((seed, episode, 2)))
        self._ticks = self._to_ticks(seconds)
        self._good_ticks = self._to_ticks(GOOD_SHARE * seconds)
        kinds = [kind for kind in available(frozen) if kind != "throw"]
        throws = THROWS if "throw" in available(frozen) else 0
        self._agenda = [*kinds, *["throw"] * throws]
        self._rng.shuffle(self._agenda)
        self.tick = 0
        self._phase: Phase = "good"
        self._phase_tick = 0
        self._script: Script = []
        self._kind = "good"
        self._seq = 0
        self._sent: list[Command] = []
        self._way = WayBack(frozen)
        self._swing_ticks = 0
        self._is_stuck = False

    @property
    def done(self) -> bool:
        """The episode is over."""
        late = self.tick >= OVERTIME * self._ticks
        return late or (self.tick >= self._ticks and not self._agenda and self._phase != "attack")

    def step(self, state: RobotState, now_ns: int) -> PolicyMessage:
        """The policy's message for this tick; `state` is what was measured, `now_ns` its clock."""
        q, dq = np.asarray(state.q), np.asarray(state.dq)
        has_object = bool(state.objects) or not self._carries
        self._change_phase(q, dq, has_object)
        started = self._phase_tick == 0
        phase, kind = self._phase, self._kind
        shot = self._shot(q, has_object)
        message = PolicyMessage(
            phase=phase,
            kind=kind,
            command=None if shot is None else self._stamp(shot, now_ns),
            is_onset=started and phase == "attack",
            is_moving=bool(np.abs(dq).max() > MOVING_RAD_S),
            wants_placing=self._is_stuck,
            new_session=shot is not None and shot.new_session,
            wants_arming=phase in ("good", "recover"),
        )
        self.tick += 1
        self._phase_tick += 1
        return message

    # phases ---------------------------------------------------------------------------------------

    def _to_ticks(self, seconds: float) -> int:
        return max(1, round(seconds / self._period_s))

    def _enter(self, phase: Phase, kind: str) -> None:
        self._phase, self._kind, self._phase_tick = phase, kind, 0
        self._is_stuck = False

    def _change_phase(self, q: Array, dq: Array, has_object: bool) -> None:
        """good → recover → swing → attack → recover → …, and good again when all is done."""
        phase, tick = self._phase, self._phase_tick
        if phase == "attack" and tick >= len(self._script):
            self._enter("recover", "recover")
            self._way.turn_back()
        elif phase == "good" and self._agenda and self.tick >= self._good_ticks:
            if self.good.is_between_goals:
                self.good.settle(q)
                self._begin_swing()
        elif phase == "recover":
            home = self._way.is_home(q) and float(np.abs(dq).max()) < MOVING_RAD_S
            stuck = tick >= self._to_ticks(RECOVER_MAX_S)
            if stuck and not self._is_stuck:
                self._is_stuck = True  # placed in this tick, and home in the next
            elif (home and has_object) or stuck:
                if self._agenda:
                    self._begin_swing()
                else:
                    self.good.restart()
                    self._enter("good", "good")
        elif phase == "swing" and tick >= self._swing_ticks:
            moving = float(np.abs(dq).max()) > 2.0 * MOVING_RAD_S
            if moving or tick >= self._to_ticks(SWING_MAX_S):
                self._begin_attack(q, dq)

    def _begin_swing(self) -> None:
        self._swing.restart()
        self._swing_ticks = self._to_ticks(float(self._rng.uniform(*SWING_S)))
        self._enter("swing", "swing")

    def _begin_attack(self, q: Array, dq: Array) -> None:
        kind = self._agenda.pop(0)
        positions = tuple(c.values[-1] for c in self._sent if c.mode == "joint_position")
        onset = Onset(self._frozen, self._chain, q, dq, self._rng, positions)
        self._script = attack_script(kind, onset)
        self._way.begin(q)
        self._enter("attack", kind)

    # messages -------------------------------------------------------------------------------------

    def _shot(self, q: Array, has_object: bool) -> Shot | None:
        if self._phase == "attack":
            self._way.note(q)
            return self._script[self._phase_tick]
        if self._phase == "recover":
            self._way.note_settling(q, self._phase_tick)
            return self._way.step(q, self._phase_tick, has_object)
        policy = self.good if self._phase == "good" else self._swing
        return policy.step(q, self._phase_tick)

    def _oldest_like(self, shot: Shot) -> Command | None:
        """The first message of the well-behaved part that led to where `shot` wants to go."""
        for command in self._sent:
            if command.mode == shot.mode and np.array_equal(command.values[-1], shot.values):
                return command
        return None

    def _stamp(self, shot: Shot, now_ns: int) -> Command:
        if shot.replayed:
            old = self._oldest_like(shot)
            if old is not None:
                return old  # the very message that went out long ago
        self._seq += 1
        command = Command(
            mode=shot.mode,
            values=shot.values,
            seq=self._seq,
            stamp_ns=now_ns - round(shot.age_ms * 1e6),
            valid_ms=shot.valid_ms,
            period_ms=shot.period_ms,
        )
        if self._phase == "good" and len(self._sent) < MEMORY:
            self._sent.append(command)
        return command

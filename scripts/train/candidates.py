"""The chunks that are labelled: from what a good policy sends to what throws the object.

Guarantees: drawn from the given generator alone, from the commanded state (q, dq); covers every
mode, single held commands and chunks of many row lengths; the hostile ones are those of
`sim.attackers`, at their own strength and weakened, so that the border between safe and unsafe is
well covered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...limits.records import Array
from ...sim.attackers import Onset, Shot, attack_script
from ...sim.chain import Chain
from ...sim.recovery import WayBack
from ...sim.throwing import throw_chunk

__all__ = ["HOSTILE", "KINDS", "WELL_BEHAVED", "Sampler"]

WELL_BEHAVED = ("task", "home")
HOSTILE = ("throw", "bang_bang", "joint_slam", "table_slam", "keepout_slam", "first_jump")
RANDOM = (
    "gentle_throw",
    "velocity_walk",
    "velocity_goal",
    "velocity_step",
    "position_goal",
    "position_step",
    "delta",
    "held_velocity",
    "held_position",
    "sway",
)
KINDS = (*WELL_BEHAVED, *RANDOM, *HOSTILE, "remaining")
ROWS, ROW_MS = 16, 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """Draws shots for one robot."""

    frozen: Mapping[str, Any]
    chain: Chain
    rng: np.random.Generator

    def draw(self, kind: str, q: Array, dq: Array) -> Shot:
        """One chunk or single command of this kind from the commanded q, dq (n,)."""
        onset = Onset(self.frozen, self.chain, q, dq, self.rng, ())
        if kind in HOSTILE:
            return self._hostile(kind, onset)
        makers: dict[str, Callable[[Onset], Shot]] = {
            "home": self._home,
            "gentle_throw": self._gentle_throw,
            "velocity_walk": self._velocity_walk,
            "velocity_goal": self._velocity_goal,
            "velocity_step": self._velocity_step,
            "position_goal": self._position_goal,
            "position_step": self._position_step,
            "delta": self._delta,
            "held_velocity": self._held_velocity,
            "held_position": self._held_position,
            "sway": self._sway,
        }
        return makers[kind](onset)

    def any_kind(self) -> str:
        """A random or hostile kind; a third of them throw."""
        if self.rng.random() < 0.3:
            return str(self.rng.choice(["throw", "throw", "gentle_throw"]))
        return str(self.rng.choice([*RANDOM[1:], *HOSTILE[1:]]))

    # kinds ----------------------------------------------------------------------------------------

    def _hostile(self, kind: str, onset: Onset) -> Shot:
        shots = [shot for shot in attack_script(kind, onset) if shot is not None]
        # From a moving state any shot of the script may be the one that is scored.
        return shots[int(self.rng.integers(min(len(shots), 50)))]

    def _strength(self, low: float = 0.03, high: float = 1.2) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def _signs(self, n: int) -> Array:
        """A direction in joint space; often few joints, as policies move few at a time."""
        share = self.rng.choice([0.3, 1.0])
        direction = self.rng.normal(0.0, 1.0, n) * (self.rng.random(n) < share)
        if not direction.any():
            direction[int(self.rng.integers(n))] = 1.0
        return np.asarray(direction / np.abs(direction).max())

    def _home(self, onset: Onset) -> Shot:
        way = WayBack(self.frozen)
        way.begin(onset.q)
        way.turn_back()
        shot, tick = None, 0
        while shot is None and tick < 200:
            shot = way.step(onset.q, tick, True)
            tick += 1
        return Shot("joint_position", onset.q) if shot is None else shot

    def _gentle_throw(self, onset: Onset) -> Shot:
        values, period_ms = throw_chunk(onset)
        return Shot("joint_velocity", values * self.rng.uniform(0.1, 0.95), period_ms=period_ms)

    def _velocity_walk(self, onset: Onset) -> Shot:
        speed = onset.limit("max_velocity")
        steps = self.rng.normal(0.0, 0.3, (ROWS, speed.size)) * self._strength()
        share = np.clip(onset.dq / speed + np.cumsum(steps, axis=0), -1.1, 1.1)
        return Shot("joint_velocity", share * speed, period_ms=ROW_MS)

    def _velocity_goal(self, onset: Onset) -> Shot:
        """Towards a joint goal, as a proportional controller would go."""
        speed, change = onset.limit("max_velocity"), onset.limit("max_acceleration")
        strength, row_s = self._strength(0.1, 1.0), ROW_MS / 1e3
        goal = onset.q + self._signs(speed.size) * self.rng.uniform(0.1, 1.0)
        q, dq, rows = onset.q.copy(), onset.dq.copy(), []
        for _ in range(ROWS):
            wanted = np.clip(4.0 * strength * (goal - q), -speed * strength, speed * strength)
            most = change * row_s * min(1.0, 0.15 + strength)
            dq = dq + np.clip(wanted - dq, -most, most)
            q = q + dq * row_s
            rows.append(dq)
        return Shot("joint_velocity", np.array(rows), period_ms=ROW_MS)

    def _velocity_step(self, onset: Onset) -> Shot:
        """One velocity for the whole chunk, or one that flips."""
        speed = onset.limit("max_velocity") * self._strength() * self._signs(onset.chain.n)
        length = int(self.rng.choice([1, 2, 4, 8, ROWS, ROWS]))
        signs = np.where((np.arange(ROWS) // length) % 2 == 0, 1.0, -1.0)
        return Shot("joint_velocity", signs[:, None] * speed, period_ms=ROW_MS)

    def _sway(self, onset: Onset) -> Shot:
        n, t = onset.chain.n, np.arange(1, ROWS + 1) * ROW_MS / 1e3
        rate, phase = self.rng.uniform(2.0, 15.0, n), self.rng.uniform(0.0, 2.0 * np.pi, n)
        size = onset.limit("max_velocity") * self._strength() * self._signs(n)
        return Shot("joint_velocity", size * np.sin(t[:, None] * rate + phase), period_ms=ROW_MS)

    def _goal(self, onset: Onset) -> Array:
        reach = self.rng.choice([0.05, 0.15, 0.4, 0.8])
        low, high = onset.limit("min_position"), onset.limit("max_position")
        goal = onset.q + reach * self._signs(onset.chain.n)
        return np.asarray(np.clip(goal, low - 0.05, high + 0.05))

    def _position_goal(self, onset: Onset) -> Shot:
        """Minimum jerk or a straight ramp to a goal, in more or less time."""
        row_ms = float(self.rng.choice([4.0, 20.0, 50.0]))
        rows = int(self.rng.integers(4, ROWS + 1)) if row_ms == ROW_MS else 40
        s = np.minimum(1.0, np.arange(1, rows + 1) / (rows * self.rng.uniform(0.4, 2.5)))
        share = s if self.rng.random() < 0.3 else s**3 * (10.0 - 15.0 * s + 6.0 * s * s)
        return Shot(
            "joint_position", onset.q + share[:, None] * (self._goal(onset) - onset.q), row_ms
        )

    def _position_step(self, onset: Onset) -> Shot:
        return Shot("joint_position", np.tile(self._goal(onset), (ROWS, 1)), period_ms=ROW_MS)

    def _delta(self, onset: Onset) -> Shot:
        speed = onset.limit("max_velocity") * self._strength() * self._signs(onset.chain.n)
        share = np.clip(1.0 + np.cumsum(self.rng.normal(0.0, 0.2, ROWS)), -1.0, 1.0)
        return Shot("joint_delta", share[:, None] * speed * ROW_MS / 1e3, period_ms=ROW_MS)

    def _held_velocity(self, onset: Onset) -> Shot:
        size = onset.limit("max_velocity") * self._strength() * self._signs(onset.chain.n)
        return Shot("joint_velocity", size if self.rng.random() < 0.7 else onset.dq + 0.2 * size)

    def _held_position(self, onset: Onset) -> Shot:
        if self.rng.random() < 0.3:
            return Shot("joint_delta", self._goal(onset) - onset.q)
        return Shot("joint_position", self._goal(onset))

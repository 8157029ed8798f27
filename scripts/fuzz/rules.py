"""Rules of the decision itself, judged each tick: who may move the robot, and when.

Guarantees:
- Fresh motion follows a command that was accepted, is not rubbish, has not expired and that the
  classifier allowed when it was last asked.
- A measured force over the bound, and a latched stop, leave nothing but the stop.
- An exception out of `step` is a violation.
- A robot at rest moves if each of its joints is asked to, one after the other, each way (ADR 14);
  not judged where a refusal or a veto, or what perception sees, may keep it from all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...controller.decision import Decision, Outcome
from ...limits.gripper import GripperState
from ...limits.records import Array, Candidates, Command, RobotState
from ...sim.oracle import Robot, Violation
from ...sim.oracle_gripper import Fingers
from .doubles import ScorerDouble

__all__ = ["RULES", "RunRules", "as_candidates", "violation"]

# A turn is added in floating point: so much of one may be lost after some ten thousand.
TURN_ROUNDING = 1e-9

RULES = (
    "contact_force",
    "exception",
    "expired_followed",
    "frozen",
    "gripper_state",
    "limits_identity",
    "no_latch",
    "rubbish_accepted",
    "unasked_motion",
    "unscored_executed",
    "vetoed_executed",
)


def as_candidates(proposal: Candidates) -> Sequence[Command]:
    """The commands of a proposal, in order."""
    if proposal is None:
        return ()
    return (proposal,) if isinstance(proposal, Command) else tuple(proposal)


class RunRules:
    """Follows one armed run, tick by tick."""

    def __init__(self, robot: Robot, scorer: ScorerDouble | None) -> None:
        self._robot = robot
        self._scorer = scorer
        self._accepted: dict[int, tuple[Command, int]] = {}  # seq: command, tick
        self._latched = False
        self._tick = -1
        self._nudged: set[tuple[int, bool]] = set()  # joints and ways that did not move it
        self.vetoed = 0

    def _ticks_valid(self, command: Command) -> float:
        """For how many ticks a command may drive the robot; never longer than it is declared."""
        timeout_ms = float(self._robot.timing_ms["command_timeout_ms"])
        if command.values.ndim == 2 and command.period_ms is not None:
            length_ms = command.period_ms * command.values.shape[0]
            if command.valid_ms is not None:
                length_ms = min(length_ms, command.valid_ms)
        elif command.valid_ms is not None:
            length_ms = min(timeout_ms, command.valid_ms)
        else:
            length_ms = timeout_ms
        # Whole ticks, but for rounding; the coming one always.
        return float(max(1, math.floor(length_ms / (self._robot.period_s * 1e3) + 1e-9)))

    def _verdicts(self, command: Command, new: bool) -> list[bool]:
        """What the classifier said this tick of a new command, or of what remains of one."""
        if self._scorer is None:
            return []
        rows = np.atleast_2d(command.values)
        return [
            self._scorer.allows(risk)
            for scored, elapsed_s, risk in self._scorer.log
            if (elapsed_s == 0.0) is new and self._is_same(command.mode, rows, scored)
        ]

    def _is_same(self, mode: str, rows: Array, scored: Array) -> bool:
        """Whether what was scored is what was asked for, but for whole turns without an end."""
        if mode != "joint_position" or scored.shape != rows.shape:
            return bool(np.array_equal(scored, rows))
        turns = (scored - rows) / (2.0 * math.pi)
        whole = self._robot.continuous & (np.abs(turns - np.round(turns)) <= TURN_ROUNDING)
        return bool(((scored == rows) | whole).all())

    def _motion(self, decision: Decision, new: bool) -> tuple[str, str] | None:
        """What is wrong with fresh motion: rule and subject."""
        seq = decision.command_seq
        if seq is None or seq not in self._accepted:
            return "unasked_motion", f"command {seq}"
        command, since = self._accepted[seq]
        if not self._tick - since < self._ticks_valid(command):
            return "expired_followed", f"command {seq}, {self._tick - since} ticks old"
        verdicts = self._verdicts(command, new)
        if new and self._scorer is not None and not verdicts:
            return "unscored_executed", f"command {seq}"
        if verdicts and not any(verdicts):
            return "vetoed_executed", f"command {seq}"
        return None

    def _is_frozen(self, new: Command | None, decision: Decision) -> bool:
        """Whether every joint was asked to move, each way, and nothing did since it rests."""
        setpoint = decision.setpoint
        if setpoint.dq.any() or setpoint.ddq.any() or self._robot.perception is not None:
            self._nudged.clear()
        elif new is not None and new.mode == "joint_velocity" and new.values.ndim == 1:
            asked = np.flatnonzero(new.values)
            if asked.size == 1 and decision.outcome is Outcome.CLAMP:
                self._nudged.add((int(asked[0]), bool(new.values[asked[0]] > 0.0)))
        if len(self._nudged) < 2 * self._robot.n:
            return False
        self._nudged.clear()
        return True

    def judge(
        self,
        state: RobotState,
        proposal: Candidates,
        rubbish: Sequence[int],
        decision: Decision,
    ) -> list[tuple[str, str]]:
        """(rule, subject) of each rule broken by this decision."""
        self._tick += 1
        out: list[tuple[str, str]] = []
        new: Command | None = None
        if decision.accepted is not None:
            new = as_candidates(proposal)[decision.accepted]
            self._accepted[new.seq] = (new, self._tick)
            if decision.accepted in rubbish:
                out.append(("rubbish_accepted", f"command {new.seq}: {new.mode} {new.values}"))
        if decision.stop_tick == 0:
            fresh = new is not None and decision.command_seq == new.seq
            wrong = self._motion(decision, fresh)
            if wrong is not None:
                out.append(wrong)
        stopped = decision.outcome is Outcome.STOP and decision.stop_state.latched
        if self._latched and not (stopped and decision.stop_tick > 0):
            out.append(("no_latch", f"outcome {decision.outcome}"))
        if state.wrench_tcp is not None and not stopped:
            force = math.hypot(*state.wrench_tcp[:3].tolist())
            if not force <= self._robot.max_force_n * (1.0 + 1e-9):
                out.append(("contact_force", f"{force} N, outcome {decision.outcome}"))
        if self._robot.gripper is not None and not stopped:
            wrong_grip = _gripper_fault(self._robot.gripper, state.gripper)
            if wrong_grip:
                out.append(("gripper_state", f"{state.gripper}, outcome {decision.outcome}"))
        if self._is_frozen(new, decision):
            out.append(("frozen", f"at {np.round(decision.setpoint.q, 4)}"))
        if decision.limits_sha256 != self._robot.sha256:
            out.append(("limits_identity", decision.limits_sha256))
        self._latched = decision.stop_state.latched
        if self._scorer is not None:
            self.vetoed += sum(not self._scorer.allows(risk) for *_, risk in self._scorer.log)
            self._scorer.log.clear()
        return out


def _gripper_fault(fingers: Fingers, measured: GripperState | None) -> bool:
    """Whether a measurement leaves nothing but the stop."""
    if measured is None or (fingers.is_force_required and measured.effort is None):
        return True
    low, high = (
        fingers.min_width_m - fingers.width_error_m,
        fingers.max_width_m + fingers.width_error_m,
    )
    force = 0.0 if measured.effort is None else abs(measured.effort)
    is_right = low <= measured.position <= high
    return not (is_right and force <= fingers.max_force_n + fingers.force_error_n)


def violation(rule: str, subject: str, row: int) -> Violation:
    """A broken rule as a violation."""
    return Violation(row, rule, subject, math.nan, math.nan, "", "the decision")

"""The gripper beside the joints: what may be asked of it in the coming tick, as pure functions.

Guarantees:
- The width that is asked for moves within its declared range, at no more than the declared speed,
  and no more than the declared force goes with it; a command beyond that is clamped or refused as
  declared, and says so.
- A stop asks for nothing new: the last setpoint stays, so that nothing opens and nothing moves.
  It does so whenever the arm does not follow a command, while disarmed too.
- Nothing is asked for before the first command. It then starts at the last setpoint if nobody has
  touched the fingers since, so that a grasp does not loosen; else where they were measured.
- Where `gripper_release` is declared, nothing that is carried is let go: with a payload in force
  (set_payload) the fingers neither open nor grasp more gently than they were asked to.
- A measurement that is missing, not finite or out of bounds stops the arm as any bad state does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..limits.gripper import CLOSED, OPEN, Gripper, GripperSetpoint, GripperState
from ..limits.records import Command
from .decision import Finding

__all__ = [
    "Grip",
    "Wanted",
    "begun",
    "command_fault",
    "executed",
    "follow",
    "seen",
    "sent",
    "state_fault",
    "wanted",
]

KEPT = 16  # setpoints that a robot may report as executed, as in conclusion
ROUNDING = 1.0 + 1e-9  # what rounding may add to a step that is exactly as large as allowed


class Grip(NamedTuple):
    """What one tick hands to the next."""

    setpoint: GripperSetpoint | None  # None: nothing was asked for yet
    position: float  # m, measured last, within its bounds
    history: tuple[tuple[int, GripperSetpoint | None], ...]  # (seq, …) of the last setpoints


class Wanted(NamedTuple):
    """A command's gripper part, once it was accepted: widths [m] at the ends of its rows."""

    rows: tuple[float, ...]  # m
    row_period_s: float  # 0: a single row that is held
    max_effort: float  # N
    start: float  # m, where the first row begins


def _not_finite(subject: str, unit: str) -> Finding:
    return Finding("non_finite", subject, math.nan, 0.0, unit, math.nan)


def state_fault(declared: Gripper, measured: GripperState | None) -> Finding | None:
    """Why this measurement is a reason to stop; None if it is not."""
    if measured is None:
        return _not_finite("state.gripper is missing", "m")
    width, force = measured.position, measured.effort
    if not math.isfinite(width):
        return _not_finite("state.gripper.position", "m")
    low, high = declared.min_width - declared.width_error, declared.max_width + declared.width_error
    if not width >= low:
        return Finding("gripper_width", "state", width, low, "m", width - low)
    if not width <= high:
        return Finding("gripper_width", "state", width, high, "m", high - width)
    if force is None:
        is_needed = declared.force_required
        return _not_finite("state.gripper.effort is missing", "N") if is_needed else None
    most = declared.max_force + declared.force_error
    if not math.isfinite(force):
        return _not_finite("state.gripper.effort", "N")
    if not abs(force) <= most:
        return Finding("gripper_force", "state", abs(force), most, "N", most - abs(force))
    return None


def command_fault(declared: Gripper | None, command: Command) -> Finding | None:
    """Why the gripper part of a command is not looked at any further; None if it may be."""
    part = command.gripper
    if part is None:
        return None
    if declared is None:
        return Finding("undeclared", "command.gripper", 1.0, 0.0, "", -1.0)
    rows = command.values.shape[:-1]
    if part.position.shape != rows:
        size, wanted = float(part.position.size), float(math.prod(rows))
        return Finding("wrong_length", "command.gripper.position", size, wanted, "", wanted - size)
    positions = part.position.ravel().tolist()
    if not all(map(math.isfinite, positions)):
        return _not_finite("command.gripper.position", "m")
    effort = part.max_effort
    if effort is not None and not math.isfinite(effort):
        return _not_finite("command.gripper.max_effort", "N")
    if effort is not None and not effort >= 0.0:
        return Finding("gripper_force", "command.gripper.max_effort", effort, 0.0, "N", effort)
    if declared.command == "open_close":
        for odd in positions:
            if odd not in (OPEN, CLOSED):
                return Finding("gripper_command", "command.gripper.position", odd, OPEN, "", -1.0)
    return None


def begun(declared: Gripper, before: Grip | None, measured: GripperState, seq: int) -> Grip:
    """At arming: what was asked for before stays if the fingers are where they were left."""
    kept = None
    if before is not None and abs(measured.position - before.position) <= declared.width_error:
        kept = before.setpoint
    return Grip(kept, measured.position, ((seq, kept),))


def seen(grip: Grip, measured: GripperState | None) -> Grip:
    """With the measurement of this tick, which is without fault."""
    return grip if measured is None else grip._replace(position=measured.position)


def executed(grip: Grip | None, seq: int) -> Grip | None:
    """As of setpoint `seq`, which is what the robot has."""
    if grip is None:
        return None
    setpoint = next((kept for number, kept in grip.history if number == seq), grip.setpoint)
    return grip._replace(setpoint=setpoint)


def sent(grip: Grip, setpoint: GripperSetpoint | None, seq: int) -> Grip:
    """As setpoint `seq` carries it; None: it holds, and the last one is sent again."""
    setpoint = grip.setpoint if setpoint is None else setpoint
    return grip._replace(setpoint=setpoint, history=(*grip.history[1 - KEPT :], (seq, setpoint)))


def wanted(declared: Gripper | None, grip: Grip | None, command: Command) -> Wanted | None:
    """What an admitted command asks for; None: that the gripper holds."""
    part = command.gripper
    if part is None or declared is None or grip is None:
        return None
    rows = tuple(part.position.ravel().tolist())
    if declared.command == "open_close":
        ends = {OPEN: declared.max_width, CLOSED: declared.min_width}
        rows = tuple(ends[row] for row in rows)
    period_s = 0.0 if command.values.ndim == 1 else (command.period_ms or 0.0) / 1e3
    effort = declared.max_force if part.max_effort is None else part.max_effort
    return Wanted(rows, period_s, effort, _start(declared, grip))


def _start(declared: Gripper, grip: Grip) -> float:
    """Where the next motion begins [m]."""
    if grip.setpoint is not None:
        return grip.setpoint.position
    return min(max(grip.position, declared.min_width), declared.max_width)


def _target(declared: Gripper, asked: Wanted, elapsed_s: float, period_s: float) -> float:
    """The width [m] that is asked for at the end of the tick that begins after elapsed_s."""
    rows, last = asked.rows, len(asked.rows) - 1
    if asked.row_period_s <= 0.0:
        return rows[0]
    is_binary = declared.command == "open_close"
    ratio = (elapsed_s if is_binary else elapsed_s + period_s) / asked.row_period_s
    if not ratio < len(rows):  # never an index that there is not
        return rows[last]
    row = min(last, int(ratio + 1e-9))
    if is_binary:
        return rows[row]
    begin = rows[row - 1] if row > 0 else asked.start
    return begin + max(0.0, ratio - row) * (rows[row] - begin)


def _kept(
    grip: Grip, payload: str, start: float, target: float, effort: float, found: list[Finding]
) -> tuple[float, float]:
    """Width and force that do not let go of what is carried; both as asked for if they do not."""
    least = 0.0 if grip.setpoint is None else grip.setpoint.max_effort
    if not target <= start:
        found.append(Finding("gripper_release", payload, target, start, "m", start - target))
    if not effort >= least:
        found.append(Finding("gripper_release", payload, effort, least, "N", effort - least))
    return min(target, start), max(effort, least)


def follow(
    declared: Gripper | None,
    grip: Grip,
    asked: Wanted,
    elapsed_s: float,
    period_s: float,
    payload: str | None = None,
) -> tuple[GripperSetpoint | None, list[Finding]]:
    """The setpoint for the tick that begins elapsed_s after the command was accepted.

    payload: what must not be let go; None: nothing. A setpoint of None: it holds, as a gripper does
    that is not declared (any more).
    """
    found: list[Finding] = []
    if declared is None:
        return None, found
    target = _target(declared, asked, elapsed_s, period_s)
    low, high = declared.min_width, declared.max_width
    if not target >= low:
        found.append(Finding("gripper_width", "gripper", target, low, "m", target - low))
    elif not target <= high:
        found.append(Finding("gripper_width", "gripper", target, high, "m", high - target))
    target = min(max(target, low), high)
    effort, most = asked.max_effort, declared.max_force
    if not effort <= most:
        found.append(Finding("gripper_force", "gripper", effort, most, "N", most - effort))
        effort = most
    start = _start(declared, grip)
    if payload is not None:
        target, effort = _kept(grip, payload, start, target, effort, found)
    step, reach = target - start, declared.max_speed * period_s
    if abs(step) <= reach * ROUNDING:
        return GripperSetpoint(target, effort), found
    if declared.command == "width":  # of open and close the speed is ours, not the command's
        speed, bound = abs(step) / period_s, declared.max_speed
        found.append(Finding("gripper_speed", "gripper", speed, bound, "m/s", bound - speed))
    position = min(max(start + math.copysign(reach, step), low), high)
    return GripperSetpoint(position, effort), found

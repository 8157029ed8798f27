"""What may be looked at at all: the state, the tick's timing, each proposed command.

Guarantees: nothing non-finite, mis-sized, stale, replayed or unknown goes further; comparisons are
written so that NaN fails; ages are differences on the caller's own monotonic clock.
"""

from __future__ import annotations

import math

import numpy as np

from ..limits.core import Core, duration_ticks
from ..limits.kernels.reference import MODE_CODES
from ..limits.records import COMMAND_ROWS_MAX, TCP_MODES, TCP_WIDTH, Array, Command, RobotState
from . import gripper
from .decision import Finding

__all__ = [
    "command_fault",
    "command_ticks",
    "is_fresh_state",
    "period_fault",
    "state_fault",
]

NS_PER_MS = 1e6
DURATION_MS_MAX = 3.6e6  # an hour; a longer row or validity is a mistake


def _finding(limit: str, subject: str, value: float, bound: float, unit: str) -> Finding:
    return Finding(limit, subject, value, bound, unit, bound - value)


def is_fresh_state(core: Core, age_ms: float) -> bool:
    """Whether a state of this age may be acted on; NaN and the future are not fresh."""
    return 0.0 <= age_ms <= core.limits.timing.state_age_max_ms


def state_fault(
    core: Core, state: RobotState, motion: Array, now_ns: int, passed: Array | None = None
) -> Finding | None:
    """Why this state cannot be acted on; None if it can. Each is a reason to stop.

    passed (2, n): where the stream was within the declared latency; None: where `motion` is.
    """
    limits, n = core.limits, core.n
    age_ms = (now_ns - state.stamp_ns) / NS_PER_MS
    is_fresh = is_fresh_state(core, age_ms)
    if is_fresh and core.state_holds(state, motion, passed):
        return (
            None if limits.gripper is None else gripper.state_fault(limits.gripper, state.gripper)
        )
    for name, values in (("q", state.q), ("dq", state.dq)):
        if values.shape != (n,):
            return _finding("wrong_length", f"state.{name}", float(values.size), float(n), "")
    if not is_fresh:
        return _finding("stale", "state", age_ms, limits.timing.state_age_max_ms, "ms")
    joint = core.off_track(state.q, state.dq, motion, passed)
    if joint is not None:
        q, dq = float(state.q[joint]), float(state.dq[joint])
        declared = limits.joints[joint]
        if not (math.isfinite(q) and math.isfinite(dq)):
            return Finding("non_finite", f"state of {declared.name}", math.nan, 0.0, "", math.nan)
        unit = "m" if declared.type == "prismatic" else "rad"
        low = float(motion[joint, 0] if passed is None else passed[0, joint])
        high = float(motion[joint, 0] if passed is None else passed[1, joint])
        bound = declared.position_error + declared.position_noise
        q = float(core.on_branch(state.q, np.full(n, 0.5 * (low + high)))[joint])
        return _finding("tracking_error", declared.name, max(low - q, q - high), bound, unit)
    for name, extra in (("tau", state.tau), ("tau_ext", state.tau_ext)):
        if extra is not None and not (extra.shape == (n,) and bool(np.isfinite(extra).all())):
            return Finding("non_finite", f"state.{name}", math.nan, 0.0, "", math.nan)
    if state.wrench_tcp is not None:
        if state.wrench_tcp.shape != (6,):
            size = float(state.wrench_tcp.size)
            return _finding("wrong_length", "state.wrench_tcp", size, 6.0, "")
        force = core.force_exceeded(state.wrench_tcp)
        if force is not None:
            return _finding("contact_force", "tcp", force, limits.tcp.max_force, "N")
    elif limits.tcp.force_required:
        return Finding("non_finite", "state.wrench_tcp is missing", math.nan, 0.0, "N", math.nan)
    return None if limits.gripper is None else gripper.state_fault(limits.gripper, state.gripper)


def period_fault(core: Core, last_now_ns: int, now_ns: int) -> Finding | None:
    """Why this tick is too early or too late; None if its period is as declared."""
    period_ms = core.limits.period_s * 1e3
    measured_ms = (now_ns - last_now_ns) / NS_PER_MS
    allowed = core.limits.timing.period_tolerance * period_ms
    if abs(measured_ms - period_ms) <= allowed:
        return None
    bound = period_ms + (allowed if measured_ms > period_ms else -allowed)
    return _finding("period", "tick", measured_ms, bound, "ms")


def _duration(name: str, value: float) -> Finding:
    return Finding("duration", f"command.{name}", value, DURATION_MS_MAX, "ms", -1.0)


def _shape_fault(core: Core, command: Command) -> Finding | None:
    shape = command.values.shape
    n = TCP_WIDTH if command.mode in TCP_MODES else core.n
    if shape == (n,):
        return None
    if len(shape) != 2 or shape[1] != n:
        size = float(shape[-1]) if shape else 0.0
        return _finding("wrong_length", "command.values", size, float(n), "")
    if not 1 <= shape[0] <= COMMAND_ROWS_MAX:
        rows, most = float(shape[0]), float(COMMAND_ROWS_MAX)
        return _finding("wrong_length", "command rows", rows, most, "")
    return None


def command_fault(
    core: Core, command: Command, command_seq: int | None, now_ns: int
) -> Finding | None:
    """Why this command is not looked at any further; None if it may be appraised."""
    if command.mode not in MODE_CODES:
        return Finding("unknown_mode", f"command.mode {command.mode!r}", 0.0, 0.0, "", -1.0)
    fault = _shape_fault(core, command)
    if fault is not None:
        return fault
    if not core.is_finite(command.values):
        return Finding("non_finite", "command.values", math.nan, 0.0, "", math.nan)
    period_ms, valid_ms = command.period_ms, command.valid_ms
    if period_ms is not None and not (0.0 < period_ms <= DURATION_MS_MAX):
        return _duration("period_ms", period_ms)
    if valid_ms is not None and not (0.0 < valid_ms <= DURATION_MS_MAX):
        return _duration("valid_ms", valid_ms)
    if command.values.ndim == 2 and period_ms is None:
        return Finding(
            "non_finite", "command.period_ms of a chunk is missing", 0.0, 0.0, "ms", -1.0
        )
    if command_seq is not None and not command.seq > command_seq:
        return _finding("replayed", "command.seq", float(command.seq), float(command_seq + 1), "")
    timeout_ms = core.limits.timing.command_timeout_ms
    age_ms = (now_ns - command.stamp_ns) / NS_PER_MS
    bound_ms = timeout_ms if valid_ms is None else min(timeout_ms, valid_ms)
    if not (0.0 <= age_ms <= bound_ms):
        return _finding("stale", "command", age_ms, bound_ms, "ms")
    if command.gripper is not None:
        return gripper.command_fault(core.limits.gripper, command)
    return None


def command_ticks(core: Core, command: Command, now_ns: int) -> int:
    """For how many ticks an admitted command drives the robot; at least the coming one."""
    period_s, age_ms = core.limits.period_s, (now_ns - command.stamp_ns) / NS_PER_MS
    if command.period_ms is not None and command.values.ndim == 2:
        length_ms = command.period_ms * command.values.shape[0]
        if command.valid_ms is not None:
            length_ms = min(length_ms, command.valid_ms - age_ms)
    else:  # no command may claim a longer life than the limits declare
        length_ms = core.limits.timing.command_timeout_ms
        if command.valid_ms is not None:
            length_ms = min(length_ms, command.valid_ms)
        length_ms -= age_ms
    return max(1, duration_ticks(length_ms / 1e3, period_s))

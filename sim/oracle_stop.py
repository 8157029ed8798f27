"""Expands stored stops, as the robot side would play them, into ticks that the oracle can judge.

Guarantees:
- Built from nothing but the start, the ticks and the jerks of each segment: one constant jerk per
  tick and joint, integrated by the definition of the motion.
- A malformed stop (negative ticks, wrong shape, non-finite, other period) is reported, not
  expanded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .oracle_file import Array, Robot
from .oracle_joints import Motion

__all__ = ["Stop", "expand_one", "expand_stops", "malformed"]

TICKS_MAX = 100_000


class Stop(Protocol):
    """What the oracle reads of a stored stop."""

    @property
    def q(self) -> Array: ...  # (n,)
    @property
    def dq(self) -> Array: ...  # (n,)
    @property
    def ddq(self) -> Array: ...  # (n,)
    @property
    def ticks(self) -> Any: ...  # (n, segments) whole ticks
    @property
    def jerk(self) -> Array: ...  # (n, segments)
    @property
    def period_s(self) -> float: ...


def malformed(robot: Robot, stop: Stop) -> str | None:
    """What is wrong with a stop's form, or None."""
    ticks, jerk = np.asarray(stop.ticks), np.asarray(stop.jerk)
    if ticks.ndim != 2 or ticks.shape != jerk.shape or ticks.shape[0] != robot.n:
        return f"ticks {ticks.shape}, jerk {jerk.shape}, expected ({robot.n}, segments) of both"
    if not np.issubdtype(ticks.dtype, np.integer) or not (ticks >= 0).all():
        return "ticks are not whole and non-negative"
    if not ticks.sum(axis=1).max(initial=0) <= TICKS_MAX:
        return f"longer than {TICKS_MAX} ticks"
    if stop.period_s != robot.period_s:
        return f"period {stop.period_s} s, declared {robot.period_s} s"
    for name in ("q", "dq", "ddq"):
        value = np.asarray(getattr(stop, name))
        if value.shape != (robot.n,) or not np.isfinite(value).all():
            return f"{name} is not {robot.n} finite numbers"
    return None if np.isfinite(jerk).all() else "jerk is not finite"


def expand_one(stop: Stop, period_s: float) -> tuple[Array, Array, Array]:
    """(q, dq, ddq), each (ticks + 1, n), at every tick of one stop."""
    ticks = np.asarray(stop.ticks, dtype=np.int64)
    total = int(ticks.sum(axis=1).max(initial=0))
    n = ticks.shape[0]
    jerk = np.zeros((total, n))
    for i in range(n):
        row = np.repeat(np.asarray(stop.jerk)[i], ticks[i])
        jerk[: row.size, i] = row
    zero = np.zeros((1, n))
    ddq = stop.ddq + np.vstack([zero, np.cumsum(jerk * period_s, axis=0)])
    dq_step = ddq[:-1] * period_s + jerk * (period_s**2 / 2.0)
    dq = stop.dq + np.vstack([zero, np.cumsum(dq_step, axis=0)])
    q_step = dq[:-1] * period_s + ddq[:-1] * (period_s**2 / 2.0) + jerk * (period_s**3 / 6.0)
    q = stop.q + np.vstack([zero, np.cumsum(q_step, axis=0)])
    return q, dq, ddq


def expand_stops(stops: Sequence[Stop], period_s: float) -> tuple[Motion, Array, Array]:
    """One run per stop; and what is left of dq and ddq, each (stops, n), where each should rest."""
    expanded = [expand_one(stop, period_s) for stop in stops]
    run = np.repeat(np.arange(len(stops)), [q.shape[0] - 1 for q, _, _ in expanded])
    q0, dq0, ddq0 = (np.vstack([part[k][:-1] for part in expanded]) for k in range(3))
    q1, dq1, ddq1 = (np.vstack([part[k][1:] for part in expanded]) for k in range(3))
    rest_dq = np.array([dq[-1] for _, dq, _ in expanded])
    rest_ddq = np.array([ddq[-1] for _, _, ddq in expanded])
    motion = Motion(q0, dq0, ddq0, q1, dq1, ddq1, run.astype(np.int64))
    return motion, rest_dq, rest_ddq

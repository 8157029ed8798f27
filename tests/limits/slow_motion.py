"""A tick and its stop the slow way: sampled in time, from the definition in GUARANTEE.md §1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from tests.robots import column

from checkrein.limits import Limits
from checkrein.limits.kernels.braking import plan_stop
from checkrein.limits.kernels.packed import Packed, pack
from checkrein.limits.records import Array


class Motion(NamedTuple):
    """One tick at constant jerk, then the three phases of a stop."""

    start: Array  # (n, 3) q, dq, ddq
    ddq_next: Array  # (n,)
    ticks: Array  # (3,)
    jerk: Array  # (n, 3)

    def copy(self) -> Motion:
        return Motion(*(np.array(part) for part in self))


def phases(motion: Motion, period_s: float) -> list[tuple[float, Array]]:
    """(seconds, jerk (n,)) of the four pieces."""
    first = (motion.ddq_next - motion.start[:, 2]) / period_s
    rest = [(float(motion.ticks[p]) * period_s, motion.jerk[:, p]) for p in range(3)]
    return [(period_s, first), *rest]


def at(motion: Motion, period_s: float, t: float) -> tuple[Array, Array, Array]:
    """q, dq, ddq (n,) at t [s] after the start."""
    q, dq, ddq = (np.array(motion.start[:, c]) for c in range(3))
    for seconds, jerk in phases(motion, period_s):
        h = min(max(t, 0.0), seconds)
        q = q + dq * h + ddq * h**2 / 2.0 + jerk * h**3 / 6.0
        dq = dq + ddq * h + jerk * h**2 / 2.0
        ddq = ddq + jerk * h
        t -= seconds
        if t <= 0.0:
            break
    return q, dq, ddq


def total_s(motion: Motion, period_s: float) -> float:
    return period_s * (1.0 + float(motion.ticks.sum()))


def sampled(motion: Motion, period_s: float, count: int) -> list[tuple[Array, Array, Array]]:
    """`count` samples from the start to the end, both included."""
    times = np.linspace(0.0, total_s(motion, period_s), count)
    return [at(motion, period_s, float(t)) for t in times]


def end_of_tick(motion: Motion, period_s: float) -> tuple[Array, Array, Array]:
    return at(motion, period_s, period_s)


def stopping(packed: Packed, start: Array, ddq_next: Array, ease: float = 1.0) -> Motion | None:
    """The tick and the stop that the planner puts behind it; None if it has none."""
    n, period_s = start.shape[0], float(packed.scalar[0])
    motion = Motion(start, ddq_next, np.zeros(3), np.zeros((n, 3)))
    _, dq, ddq = end_of_tick(motion, period_s)
    if not plan_stop(packed, dq, ddq, ease, motion.ticks, motion.jerk):
        return None
    return motion


def random_motions(limits: Limits, seed: int, count: int, speed: float = 1.0) -> list[Motion]:
    """Ticks with their stops from random states; `speed`: their share of the declared box."""
    rng, packed = np.random.default_rng(seed), pack(limits)
    out: list[Motion] = []
    low, high = column(limits, "min_position"), column(limits, "max_position")
    a_max, j_max = column(limits, "max_acceleration"), column(limits, "max_jerk")
    n = low.size
    while len(out) < count:
        scale = speed * rng.uniform()
        dq = rng.uniform(-1.0, 1.0, n) * scale * column(limits, "max_velocity")
        ddq = rng.uniform(-1.0, 1.0, n) * scale * a_max
        step = rng.uniform(-1.0, 1.0, n) * j_max * limits.period_s
        start = np.ascontiguousarray(np.array([rng.uniform(low, high), dq, ddq]).T)
        motion = stopping(packed, start, np.clip(ddq + step, -a_max, a_max))
        if motion is not None:
            out.append(motion)
    return out

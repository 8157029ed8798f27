"""The stop planner the slow way: whole ticks tried one after the other, against the definitions.

What the file's docstring says, with arrays over joints and without closed forms for the plateau.
"""

from __future__ import annotations

import math

import numpy as np
from tests.robots import column

from checkrein.limits import Limits
from checkrein.limits.kernels.braking import INSIDE
from checkrein.limits.records import Array

__all__ = ["plateau_ticks", "slow_plan"]


def _deceleration(limits: Limits) -> Array:
    """(n,); max_acceleration where nothing else is declared."""
    declared = column(limits, "max_deceleration")
    return np.where(np.isnan(declared), column(limits, "max_acceleration"), declared)


def plateau_ticks(
    limits: Limits, dq: Array, ddq: Array, ease: float, n1: float, n3: float, n2_max: int = 2000
) -> float:
    """Smallest n2 whose plateau is within every bound; -1 if phase 1 breaks one then."""
    T, j_max = limits.period_s, column(limits, "max_jerk") * INSIDE
    a_max = column(limits, "max_acceleration") * INSIDE
    down = np.minimum(ease * _deceleration(limits) * INSIDE, j_max * n3 * T)
    n2 = np.arange(n2_max)[:, None]
    plateaus = -(dq + ddq * n1 * T / 2.0) / ((n1 / 2.0 + n2 + n3 / 2.0) * T)
    within = np.flatnonzero((np.abs(plateaus) <= down).all(axis=1))
    if within.size == 0:
        return -1.0
    plateau = plateaus[within[0]]
    if not (np.abs(plateau - ddq) <= j_max * n1 * T).all():
        return -1.0
    # Speed up to here and on: where phase 1 turns a joint, what it speeds up with from there.
    for i in np.flatnonzero((np.abs(ddq) > a_max / INSIDE) & (plateau * ddq < 0.0)):
        jerk = (plateau[i] - ddq[i]) / (n1 * T)
        if ddq[i] ** 2 - 2.0 * jerk * dq[i] > a_max[i] ** 2:
            return -1.0
    return float(within[0])


def slow_plan(limits: Limits, dq: Array, ddq: Array, ease: float) -> list[float] | None:
    """Ticks (3,) of the shortest stop found: seven plateaus, then every phase shortened."""
    step = column(limits, "max_jerk") * INSIDE * limits.period_s
    full1 = float((np.abs(ddq) / step).max())
    full3 = float((ease * _deceleration(limits) / step).max())
    found: list[list[float]] = []

    def look(n1: float, n3: float) -> bool:
        n2 = plateau_ticks(limits, dq, ddq, ease, n1, n3)
        if n2 < 0.0 or (found and n1 + n2 + n3 >= sum(found[-1])):
            return False
        found.append([n1, n2, n3])
        return True

    for k in range(7):
        look(max(1.0, math.ceil(full1 + 0.6**k * full3)), max(1.0, math.ceil(0.6**k * full3)))
    if not found:
        return None
    improved = True
    while improved:
        improved = False
        for less1, less3 in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            n1, n3 = found[-1][0] - less1, found[-1][2] - less3
            if min(n1, n3) >= 1.0 and look(n1, n3):
                improved = True
    return found[-1]

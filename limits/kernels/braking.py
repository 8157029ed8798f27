"""The stop: the same jerk phases for all joints, in whole ticks, to exact rest (DESIGN §4).

With v, a the joint's velocity and acceleration and n1, n2, n3 whole ticks of T:
    A  = -(v + a·n1·T/2) / ((n1/2 + n2 + n3/2)·T)     plateau acceleration
    j1 = (A - a)/(n1·T),  j2 = 0,  j3 = -A/(n3·T)
The velocity lost is a·n1·T/2 + A·(n1/2 + n2 + n3/2)·T = -v, so it ends at dq = 0 and ddq = 0.
A never speeds a joint up: where it acts, a joint only slows down, so its bound is max_deceleration.
What is above max_acceleration at the start must be given back before a joint turns, in phase 1.
All joints share n1, n2, n3 (the synchronised family): the tool stays near its line.
"""

from __future__ import annotations

import math

from .jit import kernel
from .packed import ACCELERATION, DECELERATION, JERK, PERIOD, Floats, Packed

__all__ = ["plan_stop"]

# The plan keeps this far inside its bounds, so that recomputing it from its own middle, where
# rounding differs, does not leave them.
INSIDE = 1.0 - 1e-11
# A stop of more ticks than this is none.
TICKS_MAX = 1 << 20


@kernel
def _plateau_ticks(
    packed: Packed, dq: Floats, ddq: Floats, ease: float, n1: float, n3: float
) -> float:
    """Smallest n2 >= 0 that keeps every |A| within its bounds, or -1 if n1 or n3 is too short."""
    period = packed.scalar[PERIOD]
    need = 0.0
    for i in range(dq.shape[0]):
        plateau = ease * packed.joint[i, DECELERATION]
        limit = min(plateau, packed.joint[i, JERK] * n3 * period) * INSIDE
        lost = dq[i] + ddq[i] * n1 * period / 2.0
        need = max(need, abs(lost) / (limit * period) - (n1 + n3) / 2.0)
    n2 = math.ceil(need) if need > 0.0 else 0.0
    if not n2 < TICKS_MAX:
        return -1.0
    for i in range(dq.shape[0]):
        lost = dq[i] + ddq[i] * n1 * period / 2.0
        plateau = -lost / ((n1 / 2.0 + n2 + n3 / 2.0) * period)
        if not abs(plateau - ddq[i]) <= packed.joint[i, JERK] * INSIDE * n1 * period:
            return -1.0
        if abs(ddq[i]) > packed.joint[i, ACCELERATION] and plateau * ddq[i] < 0.0:
            # It turns in phase 1, where ddq² = ddq0² - 2·j1·dq0, and speeds up from there.
            turning = ddq[i] * ddq[i] - 2.0 * (plateau - ddq[i]) / (n1 * period) * dq[i]
            bound = packed.joint[i, ACCELERATION] * INSIDE
            if not turning <= bound * bound:
                return -1.0
    return n2


@kernel
def plan_stop(
    packed: Packed, dq: Floats, ddq: Floats, ease: float, ticks: Floats, jerk: Floats
) -> bool:
    """Write the shortest stop found into ticks (3,) and jerk (n, 3); False if there is none.

    ease in (0, 1]: how much of max_deceleration its plateau may take. It looks at plateaus of that
    times a falling factor, then shortens each phase while that helps. Velocity, position, effort
    and everything else is left to the certificate.
    """
    n, period = dq.shape[0], packed.scalar[PERIOD]
    moving, full1, full3 = False, 0.0, 0.0
    for i in range(n):
        if not (math.isfinite(dq[i]) and math.isfinite(ddq[i])):
            return False
        moving = moving or dq[i] != 0.0 or ddq[i] != 0.0
        step = packed.joint[i, JERK] * INSIDE * period
        full1 = max(full1, abs(ddq[i]) / step)
        full3 = max(full3, ease * packed.joint[i, DECELERATION] / step)
    ticks[:] = 0.0
    jerk[:] = 0.0
    if not moving:
        return True
    best, best1, best2, best3 = math.inf, 0.0, 0.0, 0.0
    factor = 1.0
    for _ in range(7):
        n1 = max(1.0, float(math.ceil(full1 + factor * full3)))
        n3 = max(1.0, float(math.ceil(factor * full3)))
        n2 = _plateau_ticks(packed, dq, ddq, ease, n1, n3)
        if n2 >= 0.0 and n1 + n2 + n3 < best:
            best, best1, best2, best3 = n1 + n2 + n3, n1, n2, n3
        factor *= 0.6
    if not best < TICKS_MAX:
        return False
    improved = True
    while improved:
        improved = False
        for change in range(3):
            n1 = best1 - (1.0 if change != 1 else 0.0)
            n3 = best3 - (1.0 if change != 0 else 0.0)
            if n1 < 1.0 or n3 < 1.0:
                continue
            n2 = _plateau_ticks(packed, dq, ddq, ease, n1, n3)
            if n2 >= 0.0 and n1 + n2 + n3 < best:
                best, best1, best2, best3 = n1 + n2 + n3, n1, n2, n3
                improved = True
    ticks[0], ticks[1], ticks[2] = best1, best2, best3
    for i in range(n):
        lost = dq[i] + ddq[i] * best1 * period / 2.0
        plateau = -lost / ((best1 / 2.0 + best2 + best3 / 2.0) * period)
        jerk[i, 0] = (plateau - ddq[i]) / (best1 * period)
        jerk[i, 2] = -plateau / (best3 * period)
    return True

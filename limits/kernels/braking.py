"""Stops: three phases of constant jerk, in whole ticks, to exact rest.

With v, a the joint's velocity and acceleration and n1, n2, n3 whole ticks of T:
    A  = -(v + a·n1·T/2) / ((n1/2 + n2 + n3/2)·T)     plateau acceleration
    j1 = (A - a)/(n1·T),  j2 = 0,  j3 = -A/(n3·T)
The velocity lost is a·n1·T/2 + A·(n1/2 + n2 + n3/2)·T = -v, so it ends at dq = 0 and ddq = 0.
A never speeds a joint up: where it acts, a joint only slows down, so its bound is max_deceleration.
What is above max_acceleration at the start must be given back before a joint turns, in phase 1.

Two families. In the synchronised one all joints share n1, n2, n3: the tool stays near its line. In
the other each joint has its own, the fewest: nobody goes on because another one takes longer.
"""

from __future__ import annotations

import math

from .jit import kernel
from .packed import (
    ACCELERATION,
    DECELERATION,
    JERK,
    KEPT,
    PERIOD,
    VELOCITY,
    Floats,
    Packed,
    Work,
)

__all__ = ["next_of_stop", "plan_each", "plan_joint", "plan_slow", "plan_stop", "runs_of"]

# The plan keeps this far inside its bounds, so that recomputing it from its own middle, where
# rounding differs, does not leave them.
INSIDE = 1.0 - 1e-11
# A stop of more ticks than this is none.
TICKS_MAX = 1 << 20
# Of max_velocity: what rounding may add to a speed that is computed in another order.
SAME = 1e-12


@kernel
def _plateau_ticks(
    packed: Packed,
    dq: Floats,
    ddq: Floats,
    ease: float,
    n1: float,
    n3: float,
    first: int,
    last: int,
) -> float:
    """Smallest n2 >= 0 that keeps |A| of the joints first..last - 1 within its bounds.

    -1 if n1 or n3 is too short.
    """
    period = packed.scalar[PERIOD]
    need = 0.0
    for i in range(first, last):
        plateau = ease * packed.joint[i, DECELERATION]
        limit = min(plateau, packed.joint[i, JERK] * n3 * period) * INSIDE
        lost = dq[i] + ddq[i] * n1 * period / 2.0
        need = max(need, abs(lost) / (limit * period) - (n1 + n3) / 2.0)
    n2 = math.ceil(need) if need > 0.0 else 0.0
    if not n2 < TICKS_MAX:
        return -1.0
    for i in range(first, last):
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
def _shortest(
    packed: Packed, dq: Floats, ddq: Floats, ease: float, first: int, last: int
) -> tuple[float, float, float]:
    """The fewest ticks found that joints first..last - 1 share; (-1, 0, 0) if there are none.

    It looks at plateaus of the deceleration times a falling factor, then shortens each phase while
    that helps.
    """
    period, none = packed.scalar[PERIOD], (-1.0, 0.0, 0.0)
    moving, full1, full3 = False, 0.0, 0.0
    for i in range(first, last):
        if not (math.isfinite(dq[i]) and math.isfinite(ddq[i])):
            return none
        moving = moving or dq[i] != 0.0 or ddq[i] != 0.0
        step = packed.joint[i, JERK] * INSIDE * period
        full1 = max(full1, abs(ddq[i]) / step)
        full3 = max(full3, ease * packed.joint[i, DECELERATION] / step)
    if not moving:
        return 0.0, 0.0, 0.0
    best, best1, best2, best3 = math.inf, 0.0, 0.0, 0.0
    factor, n1, n3 = 1.0, 0.0, 0.0
    for _ in range(7):
        before1, before3 = n1, n3
        n1 = max(1.0, float(math.ceil(full1 + factor * full3)))
        n3 = max(1.0, float(math.ceil(factor * full3)))
        factor *= 0.6
        if n1 == before1 and n3 == before3:  # in long ticks hardly any two differ
            continue
        n2 = _plateau_ticks(packed, dq, ddq, ease, n1, n3, first, last)
        if n2 >= 0.0 and n1 + n2 + n3 < best:
            best, best1, best2, best3 = n1 + n2 + n3, n1, n2, n3
    if not best < TICKS_MAX:
        return none
    improved = True
    while improved:
        improved = False
        for change in range(3):
            n1 = best1 - (1.0 if change != 1 else 0.0)
            n3 = best3 - (1.0 if change != 0 else 0.0)
            if n1 < 1.0 or n3 < 1.0:
                continue
            n2 = _plateau_ticks(packed, dq, ddq, ease, n1, n3, first, last)
            if n2 >= 0.0 and n1 + n2 + n3 < best:
                best, best1, best2, best3 = n1 + n2 + n3, n1, n2, n3
                improved = True
    return best1, best2, best3


@kernel
def _plateau(dq: float, ddq: float, n1: float, n2: float, n3: float, period: float) -> float:
    """The plateau acceleration of a stop of n1, n2, n3 > 0 ticks."""
    return -(dq + ddq * n1 * period / 2.0) / ((n1 / 2.0 + n2 + n3 / 2.0) * period)


@kernel
def plan_stop(
    packed: Packed, dq: Floats, ddq: Floats, ease: float, ticks: Floats, jerk: Floats
) -> bool:
    """Write the shortest synchronised stop into ticks (m,) and jerk (n, m); False if there is none.

    ease in (0, 1]: how much of max_deceleration its plateau may take. It has three phases; the
    others last no tick. Velocity, position, effort and all else is left to the certificate.
    """
    n, period = dq.shape[0], packed.scalar[PERIOD]
    ticks[:] = 0.0
    jerk[:] = 0.0
    n1, n2, n3 = _shortest(packed, dq, ddq, ease, 0, n)
    if not n1 >= 0.0:
        return False
    ticks[0], ticks[1], ticks[2] = n1, n2, n3
    if n1 == 0.0:
        return True
    for i in range(n):
        A = _plateau(dq[i], ddq[i], n1, n2, n3, period)
        jerk[i, 0] = (A - ddq[i]) / (n1 * period)
        jerk[i, 2] = -A / (n3 * period)
    return True


@kernel
def plan_slow(
    packed: Packed, dq: Floats, ddq: Floats, lasts_s: float, ticks: Floats, jerk: Floats
) -> bool:
    """As `plan_stop`, but its first and its last phase last `lasts_s` each, and there is no other.

    Once it moves it still speeds up, ever less: what gravity asks for less on the way down is won
    before braking asks for more. The longer the phases are, the more is won for the same braking.
    """
    n, period = dq.shape[0], packed.scalar[PERIOD]
    lasts = max(1.0, float(math.ceil(lasts_s / period)))
    ticks[:] = 0.0
    jerk[:] = 0.0
    if _plateau_ticks(packed, dq, ddq, 1.0, lasts, lasts, 0, n) != 0.0:
        return False
    ticks[0], ticks[2] = lasts, lasts
    for i in range(n):
        A = _plateau(dq[i], ddq[i], lasts, 0.0, lasts, period)
        jerk[i, 0], jerk[i, 2] = (A - ddq[i]) / (lasts * period), -A / (lasts * period)
    return True


@kernel
def plan_joint(packed: Packed, dq: Floats, ddq: Floats, ease: float, i: int, row: Floats) -> bool:
    """Write the shortest stop of joint i alone into row (6,): its ticks, then its jerks."""
    period = packed.scalar[PERIOD]
    for p in range(6):
        row[p] = 0.0
    n1, n2, n3 = _shortest(packed, dq, ddq, ease, i, i + 1)
    if not n1 >= 0.0:
        return False
    row[0], row[1], row[2] = n1, n2, n3
    if n1 > 0.0:
        A = _plateau(dq[i], ddq[i], n1, n2, n3, period)
        row[3] = (A - ddq[i]) / (n1 * period)
        row[5] = -A / (n3 * period)
    return True


@kernel
def runs_of(motion: Floats, i: int, row: Floats) -> bool:
    """Write the stop of joint i that a motion carries into row (6,): up to three jerks for so long.

    Phases that other joints end are joined again. False if there are more than three, which no stop
    from here has.
    """
    n, run, over = motion.shape[0] - 1, -1, 0.0
    for p in range(6):
        row[p] = 0.0
    for p in range(motion.shape[1] - 3):
        lasts, j = motion[n, p], motion[i, 3 + p]
        if not lasts > 0.0:
            continue
        if run >= 0 and row[3 + run] == j:
            row[run] += lasts
        elif run < 2:
            run += 1
            row[run], row[3 + run] = lasts, j
        elif j == 0.0:  # it rests, and waits for the others
            over += lasts
        else:
            return False
        if over > 0.0 and j != 0.0:
            return False
    if run >= 0 and row[3 + run] == 0.0:
        row[run] = 0.0  # so here
    return True


@kernel
def _keeps(packed: Packed, end: Floats, kept: Floats, i: int) -> bool:
    """Whether joint i is where the stored stop leads it; its stop is then the rest of that one."""
    return (
        end[i, 2] == kept[i, 2]
        and abs(end[i, 1] - kept[i, 1]) <= SAME * packed.joint[i, VELOCITY]
        and abs(end[i, 0] - kept[i, 0]) <= SAME * (1.0 + abs(kept[i, 0]))
    )


@kernel
def plan_each(
    packed: Packed, end: Floats, ease: float, work: Work, ticks: Floats, jerk: Floats
) -> bool:
    """As `plan_stop` from end (n, 3) q, dq, ddq, each joint in its own fewest ticks.

    A joint that follows the stored stop (work.motions[KEPT]) goes on with it, so that what another
    one does cannot take from it what is certified. Needs m = 3·n phases, else False.
    """
    n, kept, phases = end.shape[0], work.motions[KEPT], work.phases
    if ticks.shape[0] < 3 * n:
        return False
    dq, ddq = end[:, 1], end[:, 2]
    for i in range(n):
        if _keeps(packed, end, kept, i) and runs_of(kept, i, phases[i]):
            for p in range(3):
                end[i, p] = kept[i, p]
        elif not plan_joint(packed, dq, ddq, ease, i, phases[i]):
            return False
    _merge(phases, ticks, jerk)
    return True


@kernel
def _merge(phases: Floats, ticks: Floats, jerk: Floats) -> None:
    """Write stops (n, 6) of their own ticks and jerks as phases that all joints share.

    One ends wherever a joint switches: 3·n at most.
    """
    n, at, m = phases.shape[0], 0.0, 0
    ticks[:] = 0.0
    jerk[:] = 0.0
    while m < ticks.shape[0]:
        until = math.inf
        for i in range(n):
            end = 0.0
            for p in range(3):
                end += phases[i, p]
                if end > at:
                    until = min(until, end)
        if not until < math.inf:
            return
        ticks[m] = until - at
        for i in range(n):
            end = 0.0
            for p in range(3):
                if end <= at < end + phases[i, p]:
                    jerk[i, m] = phases[i, 3 + p]
                end += phases[i, p]
        at, m = until, m + 1


@kernel
def next_of_stop(packed: Packed, start: Floats, stop: Floats, out: Floats) -> None:
    """Write the next tick of the stored stop; stop and out (n + 1, 3 + m).

    Rows 0..n-1: q, dq, ddq at the start of the stop, then the jerks of its m phases; the last row:
    its phases' remaining ticks. At rest it stays where it is.
    """
    n, t, phases = start.shape[0], packed.scalar[PERIOD], stop.shape[1] - 3
    phase = 0
    while phase < phases and not stop[n, phase] >= 1.0:
        phase += 1
    left = 0.0
    for p in range(3 + phases):
        out[n, p] = stop[n, p]
    if phase < phases:
        out[n, phase] -= 1.0
    for p in range(phases):
        left += out[n, p]
    for i in range(n):
        q, dq, now = start[i, 0], start[i, 1], start[i, 2]
        j = stop[i, 3 + phase] if phase < phases else 0.0
        out[i, 0] = q + dq * t + now * t * t / 2.0 + j * t * t * t / 6.0 if phase < phases else q
        # At its end the profile rests by construction; what is left is rounding.
        out[i, 1] = dq + now * t + j * t * t / 2.0 if left >= 1.0 else 0.0
        out[i, 2] = now + j * t if left >= 1.0 else 0.0
        for p in range(phases):
            out[i, 3 + p] = stop[i, 3 + p]

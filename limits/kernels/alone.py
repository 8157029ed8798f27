"""As much of each joint's commanded motion as that joint's own limits allow, whatever others do.

Where the file says `keep_direction: false`, joints are not slowed down together: each goes its own
way as fast as it may, and only who would otherwise not come to rest before its own bound brakes.
It is found by asking, for one joint alone, whether it can still stop behind the coming tick; the
answer is a proposal, as all that `project` makes: the certificate asks again, in its own code.
"""

from __future__ import annotations

import math

from .braking import plan_joint
from .jit import apart, kernel
from .packed import (
    KEPT,
    PACE,
    PACKED,
    PERIOD,
    ROW,
    TABLE,
    TRIAL,
    WHOLE,
    WORK,
    Floats,
    Packed,
    Work,
)
from .restraint import GENTLE, note

__all__ = ["POSITION", "alone", "stops_alone"]

# How often the way from the stored stop to what is commanded is halved.
HALVINGS = 8
# Stop so far [rad or m] before a bound: what playing a stop adds by rounding must not leave it.
SPARE = 1e-10
# Codes of `certify.KINDS`.
_VELOCITY, POSITION = 3.0, 4.0


@kernel
def _leaves(
    q: float, dq: float, ddq: float, j: float, t: float, low: float, high: float, fastest: float
) -> float:
    """0 if a piece of constant jerk that lasts t [s] keeps to its bounds, else the code of one."""
    turning = -ddq / j if j != 0.0 else -1.0
    peak = dq + ddq * turning / 2.0 if 0.0 < turning < t else dq
    after = dq + ddq * t + j * t * t / 2.0
    if not (abs(dq) <= fastest and abs(after) <= fastest and abs(peak) <= fastest):
        return _VELOCITY
    if not low <= q + dq * t + ddq * t * t / 2.0 + j * t * t * t / 6.0 <= high:
        return POSITION
    inner = ddq * ddq - 2.0 * j * dq
    if not inner >= 0.0:
        return 0.0
    # Where dq is zero: both roots without cancellation.
    root = -(ddq + math.copysign(math.sqrt(inner), ddq))
    one = root / j if j != 0.0 else -1.0
    two = 2.0 * dq / root if root != 0.0 else -1.0
    for at in (one, two):
        there = q + dq * at + ddq * at * at / 2.0 + j * at * at * at / 6.0
        if 0.0 < at < t and not low <= there <= high:
            return POSITION
    return 0.0


@kernel
def stops_alone(
    packed: Packed, start: Floats, bounds: Floats, i: int, wanted: float, work: Work
) -> float:
    """0 if joint i, with acceleration `wanted` at the end of the tick, can still stop behind it.

    Within its bounds, alone, all the time; else the code of the bound that it leaves.
    """
    t, row, end = packed.scalar[PERIOD], work.phases[i], work.motions[TRIAL]
    low, high = bounds[0, i] + SPARE, bounds[1, i] - SPARE
    q, dq, ddq = start[i, 0], start[i, 1], start[i, 2]
    j = (wanted - ddq) / t
    # A joint that is beyond SPARE, or outside, may come back.
    code = _leaves(q, dq, ddq, j, t, min(low, q), max(high, q), bounds[2, i])
    if code > 0.0:
        return code
    q += dq * t + ddq * t * t / 2.0 + j * t * t * t / 6.0
    dq += (ddq + wanted) * t / 2.0
    ddq = wanted
    end[i, 1], end[i, 2] = dq, ddq
    if not plan_joint(packed, end[:, 1], end[:, 2], work.small[PACE, GENTLE], i, row):
        return POSITION
    for p in range(3):
        lasts, j = row[p] * t, row[3 + p]
        code = _leaves(q, dq, ddq, j, lasts, min(low, q), max(high, q), bounds[2, i])
        if code > 0.0:
            return code
        q += dq * lasts + ddq * lasts * lasts / 2.0 + j * lasts * lasts * lasts / 6.0
        dq += ddq * lasts + j * lasts * lasts / 2.0
        ddq += j * lasts
    return 0.0


@apart(PACKED, TABLE, TABLE, WORK, TABLE, WHOLE, ROW)
def alone(
    packed: Packed,
    start: Floats,
    bounds: Floats,
    work: Work,
    found: Floats,
    count: int,
    ddq: Floats,
) -> int:
    """Hold each of ddq (n,) to what its joint may do alone; return the number of findings.

    Between it and the next tick of the stored stop (work.motions[KEPT]), which is always left.
    """
    for i in range(ddq.shape[0]):
        wanted, kept = ddq[i], work.motions[KEPT, i, 2]
        code = stops_alone(packed, start, bounds, i, wanted, work)
        if code == 0.0:
            continue
        up = wanted > kept
        if code == _VELOCITY:
            count = note(found, count, code, i, abs(start[i, 1]), bounds[2, i])
        else:
            count = note(found, count, code, i, start[i, 0], bounds[1 if up else 0, i])
        low, high, ddq[i] = 0.0, 1.0, kept
        for _ in range(HALVINGS):
            share = 0.5 * (low + high)
            tried = share * wanted + (1.0 - share) * kept
            if stops_alone(packed, start, bounds, i, tried, work) == 0.0:
                low, ddq[i] = share, tried
            else:
                high = share
    return count

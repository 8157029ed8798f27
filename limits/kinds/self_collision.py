"""Self-collision: the declared pairs of capsules stay apart, in continuous time.

Of a pair, capsule a on joint ja and capsule b on joint jb > ja, only the joints ja+1..jb move one
against the other. Seen from link ja, over an interval with middle m it is enough that
    distance of the axes at m - radii - standoff
        > sum_{j=ja+1..jb} r_j · (sup|q_j(t) - q_j(m)| + e_j)
with r_j the largest distance of b's axis from joint j's axis at m, 1 for a prismatic joint. For
take the joints from ja+1 outwards, one at a time, from where they are at m to where they are at t:
joint j turns all that is behind it as one body, so that r_j is at its turn still what it is at m,
and a point of b's axis moves along an arc of radius r_j at most. No point of the axis moves farther
than the sum; so neither does the distance between the two axes change by more; the radii are
constant. A turn about an axis moves the ends the most, so r_j is looked at there.
"""

from __future__ import annotations

import math

from ..kernels.clearance import segment_segment
from ..kernels.jit import apart, kernel
from ..kernels.packed import (
    FIRST,
    FLAG,
    MIDDLES,
    NUMBER,
    PACKED,
    PAIR_EASED,
    PAIR_STANDOFF,
    PLANE,
    RADII,
    ROW,
    SECOND,
    STILL,
    SWEEP,
    UNMOVED,
    WORK,
    Floats,
    Packed,
    Work,
)
from ..kernels.separation import bend, lowest, rough_sweeps, sweeps, widest_gap

__all__ = ["judge", "room"]

ROUNDING, ROUNDING_M = 1.0 + 1e-9, 1e-9


@kernel
def _first_order(
    packed: Packed, work: Work, p: int, moved: Floats, apart: float, first: float, last: float
) -> float:
    """By how much [m] more than needed the pair surely stays apart, to first order.

    Seen from the link of its first capsule; apart [m] is how far it is at the middle.
    """
    a, b = int(packed.pair[p, FIRST]), int(packed.pair[p, SECOND])
    base = int(packed.capsule[a, 0])
    bent = bend(packed, work, b, base, moved)
    standoff = packed.pair[p, PAIR_STANDOFF] - packed.pair[p, PAIR_EASED]
    if not (apart - standoff > bent) or not widest_gap(work, a, b, work.small[PLANE]):
        return -math.inf
    n, one = work.small[PLANE], work.segment[a]
    reach = max(
        n[0] * one[0] + n[1] * one[1] + n[2] * one[2], n[0] * one[3] + n[1] * one[4] + n[2] * one[5]
    )
    needed = reach + packed.pair[p, RADII] + standoff + bent + ROUNDING_M
    return lowest(packed, work, b, base, n, first, last) - needed


@kernel
def _between(packed: Packed, work: Work, p: int) -> tuple[float, float]:
    """How far [m] the joints between the two of a pair move the second: by errors, and standoff
    beside; and by their motion."""
    a, b = int(packed.pair[p, FIRST]), int(packed.pair[p, SECOND])
    # All up to b's less all up to a's.
    before, outer = int(packed.capsule[a, 0]), int(packed.capsule[b, 0])
    still = work.swept[STILL, b, outer] - work.swept[STILL, b, before]
    sweep = work.swept[SWEEP, b, outer] - work.swept[SWEEP, b, before]
    return still + packed.pair[p, PAIR_STANDOFF], sweep


@kernel
def room(packed: Packed, work: Work, p: int, at: float) -> tuple[float, float]:
    """How much nearer [m] the pair might be at a time [s] of the motion; how far it is apart [m].

    `work` has the frames of that time.
    """
    a, b, unmoved = int(packed.pair[p, FIRST]), int(packed.pair[p, SECOND]), work.vector[UNMOVED]
    sweeps(packed, work, a, unmoved)
    sweeps(packed, work, b, unmoved)
    still, _ = _between(packed, work, p)
    apart = segment_segment(work.segment[a], work.segment[b]) - packed.pair[p, RADII]
    plain = apart - still + packed.pair[p, PAIR_EASED]
    sharper = _first_order(packed, work, p, unmoved, apart, at, at)
    return (sharper if sharper > plain else plain), apart


@apart(PACKED, WORK, ROW, ROW, ROW, NUMBER, NUMBER, NUMBER, ROW, FLAG)
def judge(
    packed: Packed,
    work: Work,
    moved: Floats,
    opened: Floats,
    near: Floats,
    spare: float,
    first: float,
    last: float,
    report: Floats,
    decided: bool,
) -> int:
    """At the configuration in `work`: 1 all pairs apart beyond the sweep, 0 not decided, -1 too
    near even at rest.

    moved (n,): sup |q_j(t) - q_j(m)| over the interval [first, last], without the position error.
    opened (p,), near (p,) and spare [m] as for workspace. report (3,) gets pair, value and bound;
    of what is not decided only if `decided`, that is, if nothing else was undecided before.
    """
    verdict = 1
    for p in range(packed.pair.shape[0]):
        if opened[p] == 0.0:
            continue
        opened[p] = 0.0
        a, b = int(packed.pair[p, FIRST]), int(packed.pair[p, SECOND])
        x = work.middle[0, a] - work.middle[0, b]
        y = work.middle[1, a] - work.middle[1, b]
        z = work.middle[2, a] - work.middle[2, b]
        if not math.isfinite(x + y + z):  # below, min would drop a NaN (trap 8)
            report[0], report[1], report[2] = p, -math.inf, 0.0
            return -1
        # The joints below the first of the two move both: first with them, which costs less.
        rough_sweeps(packed, work, b, moved)
        touching, apart2 = packed.pair[p, MIDDLES] + spare, x * x + y * y + z * z
        far = (touching + packed.pair[p, PAIR_STANDOFF] + work.total[b]) * ROUNDING + ROUNDING_M
        if apart2 > far * far:
            continue
        rough_sweeps(packed, work, a, moved)
        still, sweep = _between(packed, work, p)
        far = (touching + still + sweep) * ROUNDING + ROUNDING_M
        if apart2 > far * far:
            continue
        sweeps(packed, work, a, moved)
        sweeps(packed, work, b, moved)
        still, sweep = _between(packed, work, p)
        still -= packed.pair[p, PAIR_EASED]
        apart = segment_segment(work.segment[a], work.segment[b]) - packed.pair[p, RADII]
        left = apart - still - sweep
        if left > spare:
            continue
        if left > 0.0 or _first_order(packed, work, p, moved, apart, first, last) > 0.0:
            near[p] = max(near[p], spare)
            continue
        middle, unmoved = 0.5 * (first + last), work.vector[UNMOVED]
        if not (
            apart > still or _first_order(packed, work, p, unmoved, apart, middle, middle) > 0.0
        ):
            report[0], report[1], report[2] = p, apart, still
            return -1
        if verdict > 0 and decided:
            report[0], report[1], report[2] = p, apart, still + sweep
        opened[p] = 1.0
        verdict = 0
    return verdict

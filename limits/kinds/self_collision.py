"""Self-collision: the declared pairs of capsules stay apart, in continuous time (DESIGN §4).

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
from ..kernels.jit import kernel
from ..kernels.packed import (
    FIRST,
    MIDDLES,
    PAIR_STANDOFF,
    RADII,
    SECOND,
    Floats,
    Packed,
    Work,
)

__all__ = ["judge"]

ROUNDING, ROUNDING_M = 1.0 + 1e-9, 1e-9


@kernel
def judge(packed: Packed, work: Work, report: Floats, decided: bool) -> int:
    """At the configuration in `work`: 1 all pairs apart beyond the sweep, 0 not decided, -1 too
    near even at rest.

    work holds what the workspace has just found of the interval: how far the joints up to each one
    move each capsule, by tracking error and by motion (the sums of r_j · e_j and of
    r_j · sup|q_j(t) - q_j(m)|), and the capsules' middles. report (3,) gets pair, value and bound;
    of what is not decided only if `decided`: if nothing else was undecided before.
    """
    verdict = 1
    for p in range(packed.pair.shape[0]):
        a, b = int(packed.pair[p, FIRST]), int(packed.pair[p, SECOND])
        before, last = int(packed.capsule[a, 0]), int(packed.capsule[b, 0])
        # The joints behind a: all up to b's less all up to a's.
        still = work.still[b, last] - work.still[b, before] + packed.pair[p, PAIR_STANDOFF]
        sweep = work.sweep[b, last] - work.sweep[b, before]
        x = work.middle[a, 0] - work.middle[b, 0]
        y = work.middle[a, 1] - work.middle[b, 1]
        z = work.middle[a, 2] - work.middle[b, 2]
        if not math.isfinite(x + y + z):  # below, min would drop a NaN (TRAPS 8)
            report[0], report[1], report[2] = p, -math.inf, still
            return -1
        far = (packed.pair[p, MIDDLES] + still + sweep) * ROUNDING + ROUNDING_M
        if x * x + y * y + z * z > far * far:
            continue
        apart = segment_segment(work.segment[a], work.segment[b]) - packed.pair[p, RADII]
        if not (apart > still):
            report[0], report[1], report[2] = p, apart, still
            return -1
        if not (apart > still + sweep) and verdict > 0:
            if decided:
                report[0], report[1], report[2] = p, apart, still + sweep
            verdict = 0
    return verdict

"""The stop itself: whole ticks, and rest where they end. Without it no motion is certified.

The planner ends at rest by an identity (kernels/braking.py), and what plays a stop sets dq and ddq
to zero at its end. Here the sum is made again, over the pieces that everything else is judged on:
what would be left of dq and ddq must be rounding, so that this zero hides no step.
"""

from __future__ import annotations

import math

from ..kernels.jit import kernel
from ..kernels.motion import pieces_in
from ..kernels.packed import ACCELERATION, ENDS, VELOCITY, Floats, Packed, Work

__all__ = ["REST_SHARE", "holds"]

# Of max_velocity and max_acceleration; measured are at most 3e-15.
REST_SHARE = 1e-12


@kernel
def holds(packed: Packed, ticks: Floats, work: Work, report: Floats) -> bool:
    """Whether the stop of ticks (m,) in `work` ends at rest; else report joint, value, bound."""
    report[0], report[2] = 0.0, 0.0
    for p in range(ticks.shape[0]):
        report[1] = ticks[p]
        if not (0.0 <= ticks[p] < math.inf and ticks[p] == math.floor(ticks[p])):
            return False
    last = pieces_in(work.small[ENDS]) - 1
    t = work.small[ENDS, last + 1] - work.small[ENDS, last]
    for i in range(packed.joint.shape[0]):
        piece = work.pieces[last, i]
        left = abs(piece[1] + t * (piece[2] + t * piece[3] / 2.0))
        bound = REST_SHARE * packed.joint[i, VELOCITY]
        if not (left <= bound):
            report[0], report[1], report[2] = i, left, bound
            return False
        left = abs(piece[2] + t * piece[3])
        bound = REST_SHARE * packed.joint[i, ACCELERATION]
        if not (left <= bound):
            report[0], report[1], report[2] = i, left, bound
            return False
    return True

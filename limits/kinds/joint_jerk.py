"""Joint jerk: constant in each piece, |jerk| <= max_jerk."""

from __future__ import annotations

from ..kernels.jit import kernel
from ..kernels.motion import pieces_in
from ..kernels.packed import ENDS, JERK, Floats, Packed, Work

__all__ = ["holds"]


@kernel
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether |jerk| is within its bound in every piece that lasts; else report it."""
    pieces = pieces_in(work.small[ENDS])
    for i in range(packed.joint.shape[0]):
        bound = packed.joint[i, JERK]
        for p in range(pieces):
            value = abs(work.pieces[p, i, 3])
            if work.small[ENDS, p + 1] > work.small[ENDS, p] and not (value <= bound):
                report[0], report[1], report[2] = i, value, bound
                return False
    return True

"""Joint acceleration: |ddq| <= max_acceleration; linear in each piece, so its ends decide."""

from __future__ import annotations

from ..kernels.jit import kernel
from ..kernels.packed import ACCELERATION, ENDS, Floats, Packed, Work

__all__ = ["holds"]


@kernel
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether |ddq| is within its bound throughout; else report joint, value, bound."""
    for i in range(packed.joint.shape[0]):
        bound = packed.joint[i, ACCELERATION]
        for p in range(4):
            piece, t = work.pieces[p, i], work.small[ENDS, p + 1] - work.small[ENDS, p]
            # Two comparisons: max would drop a NaN that is its second argument (TRAPS 8).
            for value in (abs(piece[2]), abs(piece[2] + piece[3] * t)):
                if not (value <= bound):
                    report[0], report[1], report[2] = i, value, bound
                    return False
    return True

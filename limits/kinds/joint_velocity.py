"""Joint velocity: |dq| within its bound at the extrema (roots of ddq) of the tick and of its stop.

The bound is max_velocity less the declared velocity error, or the recovery velocity while any
joint is outside its position limits.
"""

from __future__ import annotations

from ..kernels.jit import kernel
from ..kernels.motion import pieces_in
from ..kernels.packed import ENDS, Floats, Work

__all__ = ["holds"]


@kernel
def holds(bound: Floats, work: Work, report: Floats) -> bool:
    """Whether |dq| <= bound (n,) throughout; else report joint, value, bound."""
    pieces = pieces_in(work.small[ENDS])
    for i in range(bound.shape[0]):
        for p in range(pieces):
            value = work.fastest[p, i]
            if not (value <= bound[i]):
                report[0], report[1], report[2] = i, value, bound[i]
                return False
    return True

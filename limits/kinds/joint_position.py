"""Joint position: within [min + e, max - e] at every instant of the tick and of its stop.

e is the declared tracking error, so that the *measured* position stays within the declared bounds.
A joint that is outside comes back inwards only: its bound is then where it is (trap 13).
"""

from __future__ import annotations

from ..kernels.jit import kernel
from ..kernels.motion import pieces_in, position_range
from ..kernels.packed import ENDS, Floats, Work

__all__ = ["holds"]


@kernel
def holds(low: Floats, high: Floats, work: Work, report: Floats) -> bool:
    """Whether every joint stays within [low, high], each (n,); else report joint, value, bound."""
    ends = work.small[ENDS]
    last = ends[pieces_in(ends)]
    for i in range(low.shape[0]):
        least, most = position_range(work.pieces, ends, i, 0.0, last)
        if not (least >= low[i]):
            report[0], report[1], report[2] = i, least, low[i]
            return False
        if not (most <= high[i]):
            report[0], report[1], report[2] = i, most, high[i]
            return False
    return True

"""Joint acceleration: |ddq| <= max_acceleration where a joint speeds up, <= max_deceleration where
it slows down. Linear in each piece: its ends and the instants at which the joint turns decide."""

from __future__ import annotations

from ..kernels.acceleration import within
from ..kernels.jit import kernel
from ..kernels.motion import pieces_in
from ..kernels.packed import ACCELERATION, DECELERATION, ENDS, Floats, Packed, Work

__all__ = ["holds"]


@kernel
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether |ddq| is within its bound throughout; else report joint, value, bound."""
    pieces = pieces_in(work.small[ENDS])
    for i in range(packed.joint.shape[0]):
        up, down = packed.joint[i, ACCELERATION], packed.joint[i, DECELERATION]
        for p in range(pieces):
            length = work.small[ENDS, p + 1] - work.small[ENDS, p]
            value, bound = within(work.pieces[p, i], length, up, down)
            if not (value <= bound):
                report[0], report[1], report[2] = i, value, bound
                return False
    return True

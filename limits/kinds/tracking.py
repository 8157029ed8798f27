"""Tracking: the measured position within the declared tracking error of the commanded one.

Smoothness is judged on the command, so the command must not drift away from the robot (TRAPS 11):
beyond this bound the certificate's assumption is gone, and the filter stops.
"""

from __future__ import annotations

import math

from ..kernels.jit import kernel
from ..kernels.packed import POSITION_ERROR, Floats, Packed

__all__ = ["holds"]


@kernel
def holds(packed: Packed, measured: Floats, motion: Floats) -> int:
    """-1 if all is well, else the joint that is not finite or too far from its command.

    measured (2, n) q and dq; motion (n + 1, 6), whose first column is the commanded q.
    """
    for i in range(measured.shape[1]):
        near = abs(measured[0, i] - motion[i, 0]) <= packed.joint[i, POSITION_ERROR]
        if not (near and math.isfinite(measured[1, i])):
            return i
    return -1

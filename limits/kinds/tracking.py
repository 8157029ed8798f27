"""Tracking: the measured position where the stream was, within the declared errors.

Smoothness is judged on the command, so the command must not drift away from the robot (trap 11):
beyond this bound the certificate's assumption is gone, and the filter stops.
With e the tracking error and s the position noise, the robot is within e + s of the stream (s: the
stream was seeded from a measured position), and measured within s of where it is: e + 2 s.
Of a continuous joint only the place within a turn is compared: it may be measured wrapped. What is
half a turn or more away is then at least as far off as what is nearer, and as wrong.
A position that lags behind by up to L ticks is compared with all that the stream passed in them.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels.jit import entry, kernel
from ..kernels.packed import CONTINUOUS, POSITION_ERROR, POSITION_NOISE, Floats, Packed

__all__ = ["holds", "within"]


@kernel
def _near(packed: Packed, i: int, q: float, low: float, high: float) -> bool:
    """Whether q may be measured of joint i whose stream was in [low, high]; a NaN may not."""
    slack = packed.joint[i, POSITION_ERROR] + packed.joint[i, POSITION_NOISE]
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(q)):
        return False
    if packed.joint[i, CONTINUOUS] > 0.0:
        turn = 2.0 * math.pi
        q += turn * np.floor((0.5 * (low + high) - q) / turn + 0.5)
    return q - high <= slack and low - q <= slack


@entry
def holds(packed: Packed, measured: Floats, motion: Floats) -> int:
    """-1 if all is well, else the joint that is not finite or too far from its command.

    measured (2, n) q and dq; motion (n + 1, 3 + m), whose first column is the commanded q.
    """
    for i in range(measured.shape[1]):
        near = _near(packed, i, measured[0, i], motion[i, 0], motion[i, 0])
        if not (near and math.isfinite(measured[1, i])):
            return i
    return -1


@entry
def within(packed: Packed, measured: Floats, passed: Floats) -> int:
    """As `holds`, for a stream that passed all of [passed[0], passed[1]] lately; passed (2, n)."""
    for i in range(measured.shape[1]):
        near = _near(packed, i, measured[0, i], passed[0, i], passed[1, i])
        if not (near and math.isfinite(measured[1, i])):
            return i
    return -1

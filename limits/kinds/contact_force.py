"""Contact force: the measured force on the TCP within max_force; above it the robot stops."""

from __future__ import annotations

import math

from ..kernels.jit import entry
from ..kernels.packed import Floats

__all__ = ["holds", "norm"]


@entry
def norm(force: Floats) -> float:
    """Euclidean norm [N] of the force (3,); NaN if any component is."""
    return math.sqrt(force[0] * force[0] + force[1] * force[1] + force[2] * force[2])


@entry
def holds(force_n: float, force_max_n: float) -> bool:
    """Whether the force is within its bound; a NaN is not."""
    return 0.0 <= force_n <= force_max_n

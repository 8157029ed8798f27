"""The stop that a motion carries, as records and frames hold it: for each joint its own phases.

Kernels share one table of phases, which ends one wherever a joint switches (kernels.motion). Where
all joints switch together, that is the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from . import tick
from .records import Array

__all__ = ["own_phases", "shared_phases"]


@lru_cache(maxsize=4096)  # the same few, tick after tick
def shared_phases(n: int, first: int, second: int, third: int) -> npt.NDArray[np.int64]:
    """Ticks (n, 3) of a stop in which all n joints switch together, read-only."""
    ticks = np.tile(np.array([first, second, third], np.int64), (n, 1))
    ticks.setflags(write=False)
    return ticks


def own_phases(motion: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Ticks and jerks (n, 3) of the stop that each joint has for itself, read-only."""
    n = motion.shape[0] - 1
    ticks, jerk = np.empty((n, 3), np.int64), np.empty((n, 3))
    tick.split_each(motion, ticks, jerk, np.empty(6))
    ticks.setflags(write=False)
    jerk.setflags(write=False)
    return ticks, jerk

"""A motion as records and frames hold it: where it ends, and for each joint its phases of the stop.

Kernels share one table of phases, which ends one wherever a joint switches (kernels.motion). Where
all joints switch together, that is the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from . import tick
from .building import builder_of
from .gripper import GripperSetpoint
from .records import Array, Setpoint, StopMotion

__all__ = [
    "SplitMotion",
    "own_phases",
    "public",
    "set_writable",
    "setpoint_of",
    "shared_phases",
    "shown",
]

# What `tick.split` says of a motion.
SplitMotion = tuple[int, bool, int, int, int]
# Of a motion: the columns of its jerks.
_JERKS = (slice(None, -1), slice(3, 6))
_setpoint, _stop_motion = builder_of(Setpoint), builder_of(StopMotion)
# Called with False: read-only. By position; by keyword it takes three times as long, twice a tick.
set_writable: Any = np.ndarray.setflags


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


def setpoint_of(motion: Array, period_s: float, gripper: GripperSetpoint | None = None) -> Setpoint:
    """The motion as a public record, its arrays contiguous and read-only."""
    return public(motion, period_s, gripper)[0]


def public(
    motion: Array, period_s: float, gripper: GripperSetpoint | None = None
) -> tuple[Setpoint, int, Array]:
    """As `setpoint_of`, as `ticks_left`, and the setpoint's q, dq and ddq as one array (3, n)."""
    columns = np.empty((3, motion.shape[0] - 1))
    split: SplitMotion = tick.split(motion, columns)
    return shown(motion, columns, split, period_s, gripper), split[0], columns


def shown(
    motion: Array,
    columns: Array,
    split: SplitMotion,
    period_s: float,
    gripper: GripperSetpoint | None = None,
) -> Setpoint:
    """As `setpoint_of`, of a motion that `tick.split` has seen; columns (3, n) become read-only."""
    _, together, first, second, third = split
    set_writable(columns, False)
    q, dq, ddq = columns[0], columns[1], columns[2]
    if together:
        ticks, jerk = shared_phases(len(q), first, second, third), motion[_JERKS]
    else:
        ticks, jerk = own_phases(motion)
    stop = _stop_motion(q, dq, ddq, ticks, jerk, period_s)
    return _setpoint(q, dq, ddq, stop, None, gripper)

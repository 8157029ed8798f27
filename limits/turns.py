"""Continuous joints: whole turns between what is measured, what is asked for, and the stream.

The stream of a continuous joint counts its turns: it never jumps. What is measured may be wrapped,
so that only its place within a turn counts; what is asked for means what `position_targets` says.
Guarantees: a value moves by whole turns only, and by none where it is not finite; rounding of a
turn is at most half an ulp of the result.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .declared import Limits
from .records import Array

__all__ = ["TURN_RAD", "nearest_targets", "targets_of", "unwrapped"]

TURN_RAD = 2.0 * math.pi
Flags = npt.NDArray[np.bool_]


def unwrapped(q: Array, near: Array, where: Flags) -> Array:
    """q (…, n), each joint of `where` (n,) on the branch nearest to near (…, n)."""
    with np.errstate(invalid="ignore"):
        turns = np.where(where, np.floor((near - q) / TURN_RAD + 0.5), 0.0)
        return np.where(np.isfinite(turns) & (turns != 0.0), q + TURN_RAD * turns, q)


def targets_of(limits: Limits) -> Flags:
    """Joints (n,) whose position targets mean the nearest of all turns."""
    return np.array([joint.position_targets == "nearest" for joint in limits.joints])


def nearest_targets(rows: Array, q: Array, where: Flags) -> Array:
    """Position targets (r, n): the first is brought near q (n,), each other near the one before."""
    out, before = [], q
    for row in rows:
        before = unwrapped(row, before, where)
        out.append(before)
    turned = np.array(out)
    turned.setflags(write=False)
    return turned

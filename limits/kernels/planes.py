"""By how much a capsule stays clear of a volume, to first order: by planes that separate the two.

A volume to be kept in is bounded by its own faces; from one to be kept out of, the plane stands
across the way between where the two are nearest (kernels.separation says why any plane will do).
"""

from __future__ import annotations

import math

from .jit import kernel
from .packed import (
    BOX,
    DATA,
    HALF_SPACE,
    KEEP_IN,
    KIND,
    MESH,
    PLANE,
    RADIUS,
    SHAPE,
    STANDOFF,
    STILL,
    SWEEP,
    Floats,
    Packed,
    Work,
)
from .separation import bend, extent, lowest, uphill

__all__ = ["BASE", "first_order_room", "room_outside"]

ROUNDING_M = 1e-9
# The base frame, as the link that a motion is seen from.
BASE = -1


@kernel
def _depth_of(
    packed: Packed, volume: Floats, row: int, a: Floats, n: Floats
) -> tuple[float, float]:
    """Depth [m] of the axis a (6,) behind a face of a box or mesh to be kept in; writes n (3,).

    n is the face's normal, inwards. With it where the face is: the least n·x of the volume.
    """
    data = volume[DATA:]
    if int(volume[SHAPE]) == BOX:
        side, column = 1.0 if row < 3 else -1.0, row % 3
        for i in range(3):
            n[i] = side * data[3 + 3 * i + column]
        edge = n[0] * data[0] + n[1] * data[1] + n[2] * data[2] - data[12 + column]
    else:
        plane = packed.mesh[int(data[2]) + row]
        n[0], n[1], n[2] = -plane[0], -plane[1], -plane[2]
        edge = -plane[3]
    start = n[0] * a[0] + n[1] * a[1] + n[2] * a[2]
    end = n[0] * a[3] + n[1] * a[4] + n[2] * a[5]
    return (start if start < end else end) - edge, edge


@kernel
def _inside(
    packed: Packed, work: Work, v: int, k: int, swept: float, first: float, last: float
) -> float:
    """Least distance [m] of capsule k's axis from the planes of a volume to be kept in.

    The nearest face first: others count only where the axis, which the joints move by `swept` [m]
    at most, might get as near to them as that.
    """
    volume, data, n = packed.volume[v], packed.volume[v, DATA:], work.small[PLANE]
    shape, axis = int(volume[SHAPE]), work.segment[k]
    if shape == HALF_SPACE:
        n[0], n[1], n[2] = -data[0], -data[1], -data[2]
        return lowest(packed, work, k, BASE, n, first, last) + data[3]
    if shape not in (BOX, MESH):
        return -math.inf  # a sphere and the like have no planes: halving has to do
    faces, nearest, depth = 6 if shape == BOX else int(data[3]), 0, math.inf
    for row in range(faces):
        away, _ = _depth_of(packed, volume, row, axis, n)
        if away < depth:
            nearest, depth = row, away
    _, edge = _depth_of(packed, volume, nearest, axis, n)
    least = lowest(packed, work, k, BASE, n, first, last) - edge
    for row in range(faces):
        away, edge = _depth_of(packed, volume, row, axis, n)
        # Written so that what is no number is looked at, and then none.
        if row != nearest and not away - swept >= least:
            depth = lowest(packed, work, k, BASE, n, first, last) - edge
            if not depth > -math.inf:
                return -math.inf
            least = min(least, depth)
    return least


@kernel
def room_outside(
    packed: Packed,
    work: Work,
    v: int,
    k: int,
    clear: float,
    margin: float,
    first: float,
    last: float,
) -> float:
    """By how much [m] more than `margin` capsule k surely stays out of volume v, to first order.

    margin [m]: at least what the path bends (separation.bend). clear [m] as in `first_order_room`.
    """
    n = work.small[PLANE]
    if not (clear > margin) or not uphill(packed, work, v, k, clear, n):
        return -math.inf
    needed = packed.capsule[k, RADIUS] + margin + ROUNDING_M
    return lowest(packed, work, k, BASE, n, first, last) - needed - extent(packed, v, n)


@kernel
def first_order_room(
    packed: Packed,
    work: Work,
    v: int,
    k: int,
    clear: float,
    moved: Floats,
    first: float,
    last: float,
) -> float:
    """By how much [m] more than needed capsule k surely stays clear of volume v, to first order.

    clear [m] is its clearance at the middle.
    """
    bent = bend(packed, work, k, BASE, moved)
    margin = packed.scalar[STANDOFF] - packed.eased[v, k] + bent
    if packed.volume[v, KIND] != KEEP_IN:
        return room_outside(packed, work, v, k, clear, margin, first, last)
    if not (clear > margin):
        return -math.inf
    joint = int(packed.capsule[k, 0])
    swept = work.swept[STILL, k, joint] + work.swept[SWEEP, k, joint]
    needed = packed.capsule[k, RADIUS] + margin + ROUNDING_M
    return _inside(packed, work, v, k, swept, first, last) - needed

"""Broad phase: how far every capsule is from a volume at least, all capsules at once.

Most links are nowhere near most volumes. To be sure of that, a bound on the distance of the middle
of a capsule's axis is enough; one volume's bounds are made for all capsules in one loop without
branches, so that the compiler takes several capsules at a time. What a bound does not settle is
looked at closely (kernels.clearance).

Guarantees: never more than the distance from a volume to be kept out of, or than the depth in one
to be kept in, but for rounding, of a place that is finite. Of others whoever asks has to beware.
"""

from __future__ import annotations

import math

from .clearance import in_box
from .convex import cylinder_depth
from .jit import kernel
from .packed import (
    BOX,
    CYLINDER,
    DATA,
    HALF_SPACE,
    KEEP_IN,
    KIND,
    MESH,
    SHAPE,
    SPHERE,
    Floats,
    Packed,
    Work,
)

__all__ = ["write_afar"]


@kernel
def _from_box(data: Floats, is_in: bool, at: Floats, out: Floats) -> None:
    for k in range(out.shape[0]):
        x, y, z = in_box(data, at[0, k], at[1, k], at[2, k])
        a, b, c = abs(x) - data[12], abs(y) - data[13], abs(z) - data[14]
        deep = -max(a, b, c)
        a, b, c = max(a, 0.0), max(b, 0.0), max(c, 0.0)
        out[k] = deep if is_in else math.sqrt(a * a + b * b + c * c)


@kernel
def _from_mesh(data: Floats, mesh: Floats, at: Floats, out: Floats) -> None:
    """Signed: from the plane of the face that it is farthest out of."""
    for k in range(out.shape[0]):
        out[k] = -math.inf
    for row in range(int(data[2]), int(data[2]) + int(data[3])):
        plane = mesh[row]
        for k in range(out.shape[0]):
            away = plane[0] * at[0, k] + plane[1] * at[1, k] + plane[2] * at[2, k] - plane[3]
            out[k] = max(out[k], away)


@kernel
def _from_capsule(data: Floats, at: Floats, out: Floats) -> None:
    """Signed: from its wall."""
    dx, dy, dz = data[3] - data[0], data[4] - data[1], data[5] - data[2]
    length2 = dx * dx + dy * dy + dz * dz
    scale = 1.0 / length2 if length2 > 0.0 else 0.0
    for k in range(out.shape[0]):
        x, y, z = at[0, k] - data[0], at[1, k] - data[1], at[2, k] - data[2]
        t = min(1.0, max(0.0, (x * dx + y * dy + z * dz) * scale))
        x, y, z = x - t * dx, y - t * dy, z - t * dz
        out[k] = math.sqrt(x * x + y * y + z * z) - data[6]


@kernel
def _write(volume: Floats, mesh: Floats, at: Floats, out: Floats) -> None:
    """Write the bounds (k,) [m] for one packed volume and places (3, k)."""
    shape, data, is_in = int(volume[SHAPE]), volume[DATA:], volume[KIND] == KEEP_IN
    if shape == BOX:
        _from_box(data, is_in, at, out)
    elif shape == HALF_SPACE:
        for k in range(out.shape[0]):
            out[k] = data[0] * at[0, k] + data[1] * at[1, k] + data[2] * at[2, k] - data[3]
    elif shape == SPHERE:
        for k in range(out.shape[0]):
            x, y, z = at[0, k] - data[0], at[1, k] - data[1], at[2, k] - data[2]
            out[k] = math.sqrt(x * x + y * y + z * z) - data[3]
    elif shape == CYLINDER:
        for k in range(out.shape[0]):
            out[k] = -cylinder_depth(data, at[0, k], at[1, k], at[2, k])
    elif shape == MESH:
        _from_mesh(data, mesh, at, out)
    else:
        _from_capsule(data, at, out)
    if is_in and shape != BOX:
        for k in range(out.shape[0]):
            out[k] = -out[k]


@kernel
def write_afar(packed: Packed, work: Work) -> None:
    """Write work.afar (v, k) [m] for the volumes, but not the zones, at the frames in `work`.

    A capsule is clear of a volume by that, less the half of its axis and its radius, at least.
    """
    for v in range(packed.volume.shape[0] - packed.zone.shape[0]):
        _write(packed.volume[v], packed.mesh, work.middle, work.afar[v])

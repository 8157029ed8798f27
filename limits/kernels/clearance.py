"""Signed clearance between a capsule and a declared volume; positive means admissible.

Keep-out: distance between the two, less the radii; a box that the axis enters gives 0 - radius.
Keep-in: every volume is convex, so the distance to it (or depth within it) is extremal at an end
of the capsule's axis; both ends are looked at.
Segment-segment distance after Lumelsky (1985); segment-box by the monotone derivative of the
squared distance, which is convex and piecewise quadratic along the segment; cylinders and meshes
by a separating direction (kernels.convex).
"""

from __future__ import annotations

import math

from .convex import beyond_cylinder, beyond_mesh, convex_distance, cylinder_depth, mesh_depth
from .jit import kernel
from .packed import BOX, CYLINDER, DATA, HALF_SPACE, KEEP_IN, KIND, MESH, SHAPE, SPHERE, Floats

__all__ = ["clearance", "is_beyond", "nearest_share", "segment_segment"]

# Halvings of the segment's parameter: the bracket's length is then below 1e-9 of the segment.
BOX_HALVINGS = 30


@kernel
def nearest_share(a: Floats, x: float, y: float, z: float) -> float:
    """Share of the segment a (6,) at which it is nearest to a point."""
    dx, dy, dz = a[3] - a[0], a[4] - a[1], a[5] - a[2]
    length2 = dx * dx + dy * dy + dz * dz
    along = (x - a[0]) * dx + (y - a[1]) * dy + (z - a[2]) * dz
    return min(1.0, max(0.0, along / length2)) if length2 > 0.0 else 0.0


@kernel
def _point_segment(px: float, py: float, pz: float, a: Floats) -> float:
    """Distance [m] of a point to the segment a (6,)."""
    dx, dy, dz, t = a[3] - a[0], a[4] - a[1], a[5] - a[2], nearest_share(a, px, py, pz)
    x, y, z = px - a[0] - t * dx, py - a[1] - t * dy, pz - a[2] - t * dz
    return math.sqrt(x * x + y * y + z * z)


@kernel
def segment_segment(a: Floats, b: Floats) -> float:
    """Smallest distance [m] between the segments a and b, (6,) each.

    The minimum is at an end of one of them, unless both closest points are interior.
    """
    best = min(
        _point_segment(a[0], a[1], a[2], b),
        _point_segment(a[3], a[4], a[5], b),
        _point_segment(b[0], b[1], b[2], a),
        _point_segment(b[3], b[4], b[5], a),
    )
    ux, uy, uz = a[3] - a[0], a[4] - a[1], a[5] - a[2]
    vx, vy, vz = b[3] - b[0], b[4] - b[1], b[5] - b[2]
    wx, wy, wz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    uu, uv, vv = (
        ux * ux + uy * uy + uz * uz,
        ux * vx + uy * vy + uz * vz,
        vx * vx + vy * vy + vz * vz,
    )
    uw, vw = ux * wx + uy * wy + uz * wz, vx * wx + vy * wy + vz * wz
    determinant = uu * vv - uv * uv
    if determinant > 0.0:
        s, t = (uv * vw - vv * uw) / determinant, (uu * vw - uv * uw) / determinant
        if 0.0 < s < 1.0 and 0.0 < t < 1.0:
            x, y, z = wx + s * ux - t * vx, wy + s * uy - t * vy, wz + s * uz - t * vz
            best = min(best, math.sqrt(x * x + y * y + z * z))
    return best


@kernel
def _outside(value: float, half: float) -> float:
    """How far a coordinate is beyond [-half, half], with its sign."""
    return value - half if value > half else (value + half if value < -half else 0.0)


@kernel
def _in_box(data: Floats, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Coordinates of a point in the frame of the box."""
    x, y, z = x - data[0], y - data[1], z - data[2]
    return (
        data[3] * x + data[6] * y + data[9] * z,
        data[4] * x + data[7] * y + data[10] * z,
        data[5] * x + data[8] * y + data[11] * z,
    )


@kernel
def _segment_box(data: Floats, a: Floats) -> float:
    """Distance [m] of the segment a (6,) to the box; 0 if it enters. Never above the truth."""
    ax, ay, az = _in_box(data, a[0], a[1], a[2])
    bx, by, bz = _in_box(data, a[3], a[4], a[5])
    dx, dy, dz = bx - ax, by - ay, bz - az
    low, high = 0.0, 1.0
    for _ in range(BOX_HALVINGS):
        t = 0.5 * (low + high)
        slope = (
            _outside(ax + t * dx, data[12]) * dx
            + _outside(ay + t * dy, data[13]) * dy
            + _outside(az + t * dz, data[14]) * dz
        )
        if slope > 0.0:
            high = t
        elif slope < 0.0:
            low = t
        else:
            low = high = t
            break
    t = 0.5 * (low + high)
    x = _outside(ax + t * dx, data[12])
    y = _outside(ay + t * dy, data[13])
    z = _outside(az + t * dz, data[14])
    # The minimum is within half a bracket of t, and distance changes by at most the length moved.
    slack = 0.5 * (high - low) * math.sqrt(dx * dx + dy * dy + dz * dz)
    return max(0.0, math.sqrt(x * x + y * y + z * z) - slack)


@kernel
def _inside_box(data: Floats, x: float, y: float, z: float) -> float:
    x, y, z = _in_box(data, x, y, z)
    return min(data[12] - abs(x), data[13] - abs(y), data[14] - abs(z))


@kernel
def _kept_in(volume: Floats, mesh: Floats, a: Floats) -> float:
    """Depth [m] of a segment within a volume; it is least at one of the ends."""
    shape, data = int(volume[SHAPE]), volume[DATA:]
    if shape == BOX:
        return min(_inside_box(data, a[0], a[1], a[2]), _inside_box(data, a[3], a[4], a[5]))
    if shape == SPHERE:
        first = math.sqrt((a[0] - data[0]) ** 2 + (a[1] - data[1]) ** 2 + (a[2] - data[2]) ** 2)
        last = math.sqrt((a[3] - data[0]) ** 2 + (a[4] - data[1]) ** 2 + (a[5] - data[2]) ** 2)
        return data[3] - max(first, last)
    if shape == CYLINDER:
        return min(cylinder_depth(data, a[0], a[1], a[2]), cylinder_depth(data, a[3], a[4], a[5]))
    if shape == MESH:
        return min(
            mesh_depth(data, mesh, a[0], a[1], a[2]), mesh_depth(data, mesh, a[3], a[4], a[5])
        )
    first = _point_segment(a[0], a[1], a[2], data[:6])
    last = _point_segment(a[3], a[4], a[5], data[:6])
    return data[6] - max(first, last)


@kernel
def clearance(volume: Floats, mesh: Floats, a: Floats, radius: float, simplex: Floats) -> float:
    """Clearance [m] of the capsule with axis a (6,) to one packed volume (18,).

    mesh (m, 4) of all volumes; simplex (4, 3) is scratch.
    -inf for an axis or a radius that is not finite: below, min would drop a NaN (TRAPS 8).
    """
    if not math.isfinite(a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + radius):
        return -math.inf
    data = volume[DATA:]
    shape = int(volume[SHAPE])
    if shape == HALF_SPACE:
        at_start = data[0] * a[0] + data[1] * a[1] + data[2] * a[2] - data[3]
        at_end = data[0] * a[3] + data[1] * a[4] + data[2] * a[5] - data[3]
        if volume[KIND] == KEEP_IN:
            return min(-at_start, -at_end) - radius
        return min(at_start, at_end) - radius
    if volume[KIND] == KEEP_IN:
        return _kept_in(volume, mesh, a) - radius
    if shape == BOX:
        return _segment_box(data, a) - radius
    if shape == SPHERE:
        return _point_segment(data[0], data[1], data[2], a) - data[3] - radius
    if shape >= CYLINDER:
        return convex_distance(volume, mesh, a, simplex) - radius
    return segment_segment(a, data[:6]) - data[6] - radius


@kernel
def is_beyond(volume: Floats, mesh: Floats, x: float, y: float, z: float, far: float) -> bool:
    """Whether a volume to keep out of is surely farther than `far` [m] from a point.

    Cheap, and only sufficient: a box or a capsule costs thirty times as much to be sure about, and
    most links are nowhere near most volumes. NaN is not beyond anything.
    """
    shape, data = int(volume[SHAPE]), volume[DATA:]
    if volume[KIND] == KEEP_IN or shape == HALF_SPACE:
        return False
    if shape == BOX:
        x, y, z = _in_box(data, x, y, z)
        x, y, z = _outside(x, data[12]), _outside(y, data[13]), _outside(z, data[14])
    elif shape == SPHERE:
        x, y, z, far = x - data[0], y - data[1], z - data[2], far + data[3]
    elif shape == CYLINDER:
        return beyond_cylinder(data, x, y, z, far)
    elif shape == MESH:
        return beyond_mesh(data, mesh, x, y, z, far)
    else:
        return _point_segment(x, y, z, data[:6]) > far + data[6]
    return x * x + y * y + z * z > far * far

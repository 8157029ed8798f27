"""Signed clearance between a capsule and a declared volume; positive means admissible.

Keep-out: distance between the two, less the radii; a box that the axis enters gives 0 - radius.
Keep-in: every volume is convex, so the distance to it (or depth within it) is extremal at an end
of the capsule's axis; both ends are looked at.
Segment-segment distance after Lumelsky (1985); segment-box by Newton's method on the derivative of
the squared distance, which is convex and piecewise quadratic along the segment; cylinders and
meshes by a separating direction (kernels.convex).
"""

from __future__ import annotations

import math

from .convex import beyond_cylinder, beyond_mesh, convex_distance, cylinder_depth, mesh_depth
from .jit import kernel
from .packed import BOX, CYLINDER, DATA, HALF_SPACE, KEEP_IN, KIND, MESH, SHAPE, SPHERE, Floats

__all__ = [
    "clearance",
    "in_box",
    "is_beyond",
    "nearest_share",
    "segment_segment",
    "way_between",
    "way_out",
]

# Steps towards where a segment is nearest to a box: mostly it takes two, and never more halvings.
BOX_STEPS = 32
# How much too short a distance to a box may be found.
CLOSE_ENOUGH_M = 1e-10
# Sine of the angle below which the direction across two axes is lost in rounding.
PARALLEL = 1e-6


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
def _towards(p: Floats, start: int, a: Floats, sign: float, best: float, n: Floats) -> float:
    """The smaller of `best` and the distance [m] from segment a (6,) to a point p[start:start + 3].

    Writes sign times the way between the two to n (3,) if that is less than `best`.
    """
    t = nearest_share(a, p[start], p[start + 1], p[start + 2])
    x = p[start] - a[0] - t * (a[3] - a[0])
    y = p[start + 1] - a[1] - t * (a[4] - a[1])
    z = p[start + 2] - a[2] - t * (a[5] - a[2])
    size = math.sqrt(x * x + y * y + z * z)
    if size < best:
        n[0], n[1], n[2] = sign * x, sign * y, sign * z
        return size
    return best


@kernel
def way_between(one: Floats, other: Floats, n: Floats) -> None:
    """Write the way (3,) from where segment one (6,) is nearest to the other (6,), up to its size.

    Across both where their nearest points are within them, else away from an end of one.
    """
    apart = _towards(other, 0, one, 1.0, math.inf, n)
    apart = _towards(other, 3, one, 1.0, apart, n)
    apart = _towards(one, 0, other, -1.0, apart, n)
    apart = _towards(one, 3, other, -1.0, apart, n)
    if segment_segment(one, other) < apart:
        ux, uy, uz = one[3] - one[0], one[4] - one[1], one[5] - one[2]
        vx, vy, vz = other[3] - other[0], other[4] - other[1], other[5] - other[2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        size = math.sqrt((ux * ux + uy * uy + uz * uz) * (vx * vx + vy * vy + vz * vz))
        sine = math.sqrt(x * x + y * y + z * z) / size if size > 0.0 else 0.0
        # Nearly parallel: away from an end, which is hardly farther, and has a direction.
        if sine > PARALLEL:
            lead = x * (other[0] - one[0]) + y * (other[1] - one[1]) + z * (other[2] - one[2])
            side = math.copysign(1.0 / (size * sine), lead)
            n[0], n[1], n[2] = side * x, side * y, side * z


@kernel
def _outside(value: float, half: float) -> float:
    """How far a coordinate is beyond [-half, half], with its sign."""
    return value - half if value > half else (value + half if value < -half else 0.0)


@kernel
def in_box(data: Floats, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Coordinates of a point in the frame of the box."""
    x, y, z = x - data[0], y - data[1], z - data[2]
    return (
        data[3] * x + data[6] * y + data[9] * z,
        data[4] * x + data[7] * y + data[10] * z,
        data[5] * x + data[8] * y + data[11] * z,
    )


@kernel
def _beyond_box(
    data: Floats, ax: float, ay: float, az: float, dx: float, dy: float, dz: float, t: float
) -> tuple[float, float, float, float]:
    """The way from the box to a point of a segment in its frame; half the slope of its square."""
    x = _outside(ax + t * dx, data[12])
    y = _outside(ay + t * dy, data[13])
    z = _outside(az + t * dz, data[14])
    return x, y, z, x * dx + y * dy + z * dz


@kernel
def _box_way(data: Floats, a: Floats) -> tuple[float, float, float, float]:
    """The way [m] from the box to where the segment a (6,) is nearest, in the box's frame.

    And by how much it may be too long: the square f of the distance is convex, so that it is
    nowhere below f - |f'|·w at a place that is w from the end of the bracket of its minimum.
    """
    ax, ay, az = in_box(data, a[0], a[1], a[2])
    bx, by, bz = in_box(data, a[3], a[4], a[5])
    dx, dy, dz = bx - ax, by - ay, bz - az
    x, y, z, slope = _beyond_box(data, ax, ay, az, dx, dy, dz, 0.0)
    if slope >= 0.0:
        return x, y, z, 0.0
    x, y, z, slope = _beyond_box(data, ax, ay, az, dx, dy, dz, 1.0)
    if slope <= 0.0:
        return x, y, z, 0.0
    low, t, high, over = 0.0, 1.0, 1.0, 0.0
    for _ in range(BOX_STEPS):
        # As long as no other face is the nearest, the slope is linear.
        steep = (
            (dx * dx if x != 0.0 else 0.0)
            + (dy * dy if y != 0.0 else 0.0)
            + (dz * dz if z != 0.0 else 0.0)
        )
        t -= slope / steep
        if not low < t < high:
            t = 0.5 * (low + high)
        x, y, z, slope = _beyond_box(data, ax, ay, az, dx, dy, dz, t)
        if slope > 0.0:
            high, over = t, 2.0 * slope * (t - low)
        else:
            low, over = t, -2.0 * slope * (high - t)
        size = math.sqrt(x * x + y * y + z * z)
        over = over / size if size > 0.0 else 0.0
        if not over > CLOSE_ENOUGH_M:  # also where the segment enters the box
            break
    return x, y, z, over


@kernel
def _segment_box(data: Floats, a: Floats) -> float:
    """Distance [m] of the segment a (6,) to the box; 0 if it enters. Never above the truth."""
    x, y, z, over = _box_way(data, a)
    return max(0.0, math.sqrt(x * x + y * y + z * z) - over)


@kernel
def _inside_box(data: Floats, x: float, y: float, z: float) -> float:
    x, y, z = in_box(data, x, y, z)
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

    mesh (m, 4) of all volumes; simplex (5, 3) is scratch.
    -inf for an axis or a radius that is not finite: below, min would drop a NaN (trap 8).
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
def way_out(volume: Floats, mesh: Floats, a: Floats, simplex: Floats, n: Floats) -> None:
    """Write the way (3,) from a volume to be kept out of to where a segment a (6,) is nearest.

    Up to its size; zeros where the segment enters the volume. mesh, simplex: as for `clearance`.
    """
    shape, data = int(volume[SHAPE]), volume[DATA:]
    if shape == HALF_SPACE:
        n[0], n[1], n[2] = data[0], data[1], data[2]
    elif shape == BOX:
        x, y, z, _ = _box_way(data, a)
        n[0] = data[3] * x + data[4] * y + data[5] * z
        n[1] = data[6] * x + data[7] * y + data[8] * z
        n[2] = data[9] * x + data[10] * y + data[11] * z
    elif shape == SPHERE:
        t = nearest_share(a, data[0], data[1], data[2])
        for i in range(3):
            n[i] = a[i] + t * (a[3 + i] - a[i]) - data[i]
    elif shape >= CYLINDER:
        convex_distance(volume, mesh, a, simplex)
        n[0], n[1], n[2] = simplex[4, 0], simplex[4, 1], simplex[4, 2]
    else:
        way_between(data[:6], a, n)


@kernel
def is_beyond(volume: Floats, mesh: Floats, x: float, y: float, z: float, far: float) -> bool:
    """Whether a volume to keep out of is surely farther than `far` [m] from a point.

    Cheap, and only sufficient: a box or a capsule costs thirty times as much to be sure about, and
    most links are nowhere near most volumes. What is not finite is not beyond anything.
    """
    shape, data = int(volume[SHAPE]), volume[DATA:]
    if volume[KIND] == KEEP_IN or shape == HALF_SPACE or not math.isfinite(x + y + z):
        return False
    if shape == BOX:
        x, y, z = in_box(data, x, y, z)
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

"""How fast the fastest point of a capsule is, for joint velocities at one configuration.

A capsule moves as one rigid body with angular velocity w. Of a point x = p + s, p on its axis and
|s| <= radius, the velocity is v(p) + w × s. Now w × s can be any vector across w of up to
|w|·radius, whatever p is; so the fastest x about p has, with u the part of v(p) across w,
    |v(p)|² + 2·radius·|w|·|u| + radius²·|w|²,   |w|·|u| = |v(p) × w|.
v(p) is affine in p, |v|² and |v × w| are convex in it: both are largest at an end of the axis, and
at the same end, since v along w is the same for all points of a rigid body. So this is no bound but
the speed itself.
"""

from __future__ import annotations

import math

from .jit import kernel
from .packed import LINK_SPEED, PRISMATIC, RADIUS, UNDECLARED, Floats, Packed, Work

__all__ = ["TWISTS", "axis_velocity", "capsule_speed", "is_limited", "link_twists"]

# Sets of joint velocities have their place in work.spatial, six columns each: so many that bound
# those of an interval, and one more.
TWISTS = 3


@kernel
def is_limited(packed: Packed) -> bool:
    """Whether any link's speed is limited. A bound that is no number is one."""
    return packed.zone.shape[0] > 0 or not packed.scalar[LINK_SPEED] >= UNDECLARED


@kernel
def link_twists(packed: Packed, work: Work, dq: Floats, which: int) -> None:
    """Write each link's twist into work.spatial, set `which`: angular velocity, and the velocity of
    the body's point at the base's origin. The frames are those in `work` (after `forward`)."""
    wx = wy = wz = ux = uy = uz = 0.0
    at = 6 * which
    for j in range(dq.shape[0]):
        zx, zy, zz = work.rotation[j, 2], work.rotation[j, 5], work.rotation[j, 8]
        if packed.joint[j, PRISMATIC] > 0.0:
            ux, uy, uz = ux + dq[j] * zx, uy + dq[j] * zy, uz + dq[j] * zz
        else:
            x, y, z = work.origin[j, 0], work.origin[j, 1], work.origin[j, 2]
            wx, wy, wz = wx + dq[j] * zx, wy + dq[j] * zy, wz + dq[j] * zz
            ux += dq[j] * (y * zz - z * zy)
            uy += dq[j] * (z * zx - x * zz)
            uz += dq[j] * (x * zy - y * zx)
        row = work.spatial[j]
        row[at], row[at + 1], row[at + 2] = wx, wy, wz
        row[at + 3], row[at + 4], row[at + 5] = ux, uy, uz


@kernel
def axis_velocity(
    packed: Packed, work: Work, k: int, which: int, end: int
) -> tuple[float, float, float]:
    """Velocity [m/s] of an end, 0 or 1, of capsule k's axis by the twists of set `which`."""
    row, at, axis = work.spatial[int(packed.capsule[k, 0])], 6 * which, work.segment[k]
    x, y, z = axis[3 * end], axis[3 * end + 1], axis[3 * end + 2]
    wx, wy, wz = row[at], row[at + 1], row[at + 2]
    return (
        row[at + 3] + (wy * z - wz * y),
        row[at + 4] + (wz * x - wx * z),
        row[at + 5] + (wx * y - wy * x),
    )


@kernel
def capsule_speed(packed: Packed, work: Work, k: int, which: int) -> float:
    """Speed [m/s] of the fastest point of capsule k by the twists of set `which`; NaN stays."""
    row, at, radius = work.spatial[int(packed.capsule[k, 0])], 6 * which, packed.capsule[k, RADIUS]
    wx, wy, wz = row[at], row[at + 1], row[at + 2]
    fastest = 0.0
    for end in range(2):
        vx, vy, vz = axis_velocity(packed, work, k, which, end)
        cx, cy, cz = vy * wz - vz * wy, vz * wx - vx * wz, vx * wy - vy * wx
        across = math.sqrt(cx * cx + cy * cy + cz * cz)
        square = vx * vx + vy * vy + vz * vz + 2.0 * radius * across
        fastest = square if not (square <= fastest) else fastest
    return math.sqrt(fastest + radius * radius * (wx * wx + wy * wy + wz * wz))

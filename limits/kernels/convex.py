"""Distance from a segment to a convex body: a cylinder with flat ends, or the hull of a few points.

Guarantees: for any unit direction d, (least d·x of the segment) - (largest d·x of the body) is at
most the distance. Gilbert, Johnson and Keerthi's iteration (1988) proposes directions, and the best
separation that they gave is the result: its arithmetic can make the result too small, never too
large. 0 where no direction separates the two. Bounded: ITERATIONS_MAX supports of the body.

Data of a packed row: cylinder: start, end, radius, unit axis, length; mesh: first row and number of
its vertices, then of its planes, in the table `mesh`, and a ball that holds it.
"""

from __future__ import annotations

import math

from .jit import apart, kernel
from .packed import CYLINDER, DATA, ROW, SHAPE, TABLE, Floats

__all__ = ["beyond_cylinder", "beyond_mesh", "convex_distance", "cylinder_depth", "mesh_depth"]

ITERATIONS_MAX = 32
# The separation is then within this of the distance; more iterations would gain nothing.
CLOSE_ENOUGH_M = 1e-9
RADIAL_MIN = 1e-9


@kernel
def _along(data: Floats, x: float, y: float, z: float) -> tuple[float, float]:
    """Of a point: its place along the cylinder's axis from `start`, and its distance from it."""
    x, y, z = x - data[0], y - data[1], z - data[2]
    t = x * data[7] + y * data[8] + z * data[9]
    x, y, z = x - t * data[7], y - t * data[8], z - t * data[9]
    return t, math.sqrt(x * x + y * y + z * z)


@kernel
def cylinder_depth(data: Floats, x: float, y: float, z: float) -> float:
    """How far inside the cylinder a point is [m]: from its wall, or from its nearer end."""
    t, away = _along(data, x, y, z)
    return min(data[6] - away, t, data[10] - t)


@kernel
def mesh_depth(data: Floats, mesh: Floats, x: float, y: float, z: float) -> float:
    """How far behind its nearest face plane a point is [m]; negative in front of one."""
    depth = math.inf
    first = int(data[2])
    for i in range(first, first + int(data[3])):
        depth = min(depth, mesh[i, 3] - (mesh[i, 0] * x + mesh[i, 1] * y + mesh[i, 2] * z))
    return depth


@kernel
def beyond_cylinder(data: Floats, x: float, y: float, z: float, far: float) -> bool:
    """Whether a point is farther than `far` [m] from the cylinder."""
    if not math.isfinite(x + y + z):
        return False
    t, away = _along(data, x, y, z)
    over, out = max(0.0, -t, t - data[10]), max(0.0, away - data[6])
    return over * over + out * out > far * far


@kernel
def beyond_mesh(data: Floats, mesh: Floats, x: float, y: float, z: float, far: float) -> bool:
    """Whether a point is surely farther than `far` [m] from the mesh: its ball, then its planes."""
    if not math.isfinite(x + y + z):
        return False
    px, py, pz, limit = x - data[4], y - data[5], z - data[6], far + data[7]
    if px * px + py * py + pz * pz > limit * limit:
        return True
    return -mesh_depth(data, mesh, x, y, z) > far


@kernel
def _support(
    volume: Floats, mesh: Floats, x: float, y: float, z: float
) -> tuple[float, float, float, float]:
    """How far the body reaches in the unit direction (x, y, z), and a point of it that does."""
    data = volume[DATA:]
    if int(volume[SHAPE]) == CYLINDER:
        t = x * data[7] + y * data[8] + z * data[9]
        end = 3 if t > 0.0 else 0
        reach = x * data[end] + y * data[end + 1] + z * data[end + 2]
        x, y, z = x - t * data[7], y - t * data[8], z - t * data[9]
        size = math.sqrt(x * x + y * y + z * z)
        # Along the axis, what is left of the direction is rounding and points anywhere: the reach
        # is taken from its size, and no point of the rim is better than the middle of the cap.
        out = data[6] / size if size > RADIAL_MIN else 0.0
        reach += data[6] * size
        return reach, data[end] + out * x, data[end + 1] + out * y, data[end + 2] + out * z
    first = int(data[0])
    best, farthest = -math.inf, first
    for i in range(first, first + int(data[1])):
        reach = mesh[i, 0] * x + mesh[i, 1] * y + mesh[i, 2] * z
        if reach > best:
            best, farthest = reach, i
    return best, mesh[farthest, 0], mesh[farthest, 1], mesh[farthest, 2]


@kernel
def _dot(a: Floats, b: Floats) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
# tidy: kernel
def _nearest(simplex: Floats, count: int) -> tuple[int, float, float, float]:
    """The point of the simplex nearest to the origin; the simplex shrinks to the face it is in.

    simplex (4, 3): `count` corners, the newest one last, which the face holds. Every face with it
    is tried; of those that have the origin's foot inside, the nearest counts. Returns how many
    corners are left, 4 if the origin is inside, and the point.
    """
    w = simplex[count - 1]
    best, one, two = _dot(w, w), -1, -1
    nx, ny, nz = w[0], w[1], w[2]
    for i in range(count - 1):
        ax, ay, az = simplex[i, 0] - w[0], simplex[i, 1] - w[1], simplex[i, 2] - w[2]
        aa, ra = ax * ax + ay * ay + az * az, -(ax * w[0] + ay * w[1] + az * w[2])
        if not (ra > 0.0):
            continue  # the origin is behind w, as seen along this edge
        if ra < aa:
            s = ra / aa
            x, y, z = w[0] + s * ax, w[1] + s * ay, w[2] + s * az
            if x * x + y * y + z * z < best:
                best, one, two = x * x + y * y + z * z, i, -1
                nx, ny, nz = x, y, z
    inside = count == 4
    for i in range(count - 1):
        ax, ay, az = simplex[i, 0] - w[0], simplex[i, 1] - w[1], simplex[i, 2] - w[2]
        for k in range(i + 1, count - 1):
            bx, by, bz = simplex[k, 0] - w[0], simplex[k, 1] - w[1], simplex[k, 2] - w[2]
            cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            size = cx * cx + cy * cy + cz * cz
            height = cx * w[0] + cy * w[1] + cz * w[2]
            if inside:  # is the origin on the same side of this face as the fourth corner?
                other = simplex[3 - i - k]
                side = cx * (other[0] - w[0]) + cy * (other[1] - w[1]) + cz * (other[2] - w[2])
                inside = -height * side > 0.0
            if not (size > 0.0):
                continue
            x, y, z = height / size * cx, height / size * cy, height / size * cz
            gx, gy, gz = x - w[0], y - w[1], z - w[2]
            # Barycentric weights of the foot, by areas.
            s = cx * (gy * bz - gz * by) + cy * (gz * bx - gx * bz) + cz * (gx * by - gy * bx)
            t = cx * (ay * gz - az * gy) + cy * (az * gx - ax * gz) + cz * (ax * gy - ay * gx)
            foot = x * x + y * y + z * z
            if s > 0.0 and t > 0.0 and s + t < size and foot < best:
                best, one, two = foot, i, k
                nx, ny, nz = x, y, z
    if inside:
        # The fourth face, that without w, was in front of the origin when w was sought: the
        # origin is on w's side of it.
        return 4, 0.0, 0.0, 0.0
    kept = 0
    for i in (one, two, count - 1):
        if i >= 0:
            for r in range(3):
                simplex[kept, r] = simplex[i, r]
            kept += 1
    return kept, nx, ny, nz


@apart(ROW, TABLE, ROW, TABLE)
def convex_distance(volume: Floats, mesh: Floats, a: Floats, simplex: Floats) -> float:
    """Distance [m] of the segment a (6,) from a cylinder or mesh; never above the truth.

    volume (18,) its packed row; mesh (m, 4); simplex (5, 3) is scratch, of which the last row gets
    the direction that separates the two, or zeros.
    """
    data = volume[DATA:]
    if int(volume[SHAPE]) == CYLINDER:
        x, y, z = 0.5 * (data[0] + data[3]), 0.5 * (data[1] + data[4]), 0.5 * (data[2] + data[5])
    else:
        x, y, z = data[4], data[5], data[6]
    vx, vy, vz = 0.5 * (a[0] + a[3]) - x, 0.5 * (a[1] + a[4]) - y, 0.5 * (a[2] + a[5]) - z
    best, count, found = 0.0, 0, simplex[4]
    found[0] = found[1] = found[2] = 0.0
    for turn in range(ITERATIONS_MAX):
        size = math.sqrt(vx * vx + vy * vy + vz * vz)
        if not (size > CLOSE_ENOUGH_M):
            break
        dx, dy, dz = vx / size, vy / size, vz / size
        reach, bx, by, bz = _support(volume, mesh, dx, dy, dz)
        start = dx * a[0] + dy * a[1] + dz * a[2]
        last = dx * a[3] + dy * a[4] + dz * a[5]
        apart = min(start, last) - reach
        if apart > best:
            best = apart
            found[0], found[1], found[2] = dx, dy, dz
        if count > 0 and size - apart <= CLOSE_ENOUGH_M:
            break  # the simplex is as near as any point can be
        end = 0 if start < last else 3
        simplex[count, 0] = a[end] - bx
        simplex[count, 1] = a[end + 1] - by
        simplex[count, 2] = a[end + 2] - bz
        count, vx, vy, vz = _nearest(simplex, count + 1)
        progress = vx * vx + vy * vy + vz * vz < size * size or turn == 0  # v began as a guess
        if count == 4 or not progress:
            break  # they overlap; or rounding is all that is left
    return best

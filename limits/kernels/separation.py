"""First-order sweep: whether a capsule stays beyond a plane while the joints move.

At the middle m of an interval let n be a unit direction with everything that is to be kept clear of
on the side n·x <= h. For an end p of the capsule's axis and d = q(t) - q(m), Taylor's theorem gives
    n·p(t) >= n·p(m) + sum_j c_j·d_j(t) - 1/2·sum_jl |d_j|·|d_l|·sup|d²p/dq_j dq_l|
with c_j = n·(z_j x (p - o_j)), or n·z_j for a prismatic joint. The sum over c_j·q_j(t) is itself a
cubic, so its smallest value is exact, and motion along the plane or away from it costs nothing.
For j <= l the second derivative is z_j x (z_l x (p - o_l)), no longer than the distance of p from
axis l; in any configuration of the interval that is at most r_l(m) + sum_{i>l} r_i(m)·|d_i|, the
joints being moved in order from the base; for a prismatic l it is at most 1. What the position
errors add is part of d: c_j·e_j in the first order, |d_j| + e_j in the second.
Any n is valid, so none has to be trusted; a poor one only proves less.
"""

from __future__ import annotations

import math

from .balls import volume_row
from .clearance import clearance, way_between, way_out
from .jit import apart, kernel
from .motion import pieces_in, position_range
from .packed import (
    BOX,
    CAPSULE,
    CYLINDER,
    DATA,
    ENDS,
    HALF_SPACE,
    KEEP_IN,
    KIND,
    LEVER,
    MESH,
    NUMBER,
    PACKED,
    POSITION_ERROR,
    PRISMATIC,
    RADIUS,
    ROW,
    SHAPE,
    SHIFTED,
    SPHERE,
    STILL,
    SWEEP,
    WHOLE,
    WORK,
    Floats,
    Packed,
    Work,
)

__all__ = [
    "bend",
    "extent",
    "lowest",
    "rough_sweeps",
    "sweeps",
    "uphill",
    "uphill_at",
    "widest_gap",
]

SHIFT_M = 1e-5
# What is known of how far a capsule is moved.
ROUGH, EXACT = 0.5, 1.0


@kernel
def _from_axis(work: Work, j: int, k: int) -> float:
    """Largest distance [m] of capsule k's axis from joint j's axis (convex: at an end)."""
    zx, zy, zz = work.rotation[j, 2], work.rotation[j, 5], work.rotation[j, 8]
    largest = 0.0
    for end in range(2):
        x = work.segment[k, 3 * end] - work.origin[j, 0]
        y = work.segment[k, 3 * end + 1] - work.origin[j, 1]
        z = work.segment[k, 3 * end + 2] - work.origin[j, 2]
        along = x * zx + y * zy + z * zz
        largest = max(largest, x * x + y * y + z * z - along * along)
    return math.sqrt(largest)


@kernel
def sweeps(packed: Packed, work: Work, k: int, moved: Floats) -> None:
    """Write what the joints can do to capsule k: once for each configuration looked at.

    work.swept: how far each moves it, per radian or metre (LEVER); how far all joints up to each
    one move it [m], by their position errors (STILL) and by `moved` (n,) (SWEEP); work.total[k],
    how far all of that does.
    """
    if work.known[k] == EXACT:
        return
    work.known[k] = EXACT
    still = sweep = 0.0
    for j in range(int(packed.capsule[k, 0]) + 1):
        slides = packed.joint[j, PRISMATIC] > 0.0
        lever = 1.0 if slides else _from_axis(work, j, k)
        still += lever * packed.joint[j, POSITION_ERROR]
        sweep += lever * moved[j]
        work.swept[LEVER, k, j], work.swept[STILL, k, j], work.swept[SWEEP, k, j] = (
            lever,
            still,
            sweep,
        )
    work.total[k] = still + sweep


@kernel
def rough_sweeps(packed: Packed, work: Work, k: int, moved: Floats) -> None:
    """As `sweeps`, with the largest levers there are: STILL and SWEEP are too large, and cheap.

    What is clear by that needs no more. Nothing, where `sweeps` has been asked already.
    """
    if work.known[k] != 0.0:
        return
    work.known[k] = ROUGH
    still = sweep = 0.0
    for j in range(int(packed.capsule[k, 0]) + 1):
        still += packed.span[k, j] * packed.joint[j, POSITION_ERROR]
        sweep += packed.span[k, j] * moved[j]
        work.swept[STILL, k, j], work.swept[SWEEP, k, j] = still, sweep
    work.total[k] = still + sweep


@kernel
def bend(packed: Packed, work: Work, k: int, base: int, moved: Floats) -> float:
    """Bound [m] on the second-order term for capsule k, seen from the link of joint `base`.

    moved (n,): sup |q_j(t) - q_j(m)| over the interval; work.swept[LEVER, k] is that of m.
    """
    last = int(packed.capsule[k, 0])
    total = 0.0
    for j in range(base + 1, last + 1):
        total += moved[j] + packed.joint[j, POSITION_ERROR]
    bent = outer = 0.0
    for i in range(base + 1, last + 1):
        j = last + base + 1 - i  # from the capsule inwards
        change = moved[j] + packed.joint[j, POSITION_ERROR]
        total -= change
        lever = work.swept[LEVER, k, j]
        bent += (
            (lever if packed.joint[j, PRISMATIC] > 0.0 else lever + outer)
            * change
            * (0.5 * change + total)
        )
        outer += lever * change
    return bent


@apart(PACKED, WORK, WHOLE, WHOLE, ROW, NUMBER, NUMBER)
def lowest(
    packed: Packed, work: Work, k: int, base: int, n: Floats, first: float, last: float
) -> float:
    """Least n·p [m] of both ends p of capsule k's axis over an interval, to first order.

    n (3,) fixed to the link of joint `base` (-1: the base frame), all frames those of m, whose
    configuration is work.vector[3]. What `bend` bounds is not in it. -inf: something is no number.
    """
    q, combined, pieces = work.vector[3], work.combined, pieces_in(work.small[ENDS])
    joint, least = int(packed.capsule[k, 0]), math.inf
    for end in range(2):
        x, y, z = (
            work.segment[k, 3 * end],
            work.segment[k, 3 * end + 1],
            work.segment[k, 3 * end + 2],
        )
        height = n[0] * x + n[1] * y + n[2] * z
        for p in range(pieces):
            for r in range(4):
                combined[p, 0, r] = 0.0
        for j in range(base + 1, joint + 1):
            zx, zy, zz = work.rotation[j, 2], work.rotation[j, 5], work.rotation[j, 8]
            if packed.joint[j, PRISMATIC] > 0.0:
                c = n[0] * zx + n[1] * zy + n[2] * zz
            else:
                dx, dy, dz = x - work.origin[j, 0], y - work.origin[j, 1], z - work.origin[j, 2]
                c = (
                    n[0] * (zy * dz - zz * dy)
                    + n[1] * (zz * dx - zx * dz)
                    + n[2] * (zx * dy - zy * dx)
                )
            height -= c * q[j] + abs(c) * packed.joint[j, POSITION_ERROR]
            for p in range(pieces):
                if max(first, work.small[ENDS, p]) <= min(last, work.small[ENDS, p + 1]):
                    for r in range(4):
                        combined[p, 0, r] += c * work.pieces[p, j, r]
        low, _ = position_range(combined, work.small[ENDS], 0, first, last)
        if not (height + low > -math.inf):  # min would drop a NaN (trap 8)
            return -math.inf
        least = min(least, height + low)
    return least


@kernel
def _made_unit(n: Floats) -> bool:
    size = math.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
    if not (size > 0.1 * SHIFT_M and size < math.inf):
        return False
    for way in range(3):
        n[way] /= size
    return True


@kernel
def uphill_at(
    packed: Packed, work: Work, v: int, axis: Floats, radius: float, clear: float, n: Floats
) -> bool:
    """As `uphill`, of the capsule with that axis (6,); work.small[SHIFTED] is scratch."""
    volume = volume_row(packed, work, v)
    if volume[KIND] != KEEP_IN:
        way_out(volume, packed.mesh, axis, work.simplex, n)
        return _made_unit(n)
    for way in range(3):
        for r in range(6):
            work.small[SHIFTED, r] = axis[r] + (SHIFT_M if r == way or r == way + 3 else 0.0)
        n[way] = clearance(volume, packed.mesh, work.small[SHIFTED], radius, work.simplex) - clear
    return _made_unit(n)


@kernel
def uphill(packed: Packed, work: Work, v: int, k: int, clear: float, n: Floats) -> bool:
    """Write the unit direction (3,) in which capsule k's clearance from volume v grows fastest.

    From a volume to be kept out of: away from where it is nearest, which separates the two. Within
    one to be kept in: by differences from `clear` [m], which it is now. False if there is none.
    """
    return uphill_at(packed, work, v, work.segment[k], packed.capsule[k, RADIUS], clear, n)


@kernel
def widest_gap(work: Work, a: int, b: int, n: Floats) -> bool:
    """Write the unit direction (3,) from where capsule a's axis is nearest to b's; False: none."""
    way_between(work.segment[a], work.segment[b], n)
    return _made_unit(n)


@kernel
def extent(packed: Packed, v: int, n: Floats) -> float:
    """How far [m] volume v, to be kept out of, reaches along the unit direction n (3,)."""
    volume = packed.volume[v]
    shape, data = int(volume[SHAPE]), volume[DATA:]
    if shape == HALF_SPACE:
        return data[3]
    if shape == BOX:
        reach = n[0] * data[0] + n[1] * data[1] + n[2] * data[2]
        for i in range(3):
            along = n[0] * data[3 + i] + n[1] * data[6 + i] + n[2] * data[9 + i]
            reach += abs(along) * data[12 + i]
        return reach
    if shape == SPHERE:
        return n[0] * data[0] + n[1] * data[1] + n[2] * data[2] + data[3]
    if shape in (CAPSULE, CYLINDER):
        start = n[0] * data[0] + n[1] * data[1] + n[2] * data[2]
        end = n[0] * data[3] + n[1] * data[4] + n[2] * data[5]
        share = 1.0
        if shape == CYLINDER:  # of its radius: its ends are flat; 1 - along² would lose digits
            x = n[1] * data[9] - n[2] * data[8]
            y = n[2] * data[7] - n[0] * data[9]
            z = n[0] * data[8] - n[1] * data[7]
            share = math.sqrt(x * x + y * y + z * z)
        return max(start, end) + data[6] * share
    if shape == MESH:
        reach = -math.inf
        for row in range(int(data[0]), int(data[0]) + int(data[1])):
            vertex = packed.mesh[row]
            reach = max(reach, n[0] * vertex[0] + n[1] * vertex[1] + n[2] * vertex[2])
        return reach
    return math.inf

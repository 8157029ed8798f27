"""Sliding: what is left of a commanded velocity when a link may not come nearer to a volume.

At the place of the capsule that is nearest to the volume, with unit direction n away from it and
Jacobian J (3, n), the joint velocity w is changed so that the speed along n becomes u', and the
tool's twist as little as that allows:
- Of the tool itself, all goes along n by u' - n·J·w, and it turns no more (damped least squares,
  where they are exact). What it does across n stays. Less and less of this, and more of what
  follows, the nearer to a singularity it is.
- Of another link, of all d with n·J·d = u' - n·J·w the one with the least |A d|² + mu·|d|², A being
  the tool's Jacobian weighted as in kernels.damped: d ~ (AᵀA + mu)⁻¹ Jᵀn. With a joint to spare the
  elbow gives way, and the tool goes on.
- Where there are fewer than 6 joints: d·(u' - n·J·w), where J·d = n to damped least squares, asked
  for up to a quarter more than is wanted, so that it makes that. What is tangential at that place
  stays. The faster joints would have to be for the ways above, the more of this way it is; where
  it needs them far too fast as well, there is less of it, and all slow down. If it is the first
  joint alone that moves the place, that goes as fast as it may.
The ends of the capsule that are farther from the volume are held to the same, each along its own
n. All this is continuous in the configuration, as long as n is: what switches between two ways
chatters. n itself turns at once where another face of a volume is as near.
A joint that rests at its bound gives no way (work.vector[ARRIVED]), whatever it is asked for.
Nothing here is trusted: the certificate judges the result.
"""

from __future__ import annotations

import math

from .balls import volume_row
from .chain import tool
from .clearance import clearance, is_beyond
from .damped import SINGULAR, factored, prepare, solve
from .jacobian import RIGHT
from .jit import apart, kernel
from .packed import (
    ARRIVED,
    FLAG,
    HALF,
    NUMBER,
    PACKED,
    PLANE,
    POSITION_ERROR,
    PRISMATIC,
    RADIUS,
    REPORT,
    ROW,
    SHIFTED,
    TWIST_SPEED,
    VELOCITY,
    WHOLE,
    WORK,
    Floats,
    Packed,
    Work,
)
from .separation import uphill, uphill_at
from .tray import arm_in

__all__ = ["NEAR_M", "near_from", "slide", "slide_at"]

ROUNDING_M = 1e-9
# Damping [m] of the inverse: a place that can hardly be moved along n is all but left alone.
DAMPING_M = 0.02
# Where it makes at least this share of what is asked for, it is asked for so much more.
EXACT = 0.8
# With less leverage [m, or 1] than this no joint can move the place along n at all.
STUCK_M = 1e-4
# Slower than this [m/s] the only joint that moves a place is not held back, nor are all for its
# sake: n is not that exact.
CREEP_M_S = 1e-4
# Of TWIST_SPEED: the root of mu. The less, the more the tool keeps of its twist, and the faster the
# other joints have to be.
ASIDE = 0.1
# From this share of its top speed on, a joint is too fast for the tool's sake, little by little.
BRISK = 0.5
# From here on nothing is held back.
NEAR_M = 0.3
# No stop is taken to lead farther [m] off its way than this.
LIFTED_M = 0.02
# A place that is nearer than it should be is led away no faster than this.
AWAY_M_S = 0.1
# Both ends of a capsule that are as near as this are on the wall together: its middle counts.
LEVEL_M = 2e-3


@kernel
def _lift(work: Work, k: int, share: float) -> float:
    """How much farther [m] from a wall a place on capsule k's axis has to stay, PLANE its n."""
    n, bent, towards = work.small[PLANE], work.bent[k], 0.0
    for i in range(3):
        towards -= n[i] * (bent[i] + share * (bent[3 + i] - bent[i]))
    return min(LIFTED_M, max(0.0, towards))


@kernel
def near_from(packed: Packed, k: int, room_s: float, margin: float, w: Floats) -> float:
    """With how much clearance [m] capsule k cannot be too fast for any volume at speeds w (n,)."""
    speed = errors = 0.0
    for j in range(int(packed.capsule[k, 0]) + 1):
        speed += packed.span[k, j] * abs(w[j])
        errors += packed.span[k, j] * packed.joint[j, POSITION_ERROR]
    return min(NEAR_M, margin + errors + speed * room_s + ROUNDING_M)


@kernel
def _clearance(packed: Packed, work: Work, v: int, k: int) -> float:
    """Clearance [m] of capsule k from volume v; NEAR_M where it is surely more than that."""
    volume, far = volume_row(packed, work, v), packed.capsule[k, HALF] + packed.capsule[k, RADIUS]
    x, y, z = work.middle[0, k], work.middle[1, k], work.middle[2, k]
    if is_beyond(volume, packed.mesh, x, y, z, far + NEAR_M + ROUNDING_M):
        return NEAR_M
    return clearance(volume, packed.mesh, work.segment[k], packed.capsule[k, RADIUS], work.simplex)


@kernel
def _column(packed: Packed, work: Work, j: int, p: Floats) -> tuple[float, float, float]:
    """Velocity of the point p (3,) per unit of joint j's."""
    zx, zy, zz = work.rotation[j, 2], work.rotation[j, 5], work.rotation[j, 8]
    if packed.joint[j, PRISMATIC] > 0.0:
        return zx, zy, zz
    x, y, z = p[0] - work.origin[j, 0], p[1] - work.origin[j, 1], p[2] - work.origin[j, 2]
    return zy * z - zz * y, zz * x - zx * z, zx * y - zy * x


@kernel
def _solved(a: Floats, b: Floats, x: Floats) -> bool:
    """Write x (3,) with a x = b for a symmetric a: its upper triangle (6,), row by row."""
    c00, c01, c02 = (
        a[3] * a[5] - a[4] * a[4],
        a[2] * a[4] - a[1] * a[5],
        a[1] * a[4] - a[2] * a[3],
    )
    c11, c12, c22 = (
        a[0] * a[5] - a[2] * a[2],
        a[1] * a[2] - a[0] * a[4],
        a[0] * a[3] - a[1] * a[1],
    )
    determinant = a[0] * c00 + a[1] * c01 + a[2] * c02
    if not (determinant > 0.0 and determinant < math.inf):
        return False
    x[0] = (c00 * b[0] + c01 * b[1] + c02 * b[2]) / determinant
    x[1] = (c01 * b[0] + c11 * b[1] + c12 * b[2]) / determinant
    x[2] = (c02 * b[0] + c12 * b[1] + c22 * b[2]) / determinant
    return True


@kernel
def slide(
    packed: Packed,
    work: Work,
    v: int,
    k: int,
    room_s: float,
    margin: float,
    slower: bool,
    w: Floats,
) -> bool:
    """Change w (n,) so that capsule k does not approach volume v any faster than it may.

    The frames in `work` are those of now (after `forward`). It may use up what is left of the
    clearance beyond `margin` [m], what position errors take, and what a stop's way bends towards
    the volume (work.bent), in room_s seconds; work.small[REPORT, 1] becomes that clearance.
    slower: it does not turn aside, all slow down.
    False, with w as it was, if it is slower already or nothing can be done.
    """
    clear = _clearance(packed, work, v, k)
    return clear < NEAR_M and slide_at(packed, work, v, k, clear, room_s, margin, slower, w)


@kernel
def _tool_jacobian(packed: Packed, work: Work, joints: int) -> None:
    """Write the Jacobian of the tool as kernels.jacobian does, from the frames in `work`."""
    at = work.small[SHIFTED, 3:6]
    at[0], at[1], at[2] = tool(packed, work)
    for j in range(joints):
        row, share = work.task[j], 0.0 if packed.joint[j, PRISMATIC] > 0.0 else 1.0
        row[0], row[1], row[2] = _column(packed, work, j, at)
        if work.vector[ARRIVED, j] > 0.0:
            row[0], row[1], row[2], share = 0.0, 0.0, 0.0, 0.0
        for r in range(3):
            row[3 + r] = share * work.rotation[j, 3 * r + 2]


@kernel
def _aside(packed: Packed, work: Work, joint: int, faster: float, change: Floats) -> bool:
    """Write the change (n,) that gives the place SHIFTED so much more speed along PLANE, see above.

    The tool's weighted Jacobian is in work.task.
    """
    n, p, task, joints = work.small[PLANE], work.small[SHIFTED], work.task, change.shape[0]
    asked, push, rate = task[joints + RIGHT], work.vector[5], 0.0
    if not factored(6, joints, (ASIDE * packed.scalar[TWIST_SPEED]) ** 2, task):
        return False
    for c in range(6):
        asked[c] = 0.0
    for j in range(joints):
        push[j] = 0.0
        if j <= joint and not work.vector[ARRIVED, j] > 0.0:
            x, y, z = _column(packed, work, j, p)
            push[j] = (n[0] * x + n[1] * y + n[2] * z) * packed.joint[j, VELOCITY]
        for c in range(6):
            asked[c] += task[j, c] * push[j]
    solve(arm_in(packed), asked, joints, task, change)
    for j in range(joints):  # (AᵀA + mu)⁻¹ is (1 - Aᵀ(AAᵀ + mu)⁻¹A) / mu
        change[j] = push[j] - change[j] / packed.joint[j, VELOCITY]
        rate += push[j] * change[j]
    for j in range(joints):
        change[j] *= packed.joint[j, VELOCITY] * faster / rate
    return rate > 0.0


@kernel
def _with_the_tool(packed: Packed, work: Work, joint: int, faster: float, w: Floats) -> float:
    """Write the change of w (n,) by which the place SHIFTED goes so much faster along PLANE.

    Into work.vector[4], see above. Returns how much of it may be had: nothing where there are too
    few joints, less and less where they would have to be too fast.
    """
    arm, n, task, joints = arm_in(packed), work.small[PLANE], work.task, w.shape[0]
    if joints < 6:
        return 0.0
    _tool_jacobian(packed, work, joints)
    edge = SINGULAR * packed.scalar[TWIST_SPEED]
    regular = math.sqrt(max(0.0, prepare(arm, joints, task))) / edge
    exact = min(1.0, max(0.0, regular - 1.0)) if joint == joints - 1 else 0.0
    asked, change, exactly, share = task[joints + RIGHT], work.vector[4], work.vector[6], 1.0
    for i in range(3):
        asked[i], asked[3 + i] = faster * n[i], 0.0
    if exact > 0.0:
        solve(arm, asked, joints, task, exactly)
    if exact < 1.0 and not _aside(packed, work, joint, faster, change):
        return 0.0
    for j in range(joints):
        if exact > 0.0:
            change[j] = exactly[j] if exact >= 1.0 else change[j] + exact * (exactly[j] - change[j])
        fastest, speed = packed.joint[j, VELOCITY], abs(w[j] + change[j])
        over = speed - max(abs(w[j]), BRISK * fastest)
        if not over <= 0.0:  # written so that what is no number is too fast
            share = min(share, max(0.0, 1.0 - over / ((1.0 - BRISK) * fastest)))
    return share


@kernel
def _slower(w: Floats, along: float, wanted: float) -> bool:
    """Slow all of w (n,) down, so that what is `along` hardly comes nearer than wanted."""
    most = min(wanted, 0.0) - CREEP_M_S
    if not along < most:
        return False
    for j in range(w.shape[0]):
        w[j] *= most / along
    return True


@kernel
def _at_that_place(
    packed: Packed,
    work: Work,
    joint: int,
    gain: Floats,
    along: float,
    wanted: float,
    w: Floats,
) -> bool:
    """Change w (n,) by damped least squares at the place SHIFTED; False where there are none.

    gain (6,): the upper triangle of J·Jᵀ, damped. See above.
    """
    n, p, force, change = (
        work.small[PLANE],
        work.small[SHIFTED],
        work.spatial[0, 6:9],
        work.vector[4],
    )
    if not _solved(gain, n, force):
        return False
    # What the damping left undone is made up for: else it would press on, and swing (trap 12).
    left = DAMPING_M * DAMPING_M * (n[0] * force[0] + n[1] * force[1] + n[2] * force[2])
    made, share, gained = max(EXACT, 1.0 - left), 1.0, 0.0
    for j in range(joint + 1):
        change[j] = 0.0
        if work.vector[ARRIVED, j] > 0.0:
            continue
        x, y, z = _column(packed, work, j, p)
        change[j] = (x * force[0] + y * force[1] + z * force[2]) * (wanted - along) / made
        gained += (n[0] * x + n[1] * y + n[2] * z) * change[j]
        most = max(abs(w[j]), packed.joint[j, VELOCITY]) + (1.0 - BRISK) * packed.joint[j, VELOCITY]
        if not abs(w[j] + change[j]) <= most:
            share = min(share, (most - math.copysign(w[j], w[j] * change[j])) / abs(change[j]))
    for j in range(joint + 1):
        w[j] += share * change[j]
    if share < 1.0:
        _slower(w, along + share * gained, wanted)
    return True


@kernel
def _gives_way(
    packed: Packed,
    work: Work,
    joint: int,
    clear: float,
    room_s: float,
    margin: float,
    slower: bool,
    w: Floats,
) -> bool:
    """Change w (n,) as `slide` does for the place SHIFTED, which is `clear` [m] from the volume."""
    n, p, a = work.small[PLANE], work.small[SHIFTED], work.spatial[0, 0:6]
    xx = xy = xz = yy = yz = zz = along = errors = gain = rate = 0.0
    for j in range(joint + 1):
        x, y, z = _column(packed, work, j, p)
        rate = n[0] * x + n[1] * y + n[2] * z
        errors += abs(rate) * packed.joint[j, POSITION_ERROR]
        if work.vector[ARRIVED, j] > 0.0:
            continue
        along += w[j] * rate
        gain += rate * rate
        xx, xy, xz, yy, yz, zz = (
            xx + x * x,
            xy + x * y,
            xz + x * z,
            yy + y * y,
            yz + y * z,
            zz + z * z,
        )
    wanted = min(AWAY_M_S, (margin + errors - clear) / room_s)
    if not (along < wanted and gain > STUCK_M * STUCK_M):
        return False
    if slower:
        return _slower(w, along, wanted)
    share, change = _with_the_tool(packed, work, joint, wanted - along, w), work.vector[4]
    if share > 0.0:
        for j in range(w.shape[0]):
            w[j] += share * change[j]
        along += share * (wanted - along)
        if share >= 1.0:
            return True
    damping = DAMPING_M * DAMPING_M
    if joint == 0:  # nothing else can give way: as fast as it may, however little that moves it
        if along < min(wanted, 0.0) - CREEP_M_S:
            w[0] *= min(wanted, 0.0) / along
            along = min(wanted, 0.0)
        w[0] += rate * (wanted - along) / max(gain, damping)
        return True
    a[0], a[1], a[2], a[3], a[4], a[5] = xx + damping, xy, xz, yy + damping, yz, zz + damping
    return _at_that_place(packed, work, joint, a, along, wanted, w) or share > 0.0


@apart(PACKED, WORK, WHOLE, WHOLE, NUMBER, NUMBER, NUMBER, FLAG, ROW)
def slide_at(
    packed: Packed,
    work: Work,
    v: int,
    k: int,
    clear: float,
    room_s: float,
    margin: float,
    slower: bool,
    w: Floats,
) -> bool:
    """As `slide`, of a capsule whose clearance [m] is known to be less than NEAR_M."""
    n, p, joint = work.small[PLANE], work.small[SHIFTED], int(packed.capsule[k, 0])
    # Too near already, and on its own way back; what comes after the volumes is seen, never eased.
    if v < packed.eased.shape[0] and packed.eased[v, k] > 0.0:
        return False
    if not uphill(packed, work, v, k, clear, n):
        return False
    axis, lead = work.segment[k], 0.0
    for i in range(3):
        lead += n[i] * (axis[3 + i] - axis[i])
    share = 0.5 - 0.5 * min(1.0, max(-1.0, lead / LEVEL_M))  # 0: the first end is on the wall
    for i in range(3):
        p[i] = axis[i] + share * (axis[3 + i] - axis[i])
    lifted = margin + _lift(work, k, share)
    changed = _gives_way(packed, work, joint, clear, room_s, lifted, slower, w)
    end, radius = work.spatial[0, 12:18], packed.capsule[k, RADIUS]
    for which in range(2):  # an end that is farther away may come nearer, too, and to another face
        if share == which:
            continue
        for i in range(3):
            end[i] = end[3 + i] = axis[3 * which + i]
        farther = clearance(volume_row(packed, work, v), packed.mesh, end, radius, work.simplex)
        if not (farther < NEAR_M and uphill_at(packed, work, v, end, radius, farther, n)):
            continue
        for i in range(3):
            p[i] = end[i]
        lifted = margin + _lift(work, k, which)
        changed = _gives_way(packed, work, joint, farther, room_s, lifted, slower, w) or changed
    if changed:
        work.small[REPORT, 1] = clear
    return changed

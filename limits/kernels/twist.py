"""What a `tcp_twist` or `tcp_delta` asks of the joints at a given time.

A `tcp_twist` row is the TCP's velocity [m/s] and angular velocity [rad/s]; rows are interpolated as
those of `joint_velocity`. A `tcp_delta` row is its displacement [m] and rotation vector [rad] in
the time of the row, at constant speed: the target is the pose at acceptance composed with the rows
so far, and what the commanded pose lacks is made good. Both have the axes of the base frame, and
are translated by `damped` at the commanded configuration, with the acceleration that keeps the
twist as the arm moves. Where that is more than the joints can do, as near a singularity, the whole
motion is slowed down, its direction kept, so that the arm neither overshoots nor swings there.

Guarantees: a zero twist, or a target that is reached, asks a robot at rest for exactly nothing;
NaN, or a number too large, gives NaN in `out`: `project` takes that for an excess, and halts.
"""

from __future__ import annotations

import math

from .damped import keep_away, prepare, solve
from .jacobian import (
    ANCHOR_TWIST,
    AWAY,
    FEED,
    GOAL,
    PLACE,
    RIGHT,
    SHIFT,
    SLOPE,
    TURN,
    walk,
)
from .jit import apart, kernel
from .packed import (
    ACCELERATION,
    DECELERATION,
    JERK,
    NUMBER,
    PERIOD,
    READ_ONLY,
    ROW,
    TABLE,
    TWIST_LENGTH,
    VELOCITY,
    WHOLE,
    Floats,
)
from .reference import TWIST
from .tray import ARM, Arm

__all__ = ["in_joints", "remember"]

AHEAD = 1e-4  # rad or m that the fastest joint goes to where the velocity is asked for again


@kernel
def _forget_rows(n: int, task: Floats) -> None:
    """No row of a `tcp_delta` is in the goal yet."""
    goal, shift = task[n + GOAL], task[n + SHIFT]
    goal[0], goal[1], goal[2], goal[3], goal[4] = 1.0, 0.0, 0.0, 0.0, 0.0
    shift[0], shift[1], shift[2] = 0.0, 0.0, 0.0


@kernel
def remember(arm: Arm, anchor: Floats, task: Floats) -> None:
    """Note the TCP's pose and twist at anchor (2, n): what a command's first row begins from."""
    n = anchor.shape[1]
    walk(arm, anchor[0], task)
    for r in range(3):
        task[n + PLACE, 3 + r] = task[n + PLACE, r]
        for c in range(3):
            task[n + TURN + r, 3 + c] = task[n + TURN + r, c]
    for c in range(6):
        task[n + ANCHOR_TWIST, c] = 0.0
        for j in range(n):
            task[n + ANCHOR_TWIST, c] += task[j, c] * anchor[1, j]
    _forget_rows(n, task)


@kernel
def _turned_on(
    w: float, x: float, y: float, z: float, row: Floats, share: float
) -> tuple[float, float, float, float]:
    """The rotation wxyz, then `share` of the rotation vector row[3:] [rad], both in the base."""
    ax, ay, az = share * row[3], share * row[4], share * row[5]
    angle = math.sqrt(ax * ax + ay * ay + az * az)
    size = math.sin(0.5 * angle) / angle if angle > 1e-12 else 0.5
    c, ax, ay, az = math.cos(0.5 * angle), size * ax, size * ay, size * az
    return (
        c * w - ax * x - ay * y - az * z,
        c * x + ax * w + ay * z - az * y,
        c * y + ay * w + az * x - ax * z,
        c * z + az * w + ax * y - ay * x,
    )


@kernel
def _since_anchor(turn: Floats) -> tuple[float, float, float, float]:
    """Quaternion wxyz of (rotation at the anchor)·(rotation here)ᵀ, after Shepperd (1978)."""
    m00 = turn[0, 3] * turn[0, 0] + turn[0, 4] * turn[0, 1] + turn[0, 5] * turn[0, 2]
    m01 = turn[0, 3] * turn[1, 0] + turn[0, 4] * turn[1, 1] + turn[0, 5] * turn[1, 2]
    m02 = turn[0, 3] * turn[2, 0] + turn[0, 4] * turn[2, 1] + turn[0, 5] * turn[2, 2]
    m10 = turn[1, 3] * turn[0, 0] + turn[1, 4] * turn[0, 1] + turn[1, 5] * turn[0, 2]
    m11 = turn[1, 3] * turn[1, 0] + turn[1, 4] * turn[1, 1] + turn[1, 5] * turn[1, 2]
    m12 = turn[1, 3] * turn[2, 0] + turn[1, 4] * turn[2, 1] + turn[1, 5] * turn[2, 2]
    m20 = turn[2, 3] * turn[0, 0] + turn[2, 4] * turn[0, 1] + turn[2, 5] * turn[0, 2]
    m21 = turn[2, 3] * turn[1, 0] + turn[2, 4] * turn[1, 1] + turn[2, 5] * turn[1, 2]
    m22 = turn[2, 3] * turn[2, 0] + turn[2, 4] * turn[2, 1] + turn[2, 5] * turn[2, 2]
    trace = m00 + m11 + m22
    # The largest of the four is at least a half: the others are divided by it.
    if trace >= m00 and trace >= m11 and trace >= m22:
        w = 0.5 * math.sqrt(max(0.0, 1.0 + trace))
        return w, (m21 - m12) / (4.0 * w), (m02 - m20) / (4.0 * w), (m10 - m01) / (4.0 * w)
    if m00 >= m11 and m00 >= m22:
        x = 0.5 * math.sqrt(max(0.0, 1.0 + m00 - m11 - m22))
        return (m21 - m12) / (4.0 * x), x, (m01 + m10) / (4.0 * x), (m02 + m20) / (4.0 * x)
    if m11 >= m22:
        y = 0.5 * math.sqrt(max(0.0, 1.0 + m11 - m00 - m22))
        return (m02 - m20) / (4.0 * y), (m01 + m10) / (4.0 * y), y, (m12 + m21) / (4.0 * y)
    z = 0.5 * math.sqrt(max(0.0, 1.0 + m22 - m00 - m11))
    return (m10 - m01) / (4.0 * z), (m02 + m20) / (4.0 * z), (m12 + m21) / (4.0 * z), z


@kernel
def _missing(rows: Floats, k: int, share: float, n: int, task: Floats) -> None:
    """Write the pose that is missing to where `tcp_delta` rows lead: k of them, and a share of k.

    A rotation by more than half a turn is made good the shorter way round.
    """
    goal, shift, away, place = (
        task[n + GOAL],
        task[n + SHIFT],
        task[n + AWAY],
        task[n + PLACE],
    )
    if k < goal[4]:
        _forget_rows(n, task)
    for row in range(int(goal[4]), min(k, rows.shape[0])):
        w, x, y, z = _turned_on(goal[0], goal[1], goal[2], goal[3], rows[row], 1.0)
        goal[0], goal[1], goal[2], goal[3], goal[4] = w, x, y, z, row + 1.0
        for c in range(3):
            shift[c] += rows[row, c]
    w, x, y, z = goal[0], goal[1], goal[2], goal[3]
    for c in range(3):
        away[c] = place[3 + c] + shift[c] - place[c]
    if k < rows.shape[0]:
        w, x, y, z = _turned_on(w, x, y, z, rows[k], share)
        for c in range(3):
            away[c] += share * rows[k, c]
    bw, bx, by, bz = _since_anchor(task[n + TURN :])
    ew = w * bw - x * bx - y * by - z * bz
    ex = w * bx + x * bw + y * bz - z * by
    ey = w * by + y * bw + z * bx - x * bz
    ez = w * bz + z * bw + x * by - y * bx
    sine = math.sqrt(ex * ex + ey * ey + ez * ez)
    size = math.copysign(2.0, ew)
    if sine > 1e-12:
        size = math.copysign(2.0 * math.atan2(sine, abs(ew)) / sine, ew)
    away[3], away[4], away[5] = size * ex, size * ey, size * ez


@kernel
def _ask(mode: int, rows: Floats, row_period: float, t: float, n: int, task: Floats) -> None:
    """Write the twist asked for at t [s], its rate and the missing pose; see kernels.reference."""
    count, feed, slope, away = rows.shape[0], task[n + FEED], task[n + SLOPE], task[n + AWAY]
    held = row_period <= 0.0
    ratio = 0.0 if held else t / row_period
    done = not (0.0 <= ratio + 1e-9 < count)
    k = count if done else int(ratio + 1e-9)
    share = 1.0 if held else min(1.0, max(0.0, ratio - k))
    for c in range(6):
        feed[c] = slope[c] = away[c] = 0.0
        if done:
            continue
        if mode == TWIST:
            begin = rows[k - 1, c] if k > 0 else task[n + ANCHOR_TWIST, c]
            slope[c] = 0.0 if held else (rows[k, c] - begin) / row_period
            feed[c] = rows[0, c] if held else begin + share * row_period * slope[c]
        elif not held:
            feed[c] = rows[k, c] / row_period
    if mode != TWIST:
        _missing(rows, k, share, n, task)


@kernel
def _bandwidth(arm: Arm, quickest: float) -> float:
    """Rate [1/s] at which every joint follows a position that moves on (see `project`)."""
    rate, period = quickest, arm.scalar[PERIOD]
    for j in range(arm.joint.shape[0]):
        joint = arm.joint[j]
        hardest = max(joint[ACCELERATION], joint[DECELERATION])
        rate = min(rate, min(1.0, joint[JERK] * period / hardest) / 12.0 / period)
    return rate


@kernel
def _pull(arm: Arm, missing: Floats, rate: float) -> float:
    """Rate [1/s] at which a missing pose is made good, one for all joints: missing (n,) in q.

    The law of a position reference in `project`: what every joint can still brake from.
    """
    for j in range(missing.shape[0]):
        gap = abs(missing[j])
        if gap > 0.0:
            rate = min(rate, math.sqrt(arm.joint[j, DECELERATION] / gap))
    return rate


@kernel
def _velocity(arm: Arm, q: Floats, n: int, task: Floats, spare: Floats, out: Floats) -> None:
    """Write the joint velocity (n,) that the twist FEED asks for at q, whose system is prepared."""
    _weigh(arm, task[n + FEED], task[n + RIGHT])
    solve(arm, task[n + RIGHT], n, task, out)
    keep_away(arm, q, n, task, out, spare)


@kernel
def _steady(
    arm: Arm, q: Floats, least2: float, rate: float, task: Floats, spare: Floats, out: Floats
) -> float:
    """Slow out[1:] (2, n) down where the arm cannot change its joint velocities that fast.

    Returns the factor, 1 where nothing is slowed down; -1 if that is not known.

    The velocity asked for at q is compared with that a little further on the way: the difference is
    the acceleration that keeps the twist, added to out[2]. Towards a singularity it grows without
    bound. All is scaled by one factor, so that the direction stays: to what the accelerations
    allow, and where s² (least2 here) falls, to a change no faster than `rate` [1/s], which the
    joints can follow to a halt.
    """
    n, fastest = q.shape[0], 0.0
    for j in range(n):
        fastest = max(fastest, abs(out[1, j]))
    if not fastest > 0.0:
        return 1.0 if fastest == 0.0 else -1.0
    ahead = AHEAD / fastest
    for j in range(n):
        spare[0, j] = q[j] + ahead * out[1, j]
    walk(arm, spare[0], task)
    ahead2 = prepare(arm, n, task)
    if not ahead2 >= 0.0:
        return -1.0
    _velocity(arm, spare[0], n, task, spare[2], spare[1])
    factor, changed2, moving2 = 1.0, 0.0, 0.0
    for j in range(n):
        change = (spare[1, j] - out[1, j]) / ahead
        spare[1, j] = change
        changed2 += (change / arm.joint[j, VELOCITY]) ** 2
        moving2 += (out[1, j] / arm.joint[j, VELOCITY]) ** 2
        allowed = min(arm.joint[j, ACCELERATION], arm.joint[j, DECELERATION])
        if abs(change) > allowed:
            factor = min(factor, math.sqrt(allowed / abs(change)))
    if ahead2 < least2 and changed2 > rate * rate * moving2:
        factor = min(factor, rate * math.sqrt(moving2 / changed2))
    for j in range(n):
        out[1, j] *= factor
        out[2, j] = factor * out[2, j] + (spare[1, j] if factor == 1.0 else 0.0)
    return factor


@kernel
def _share(arm: Arm, n: int, task: Floats, velocity: Floats) -> float:
    """How much of the twist FEED the velocity (n,) makes, along it; 1 where none is asked for."""
    asked, made, right = 0.0, 0.0, task[n + RIGHT]
    _weigh(arm, task[n + FEED], right)
    for c in range(6):
        asked += right[c] * right[c]
        for j in range(n):
            made += right[c] * task[j, c] * velocity[j] / arm.joint[j, VELOCITY]
    return made / asked if asked > 0.0 else 1.0


@kernel
def _weigh(arm: Arm, x: Floats, out: Floats) -> None:
    for c in range(6):
        out[c] = x[c] * (arm.scalar[TWIST_LENGTH] if c > 2 else 1.0)


@apart(ARM, WHOLE, READ_ONLY, NUMBER, NUMBER, ROW, NUMBER, TABLE, TABLE, TABLE)
def in_joints(
    arm: Arm,
    mode: int,
    rows: Floats,
    row_period: float,
    t: float,
    q: Floats,
    quickest: float,
    task: Floats,
    spare: Floats,
    out: Floats,
) -> float:
    """Write what TCP rows ask for t [s] after acceptance into out (3, n); -1: out is NaN.

    Returns how much of the twist that is, 1 where the arm can make all of it.

    rows (r, 6), row_period [s] as kernels.reference; q (n,) commanded now; quickest [1/s]: no pose
    error is made good at a higher rate; task: see `remember`, called before; spare (3, n). out:
    position (now, and all that is missing; meant for `tcp_delta` only), velocity, its rate.
    """
    n = q.shape[0]
    walk(arm, q, task)
    _ask(mode, rows, row_period, t, n, task)
    least2, rate = prepare(arm, n, task), _bandwidth(arm, quickest)
    is_sound, share = least2 >= 0.0, -1.0
    for j in range(n):
        out[0, j] = 0.0
    if mode != TWIST and is_sound:
        _weigh(arm, task[n + AWAY], task[n + RIGHT])
        solve(arm, task[n + RIGHT], n, task, out[0])
        pull = _pull(arm, out[0], rate)
        for c in range(6):
            task[n + FEED, c] += pull * task[n + AWAY, c]
    if is_sound:
        _velocity(arm, q, n, task, spare[0], out[1])
        _weigh(arm, task[n + SLOPE], task[n + RIGHT])
        solve(arm, task[n + RIGHT], n, task, out[2])
        share = _share(arm, n, task, out[1])
        factor = _steady(arm, q, least2, rate, task, spare, out)
        is_sound, share = factor > 0.0, share * factor
    for j in range(n):
        out[0, j] += q[j]
        is_sound = is_sound and math.isfinite(out[0, j] + out[1, j] + out[2, j])
    if not is_sound:
        for j in range(n):
            out[0, j] = out[1, j] = math.nan
            out[2, j] = 0.0
    return max(0.0, share) if is_sound else -1.0

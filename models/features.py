"""What the classifier sees of a command: the motion it leads to, as the carried object feels it.

Guarantees:
- No object pose is needed; any number of joints, any mode; a fixed size per robot (`Features.size`).
- The command is followed from the commanded start by the filter's own cascade (limits.project),
  held to the declared speeds and accelerations, for HORIZON_S. Where it ends, the robot brakes.
- A non-finite number anywhere in the input gives a non-finite feature or no features at all.
- A command that lasts longer than one horizon gives one row of features per window, each starting
  WINDOW_S after the last; one that lasts longer than WINDOWS_MAX windows cannot be appraised.

The object is held by friction alone, so what matters is the specific force f = a - g at the tool
centre in the tray's frame (third axis: up at `home`): its angle theta_eff to the normal, whose
tangent competes with the coefficient of friction, and how far a block would slide on such a tray. KNOTS rows of ROW numbers describe it, each taken at the
most accelerated instant of its interval and once more as if the certified stop began there.
All kernels stand in this one file: numba's cache does not notice callees in another one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..limits.declared import Limits
from ..limits.kernels.jit import kernel
from ..limits.kernels.packed import (
    ACCELERATION,
    JERK,
    MAX,
    MIN,
    PERIOD,
    PRISMATIC,
    TCP_SPEED,
    VELOCITY,
    Floats,
    Packed,
    pack,
)
from ..limits.kernels.reference import DELTA, POSITION, reference
from ..limits.kernels.reference import VELOCITY as MODE_VELOCITY
from ..limits.records import COMMAND_ROWS_MAX, Array

__all__ = [
    "FEATURES_VERSION",
    "HORIZON_S",
    "KNOTS",
    "KNOT_NAMES",
    "SCALAR_NAMES",
    "Features",
    "Float32s",
]

Float32s = npt.NDArray[np.float32]

FEATURES_VERSION = 1  # of the meaning of every number; a model is only used with its own
HORIZON_S = 0.8
WINDOWS_MAX = 16
KNOTS = 17
SUBSTEPS = 4  # per knot
STEP_S = HORIZON_S / ((KNOTS - 1) * SUBSTEPS)
WINDOW_KNOT = 8  # where the next window of a long command begins
WINDOW_S = WINDOW_KNOT * SUBSTEPS * STEP_S
STANDARD_GRAVITY = 9.81  # m/s²
FRICTION, FRICTION_GRIPPY = 0.45, 0.6  # of the sliding estimates
SLIDE_M = 0.02  # below it a slide is told apart finely: compressed is log(1 + m / SLIDE_M)
SLIDE_M_MAX = 2.0
STOP_S_MAX = 2.0
TIE = 1e-3  # of max_acceleration

KNOT_NAMES = (
    "force_x", "force_y", "force_up",  # f / 9.81 in the tray's frame
    "tilt_x", "tilt_y",  # the upward vertical in the tray's frame
    "stop_x", "stop_y", "stop_up",  # f / 9.81 if the stop began here
    "stop_s",  # how long that stop would last [s]
    "position_x", "position_y", "position_z",  # TCP, base frame [m]
    "velocity_x", "velocity_y", "velocity_z",  # TCP, base frame [m/s]
    "turn_x", "turn_y",  # angular acceleration in the tray's frame [10 rad/s²]
    "angle", "stop_angle",  # theta_eff [rad] of both forces
    "slide",  # how far the object has slid by now at FRICTION, compressed
)  # fmt: skip
SCALAR_NAMES = (
    "angle_max", "angle_motion_max", "angle_stop_max",  # theta_eff [rad]
    "slide_max", "slide_grippy_max",  # sliding distance at both frictions, stop included, compressed
    "unload_min",  # least normal force / (m g)
    "acceleration_max",  # TCP [g]
    "tilt_max",  # 1 - cos of the tray's tilt
    "tcp_speed_max",  # of the declared one
    "joint_speed_max", "joint_acceleration_max",  # of the declared ones
    "asked_speed_max",  # of the declared one, before it is held to it
    "jump",  # from the start's speed to the first one asked for, of the declared one
    "stop_s_max",
)  # fmt: skip
ROW = len(KNOT_NAMES)
SCALARS = len(SCALAR_NAMES)
# Rows of the scratch `joints` (8, n).
_Q, _DQ, _DDQ, _BRAKE, _BEST_Q, _BEST_DQ, _BEST_DDQ, _BRAKING = range(8)


@kernel
def _tray(packed: Packed, axes: Floats, q: Floats, dq: Floats, ddq: Floats, brake: Floats,
          row: Floats) -> None:
    """Write one knot's ROW but stop_s. axes (3, 3): rows x, y, up of the tray in the last frame."""  # fmt: skip
    # tidy: kernel
    n = q.shape[0]
    px = py = pz = vx = vy = vz = 0.0
    wx = wy = wz = ex = ey = ez = bx = by = bz = 0.0  # angular velocity, its rate, that of the stop
    ax, ay, az = -packed.scalar[3], -packed.scalar[4], -packed.scalar[5]
    sx, sy, sz = ax, ay, az  # specific force of the stop
    r00 = r11 = r22 = 1.0
    r01 = r02 = r10 = r12 = r20 = r21 = 0.0
    for i in range(n + 1):
        if i < n:
            chain = packed.chain[i]
            tx, ty, tz = chain[9], chain[10], chain[11]
        else:
            chain = packed.chain[0]
            tx, ty, tz = packed.tcp[0], packed.tcp[1], packed.tcp[2]
        dx = r00 * tx + r01 * ty + r02 * tz
        dy = r10 * tx + r11 * ty + r12 * tz
        dz = r20 * tx + r21 * ty + r22 * tz
        slides = i < n and packed.joint[i, PRISMATIC] > 0.0
        if i < n:
            a00 = r00 * chain[0] + r01 * chain[3] + r02 * chain[6]
            a01 = r00 * chain[1] + r01 * chain[4] + r02 * chain[7]
            a02 = r00 * chain[2] + r01 * chain[5] + r02 * chain[8]
            a10 = r10 * chain[0] + r11 * chain[3] + r12 * chain[6]
            a11 = r10 * chain[1] + r11 * chain[4] + r12 * chain[7]
            a12 = r10 * chain[2] + r11 * chain[5] + r12 * chain[8]
            a20 = r20 * chain[0] + r21 * chain[3] + r22 * chain[6]
            a21 = r20 * chain[1] + r21 * chain[4] + r22 * chain[7]
            a22 = r20 * chain[2] + r21 * chain[5] + r22 * chain[8]
            if slides:
                dx, dy, dz = dx + a02 * q[i], dy + a12 * q[i], dz + a22 * q[i]
                c, s = 1.0, 0.0
            else:
                c, s = math.cos(q[i]), math.sin(q[i])
            r00, r01, r02 = a00 * c + a01 * s, a01 * c - a00 * s, a02
            r10, r11, r12 = a10 * c + a11 * s, a11 * c - a10 * s, a12
            r20, r21, r22 = a20 * c + a21 * s, a21 * c - a20 * s, a22
        px, py, pz = px + dx, py + dy, pz + dz
        ux, uy, uz = wy * dz - wz * dy, wz * dx - wx * dz, wx * dy - wy * dx
        vx, vy, vz = vx + ux, vy + uy, vz + uz
        cx, cy, cz = wy * uz - wz * uy, wz * ux - wx * uz, wx * uy - wy * ux
        ax += ey * dz - ez * dy + cx
        ay += ez * dx - ex * dz + cy
        az += ex * dy - ey * dx + cz
        sx += by * dz - bz * dy + cx
        sy += bz * dx - bx * dz + cy
        sz += bx * dy - by * dx + cz
        if i < n:
            # ω × z·dq: turns the rate of a revolute joint, twice it the path of a prismatic one.
            gx, gy, gz = (wy * r22 - wz * r12) * dq[i], (wz * r02 - wx * r22) * dq[i], (
                wx * r12 - wy * r02
            ) * dq[i]
            if slides:
                vx, vy, vz = vx + r02 * dq[i], vy + r12 * dq[i], vz + r22 * dq[i]
                ax += 2.0 * gx + r02 * ddq[i]
                ay += 2.0 * gy + r12 * ddq[i]
                az += 2.0 * gz + r22 * ddq[i]
                sx += 2.0 * gx + r02 * brake[i]
                sy += 2.0 * gy + r12 * brake[i]
                sz += 2.0 * gz + r22 * brake[i]
            else:
                ex, ey, ez = ex + gx + r02 * ddq[i], ey + gy + r12 * ddq[i], ez + gz + r22 * ddq[i]
                bx, by, bz = (
                    bx + gx + r02 * brake[i],
                    by + gy + r12 * brake[i],
                    bz + gz + r22 * brake[i],
                )
                wx, wy, wz = wx + r02 * dq[i], wy + r12 * dq[i], wz + r22 * dq[i]
    for k in range(3):
        # One axis of the tray in the base frame.
        kx = r00 * axes[k, 0] + r01 * axes[k, 1] + r02 * axes[k, 2]
        ky = r10 * axes[k, 0] + r11 * axes[k, 1] + r12 * axes[k, 2]
        kz = r20 * axes[k, 0] + r21 * axes[k, 1] + r22 * axes[k, 2]
        row[k] = (kx * ax + ky * ay + kz * az) / STANDARD_GRAVITY
        row[5 + k] = (kx * sx + ky * sy + kz * sz) / STANDARD_GRAVITY
        if k < 2:
            row[3 + k] = kz
            row[15 + k] = (kx * ex + ky * ey + kz * ez) / 10.0
    row[9], row[10], row[11] = px, py, pz
    row[12], row[13], row[14] = vx, vy, vz


@kernel
def _angle(x: float, y: float, up: float) -> float:
    """theta_eff [rad]: 0 pressed straight down, above pi/2 thrown off."""
    return math.atan2(math.sqrt(x * x + y * y), up)


@kernel
def _stop(gains: Floats, dq: Floats, brake: Floats) -> float:
    """Write the accelerations (n,) of the synchronised stop from dq; return how long it lasts."""
    longest = 0.0
    for i in range(dq.shape[0]):
        longest = max(longest, abs(dq[i]) * gains[i, 4])
    rate = -1.0 / longest if longest > 0.0 else 0.0
    for i in range(dq.shape[0]):
        brake[i] = dq[i] * rate
    return min(longest, STOP_S_MAX)


@kernel
def _step(packed: Packed, gains: Floats, mode: int, asked: Floats, joints: Floats) -> float:
    """One STEP_S of the cascade towards asked (3, n); return the largest share of speed asked."""
    q, dq, ddq = joints[_Q], joints[_DQ], joints[_DDQ]
    most = 0.0
    for i in range(q.shape[0]):
        a_max, fast = packed.joint[i, ACCELERATION], packed.joint[i, VELOCITY]
        speed = asked[1, i]
        if mode != MODE_VELOCITY:
            error = asked[0, i] - q[i]
            pull = min(gains[i, 2] * abs(error), math.sqrt(a_max * abs(error)))
            speed += math.copysign(pull, error)
        most = max(most, abs(speed) * gains[i, 3])
        speed = min(fast, max(-fast, speed))
        # No faster towards a bound than the joint could still stop before it.
        room = max(0.0, packed.joint[i, MAX] - q[i] if speed > 0.0 else q[i] - packed.joint[i, MIN])
        if speed * speed > 2.0 * a_max * room:
            speed = math.copysign(math.sqrt(2.0 * a_max * room), speed)
        wanted = asked[2, i] + gains[i, 1] * (speed - dq[i])
        wanted = ddq[i] + gains[i, 0] * (wanted - ddq[i])
        ddq[i] = min(a_max, max(-a_max, wanted))
        before = dq[i]
        dq[i] = before + ddq[i] * STEP_S
        q[i] += 0.5 * (before + dq[i]) * STEP_S
    return most


@kernel
def _brake(joints: Floats, left_s: float) -> None:
    """One STEP_S of the stop in joints[_BRAKING], of which left_s remain."""
    q, dq, ddq = joints[_Q], joints[_DQ], joints[_DDQ]
    run = min(STEP_S, max(0.0, left_s))
    for i in range(q.shape[0]):
        ddq[i] = joints[_BRAKING, i] if run > 0.0 else 0.0
        q[i] += run * (dq[i] + 0.5 * ddq[i] * run)
        dq[i] = dq[i] + ddq[i] * run if left_s > STEP_S else 0.0 * dq[i]


@kernel
def _effort(gains: Floats, ddq: Floats) -> float:
    most = 0.0
    for i in range(ddq.shape[0]):
        most = max(most, abs(ddq[i]) * gains[i, 4])
    return most


@kernel
def _compressed(slide_m: float) -> float:
    return math.log(1.0 + min(SLIDE_M_MAX, slide_m) / SLIDE_M)


@kernel
def _slide(x: float, y: float, up: float, friction: float, held_s: float, slid: Floats) -> None:
    """Advance slid (4,), x, y [m], vx, vy [m/s] of the object on the tray, by one held force / g."""
    grip = friction * max(0.0, up) * STANDARD_GRAVITY
    ax, ay = -x * STANDARD_GRAVITY, -y * STANDARD_GRAVITY
    vx, vy = slid[2], slid[3]
    speed, push = math.sqrt(vx * vx + vy * vy), math.sqrt(ax * ax + ay * ay)
    if speed <= 1e-9:
        if push <= grip:
            return
        ax, ay = ax * (1.0 - grip / push), ay * (1.0 - grip / push)
    else:
        ax, ay = ax - grip * vx / speed, ay - grip * vy / speed
    nx, ny = vx + ax * held_s, vy + ay * held_s
    # It sticks once friction has turned its speed around, unless the push beats the friction.
    if push <= grip and nx * vx + ny * vy <= 0.0:
        share = 0.5 * speed / max(1e-9, speed + math.sqrt(nx * nx + ny * ny))
        slid[0] += share * vx * held_s
        slid[1] += share * vy * held_s
        slid[2] = slid[3] = 0.0
        return
    slid[0] += 0.5 * (vx + nx) * held_s
    slid[1] += 0.5 * (vy + ny) * held_s
    slid[2], slid[3] = nx, ny


@kernel
def _slide_with_stop(row: Floats, friction: float, held_s: float, slid: Floats) -> float:
    """Advance slid by row's force; return how far a stop from here would make it slide in all."""
    _slide(row[0], row[1], row[2], friction, held_s, slid)
    x, y, vx, vy = slid[0], slid[1], slid[2], slid[3]
    _slide(row[5], row[6], row[7], friction, row[8], slid)
    speed = math.sqrt(slid[2] * slid[2] + slid[3] * slid[3])
    # At rest the object goes on until friction has used up its speed.
    rest = 0.5 * speed / (friction * STANDARD_GRAVITY)
    ex, ey = slid[0] + rest * slid[2], slid[1] + rest * slid[3]
    slid[0], slid[1], slid[2], slid[3] = x, y, vx, vy
    return math.sqrt(max(ex * ex + ey * ey, x * x + y * y))


@kernel
def _note(packed: Packed, row: Floats, held_s: float, slid: Floats, scalars: Floats) -> None:
    """Fold one knot into the scalars; write its angles and its slide."""
    row[17] = _angle(row[0], row[1], row[2])
    row[18] = _angle(row[5], row[6], row[7])
    scalars[1] = max(scalars[1], row[17])
    scalars[2] = max(scalars[2], row[18])
    scalars[0] = max(scalars[1], scalars[2])
    scalars[3] = max(scalars[3], _slide_with_stop(row, FRICTION, held_s, slid[0]))
    scalars[4] = max(scalars[4], _slide_with_stop(row, FRICTION_GRIPPY, held_s, slid[1]))
    row[19] = _compressed(math.sqrt(slid[0, 0] * slid[0, 0] + slid[0, 1] * slid[0, 1]))
    scalars[5] = min(scalars[5], row[2], row[7])
    up = math.sqrt(max(0.0, 1.0 - row[3] * row[3] - row[4] * row[4]))
    force = row[0] * row[0] + row[1] * row[1] + row[2] * row[2]
    level = row[0] * row[3] + row[1] * row[4] + row[2] * up
    scalars[6] = max(scalars[6], math.sqrt(max(0.0, force - 2.0 * level + 1.0)))
    scalars[7] = max(scalars[7], 1.0 - up)
    speed = math.sqrt(row[12] * row[12] + row[13] * row[13] + row[14] * row[14])
    scalars[8] = max(scalars[8], speed / packed.scalar[TCP_SPEED])
    scalars[13] = max(scalars[13], row[8])


@kernel
def _window(packed: Packed, axes: Floats, gains: Floats, mode: int, rows: Floats,
            row_period: float, anchor: Floats, elapsed: float, end: float, joints: Floats,
            asked: Floats, slid: Floats, after: Floats, scalars: Floats, table: Floats) -> None:
    """Write the table (KNOTS, ROW) and the scalars of HORIZON_S from joints[:3] on.

    end: time [s] since acceptance at which the command is over; after (3, n): WINDOW_S later.
    """  # fmt: skip
    # tidy: kernel
    n = joints.shape[1]
    scalars[:] = 0.0
    scalars[5] = 4.0
    slid[:, :] = 0.0
    braking_s, left_s = -1.0, 0.0
    table[0, 8] = _stop(gains, joints[_DQ], joints[_BRAKE])
    _tray(packed, axes, joints[_Q], joints[_DQ], joints[_DDQ], joints[_BRAKE], table[0])
    _note(packed, table[0], 0.0, slid, scalars)
    t = elapsed
    for k in range(1, KNOTS):
        best = -1.0
        for s in range(SUBSTEPS):
            t += STEP_S
            if braking_s < 0.0 and t > end + 0.5 * STEP_S:
                braking_s = left_s = _stop(gains, joints[_DQ], joints[_BRAKING])
            if braking_s >= 0.0:
                _brake(joints, left_s)
                left_s -= STEP_S
            else:
                # Just before a row's end, so that its own slope is read, not the next one's.
                reference(mode, rows, row_period, anchor, t - 0.01 * STEP_S, asked)
                if k == 1 and s == 0:
                    for i in range(n):
                        change = abs(asked[1, i] - joints[_DQ, i]) * gains[i, 3]
                        scalars[12] = max(scalars[12], change)
                scalars[11] = max(scalars[11], _step(packed, gains, mode, asked, joints))
            effort = _effort(gains, joints[_DDQ])
            # On equal terms the first one: what decides must not be rounding.
            if not effort <= best + TIE:
                best = effort
                # A loop: assigning slices costs ten times as much.
                for i in range(n):
                    joints[_BEST_Q, i] = joints[_Q, i]
                    joints[_BEST_DQ, i] = joints[_DQ, i]
                    joints[_BEST_DDQ, i] = joints[_DDQ, i]
        if k == WINDOW_KNOT:
            after[:, :] = joints[:3, :]
        row = table[k]
        row[8] = _stop(gains, joints[_BEST_DQ], joints[_BRAKE])
        _tray(packed, axes, joints[_BEST_Q], joints[_BEST_DQ], joints[_BEST_DDQ],
              joints[_BRAKE], row)  # fmt: skip
        _note(packed, row, SUBSTEPS * STEP_S, slid, scalars)
        for i in range(n):
            share = abs(joints[_BEST_DQ, i]) * gains[i, 3]
            scalars[9] = max(scalars[9], share)
        scalars[10] = max(scalars[10], best)
    scalars[3], scalars[4] = _compressed(scalars[3]), _compressed(scalars[4])
    scalars[11] = min(scalars[11], 10.0)
    scalars[12] = min(scalars[12], 10.0)


@kernel
def _features(packed: Packed, axes: Floats, gains: Floats, hold_s: float, start: Floats, mode: int,
              rows: Floats, row_period: float, anchor: Floats, elapsed: float, joints: Floats,
              asked: Floats, scratch: Floats, table: Floats, out: Float32s) -> int:
    """Write one row of features per window into out; return their number, 0 if it cannot."""  # fmt: skip
    count, n = rows.shape
    end = row_period * count if row_period > 0.0 else hold_s
    total = 0.0
    for i in range(n):
        total += 0.0 * (start[i, 0] + start[i, 1] + start[i, 2] + anchor[0, i] + anchor[1, i])
        for r in range(count):
            total += 0.0 * rows[r, i]
    if not (total == 0.0 and 0.0 <= elapsed < 1e6 and 0.0 <= row_period < 1e6 and end < 1e6):
        return 0
    if mode == DELTA:  # displacements add up to positions, and those the reference reads at once
        mode = POSITION
        for i in range(n):
            position = anchor[0, i]
            for r in range(count):
                position += rows[r, i]
                rows[r, i] = position
    for i in range(n):
        for d in range(3):
            joints[d, i] = start[i, d]
    slid, scalars, after = scratch[:2, :4], scratch[2, :SCALARS], scratch[3:, :n]
    windows = 1
    while elapsed + HORIZON_S + (windows - 1) * WINDOW_S < end - 0.5 * STEP_S:
        windows += 1
        if windows > WINDOWS_MAX:
            return 0
    for w in range(windows):
        position = 0
        for i in range(n):
            limit = packed.joint[i]
            middle, half = 0.5 * (limit[MAX] + limit[MIN]), 0.5 * (limit[MAX] - limit[MIN])
            out[w, position] = (joints[_Q, i] - middle) / half
            out[w, position + 1] = joints[_DQ, i] / limit[VELOCITY]
            out[w, position + 2] = joints[_DDQ, i] / limit[ACCELERATION]
            position += 3
        _window(packed, axes, gains, mode, rows, row_period, anchor, elapsed + w * WINDOW_S, end,
                joints, asked, slid, after, scalars, table)  # fmt: skip
        for k in range(KNOTS):
            for c in range(ROW):
                out[w, position] = table[k, c]
                position += 1
        for c in range(SCALARS):
            out[w, position + c] = scalars[c]
        for c in range(out.shape[1]):
            total += 0.0 * out[w, c]
        joints[:3, :] = after
    return windows if total == 0.0 else 0


def _gains(packed: Packed) -> Floats:
    """(n, 5): share of the acceleration that is made up a step, gains on speed and on position
    [1/s], one over the declared velocity and acceleration."""
    period = packed.scalar[PERIOD]
    beta = np.minimum(1.0, packed.joint[:, JERK] * period / packed.joint[:, ACCELERATION])
    with np.errstate(divide="ignore"):
        made_up = 1.0 - np.power(np.maximum(0.0, 1.0 - beta), STEP_S / period)
    # Explicit steps are stable below 2 / STEP_S; a faster cascade is as good as its fastest step.
    speed = np.minimum(beta / 4.0 / period, 0.8 / STEP_S)
    position = np.minimum(beta / 12.0 / period, 0.4 / STEP_S)
    over = 1.0 / packed.joint[:, VELOCITY], 1.0 / packed.joint[:, ACCELERATION]
    return np.ascontiguousarray(np.column_stack((made_up, speed, position, *over)))


def _tray_axes(limits: Limits) -> Floats:
    """(3, 3): rows x, y and up of the tray in the last joint's frame; up is up at home."""
    rotation: Array = np.eye(3)
    for i, joint in enumerate(limits.joints):
        c, s = math.cos(limits.home[i]), math.sin(limits.home[i])
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        rotation = rotation @ limits.kinematics.rotation[i]
        rotation = rotation if joint.type == "prismatic" else rotation @ turn
    gravity = limits.kinematics.gravity
    size = float(np.linalg.norm(gravity))
    upwards = -gravity / size if size > 0.0 else np.array([0.0, 0.0, 1.0])
    up = rotation.T @ upwards
    x = limits.kinematics.tcp_rotation[:, 0]
    if abs(float(x @ up)) > 0.9:
        x = limits.kinematics.tcp_rotation[:, 1]
    x = x - (x @ up) * up
    x = x / np.linalg.norm(x)
    return np.ascontiguousarray(np.vstack((x, np.cross(up, x), up)))


class Features:
    """The features of one robot's commands, in buffers of its own. Not thread-safe."""

    def __init__(self, limits: Limits) -> None:
        """Pack `limits` and compile the kernels."""
        self._packed = pack(limits)
        self._axes = _tray_axes(limits)
        self._gains = _gains(self._packed)
        self._hold_s = limits.timing.command_timeout_ms / 1e3
        n = self.n = len(limits.joints)
        self.size = 3 * n + KNOTS * ROW + SCALARS
        self.names = (
            *(f"{what}_{joint.name}" for joint in limits.joints for what in ("q", "dq", "ddq")),
            *(f"{name}_{k}" for k in range(KNOTS) for name in KNOT_NAMES),
            *SCALAR_NAMES,
        )
        self.out: Float32s = np.zeros((WINDOWS_MAX, self.size), dtype=np.float32)
        self._start = np.zeros((n, 3))
        self._rows = np.zeros((COMMAND_ROWS_MAX, n))
        self._anchor = np.zeros((2, n))
        self._joints = np.zeros((8, n))
        self._asked = np.zeros((3, n))
        self._scratch = np.zeros((6, max(n, SCALARS)))
        self._table = np.zeros((KNOTS, ROW))
        self.of(np.zeros((n, 3)), MODE_VELOCITY, np.zeros((1, n)), 0.0, np.zeros((2, n)), 0.0)

    def of(
        self, start: Array, mode: int, rows: Array, row_period_s: float, anchor: Array,
        elapsed_s: float,
    ) -> int:  # fmt: skip
        """Write the windows' features into `out`; return how many, 0 if it cannot be appraised.

        start (n, 3) commanded q, dq, ddq now; rows (r, n), anchor (2, n) as `limits.core`.
        """
        count = rows.shape[0]
        if not 1 <= count <= COMMAND_ROWS_MAX:
            return 0
        # Owned copies: read-only or strided arguments would each compile the kernel once more.
        copied = self._rows[:count]
        copied[...] = rows
        self._start[...] = start
        self._anchor[...] = anchor
        return int(
            _features(
                self._packed, self._axes, self._gains, self._hold_s, self._start, mode, copied,
                float(row_period_s), self._anchor, float(elapsed_s), self._joints, self._asked,
                self._scratch, self._table, self.out,
            )
        )  # fmt: skip

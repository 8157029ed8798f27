"""What an object feels that stands loose on the tool: specific force, and how far it slides.

The specific force f = a - g acts at the tool centre, in the tray's frame: x and y lie in the tray,
"up" is its normal, which points up at `home`. The outward recursion is Featherstone's (Rigid Body
Dynamics Algorithms, 2008, table 5.1), written in the base frame. Checked in the tests against
numerical derivatives of the forward kinematics.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import numpy as np
from numba import types

from ..declared import Limits
from ..records import Array
from .jit import kernel
from .packed import GRAVITY, PRISMATIC, ROW, TABLE, Floats, Packed, pack

__all__ = [
    "ARM",
    "FELT",
    "STANDARD_GRAVITY",
    "Arm",
    "arm_in",
    "arm_of",
    "feel",
    "slide",
    "theta_eff",
    "tray_axes",
]

STANDARD_GRAVITY = 9.81  # m/s²
FELT = 17  # numbers that `feel` writes


class Arm(NamedTuple):
    """One robot for these kernels: fewer arrays than `Packed` make a cheaper call."""

    scalar: Floats
    joint: Floats
    chain: Floats
    tcp: Floats


# Its type, for kernels.jit.apart.
ARM: Any = cast(Any, types).NamedTuple((ROW, TABLE, TABLE, ROW), Arm)


@kernel
def arm_in(packed: Packed) -> Arm:
    """The arrays that the kernels here read, of a kernel that has all; Python asks `arm_of`."""
    return Arm(packed.scalar, packed.joint, packed.chain, packed.tcp)


def arm_of(limits: Limits) -> Arm:
    """The arrays that the kernels here read."""
    packed = pack(limits)
    return Arm(packed.scalar, packed.joint, packed.chain, packed.tcp)


def tray_axes(limits: Limits) -> Floats:
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


@kernel
# tidy: kernel
def feel(
    arm: Arm, axes: Floats, q: Floats, dq: Floats, ddq: Floats, brake: Floats, row: Floats
) -> None:
    """Write into row (FELT,) what a motion does to the object, and what stopping would do.

    axes (3, 3): see `tray_axes`; ddq (n,) of the motion, brake (n,) of the stop. row: f/g x, y, up;
    the vertical's x, y in the tray; f/g x, y, up of the stop; one number left alone; TCP position
    x, y, z and velocity x, y, z in the base frame; angular acceleration x, y in the tray / 10.
    """
    n = q.shape[0]
    px = py = pz = vx = vy = vz = 0.0
    wx = wy = wz = ex = ey = ez = bx = by = bz = 0.0  # angular velocity, its rate, that of the stop
    ax, ay, az = -arm.scalar[GRAVITY], -arm.scalar[GRAVITY + 1], -arm.scalar[GRAVITY + 2]
    sx, sy, sz = ax, ay, az  # specific force of the stop
    r00 = r11 = r22 = 1.0
    r01 = r02 = r10 = r12 = r20 = r21 = 0.0
    for i in range(n + 1):
        if i < n:
            chain = arm.chain[i]
            tx, ty, tz = chain[9], chain[10], chain[11]
        else:
            chain = arm.chain[0]
            tx, ty, tz = arm.tcp[0], arm.tcp[1], arm.tcp[2]
        dx = r00 * tx + r01 * ty + r02 * tz
        dy = r10 * tx + r11 * ty + r12 * tz
        dz = r20 * tx + r21 * ty + r22 * tz
        slides = i < n and arm.joint[i, PRISMATIC] > 0.0
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
            gx, gy, gz = (
                (wy * r22 - wz * r12) * dq[i],
                (wz * r02 - wx * r22) * dq[i],
                (wx * r12 - wy * r02) * dq[i],
            )
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
def theta_eff(x: float, y: float, up: float) -> float:
    """theta_eff [rad]: 0 pressed straight down, above pi/2 thrown off."""
    return math.atan2(math.sqrt(x * x + y * y), up)


@kernel
def slide(x: float, y: float, up: float, friction: float, held_s: float, slid: Floats) -> None:
    """Advance slid (4,), x, y [m], vx, vy [m/s] of an object on the tray, by a held force / g."""
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

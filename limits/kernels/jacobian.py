"""The tool at one instant: pose, Jacobian, twist, and what accelerates it at constant dq.

The outward recursion is Featherstone's (Rigid Body Dynamics Algorithms, 2008, table 5.1), written
in the base frame. All of it, and what `damped` and `twist` make of it, goes into one array, `task`.
"""

from __future__ import annotations

import math

from .jit import kernel
from .packed import PRISMATIC, Floats
from .tray import Arm

__all__ = ["walk"]

# Rows of `task` (n + packed.TASK_ROWS, 6) after the n columns of the Jacobian.
GRAM, FACTOR = 0, 6  # 6 rows each: the normal equations and their Cholesky factor
PLACE, TURN = 12, 13  # TCP position, and 3 rows of rotation; the anchor's in columns 3 to 5
BIAS, ANCHOR_TWIST = 16, 17  # acceleration of the TCP at ddq = 0; its twist at the anchor
GOAL, SHIFT = 18, 19  # rotation (quaternion wxyz) and number of the rows in it; their displacement
FEED, SLOPE, AWAY = 20, 21, 22  # twist asked for, its rate, and the pose that is missing
RIGHT, SOLVED = 23, 24  # right-hand side and solution of the normal equations


@kernel
# tidy: kernel
def walk(arm: Arm, q: Floats, dq: Floats, task: Floats) -> None:
    """Write the Jacobian's columns, pose, twist (to FEED) and bias acceleration at q, dq (n,)."""
    n = q.shape[0]
    px = py = pz = vx = vy = vz = ax = ay = az = 0.0
    wx = wy = wz = ex = ey = ez = 0.0  # angular velocity and acceleration
    r00 = r11 = r22 = 1.0
    r01 = r02 = r10 = r12 = r20 = r21 = 0.0
    for i in range(n + 1):
        chain = arm.chain[min(i, n - 1)]
        tx, ty, tz = chain[9], chain[10], chain[11]
        if i == n:
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
            c, s = 1.0, 0.0
            if slides:
                dx, dy, dz = dx + a02 * q[i], dy + a12 * q[i], dz + a22 * q[i]
            else:
                c, s = math.cos(q[i]), math.sin(q[i])
            r00, r01, r02 = a00 * c + a01 * s, a01 * c - a00 * s, a02
            r10, r11, r12 = a10 * c + a11 * s, a11 * c - a10 * s, a12
            r20, r21, r22 = a20 * c + a21 * s, a21 * c - a20 * s, a22
        px, py, pz = px + dx, py + dy, pz + dz
        ux, uy, uz = wy * dz - wz * dy, wz * dx - wx * dz, wx * dy - wy * dx
        vx, vy, vz = vx + ux, vy + uy, vz + uz
        ax += ey * dz - ez * dy + wy * uz - wz * uy
        ay += ez * dx - ex * dz + wz * ux - wx * uz
        az += ex * dy - ey * dx + wx * uy - wy * ux
        if i < n:
            zx, zy, zz = r02 * dq[i], r12 * dq[i], r22 * dq[i]
            # ω × z·dq: turns the rate of a revolute joint, twice it the path of a prismatic one.
            gx, gy, gz = wy * zz - wz * zy, wz * zx - wx * zz, wx * zy - wy * zx
            if slides:
                vx, vy, vz = vx + zx, vy + zy, vz + zz
                ax, ay, az = ax + 2.0 * gx, ay + 2.0 * gy, az + 2.0 * gz
            else:
                ex, ey, ez = ex + gx, ey + gy, ez + gz
                wx, wy, wz = wx + zx, wy + zy, wz + zz
            column = task[i]
            column[0], column[1], column[2] = px, py, pz
            column[3], column[4], column[5] = r02, r12, r22
    for i in range(n):
        column = task[i]
        zx, zy, zz = column[3], column[4], column[5]
        if arm.joint[i, PRISMATIC] > 0.0:
            column[0], column[1], column[2] = zx, zy, zz
            column[3] = column[4] = column[5] = 0.0
        else:
            dx, dy, dz = px - column[0], py - column[1], pz - column[2]
            column[0], column[1] = zy * dz - zz * dy, zz * dx - zx * dz
            column[2] = zx * dy - zy * dx
    place, turn, bias, twist = task[n + PLACE], task[n + TURN :], task[n + BIAS], task[n + FEED]
    place[0], place[1], place[2] = px, py, pz
    turn[0, 0], turn[0, 1], turn[0, 2] = r00, r01, r02
    turn[1, 0], turn[1, 1], turn[1, 2] = r10, r11, r12
    turn[2, 0], turn[2, 1], turn[2, 2] = r20, r21, r22
    bias[0], bias[1], bias[2], bias[3], bias[4], bias[5] = ax, ay, az, ex, ey, ez
    twist[0], twist[1], twist[2], twist[3], twist[4], twist[5] = vx, vy, vz, wx, wy, wz

"""The tool at one configuration: its pose and Jacobian.

All of it, and what `damped` and `twist` make of it, goes into one array, `task`.
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
ANCHOR_TWIST = 16
GOAL, SHIFT = 17, 18  # rotation (quaternion wxyz) and number of the rows in it; their displacement
FEED, SLOPE, AWAY = 19, 20, 21  # twist asked for, its rate, and the pose that is missing
RIGHT, SOLVED = 22, 23  # right-hand side and solution of the normal equations


@kernel
# tidy: kernel
def walk(arm: Arm, q: Floats, task: Floats) -> None:
    """Write pose and Jacobian at q (n,): a row per joint, linear over angular, base frame."""
    n = q.shape[0]
    px = py = pz = 0.0
    r00 = r11 = r22 = 1.0
    r01 = r02 = r10 = r12 = r20 = r21 = 0.0
    for i in range(n):
        chain = arm.chain[i]
        px += r00 * chain[9] + r01 * chain[10] + r02 * chain[11]
        py += r10 * chain[9] + r11 * chain[10] + r12 * chain[11]
        pz += r20 * chain[9] + r21 * chain[10] + r22 * chain[11]
        a00 = r00 * chain[0] + r01 * chain[3] + r02 * chain[6]
        a01 = r00 * chain[1] + r01 * chain[4] + r02 * chain[7]
        a02 = r00 * chain[2] + r01 * chain[5] + r02 * chain[8]
        a10 = r10 * chain[0] + r11 * chain[3] + r12 * chain[6]
        a11 = r10 * chain[1] + r11 * chain[4] + r12 * chain[7]
        a12 = r10 * chain[2] + r11 * chain[5] + r12 * chain[8]
        a20 = r20 * chain[0] + r21 * chain[3] + r22 * chain[6]
        a21 = r20 * chain[1] + r21 * chain[4] + r22 * chain[7]
        a22 = r20 * chain[2] + r21 * chain[5] + r22 * chain[8]
        c, s = math.cos(q[i]), math.sin(q[i])
        if arm.joint[i, PRISMATIC] > 0.0:
            px, py, pz, c, s = px + a02 * q[i], py + a12 * q[i], pz + a22 * q[i], 1.0, 0.0
        r00, r01, r02 = a00 * c + a01 * s, a01 * c - a00 * s, a02
        r10, r11, r12 = a10 * c + a11 * s, a11 * c - a10 * s, a12
        r20, r21, r22 = a20 * c + a21 * s, a21 * c - a20 * s, a22
        column = task[i]
        column[0], column[1], column[2] = px, py, pz
        column[3], column[4], column[5] = a02, a12, a22
    px += r00 * arm.tcp[0] + r01 * arm.tcp[1] + r02 * arm.tcp[2]
    py += r10 * arm.tcp[0] + r11 * arm.tcp[1] + r12 * arm.tcp[2]
    pz += r20 * arm.tcp[0] + r21 * arm.tcp[1] + r22 * arm.tcp[2]
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
    place, turn = task[n + PLACE], task[n + TURN :]
    place[0], place[1], place[2] = px, py, pz
    turn[0, 0], turn[0, 1], turn[0, 2] = r00, r01, r02
    turn[1, 0], turn[1, 1], turn[1, 2] = r10, r11, r12
    turn[2, 0], turn[2, 1], turn[2, 2] = r20, r21, r22

"""The oracle's own inverse dynamics, vectorised over batches.

Guarantees:
- Recursive Newton-Euler in the base frame, on the frames that `oracle_geometry` computed; gravity
  enters as an upward acceleration of the base.
- One value per joint: the torque [N·m] of a revolute, the force [N] of a prismatic joint.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from .oracle_file import Array, Robot
from .oracle_geometry import Frames, cross

__all__ = ["joint_effort"]


def _spin(inertia: Array, axes: Array, vector: Array) -> Array:
    """I · vector (3, B), the inertia (3, 3) being given in the body's axes (3, 3, B)."""
    body = np.einsum("crb,rb->cb", axes, vector)
    return cast(Array, np.einsum("crb,cb->rb", axes, inertia @ body))


def joint_effort(robot: Robot, frames: Frames, dq: Array, ddq: Array) -> Array:
    """Effort (B, n) that the motion (q of the frames, dq, ddq) takes, each (B, n)."""
    count, n = dq.shape
    rate = np.zeros((3, count))  # angular velocity of the link
    spin = np.zeros((3, count))  # angular acceleration of the link
    linear = np.tile(-robot.gravity[:, None], (1, count))  # acceleration of the frame's origin
    before = np.zeros((3, count))
    force = np.empty((n, 3, count))
    moment = np.empty((n, 3, count))
    arm = np.empty((n, 3, count))
    for i in range(n):
        axis, step = frames.axes[i, 2], frames.origin[i] - before
        linear = linear + cross(spin, step) + cross(rate, cross(rate, step))
        speed, push = axis * dq[:, i], axis * ddq[:, i]
        if robot.prismatic[i]:
            linear = linear + push + 2.0 * cross(rate, speed)
        else:
            spin = spin + push + cross(rate, speed)
            rate = rate + speed
        before = frames.origin[i]
        arm[i] = (robot.com[i] @ frames.axes[i].reshape(3, 3 * count)).reshape(3, count)
        at_com = linear + cross(spin, arm[i]) + cross(rate, cross(rate, arm[i]))
        force[i] = robot.mass[i] * at_com
        inertia, axes = robot.inertia[i], frames.axes[i]
        moment[i] = _spin(inertia, axes, spin) + cross(rate, _spin(inertia, axes, rate))
    effort = np.empty((count, n))
    pull, twist = np.zeros((3, count)), np.zeros((3, count))
    for i in reversed(range(n)):
        if i + 1 < n:
            twist = twist + cross(frames.origin[i + 1] - frames.origin[i], pull)
        twist = twist + moment[i] + cross(arm[i], force[i])
        pull = pull + force[i]
        carried = pull if robot.prismatic[i] else twist
        effort[:, i] = np.einsum("rb,rb->b", frames.axes[i, 2], carried)
    return effort

"""Kinematics and dynamics of a chain the slow way: 4 × 4 matrices and sums in the world frame.

Nothing is recursive in link frames here, as the kernels are. `pinocchio_model` is the third
opinion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from checkrein.limits import Limits
from checkrein.limits.records import Array


def rotation_z(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def cross(a: Array, b: Array) -> Array:
    """np.cross, for one pair of vectors and without its overhead."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def transform(rotation: Array, translation: Array) -> Array:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation, translation
    return out


def frames(limits: Limits, q: Array) -> list[Array]:
    """T_base_joint (4, 4) of every joint."""
    chain, out, T = limits.kinematics, [], np.eye(4)
    for i, joint in enumerate(limits.joints):
        T = T @ transform(chain.rotation[i], chain.translation[i])
        if joint.type == "prismatic":
            T = T @ transform(np.eye(3), np.array([0.0, 0.0, q[i]]))
        else:
            T = T @ transform(rotation_z(float(q[i])), np.zeros(3))
        out.append(T)
    return out


def point(T: Array, p: Array) -> Array:
    return np.asarray(T[:3, :3] @ p + T[:3, 3])


def tcp(limits: Limits, q: Array) -> Array:
    """Position (3,) of the tool centre point."""
    return point(frames(limits, q)[-1], limits.kinematics.tcp_translation)


def capsule_axes(limits: Limits, q: Array) -> Array:
    """Axes (k, 2, 3) of all link capsules."""
    placed = frames(limits, q)
    return np.array(
        [[point(placed[c.joint], c.start), point(placed[c.joint], c.end)] for c in limits.capsules]
    )


def jacobian(limits: Limits, q: Array, p: Array, last: int) -> Array:
    """(6, n) linear, then angular velocity of a point p (world) fixed to link `last`."""
    J, placed = np.zeros((6, len(limits.joints))), frames(limits, q)
    for j in range(last + 1):
        z, origin = placed[j][:3, 2], placed[j][:3, 3]
        if limits.joints[j].type == "prismatic":
            J[:3, j] = z
        else:
            J[:3, j], J[3:, j] = cross(z, p - origin), z
    return J


def _motion_of(limits: Limits, q: Array, dq: Array, ddq: Array) -> list[tuple[Array, ...]]:
    """Per link: frame, angular velocity and acceleration, acceleration of its COM; world axes."""
    chain = limits.kinematics
    out: list[tuple[Array, ...]] = []
    w, e, a, origin = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    for i, T in enumerate(frames(limits, q)):
        arm, z = T[:3, 3] - origin, T[:3, 2]
        a = a + cross(e, arm) + cross(w, cross(w, arm))
        if limits.joints[i].type == "prismatic":
            a = a + ddq[i] * z + 2.0 * cross(w, dq[i] * z)
        else:
            e = e + ddq[i] * z + cross(w, dq[i] * z)
            w = w + dq[i] * z
        origin = T[:3, 3]
        lever = T[:3, :3] @ chain.com[i]
        out.append((T, w, e, a + cross(e, lever) + cross(w, cross(w, lever))))
    return out


def efforts(limits: Limits, q: Array, dq: Array, ddq: Array) -> Array:
    """Joint efforts (n,): what each joint must carry of the change of momentum of all behind it."""
    chain, n = limits.kinematics, len(limits.joints)
    moving, tau = _motion_of(limits, q, dq, ddq), np.zeros(n)
    for k, (T, w, e, a) in enumerate(moving):
        force = chain.mass[k] * (a - chain.gravity)
        inertia = T[:3, :3] @ chain.inertia[k] @ T[:3, :3].T
        moment = inertia @ e + cross(w, inertia @ w)
        com = point(T, chain.com[k])
        for i in range(k + 1):
            z, origin = moving[i][0][:3, 2], moving[i][0][:3, 3]
            if limits.joints[i].type == "prismatic":
                tau[i] += z @ force
            else:
                tau[i] += z @ (cross(com - origin, force) + moment)
    return tau


def pinocchio_model(pin: Any, limits: Limits) -> Any:
    """The same chain as a Pinocchio model."""
    model, chain = pin.Model(), limits.kinematics
    model.gravity = pin.Motion(np.array(chain.gravity), np.zeros(3))
    for i, joint in enumerate(limits.joints):
        kind = pin.JointModelPZ() if joint.type == "prismatic" else pin.JointModelRZ()
        placement = pin.SE3(np.array(chain.rotation[i]), np.array(chain.translation[i]))
        model.addJoint(i, kind, placement, joint.name)
        body = pin.Inertia(float(chain.mass[i]), np.array(chain.com[i]), np.array(chain.inertia[i]))
        model.appendBodyToJoint(i + 1, body, pin.SE3.Identity())
    return model

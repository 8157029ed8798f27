"""Kinematics for the scripted policies: where the tool is, and which joint motion moves it so.

Guarantees: plain NumPy on the frozen file's `kinematics`; shares no code with the filter. The
policies that use it are the protected party, so nothing here is a safety function.

Frames: T_base_tcp; Jacobians are (6, n), linear [m/rad] over angular [rad/rad], base frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Chain", "hermite", "rotation_matrix", "rotation_vector"]

Array = npt.NDArray[np.float64]
_NEXT, _LAST = [1, 2, 0], [2, 0, 1]


def rotation_vector(rotation: Array) -> Array:
    """Axis times angle (3,) [rad] of a rotation (3, 3) by less than pi."""
    m = rotation
    sine = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]]) / 2.0
    size = float(np.linalg.norm(sine))
    angle = float(np.arctan2(size, (np.trace(m) - 1.0) / 2.0))
    return sine * (angle / size) if size > 1e-12 else sine


def rotation_matrix(vector: Array) -> Array:
    """Rotation (3, 3) by |vector| [rad] about `vector` (3,)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross)


def hermite(knots: Array, place: Array) -> Array:  # (k, n), (m,) -> (m, n)
    """A smooth curve through `knots`, cubic between them; `place` counts knots, from 0 to k - 1."""
    slope = np.gradient(knots, axis=0)
    i = np.clip(np.floor(place).astype(np.int64), 0, len(knots) - 2)
    u = (np.clip(place, 0.0, len(knots) - 1.0) - i)[:, None]
    v = 1.0 - u
    return np.asarray(
        (1.0 + 2.0 * u) * v * v * knots[i]
        + u * v * v * slope[i]
        + u * u * (3.0 - 2.0 * u) * knots[i + 1]
        - u * u * v * slope[i + 1]
    )


class Chain:
    """A serial chain; joint axes are +z of their frames, as the freezer turns them."""

    def __init__(self, frozen: Mapping[str, Any]) -> None:
        kinematics, joints = frozen["kinematics"], frozen["joints"]
        self.n = len(joints)
        self.low: Array = np.array([joint.get("min_position", -np.inf) for joint in joints])
        self.high: Array = np.array([joint.get("max_position", np.inf) for joint in joints])
        self._slides = [joint["type"] == "prismatic" for joint in joints]
        frames = kinematics["joints"]
        self._rotation = [np.array(f["rotation"], dtype=np.float64).reshape(3, 3) for f in frames]
        self._translation = [np.array(f["translation"], dtype=np.float64) for f in frames]
        tcp = kinematics["tcp"]
        self._tcp_rotation: Array = np.array(tcp["rotation"], dtype=np.float64).reshape(3, 3)
        self._tcp_translation: Array = np.array(tcp["translation"], dtype=np.float64)

    def tcp(self, q: Array) -> tuple[Array, Array, Array]:
        """(rotation (3, 3), position (3,) [m], Jacobian (6, n)) of the TCP."""
        rotation, position = np.eye(3), np.zeros(3)
        axes, origins = np.empty((self.n, 3)), np.empty((self.n, 3))
        for i in range(self.n):
            position = position + rotation @ self._translation[i]
            rotation = rotation @ self._rotation[i]
            axes[i] = rotation[:, 2]
            if self._slides[i]:
                position = position + axes[i] * q[i]
            else:
                c, s = np.cos(q[i]), np.sin(q[i])
                rotation = rotation @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
            origins[i] = position
        position = position + rotation @ self._tcp_translation
        rotation = rotation @ self._tcp_rotation
        slides = np.array(self._slides)
        arms = position - origins
        turned = (
            axes[:, _NEXT] * arms[:, _LAST] - axes[:, _LAST] * arms[:, _NEXT]
        )  # the cross product
        linear = np.where(slides[:, None], axes, turned)
        angular = np.where(slides[:, None], 0.0, axes)
        return rotation, position, np.vstack((linear.T, angular.T))

    def solve(
        self, q: Array, rotation: Array, position: Array, steps: int = 30, damping: float = 0.02
    ) -> tuple[Array, float]:
        """Joint positions near `q` for a TCP pose, and the error left [m plus rad]."""
        q = q.copy()
        error = np.full(6, np.inf)
        for _ in range(steps):
            now, at, jacobian = self.tcp(q)
            skew = rotation @ now.T
            turn = np.array(
                [skew[2, 1] - skew[1, 2], skew[0, 2] - skew[2, 0], skew[1, 0] - skew[0, 1]]
            )
            error = np.concatenate((position - at, turn / 2.0))
            if float(np.linalg.norm(error)) < 1e-6:
                break
            q = np.clip(q + self.rates(jacobian, error, damping), self.low, self.high)
        return q, float(np.linalg.norm(error))

    @staticmethod
    def rates(jacobian: Array, twist: Array, damping: float = 0.02) -> Array:  # (n,)
        """Damped least squares: joint rates whose twist (m,) is nearest to the wanted one."""
        square = jacobian @ jacobian.T + damping**2 * np.eye(jacobian.shape[0])
        return np.asarray(jacobian.T @ np.linalg.solve(square, twist))

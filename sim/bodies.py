"""Static bodies for declared keep-out volumes.

Guarantees: the body is the volume, no larger and no smaller; a shape that is not known is an error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .model import Frozen

__all__ = ["add_static_volume"]

Array = npt.NDArray[np.float64]


def _quaternion(rotation: Array) -> list[float]:
    """xyzw of a rotation matrix (3, 3)."""
    m = rotation
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    if trace > 0.0:
        s = 2.0 * math.sqrt(trace + 1.0)
        w = 0.25 * s
        return [(m[2, 1] - m[1, 2]) / s, (m[0, 2] - m[2, 0]) / s, (m[1, 0] - m[0, 1]) / s, w]
    i = int(np.argmax(np.diag(m)))
    j, k = (i + 1) % 3, (i + 2) % 3
    s = 2.0 * math.sqrt(1.0 + m[i, i] - m[j, j] - m[k, k])
    xyz = [0.0, 0.0, 0.0]
    xyz[i], xyz[j], xyz[k] = 0.25 * s, (m[j, i] + m[i, j]) / s, (m[k, i] + m[i, k]) / s
    return [*xyz, (m[k, j] - m[j, k]) / s]


def _quaternion_from_z(direction: Array) -> list[float]:
    """xyzw of some rotation that turns +z into `direction` (3,)."""
    z = direction / np.linalg.norm(direction)
    other = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = np.cross(other, z)
    x /= np.linalg.norm(x)
    return _quaternion(np.column_stack((x, np.cross(z, x), z)))


def _shape(p: Any, client: int, volume: Frozen) -> tuple[int, Array, list[float]]:
    """PyBullet collision shape, position (3,) and orientation xyzw of a volume."""
    shape, upright = volume["shape"], [0.0, 0.0, 0.0, 1.0]
    if shape == "half_space":
        normal: Array = np.array(volume["normal"], dtype=np.float64)
        plane = p.createCollisionShape(
            p.GEOM_PLANE, planeNormal=list(normal), physicsClientId=client
        )
        return plane, normal * float(volume["offset"]), upright
    if shape == "capsule":
        start: Array = np.array(volume["start"], dtype=np.float64)
        end: Array = np.array(volume["end"], dtype=np.float64)
        length = float(np.linalg.norm(end - start))
        capsule = p.createCollisionShape(
            p.GEOM_CAPSULE, radius=float(volume["radius"]), height=length, physicsClientId=client
        )
        turn = _quaternion_from_z(end - start) if length > 0.0 else upright
        return capsule, (start + end) / 2.0, turn
    center: Array = np.array(volume.get("center", ()), dtype=np.float64)
    if shape == "box":
        half = [float(value) for value in volume["half_extents"]]
        box = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=client)
        rotation = np.array(volume["rotation"], dtype=np.float64).reshape(3, 3)
        return box, center, _quaternion(rotation)
    if shape == "cylinder":
        start, end = (np.array(volume[key], dtype=np.float64) for key in ("start", "end"))
        height = float(np.linalg.norm(end - start))
        cylinder = p.createCollisionShape(
            p.GEOM_CYLINDER, radius=float(volume["radius"]), height=height, physicsClientId=client
        )
        return cylinder, (start + end) / 2.0, _quaternion_from_z(end - start)
    if shape == "mesh":  # of vertices alone, PyBullet makes the convex hull
        corners: Array = np.array(volume["vertices"], dtype=np.float64)
        middle = (corners.min(axis=0) + corners.max(axis=0)) / 2.0
        hull = p.createCollisionShape(
            p.GEOM_MESH, vertices=(corners - middle).tolist(), physicsClientId=client
        )
        return hull, middle, upright
    if shape == "sphere":
        radius = float(volume["radius"])
        ball = p.createCollisionShape(p.GEOM_SPHERE, radius=radius, physicsClientId=client)
        return ball, center, upright
    raise ValueError(
        f"volume {volume['name']!r}: shape {shape!r} is none of half_space, box, sphere, capsule, "
        f"cylinder, mesh"
    )


def add_static_volume(p: Any, client: int, volume: Frozen) -> int:
    """Add a keep-out volume as a body that does not move; returns its PyBullet id."""
    collision, position, turn = _shape(p, client, volume)
    body = p.createMultiBody(0.0, collision, -1, list(position), turn, physicsClientId=client)
    return int(body)

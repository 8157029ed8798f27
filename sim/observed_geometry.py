"""The observer's own geometry: collision meshes as files have them, and their clearances.

Guarantees: shares no code with the filter. Convex shapes are judged by their vertices: inside a
convex keep-in volume or outside a half-space, exact; against other keep-out volumes PyBullet's
closest points *and* every vertex are judged, the smaller clearance counts. A mesh to keep out of
is never nearer than its clearance says, and the sign is exact.

Clearances are in metres, negative: violated.
"""

from __future__ import annotations

import math
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Hull", "ObservedVolume", "point_clearances", "read_hulls"]

Array = npt.NDArray[np.float64]
CIRCLE_CORNERS = 128


@dataclass(frozen=True, slots=True, eq=False)
class Hull:
    """All points within `radius` of the convex hull of `points` (m, 3), in the link's frame."""

    link: str
    points: Array
    radius: float


@dataclass(frozen=True, slots=True, eq=False)
class ObservedVolume:
    """A declared volume as the observer reads it; `fields` are the shape's own."""

    name: str
    keep_in: bool
    shape: str
    exempt: frozenset[str]
    fields: Mapping[str, Array]

    @staticmethod
    def parse(volume: Mapping[str, Any]) -> ObservedVolume:
        """From the frozen file's JSON; refuses what it does not know."""
        names = {
            "half_space": ("normal", "offset"),
            "box": ("center", "rotation", "half_extents"),
            "sphere": ("center", "radius"),
            "capsule": ("start", "end", "radius"),
            "cylinder": ("start", "end", "radius"),
            "mesh": ("vertices", "planes"),
        }[volume["shape"]]
        if volume["kind"] not in ("keep_in", "keep_out"):
            raise ValueError(f"volume {volume['name']!r}: unknown kind {volume['kind']!r}")
        fields = {name: np.array(volume[name], dtype=np.float64) for name in names}
        keep_in = volume["kind"] == "keep_in"
        exempt = frozenset(volume["exempt"])
        return ObservedVolume(volume["name"], keep_in, volume["shape"], exempt, fields)


def point_clearances(volume: ObservedVolume, points: Array) -> Array:  # (m, 3) -> (m,)
    """Signed distance of each point from what the volume forbids.

    From a mesh to keep out of: no more than that, and positive where the point is outside.
    """
    f = volume.fields
    if volume.shape == "half_space":
        inside = f["offset"] - points @ f["normal"]
    elif volume.shape == "box":
        local = np.abs((points - f["center"]) @ f["rotation"].reshape(3, 3)) - f["half_extents"]
        outer = np.sqrt((np.maximum(local, 0.0) ** 2).sum(axis=1))
        inside = -(outer + np.minimum(local.max(axis=1), 0.0))
    elif volume.shape == "sphere":
        offset = points - f["center"]
        inside = f["radius"] - np.sqrt((offset * offset).sum(axis=1))
    elif volume.shape == "mesh":
        inside = (f["planes"][:, 3] - points @ f["planes"][:, :3].T).min(axis=1)
    elif volume.shape == "cylinder":
        axis = f["end"] - f["start"]
        length = np.sqrt(axis @ axis)
        along = (points - f["start"]) @ axis / length
        offset = points - f["start"] - along[:, None] * axis / length
        radial = np.sqrt((offset * offset).sum(axis=1)) - f["radius"]
        axial = np.abs(along - length / 2.0) - length / 2.0
        beyond = np.hypot(np.maximum(radial, 0.0), np.maximum(axial, 0.0))
        inside = -(beyond + np.minimum(np.maximum(radial, axial), 0.0))
    else:
        axis = f["end"] - f["start"]
        square = float(axis @ axis)
        share = (points - f["start"]) @ axis / (square if square > 0.0 else 1.0)
        offset = points - f["start"] - np.clip(share, 0.0, 1.0)[:, None] * axis
        inside = f["radius"] - np.sqrt((offset * offset).sum(axis=1))
    return inside if volume.keep_in else -inside


def _obj_points(path: Path) -> Array:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split()[1:4] for line in lines if line.startswith("v ")]
    return np.array(rows, dtype=np.float64)


def _stl_points(path: Path) -> Array:
    content = path.read_bytes()
    count = struct.unpack_from("<I", content, 80)[0] if len(content) >= 84 else -1
    if len(content) == 84 + 50 * count:
        record = np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("spare", "<u2")])
        corners = np.frombuffer(content, dtype=record, offset=84)["corner"]
        return corners.reshape(-1, 3).astype(np.float64)
    words = [line.split() for line in content.decode("ascii", "replace").splitlines()]
    rows = [word[1:4] for word in words if word[:1] == ["vertex"]]
    return np.array(rows, dtype=np.float64)


def _mesh_points(path: Path) -> Array:
    suffix = path.suffix.lower()
    if suffix not in (".obj", ".stl"):
        raise ValueError(f"collision mesh {path}: the observer reads .obj and .stl, not {suffix}")
    points = _obj_points(path) if suffix == ".obj" else _stl_points(path)
    if points.ndim != 2 or points.shape[0] == 0:
        raise ValueError(f"collision mesh {path}: holds no vertex")
    return np.unique(points, axis=0)


def _shape_points(geometry: ElementTree.Element) -> tuple[Array, float]:
    shape = geometry[0]
    if shape.tag == "mesh":
        scale = [float(word) for word in shape.get("scale", "1 1 1").split()]
        return _mesh_points(Path(str(shape.get("filename")))) * np.array(scale), 0.0
    if shape.tag == "box":
        half = np.array([float(word) for word in str(shape.get("size")).split()]) / 2.0
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        return signs * half, 0.0
    radius = float(str(shape.get("radius")))
    if shape.tag == "sphere":
        return np.zeros((1, 3)), radius
    half_length = float(str(shape.get("length"))) / 2.0
    if shape.tag == "capsule":
        return np.array([[0.0, 0.0, -half_length], [0.0, 0.0, half_length]]), radius
    turn = 2.0 * math.pi / CIRCLE_CORNERS * np.arange(CIRCLE_CORNERS)
    circle = np.column_stack((radius * np.cos(turn), radius * np.sin(turn)))
    ends = [np.column_stack((circle, np.full(len(turn), z))) for z in (-half_length, half_length)]
    return np.vstack(ends), 0.0


def _placement(element: ElementTree.Element | None) -> tuple[Array, Array]:
    """Rotation (3, 3) and translation (3,) of an <origin>."""
    xyz, rpy = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    if element is not None:
        xyz = [float(word) for word in element.get("xyz", "0 0 0").split()]
        rpy = [float(word) for word in element.get("rpy", "0 0 0").split()]
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    rotation = np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
    return rotation, np.array(xyz)


def read_hulls(urdf: Path, links: Set[str]) -> list[Hull]:
    """Every collision shape of the named links."""
    robot = ElementTree.fromstring(urdf.read_bytes())
    hulls = []
    for link in robot.findall("link"):
        name = str(link.get("name"))
        if name not in links:
            continue
        for collision in link.findall("collision"):
            geometry = collision.find("geometry")
            if geometry is None or len(geometry) == 0:
                continue
            points, radius = _shape_points(geometry)
            rotation, translation = _placement(collision.find("origin"))
            points = points @ rotation.T + translation
            hulls.append(Hull(name, points, radius))
    return hulls

"""Reads the triangles of a collision mesh: Wavefront OBJ and STL, text or binary.

Not left to a library: the one at hand drops parts of an OBJ that holds several objects (it does so
with the Panda's link 6), and a capsule around the rest would not contain the link.

Guarantees: every face of the file is in the result, polygons as fans; every coordinate is finite;
a file that is cut short, empty or of another type is refused.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ..errors import RobotError
from ..records import Array

__all__ = ["read_triangles"]

BYTES_MAX = 64 << 20
STL_HEADER_BYTES = 84
STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")])


def read_triangles(path: Path) -> Array:
    """Triangles (m, 3, 3) of the mesh, in the file's unit."""
    suffix = path.suffix.lower()
    if suffix not in (".obj", ".stl"):
        raise RobotError(f"{path}: a collision mesh must be .obj or .stl; convert it")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RobotError(f"{path}: {error.strerror or error}") from error
    if len(data) > BYTES_MAX:
        raise RobotError(f"{path}: {len(data)} bytes, more than {BYTES_MAX}")
    try:
        triangles = _obj(data) if suffix == ".obj" else _stl(data)
    except (ValueError, IndexError, struct.error) as error:
        raise RobotError(f"{path}: not a mesh: {error}") from error
    if not len(triangles):
        raise RobotError(f"{path}: no triangle in it")
    if not bool(np.isfinite(triangles).all()):
        raise RobotError(f"{path}: a coordinate is not finite")
    return triangles


def _obj(data: bytes) -> Array:
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line in data.decode("utf-8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(word) for word in words[1:4]])
        elif words[0] == "f":
            # "7/2/3" is vertex 7; negative numbers count back from the last vertex so far.
            numbers = [int(word.split("/")[0]) for word in words[1:]]
            index = [k - 1 if k > 0 else len(vertices) + k for k in numbers]
            if len(index) < 3 or min(index) < 0 or 0 in numbers:
                raise ValueError(f"face {line.strip()!r}")
            faces += [(index[0], index[k], index[k + 1]) for k in range(1, len(index) - 1)]
    if not faces:
        return np.empty((0, 3, 3))
    return np.asarray(np.array(vertices, dtype=np.float64)[np.array(faces)])


def _stl(data: bytes) -> Array:
    # Text files begin with "solid", but so do the headers of some binary ones: the size tells.
    if len(data) >= STL_HEADER_BYTES:
        (count,) = struct.unpack_from("<I", data, STL_HEADER_BYTES - 4)
        if len(data) == STL_HEADER_BYTES + count * STL_FACET.itemsize:
            facets = np.frombuffer(data, dtype=STL_FACET, offset=STL_HEADER_BYTES)
            return np.asarray(facets["corners"], dtype=np.float64)
    words = data.decode("ascii").split()
    if words[:1] != ["solid"] or "endsolid" not in words:
        raise ValueError("neither a whole text STL nor a whole binary one")
    corners = [
        [float(word) for word in words[k + 1 : k + 4]]
        for k, word in enumerate(words)
        if word == "vertex"
    ]
    if len(corners) % 3:
        raise ValueError(f"{len(corners)} vertices are no triangles")
    return np.array(corners, dtype=np.float64).reshape(-1, 3, 3)

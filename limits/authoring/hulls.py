"""The convex hull of a volume that is given as points or as a mesh file.

Guarantees: the hull's corners are points that were given, none is moved; planes are outward, with
coplanar facets as one; what the runtime would refuse is refused here, with the way out.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LimitsFileError, MissingExtraError
from ..polyhedra import ON_PLANE_M, VERTICES_MAX, why_not_solid
from ..records import Array
from .meshes import read_triangles

__all__ = ["convex_hull", "mesh_points"]

SIZE_MAX_M = 20.0
DECIMALS = 12


def mesh_points(file: str, scale: float, beside: Path | None, where: str) -> Array:
    """Corners (m, 3) [m] of the triangles in an .stl or .obj file, beside the limits file."""
    path = Path(file)
    if not path.is_absolute() and beside is not None:
        path = beside / path
    points = np.unique(read_triangles(path).reshape(-1, 3), axis=0) * scale
    size = float(np.ptp(points, axis=0).max())
    if not size <= SIZE_MAX_M:
        raise LimitsFileError(
            f"{where}.file: {path.name} is {size:g} m large, at most {SIZE_MAX_M:g} m; if it is in "
            f"millimetres, add 'scale: 0.001'"
        )
    return points


def convex_hull(points: Array, where: str) -> tuple[Array, Array]:
    """Vertices (v, 3) and planes (f, 4) of the hull of points (m, 3) [m], rounded as frozen."""
    points = np.unique(np.round(points, DECIMALS), axis=0)
    try:
        # By name: the runtime can reach this file, and must not depend on what it imports.
        spatial: Any = importlib.import_module("scipy.spatial")
    except ImportError as error:
        raise MissingExtraError("freezing a mesh volume", "authoring", "scipy") from error
    try:
        hull = spatial.ConvexHull(points)
    except (spatial.QhullError, ValueError) as error:
        raise LimitsFileError(
            f"{where}: the points span no body (fewer than 4 of them, or all in one plane)"
        ) from error
    vertices = points[np.sort(hull.vertices)]
    if len(vertices) > VERTICES_MAX:
        raise LimitsFileError(
            f"{where}: the convex hull has {len(vertices)} corners, at most {VERTICES_MAX}; "
            f"simplify the mesh, split it into several volumes, or use a box, cylinder or capsule "
            f"that contains it"
        )
    planes = _merged(np.asarray(hull.equations), vertices)
    wrong = why_not_solid(vertices, planes)
    if wrong is not None:
        raise LimitsFileError(
            f"{where}: the convex hull is degenerate ({wrong}); corners that are almost flat or "
            f"almost one: leave them out"
        )
    return vertices, planes


def _merged(equations: Array, vertices: Array) -> Array:
    """One plane (f, 4) for each face: facets that hold the same vertices are one."""
    normals = np.round(equations[:, :3], DECIMALS) + 0.0
    offsets = (vertices @ normals.T).max(axis=0)
    faces: dict[bytes, Array] = {}
    for normal, offset in zip(normals, offsets, strict=True):
        touches = np.abs(vertices @ normal - offset) <= ON_PLANE_M
        plane = np.round(np.append(normal, offset), DECIMALS) + 0.0
        faces.setdefault(touches.tobytes(), plane)
    return np.array(sorted(faces.values(), key=tuple))

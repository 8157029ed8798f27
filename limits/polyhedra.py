"""Convex polyhedra, given twice: by their vertices and by their outward face planes.

Guarantees:
- `why_not_solid` accepts only what both descriptions agree on: every plane a unit normal that
  supports the body and holds three of its vertices or more, every vertex behind every plane, and
  V - E + F = 2, so that no face is missing, doubled or invented, and no vertex is inside.
- `segment_distance` is the distance of whole segments, by projection onto faces and edges; the
  filter's kernel, which searches for a separating direction, shares no code with it.
"""

from __future__ import annotations

import numpy as np

from .records import Array

__all__ = [
    "ON_PLANE_M",
    "VERTICES_MAX",
    "edges_of",
    "segment_distance",
    "segment_gaps",
    "why_not_solid",
]

VERTICES_MAX = 64
ON_PLANE_M = 1e-9
UNIT_WITHIN = 1e-9


def _heights(vertices: Array, planes: Array) -> Array:
    """Signed distance (m, f) of each vertex (m, 3) from each plane (f, 4); positive: in front."""
    return np.asarray(vertices @ planes[:, :3].T - planes[:, 3])


def edges_of(vertices: Array, planes: Array) -> Array:
    """Pairs of vertices (e, 2) that lie on two planes in common."""
    touches = (np.abs(_heights(vertices, planes)) <= ON_PLANE_M).astype(np.int64)
    first, second = np.nonzero(np.triu(touches @ touches.T, k=1) >= 2)
    return np.column_stack([first, second])


def why_not_solid(vertices: Array, planes: Array) -> str | None:
    """What is wrong with a polyhedron of vertices (m, 3) and planes (f, 4); None: nothing."""
    count = len(vertices)
    if not 4 <= count <= VERTICES_MAX:
        return f"vertices: {count}, from 4 to {VERTICES_MAX} are allowed"
    if not 4 <= len(planes) <= 2 * VERTICES_MAX:
        return f"planes: {len(planes)}, from 4 to {2 * VERTICES_MAX} are allowed"
    lengths = np.linalg.norm(planes[:, :3], axis=1)
    worst = int(np.abs(lengths - 1.0).argmax())
    if not abs(float(lengths[worst]) - 1.0) <= UNIT_WITHIN:
        return f"planes.{worst}: the normal is of length {lengths[worst]:g}, expected 1"
    heights = _heights(vertices, planes)
    if not float(heights.max()) <= ON_PLANE_M:
        v, f = np.unravel_index(int(heights.argmax()), heights.shape)
        return f"vertices.{v} is {heights[v, f] * 1e3:g} mm in front of planes.{f}: not convex"
    touching = (np.abs(heights) <= ON_PLANE_M).sum(axis=0)
    if not int(touching.min()) >= 3:
        least = int(touching.argmin())
        return f"planes.{least} holds {touching[least]} vertices, a face has 3 or more"
    edges = len(edges_of(vertices, planes))
    if count - edges + len(planes) != 2:
        return (
            f"{count} vertices, {edges} edges and {len(planes)} planes are no closed convex body: "
            f"a face is missing or doubled, or a vertex is no corner"
        )
    return None


def segment_gaps(start: Array, end: Array, first: Array, second: Array) -> Array:
    """Distance (..., e) of segments start-end (..., 3) from segments first-second (e, 3).

    After Ericson, Real-Time Collision Detection (2005), 5.1.9: the best s without bounds, clamped,
    the best t for it, clamped, and the best s for that. Also from both ends: segments that are
    parallel have no best s.
    """
    u, v = (end - start)[..., None, :], second - first
    w = start[..., None, :] - first
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    safe_u, safe_v = np.where(uu > 0.0, uu, 1.0), np.where(vv > 0.0, vv, 1.0)
    det = uu * vv - uv * uv
    inner = (uv * vw - vv * uw) / np.where(det > 0.0, det, 1.0)
    best = np.full(det.shape, np.inf)
    # Given s, the best t; given that t, the best s.
    for s in (np.zeros_like(det), np.ones_like(det), np.clip(inner, 0.0, 1.0)):
        t = np.clip((vw + s * uv) / safe_v, 0.0, 1.0)
        again = np.where(uu > 0.0, np.clip((t * uv - uw) / safe_u, 0.0, 1.0), 0.0)
        gap = w + again[..., None] * u - t[..., None] * v
        best = np.minimum(best, np.sqrt((gap * gap).sum(-1)))
    return best


def segment_distance(vertices: Array, planes: Array, start: Array, end: Array) -> Array:
    """Distance (...) [m] of segments start-end (..., 3) from the solid; 0 where they enter it."""
    edges = edges_of(vertices, planes)
    best = segment_gaps(start, end, vertices[edges[:, 0]], vertices[edges[:, 1]]).min(axis=-1)
    normals = planes[:, :3]
    heights = [points @ normals.T - planes[:, 3] for points in (start, end)]
    for points, height in zip((start, end), heights, strict=True):
        # The nearest point is inside a face only below the plane that the point is highest above.
        face = height.argmax(axis=-1)
        top = height.max(axis=-1)
        foot = points - top[..., None] * normals[face]
        on_face = (foot @ normals.T - planes[:, 3]).max(axis=-1) <= ON_PLANE_M
        best = np.where(on_face, np.minimum(best, np.maximum(top, 0.0)), best)
    # The part of the segment that is behind every plane, if there is one (Cyrus and Beck, 1978).
    rise = heights[1] - heights[0]
    share = -heights[0] / np.where(rise == 0.0, 1.0, rise)
    enters = np.where(rise < 0.0, share, 0.0).max(axis=-1).clip(min=0.0)
    leaves = np.where(rise > 0.0, share, 1.0).min(axis=-1).clip(max=1.0)
    outside = ((rise == 0.0) & (heights[0] > 0.0)).any(axis=-1)
    return np.where(~outside & (enters <= leaves), 0.0, best)

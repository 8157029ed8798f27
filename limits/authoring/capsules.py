"""Fits capsules around collision geometry.

Guarantees:
- Every triangle lies within one capsule. A capsule is convex, so this follows from its corners;
  a link that is split is split by whole triangles.
- `excess_m` judges any capsule set, fitted or declared, and does not use the fit.
- The same triangles give the same capsules: the search is seeded and what it returns is rounded,
  the radius always up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..records import Array

__all__ = ["Segment", "box_capsules", "box_triangles", "capsule_of", "excess_m", "fit_capsules"]

STEP_MIN_M = 1e-5
STEPS_MAX = 250
DIRECTIONS = 400
SPLIT_GAIN_MIN = 0.2  # a further capsule costs run time: it must save this share of the volume
CAPSULES_PER_LINK_MAX = 3
DECIMALS = 5
ROUNDING_M = 2e-5  # radius is enlarged by more than rounding can move an end


@dataclass(frozen=True, slots=True)
class Segment:
    """A capsule without a home: all points within radius [m] of start-end (3,) [m]."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float

    def volume(self) -> float:
        """Volume [m³]."""
        length = math.dist(self.start, self.end)
        return math.pi * self.radius**2 * (length + 4.0 / 3.0 * self.radius)


def _distances(points: Array, start: Array, end: Array) -> Array:
    """Distance [m] of each point (m, 3) from the segment."""
    along = end - start
    square = float(along @ along)
    if square > 0.0:
        share = np.clip(((points - start) @ along) / square, 0.0, 1.0)
    else:
        share = np.zeros(len(points))
    return np.asarray(np.sqrt(((points - start - share[:, None] * along) ** 2).sum(axis=1)))


def excess_m(triangles: Array, segments: list[Segment]) -> float:
    """How far the worst triangle (m, 3, 3), or body of c corners (m, c, 3), sticks out of its best
    capsule [m]; <= 0: contained.
    """
    if not segments:
        return math.inf
    worst = np.full(len(triangles), np.inf)
    for segment in segments:
        distances = _distances(
            triangles.reshape(-1, 3), np.array(segment.start), np.array(segment.end)
        )
        furthest = distances.reshape(triangles.shape[:2]).max(axis=1)
        worst = np.minimum(worst, furthest - segment.radius)
    return float(worst.max(initial=-np.inf))


def _costs(points: Array, ends: Array) -> Array:
    """Volumes (k,) of the capsules with the axes ends (k, 6) that just contain points (m, 3)."""
    start, along = ends[:, :3], ends[:, 3:] - ends[:, :3]
    square = (along * along).sum(axis=1)
    away = points - start[:, None]  # (k, m, 3)
    share = np.einsum("kmc,kc->km", away, along) / np.maximum(square, 1e-12)[:, None]
    away = away - np.clip(share, 0.0, 1.0)[:, :, None] * along[:, None]
    radius = np.sqrt((away * away).sum(axis=2).max(axis=1))
    return np.asarray(math.pi * radius**2 * (np.sqrt(square) + 4.0 / 3.0 * radius))


def _descend(points: Array, ends: Array, scale: float) -> tuple[float, Array]:
    """Direct search over both ends: the cost is not smooth, so it tries directions, no gradient."""
    rng = np.random.default_rng(0)
    best = float(_costs(points, ends[None])[0])
    step = 0.2 * scale
    for _ in range(STEPS_MAX):
        if step < STEP_MIN_M:
            break
        directions = np.vstack([np.eye(6), rng.standard_normal((18, 6)) / math.sqrt(6.0)])
        trials = ends + step * np.vstack([directions, -directions])
        costs = _costs(points, trials)
        k = int(costs.argmin())
        if costs[k] < best * (1.0 - 1e-6):
            best, ends = float(costs[k]), trials[k]
        else:
            step *= 0.6
    return best, ends


def _extreme(points: Array) -> Array:
    """Those points that are farthest in some direction: their capsule contains (nearly) all."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((DIRECTIONS, 3))
    return np.asarray(points[np.unique((points @ directions.T).argmax(axis=0))])


def capsule_of(triangles: Array) -> Segment:
    """A capsule of (nearly) least volume around triangles (m, 3, 3)."""
    points = _extreme(np.unique(np.round(triangles.reshape(-1, 3), 7), axis=0))
    center = (points.max(axis=0) + points.min(axis=0)) / 2.0
    scale = float(np.ptp(points, axis=0).max())
    axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2]
    found: list[tuple[float, Array]] = []
    for axis in np.vstack([axes, np.eye(3)]):
        along = (points - center) @ axis
        radius = float(np.sqrt((((points - center) - along[:, None] * axis) ** 2).sum(1)).max())
        low, high = float(along.min()) + radius, float(along.max()) - radius
        if low > high:
            low = high = (low + high) / 2.0
        found.append(
            _descend(points, np.concatenate([center + low * axis, center + high * axis]), scale)
        )
    ends = np.round(min(found, key=lambda item: item[0])[1], DECIMALS)
    # The search saw a part of the corners; the radius is taken from all of them.
    needed = float(_distances(triangles.reshape(-1, 3), ends[:3], ends[3:]).max()) + ROUNDING_M
    factor = 10**DECIMALS
    return Segment(
        (float(ends[0]), float(ends[1]), float(ends[2])),
        (float(ends[3]), float(ends[4]), float(ends[5])),
        math.ceil(needed * factor) / factor,
    )


def fit_capsules(triangles: Array, count_max: int = CAPSULES_PER_LINK_MAX) -> list[Segment]:
    """Capsules around triangles (m, 3, 3): one, or more where a split saves enough volume."""
    whole = capsule_of(triangles)
    if count_max < 2 or len(triangles) < 2:
        return [whole]
    centroids = triangles.mean(axis=1)
    axis = np.linalg.svd(centroids - centroids.mean(axis=0), full_matrices=False)[2][0]
    along = centroids @ axis
    best: list[Segment] = [whole]
    best_volume = (1.0 - SPLIT_GAIN_MIN) * whole.volume()
    for share in (0.3, 0.4, 0.5, 0.6, 0.7):
        cut = float(along.min()) + share * float(np.ptp(along))
        low, high = triangles[along <= cut], triangles[along > cut]
        if len(low) == 0 or len(high) == 0:
            continue
        pair = [capsule_of(low), capsule_of(high)]
        volume = pair[0].volume() + pair[1].volume()
        if volume < best_volume:
            best, best_volume = pair, volume
    return best


def box_triangles(size: Array) -> Array:
    """The 12 triangles (12, 3, 3) of a box of edge lengths size (3,) [m] at the origin."""
    corners = np.array(
        [[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    ) * np.asarray(size)
    quads = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    faces = [(q[0], q[1], q[2]) for q in quads] + [(q[0], q[2], q[3]) for q in quads]
    return np.asarray(corners[np.array(faces)])


def box_capsules(size: Array, count_max: int = CAPSULES_PER_LINK_MAX) -> list[Segment]:
    """Parallel capsules that together contain a box of edges size (3,) [m] at the origin.

    A plate in one capsule would be as thick as it is wide; strips of it are not.
    """
    order = np.argsort(-np.asarray(size), kind="stable")
    long, wide, thin = (int(i) for i in order)
    count = max(1, min(count_max, round(float(size[wide]) / max(float(size[thin]), 1e-6))))
    width = float(size[wide]) / count
    radius = math.hypot(width / 2.0, float(size[thin]) / 2.0)
    half = float(size[long]) / 2.0
    factor = 10**DECIMALS
    segments = []
    for k in range(count):
        start, end = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        start[wide] = end[wide] = round(-float(size[wide]) / 2.0 + (k + 0.5) * width, DECIMALS)
        start[long], end[long] = -half, half
        segments.append(
            Segment(
                (start[0], start[1], start[2]),
                (end[0], end[1], end[2]),
                math.ceil((radius + ROUNDING_M) * factor) / factor,
            )
        )
    return segments

"""Capsule fitting: containment is hard, tightness is measured on shapes with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from checkrein.limits.authoring.capsules import (
    Segment,
    box_capsules,
    box_triangles,
    capsule_of,
    excess_m,
    fit_capsules,
)
from checkrein.limits.records import Array


def distance(point: Array, segment: Segment) -> float:
    """Distance of a point from a capsule's axis, by dense search: not how the code does it."""
    start, end = np.array(segment.start), np.array(segment.end)
    share = np.linspace(0.0, 1.0, 2001)[:, None]
    return float(np.linalg.norm(start + share * (end - start) - point, axis=1).min())


def rod(radius: float, length: float) -> Array:
    """Triangles of a rod along (1, 1, 0)/√2, hemispherical ends."""
    rng = np.random.default_rng(3)
    ball = rng.standard_normal((600, 3))
    ball *= radius / np.linalg.norm(ball, axis=1, keepdims=True)
    axis = np.array([1.0, 1.0, 0.0]) / math.sqrt(2.0)
    side = np.where((ball @ axis) > 0.0, 1.0, -1.0)
    return np.asarray((ball + side[:, None] * axis * length / 2.0).reshape(-1, 3, 3))


def test_fit_contains_random_meshes() -> None:
    rng = np.random.default_rng(1)
    for _ in range(4):
        triangles = rng.normal(size=(40, 3, 3)) * rng.uniform(0.02, 0.3, 3) + rng.normal(size=3)
        segments = fit_capsules(triangles)
        assert excess_m(triangles, segments) <= 0.0
        for triangle in triangles:
            inside = [
                all(distance(corner, s) <= s.radius + 1e-6 for corner in triangle) for s in segments
            ]
            assert any(inside)


def test_fit_of_a_rod_is_the_rod() -> None:
    found = capsule_of(rod(0.05, 0.3))
    exact = math.pi * 0.05**2 * (0.3 + 4.0 / 3.0 * 0.05)
    assert found.volume() <= 1.05 * exact


def test_fit_is_reproducible() -> None:
    triangles = rod(0.04, 0.2)
    assert capsule_of(triangles) == capsule_of(triangles.copy())


def test_an_angled_mesh_is_split_by_whole_triangles() -> None:
    upright = box_triangles(np.array([0.04, 0.04, 0.5]))
    lying = box_triangles(np.array([0.5, 0.04, 0.04])) + np.array([0.25, 0.0, 0.25])
    triangles = np.concatenate([upright, lying])
    segments = fit_capsules(triangles)
    assert len(segments) == 2
    assert sum(s.volume() for s in segments) < 0.5 * capsule_of(triangles).volume()
    assert excess_m(triangles, segments) <= 0.0


def test_excess_says_by_how_much() -> None:
    triangles = box_triangles(np.array([0.2, 0.2, 0.2]))
    half_diagonal = 0.1 * math.sqrt(3.0)
    around = Segment((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.15)
    assert excess_m(triangles, [around]) == pytest.approx(half_diagonal - 0.15)
    assert excess_m(triangles, []) == math.inf


def test_excess_wants_a_triangle_within_one_capsule() -> None:
    # Each corner is in some capsule, the triangle in none: its middle would stick out.
    triangle = np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.1, 0.0]]])
    ends = [Segment(p, p, 0.2) for p in ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.5, 0.1, 0.0))]
    assert excess_m(triangle, ends) > 0.0


@pytest.mark.parametrize("size", [(0.24, 0.24, 0.012), (0.06, 0.06, 0.08), (1.0, 0.1, 0.1)])
def test_strips_contain_the_box(size: tuple[float, float, float]) -> None:
    segments = box_capsules(np.array(size))
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (500, 3)) * size
    corners = box_triangles(np.array(size)).reshape(-1, 3)
    for point in np.concatenate([points, corners]):
        assert min(distance(point, s) - s.radius for s in segments) <= 1e-6
    assert all(s.radius < 0.75 * max(size) for s in segments)

"""Polyhedra: what is accepted as one, and how far a segment is from it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from tests.limits.slow_geometry import axis_points, signed_distance, spacing
from tests.robots import array

from checkrein.limits import OnViolation, Volume
from checkrein.limits.authoring.hulls import convex_hull
from checkrein.limits.polyhedra import edges_of, segment_distance, why_not_solid
from checkrein.limits.records import Array

CUBE = np.array([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])


def cube() -> tuple[Array, Array]:
    return convex_hull(CUBE, "cube")


def test_a_cube_has_its_corners_edges_and_six_faces() -> None:
    vertices, planes = cube()
    assert len(vertices) == 8
    assert len(planes) == 6  # not the twelve facets of its triangles
    assert len(edges_of(vertices, planes)) == 12
    assert why_not_solid(vertices, planes) is None


@pytest.mark.parametrize("count", [4, 7, 20, 40])
def test_random_hulls_are_solid(count: int) -> None:
    points = np.random.default_rng(count).normal(size=(count, 3))
    vertices, planes = convex_hull(points, "some")
    assert why_not_solid(vertices, planes) is None
    assert (points @ planes[:, :3].T <= planes[:, 3] + 1e-9).all()
    assert {tuple(v) for v in vertices} <= {tuple(v) for v in np.round(points, 12)}


def test_what_does_not_agree_is_no_solid() -> None:
    vertices, planes = cube()
    far, long = vertices.copy(), planes.copy()
    far[7] += 0.1
    long[2] *= 1.001
    for wrong, complaint in (
        ((far, planes), "not convex"),
        ((vertices, long), "of length 1.001"),
        ((vertices, planes[1:]), "missing or doubled"),
        ((vertices, np.vstack([planes, planes[:1]])), "missing or doubled"),
        ((np.vstack([vertices, [[0.5, 0.5, 0.5]]]), planes), "no corner"),
        ((vertices, np.vstack([planes, [[0.6, 0.8, 0.0, 1.4]]])), "holds 2 vertices"),
        ((vertices, np.vstack([planes, [[0.0, 0.6, 0.8, 9.0]]])), "holds 0 vertices"),
        ((vertices[:3], planes), "from 4 to 64"),
        ((vertices, planes[:3]), "planes: 3"),
    ):
        assert complaint in (why_not_solid(*wrong) or "")


def test_a_number_that_is_none_is_no_solid() -> None:
    for part in range(2):
        for bad in (np.nan, np.inf):
            wrong = [values.copy() for values in cube()]
            wrong[part][1, 2] = bad
            with np.errstate(invalid="ignore"):
                assert why_not_solid(wrong[0], wrong[1]) is not None


def test_segment_distance_is_that_of_dense_samples() -> None:
    rng, seen = np.random.default_rng(2), {True: 0, False: 0}
    for _ in range(12):
        vertices, planes = convex_hull(rng.normal(size=(9, 3)) * 0.6, "some")
        solid = Volume(
            "s", "keep_out", "mesh", OnViolation.CLAMP, (),
            vertices=array(vertices), planes=array(planes),
        )  # fmt: skip
        axes = rng.normal(size=(10, 2, 3))
        axes[0, 1] = axes[0, 0]
        found = segment_distance(vertices, planes, axes[:, 0], axes[:, 1])
        for axis, got in zip(axes, found.tolist(), strict=True):
            truth = float(signed_distance(solid, axis_points(axis, 81)).min())
            assert got <= max(truth, 0.0) + 1e-9
            assert got >= truth - spacing(axis, 81) - 1e-9
            seen[got > 0.0] += 1
    assert min(seen.values()) >= 10


def test_known_distances_to_a_cube() -> None:
    for start, end, distance in (
        ([0.2, 0.2, 1.5], [0.8, 0.8, 1.5], 0.5),  # above a face, parallel
        ([0.5, 0.5, 3.0], [0.5, 0.5, 1.25], 0.25),  # an end above a face
        ([1.5, 0.0, 0.5], [0.0, 1.5, 0.5], 0.0),  # through an edge's neighbourhood
        ([2.0, 0.5, 0.0], [0.5, 2.0, 0.0], np.sqrt(0.5) / 2.0),  # past an edge
        ([2.0, 2.0, 2.0], [2.0, 2.0, 2.0], np.sqrt(3.0)),  # a point at a corner
        ([0.4, 0.4, 0.4], [0.6, 0.6, 0.6], 0.0),  # inside
        ([-1.0, 0.5, 0.5], [2.0, 0.5, 0.5], 0.0),  # right through
    ):
        got = segment_distance(*cube(), np.array(start), np.array(end))
        assert got == pytest.approx(distance, abs=1e-12)

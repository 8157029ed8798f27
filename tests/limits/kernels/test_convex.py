"""Distance to convex bodies: a proven lower bound, and a tight one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from tests.limits.slow_geometry import axis_points, signed_distance, spacing
from tests.robots import array, slider

from checkrein.limits import LimitsFileError, OnViolation, Volume
from checkrein.limits.authoring.hulls import convex_hull
from checkrein.limits.kernels.convex import convex_distance
from checkrein.limits.kernels.packed import pack
from checkrein.limits.polyhedra import segment_distance
from checkrein.limits.records import Array

NUMBER = st.floats(-1.0, 1.0, width=32)
POINT = st.tuples(NUMBER, NUMBER, NUMBER)


def distance(volume: Volume, axis: Array) -> float:
    packed = pack(replace(slider(), volumes=(volume,)))
    return float(convex_distance(packed.volume[0], packed.mesh, axis.ravel(), np.zeros((5, 3))))


def cylinder(start: Array, end: Array, radius: float) -> Volume:
    volume = Volume("c", "keep_out", "cylinder", OnViolation.CLAMP, ())
    return replace(volume, start=array(start), end=array(end), radius=radius)


def mesh(points: Array) -> Volume:
    vertices, planes = convex_hull(points, "m")
    volume = Volume("m", "keep_out", "mesh", OnViolation.CLAMP, ())
    return replace(volume, vertices=array(vertices), planes=array(planes))


@given(st.lists(POINT, min_size=4, max_size=10), POINT, POINT)
def test_mesh_bound_is_below_the_distance_and_near_it(
    points: list[tuple[float, ...]], start: tuple[float, ...], end: tuple[float, ...]
) -> None:
    """Against an algorithm that looks at faces and edges; flat and tiny bodies included."""
    try:
        volume = mesh(np.array(points))
    except LimitsFileError:  # flat
        assume(False)
    axis = 2.0 * np.array([start, end])
    assert volume.vertices is not None
    assert volume.planes is not None
    truth = float(segment_distance(volume.vertices, volume.planes, axis[0], axis[1]))
    found = distance(volume, axis)
    assert 0.0 <= found <= truth + 1e-9
    assert found >= truth - 1e-5


@given(POINT, POINT, st.floats(1e-3, 1.0), POINT, POINT)
def test_cylinder_bound_is_below_the_distance_and_near_it(
    first: tuple[float, ...],
    second: tuple[float, ...],
    radius: float,
    start: tuple[float, ...],
    end: tuple[float, ...],
) -> None:
    assume(np.linalg.norm(np.subtract(first, second)) > 1e-3)
    volume, axis = cylinder(np.array(first), np.array(second), radius), 2.0 * np.array([start, end])
    truth = max(0.0, float(signed_distance(volume, axis_points(axis, 2001)).min()))
    found = distance(volume, axis)
    assert 0.0 <= found <= truth + 1e-12
    assert found >= truth - spacing(axis, 2001) - 1e-5


def test_directions_along_the_axis_of_a_cylinder_do_not_overrate() -> None:
    """Above a cap the rim's direction is rounding: it once pointed out of the body."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        start, along = rng.normal(size=(2, 3))
        unit = along / np.linalg.norm(along)
        volume, height = cylinder(start, start + along, 1.5), rng.uniform(0.1, 2.0)
        tip = start + along + height * unit
        for end in (tip, tip + 1e-13 * rng.normal(size=3), tip + unit):
            assert abs(distance(volume, np.array([tip, end])) - height) <= 1e-9


def test_what_overlaps_is_not_apart() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        points = rng.normal(size=(8, 3))
        inside = rng.dirichlet(np.ones(8)) @ points
        assert distance(mesh(points), np.array([inside, inside + rng.normal(size=3)])) <= 1e-12
        a, b = rng.normal(size=(2, 3))
        inside = a + rng.uniform() * (b - a)
        assert distance(cylinder(a, b, 0.3), np.array([inside, np.zeros(3)])) <= 1e-12

"""Clearance of a capsule to every shape: never above the truth, and close to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.limits.slow_geometry import spacing, upper_clearance
from tests.robots import array, slider

from checkrein.limits import OnViolation, Volume
from checkrein.limits.authoring.hulls import convex_hull
from checkrein.limits.kernels import clearance as kernels
from checkrein.limits.kernels.packed import pack
from checkrein.limits.records import Array

Kind = Literal["keep_in", "keep_out"]
Shape = Literal["half_space", "box", "sphere", "capsule", "cylinder", "mesh"]
KINDS: tuple[Kind, ...] = ("keep_in", "keep_out")
SHAPES: tuple[Shape, ...] = ("half_space", "box", "sphere", "capsule", "cylinder", "mesh")
every_volume = pytest.mark.parametrize(
    ("shape", "kind"), [(shape, kind) for shape in SHAPES for kind in KINDS]
)


def random_volume(rng: np.random.Generator, shape: Shape, kind: Kind) -> Volume:
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    volume = Volume("some", kind, shape, OnViolation.CLAMP, ())
    if shape == "half_space":
        return replace(volume, normal=array(turned[0]), offset=float(rng.normal()))
    if shape == "box":
        half = array(rng.uniform(0.1, 1.5, 3))
        center = array(rng.normal(size=3) * 0.5)
        return replace(volume, center=center, rotation=array(turned), half_extents=half)
    if shape == "mesh":
        points = rng.normal(size=(int(rng.integers(4, 24)), 3)) * rng.uniform(0.1, 1.5)
        points += rng.normal(size=3) * (0.9 if kind == "keep_out" else 0.1)
        vertices, planes = convex_hull(points, "some")
        return replace(volume, vertices=array(vertices), planes=array(planes))
    radius = float(rng.uniform(0.1, 1.5))
    if shape == "sphere":
        return replace(volume, center=array(rng.normal(size=3) * 0.5), radius=radius)
    start, end = rng.normal(size=(2, 3))
    return replace(volume, start=array(start), end=array(end), radius=radius)


class Row(NamedTuple):
    """A volume as the kernels read it."""

    volume: Array
    mesh: Array


def row(volume: Volume) -> Row:
    # A mesh in front, so that the rows of the one that counts do not begin at 0.
    other = random_volume(np.random.default_rng(0), "mesh", "keep_out")
    packed = pack(replace(slider(), volumes=(replace(other, name="other"), volume)))
    return Row(packed.volume[1], packed.mesh)


def clearance(given: Row, axis: Array, radius: float) -> float:
    scratch = np.full((5, 3), np.nan)
    return float(kernels.clearance(given.volume, given.mesh, axis, radius, scratch))


def is_beyond(given: Row, x: float, y: float, z: float, far: float) -> bool:
    return bool(kernels.is_beyond(given.volume, given.mesh, x, y, z, far))


def random_axis(rng: np.random.Generator, case: int) -> Array:
    """(2, 3); some have no length, some are aligned with an axis."""
    axis = rng.normal(size=(2, 3)) * 0.8
    if case % 7 == 0:
        axis[1] = axis[0]
    if case % 7 == 1:
        axis[1, :2] = axis[0, :2]
    return axis


@every_volume
def test_it_is_never_above_the_truth_and_close_to_it(shape: Shape, kind: Kind) -> None:
    rng, positive = np.random.default_rng(1), 0
    count = 151 if shape == "mesh" else 2001  # its reference is slow
    for case in range(250):
        volume, axis, radius = random_volume(rng, shape, kind), random_axis(rng, case), 0.07
        axis *= 0.3 if kind == "keep_in" else 1.0  # most would not fit at all
        found = clearance(row(volume), axis.ravel(), radius)
        above = upper_clearance(volume, axis, radius, count)
        # Of what is not clear only the sign is promised.
        assert found <= (above + 1e-12 if above > 0.0 else 0.0)
        if found > 0.0:
            positive += 1
            assert found >= above - spacing(axis, count) - 1e-6 or kind == "keep_in"
        else:
            assert above <= spacing(axis, count) + 1e-6  # it does not cry wolf
    assert positive >= 20


@every_volume
def test_the_sign_is_right_at_a_boundary_built_on_purpose(shape: Shape, kind: Kind) -> None:
    """Grow the capsule by the clearance: it touches; by a little more: it does not fit."""
    rng = np.random.default_rng(2)
    for case in range(60):
        volume, axis = random_volume(rng, shape, kind), random_axis(rng, case)
        free = clearance(row(volume), axis.ravel(), 0.0)
        if free > 1e-3:
            assert clearance(row(volume), axis.ravel(), free - 1e-9) > 0.0
            assert clearance(row(volume), axis.ravel(), free + 1e-9) < 0.0


@every_volume
def test_turning_the_axis_round_changes_nothing(shape: Shape, kind: Kind) -> None:
    rng = np.random.default_rng(3)
    for case in range(60):
        volume, axis = row(random_volume(rng, shape, kind)), random_axis(rng, case)
        forwards = clearance(volume, axis.ravel(), 0.05)
        backwards = clearance(volume, axis[::-1].ravel(), 0.05)
        assert forwards == pytest.approx(backwards, abs=3e-9)


@every_volume
def test_what_is_surely_beyond_is_clear(shape: Shape, kind: Kind) -> None:
    """The short cut may only ever say what the exact clearance of anything in the ball says."""
    rng, beyond = np.random.default_rng(7), 0
    for case in range(400):
        volume, axis = row(random_volume(rng, shape, kind)), random_axis(rng, case) * 0.4
        middle, half = axis.mean(axis=0), float(np.linalg.norm(axis[1] - axis[0])) / 2.0
        radius, needed = 0.05, float(rng.choice([0.0, 0.02, 0.3]))
        far = (radius + half + needed) * (1.0 + 1e-9) + 1e-9
        x, y, z = middle.tolist()
        if is_beyond(volume, x, y, z, far):
            beyond += 1
            assert clearance(volume, axis.ravel(), radius) > needed
    cheap_anyway = kind == "keep_in" or shape == "half_space"
    assert beyond == 0 if cheap_anyway else beyond >= 40


@every_volume
def test_nothing_is_beyond_a_number_that_is_none(shape: Shape, kind: Kind) -> None:
    volume = row(random_volume(np.random.default_rng(8), shape, kind))
    for index in range(4):
        where = [9.0, 9.0, 9.0, 0.1]
        where[index] = np.nan
        assert not is_beyond(volume, *where)
    assert not is_beyond(volume, np.inf, 0.0, 0.0, np.inf)


def test_parallel_and_crossing_axes() -> None:
    bar = Volume(
        "bar", "keep_out", "capsule", OnViolation.CLAMP, (),
        start=array([0.0, 0.0, 0.0]), end=array([1.0, 0.0, 0.0]), radius=0.1,
    )  # fmt: skip
    for axis, distance in (
        ([0.2, 0.5, 0.0, 0.8, 0.5, 0.0], 0.5),  # parallel, overlapping
        ([1.5, 0.0, 0.0, 2.0, 0.0, 0.0], 0.5),  # in line
        ([0.5, -1.0, 0.3, 0.5, 1.0, 0.3], 0.3),  # crossing
        ([0.5, -1.0, 0.0, 0.5, 1.0, 0.0], 0.0),  # through it
        ([0.5, 0.4, 0.0, 0.5, 0.4, 0.0], 0.4),  # a point
    ):
        assert clearance(row(bar), np.array(axis), 0.0) == pytest.approx(distance - 0.1, abs=1e-12)


def test_a_segment_that_cuts_a_corner_of_a_box() -> None:
    box = Volume(
        "box", "keep_out", "box", OnViolation.CLAMP, (),
        center=array(np.zeros(3)), rotation=array(np.eye(3)), half_extents=array([1.0, 1.0, 1.0]),
    )  # fmt: skip
    through = np.array([0.5, 1.6, 0.0, 1.6, 0.5, 0.0])  # passes the edge at (1.05, 1.05)
    assert clearance(row(box), through, 0.0) == pytest.approx(np.sqrt(2.0) * 0.05, abs=1e-8)
    inside = np.array([0.5, 1.4, 0.0, 1.4, 0.5, 0.0])
    assert clearance(row(box), inside, 0.0) == 0.0
    along = np.array([-3.0, 0.0, 1.25, 3.0, 0.0, 1.25])  # above a face, ends far out
    assert clearance(row(box), along, 0.0) == pytest.approx(0.25, abs=1e-8)


@every_volume
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_never_clear(shape: Shape, kind: Kind, bad: float) -> None:
    """Every entry of the axis, and the radius, one at a time (trap 8)."""
    rng = np.random.default_rng(4)
    for case in range(2, 12):
        volume, axis = row(random_volume(rng, shape, kind)), random_axis(rng, case).ravel()
        for index in range(6):
            wrong = axis.copy()
            wrong[index] = bad
            assert not clearance(volume, wrong, 0.05) > 0.0
        assert not clearance(volume, axis, np.nan) > 0.0


@given(
    st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6),
    st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6),
)
def test_two_capsules_are_as_far_from_each_other_as_the_other_way_round(
    one: list[float], two: list[float]
) -> None:
    def as_volume(axis: list[float]) -> Row:
        volume = Volume("v", "keep_out", "capsule", OnViolation.CLAMP, (), radius=0.1)
        return row(replace(volume, start=array(axis[:3]), end=array(axis[3:])))

    there = clearance(as_volume(one), np.array(two), 0.1)
    back = clearance(as_volume(two), np.array(one), 0.1)
    assert there == pytest.approx(back, abs=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_way_out_is_the_one_that_leads_away_fastest(shape: Shape) -> None:
    """Of two convex bodies the distance grows by what one is moved along it, no less, no more."""
    rng, found, n = np.random.default_rng(8), 0, np.zeros(3)
    for case in range(200):
        volume, axis = row(random_volume(rng, shape, "keep_out")), random_axis(rng, case)
        clear = clearance(volume, axis.ravel(), 0.0)
        if not clear > 1e-3:
            continue
        found += 1
        n[:] = np.nan
        kernels.way_out(volume.volume, volume.mesh, axis.ravel(), np.full((5, 3), np.nan), n)
        way = n / np.linalg.norm(n)
        for step in (1e-4, 0.1, 2.0):
            moved = clearance(volume, (axis + step * way).ravel(), 0.0)
            assert moved == pytest.approx(clear + step, abs=1e-7)
    assert found >= 40


def test_inside_a_box_there_is_no_way_out() -> None:
    volume = Volume("some", "keep_out", "box", OnViolation.CLAMP, (), center=array(np.zeros(3)),
                    rotation=array(np.eye(3)), half_extents=array(np.ones(3)))  # fmt: skip
    n = np.full(3, np.nan)
    axis = np.array([-0.5, 0.2, 3.0, 0.5, 0.2, -3.0])
    kernels.way_out(row(volume).volume, row(volume).mesh, axis, np.zeros((5, 3)), n)
    assert not n.any()


@given(st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6), st.floats(0.05, 1.0))
def test_a_box_is_as_far_as_its_nearest_point(ends: list[float], thin: float) -> None:
    """Against the minimum over a fine grid about the best of a coarse one."""
    half = np.array([1.0, thin, 0.5])
    volume = Volume("some", "keep_out", "box", OnViolation.CLAMP, (), center=array(np.zeros(3)),
                    rotation=array(np.eye(3)), half_extents=array(half))  # fmt: skip
    axis = np.array(ends).reshape(2, 3)
    low, high, away = 0.0, 1.0, np.empty(0)
    for _ in range(12):
        share = np.linspace(low, high, 41)
        points = axis[0] + share[:, None] * (axis[1] - axis[0])
        away = np.linalg.norm(np.maximum(np.abs(points) - half, 0.0), axis=1)
        best = int(np.argmin(away))
        low, high = share[max(0, best - 1)], share[min(40, best + 1)]
    found = clearance(row(volume), axis.ravel(), 0.0)
    assert found <= away.min() + 1e-12
    assert found >= away.min() - 1e-9

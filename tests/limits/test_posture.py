"""Postures in bulk agree with the slow references, shape by shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.limits.slow_geometry import signed_distance
from tests.robots import array

from checkrein.limits import Limits, OnViolation, Volume, load_limits
from checkrein.limits.authoring.hulls import convex_hull
from checkrein.limits.posture import (
    capsule_pairs,
    clearances,
    joint_frames,
    pair_clearances,
    pair_sweeps,
    sweep_bounds,
)
from checkrein.limits.records import Array

RNG = np.random.default_rng(5)
SHAPES: dict[str, dict[str, Any]] = {
    "half_space": {"normal": array([0.6, 0.0, 0.8]), "offset": 0.1},
    "box": {
        "center": array([0.4, 0.2, 0.3]),
        "rotation": array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]),
        "half_extents": array([0.1, 0.3, 0.2]),
    },
    "sphere": {"center": array([0.3, -0.2, 0.5]), "radius": 0.2},
    "capsule": {"start": array([0.3, 0.3, 0.0]), "end": array([0.3, 0.4, 0.8]), "radius": 0.1},
    "cylinder": {"start": array([0.3, 0.3, 0.0]), "end": array([0.3, 0.4, 0.6]), "radius": 0.2},
}


def sampled_distance(volume: Volume, points: Array) -> Array:
    """Signed depth-free distance of points to the volume: 0 inside; for a half-space signed."""
    if volume.normal is not None:
        return np.asarray(points @ volume.normal - float(volume.offset or 0.0))
    if volume.half_extents is not None:
        local = (points - np.asarray(volume.center)) @ np.asarray(volume.rotation)
        return np.asarray(
            np.linalg.norm(np.maximum(np.abs(local) - volume.half_extents, 0.0), axis=-1)
        )
    if volume.center is not None:
        return np.asarray(np.linalg.norm(points - volume.center, axis=-1) - volume.radius)
    start, end = np.asarray(volume.start), np.asarray(volume.end)
    if volume.shape == "cylinder":
        flat = points.reshape(-1, 3)
        return np.maximum(signed_distance(volume, flat), 0.0).reshape(points.shape[:-1])
    axis = start + np.linspace(0, 1, 400)[:, None] * (end - start)
    away = np.linalg.norm(points[..., None, :] - axis, axis=-1).min(axis=-1)
    return np.asarray(away - volume.radius)


def limits_with(shape: str, kind: str, **fields: object) -> Limits:
    volume = Volume("v", kind, shape, OnViolation.CLAMP, (), **fields)  # type: ignore[arg-type]
    return replace(load_limits("xarm6"), volumes=(volume,))


def samples(limits: Limits, count: int) -> Array:
    low = [j.min_position for j in limits.joints]
    high = [j.max_position for j in limits.joints]
    return RNG.uniform(low, high, (count, len(low)))


def axis_points(limits: Limits, q: Array) -> Array:
    """(m, k, 200, 3): points along every capsule's axis."""
    rotations, origins = joint_frames(limits.kinematics, np.zeros(len(limits.joints)), q)
    out = []
    for c in limits.capsules:
        local = c.start + np.linspace(0, 1, 200)[:, None] * (c.end - c.start)
        out.append(local @ rotations[:, c.joint].transpose(0, 2, 1) + origins[:, c.joint][:, None])
    return np.stack(out, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_keep_out_clearance_is_that_of_dense_samples(shape: str) -> None:
    limits = limits_with(shape, "keep_out", **SHAPES[shape])
    q = samples(limits, 30)
    radius = np.array([c.radius for c in limits.capsules])
    slow = sampled_distance(limits.volumes[0], axis_points(limits, q)).min(axis=2) - radius
    fast = clearances(limits, q)[:, 0]
    assert np.all(fast <= slow + 1e-4)  # samples only come near the least
    assert np.abs(fast - slow).max() < 4e-3


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_keep_in_is_positive_exactly_when_every_point_is_inside(shape: str) -> None:
    bigger = {
        key: value * 4.0 if key in ("radius", "half_extents") else value
        for key, value in SHAPES[shape].items()
    }
    limits = limits_with(shape, "keep_in", **bigger)
    q = samples(limits, 60)
    points = axis_points(limits, q)
    fast = clearances(limits, q)[:, 0]
    rng = np.random.default_rng(0)
    unit = rng.standard_normal((40, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    for k, capsule in enumerate(limits.capsules):
        surface = points[:, k, ::20, None] + unit * capsule.radius
        away = sampled_distance(limits.volumes[0], surface)
        inside = np.asarray(np.max(away, axis=(1, 2)) <= 0.0)
        assert np.all(inside[fast[:, k] > 1e-9])
        assert not np.any(inside[fast[:, k] < -0.03])
    assert 0.0 < (fast > 0.0).mean() < 1.0


def test_exempt_capsules_are_infinitely_far() -> None:
    limits = limits_with("sphere", "keep_out", **SHAPES["sphere"])
    name = limits.capsules[0].name
    limits = replace(limits, volumes=(replace(limits.volumes[0], exempt=(name,)),))
    found = clearances(limits, samples(limits, 3))[:, 0]
    assert np.all(np.isinf(found[:, 0]))
    assert np.all(np.isfinite(found[:, 1:]))


def test_sweep_bound_covers_every_tracking_error() -> None:
    limits = load_limits("xarm6")
    q = samples(limits, 20)
    bound = sweep_bounds(limits, q)
    error = np.array([j.tracking_error for j in limits.joints])
    before = axis_points(limits, q)
    for _ in range(20):
        moved = axis_points(limits, q + RNG.choice([-1.0, 1.0], q.shape) * error)
        assert np.all(np.linalg.norm(moved - before, axis=-1).max(axis=2) <= bound)


def test_a_box_is_as_near_as_its_mesh() -> None:
    """The mesh of the same box, by an algorithm of its own, keep-in and keep-out."""
    fields = SHAPES["box"]
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    for kind, size in (("keep_out", 1.0), ("keep_in", 5.0)):
        half = fields["half_extents"] * size
        corners = (signs * half) @ fields["rotation"].T + fields["center"]
        vertices, planes = convex_hull(corners, "box")
        box = limits_with("box", kind, **{**fields, "half_extents": array(half)})
        mesh = limits_with("mesh", kind, vertices=array(vertices), planes=array(planes))
        q = samples(box, 60)
        assert clearances(mesh, q) == pytest.approx(clearances(box, q), abs=1e-4)


def test_pair_clearance_is_that_of_dense_samples() -> None:
    limits = load_limits("xarm6")
    q = samples(limits, 20)
    axes, radius = axis_points(limits, q), np.array([c.radius for c in limits.capsules])
    fast = pair_clearances(limits, q)
    assert fast.shape == (20, len(capsule_pairs(limits)))
    for p, (a, b) in enumerate(capsule_pairs(limits)):
        gaps = np.linalg.norm(axes[:, a, :, None] - axes[:, b, None], axis=-1)
        slow = gaps.min(axis=(1, 2)) - radius[a] - radius[b]
        assert np.all(fast[:, p] <= slow + 1e-4)  # a search along one of the two
        assert np.abs(fast[:, p] - slow).max() < 4e-3


def test_pair_sweep_covers_every_tracking_error_of_the_joints_between() -> None:
    limits = load_limits("xarm6")
    q = samples(limits, 20)
    bound, before = pair_sweeps(limits, q), pair_clearances(limits, q)
    error = np.array([j.tracking_error for j in limits.joints])
    for _ in range(20):
        moved = pair_clearances(limits, q + RNG.choice([-1.0, 1.0], q.shape) * error)
        assert np.all(np.abs(moved - before) <= bound + 2e-4)
    only_base = pair_clearances(limits, q + error * [1.0, 0, 0, 0, 0, 0])
    assert only_base == pytest.approx(before, abs=2e-4)

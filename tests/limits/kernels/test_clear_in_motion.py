"""What the certificate accepts close to volumes and links is clear at every sampled instant."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.limits.kernels.test_clearance import SHAPES, Shape, random_volume
from tests.limits.kernels.test_separation import built, random_chain, unit
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_geometry import signed_distance
from tests.limits.slow_motion import Motion, at, random_motions, total_s
from tests.robots import array, column, folding

from checkrein.limits import Limits, OnViolation, Volume
from checkrein.limits.authoring.hulls import convex_hull
from checkrein.limits.kernels.packed import HINT, pack, work_for
from checkrein.limits.kinds import workspace
from checkrein.limits.records import Array

# What rounding of metres and of cubics may add.
EXACT_M = 1e-9
every_shape = pytest.mark.parametrize("shape", SHAPES)


def instants(limits: Limits, motion: Motion, rng: np.random.Generator) -> Array:
    """Axes (m, k, 2, 3) of all capsules at many instants, off by corners of the errors."""
    errors, out = column(limits, "position_error"), []
    for t in np.linspace(0.0, total_s(motion, limits.period_s), 17):
        q, _, _ = at(motion, limits.period_s, float(t))
        for _ in range(3):
            off = errors * rng.choice([-1.0, 1.0], len(limits.joints))
            out.append(capsule_axes(limits, q + off))
    return np.array(out)


def clear_of(volume: Volume, axes: Array, radius: float, count: int = 13) -> float:
    """Least clearance [m] over all axes (..., 2, 3), sampled: never below the truth."""
    ends = axes.reshape(-1, 2, 3)
    share = np.linspace(0.0, 1.0, count)[None, :, None]
    points = (1.0 - share) * ends[:, :1] + share * ends[:, 1:]
    distance = signed_distance(volume, points.reshape(-1, 3))
    return float((-distance if volume.kind == "keep_in" else distance).min()) - radius


def moved_by(volume: Volume, by: Array) -> Volume:
    """The same volume elsewhere."""
    changes: dict[str, Any] = {}
    for name in ("center", "start", "end"):
        value = getattr(volume, name)
        if value is not None:
            changes[name] = array(value + by)
    if volume.normal is not None and volume.offset is not None:
        changes["offset"] = volume.offset + float(volume.normal @ by)
    if volume.vertices is not None and volume.planes is not None:
        planes = np.array(volume.planes)
        planes[:, 3] += planes[:, :3] @ by
        changes |= {"vertices": array(volume.vertices + by), "planes": array(planes)}
    return replace(volume, **changes)


def close_by(rng: np.random.Generator, shape: Shape, axes: Array, radius: float) -> Volume:
    """A volume that the motion only just misses, by up to a few centimetres."""
    volume = random_volume(rng, shape, "keep_out")
    away = unit(rng.normal(size=3)) if volume.normal is None else -np.array(volume.normal)
    towards = axes[0, int(rng.integers(axes.shape[1])), 0]
    volume = moved_by(volume, towards - within(volume) + 6.0 * away)
    target = float(rng.choice([0.0, 0.0025, 0.004, 0.02]))
    for _ in range(12):
        volume = moved_by(volume, (target - clear_of(volume, axes, radius, 9)) * away)
    return volume


def within(volume: Volume) -> Array:
    """Some point of the solid."""
    if volume.center is not None:
        return np.array(volume.center)
    if volume.start is not None and volume.end is not None:
        return np.asarray((volume.start + volume.end) / 2.0)
    if volume.vertices is not None:
        return np.asarray(volume.vertices.mean(axis=0))
    assert volume.normal is not None
    assert volume.offset is not None
    return np.asarray(volume.normal * volume.offset)


def just_around(rng: np.random.Generator, axes: Array, radius: float, as_mesh: bool) -> Volume:
    """A box, or the same as a mesh, that the whole motion only just stays inside of."""
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    local = axes.reshape(-1, 3) @ turned
    low, high = local.min(axis=0) - radius, local.max(axis=0) + radius
    half = (high - low) / 2.0 + float(rng.choice([0.0, 0.003, 0.006, 0.02]))
    center = turned @ ((low + high) / 2.0)
    volume = Volume("some", "keep_in", "box", OnViolation.CLAMP, ())
    if not as_mesh:
        return replace(
            volume, center=array(center), rotation=array(turned), half_extents=array(half)
        )
    corners = np.array(list(itertools.product([-1.0, 1.0], repeat=3))) * half
    vertices, planes = convex_hull(center + corners @ turned.T, "some")
    return replace(volume, shape="mesh", vertices=array(vertices), planes=array(planes))


def accepted(limits: Limits, motion: Motion) -> bool:
    packed, report = pack(limits), np.zeros(3)
    work = work_for(packed)
    work.small[HINT, 0] = -1.0
    built(packed, work, motion)
    return int(workspace.violated(packed, work, report)) == 0


@pytest.mark.parametrize("around", ["out", "box", "mesh"])
def test_what_is_accepted_close_by_is_clear_at_every_sampled_instant(around: str) -> None:
    """Volumes that are only just missed: here the sweep alone proves little, the plane much."""
    held = {True: 0, False: 0}
    for seed in range(24):
        rng = np.random.default_rng(seed)
        limits = random_chain(rng)
        motion = random_motions(limits, seed, 1, speed=0.6)[0]
        axes, radius = instants(limits, motion, rng), limits.capsules[0].radius
        if around == "out":
            shape = SHAPES[seed % 6]  # a mesh's distance takes long
            volume = close_by(rng, shape, axes[:: 6 if shape == "mesh" else 1], radius)
        else:
            volume = just_around(rng, axes, radius, around == "mesh")
        limits = replace(limits, volumes=(volume,))
        certified = accepted(limits, motion)
        held[certified] += 1
        if certified:
            again = instants(limits, motion, rng)
            again = again[::4] if volume.shape == "mesh" and around == "out" else again
            assert clear_of(volume, again, radius, 25) >= limits.standoff
    assert held[True] >= 10
    assert held[False] >= 3


def apart(axes: Array, count: int = 15) -> float:
    """Least distance [m] of the first from the last axis over all instants, sampled."""
    share = np.linspace(0.0, 1.0, count)[None, :, None]
    one, other = ((1.0 - share) * axes[:, k, :1] + share * axes[:, k, 1:] for k in (0, -1))
    return float(np.linalg.norm(one[:, :, None] - other[:, None, :], axis=3).min())


def test_links_that_are_accepted_do_not_touch() -> None:
    """Links as thick as the motion leaves room for."""
    held = {True: 0, False: 0}
    for seed in range(40):
        rng = np.random.default_rng(1000 + seed)
        limits = folding(random_chain(rng), standoff=0.002)
        motion = random_motions(limits, seed, 1, speed=0.6)[0]
        target = float(rng.choice([0.0, 0.003, 0.006, 0.02]))
        radius = (apart(instants(limits, motion, rng)) - target) / 2.0
        if radius <= 0.0:
            continue
        thick = tuple(replace(c, radius=radius) for c in limits.capsules)
        certified = accepted(replace(limits, capsules=thick), motion)
        held[certified] += 1
        if certified:
            again = instants(limits, motion, rng)
            assert apart(again, 25) - 2.0 * radius >= 0.002
    assert held[True] >= 15
    assert held[False] >= 3

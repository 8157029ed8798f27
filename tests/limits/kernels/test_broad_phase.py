"""The broad phase puts no capsule farther from a volume than it is, and mostly no nearer either."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kernels.test_clearance import KINDS, SHAPES, Kind, Shape, random_volume
from tests.limits.slow_geometry import signed_distance
from tests.robots import half_space, panda, slider

from checkrein.limits import Limits, OnViolation, Volume, Zone
from checkrein.limits.kernels.broad_phase import write_afar
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.packed import LANES, pack, work_for
from checkrein.limits.kernels.sliding import NEAR_M, near_from, slide
from checkrein.limits.records import Array

# Elsewhere a corner or a rim is farther away than the planes that meet there.
EXACT = ("half_space", "sphere", "capsule", "box")


def afar(volume: Volume, places: Array) -> Array:
    """The bounds (m,) for places (m, 3)."""
    ball = random_volume(np.random.default_rng(0), "mesh", "keep_out")
    packed = pack(replace(slider(), volumes=(replace(ball, name="ball"), volume)))
    work, found = work_for(packed), []
    for place in places:
        work.middle[:, 1] = place
        write_afar(packed, work)
        found.append(work.afar[1, 1])
    return np.array(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_never_above_the_truth_and_close_to_it(shape: Shape, kind: Kind) -> None:
    rng, clear = np.random.default_rng(SHAPES.index(shape)), 0
    for _ in range(25):
        volume = random_volume(rng, shape, kind)
        places = rng.normal(size=(40, 3)) * rng.choice([0.2, 1.0, 3.0])
        found = afar(volume, places)
        truth = signed_distance(volume, places) * (1.0 if kind == "keep_out" else -1.0)
        # Of what is not clear only the sign is promised.
        assert (found <= np.maximum(truth, 0.0) + 1e-9).all()
        is_clear = truth > 1e-6
        clear += int(is_clear.sum())
        if shape in EXACT:
            assert np.abs(found - truth)[is_clear].max(initial=0.0) < 1e-9
        else:  # beyond a rim at right angles, and within: as good as that
            share = found[is_clear] / truth[is_clear]
            assert shape == "mesh" or share.min(initial=1.0) > 0.7
    assert clear > 50


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_number_is_never_a_distance(shape: Shape, kind: Kind, bad: float) -> None:
    volume = random_volume(np.random.default_rng(1), shape, kind)
    for axis in range(3):
        place = np.full((1, 3), 2.0)
        place[0, axis] = bad
        # So is a capsule judged: what is infinite makes its need no number.
        need = 1.0 + 0.0 * float(place.sum())
        assert not afar(volume, place)[0] > need


def walled() -> Limits:
    """The Panda, a wall that it may not cross, and a zone behind it."""
    zone = Volume("slow", "keep_out", "sphere", OnViolation.CLAMP, (), center=np.zeros(3), radius=1)
    wall = half_space("wall", [1.0, 0.0, 0.0], 0.6, "keep_in")
    return replace(panda(), volumes=(wall,), zones=(Zone(zone, 0.1),))


def test_all_capsules_are_looked_at_and_no_zone() -> None:
    limits = walled()
    packed = pack(limits)
    work, count = work_for(packed), len(limits.capsules)
    work.afar[...] = -7.0
    forward(packed, np.array(limits.home), work)
    write_afar(packed, work)
    assert work.afar.shape[1] % LANES == 0
    assert work.afar[0, :count] == pytest.approx(0.6 - work.middle[0, :count])
    assert (work.afar[1] == -7.0).all()
    halves = 0.5 * np.linalg.norm(work.segment[:, 3:] - work.segment[:, :3], axis=1)
    assert packed.capsule[:, 8] == pytest.approx(halves)


def test_who_is_not_near_enough_could_not_have_been_slid() -> None:
    """With as much clearance as `near_from` says nothing is too fast, whichever way it goes."""
    limits, rng, near = walled(), np.random.default_rng(5), 0
    packed = pack(limits)
    work, speed = work_for(packed), np.array([joint.max_velocity for joint in limits.joints])
    low, high = (
        np.array([joint.min_position for joint in limits.joints]),
        np.array([joint.max_position for joint in limits.joints]),
    )
    for _ in range(2000):
        q, w = rng.uniform(low, high), rng.uniform(-1.0, 1.0, 7) * speed * rng.uniform(0.0, 0.3)
        k = int(rng.integers(1, len(limits.capsules)))
        forward(packed, q, work)
        ends = 0.6 - work.segment[k, [0, 3]].max()
        clear = float(ends - packed.capsule[k, 7])
        from_m = near_from(packed, k, 0.1, 0.004, w)
        assert from_m <= NEAR_M
        changed = bool(slide(packed, work, 0, k, 0.1, 0.004, False, w.copy()))
        near += changed
        assert not changed or clear < from_m
    assert near > 50

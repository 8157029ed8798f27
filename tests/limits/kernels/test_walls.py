"""What walls make of speeds: how a stop bends ways towards them, and rest where they leave none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_chain import capsule_axes
from tests.robots import column, half_space, panda

from checkrein.limits import Limits
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.packed import (
    ARRIVED,
    DECELERATION,
    PACE,
    WALLS,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kernels.restraint import GENTLE
from checkrein.limits.kernels.walls import (
    CREEP,
    _rest_in_corner,
    _write_bent,
    held_off,
    held_off_from,
)
from checkrein.limits.project import FOUND_MAX
from checkrein.limits.records import Array

TRAY = next(i for i, capsule in enumerate(panda().capsules) if capsule.name == "tray")


def at(limits: Limits, q: Array) -> tuple[Packed, Work, Array]:
    """Memory with the frames of q, and the state of resting there."""
    packed, start = pack(limits), np.zeros((7, 3))
    work = work_for(packed)
    work.small[PACE, GENTLE] = 1.0
    start[:, 0] = q
    forward(packed, q, work)
    return packed, work, start


def above_a_floor(height: float, *others: float) -> Limits:
    """The Panda, its tray so far [m] above a floor, and so far from walls along x."""
    robot = replace(panda(), self_collision=None)
    axis, radius = capsule_axes(robot, np.array(robot.home))[TRAY], robot.capsules[TRAY].radius
    exempt = tuple(c.name for c in robot.capsules if c.name != "tray")
    floor = half_space("floor", [0, 0, 1.0], axis[:, 2].min() - radius - height, "keep_out")
    walls = [
        half_space(f"wall{i}", [1.0, 0, 0], axis[:, 0].max() + radius + away, "keep_in")
        for i, away in enumerate(others)
    ]
    return replace(robot, volumes=tuple(replace(v, exempt=exempt) for v in (floor, *walls)))


@pytest.mark.parametrize("resting", [None, 3])
def test_a_stop_leads_as_far_off_the_straight_way_as_is_written(resting: int | None) -> None:
    """By the slow chain: where the ends are after half a stop's time at these speeds, and where
    they would be, had they gone straight on. Joints that rest at a bound do not move."""
    rng, robot = np.random.default_rng(3), panda()
    a_max, j_max = pack(robot).joint[:, DECELERATION], column(robot, "max_jerk")
    for _ in range(20):
        q = np.array(robot.home) + rng.uniform(-0.3, 0.3, 7)
        speeds = rng.uniform(-0.3, 0.3, 7)
        packed, work, start = at(robot, q)
        moving = np.array(speeds)
        if resting is not None:
            work.vector[ARRIVED, resting], moving[resting] = 1.0, 0.0
        _write_bent(packed, start, speeds, work)
        way = 0.5 * float((np.abs(speeds) / a_max).max() + (a_max / j_max).max())
        step = 1e-4
        now = capsule_axes(robot, q)
        one, other = (capsule_axes(robot, q + s * step * moving) for s in (1.0, -1.0))
        off = capsule_axes(robot, q + way * moving) - now - way * (one - other) / (2.0 * step)
        size = float(np.abs(off).max())
        assert np.abs(work.bent.reshape(now.shape) - off).max() <= 0.1 * size + 1e-5
        np.testing.assert_allclose(work.segment.reshape(now.shape), now, atol=1e-12)
        np.testing.assert_array_equal(speeds[moving != 0.0], moving[moving != 0.0])


def test_what_a_stop_bends_towards_a_wall_is_kept_as_distance() -> None:
    """Around the base, between which and the tool the wall is: a fast tool is led away from it."""
    robot, found = replace(panda(), self_collision=None), np.zeros((0, 4))
    axis, radius = capsule_axes(robot, np.array(robot.home))[TRAY], robot.capsules[TRAY].radius
    edge = float(axis[:, 0].min()) - radius - 0.008
    exempt = tuple(c.name for c in robot.capsules if c.name != "tray")
    wall = replace(half_space("wall", [1.0, 0.0, 0.0], edge, "keep_out"), exempt=exempt)
    packed, work, start = at(replace(robot, volumes=(wall,)), np.array(robot.home))
    rates = []
    for speed in (0.1, 1.2):
        speeds = np.array([speed, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        held_off(packed, start, speeds, work, found, 0)
        now, then = (capsule_axes(robot, start[:, 0] + s * speeds)[TRAY] for s in (0.0, 1e-5))
        rates.append(float(then[:, 0].min() - now[:, 0].min()) / 1e-5)
    assert rates[1] >= rates[0] + 0.01


def test_speeds_that_lead_nowhere_near_a_wall_stay_to_the_bit() -> None:
    limits, found = above_a_floor(0.4), np.zeros((FOUND_MAX, 4))
    packed, work, start = at(limits, np.array(limits.home))
    asked = np.random.default_rng(8).uniform(-0.3, 0.3, 7)
    speeds = np.array(asked)
    assert held_off(packed, start, speeds, work, found, 0) == (0, False)
    np.testing.assert_array_equal(speeds, asked)


def test_a_wall_that_is_too_near_is_found_once_and_left() -> None:
    limits, found = above_a_floor(0.004, 0.3), np.full((FOUND_MAX, 4), np.nan)
    packed, work, start = at(limits, np.array(limits.home))
    speeds = np.array([0.0, 0.5, 0.0, -0.3, 0.0, 0.4, 0.0])
    count, changed = held_off(packed, start, speeds, work, found, 2)
    assert changed
    assert count > 2
    subjects = [limits.capsules[int(row[1])].name for row in found[2:count]]
    assert set(subjects) == {"tray"}
    assert len(set(found[2:count, 1])) == len(subjects)  # each pair once
    assert (found[2:count, 0] == 5.0).all()
    assert found[2:count, 2].min() == pytest.approx(0.004, abs=1e-6)
    assert np.isnan(found[:2]).all()
    assert np.isnan(found[count:]).all()
    ahead = capsule_axes(limits, start[:, 0] + 1e-4 * speeds)[TRAY][:, 2].min()
    assert ahead >= capsule_axes(limits, start[:, 0])[TRAY][:, 2].min() - 1e-9


def test_a_wall_that_was_met_is_left_as_far_away_as_is_asked() -> None:
    """And the others keep the distance that they had; a pair that is not near changes nothing."""
    limits, found = above_a_floor(0.02, 0.006), np.zeros((0, 4))
    asked = np.array([0.3, 0.5, 0.0, -0.3, 0.0, 0.4, 0.0])
    rates = []
    for lift in (0.005, 0.02):
        packed, work, start = at(limits, np.array(limits.home))
        held_off(packed, start, np.array(asked), work, found, 0)
        work.small[WALLS, 0] = TRAY
        speeds = np.array(asked)
        assert held_off_from(packed, start, 1, lift, speeds, work, found)
        now, then = (capsule_axes(limits, start[:, 0] + s * speeds)[TRAY] for s in (0.0, 1e-5))
        rates.append((then[:, 2].min() - now[:, 2].min()) / 1e-5)
        assert (then[:, 0].max() - now[:, 0].max()) / 1e-5 <= 1e-3  # the wall is 6 mm away
    assert rates[1] >= rates[0] + 0.1
    packed, work, start = at(above_a_floor(0.5), np.array(limits.home))
    work.small[WALLS, 0] = TRAY
    speeds = np.array(asked)
    assert not held_off_from(packed, start, 1, 0.005, speeds, work, found)
    np.testing.assert_array_equal(speeds, asked)


def test_in_a_corner_next_to_nothing_is_nothing_little_by_little() -> None:
    packed = pack(panda())
    direction = np.array([1.0, -0.5, 0.0, 0.2, 0.0, 0.0, 0.1]) * column(panda(), "max_velocity")
    for size, kept in ((0.5, 0.0), (1.0, 0.0), (1.5, 0.5), (2.0, 1.0), (3.0, 1.0), (0.0, 0.0)):
        speeds = size * CREEP * direction
        _rest_in_corner(packed, speeds)
        np.testing.assert_allclose(speeds, kept * size * CREEP * direction, atol=1e-15)

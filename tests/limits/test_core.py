"""Kernels behind numpy: owned buffers in, fresh read-only arrays out, names and units."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.robots import (
    array,
    half_space,
    panda,
    robots,
    slider,
    turntable,
    with_joint,
    with_joints,
)

from checkrein.limits import Limits
from checkrein.limits.core import (
    Core,
    duration_ticks,
    is_at_rest,
    ticks_left,
)
from checkrein.limits.kernels.reference import POSITION, VELOCITY
from checkrein.limits.stops import setpoint_of
from checkrein.limits.tick import ALTERED, PASSED

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


def wanted_velocity(core: Core, speed: float) -> np.ndarray:
    reference = np.zeros((3, core.n))
    reference[1] = speed
    return reference


@every_robot
def test_home_is_a_place_to_rest(robot: Limits) -> None:
    core = Core(robot)
    motion, refused = core.rest(robot.home)
    assert refused is None
    assert is_at_rest(motion)
    np.testing.assert_array_equal(motion[:-1, 0], robot.home)
    assert not motion[:-1, 1:].any()


@every_robot
def test_a_step_towards_a_velocity_moves_that_way(robot: Limits) -> None:
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    after, code, found = core.advance(motion, VELOCITY, wanted_velocity(core, 0.05))
    assert (code, found) == (PASSED, [])
    assert (after[:-1, 1] > 0.0).all()
    assert ticks_left(after) > 0
    assert motion[:-1, 1].max() == 0.0  # what went in stays as it was


@every_robot
def test_braking_ends_at_exact_rest_after_the_ticks_that_were_left(robot: Limits) -> None:
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    for _ in range(40):
        motion, _, _ = core.advance(motion, VELOCITY, wanted_velocity(core, 0.1))
    setpoint, left = setpoint_of(motion, robot.period_s), ticks_left(motion)
    assert setpoint.stop.ticks_total == left
    for tick in range(1, left + 1):
        assert not is_at_rest(motion)
        motion = core.brake(motion)
        for own, other in zip(motion[:-1, :3].T, setpoint.stop.sample(tick), strict=True):
            np.testing.assert_allclose(own, other, atol=1e-9)
    assert is_at_rest(motion)
    assert not motion[:-1, 1:3].any()
    np.testing.assert_array_equal(core.brake(motion)[:-1, :3], motion[:-1, :3])


def test_results_are_fresh_and_read_only() -> None:
    core = Core(slider())
    one, _ = core.rest(slider().home)
    two, _, _ = core.advance(one, VELOCITY, wanted_velocity(core, 0.1))
    three = core.brake(two)
    for values in (one, two, three):
        assert not values.flags.writeable
    kept = two.copy()
    core.advance(three, VELOCITY, wanted_velocity(core, -0.1))
    np.testing.assert_array_equal(two, kept)
    setpoint = setpoint_of(two, 0.004)
    for values in (setpoint.q, setpoint.dq, setpoint.ddq, setpoint.stop.jerk):
        assert not values.flags.writeable
    assert not setpoint.stop.ticks.flags.writeable
    np.testing.assert_array_equal(setpoint.q, two[:-1, 0])
    np.testing.assert_array_equal(setpoint.stop.jerk, two[:-1, 3:6])


def test_the_same_question_gives_the_same_bits() -> None:
    core, other = Core(panda()), Core(panda())
    motion, _ = core.rest(panda().home)
    for speed in (0.3, -2.0, 0.1):
        mine = core.advance(motion, VELOCITY, wanted_velocity(core, speed))
        core.advance(mine[0], VELOCITY, wanted_velocity(core, 5.0))  # something in between
        again = core.advance(motion, VELOCITY, wanted_velocity(core, speed))
        theirs = other.advance(motion, VELOCITY, wanted_velocity(other, speed))
        for result in (again, theirs):
            assert result[0].tobytes() == mine[0].tobytes()
            assert result[1:] == mine[1:]
        motion = mine[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_limits_that_are_not_finite_are_refused_by_name(bad: float) -> None:
    robot = slider()
    wall = half_space("wall", [bad, 0.0, 0.0], 1.0, "keep_in")
    chain = replace(robot.kinematics, mass=array([bad, 1.0]))
    for wrong, name in (
        (with_joint(robot, 1, max_velocity=bad), "joint"),
        (replace(robot, volumes=(wall,)), "volume"),
        (replace(robot, kinematics=chain), "body"),
        (replace(robot, standoff=bad), "scalar"),
    ):
        with pytest.raises(ValueError, match=f"limits 'slider': {name} holds"):
            Core(wrong)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rest_is_never_certified_where_nothing_is_known(bad: float) -> None:
    for robot in robots().values():
        core = Core(robot)
        for joint in range(core.n):
            q = np.array(robot.home)
            q[joint] = bad
            assert core.rest(q)[1] is not None


def test_a_finding_names_joint_and_unit() -> None:
    robot = slider()
    core = Core(with_joints(robot, max_effort=2.5))
    refused = core.rest(robot.home)[1]
    assert refused is None  # nothing is lifted along either axis
    fast = wanted_velocity(core, 50.0)
    motion, _ = core.rest(robot.home)
    found = core.advance(motion, VELOCITY, fast)[2]
    named = {(limit, subject, unit) for limit, subject, _, _, unit in found}
    assert ("joint_velocity", "column", "rad/s") in named
    assert ("joint_velocity", "rail", "m/s") in named
    assert ("joint_jerk", "rail", "m/s³") in named
    assert {unit for limit, subject, unit in named if limit == "joint_effort"} <= {"N", "N·m"}
    far = np.zeros((3, 2))
    far[0] = 99.0
    found = core.advance(motion, POSITION, far)[2]
    assert ("joint_position", "rail", "m") in {(f[0], f[1], f[4]) for f in found}


def test_a_velocity_beyond_its_bound_is_altered_and_said() -> None:
    core = Core(turntable())
    motion, _ = core.rest(np.zeros(1))
    _, code, found = core.advance(motion, VELOCITY, wanted_velocity(core, 3.0))
    assert code == ALTERED
    limit, subject, value, bound, unit = found[0]
    assert (limit, subject, value, bound, unit) == ("joint_velocity", "turn", 3.0, 2.0, "rad/s")


def test_off_track_names_the_joint() -> None:
    robot = panda()
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    q, still = np.array(robot.home), np.zeros(7)
    assert core.off_track(q, still, motion) is None
    for joint in range(7):
        off = q.copy()
        off[joint] += 1.01 * robot.joints[joint].tracking_error
        assert core.off_track(off, still, motion) == joint
        off[joint] = math.nan
        assert core.off_track(off, still, motion) == joint
        fast = still.copy()
        fast[joint] = math.inf
        assert core.off_track(q, fast, motion) == joint


def test_a_force_that_exceeds_is_returned() -> None:
    core = Core(slider())
    assert core.force_exceeded(np.array([0.0, 39.0, 0.0, 9.0, 9.0, 9.0])) is None
    assert core.force_exceeded(np.array([0.0, 0.0, -41.0, 0.0, 0.0, 0.0])) == 41.0
    unknown = core.force_exceeded(np.array([0.0, math.nan, 0.0, 0.0, 0.0, 0.0]))
    assert unknown is not None
    assert math.isnan(unknown)


@pytest.mark.parametrize(
    ("duration_s", "period_s", "ticks"),
    [
        (0.1, 0.004, 25),
        (0.3, 0.1, 3),  # 0.3/0.1 rounds to 2.9999999999999996
        (0.0039, 0.004, 0),
        (0.0, 0.004, 0),
        (-1.0, 0.004, 0),
        (math.nan, 0.004, 0),
        (math.inf, 0.004, 0),
        (-math.inf, 0.004, 0),
    ],
)
def test_durations_are_whole_ticks(duration_s: float, period_s: float, ticks: int) -> None:
    assert duration_ticks(duration_s, period_s) == ticks

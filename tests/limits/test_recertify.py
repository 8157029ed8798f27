"""A stop that was certified once, asked for again: under the same limits, and under others.

The judge here plays the stop in plain NumPy, ten samples a tick, and compares with the limits.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.robots import column, half_space, panda, robots, slider, turntable, with_joints

from checkrein.limits import Limits
from checkrein.limits.core import Core, ticks_left
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.records import Array

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())
SAMPLES = 10


def moving(core: Core, seed: int, ticks: int) -> list[Array]:
    """Motions of a stream that is pulled about at half speed."""
    rng, out = np.random.default_rng(seed), []
    motion, _ = core.rest(core.limits.home)
    speeds = 0.5 * column(core.limits, "max_velocity")
    reference = np.zeros((3, core.n))
    for tick in range(ticks):
        if tick % 30 == 0:
            reference[1] = rng.choice([-1.0, 1.0], core.n) * speeds
        motion, _, _ = core.advance(motion, VELOCITY, reference)
        out.append(motion)
    return out


def played(core: Core, motion: Array) -> tuple[Array, Array]:
    """q and dq (m, n) all along the stop: cubics between the ticks that `brake` gives."""
    T, q, dq = core.limits.period_s, [motion[:-1, 0]], [motion[:-1, 1]]
    while ticks_left(motion) > 0:
        after = core.brake(motion)
        jerk = (after[:-1, 2] - motion[:-1, 2]) / T
        for k in range(1, SAMPLES + 1):
            t = T * k / SAMPLES
            q.append(
                motion[:-1, 0] + motion[:-1, 1] * t + motion[:-1, 2] * t**2 / 2 + jerk * t**3 / 6
            )
            dq.append(motion[:-1, 1] + motion[:-1, 2] * t + jerk * t**2 / 2)
        motion = after
    return np.array(q), np.array(dq)


@every_robot
def test_under_the_same_limits_a_stop_and_all_that_is_left_of_it_hold(robot: Limits) -> None:
    core = Core(robot)
    for motion in moving(core, seed=4, ticks=120)[::15]:
        while ticks_left(motion) > 0:
            assert core.recertify(motion) is None
            motion = core.brake(motion)
        assert core.recertify(motion) is None


@pytest.mark.parametrize("share", [0.2, 0.45, 0.7])
def test_what_holds_under_lower_speeds_is_played_at_lower_speeds(share: float) -> None:
    """And the first tick from which the rest of a stop holds is not long after the true one."""
    robot = panda()
    slower = replace(
        robot,
        joints=tuple(replace(j, max_velocity=share * j.max_velocity) for j in robot.joints),
    )
    core, asked, held = Core(robot), Core(slower), 0
    bound = column(slower, "max_velocity") - column(slower, "velocity_error")
    for motion in moving(core, seed=5, ticks=160)[::20]:
        while ticks_left(motion) > 0:
            found = asked.recertify(motion)
            _, dq = played(core, motion)
            fits = bool((np.abs(dq) <= bound * (1.0 + 1e-9)).all())
            assert fits or found is not None
            if found is not None:
                assert found[0] == "joint_velocity"
                assert not fits
                assert found[2] > found[3]
            held += found is None
            motion = core.brake(motion)
    assert held > 20


def test_a_wall_that_the_stop_runs_into_is_found_and_one_beyond_it_is_not() -> None:
    """A rail that slides outwards: where it comes to rest decides, to the margins."""
    robot = replace(slider(), volumes=())
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    reference = np.zeros((3, 2))
    reference[1] = 0.0, 0.5
    for _ in range(60):
        motion, _, _ = core.advance(motion, VELOCITY, reference)
    assert ticks_left(motion) > 3
    rail = motion[:-1, 0].copy()
    q, _ = played(core, motion)
    tip = 0.05 + q[-1, 1] + 0.05 + 0.04  # x of the carriage, its capsule's reach, its radius
    tip += robot.standoff
    for gap, holds in ((0.02, True), (-0.002, False)):
        ahead = half_space("ahead", [-1.0, 0.0, 0.0], -(tip + gap), "keep_out")
        found = Core(replace(robot, volumes=(ahead,))).recertify(motion)
        assert (found is None) is holds
        if found is not None:
            assert found[:2] == ("workspace", "link1/ahead")
    assert (motion[:-1, 0] == rail).all()  # only read


def test_from_outside_a_range_it_holds_at_rest_and_on_the_way_in_alone() -> None:
    """At most at recovery speed: a bound that was tightened behind a joint is not a wall."""
    robot = turntable()
    core = Core(robot)
    narrow = Core(with_joints(robot, max_position=0.5))
    rest, _ = core.rest(np.array([0.8]))
    assert narrow.recertify(rest) is None
    for speed, holds in ((-0.05, True), (0.05, False), (-0.5, False)):
        motion, _ = core.rest(np.array([0.8]))
        for _ in range(80):
            motion, _, _ = core.advance(motion, VELOCITY, np.array([[0.0], [speed], [0.0]]))
        assert motion[0, 0] > 0.5
        assert (narrow.recertify(motion) is None) is holds, speed


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_holds_with_a_number_that_is_not_finite(bad: float) -> None:
    core = Core(slider())
    motion = moving(core, seed=6, ticks=40)[-1]
    assert core.recertify(motion) is None
    for row in range(core.n + 1):
        for place in range(3 if row == core.n else 6):
            wrong = motion.copy()
            wrong[row, place] = bad
            if row < core.n and place >= 3 and not motion[core.n, place - 3] > 0.0:
                continue  # the jerk of a phase that is over
            with np.errstate(invalid="ignore"):  # compiled, there is no warning
                assert core.recertify(wrong) is not None, (row, place)


def test_what_does_not_end_at_rest_is_no_stop() -> None:
    core = Core(turntable())
    motion = moving(core, seed=7, ticks=30)[-1].copy()
    motion[-1, 2] -= 1.0
    assert core.recertify(motion) is not None
    motion[-1, 2] += 0.5
    assert core.recertify(motion) is not None

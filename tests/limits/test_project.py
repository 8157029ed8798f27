"""Projection: where a command leads. Nothing here is trusted; but it must lead there, and well."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_links import ball
from tests.robots import column, panda, slider, turntable, with_joints, without_geometry

from checkrein.limits import Limits, LinkLimits
from checkrein.limits.certify import KINDS
from checkrein.limits.core import Core
from checkrein.limits.kernels.packed import pack, work_for
from checkrein.limits.kernels.reference import DELTA, POSITION, VELOCITY
from checkrein.limits.project import FOUND_MAX, project
from checkrein.limits.records import Array


def projected(
    limits: Limits, mode: int, reference: Array, start: Array | None = None
) -> tuple[Array, Array]:
    """(ddq (n,), rows of what bit) from home at rest."""
    packed, n = pack(limits), len(limits.joints)
    at = np.zeros((n, 3)) if start is None else start
    if start is None:
        at[:, 0] = limits.home
    bounds = np.array(
        [column(limits, "min_position"), column(limits, "max_position"),
         column(limits, "max_velocity")]
    )  # fmt: skip
    found, ddq = np.zeros((FOUND_MAX, 4)), np.zeros(n)
    held, slow = mode == VELOCITY, np.zeros(n)
    count = project(packed, at, mode, held, reference, bounds, work_for(packed), found, ddq, slow)
    return ddq, found[:count]


def velocity(limits: Limits, values: Array | float) -> Array:
    reference = np.zeros((3, len(limits.joints)))
    reference[1] = values
    return reference


def kinds(found: Array) -> set[str]:
    return {KINDS[int(row[0])] for row in found}


def test_an_easy_command_is_not_touched() -> None:
    robot = panda()
    ddq, found = projected(robot, VELOCITY, velocity(robot, 0.004))
    assert found.size == 0
    np.testing.assert_allclose(ddq, 0.004 / 0.004)  # half of it now, half while it fades


def test_all_joints_slow_down_together() -> None:
    robot = with_joints(without_geometry(panda()), max_acceleration=1e6, max_jerk=1e12)
    wanted = np.array([8.0, -1.0, 0.5, 2.0, -0.2, 0.1, 1.0])
    ddq, found = projected(robot, VELOCITY, velocity(robot, wanted))
    assert kinds(found) == {"joint_velocity"}
    np.testing.assert_allclose(ddq / ddq[0], wanted / wanted[0], rtol=1e-9)


def test_what_is_proposed_stays_within_acceleration_and_jerk() -> None:
    robot, rng = panda(), np.random.default_rng(1)
    a_max, j_max = column(robot, "max_acceleration"), column(robot, "max_jerk")
    for _ in range(300):
        start = np.zeros((7, 3))
        start[:, 0] = robot.home
        start[:, 1] = rng.uniform(-1.0, 1.0, 7) * column(robot, "max_velocity")
        start[:, 2] = rng.uniform(-1.0, 1.0, 7) * a_max
        mode = int(rng.integers(3))
        ddq, _ = projected(robot, mode, rng.normal(size=(3, 7)) * 10.0, start)
        assert (np.abs(ddq) <= a_max).all()
        assert (np.abs(ddq - start[:, 2]) <= j_max * robot.period_s).all()


@pytest.mark.parametrize("mode", [POSITION, VELOCITY, DELTA])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308, -1e308])
def test_a_wild_reference_gives_a_bounded_proposal_and_says_so(mode: int, bad: float) -> None:
    robot = slider()
    for row in range(3):
        reference = np.zeros((3, 2))
        reference[0] = robot.home
        reference[row, 1] = bad
        ddq, found = projected(robot, mode, reference)
        assert (np.abs(ddq) <= column(robot, "max_acceleration")).all()
        ignored = mode == VELOCITY and row == 0
        assert ignored or found.size > 0


def test_findings_never_overflow_their_table() -> None:
    robot = panda()
    reference = np.full((3, 7), 1e9)
    _, found = projected(robot, POSITION, reference)
    assert 7 < len(found) <= FOUND_MAX
    assert {"joint_position", "joint_velocity", "tcp_speed"} <= kinds(found)


@pytest.mark.parametrize("robot", [turntable(), slider(), panda()])
def test_a_position_is_reached_without_swinging_over(robot: Limits) -> None:
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    target = np.array(robot.home) + 0.1
    reference = np.array([target, np.zeros(core.n), np.zeros(core.n)])
    stream = []
    for _ in range(1200):
        motion, _, _ = core.advance(motion, POSITION, reference)
        stream.append(motion[:-1, 0])
    over = (np.array(stream) - target).max()
    assert over <= 0.02 * 0.1
    np.testing.assert_allclose(stream[-1], target, atol=1e-4)


def test_a_velocity_is_reached_and_kept() -> None:
    robot = panda()
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    speeds = []
    for _ in range(150):
        motion, _, _ = core.advance(motion, VELOCITY, velocity(robot, 0.1))
        speeds.append(motion[:-1, 1])
    np.testing.assert_allclose(speeds[-1], 0.1, rtol=1e-4)
    assert np.max(speeds) <= 0.1 * 1.1


def test_errors_that_exceed_a_bound_stop_the_motion_and_do_not_turn_it_back() -> None:
    """A negative bound on the tool's rotation would be a negative share of the command."""
    robot = with_joints(without_geometry(panda()), velocity_error=0.05)
    robot = replace(robot, tcp=replace(robot.tcp, max_rot_vel=0.3))
    wanted = np.array([0.0, 0.0, 0.2, 0.0, 0.3, 0.2, -0.5])
    for mode in (VELOCITY, POSITION):
        reference = velocity(robot, wanted)
        reference[0] = robot.home + wanted
        ddq, found = projected(robot, mode, reference)
        assert "tcp_rotational_speed" in kinds(found)
        assert float(ddq @ wanted) >= 0.0
        np.testing.assert_allclose(ddq, 0.0, atol=1e-9)


@pytest.mark.parametrize("mode", [VELOCITY, POSITION])
def test_speeds_of_links_and_accelerations_of_the_tool_keep_the_direction(mode: int) -> None:
    robot = with_joints(without_geometry(panda()), max_acceleration=1e6, max_jerk=1e12)
    wanted = np.array([1.0, -0.2, 0.5, 0.4, -0.2, 0.1, 1.0])
    for limits, kind in (
        (replace(robot, links=LinkLimits(0.3)), "link_speed"),
        (replace(robot, zones=(ball([0.4, 0.0, 0.4], 0.3, 0.2),)), "zone_speed"),
        (replace(robot, tcp=replace(robot.tcp, max_trans_acc=0.2)), "tcp_acceleration"),
    ):
        reference = velocity(limits, wanted)
        reference[0] = limits.home + wanted
        ddq, found = projected(limits, mode, reference)
        assert kind in kinds(found)
        if kind != "tcp_acceleration" or mode == VELOCITY:  # position: joint by joint
            np.testing.assert_allclose(ddq / ddq[0], wanted / wanted[0], rtol=1e-6)


def test_a_joint_that_rests_at_its_bound_does_not_count_in_how_fast_the_tool_is() -> None:
    """It is asked for what it cannot do: the others are slowed down for their own speed only."""
    robot = panda()
    start, speeds = np.zeros((7, 3)), np.zeros(7)
    start[:, 0] = robot.home
    start[5, 0] = column(robot, "max_position")[5]
    speeds[0], speeds[5] = 1.3, 1.9
    ddq, found = projected(robot, VELOCITY, velocity(robot, speeds), start)
    assert "tcp_speed" not in kinds(found)
    assert ddq[0] > 0.0
    assert ddq[5] == 0.0
    start[5, 0] -= 0.01
    assert "tcp_speed" in kinds(projected(robot, VELOCITY, velocity(robot, speeds), start)[1])

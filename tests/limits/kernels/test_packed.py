"""Packing: every declared number in its column, and reaches that no configuration exceeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_chain import frames, point, tcp
from tests.robots import array, column, panda, robots, slider

from checkrein.limits import Limits
from checkrein.limits.kernels import packed as columns
from checkrein.limits.kernels.packed import pack, work_for

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


@every_robot
def test_every_joint_limit_is_in_its_column(robot: Limits) -> None:
    packed = pack(robot)
    for index, field in (
        (columns.MIN, "min_position"),
        (columns.MAX, "max_position"),
        (columns.VELOCITY, "max_velocity"),
        (columns.ACCELERATION, "max_acceleration"),
        (columns.JERK, "max_jerk"),
        (columns.EFFORT, "max_effort"),
        (columns.POSITION_ERROR, "position_error"),
        (columns.POSITION_NOISE, "position_noise"),
        (columns.VELOCITY_ERROR, "velocity_error"),
        (columns.EFFORT_ERROR, "effort_error"),
        (columns.RECOVERY, "recovery_velocity"),
    ):
        np.testing.assert_array_equal(packed.joint[:, index], column(robot, field))
    slides = [joint.type == "prismatic" for joint in robot.joints]
    np.testing.assert_array_equal(packed.joint[:, columns.PRISMATIC], slides)


@every_robot
def test_the_scalars(robot: Limits) -> None:
    scalar = pack(robot).scalar
    assert scalar[columns.PERIOD] == robot.period_s
    assert scalar[columns.STANDOFF] == robot.standoff
    assert scalar[columns.TCP_SPEED] == robot.tcp.max_trans_vel
    gravity = scalar[columns.GRAVITY : columns.GRAVITY + 3]
    np.testing.assert_array_equal(gravity, robot.kinematics.gravity)
    declared = robot.tcp.max_rot_vel
    bound = columns.UNDECLARED_RAD_S if declared is None else declared
    assert scalar[columns.TCP_ROTATION] == bound
    levers = np.maximum(pack(robot).reach[-1], columns.LEVER_MIN_M)
    assert scalar[columns.TWIST_LENGTH] == pytest.approx(levers.mean())
    fast = levers * [joint.max_velocity for joint in robot.joints]
    assert scalar[columns.TWIST_SPEED] == pytest.approx(fast.mean())


@every_robot
def test_arrays_are_owned_contiguous_float64(robot: Limits) -> None:
    """One specialisation per kernel, and nothing that a caller could change behind our back."""
    for packed in (pack(robot), work_for(pack(robot))):
        for values in packed:
            assert values.flags.c_contiguous
            assert values.flags.writeable
            assert values.flags.owndata or np.asarray(values.base).flags.owndata
            assert values.dtype in (np.float64, np.uint8)
    assert not np.shares_memory(pack(robot).tcp, robot.kinematics.tcp_translation)


@every_robot
def test_no_configuration_reaches_further(robot: Limits) -> None:
    reach, rng, n = pack(robot).reach, np.random.default_rng(1), len(robot.joints)
    low, high = column(robot, "min_position"), column(robot, "max_position")
    for _ in range(200):
        q = rng.uniform(low, high)
        placed = frames(robot, q)
        ends = [point(placed[k], robot.kinematics.com[k]) for k in range(n)]
        for row, p in enumerate([*ends, tcp(robot, q)]):
            for j in range(min(row, n - 1) + 1):
                assert np.linalg.norm(p - placed[j][:3, 3]) <= reach[row, j] + 1e-12


def test_a_prismatic_joint_has_a_lever_of_at_least_one() -> None:
    """Also if the point is in the joint's origin, where its distance is zero."""
    robot = slider()
    chain = replace(
        robot.kinematics, com=array(np.zeros((2, 3))), tcp_translation=array(np.zeros(3))
    )
    reach = pack(replace(robot, kinematics=chain)).reach
    assert reach[1, 1] == 1.0
    assert reach[2, 1] == 1.0
    assert reach[0, 1] == 0.0  # link 0 is not behind joint 1


@every_robot
def test_the_largest_principal_inertia(robot: Limits) -> None:
    rng, packed = np.random.default_rng(2), pack(robot)
    for k, tensor in enumerate(robot.kinematics.inertia):
        for axis in rng.normal(size=(50, 3)):
            axis /= np.linalg.norm(axis)
            assert np.linalg.norm(tensor @ axis) <= packed.body[k, 10] + 1e-12


def test_exempt_links_are_not_checked() -> None:
    robot = panda()
    checked = pack(robot).checked
    for v, volume in enumerate(robot.volumes):
        for k, capsule in enumerate(robot.capsules):
            assert bool(checked[v, k]) == (capsule.name not in volume.exempt)
    assert checked.any(axis=1).all()

"""Packing: every declared number in its column, and reaches that no configuration exceeds."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from tests.limits.slow_chain import frames, point, tcp
from tests.limits.slow_links import ball
from tests.robots import array, column, panda, robots, slider

from checkrein.limits import Limits, LinkLimits
from checkrein.limits.kernels import packed as columns
from checkrein.limits.kernels.packed import pack, work_for
from checkrein.limits.kernels.views import Views

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
    for packed in cast("tuple[Views, ...]", (pack(robot), work_for(pack(robot)))):
        for values in packed.fields().values():
            assert values.flags.c_contiguous
            assert values.flags.writeable
            assert np.shares_memory(values, packed.flat) or values.size == 0
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


def test_zones_are_places_that_constrain_nothing_but_speed() -> None:
    robot = panda()
    name = robot.capsules[0].name
    zones = (ball([0.5, 0.0, 0.5], 0.2, 0.3), ball([0.0, 0.5, 0.5], 0.1, 0.2, exempt=(name,)))
    packed = pack(replace(robot, zones=zones, links=LinkLimits(1.5)))
    assert packed.scalar[columns.LINK_SPEED] == 1.5
    assert pack(robot).scalar[columns.LINK_SPEED] == columns.UNDECLARED
    assert packed.volume.shape[0] == len(robot.volumes) + 2
    assert not packed.checked[len(robot.volumes) :].any()
    np.testing.assert_array_equal(packed.volume[: len(robot.volumes)], pack(robot).volume)
    assert packed.zone[:, columns.ZONE_SPEED].tolist() == [0.3, 0.2]
    meant = packed.zone[:, columns.ZONED :]
    assert meant[0].all()
    assert [bool(flag) for flag in meant[1]] == [c.name != name for c in robot.capsules]


@every_robot
def test_no_configuration_moves_a_capsule_further_than_its_span(robot: Limits) -> None:
    span, rng = pack(robot).span, np.random.default_rng(1)
    low, high = column(robot, "min_position"), column(robot, "max_position")
    for _ in range(50):
        placed = frames(robot, rng.uniform(low, high))
        for row, capsule in zip(span, robot.capsules, strict=True):
            for end in (capsule.start, capsule.end):
                p = point(placed[capsule.joint], end)
                for j in range(capsule.joint + 1):
                    away = float(np.linalg.norm(p - placed[j][:3, 3]))
                    assert away + capsule.radius <= row[j] + 1e-12
            assert not row[capsule.joint + 1 :].any()

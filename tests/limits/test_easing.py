"""What is eased on the way back, and what a ramp takes away: of the packed limits, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.robots import folding, half_space, panda, robots, slider

from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.easing import ADDED_M, SLACK_M, EasedModel, eased_at
from checkrein.limits.kernels.packed import (
    ACCELERATION,
    PAIR_EASED,
    TCP_SPEED,
    VELOCITY,
    VELOCITY_ERROR,
    pack,
)
from checkrein.limits.kernels.reference import VELOCITY as HELD_VELOCITY
from checkrein.limits.posture import clearances, pair_clearances

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


@every_robot
def test_a_full_share_with_nothing_eased_is_what_is_declared(robot: Limits) -> None:
    packed = pack(robot)
    model = EasedModel(packed)
    eased = np.arange(1.0, model.items + 1.0)
    model.of(eased, 0.5)
    np.testing.assert_allclose(model.of(None, 1.0).flat, packed.flat, rtol=1e-15)


@every_robot
def test_each_entry_eases_its_own_pair_and_joints_go_at_recovery_velocity(robot: Limits) -> None:
    packed = pack(robot)
    model = EasedModel(packed)
    eased = np.arange(1.0, model.items + 1.0) * 1e-3
    found = model.of(eased, 1.0)
    first = packed.eased.size
    np.testing.assert_array_equal(found.eased.ravel(), eased[:first])
    np.testing.assert_array_equal(found.pair[:, PAIR_EASED], eased[first:])
    np.testing.assert_array_equal(found.pair[:, :PAIR_EASED], packed.pair[:, :PAIR_EASED])
    for k, joint in enumerate(robot.joints):
        allowed = found.joint[k, VELOCITY] - joint.velocity_error
        assert allowed == pytest.approx(min(joint.recovery_velocity, joint.max_velocity))
    for name in ("chain", "body", "capsule", "volume", "checked", "mesh", "reach"):
        np.testing.assert_array_equal(getattr(found, name), getattr(packed, name))


@every_robot
def test_a_ramp_leaves_room_for_the_declared_errors_and_grows(robot: Limits) -> None:
    packed, before = pack(robot), None
    model = EasedModel(packed)
    for share in (0.1, 0.3, 0.31, 0.9, 1.0):
        found = model.of(None, share)
        speed = found.joint[:, VELOCITY] - packed.joint[:, VELOCITY_ERROR]
        np.testing.assert_allclose(
            speed, share * (packed.joint[:, VELOCITY] - packed.joint[:, VELOCITY_ERROR]), rtol=1e-12
        )
        np.testing.assert_allclose(
            found.joint[:, ACCELERATION], share * packed.joint[:, ACCELERATION]
        )
        assert found.scalar[TCP_SPEED] <= packed.scalar[TCP_SPEED]
        if before is not None:
            assert (found.joint[:, VELOCITY] >= before.joint[:, VELOCITY]).all()
            assert (found.scalar >= before.scalar).all()
        before = found


@pytest.mark.parametrize("depth", [-0.001, 0.0005, 0.01, 0.08])
def test_what_has_to_be_eased_is_what_is_missing(depth: float) -> None:
    """A wall that the rail's tip is `depth` beyond, at its margins of 2 mm and 1 mm."""
    wall = half_space("wall", [-1.0, 0.0, 0.0], -(0.5 + 0.14 - depth + 0.003), "keep_out")
    robot = replace(slider(), volumes=(*slider().volumes, wall))
    core, q = Core(robot), np.array([0.0, 0.5])
    eased, against = eased_at(core, q)
    assert against is None
    expected = np.zeros(4)
    expected[3] = max(0.0, depth)
    np.testing.assert_allclose(eased, expected, atol=5e-5)
    assert core.rest(q, eased=eased)[1] is None
    if depth > 0.0:
        assert core.rest(q, eased=eased - np.array([0, 0, 0, 1e-4]))[1] is not None
        assert core.rest(q)[1] is not None


@pytest.mark.slow
def test_distances_are_those_of_the_slow_reference() -> None:
    robot = folding(panda(), *(panda().self_collision.pairs[:4]))  # type: ignore[union-attr]
    core, rng = Core(robot), np.random.default_rng(2)
    low = np.array([j.min_position for j in robot.joints])
    high = np.array([j.max_position for j in robot.joints])
    for q in rng.uniform(low, high, (40, 7)):
        volumes = clearances(robot, q[None])[0].ravel()
        pairs = pair_clearances(robot, q[None])[0]
        np.testing.assert_allclose(core.gaps(q), [*volumes, *pairs], atol=1e-5)


def test_a_motion_that_comes_nearer_than_the_slack_is_not_certified_however_slow() -> None:
    wall = half_space("wall", [-1.0, 0.0, 0.0], -0.61, "keep_out")
    robot = replace(slider(), volumes=(wall,))
    core, q = Core(robot), np.array([0.0, 0.5])
    eased = eased_at(core, q)[0]
    eased = np.where(eased > 0.0, eased + ADDED_M, 0.0)
    motion, against = core.rest(q, eased=eased)
    assert against is None
    anchor, rows = np.zeros((2, 2)), np.array([[0.0, 0.02]])
    rows.setflags(write=False)
    for _ in range(50):
        motion, _, _, _ = core.follow(motion, HELD_VELOCITY, rows, 0.0, anchor, 0.0, eased=eased)
        assert core.recertify(motion, eased=eased) is None
    assert motion[1, 0] <= 0.5 + SLACK_M


def test_a_ramp_is_declared_frozen_and_shown(tmp_path: Path) -> None:
    pytest.importorskip("pinocchio")
    from tests.limits import small_arm

    from checkrein.limits import load_limits
    from checkrein.scripts.limits_tables import explained_rows

    text = small_arm.YAML.replace("stop_category:", "arming: {ramp: 500 ms}\nstop_category:")
    limits = load_limits(small_arm.write(tmp_path, text))
    assert limits.ramp_s == 0.5
    rows = {row["path"]: row["value"] for row in explained_rows(limits)}
    assert rows["arming.ramp"] == 0.5
    plain = load_limits(small_arm.write(tmp_path))
    assert plain.ramp_s == 0.0
    for wrong in ("0 s", "11 s", "1 m", "500"):
        with pytest.raises(ValueError, match=r"arming"):
            load_limits(small_arm.write(tmp_path, text.replace("500 ms", wrong)))

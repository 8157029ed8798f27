"""The world is deterministic, solid where it is declared to be, and its dynamics are the frozen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.sim.episode import RobotSide
from checkrein.sim.robot import Segment, SimulatedRobot
from checkrein.sim.world import World

pytest.importorskip("pybullet")


def wave(side: RobotSide, ticks: int) -> np.ndarray:
    """Wave a little; everything that can be seen at the end."""
    robot, world = side.robot, side.world
    q = world.home.copy()
    for k in range(ticks):
        target = world.home + 0.05 * np.sin(0.02 * k)
        robot.step_raw(target)
        q = robot.measured().q
    return np.concatenate((q, robot.measured().dq, robot.measured().tau, world.object_pose()))


def test_same_seed_same_bits(side: RobotSide, panda: dict[str, Any]) -> None:
    first = wave(side, 120)
    side.begin(seed=0, episode=1)
    other = wave(side, 120)
    side.begin(seed=0, episode=0)
    again = wave(side, 120)
    fresh = RobotSide(panda, seed=0)
    fresh.begin(seed=0, episode=0)
    elsewhere = wave(fresh, 120)
    fresh.driver.close()
    assert first.tobytes() == again.tobytes() == elsewhere.tobytes()
    assert first.tobytes() != other.tobytes()  # another object


def test_restored_state_branches_to_the_same_bits(side: RobotSide) -> None:
    world, robot = side.world, side.robot
    wave(side, 50)
    saved = world.save()

    def branch() -> bytes:
        world.restore(saved)
        for _ in range(200):
            world.p.setJointMotorControlArray(
                world.robot,
                world.joint_indices,
                world.p.VELOCITY_CONTROL,
                targetVelocities=[0.3] * len(world.joint_indices),
                forces=robot.motor_efforts,
                physicsClientId=world.client,
            )
            world.advance()
        return world.object_pose().tobytes()

    assert branch() == branch() == branch()
    world.forget(saved)


def test_the_object_stays_on_a_tool_at_rest(side: RobotSide) -> None:
    start, _ = side.world.object_pose_on_tool()
    for _ in range(250):
        side.robot.step(Segment.rest(side.world.home))
    end, tilt = side.world.object_pose_on_tool()
    assert not side.world.object_lost()
    assert tilt < 1e-3
    assert np.abs(end - start).max() < 1e-3


def test_an_object_beside_the_tool_is_lost_and_replaced(side: RobotSide) -> None:
    world = side.world
    x, y, z, *turn = world.object_pose()
    world.p.resetBasePositionAndOrientation(
        world.object_id, [x + 0.13, y, z], turn, physicsClientId=world.client
    )
    assert world.object_lost()
    world.replace_object()
    assert not world.object_lost()


def test_every_keep_out_volume_is_solid_and_in_its_place(side: RobotSide) -> None:
    world, p = side.world, side.world.p
    probe = p.createMultiBody(
        0.0,
        p.createCollisionShape(p.GEOM_SPHERE, radius=0.01, physicsClientId=world.client),
        physicsClientId=world.client,
    )
    for volume in world.frozen["volumes"]:
        if volume["kind"] != "keep_out":
            assert volume["name"] not in world.volumes
            continue
        if volume["shape"] == "half_space":
            inside = (volume["offset"] - 0.02) * np.array(volume["normal"])
            outside = (volume["offset"] + 0.02) * np.array(volume["normal"])
        elif volume["shape"] == "capsule":
            end, start = np.array(volume["end"]), np.array(volume["start"])
            axis = (end - start) / np.linalg.norm(end - start)
            inside = end + (volume["radius"] - 0.001) * axis
            outside = end + (volume["radius"] + 0.02) * axis
        else:
            reach = volume.get("radius") or volume["half_extents"][2]
            inside = np.array(volume["center"]) + np.array([0.0, 0.0, reach - 0.001])
            outside = np.array(volume["center"]) + np.array([0.0, 0.0, reach + 0.02])
        for point, solid in ((inside, True), (outside, False)):
            p.resetBasePositionAndOrientation(
                probe, list(point), [0, 0, 0, 1], physicsClientId=world.client
            )
            near = p.getClosestPoints(
                probe, world.volumes[volume["name"]], 0.5, physicsClientId=world.client
            )
            assert (min(c[8] for c in near) < 0.0) is solid, volume["name"]
    p.removeBody(probe, physicsClientId=world.client)


def test_simulated_dynamics_are_the_frozen_ones(panda: dict[str, Any], side: RobotSide) -> None:
    """Same mass matrix diagonal as the frozen links', payload taken out: the effort limit's."""
    world = side.world
    names = [joint["name"] for joint in panda["joints"]]
    masses = [link["mass"] for link in panda["kinematics"]["links"]]
    simulated = dict.fromkeys(names, 0.0)
    owner = ""
    for i in range(world.p.getNumJoints(world.robot, physicsClientId=world.client)):
        info = world.p.getJointInfo(world.robot, i, physicsClientId=world.client)
        owner = info[1].decode() if info[1].decode() in simulated else owner
        mass = world.p.getDynamicsInfo(world.robot, i, physicsClientId=world.client)[0]
        simulated[owner] += mass
    payload = panda["source"]["payload"]["mass"]
    masses[-1] -= payload
    assert list(simulated.values()) == pytest.approx(masses, abs=1e-9)


def test_a_camera_frame_has_the_asked_size(side: RobotSide) -> None:
    image = side.world.render(48, 32)
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.uint8
    assert len(np.unique(image)) > 10


def test_six_joints_and_a_bolted_base(xarm: dict[str, Any]) -> None:
    with World(xarm) as world:
        robot = SimulatedRobot(world)
        for _ in range(20):
            robot.step(Segment.rest(world.home))
        assert len(robot.measured().q) == 6
        assert "link_base" not in world.moving_links
        assert robot.trace.collisions == ()
        assert not world.object_lost()
        with pytest.raises(ValueError, match="nothing is carried"):
            world.object_pose()


def test_links_that_touch_at_home_do_not_collide_with_each_other(panda: dict[str, Any]) -> None:
    with World(panda, self_collision=True) as world:
        robot = SimulatedRobot(world)
        for _ in range(5):
            robot.step(Segment.rest(world.home))
        assert robot.trace.collisions == ()


def test_closing_twice_does_nothing(xarm: dict[str, Any]) -> None:
    world = World(xarm)
    world.close()
    world.close()

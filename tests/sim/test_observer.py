"""The observer catches each kind when it is provoked, and nothing when all is well."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkrein import sim
from checkrein.sim.episode import RobotSide
from checkrein.sim.observed_geometry import ObservedVolume, point_clearances
from checkrein.sim.observer import KINDS
from checkrein.sim.robot import Segment

T = 0.004
SIM = Path(str(sim.__file__)).parent


def told(side: RobotSide, q: np.ndarray) -> frozenset[str]:
    """Judge `q` as the applied setpoint, as if the motors had been told so and had followed."""
    side.robot._told = q.copy()
    return side.observer.observe(q)


def traced(side: RobotSide, **changes: Any) -> frozenset[str]:
    """Judge a tick at rest whose measurements differ by `changes`."""
    robot = side.robot
    robot.step(Segment.rest(side.world.home))
    robot.trace = replace(robot.trace, **changes)
    return side.observer.observe(robot.told)


def limit(side: RobotSide, key: str) -> np.ndarray:
    return np.array([joint[key] for joint in side.world.frozen["joints"]], dtype=float)


def test_nothing_at_rest(side: RobotSide) -> None:
    for _ in range(50):
        side.robot.step(Segment.rest(side.world.home))
        assert side.after_tick(side.robot.told) == frozenset()
    assert side.observer.counts == dict.fromkeys(KINDS, 0)
    assert side.observer.first == {}
    assert 0.0 < side.observer.clearance_m < math.inf


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("excess", [1.0 + 1e-6, 1.0])
def test_differences_at_the_bound(side: RobotSide, power: int, excess: float) -> None:
    """One difference exactly at, or just beyond, its bound; the higher ones are not asked."""
    kind, key = {
        1: ("joint_velocity", "max_velocity"),
        2: ("joint_acceleration", "max_acceleration"),
        3: ("joint_jerk", "max_jerk"),
    }[power]
    q = side.world.home.copy()
    q[1] += excess * limit(side, key)[1] * T**power
    assert (kind in told(side, q)) is (excess > 1.0)


def test_rounding_of_the_stream_is_no_violation(side: RobotSide) -> None:
    """Constant speed far from zero: third differences are pure rounding."""
    q, side.observer._history = side.world.home + 2.0, []
    side.observer._history = [q, q + 0.001, q + 0.002]
    kinds = told(side, q + 0.003 + 4e-16)
    assert not kinds & {"joint_velocity", "joint_acceleration", "joint_jerk"}


def test_position_beyond_the_limit(side: RobotSide) -> None:
    q = side.world.home.copy()
    q[3] = limit(side, "max_position")[3]
    side.observer._history = [q, q, q]
    assert "joint_position" not in told(side, q)
    q[3] += 1e-6
    assert "joint_position" in told(side, q)
    assert side.observer.first["joint_position"].subject == "applied panda_joint4"


@pytest.mark.parametrize(
    ("kind", "field", "key"),
    [
        ("joint_position", "q", "max_position"),
        ("joint_velocity", "dq", "max_velocity"),
        ("joint_effort", "tau", "max_effort"),
    ],
)
def test_one_substep_beyond_a_measured_bound(
    side: RobotSide, kind: str, field: str, key: str
) -> None:
    values = np.zeros((4, 7)) if field != "q" else np.tile(side.world.home, (4, 1))
    values[2, 5] = limit(side, key)[5]
    assert kind not in traced(side, **{field: values})
    values[2, 5] *= 1.0 + 1e-6
    assert kind in traced(side, **{field: values})
    values[2, 5] = math.nan
    assert kind in traced(side, **{field: values})
    assert side.observer.counts[kind] == 2
    assert side.observer.onsets[kind] == 1


def test_tcp_speed_and_contact_force(side: RobotSide) -> None:
    tcp = side.world.frozen["tcp"]
    for kind, field, bound in (
        ("tcp_speed", "tcp_speed_m_s", tcp["max_trans_vel"]),
        ("tcp_rotational_speed", "tcp_rotation_rad_s", tcp["max_rot_vel"]),
        ("contact_force", "contact_force_n", tcp["max_force"]),
    ):
        assert kind not in traced(side, **{field: np.array([0.0, bound, 0.0, 0.0])})
        assert kind in traced(side, **{field: np.array([0.0, 1.001 * bound, 0.0, 0.0])})
        assert kind in traced(side, **{field: np.array([0.0, math.nan, 0.0, 0.0])})


def test_collision_is_any_touch(side: RobotSide) -> None:
    assert "collision" in traced(side, collisions=((12, 1, -1),))


def test_non_finite_is_what_was_handed_over(side: RobotSide) -> None:
    side.robot.step(Segment.rest(side.world.home))
    handed = [0.0, math.inf]  # too short, too: length is the driver's business
    assert "non_finite" in side.observer.observe(side.robot.told, handed)
    assert side.observer.first["non_finite"].tick == 0


def test_a_lost_object_is_counted_once(side: RobotSide) -> None:
    world = side.world
    x, y, z, *turn = world.object_pose()
    world.p.resetBasePositionAndOrientation(
        world.object_id, [x + 0.14, y, z], turn, physicsClientId=world.client
    )
    for _ in range(5):
        side.robot.step(Segment.rest(world.home))
        side.observer.observe(side.robot.told)
    assert side.observer.counts["object_lost"] == 1
    assert world.object_lost()


def test_a_replaced_object_can_be_lost_again(side: RobotSide) -> None:
    world = side.world
    for _ in range(2):
        x, y, z, *turn = world.object_pose()
        world.p.resetBasePositionAndOrientation(
            world.object_id, [x + 0.14, y, z], turn, physicsClientId=world.client
        )
        side.robot.step(Segment.rest(world.home))
        assert side.after_tick(side.robot.told) == {"object_lost"}  # level and slow: replaced
        assert not side.observer.object_is_lost
        side.robot.step(Segment.rest(world.home))
        assert side.after_tick(side.robot.told) == frozenset()
    assert side.observer.counts["object_lost"] == 2


def test_a_stream_that_was_not_played_is_our_bug(side: RobotSide) -> None:
    side.robot.step(Segment.rest(side.world.home))
    with pytest.raises(ValueError, match="motors were told"):
        side.observer.observe(side.world.home + 1e-3)


def test_workspace_is_judged_on_the_meshes(side: RobotSide) -> None:
    """Press the tray to the table: the clearance is that of its corners."""
    world, observer = side.world, side.observer
    q = world.home.copy()
    for low in (1.0, 1.2, 1.4):
        q[1] = low
        world._place(q)
        if observer._clearances.look()[0] < 0.05:
            break
    clearance, subject, _ = observer._clearances.look()
    hull = next(h for h in observer._clearances._hulls if h.link == "tray")
    position, turn = world.tool_pose()
    matrix = np.array(world.p.getMatrixFromQuaternion(turn)).reshape(3, 3)
    lowest = (hull.points @ matrix.T + position)[:, 2].min()
    assert subject == "tray/table"
    assert clearance == pytest.approx(lowest, abs=1e-9)


def test_keep_out_clearances_agree_with_pybullet(side: RobotSide) -> None:
    world, observer = side.world, side.observer
    rng, near = np.random.default_rng(1), 0
    for _ in range(300):
        world._place(world.home + rng.uniform(-1.2, 1.2, 7))
        clearance, subject, _ = observer._clearances.look()
        link, _, name = subject.partition("/")
        if link == "?" or name not in world.volumes or name == "table":
            continue
        near += 1
        points = world.p.getClosestPoints(
            world.robot, world.volumes[name], 0.3, physicsClientId=world.client
        )
        moving = [c[8] for c in points if c[3] >= 0]
        assert clearance == pytest.approx(min(moving), abs=0.002)
    assert near >= 5  # else the seed shows nothing


def volume(shape: str, kind: str = "keep_out", **fields: Any) -> ObservedVolume:
    return ObservedVolume.parse({"name": "v", "kind": kind, "shape": shape, "exempt": [], **fields})


def test_point_clearances_of_each_shape() -> None:
    eye = [1, 0, 0, 0, 1, 0, 0, 0, 1]
    points = np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 0.5]])
    wedge = [[-9, -9, 1], [9, -9, 1], [0, 9, 1], [0, 0, -9]]  # only its upper side is near
    slopes = [[0, 0, 1, 1], [0, 0, -1, 9]]
    for shape, fields, expected in (
        ("half_space", {"normal": [0, 0, 1], "offset": 1.0}, [1.0, -0.5]),
        ("sphere", {"center": [0, 0, 0], "radius": 1.0}, [1.0, -0.5]),
        ("capsule", {"start": [0, 0, -1], "end": [0, 0, 0], "radius": 1.0}, [1.0, -0.5]),
        ("box", {"center": [0, 0, 0], "rotation": eye, "half_extents": [1, 1, 1]}, [1.0, -0.5]),
        ("cylinder", {"start": [0, 0, -2], "end": [0, 0, 1], "radius": 3.0}, [1.0, -0.5]),
        ("cylinder", {"start": [-3, 0, 0], "end": [3, 0, 0], "radius": 1.0}, [1.0, -0.5]),
        ("mesh", {"vertices": wedge, "planes": slopes}, [1.0, -0.5]),
    ):
        keep_out = volume(shape, **fields)
        assert point_clearances(keep_out, points) == pytest.approx(expected)
        keep_in = volume(shape, "keep_in", **fields)
        assert point_clearances(keep_in, points) == pytest.approx([-e for e in expected])


def test_links_that_touch_each_other_are_a_collision(side: RobotSide) -> None:
    """Fold the hand into the forearm: a pair that the file keeps apart."""
    world, observer = side.world, side.observer
    assert observer._clearances.look()[2] is None
    q, found = world.home.copy(), None
    for angle in np.arange(1.4, -0.01, -0.05):
        q[5] = angle
        world._place(q)
        found = observer._clearances.look()[2]
        if found is not None:
            break
    assert found is not None
    assert list(found) in world.frozen["self_collision"]["pairs"]
    side.robot._told = q.copy()
    assert "collision" in observer.observe(q)
    assert observer.first["collision"].subject == "/".join(found)


def test_an_unknown_kind_of_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        volume("sphere", "keep_clear", center=[0, 0, 0], radius=1.0)


def test_another_format_is_refused(panda: dict[str, Any], side: RobotSide) -> None:
    from checkrein.sim.observer import Observer

    with pytest.raises(ValueError, match="format 1"):
        Observer({**panda, "format": 2}, side.world, side.robot)


def test_it_shares_nothing_with_the_filter() -> None:
    """Neither it nor anything that it imports of ours imports `limits`, `controller` or numba."""
    waiting, seen = ["observer"], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse((SIM / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
                assert not any(m.startswith(("numba", "checkrein", "pinocchio")) for m in modules)
            elif isinstance(node, ast.ImportFrom):
                assert node.level < 2, f"{name} imports {node.module} from outside sim"
                if node.level == 1:
                    waiting.append(str(node.module))
                else:
                    assert not str(node.module).startswith(("numba", "checkrein", "pinocchio"))
    assert {"observer", "observed_geometry", "world", "robot"} <= seen

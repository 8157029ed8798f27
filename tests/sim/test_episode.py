"""A whole unguarded episode: every kind of violation shows up, throws throw, the seed decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from checkrein.limits import RobotState
from checkrein.sim.driver import SimulatedDriver
from checkrein.sim.episode import RobotSide, run_unguarded
from checkrein.sim.observer import KINDS
from checkrein.sim.robot import Segment
from checkrein.sim.scenario import Scenario


def test_unguarded_everything_goes_wrong(side: RobotSide, panda: dict[str, Any]) -> None:
    """`seconds` only sets the good part here: the agenda runs until the time is over."""
    scenario = Scenario(panda, 0, 0, seconds=25.0)
    onsets = run_unguarded(side, scenario, ticks=20_000)
    kinds = {message.kind for message in onsets}
    assert len(onsets) >= 8
    assert all(message.is_moving for message in onsets)
    missing = {kind for kind in KINDS if side.observer.counts[kind] == 0}
    allowed = set() if "non_finite" in kinds else {"non_finite"}
    # What this file declares no bound for cannot be violated.
    declared = {"tcp_acceleration": "max_trans_acc", "tcp_rotational_acceleration": "max_rot_acc"}
    allowed |= {kind for kind, key in declared.items() if key not in panda["tcp"]}
    allowed |= set() if "links" in panda else {"link_speed"}
    allowed |= set() if "zones" in panda else {"zone_speed"}
    assert missing <= allowed
    throws = sum(message.kind == "throw" for message in onsets)
    assert side.observer.onsets["object_lost"] >= 0.8 * throws


def test_same_seed_same_episode(side: RobotSide, panda: dict[str, Any]) -> None:
    ends = []
    for seed in (2, 2, 3):
        side.begin(seed, 0)
        side.driver.ticks = 0
        run_unguarded(side, Scenario(panda, seed, 0, seconds=2.0), ticks=600)
        ends.append(np.concatenate((side.robot.trace.q.ravel(), side.world.object_pose())))
    assert ends[0].tobytes() == ends[1].tobytes()
    assert ends[0].tobytes() != ends[2].tobytes()


def test_the_driver_reads_and_writes(side: RobotSide) -> None:
    driver = SimulatedDriver(side.robot)
    assert (driver.joints, driver.period_s, driver.now_ns) == (7, 0.004, 0)
    driver.write(Segment.rest(side.world.home))
    state = driver.read()
    assert isinstance(state, RobotState)
    assert state.stamp_ns == driver.now_ns == 4_000_000
    assert [thing.name for thing in state.objects] == ["object"]
    assert state.wrench_tcp is not None
    driver.write_raw(side.world.home)
    assert driver.ticks == 2


def test_a_lost_object_is_not_tracked(side: RobotSide) -> None:
    x, y, z, *turn = side.world.object_pose()
    side.world.p.resetBasePositionAndOrientation(
        side.world.object_id, [x + 0.2, y, z], turn, physicsClientId=side.world.client
    )
    assert side.driver.read().objects == ()


def test_an_object_is_only_replaced_on_a_level_and_slow_tool(side: RobotSide) -> None:
    side.robot.step(Segment.rest(side.world.home))
    assert side._may_replace()
    tilted = side.world.home.copy()
    tilted[5] += 0.3
    side.world._place(tilted)
    side.robot.placed()
    side.robot.step(Segment.rest(tilted))
    assert not side._may_replace()


def test_an_operator_places_a_robot_anew(side: RobotSide) -> None:
    side.robot.step_raw(side.world.home + 0.05)
    side.place()
    assert side.robot.told.tolist() == side.world.home.tolist()
    side.robot.step(Segment.rest(side.world.home))
    assert side.after_tick(side.robot.told) == frozenset()


def test_an_object_may_be_replaced_before_the_tick_is_judged(side: RobotSide) -> None:
    """Judged late, the loss is still that of the tick in which it was lost, and counted once."""
    world, observer = side.world, side.observer
    x, y, z, *turn = world.object_pose()
    world.p.resetBasePositionAndOrientation(
        world.object_id, [x + 0.14, y, z], turn, physicsClientId=world.client
    )
    side.robot.step(Segment.rest(world.home))
    side.tend_object()
    assert not world.object_lost()  # a fresh one stands there
    assert not observer.object_is_lost
    assert observer.observe(side.robot.told) == {"object_lost"}
    assert observer.first["object_lost"].tick == 0
    side.robot.step(Segment.rest(world.home))
    assert side.after_tick(side.robot.told) == frozenset()
    assert observer.counts["object_lost"] == 1

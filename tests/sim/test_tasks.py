"""The well-behaved policy: its job gets done, gently, inside every limit, unguarded."""

from __future__ import annotations

from typing import Any

import numpy as np

from checkrein.limits import Command
from checkrein.sim.chain import Chain
from checkrein.sim.episode import RobotSide
from checkrein.sim.naive import NaiveDriver
from checkrein.sim.observer import KINDS
from checkrein.sim.tasks import GoodPolicy


def test_unguarded_it_meets_its_goals_and_breaks_nothing(
    side: RobotSide, panda: dict[str, Any]
) -> None:
    policy = GoodPolicy(panda, Chain(panda), np.random.default_rng(5))
    naive, modes = NaiveDriver(side.robot.told, panda["period_s"]), set()
    for tick in range(2000):
        shot = policy.step(side.robot.measured().q, tick)
        if shot is not None:
            assert tick % 25 == 0  # 10 Hz
            modes.add(shot.mode)
            naive.receive(Command(shot.mode, shot.values, tick + 1, 0, period_ms=shot.period_ms))
        raw = naive.target()
        side.robot.step_raw(raw)
        naive.believed(side.robot.told)
        side.after_tick(side.robot.told, raw)
    assert policy.goals >= 4
    assert policy.goals_met == policy.goals
    assert modes == {"joint_position", "joint_velocity"}
    assert side.observer.counts == dict.fromkeys(KINDS, 0)


def test_same_seed_same_chunks(panda: dict[str, Any]) -> None:
    chain, home = Chain(panda), np.array(panda["home"], dtype=float)
    a, b = (GoodPolicy(panda, chain, np.random.default_rng(1)) for _ in range(2))
    first, again = a.step(home, 0), b.step(home, 0)
    assert first is not None
    assert again is not None
    assert first.values.tobytes() == again.values.tobytes()


def test_six_joints_will_do(xarm: dict[str, Any]) -> None:
    policy = GoodPolicy(xarm, Chain(xarm), np.random.default_rng(1))
    shot = policy.step(np.array(xarm["home"], dtype=float), 0)
    assert shot is not None
    assert shot.values.shape[1] == 6


def test_a_goal_that_was_not_reached_is_not_met(panda: dict[str, Any]) -> None:
    policy, home = GoodPolicy(panda, Chain(panda), np.random.default_rng(1)), panda["home"]
    for tick in range(1000):  # the robot does not move
        policy.step(np.array(home, dtype=float), tick)
    assert policy.goals >= 2
    assert policy.goals_met == 0

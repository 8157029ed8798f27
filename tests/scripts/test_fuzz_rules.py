"""Rules of the decision: what is executed was scored; and a robot at rest can be led away."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from checkrein.controller import Decision, Outcome, SafetyFilter
from checkrein.limits import Command, RobotState
from checkrein.limits.records import Candidates
from checkrein.scripts.fuzz.campaign import open_bench
from checkrein.scripts.fuzz.limits_source import find
from checkrein.scripts.fuzz.rules import RunRules
from checkrein.scripts.fuzz.shard import Bench

ENDLESS = np.array([False, True])
TURN = 2.0 * np.pi


@pytest.mark.parametrize(
    ("mode", "asked", "scored", "same"),
    [
        ("joint_position", [0.1, 0.2], [0.1, 0.2], True),
        ("joint_position", [0.1, 0.2], [0.1, 0.2 + 3.0 * TURN], True),
        ("joint_position", [0.1, 0.2], [0.1 + TURN, 0.2], False),
        ("joint_position", [0.1, 0.2], [0.1, 0.2 + 1e-6], False),
        ("joint_position", [0.1, 0.2], [0.1, np.nan], False),
        ("joint_position", [0.1, np.nan], [0.1, np.nan], False),
        ("joint_velocity", [0.1, 0.2], [0.1, 0.2 + TURN], False),
        ("joint_velocity", [0.1, 0.2], [0.1, 0.2], True),
    ],
)
def test_only_whole_turns_of_joints_without_end_may_differ(
    mode: str, asked: list[float], scored: list[float], same: bool
) -> None:
    robot: Any = SimpleNamespace(continuous=ENDLESS)
    rules = RunRules(robot, None)
    assert rules._is_same(mode, np.array([asked]), np.array([scored])) is same


def test_another_number_of_rows_is_not_the_same() -> None:
    robot: Any = SimpleNamespace(continuous=ENDLESS)
    one, two = np.zeros((1, 2)), np.zeros((2, 2))
    assert not RunRules(robot, None)._is_same("joint_position", one, two)


ARM: Any = SimpleNamespace(
    n=2, continuous=ENDLESS, perception=None, gripper=None, max_force_n=30.0, sha256="0"
)


def nudged(
    asked: list[list[float]],
    *,
    speed: float = 0.0,
    outcome: Outcome = Outcome.CLAMP,
    mode: Any = "joint_velocity",
    robot: Any = ARM,
) -> list[str]:
    """The rules broken by a robot that is asked for these velocities, one each tick."""
    rules, broken = RunRules(robot, None), []
    for seq, values in enumerate(asked, 1):
        command = Command(mode, np.array(values), seq, 0)
        setpoint = SimpleNamespace(q=np.zeros(2), dq=np.array([0.0, speed]), ddq=np.zeros(2))
        decision: Any = SimpleNamespace(
            setpoint=setpoint, outcome=outcome, accepted=0, stop_tick=1, command_seq=seq,
            stop_state=SimpleNamespace(latched=False), limits_sha256="0",
        )  # fmt: skip
        state = RobotState(np.zeros(2), np.zeros(2), 0)
        broken += [rule for rule, _ in rules.judge(state, command, (), decision)]
    return broken


EVERY_WAY = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]


def test_a_robot_that_no_joint_can_lead_away_is_frozen() -> None:
    assert nudged(EVERY_WAY) == ["frozen"]


@pytest.mark.parametrize("missing", range(4))
def test_one_way_that_was_not_tried_may_be_open(missing: int) -> None:
    assert nudged(EVERY_WAY[:missing] + EVERY_WAY[missing + 1 :]) == []


def test_a_refusal_a_push_of_two_joints_and_another_mode_show_nothing() -> None:
    assert nudged(EVERY_WAY, outcome=Outcome.REFUSE) == []
    assert nudged([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]]) == []
    assert nudged(EVERY_WAY, mode="joint_position") == []


def test_what_moves_is_not_frozen() -> None:
    assert nudged(EVERY_WAY, speed=1e-9) == []
    assert nudged(EVERY_WAY[:3]) + nudged(EVERY_WAY[3:]) == []


def test_what_is_seen_may_keep_a_robot_from_moving() -> None:
    assert nudged(EVERY_WAY, robot=SimpleNamespace(**{**vars(ARM), "perception": object()})) == []


@pytest.fixture(scope="module")
def bench() -> Bench:
    return open_bench(find("franka_panda"), zero_margins=True)


class TestRules:
    def decision(self, bench: Bench, **changes: Any) -> Decision:
        guard = SafetyFilter(bench.limits)
        state = RobotState(bench.robot.home, np.zeros(7), 10**9, wrench_tcp=np.zeros(6))
        guard.arm(state, now_ns=10**9)
        decision = guard.step(replace(state, stamp_ns=10**9), None, now_ns=10**9)
        return replace(decision, **changes)

    def broken(self, bench: Bench, proposal: Candidates = None, **changes: Any) -> list[str]:
        state = RobotState(bench.robot.home, np.zeros(7), 10**9, wrench_tcp=np.zeros(6))
        rules = RunRules(bench.robot, None)
        found = rules.judge(state, proposal, (), self.decision(bench, **changes))
        return [rule for rule, _ in found]

    def test_a_stop_breaks_no_rule(self, bench: Bench) -> None:
        assert self.broken(bench) == []

    def test_motion_without_a_command(self, bench: Bench) -> None:
        assert self.broken(bench, stop_tick=0) == ["unasked_motion"]

    def test_motion_after_expiry(self, bench: Bench) -> None:
        command = Command("joint_velocity", np.zeros(7), 1, 10**9)
        state = RobotState(bench.robot.home, np.zeros(7), 10**9, wrench_tcp=np.zeros(6))
        rules = RunRules(bench.robot, None)
        fresh = self.decision(bench, stop_tick=0, accepted=0, command_seq=1)
        assert rules.judge(state, command, (), fresh) == []
        valid = int(bench.robot.timing_ms["command_timeout_ms"] / 4.0)
        later = replace(fresh, accepted=None)
        for _ in range(valid - 1):
            assert rules.judge(state, None, (), later) == []
        assert [rule for rule, _ in rules.judge(state, None, (), later)] == ["expired_followed"]

    @pytest.mark.parametrize(("valid_ms", "ticks"), [(1e9, 25), (40.0, 10), (7.9, 1), (0.1, 1)])
    def test_no_command_claims_a_longer_life_than_declared(
        self, valid_ms: float, ticks: int, bench: Bench
    ) -> None:
        command = Command("joint_velocity", np.zeros(7), 1, 10**9, valid_ms)
        state = RobotState(bench.robot.home, np.zeros(7), 10**9, wrench_tcp=np.zeros(6))
        rules = RunRules(bench.robot, None)
        fresh = self.decision(bench, stop_tick=0, accepted=0, command_seq=1)
        driven = [rules.judge(state, command, (), fresh)]
        driven += [rules.judge(state, None, (), replace(fresh, accepted=None)) for _ in range(30)]
        assert driven.count([]) == ticks
        assert driven[:ticks] == [[]] * ticks

    def test_force_without_a_stop(self, bench: Bench) -> None:
        for force in (bench.robot.max_force_n * 1.01, math.nan):
            wrench = np.array([force, 0, 0, 0, 0, 0])
            state = RobotState(bench.robot.home, np.zeros(7), 10**9, wrench_tcp=wrench)
            rules = RunRules(bench.robot, None)
            (rule,) = rules.judge(state, None, (), self.decision(bench))
            assert rule[0] == "contact_force"

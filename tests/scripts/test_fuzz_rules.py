"""Rules of the decision: what is executed was scored; and a robot at rest can be led away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from checkrein.controller import Outcome
from checkrein.limits import Command, RobotState
from checkrein.scripts.fuzz.rules import RunRules

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

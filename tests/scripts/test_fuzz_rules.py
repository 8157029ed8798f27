"""The rule that what is executed was scored: the very rows, or the same but for whole turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

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

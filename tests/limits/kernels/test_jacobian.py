"""The tool's pose and Jacobian against slow numpy, for revolute and prismatic joints."""

from __future__ import annotations

import numpy as np
import pytest
from tests.limits.slow_chain import frames, jacobian, tcp
from tests.robots import column, panda, shipped, slider

from checkrein.limits import Limits
from checkrein.limits.kernels.jacobian import PLACE, TURN, walk
from checkrein.limits.kernels.packed import TASK_ROWS
from checkrein.limits.kernels.tray import arm_of


@pytest.mark.parametrize("robot", [panda(), shipped("xarm6"), slider()])
def test_against_slow_numpy(robot: Limits) -> None:
    arm, n, rng = arm_of(robot), len(robot.joints), np.random.default_rng(0)
    task = np.zeros((n + TASK_ROWS, 6))
    for _ in range(20):
        q = rng.uniform(column(robot, "min_position"), column(robot, "max_position"))
        walk(arm, q, task)
        J = jacobian(robot, q, tcp(robot, q), n - 1)
        np.testing.assert_allclose(task[:n].T, J, atol=1e-12)
        np.testing.assert_allclose(task[n + PLACE, :3], tcp(robot, q), atol=1e-12)
        turn = task[n + TURN : n + TURN + 3, :3]
        np.testing.assert_allclose(turn, frames(robot, q)[-1][:3, :3], atol=1e-12)

"""Kinematics of the scripted policies: against finite differences, and against PyBullet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.sim.chain import Chain, hermite, rotation_matrix, rotation_vector
from checkrein.sim.episode import RobotSide


@pytest.mark.parametrize("robot", ["panda", "xarm"])
def test_jacobian_is_the_derivative(robot: str, request: pytest.FixtureRequest) -> None:
    frozen: dict[str, Any] = request.getfixturevalue(robot)
    chain, q, step = Chain(frozen), np.array(frozen["home"], dtype=float), 1e-6
    rotation, position, jacobian = chain.tcp(q)
    for i in range(chain.n):
        moved = q.copy()
        moved[i] += step
        turned, there, _ = chain.tcp(moved)
        assert (there - position) / step == pytest.approx(jacobian[:3, i], abs=1e-5)
        assert rotation_vector(turned @ rotation.T) / step == pytest.approx(
            jacobian[3:, i], abs=1e-5
        )


def test_tcp_is_where_pybullet_has_it(panda: dict[str, Any], side: RobotSide) -> None:
    position = Chain(panda).tcp(side.world.home)[1]
    assert side.world.tool_pose()[0] == pytest.approx(position, abs=1e-6)  # the tray's middle


def test_solve_reaches_a_pose(panda: dict[str, Any]) -> None:
    chain, home = Chain(panda), np.array(panda["home"], dtype=float)
    rotation, position, _ = chain.tcp(home)
    goal = position + np.array([0.05, -0.08, 0.04])
    q, error = chain.solve(home, rotation, goal)
    assert error < 1e-3
    assert chain.tcp(q)[1] == pytest.approx(goal, abs=1e-3)


def test_rotation_vector_and_matrix_are_inverse() -> None:
    vector = np.array([0.3, -0.7, 1.1])
    assert rotation_vector(rotation_matrix(vector)) == pytest.approx(vector)
    assert rotation_vector(np.eye(3)) == pytest.approx(np.zeros(3))


def test_hermite_passes_through_its_knots() -> None:
    knots = np.random.default_rng(0).normal(size=(5, 3))
    assert hermite(knots, np.arange(5.0)) == pytest.approx(knots)
    assert hermite(knots, np.array([9.0, -2.0])) == pytest.approx(knots[[4, 0]])

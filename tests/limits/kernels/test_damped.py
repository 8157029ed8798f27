"""Damped least squares: what numpy gives, exact where it can be, bounded where it cannot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.limits.slow_chain import jacobian, pinocchio_model, tcp
from tests.robots import column, panda, shipped, slider, turntable, with_joint

from checkrein.limits import Limits
from checkrein.limits.kernels import damped
from checkrein.limits.kernels.jacobian import walk
from checkrein.limits.kernels.packed import TASK_ROWS, TWIST_LENGTH, TWIST_SPEED
from checkrein.limits.kernels.tray import arm_of
from checkrein.limits.records import Array

ROBOTS = {"panda": panda, "xarm6": lambda: shipped("xarm6"), "slider": slider, "one": turntable}
every_robot = pytest.mark.parametrize("robot", [make() for make in ROBOTS.values()], ids=ROBOTS)


def solved(limits: Limits, q: Array, x: Array, *, keep_away: bool = False) -> Array | None:
    """Joint velocities (n,) for the twist x (6,); None if the system is refused."""
    arm, n = arm_of(limits), len(limits.joints)
    task, out, weighted = np.zeros((n + TASK_ROWS, 6)), np.zeros(n), x.copy()
    weighted[3:] *= arm.scalar[TWIST_LENGTH]
    walk(arm, np.array(q, dtype=np.float64), task)
    if not damped.prepare(arm, n, task) >= 0.0:
        return None
    damped.solve(arm, weighted, n, task, out)
    if keep_away:
        damped.keep_away(arm, np.array(q, dtype=np.float64), n, task, out, np.zeros(n))
    return out


def scaled(limits: Limits, q: Array) -> tuple[Array, Array, float]:
    """(A (6, n), the weights of a twist (6,), ε) by slow numpy."""
    scalar = arm_of(limits).scalar
    weights = np.r_[np.ones(3), np.full(3, scalar[TWIST_LENGTH])]
    J = jacobian(limits, q, tcp(limits, q), len(limits.joints) - 1)
    A = weights[:, None] * J * column(limits, "max_velocity")
    return A, weights, damped.SINGULAR * float(scalar[TWIST_SPEED])


def anywhere(limits: Limits, rng: np.random.Generator) -> Array:
    return rng.uniform(column(limits, "min_position"), column(limits, "max_position"))


@every_robot
def test_against_slow_numpy(robot: Limits) -> None:
    rng, damping_seen = np.random.default_rng(0), 0
    for _ in range(60):
        q, x = anywhere(robot, rng), rng.normal(size=6)
        A, weights, edge = scaled(robot, q)
        small = A @ A.T if A.shape[1] >= 6 else A.T @ A
        s2 = 1.0 / np.trace(np.linalg.inv(small))
        damping2 = damped.DAMPING**2 * max(0.0, edge**2 - s2)
        damping_seen += damping2 > 0.0
        if A.shape[1] >= 6:
            u = A.T @ np.linalg.solve(small + damping2 * np.eye(6), weights * x)
        else:
            identity = np.eye(A.shape[1])
            u = np.linalg.solve(small + damping2 * identity, A.T @ (weights * x))
        want = column(robot, "max_velocity") * u
        got = solved(robot, q, x)
        assert got is not None
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)
    assert damping_seen > 0 or len(robot.joints) < 6


def test_the_tool_moves_as_asked_by_pinocchio() -> None:
    pin: Any = pytest.importorskip("pinocchio")
    robot, rng, seen = panda(), np.random.default_rng(1), 0
    model = pinocchio_model(pin, robot)
    place = pin.SE3(np.eye(3), np.array(robot.kinematics.tcp_translation))
    tip = model.addFrame(pin.Frame("tip", model.njoints - 1, place, pin.FrameType.OP_FRAME))
    data = model.createData()
    for _ in range(80):
        q, x = anywhere(robot, rng), rng.normal(size=6)
        A, _, edge = scaled(robot, q)
        if 1.0 / np.trace(np.linalg.inv(A @ A.T)) < edge**2:
            continue
        seen += 1
        dq = solved(robot, q, x)
        axes = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        J = pin.computeFrameJacobian(model, data, q, tip, axes)
        np.testing.assert_allclose(J @ dq, x, atol=1e-9)
    assert seen > 30


def stretched(robot: Limits) -> list[Array]:
    """Configurations that are singular to the last bit, or as near as rounding allows."""
    n = len(robot.joints)
    elbow = np.array([0.2, 0.5, 0.0, -0.4670897, 0.3, 1.2, 0.1])[:n]
    wrist = np.array([0.1, -0.5, -0.7, 0.3, 0.0, 0.2, 0.0])[:n]
    return [np.zeros(n), elbow, wrist, np.resize([0.0, 0.0, 0.0, math.pi / 2], n)]


@every_robot
def test_bounded_by_design_in_every_configuration(robot: Limits) -> None:
    rng, share = np.random.default_rng(2), 0.0
    several = [anywhere(robot, rng) for _ in range(150)]
    several += [q + h * rng.normal(size=q.size) for q in stretched(robot) for h in (0, 1e-8, 1e-3)]
    for q in several:
        A, weights, edge = scaled(robot, q)
        worst = np.linalg.svd(A)[0][:, min(A.shape) - 1] / weights  # the weakest direction
        for x in (worst, rng.normal(size=6)):
            dq = solved(robot, q, x)
            assert dq is not None
            u = float(np.linalg.norm(dq / column(robot, "max_velocity")))
            bound = damped.GAIN / edge * float(np.linalg.norm(weights * x))
            assert u <= bound * (1.0 + 1e-9)
            share = max(share, u / bound)
    assert share > (0.5 if len(robot.joints) >= 6 else 0.0)  # the bound is not an empty one


def test_a_configuration_that_is_not_a_number_is_refused() -> None:
    for joint in range(7):
        q = np.array(panda().home)
        q[joint] = math.nan
        assert solved(panda(), q, np.ones(6)) is None


class TestKeepAway:
    """What keeps joints off their limits moves neither the tool nor a resting robot."""

    def near_the_end(self) -> Array:
        q = np.array(panda().home)
        q[2], q[6] = 2.7, -2.6
        return q

    def test_the_tool_does_not_feel_it(self) -> None:
        q, x = self.near_the_end(), np.array([0.1, 0.2, -0.1, 0.0, 0.3, 0.1])
        dq, plain = solved(panda(), q, x, keep_away=True), solved(panda(), q, x)
        assert dq is not None
        assert plain is not None
        J = jacobian(panda(), q, tcp(panda(), q), 6)
        np.testing.assert_allclose(J @ dq, J @ plain, atol=1e-9)
        moved = (dq - plain) / column(panda(), "max_velocity")
        assert np.linalg.norm(moved) > 0.01
        share = damped.NULL_SHARE * np.linalg.norm(plain / column(panda(), "max_velocity"))
        assert np.linalg.norm(moved) <= share
        assert -moved[2] + moved[6] > 0.0  # both inwards, as far as the null space goes

    def test_no_twist_no_motion_even_at_the_end_of_the_range(self) -> None:
        np.testing.assert_array_equal(
            solved(panda(), self.near_the_end(), np.zeros(6), keep_away=True), np.zeros(7)
        )

    def test_in_mid_range_it_does_nothing(self) -> None:
        q = 0.5 * (column(panda(), "min_position") + column(panda(), "max_position"))
        x = np.array([0.1, 0.0, 0.2, 0.3, 0.0, 0.0])
        np.testing.assert_array_equal(solved(panda(), q, x, keep_away=True), solved(panda(), q, x))

    def test_beyond_the_end_it_pulls_no_harder(self) -> None:
        robot = with_joint(panda(), 2, max_position=2.5)
        arm = arm_of(robot)
        for q, pull in ((2.5, -1.0), (3.5, -1.0), (-2.9, 1.0)):
            assert damped._towards_middle(arm, 2, q) == pytest.approx(pull)

"""TCP commands: rows and periods as in the joints' modes, poses composed, singularities taken."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.slow_chain import frames, jacobian, rotation_z, tcp
from tests.robots import column, panda, shipped, slider, turntable, without_geometry

from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels import twist
from checkrein.limits.kernels.jacobian import AWAY
from checkrein.limits.kernels.packed import TASK_ROWS
from checkrein.limits.kernels.reference import TCP_DELTA, TWIST, VELOCITY, reference
from checkrein.limits.kernels.tray import arm_of
from checkrein.limits.records import Array
from checkrein.limits.tick import ALTERED

P = 0.05


class Asked(NamedTuple):
    """What in_joints said."""

    sound: bool
    share: float  # of the twist asked for that the joints make
    out: Array  # (3, n)
    away: Array  # (6,)


def asked(
    limits: Limits, mode: int, rows: Array, row_s: float, t: float, q: Array, anchor: Array
) -> Asked:
    arm, n = arm_of(limits), len(limits.joints)
    task, out = np.zeros((n + TASK_ROWS, 6)), np.zeros((3, n))
    twist.remember(arm, anchor, task)
    rows, q = np.ascontiguousarray(rows), np.array(q, dtype=np.float64)
    spare = np.zeros((3, n))
    share = float(twist.in_joints(arm, mode, rows, row_s, t, q, math.inf, task, spare, out))
    return Asked(share >= 0.0, share, out, task[n + AWAY].copy())


def at_home(limits: Limits) -> Array:
    return np.array([limits.home, np.zeros(len(limits.joints))])


def tool_twist(limits: Limits, q: Array, dq: Array) -> Array:
    return np.asarray(jacobian(limits, q, tcp(limits, q), len(limits.joints) - 1) @ dq)


def turned(vector: Array) -> Array:
    """Rotation matrix of a rotation vector, as a limit of many small turns would give it."""
    angle = float(np.linalg.norm(vector))
    if angle == 0.0:
        return np.eye(3)
    z = vector / angle
    x = np.cross(z, [1.0, 0.0, 0.0] if abs(z[0]) < 0.9 else [0.0, 1.0, 0.0])
    x = x / np.linalg.norm(x)
    basis = np.column_stack((x, np.cross(z, x), z))
    return np.asarray(basis @ rotation_z(angle) @ basis.T)


def test_a_single_twist_is_held_and_its_direction_kept() -> None:
    for x in (*np.eye(6), *-np.eye(6), np.array([0.3, -0.2, 0.1, 0.5, 0.2, -0.4])):
        x = 0.2 * x
        got = asked(panda(), TWIST, x[None], 0.0, 3.0, panda().home, at_home(panda()))
        assert got.share == pytest.approx(1.0)
        np.testing.assert_allclose(tool_twist(panda(), panda().home, got.out[1]), x, atol=1e-9)


def test_rows_of_a_twist_are_interpolated_as_joint_velocities_are() -> None:
    rng, limits = np.random.default_rng(0), panda()
    rows, anchor = 0.1 * rng.normal(size=(4, 6)), at_home(limits)
    anchor[1] = 0.1 * rng.normal(size=7)
    begin, want = np.zeros((2, 6)), np.zeros((3, 6))
    begin[1] = tool_twist(limits, anchor[0], anchor[1])
    for t in (0.0, 0.01, 0.05, 0.0625, 0.1, 0.199, 0.2, 5.0):
        reference(VELOCITY, rows, P, begin, t, want)
        got = asked(limits, TWIST, rows, P, t, limits.home, anchor)
        twist_now = tool_twist(limits, limits.home, got.out[1])
        np.testing.assert_allclose(twist_now, want[1], atol=1e-9)


def test_acceleration_keeps_the_twist_as_the_arm_moves() -> None:
    """One small step along velocity and acceleration: the twist is still the one asked for."""
    x, h = np.array([0.2, 0.1, -0.1, 0.3, 0.0, 0.2]), 1e-4
    _, velocity, rate = asked(panda(), TWIST, x[None], 0.0, 0.0, panda().home, at_home(panda())).out
    q, dq = panda().home + h * velocity, velocity + h * rate
    drift = np.abs(tool_twist(panda(), q, dq) - x).max()
    assert drift < 0.01 * np.abs(tool_twist(panda(), q, velocity) - x).max()


@pytest.mark.parametrize("robot", [panda(), shipped("xarm6"), slider(), turntable()])
@pytest.mark.parametrize("mode", [TWIST, TCP_DELTA])
def test_nothing_asked_is_exactly_nothing(robot: Limits, mode: int) -> None:
    for q in (robot.home, column(robot, "max_position")):
        anchor = np.array([q, np.zeros(len(robot.joints))])
        for row_s in (0.0, P):
            got = asked(robot, mode, np.zeros((2, 6)), row_s, 0.02, q, anchor)
            assert got.share == 1.0
            assert not got.out[1:].any()
            np.testing.assert_array_equal(got.out[0], q)


class TestDelta:
    """The target is the pose at acceptance composed with the rows so far."""

    ROWS = np.array(
        [[0.02, 0, 0, 0.3, 0, 0], [0, 0.03, 0, 0, 0.2, 0.1], [0, 0, -0.01, 0, 0, 0.4]], dtype=float
    )

    @pytest.mark.parametrize("t", [0.0, 0.02, 0.05, 0.07, 0.1, 0.1499, 0.15, 9.0])
    def test_target(self, t: float) -> None:
        rng, limits = np.random.default_rng(3), panda()
        k, share = min(3, int(t / P + 1e-9)), max(0.0, t / P - int(t / P + 1e-9))
        shift, turn = self.ROWS[:k, :3].sum(axis=0), np.eye(3)
        for row in self.ROWS[:k]:
            turn = turned(row[3:]) @ turn
        if k < 3:
            shift = shift + share * self.ROWS[k, :3]
            turn = turned(share * self.ROWS[k, 3:]) @ turn
        for _ in range(20):  # wherever the arm is by now, all four branches of the quaternion
            q = rng.uniform(column(limits, "min_position"), column(limits, "max_position"))
            away = asked(limits, TCP_DELTA, self.ROWS, P, t, q, at_home(limits)).away
            np.testing.assert_allclose(
                tcp(limits, q) + away[:3], tcp(limits, limits.home) + shift, atol=1e-9
            )
            here, there = (frames(limits, p)[-1][:3, :3] for p in (q, limits.home))
            np.testing.assert_allclose(turned(away[3:]) @ here, turn @ there, atol=1e-9)
            assert np.linalg.norm(away[3:]) <= math.pi + 1e-9

    def test_more_than_half_a_turn_goes_the_shorter_way(self) -> None:
        row = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, math.radians(200.0)]])
        away = asked(panda(), TCP_DELTA, row, 0.0, 0.0, panda().home, at_home(panda())).away
        np.testing.assert_allclose(away[3:], [0.0, 0.0, -math.radians(160.0)], atol=1e-9)

    def test_constant_speed_within_a_row(self) -> None:
        limits = panda()
        got = asked(limits, TCP_DELTA, self.ROWS[:1], P, 0.0, limits.home, at_home(limits))
        want = self.ROWS[0] / P
        now = tool_twist(limits, limits.home, got.out[1])
        # It may be slowed down as a whole; its direction is that of the row.
        factor = float(now @ want / (want @ want))
        assert 0.0 < factor <= 1.0 + 1e-9
        np.testing.assert_allclose(now, factor * want, atol=1e-9)

    @pytest.mark.parametrize("robot", [panda(), shipped("xarm6")])
    def test_the_tool_arrives_where_the_rows_lead(self, robot: Limits) -> None:
        robot = without_geometry(robot)
        core, rng = Core(robot), np.random.default_rng(4)
        rows = 0.004 * rng.normal(size=(8, 6)) * [1, 1, 1, 3, 3, 3]
        motion, _ = core.rest(robot.home)
        anchor = np.ascontiguousarray(motion[:-1, :2].T)
        for k in range(250):
            motion = core.follow(motion, TCP_DELTA, rows, P, anchor, k * robot.period_s)[0]
        q, turn = motion[:-1, 0], np.eye(3)
        for row in rows:
            turn = turned(row[3:]) @ turn
        want = tcp(robot, robot.home) + rows[:, :3].sum(axis=0)
        np.testing.assert_allclose(tcp(robot, q), want, atol=2e-4)
        now, before = (frames(robot, p)[-1][:3, :3] for p in (q, robot.home))
        np.testing.assert_allclose(now, turn @ before, atol=1e-3)
        np.testing.assert_allclose(motion[:-1, 1], 0.0, atol=2e-3)

    def test_time_may_go_back(self) -> None:
        """The classifier looks at windows that overlap: nothing is kept of a later instant."""
        arm, task, out, spare = (
            arm_of(panda()),
            np.zeros((7 + TASK_ROWS, 6)),
            np.zeros((3, 7)),
            None,
        )
        spare, q = np.zeros((3, 7)), np.array(panda().home)
        twist.remember(arm, at_home(panda()), task)
        for t in (0.14, 0.02):
            twist.in_joints(arm, TCP_DELTA, self.ROWS, P, t, q, math.inf, task, spare, out)
        fresh = asked(panda(), TCP_DELTA, self.ROWS, P, 0.02, q, at_home(panda()))
        np.testing.assert_array_equal(out, fresh.out)


@pytest.mark.parametrize("mode", [TWIST, TCP_DELTA])
@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e308])
def test_what_is_not_finite_gives_nan_and_says_so(mode: int, bad: float) -> None:
    for place in range(6):
        rows = np.zeros((2, 6))
        rows[:, place] = bad, -bad
        got = asked(panda(), mode, rows, 1e-3, 0.0005, panda().home, at_home(panda()))
        assert not got.sound
        assert np.isnan(got.out[:2]).all()
        assert not got.out[2].any()
    wrong = at_home(panda())
    wrong[0, 1] = math.nan
    assert not asked(panda(), TWIST, np.ones((1, 6)), 0.0, 0.0, wrong[0], wrong).sound


def test_a_filter_stands_still_on_a_twist_beyond_all_numbers() -> None:
    core = Core(panda())
    motion, _ = core.rest(panda().home)
    anchor, rows = np.ascontiguousarray(motion[:-1, :2].T), np.full((2, 6), 1.7e308)
    rows[1] *= -1.0
    motion, _, found, _ = core.follow(motion, TWIST, rows, 1e-3, anchor, 0.0005)
    assert {row[0] for row in found} == {"joint_velocity"}
    np.testing.assert_array_equal(motion[:-1, 0], panda().home)


def test_a_twist_that_the_arm_cannot_make_is_a_finding_not_a_secret() -> None:
    """Through every door: few joints, or a singular posture; the share that is made is told."""
    core = Core(slider())
    motion, _ = core.rest(slider().home)
    anchor = np.ascontiguousarray(motion[:-1, :2].T)
    along, across = np.zeros((1, 6)), np.zeros((1, 6))
    along[0, 0], across[0, 2] = 0.05, 0.05  # outwards on the rail; upwards, which it cannot
    assert core.follow(motion, TWIST, along, 0.0, anchor, 0.0)[2] == []
    moved, code, found, _ = core.follow(motion, TWIST, across, 0.0, anchor, 0.0)
    assert (code, found) == (ALTERED, [("singularity", "tcp", 0.0, 1.0, "of the twist")])
    np.testing.assert_array_equal(moved[:-1, 0], slider().home)


def test_near_a_singularity_the_whole_motion_slows_down_direction_kept() -> None:
    """Before the damping bends the twist, the speed of change does: no joint races or swings."""
    limits, x = panda(), np.array([0.25, 0.0, 0.15, 0.0, 0.0, 0.0])
    seen = []
    for bend in (-1.6, -0.9, -0.65, -0.55):
        q = np.array([0.0, 0.5, 0.0, bend, 0.0, 1.6, 0.0])
        got = asked(limits, TWIST, x[None], 0.0, 0.0, q, np.array([q, np.zeros(7)]))
        now = tool_twist(limits, q, got.out[1])
        cosine = float(now @ x / np.linalg.norm(now) / np.linalg.norm(x))
        seen.append(float(np.linalg.norm(now) / np.linalg.norm(x)))
        assert cosine > math.cos(math.radians(1.0)) or bend > -0.6
        assert got.share == pytest.approx(seen[-1], rel=0.15)
    assert seen[0] == pytest.approx(1.0)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0.2

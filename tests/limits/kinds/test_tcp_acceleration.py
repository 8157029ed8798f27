"""TCP acceleration: proven by intervals, so never below what dense sampling of the motion finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.kernels.test_tool_motion import held
from tests.limits.kinds.battery import SCRATCH, MotionBattery, ask, plain_robot, still
from tests.limits.slow_motion import Motion, at, phases, random_motions, sampled
from tests.robots import (
    column,
    panda,
    shipped,
    slider,
    with_joints,
    without_geometry,
    without_margins,
)

from checkrein.limits import Limits
from checkrein.limits.certify import KINDS
from checkrein.limits.core import Core, ticks_left
from checkrein.limits.kernels.motion import build
from checkrein.limits.kernels.packed import (
    ENDS,
    TCP_ACCELERATION,
    TCP_ROTATIONAL_ACCELERATION,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kernels.reference import POSITION, VELOCITY
from checkrein.limits.kernels.tool_motion import tool_accelerations
from checkrein.limits.kinds import tcp_acceleration
from checkrein.limits.records import Array


def hardest(limits: Limits, motion: Motion, count: int) -> tuple[float, float]:
    """Largest acceleration and angular acceleration of the samples."""
    packed = pack(limits)
    found = [tool_accelerations(packed, *at) for at in sampled(motion, limits.period_s, count)]
    return max(one for one, _ in found), max(two for _, two in found)


def tool_holds(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
    code = tcp_acceleration.violated(packed, work, report)
    assert code in (0, tcp_acceleration.TRANSLATIONAL, tcp_acceleration.ROTATIONAL)
    return int(code) == 0


class TestTcpAcceleration(MotionBattery):
    """The column speeds up at its own rate, its rail at rest: radius times that, and speed²."""

    bound = 2.0
    subject = 0
    slack = 0.02
    matters = ("dq", "ddq", "ddq_next", "jerk")

    def declared(self, bound: float) -> Limits:
        return held(plain_robot(), bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.start[1, 2] = motion.ddq_next[1] = value  # the rail, straight outwards
        return motion

    def truth(self, case: Motion) -> float:
        return hardest(plain_robot(), case, 41)[0]

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return tool_holds(packed, work, bounds, report)

    def test_not_declared_binds_nothing(self) -> None:
        assert self.judge(held(plain_robot(), None), self.case(1e6)).ok

    def test_a_constant_speed_about_an_axis_is_an_acceleration_too(self) -> None:
        motion = still()
        motion.start[0, 1] = 1.5
        inwards = hardest(plain_robot(), motion, 5)[0]
        assert inwards > 0.5
        assert self.judge(self.declared(1.01 * inwards), motion).ok
        assert not self.judge(self.declared(0.999 * inwards), motion).ok


class TestTcpRotationalAcceleration(TestTcpAcceleration):
    """The column's own acceleration turns the tool by as much."""

    def declared(self, bound: float) -> Limits:
        return held(plain_robot(), None, bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.start[0, 2] = motion.ddq_next[0] = value
        return motion

    def truth(self, case: Motion) -> float:
        return hardest(plain_robot(), case, 41)[1]

    def test_a_constant_speed_about_an_axis_is_an_acceleration_too(self) -> None:
        motion = still()  # but not of the rotation
        motion.start[:, 1], motion.start[1, 2], motion.ddq_next[1] = 1.5, 0.5, 0.5
        assert self.judge(self.declared(0.01), motion).ok


@pytest.mark.parametrize(
    "robot", [without_margins(panda()), without_margins(slider()), shipped("xarm6")]
)
def test_what_holds_is_never_harder_in_between(robot: Limits) -> None:
    held_count = refused = 0
    for motion in random_motions(robot, seed=5, count=20, speed=0.7):
        linear, angular = hardest(robot, motion, 300)
        for share in (0.7, 0.99, 1.1, 1.5):
            for bounds in ((share * linear, None), (None, share * angular)):
                ok = ask(held(robot, *bounds), motion, tool_holds).ok
                assert not (ok and share < 1.0)
                held_count, refused = held_count + ok, refused + (not ok)
    assert held_count >= 50
    assert refused >= 70


def test_declared_errors_do_not_matter_for_what_is_commanded() -> None:
    robot = with_joints(panda(), tracking_error=0.05, velocity_error=0.5)
    for motion in random_motions(panda(), seed=9, count=5, speed=0.5):
        bounds = [1.05 * value for value in hardest(robot, motion, 100)]
        one, two = (ask(held(limits, *bounds), motion, tool_holds) for limits in (panda(), robot))
        assert one == two


def driven(
    limits: Limits, mode: int, ticks: int, seed: int = 0
) -> tuple[Array, list[float], set[str]]:
    """Hardest accelerations (2,), stops included; speeds; what was found: commands change often."""
    core, rng, packed = Core(limits), np.random.default_rng(seed), pack(limits)
    motion, wrong = core.rest(limits.home)
    assert wrong is None
    wanted, worst, speeds, seen = np.zeros((3, core.n)), np.zeros(2), [], set()
    for k in range(ticks):
        if k % 60 == 0 and mode == VELOCITY:
            fast = column(limits, "max_velocity") * rng.uniform(0.1, 1.0)
            wanted[1] = rng.choice([-1.0, 1.0], core.n) * fast
        elif k % 60 == 0:
            wanted[0] = limits.home + rng.uniform(-0.5, 0.5, core.n)
        motion, _, found = core.advance(motion, mode, wanted)
        seen |= {row[0] for row in found}
        speeds.append(float(np.abs(motion[:-1, 1]).max()))
        played = [motion]
        while k % 40 == 39 and ticks_left(played[-1]):
            played.append(core.brake(played[-1]))
        for there in played:
            columns = (np.array(there[:-1, c]) for c in range(3))
            worst = np.maximum(worst, tool_accelerations(packed, *columns))
    return worst, speeds, seen


@pytest.mark.parametrize("mode", [VELOCITY, POSITION])
@pytest.mark.parametrize("bounds", [(2.0, 6.0), (0.3, 1.0)])
def test_the_robot_goes_on_within_bounds_that_its_full_stop_would_break(
    mode: int, bounds: tuple[float, float]
) -> None:
    robot = without_geometry(without_margins(panda()))
    free, _, _ = driven(robot, mode, 300)
    worst, speeds, seen = driven(held(robot, *bounds), mode, 300)
    assert (free > 2.0 * np.array(bounds)).any()
    assert (worst <= bounds).all()
    assert (worst > 0.85 * np.array(bounds)).any()
    assert {"tcp_acceleration", "tcp_rotational_acceleration"} & seen
    assert np.mean(np.array(speeds) > 0.003) > 0.9  # it does not freeze


def test_a_held_velocity_is_reached_and_kept_and_its_finding_says_why() -> None:
    robot = without_geometry(without_margins(panda()))
    core = Core(held(robot, 2.0))
    motion, _ = core.rest(robot.home)
    wanted, rows = np.zeros((3, 7)), []
    wanted[1, 0] = 1.2
    for _ in range(200):
        motion, _, found = core.advance(motion, VELOCITY, wanted)
        rows += [row for row in found if row[0] == "tcp_acceleration"]
    assert motion[0, 1] == pytest.approx(1.2, abs=1e-6)
    assert (rows[0][1], rows[0][3], rows[0][4]) == ("tcp", 2.0, "m/s²")
    assert rows[0][2] > 2.0


def test_a_position_is_reached_without_swinging_over() -> None:
    robot = without_geometry(without_margins(panda()))
    core = Core(held(robot, 0.8, 3.0))
    motion, _ = core.rest(robot.home)
    wanted, way = np.zeros((3, 7)), np.array([0.3, 0.1, -0.2, 0.1, 0.3, 0.1, 0.4])
    wanted[0] = robot.home + way
    over = -1.0
    for _ in range(600):
        motion, _, _ = core.advance(motion, POSITION, wanted)
        over = max(over, float(((motion[:-1, 0] - wanted[0]) * np.sign(way)).max()))
    assert over < 2e-3
    assert float(np.abs(motion[:-1, 0] - wanted[0]).max()) < 1e-3


def test_a_tool_at_rest_may_always_start() -> None:
    """However small the bound: what moves slowly enough needs little to be stopped."""
    robot = held(without_geometry(without_margins(panda())), 0.02)
    worst, speeds, _ = driven(robot, VELOCITY, 120)
    assert worst[0] <= 0.02
    assert max(speeds) > 2e-3


def pieces_of(limits: Limits, motion: Motion) -> tuple[Packed, Work]:
    """Arrays with the pieces of a motion, and nothing else that is a number."""
    packed = pack(limits)
    work = work_for(packed)
    for name in SCRATCH:
        getattr(work, name)[...] = math.nan
    build(
        np.ascontiguousarray(motion.start), motion.ddq_next, limits.period_s, motion.ticks,
        motion.jerk, work.pieces, work.small[ENDS],
    )  # fmt: skip
    return packed, work


def test_what_the_tool_feels_within_a_piece_is_what_it_feels_then() -> None:
    robot = without_geometry(panda())
    for motion in random_motions(robot, seed=11, count=6):
        packed, work = pieces_of(robot, motion)
        begins = 0.0
        for p, (seconds, _) in enumerate(phases(motion, robot.period_s)):
            for share in (0.0, 0.3, 0.8):
                q, dq, ddq = at(motion, robot.period_s, begins + share * seconds)
                found = tcp_acceleration._at(packed, work, p, share * seconds)
                assert found == pytest.approx(tool_accelerations(packed, q, dq, ddq), rel=1e-9)
            begins += seconds


@pytest.mark.parametrize("turning", [False, True])
def test_an_interval_holds_by_its_ends_and_what_they_may_rise_between(turning: bool) -> None:
    kind = (tcp_acceleration.TRANSLATIONAL, tcp_acceleration.ROTATIONAL)[turning]
    assert KINDS[kind] == ("tcp_acceleration", "tcp_rotational_acceleration")[turning]
    robot, rng, report = without_geometry(panda()), np.random.default_rng(3), np.zeros(3)
    for motion in random_motions(robot, seed=12, count=8):
        packed, work = pieces_of(robot, motion)
        p = int(rng.integers(4))
        first = float(rng.uniform(0.0, 0.02))
        last = first + float(rng.uniform(1e-3, 0.02))
        column = (TCP_ACCELERATION, TCP_ROTATIONAL_ACCELERATION)[turning]
        packed.scalar[[TCP_ACCELERATION, TCP_ROTATIONAL_ACCELERATION]] = math.inf
        most, curve = tcp_acceleration._suprema(packed, work, p, first, last, turning)
        ends = [tcp_acceleration._at(packed, work, p, t)[turning] for t in (first, last)]
        proven = max(ends) + (last - first) ** 2 / 8.0 * curve
        assert max(ends) < proven < most
        low, lower = proven * (1.0 - 1e-9), max(ends) * (1.0 - 1e-9)
        for bound, verdict in (
            (most, 1), (proven * (1.0 + 1e-9), 1), (low, 0), (max(ends), 0), (lower, -1),
        ):  # fmt: skip
            packed.scalar[column] = bound
            found = tcp_acceleration._judge(packed, work, p, first, last, report)
            assert found == (verdict, kind if verdict < 1 else tcp_acceleration.TRANSLATIONAL)
            assert verdict == 1 or report.tolist() == [0.0, max(ends), bound]
        packed.scalar[column] = ends[0]  # an instant is exact
        assert tcp_acceleration._judge(packed, work, p, first, first, report)[0] == 1

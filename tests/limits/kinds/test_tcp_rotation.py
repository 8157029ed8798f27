"""TCP rotation: proven by intervals, so never below what dense sampling of the motion finds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, ask, plain_robot, still
from tests.limits.slow_chain import jacobian, tcp
from tests.limits.slow_motion import Motion, random_motions, sampled
from tests.robots import column, panda, shipped, slider, with_joint, without_margins

from checkrein.limits import Limits
from checkrein.limits.core import Core, ticks_left
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.packed import UNDECLARED_RAD_S, Packed, Work, pack, work_for
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.kinds import tcp_rotation
from checkrein.limits.records import Array


def limited(limits: Limits, speed: float | None) -> Limits:
    return replace(limits, tcp=replace(limits.tcp, max_rot_vel=speed))


def turning(limits: Limits, q: Array, dq: Array) -> float:
    last = len(limits.joints) - 1
    return float(np.linalg.norm(jacobian(limits, q, tcp(limits, q), last)[3:] @ dq))


def fastest(limits: Limits, motion: Motion, count: int) -> float:
    """Largest |ω| of the samples."""
    return max(turning(limits, q, dq) for q, dq, _ in sampled(motion, limits.period_s, count))


class TestTcpRotation(MotionBattery):
    bound = 0.5
    subject = 0
    slack = 1e-9
    matters = ("dq", "ddq", "ddq_next", "jerk")  # of the axes' places only what turns them

    def declared(self, bound: float) -> Limits:
        return limited(plain_robot(), bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.start[0, 1] = value
        return motion

    def truth(self, case: Motion) -> float:
        return fastest(self.declared(1.0), case, 41)

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return tcp_rotation.holds(packed, work, report)

    def test_a_slide_turns_nothing(self) -> None:
        motion = still()
        motion.start[:, 1] = 0.2, 0.8
        assert self.judge(self.declared(0.2), motion).ok
        assert not self.judge(self.declared(0.199), motion).ok

    def test_not_declared_binds_nothing(self) -> None:
        limits = limited(plain_robot(), None)
        assert pack(limits).scalar[6] == UNDECLARED_RAD_S
        assert self.judge(limits, self.case(1e6)).ok
        assert not self.judge(limits, self.case(math.nan)).ok

    def test_a_peak_anywhere_in_a_phase_is_found(self) -> None:
        self.find_every_peak(self.bound)

    def test_errors_of_the_servos_are_charged(self) -> None:
        limits = with_joint(self.declared(self.bound), 0, velocity_error=0.1)
        limits = with_joint(limits, 1, velocity_error=0.4)  # of a slide: no matter
        assert not self.judge(limits, self.case(self.bound - 0.099)).ok
        assert self.judge(limits, self.case(self.bound - 0.101)).ok

    @pytest.mark.parametrize("robot", [without_margins(panda()), without_margins(slider())])
    def test_what_holds_is_never_faster_in_between(self, robot: Limits) -> None:
        held = refused = 0
        for motion in random_motions(robot, seed=5, count=25, speed=0.7):
            truth = fastest(robot, motion, 300)
            for share in (0.7, 0.98, 1.25, 2.0):
                ok = ask(limited(robot, share * truth), motion, self.holds).ok
                assert not (ok and share < 1.0)
                held, refused = held + ok, refused + (not ok)
        assert held >= 20
        assert refused >= 50

    def test_axes_that_come_into_line_within_one_phase(self) -> None:
        """Half-way the tool turns slower than at the end: the axes of the middle are not enough."""
        robot = limited(without_margins(panda()), 100.0)
        start = np.zeros((7, 3))
        start[:, 0] = panda().home
        start[4, 1], start[5, 1], start[6, 1] = 1.0, -1.5, -1.0
        motion = Motion(start, np.zeros(7), np.array([0.0, 0.0, 250.0]), np.zeros((7, 3)))
        truth = fastest(robot, motion, 400)
        samples = list(sampled(motion, robot.period_s, 3))
        assert truth > 1.05 * turning(robot, *samples[1][:2])
        assert not ask(limited(robot, 0.999 * truth), motion, self.holds).ok
        assert ask(limited(robot, 1.15 * truth), motion, self.holds).ok

    @pytest.mark.parametrize("phase", range(3))
    def test_what_follows_a_part_that_is_slow_anyway_is_looked_at(self, phase: int) -> None:
        """Hardly turning at first; at the end, where axes are in line, too fast."""
        robot = replace(without_margins(panda()), period_s=PERIOD_S)
        start, jerk, ticks = np.zeros((7, 3)), np.zeros((7, 3)), np.zeros(3)
        start[:, 0] = panda().home
        start[5, 0], start[4, 1], start[5, 1] = 2.4, 1.0, 0.7
        ticks[phase], jerk[6, phase] = round(1.0 / PERIOD_S), 2.0
        motion = Motion(start, np.zeros(7), ticks, jerk)
        truth = fastest(robot, motion, 41)
        middle = sampled(motion, PERIOD_S, 3)[1][0]
        assert truth > 1.01 * turning(robot, middle, sampled(motion, PERIOD_S, 2)[1][1])
        assert not ask(limited(robot, 0.995 * truth), motion, self.holds).ok
        assert ask(limited(robot, 1.15 * truth), motion, self.holds).ok

    def test_where_the_axes_may_be_is_charged(self) -> None:
        """Two axes that a third, between them, may have turned nearer to each other."""
        robot = with_joint(without_margins(panda()), 1, tracking_error=0.05)
        start = np.zeros((7, 3))
        start[:, 0], start[1, 0], start[0, 1], start[2, 1] = panda().home, -1.2, 1.0, 1.0
        motion = Motion(start, np.zeros(7), np.ones(3), np.zeros((7, 3)))
        off = np.zeros(7)
        off[1] = 0.05
        truth = max(turning(robot, start[:, 0] + way * off, start[:, 1]) for way in (1.0, -1.0))
        assert truth > 1.01 * turning(robot, start[:, 0], start[:, 1])
        assert not ask(limited(robot, 0.9999 * truth), motion, self.holds).ok
        assert ask(limited(robot, 1.15 * truth), motion, self.holds).ok

    def test_with_margins_it_also_covers_a_robot_that_is_off_by_them(self) -> None:
        limits, rng, held = panda(), np.random.default_rng(6), 0
        e_q, e_dq = column(limits, "tracking_error"), column(limits, "velocity_error")
        for motion in random_motions(limits, seed=7, count=12, speed=0.6):
            bound = 0.2 + 1.1 * fastest(limits, motion, 60)
            if not ask(limited(limits, bound), motion, self.holds).ok:
                continue
            held += 1
            for q, dq, _ in sampled(motion, limits.period_s, 40):
                q, dq = q + e_q * rng.choice([-1, 1], 7), dq + e_dq * rng.choice([-1, 1], 7)
                assert turning(limits, q, dq) <= bound
        assert held >= 5


@pytest.mark.parametrize("robot", [panda(), shipped("xarm6")])
def test_the_norm_for_the_frames_of_forward(robot: Limits) -> None:
    packed, rng = pack(robot), np.random.default_rng(1)
    work = work_for(packed)
    for _ in range(5):
        q, dq = np.array(robot.home) + rng.uniform(-0.5, 0.5, len(robot.joints)), rng.normal(size=7)
        dq = dq[: len(robot.joints)].copy()
        forward(packed, q, work)
        speed, bound = tcp_rotation.rotational_speed_and_bound(packed, work, dq)
        assert speed == pytest.approx(turning(robot, q, dq), rel=1e-12)
        assert bound == pytest.approx(
            robot.tcp.max_rot_vel - column(robot, "velocity_error").sum(), rel=1e-12
        )


def test_what_the_filter_lets_through_the_oracle_does_not_fault() -> None:
    """The wrist spun, with every declared error at its worst: sampled by another implementation."""
    robot = replace(panda(), volumes=(), tcp=replace(panda().tcp, max_trans_vel=10.0))
    core, rng = Core(robot), np.random.default_rng(3)
    motion, _ = core.rest(robot.home)
    e_q, e_dq = column(robot, "tracking_error"), column(robot, "velocity_error")
    declared, largest = robot.tcp.max_rot_vel, 0.0
    assert declared is not None
    wanted = np.zeros((3, 7))
    for k in range(400):
        if k % 100 == 0:
            wanted[1] = rng.choice([-1.0, 1.0], 7) * column(robot, "max_velocity")
        motion, _, _ = core.advance(motion, VELOCITY, wanted)
        q, dq = motion[:-1, 0], motion[:-1, 1]
        stops = [motion]
        while k % 25 == 0 and ticks_left(stops[-1]):
            stops.append(core.brake(stops[-1]))
        for at in stops:
            q, dq = at[:-1, 0] + e_q * rng.choice([-1, 1], 7), at[:-1, 1]
            largest = max(largest, turning(robot, q, dq + e_dq * rng.choice([-1, 1], 7)))
    assert 0.8 * declared < largest <= declared


def test_the_tool_is_slowed_down_as_a_whole_and_turns_almost_as_fast_as_it_may() -> None:
    """The filter scales the motion before the certificate has to refuse it."""
    robot = limited(without_margins(panda()), 1.0)
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    wanted = np.zeros((3, 7))
    wanted[1] = [0.6, 0.0, 0.5, 0.0, 0.9, 0.4, -1.2]
    seen = set()
    for _ in range(120):
        motion, _, found = core.advance(motion, VELOCITY, wanted)
        seen |= {(row[0], row[1], row[4]) for row in found}
        assert turning(robot, motion[:-1, 0], motion[:-1, 1]) <= 1.0 + 1e-9
    assert ("tcp_rotational_speed", "tcp", "rad/s") in seen
    dq = motion[:-1, 1]
    assert turning(robot, motion[:-1, 0], dq) > 0.9
    along = float(dq @ wanted[1]) / float(np.linalg.norm(dq) * np.linalg.norm(wanted[1]))
    assert along > math.cos(math.radians(3.0))

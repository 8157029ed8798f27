"""TCP speed: proven by intervals, so never below what dense sampling of the motion finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, ask, plain_robot, still, surge
from tests.limits.slow_chain import jacobian, tcp
from tests.limits.slow_motion import Motion, random_motions, sampled
from tests.robots import array, panda, slider, with_joint, without_margins

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import Packed, Work
from checkrein.limits.kinds import tcp_speed
from checkrein.limits.records import Array


def limited(limits: Limits, speed: float) -> Limits:
    return replace(limits, tcp=replace(limits.tcp, max_trans_vel=speed))


def fastest(limits: Limits, motion: Motion, count: int) -> float:
    """Largest |J dq| of the samples."""
    last = len(limits.joints) - 1
    return max(
        float(np.linalg.norm(jacobian(limits, q, tcp(limits, q), last)[:3] @ dq))
        for q, dq, _ in sampled(motion, limits.period_s, count)
    )


class TestTcpSpeed(MotionBattery):
    bound = 0.5
    subject = 0
    slack = 0.02

    def declared(self, bound: float) -> Limits:
        return limited(plain_robot(), bound)

    def case(self, value: float) -> Motion:
        motion = still()  # the TCP is 0.05 + 0.25 + 0.2 from the column
        motion.start[0, 1] = value / 0.5
        return motion

    def truth(self, case: Motion) -> float:
        return fastest(self.declared(1.0), case, 41)

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return tcp_speed.holds(packed, work, report)

    def test_a_carriage_whose_tcp_is_at_its_joint_is_as_fast_as_the_joint(self) -> None:
        """The TCP in the origin of a prismatic joint: its lever is 1, not 0."""
        chain = replace(plain_robot().kinematics, tcp_translation=array([0.0, 0.0, 0.0]))
        motion = still()
        motion.start[1, 1] = 0.4
        for bound, allowed in ((0.41, True), (0.39, False)):
            limits = replace(limited(plain_robot(), bound), kinematics=chain)
            assert self.judge(limits, motion).ok is allowed

    def test_an_arm_that_gets_longer_within_one_phase(self) -> None:
        """Half-way the TCP is slower than at the end: the Jacobian of the middle is not enough."""
        motion = still()
        motion.start[:, 1] = 1.0, 0.4
        motion.ticks[:] = 0.0, 0.0, 250.0
        truth = self.truth(motion)
        middle = float(np.hypot(0.5 * (0.5 + 0.9), 0.4))
        assert truth > 1.2 * middle
        assert truth * (1.0 - 1e-12) <= self.critical(motion) <= truth * 1.1

    def test_a_peak_anywhere_in_a_phase_is_found(self) -> None:
        self.find_every_peak(self.bound / 0.5, room=1.3)

    def test_what_follows_a_part_that_is_slow_anyway_is_looked_at(self) -> None:
        """Hardly turning at first; too fast at the end, where the arm is longer than half-way.

        Also in the last phase, behind which nothing is looked at.
        """
        motions = [surge(1.0, phase=phase) for phase in range(3)]
        for motion in motions:
            motion.start[1, 1] = 0.3
            assert not self.admitted(0.99 * self.truth(motion), motion)
        motion, truth = motions[0], self.truth(motions[0])
        assert truth > 1.15 * float(np.hypot(0.65, 0.3))
        assert truth * (1.0 - 1e-12) <= self.critical(motion) <= 1.2 * truth

    def test_a_robot_that_may_be_off_is_charged_for_it(self) -> None:
        """Where the carriage may be further out by 0.1 m, the tool may be faster by a fifth."""
        limits = with_joint(self.declared(self.bound), 1, tracking_error=0.1)
        assert not self.judge(limits, self.case(0.85 * self.bound)).ok
        assert self.judge(limits, self.case(0.4 * self.bound)).ok

    def test_errors_of_the_servos_are_charged(self) -> None:
        limits = with_joint(self.declared(self.bound), 0, velocity_error=0.1)
        # 0.1 rad/s at 0.5 m are 0.05 m/s.
        assert not self.judge(limits, self.case(self.bound - 0.049)).ok
        assert self.judge(limits, self.case(0.5 * self.bound)).ok

    @pytest.mark.parametrize("robot", [without_margins(panda()), without_margins(slider())])
    def test_what_holds_is_never_faster_in_between(self, robot: Limits) -> None:
        held = refused = 0
        for motion in random_motions(robot, seed=5, count=25, speed=0.7):
            truth = fastest(robot, motion, 300)
            for share in (0.7, 0.98, 1.2, 2.0):
                ok = ask(limited(robot, share * truth), motion, self.holds).ok
                assert not (ok and share < 1.0)
                held, refused = held + ok, refused + (not ok)
        assert held >= 20
        assert refused >= 50

    def test_with_margins_it_also_covers_a_robot_that_is_off_by_them(self) -> None:
        """Measured q and dq anywhere within the declared errors: the *measured* speed holds."""
        limits, rng, held = slider(), np.random.default_rng(6), 0
        e_q = np.array([j.tracking_error for j in limits.joints])
        e_dq = np.array([j.velocity_error for j in limits.joints])
        for motion in random_motions(limits, seed=7, count=30, speed=0.6):
            bound = 1.05 * fastest(limits, motion, 60)
            if not ask(limited(limits, bound), motion, self.holds).ok:
                continue
            held += 1
            for q, dq, _ in sampled(motion, limits.period_s, 60):
                q, dq = q + e_q * rng.choice([-1, 1], 2), dq + e_dq * rng.choice([-1, 1], 2)
                J = jacobian(limits, q, tcp(limits, q), 1)[:3]
                assert float(np.linalg.norm(J @ dq)) <= bound
        assert held >= 5


def test_period_is_a_power_of_two() -> None:
    assert plain_robot().period_s == PERIOD_S

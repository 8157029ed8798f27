"""Joint velocity: its extrema are at the roots of ddq, inside the pieces as well."""

from __future__ import annotations

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, ask, plain_robot, still
from tests.limits.slow_motion import Motion, random_motions, sampled, stopping
from tests.robots import panda, with_joint

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import Packed, Work, pack
from checkrein.limits.kinds import joint_velocity
from checkrein.limits.records import Array


class TestJointVelocity(MotionBattery):
    bound = 0.75
    subject = 1
    matters = ("dq", "ddq", "ddq_next", "jerk")

    def declared(self, bound: float) -> Limits:
        return with_joint(plain_robot(), 1, max_velocity=bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.start[1, 1] = value
        return motion

    def truth(self, case: Motion) -> float:
        return max(float(np.abs(dq[1])) for _, dq, _ in sampled(case, PERIOD_S, 5))

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return joint_velocity.holds(bounds[2], work, report)

    def test_the_peak_inside_a_stop_counts(self) -> None:
        """Braking from inside the (dq, ddq) box first speeds up: the peak is in the first phase."""
        limits = plain_robot()
        motion = still()
        motion.start[1, 1:] = 0.7, 6.0
        motion.ddq_next[1] = 6.0
        braked = stopping(pack(limits), motion.start, motion.ddq_next)
        assert braked is not None
        peak = max(float(dq[1]) for _, dq, _ in sampled(braked, PERIOD_S, 1001))
        assert peak > 0.7 + 6.0 * PERIOD_S
        critical = self.critical(braked)
        assert peak <= critical <= peak * (1.0 + 1e-6)

    def test_the_velocity_error_is_taken_off(self) -> None:
        limits = with_joint(self.declared(self.bound), 1, velocity_error=0.25)
        assert self.judge(limits, self.case(0.5)).ok
        verdict = self.judge(limits, self.case(0.51))
        assert not verdict.ok
        assert verdict.bound == pytest.approx(0.5)

    def test_what_holds_is_never_faster_in_between(self) -> None:
        limits, held = panda(), 0
        speed = np.array([j.max_velocity - j.velocity_error for j in limits.joints])
        for motion in random_motions(limits, seed=3, count=60, speed=1.25):
            ok = ask(limits, motion, self.holds).ok
            fastest = np.abs([dq for _, dq, _ in sampled(motion, limits.period_s, 400)]).max(axis=0)
            assert (
                bool(np.all(fastest <= speed + 1e-12))
                if ok
                else bool(np.any(fastest > speed * (1.0 - 1e-4)))
            )
            held += ok
        assert 20 <= held < 60

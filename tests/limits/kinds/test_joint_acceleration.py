"""Joint acceleration: linear in each piece, so the ends of the pieces decide."""

from __future__ import annotations

import numpy as np
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, plain_robot, still
from tests.limits.slow_motion import Motion, sampled
from tests.robots import with_joint

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import Packed, Work
from checkrein.limits.kinds import joint_acceleration
from checkrein.limits.records import Array


class TestJointAcceleration(MotionBattery):
    bound = 6.0
    subject = 1
    matters = ("ddq", "ddq_next", "jerk")

    def declared(self, bound: float) -> Limits:
        return with_joint(plain_robot(), 1, max_acceleration=bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.ddq_next[1] = value
        return motion

    def truth(self, case: Motion) -> float:
        return max(float(np.abs(ddq[1]).max()) for _, _, ddq in sampled(case, PERIOD_S, 5))

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return joint_acceleration.holds(packed, work, report)

    def test_the_end_of_every_phase_is_looked_at(self) -> None:
        for phase in range(3):
            motion = still()
            motion.jerk[1, phase] = -1.01 * self.bound / PERIOD_S
            assert not self.admitted(self.bound, motion)


class TestSlowingDown(TestJointAcceleration):
    """The same owed of max_deceleration, which is smaller or larger than max_acceleration."""

    def declared(self, bound: float) -> Limits:
        return with_joint(plain_robot(), 1, max_acceleration=1.0, max_deceleration=bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.start[1, 1] = 50.0  # so fast that it never turns
        motion.ddq_next[1] = -value
        return motion

    def truth(self, case: Motion) -> float:
        moves = [(dq[1], ddq[1]) for _, dq, ddq in sampled(case, PERIOD_S, 5)]
        return max(float(abs(ddq)) for dq, ddq in moves if dq * ddq <= 0.0)

    def test_the_end_of_every_phase_is_looked_at(self) -> None:
        for phase in range(3):
            motion = self.case(0.0)
            motion.jerk[1, phase] = -1.01 * self.bound / PERIOD_S
            assert not self.admitted(self.bound, motion)
            assert self.admitted(1.02 * self.bound, motion)

    def test_speeding_up_keeps_its_own(self) -> None:
        for value, ok in ((-0.9, True), (-1.1, False)):
            assert self.admitted(self.bound, self.case(value)) is ok

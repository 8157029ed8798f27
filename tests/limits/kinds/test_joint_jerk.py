"""Joint jerk: constant in each piece; every piece that lasts is held to the bound."""

from __future__ import annotations

import numpy as np
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, plain_robot, still
from tests.limits.slow_motion import Motion, phases
from tests.robots import with_joint

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import Packed, Work
from checkrein.limits.kinds import joint_jerk
from checkrein.limits.records import Array


class TestJointJerk(MotionBattery):
    bound = 512.0
    subject = 1
    matters = ("ddq", "ddq_next", "jerk")

    def declared(self, bound: float) -> Limits:
        return with_joint(plain_robot(), 1, max_jerk=bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.ddq_next[1] = value * PERIOD_S
        return motion

    def truth(self, case: Motion) -> float:
        return max(float(np.abs(jerk[1]).max()) for _, jerk in phases(case, PERIOD_S))

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return joint_jerk.holds(packed, work, report)

    def test_each_phase_of_the_stop_is_looked_at(self) -> None:
        for phase in range(3):
            motion = still()
            motion.jerk[1, phase] = -1.01 * self.bound
            verdict = self.judge(self.declared(self.bound), motion)
            assert not verdict.ok
            assert verdict.value == 1.01 * self.bound

    def test_a_phase_that_does_not_last_has_no_jerk(self) -> None:
        motion = still()
        motion.jerk[1, 1], motion.ticks[1] = 9e9, 0.0
        assert self.admitted(self.bound, motion)

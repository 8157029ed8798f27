"""Tracking: the robot is where it is commanded to be, joint by joint, within the declared error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tests.limits.kinds.battery import LimitBattery, Verdict
from tests.robots import slider, with_joint

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import pack
from checkrein.limits.kinds import tracking
from checkrein.limits.records import Array


class Case(NamedTuple):
    measured: Array  # (2, n) q and dq
    motion: Array  # (n + 1, 6)


class TestTracking(LimitBattery):
    bound = 0.002
    subject = 1

    def declared(self, bound: float) -> Limits:
        return with_joint(slider(), 1, tracking_error=bound)

    def case(self, value: float) -> Case:
        motion, measured = np.zeros((3, 6)), np.zeros((2, 2))
        motion[:2, 0] = 0.5, 0.25
        measured[0] = 0.5, 0.25 + value
        return Case(measured, motion)

    def truth(self, case: Case) -> float:
        return float(abs(case.measured[0, 1] - case.motion[1, 0]))

    def judge(self, limits: Limits, case: Case) -> Verdict:
        joint = tracking.holds(pack(limits), case.measured, case.motion)
        away = abs(case.measured[0, joint] - case.motion[joint, 0])
        return Verdict(joint == -1, joint, float(away), limits.joints[joint].tracking_error)

    def corrupted(self, case: Case, bad: float) -> Iterator[Case]:
        for index in np.ndindex(2, 2):
            measured = case.measured.copy()
            measured[index] = bad
            yield Case(measured, case.motion)

    def test_it_is_judged_on_both_sides(self) -> None:
        assert not self.admitted(self.bound, self.case(-1.01 * self.bound))
        assert self.admitted(self.bound, self.case(-0.99 * self.bound))

    def test_the_first_joint_that_is_off_is_named(self) -> None:
        case = self.case(1.0)
        case.measured[0, 0] = math.nan
        assert self.judge(self.declared(self.bound), case).subject == 0

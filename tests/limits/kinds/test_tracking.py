"""Tracking: the robot is where it is commanded to be, joint by joint, within the declared error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tests.limits.kinds.battery import LimitBattery, Verdict
from tests.robots import slider, with_joint

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import CONTINUOUS, pack
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


class TestWithin:
    """The same for a stream that passed a range lately: what is measured may be anywhere in it."""

    def judged(self, measured: float, low: float, high: float) -> bool:
        packed = pack(with_joint(slider(), 1, tracking_error=0.002, position_noise=0.001))
        passed = np.array([[0.5, low], [0.5, high]])
        joint = tracking.within(packed, np.array([[0.5, measured], [0.0, 0.0]]), passed)
        assert joint in (-1, 1)
        return bool(joint == -1)

    def test_the_error_and_twice_the_noise_on_either_side(self) -> None:
        for off, expected in ((0.0, True), (0.00399, True), (0.00401, False)):
            assert self.judged(0.3 + off, 0.2, 0.3) is expected
            assert self.judged(0.2 - off, 0.2, 0.3) is expected
        assert self.judged(0.25, 0.2, 0.3)

    def test_a_range_that_is_no_range_holds_nothing(self) -> None:
        for bad in (math.nan, math.inf, -math.inf):
            assert not self.judged(0.25, bad, 0.3)
            assert not self.judged(0.25, 0.2, bad)

    def test_as_narrow_as_the_command_it_is_the_same_question(self) -> None:
        packed, rng = pack(slider()), np.random.default_rng(3)
        for off in rng.uniform(-0.003, 0.003, (50, 2)):
            measured, motion = np.zeros((2, 2)), np.zeros((3, 6))
            motion[:2, 0] = 0.5, 0.25
            measured[0] = motion[:2, 0] + off
            passed = np.array([motion[:2, 0], motion[:2, 0]])
            assert tracking.within(packed, measured, passed) == tracking.holds(
                packed, measured, motion
            )

    def test_both_sides_are_judged_to_the_last_bit(self) -> None:
        """Powers of two, so that nothing is rounded."""
        packed = pack(with_joint(slider(), 1, tracking_error=2.0**-9, position_noise=0.0))
        passed = np.array([[0.5, 0.25], [0.5, 0.5]])
        for at, ok in (
            (0.5 + 2.0**-9, True), (math.nextafter(0.5 + 2.0**-9, 1.0), False),
            (0.25 - 2.0**-9, True), (math.nextafter(0.25 - 2.0**-9, 0.0), False),
        ):  # fmt: skip
            joint = tracking.within(packed, np.array([[0.5, at], [0.0, 0.0]]), passed)
            assert joint == (-1 if ok else 1)


def test_a_joint_that_turns_on_is_where_it_is_by_any_number_of_turns() -> None:
    """Its encoder may read what it likes of them; half a turn away is half a turn away."""
    packed = pack(with_joint(slider(), 1, tracking_error=2.0**-9, position_noise=0.0))
    for continuous in (False, True):
        packed.joint[1, CONTINUOUS] = float(continuous)
        for turns in (-3, -1, 0, 1, 2):
            for low, high in ((0.25, 0.25), (7.0, 7.25), (-20.5, -20.25)):
                passed = np.array([[0.5, low], [0.5, high]])
                for off, near in ((0.001, True), (-0.001, True), (0.003, False), (3.1, False)):
                    at = (high if off > 0.0 else low) + off + 2.0 * math.pi * turns
                    joint = tracking.within(packed, np.array([[0.5, at], [0.0, 0.0]]), passed)
                    expected = near and (continuous or turns == 0)
                    assert joint == (-1 if expected else 1), (turns, low, off)

"""Joint position: at the roots of dq, over the tick and its whole stop, on both sides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, ask, plain_robot, still
from tests.limits.slow_motion import Motion, random_motions, sampled, stopping
from tests.robots import column, panda, with_joint

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import Packed, Work, pack
from checkrein.limits.kinds import joint_position
from checkrein.limits.records import Array


class TestJointPosition(MotionBattery):
    bound = 0.5
    subject = 1

    def declared(self, bound: float) -> Limits:
        return with_joint(plain_robot(), 1, min_position=-10.0, max_position=bound)

    def case(self, value: float) -> Motion:
        return still((0.0, value))

    def truth(self, case: Motion) -> float:
        return max(float(q[1]) for q, _, _ in sampled(case, PERIOD_S, 5))

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return joint_position.holds(bounds[0], bounds[1], work, report)

    def test_the_lower_side_holds_to_one_ulp_too(self) -> None:
        for low, allowed in (
            (0.25, True),
            (math.nextafter(0.25, 0.0), True),
            (math.nextafter(0.25, 1.0), False),
        ):
            limits = with_joint(plain_robot(), 1, min_position=low)
            assert self.judge(limits, still((0.0, 0.25))).ok is allowed

    def test_a_rejection_at_the_lower_side_says_who_how_much_and_against_what(self) -> None:
        verdict = self.judge(with_joint(plain_robot(), 1, min_position=0.5), still((0.0, 0.25)))
        assert (verdict.ok, verdict.subject, verdict.value, verdict.bound) == (False, 1, 0.25, 0.5)

    def test_where_the_stop_turns_round_counts(self) -> None:
        """A joint that moves out while it brakes inwards turns inside a phase."""
        limits, start = plain_robot(), still().start
        start[1] = 0.4, -0.02, 4.0
        motion = stopping(pack(limits), start, np.array([0.0, 4.0]))
        assert motion is not None
        positions = [float(q[1]) for q, _, _ in sampled(motion, PERIOD_S, 1001)]
        lowest = min(positions)
        assert lowest < min(positions[0], positions[-1])
        for low, allowed in ((lowest - 1e-6, True), (lowest + 1e-6, False)):
            assert self.judge(with_joint(limits, 1, min_position=low), motion).ok is allowed

    def test_the_tracking_error_is_taken_off_on_both_sides(self) -> None:
        limits = with_joint(
            plain_robot(), 1, min_position=0.0, max_position=1.0, tracking_error=0.125
        )
        for value, allowed in ((0.125, True), (0.875, True), (0.1249, False), (0.8751, False)):
            verdict = self.judge(limits, self.case(value))
            assert verdict.ok is allowed
            if not allowed:
                assert verdict.bound == pytest.approx(0.125 if value < 0.5 else 0.875)

    def test_what_holds_never_leaves_in_between(self) -> None:
        limits, held = panda(), 0
        error = column(limits, "tracking_error")
        low, high = column(limits, "min_position") + error, column(limits, "max_position") - error
        for motion in random_motions(limits, seed=4, count=60):
            ok = ask(limits, motion, self.holds).ok
            q = np.array([q for q, _, _ in sampled(motion, limits.period_s, 400)])
            assert not ok or bool(np.all((q >= low - 1e-12) & (q <= high + 1e-12)))
            held += ok
        assert 10 <= held < 60

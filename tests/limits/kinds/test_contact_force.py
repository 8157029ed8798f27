"""Contact force: the norm of the measured force, its bound included, a NaN never."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.limits.kinds.battery import LimitBattery, Verdict
from tests.robots import turntable

from checkrein.limits import Limits
from checkrein.limits.kinds import contact_force
from checkrein.limits.records import Array

NEWTONS = st.floats(-200.0, 200.0)


class TestContactForce(LimitBattery):
    bound = 40.0
    subject = 0

    def declared(self, bound: float) -> Limits:
        limits = turntable()
        return replace(limits, tcp=replace(limits.tcp, max_force=bound))

    def case(self, value: float) -> Array:
        return np.array([0.0, -value, 0.0])

    def truth(self, case: Array) -> float:
        return float(np.linalg.norm(case))

    def judge(self, limits: Limits, case: Array) -> Verdict:
        force, bound = contact_force.norm(case), limits.tcp.max_force
        return Verdict(contact_force.holds(force, bound), 0, force, bound)

    def corrupted(self, case: Array, bad: float) -> Iterator[Array]:
        for axis in range(3):
            wrong = case.copy()
            wrong[axis] = bad
            yield wrong

    @given(st.tuples(NEWTONS, NEWTONS, NEWTONS))
    def test_it_is_the_norm(self, force: tuple[float, float, float]) -> None:
        assert contact_force.norm(np.array(force)) == pytest.approx(math.hypot(*force))

    def test_no_force_is_within_any_bound_and_a_negative_norm_in_none(self) -> None:
        for force, within in ((0.0, True), (0.5, True), (-0.5, False)):
            assert contact_force.holds(force, 40.0) is within

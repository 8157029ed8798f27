"""The battery that every limit must pass, whatever it limits; each kind's test class inherits it.

A subclass says how to declare a bound, how to make a case whose limited quantity is a given value,
and how to ask the limit. The battery asks: does inside pass, does the boundary hold to one ulp, is
everything non-finite refused, does tightening never loosen, is asking twice the same as asking
once, and does a rejection say who, how much and against what.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.limits.slow_motion import Motion
from tests.robots import column, slider, without_margins

from checkrein.limits import Limits
from checkrein.limits.kernels.motion import build, note_speeds
from checkrein.limits.kernels.packed import ENDS, Packed, Work, pack, work_for
from checkrein.limits.kernels.separation import EXACT
from checkrein.limits.records import Array

# All arithmetic of the exact cases is exact with a period and values that are powers of two.
PERIOD_S = 2.0**-8
BAD = (math.nan, math.inf, -math.inf)


class Verdict(NamedTuple):
    """What a limit said; subject, value and bound are only meant when it refused."""

    ok: bool
    subject: int
    value: float
    bound: float


class LimitBattery(ABC):
    """What any limit owes. Bounds here are positive upper bounds; a larger bound is looser."""

    bound: float  # some bound, in the middle of its range
    subject: int  # who the case violates for
    slack = 0.0  # how much more than the truth may be charged, relative; 0: exact

    @abstractmethod
    def declared(self, bound: float) -> Limits:
        """Limits with that bound."""

    @abstractmethod
    def case(self, value: float) -> Any:
        """Something to judge, whose limited quantity is `value`."""

    @abstractmethod
    def truth(self, case: Any) -> float:
        """The limited quantity of a case, by a slow reference."""

    @abstractmethod
    def judge(self, limits: Limits, case: Any) -> Verdict:
        """Ask the limit."""

    @abstractmethod
    def corrupted(self, case: Any, bad: float) -> Iterator[Any]:
        """The case with each number that matters replaced in turn."""

    def admitted(self, bound: float, case: Any) -> bool:
        return self.judge(self.declared(bound), case).ok

    def critical(self, case: Any) -> float:
        """The tightest bound that admits the case, to the last bit."""
        low, high = 0.0, 4.0 * self.bound
        assert self.admitted(high, case)
        assert not self.admitted(low, case)
        while math.nextafter(low, high) < high:
            middle = 0.5 * (low + high)
            middle = middle if low < middle < high else math.nextafter(low, high)
            low, high = (low, middle) if self.admitted(middle, case) else (middle, high)
        return high

    def test_inside_passes(self) -> None:
        for share in (0.1, 0.5, 0.9):
            assert self.admitted(self.bound, self.case(share * self.bound))

    def test_outside_is_refused(self) -> None:
        for share in (1.01, 1.5, 3.0):
            assert not self.admitted(self.bound, self.case(share * self.bound))

    def test_boundary_holds_to_one_ulp(self) -> None:
        case = self.case(self.bound)
        critical, truth = self.critical(case), self.truth(case)
        assert not self.admitted(math.nextafter(critical, 0.0), case)
        assert self.admitted(critical, case)
        assert self.admitted(math.nextafter(critical, math.inf), case)
        if self.slack == 0.0:
            assert critical == truth
        else:
            assert truth * (1.0 - 1e-12) <= critical <= truth * (1.0 + self.slack)

    @pytest.mark.parametrize("bad", BAD)
    def test_non_finite_is_refused(self, bad: float) -> None:
        for case in self.corrupted(self.case(0.5 * self.bound), bad):
            assert not self.admitted(self.bound, case)

    def test_a_bound_that_is_no_number_admits_nothing(self) -> None:
        assert not self.admitted(math.nan, self.case(0.5 * self.bound))

    def test_tightening_never_loosens(self) -> None:
        shares = np.random.default_rng(1).uniform(0.1, 2.0, (60, 3))
        for share, one, two in shares.tolist():
            case = self.case(share * self.bound)
            tight, loose = sorted((one * self.bound, two * self.bound))
            assert self.admitted(loose, case) or not self.admitted(tight, case)

    def test_asking_again_gives_the_same(self) -> None:
        for share in (0.5, 1.0, 2.0):
            case, limits = self.case(share * self.bound), self.declared(self.bound)
            assert self.judge(limits, case) == self.judge(limits, case)

    def test_a_rejection_says_who_how_much_and_against_what(self) -> None:
        verdict = self.judge(self.declared(self.bound), self.case(1.5 * self.bound))
        assert not verdict.ok
        assert verdict.subject == self.subject
        assert verdict.value == pytest.approx(1.5 * self.bound, rel=max(self.slack, 1e-12))
        assert verdict.bound == pytest.approx(self.bound, rel=1e-12)


def plain_robot() -> Limits:
    """The column with its rail, no margins, a period that is a power of two."""
    return replace(without_margins(slider()), period_s=PERIOD_S, standoff=0.0)


def still(q: Any = (0.0, 0.25)) -> Motion:
    """Rest, with a stop of one tick per phase."""
    start = np.zeros((2, 3))
    start[:, 0] = q
    return Motion(start, np.zeros(2), np.ones(3), np.zeros((2, 3)))


def peaked(at: float, value: float, joint: int = 0) -> Motion:
    """A joint that is fastest, with `value`, at share `at` of one second, and slower elsewhere.

    That second is the first phase of the stop; the tick before has the same jerk of zero.
    """
    motion, T = still(), PERIOD_S
    a = 2.0 * value * at  # dq(t) = value·(1 - (t - at)²)
    motion.start[joint, 1], motion.start[joint, 2] = value * (1.0 - at * at) - a * T, a
    motion.ddq_next[joint] = a
    motion.ticks[:] = round(1.0 / T), 0.0, 0.0
    motion.jerk[joint, 0] = -2.0 * value
    return motion


def surge(value: float, joint: int = 0, phase: int = 0) -> Motion:
    """A joint that is at rest at first, hardly moves for half a second, and reaches `value`.

    That second is one phase of the stop; the others last no tick.
    """
    motion = still()
    motion.ticks[:] = 0.0
    motion.ticks[phase] = round(1.0 / PERIOD_S)
    motion.jerk[joint, phase] = 2.0 * value
    return motion


PEAKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class MotionBattery(LimitBattery):
    """For limits on a tick and its stop. `matters` names the parts that the limit reads."""

    matters: tuple[str, ...] = ("q", "dq", "ddq", "ddq_next", "jerk")

    @abstractmethod
    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        """Ask the kernel about the motion in `work`."""

    def judge(self, limits: Limits, case: Any) -> Verdict:
        return ask(limits, case, self.holds)

    def find_every_peak(self, speed: float, room: float = 1.05) -> None:
        """The joint's `speed` is what the bound just admits: wherever in a phase it is too much."""
        for at in PEAKS:
            assert not self.admitted(self.bound, peaked(at, 1.01 * speed)), at
            assert self.admitted(self.bound, peaked(at, speed / room)), at
        assert not self.admitted(self.bound, surge(1.01 * speed))
        assert self.admitted(self.bound, surge(speed / room))

    def corrupted(self, case: Any, bad: float) -> Iterator[Any]:
        columns = {"q": 0, "dq": 1, "ddq": 2}
        for name in self.matters:
            for joint in range(case.start.shape[0]):
                if name in columns:
                    places: list[tuple[str, Any]] = [("start", (joint, columns[name]))]
                elif name == "ddq_next":
                    places = [("ddq_next", joint)]
                else:
                    places = [("jerk", (joint, phase)) for phase in range(3)]
                for part, index in places:
                    wrong = case.copy()
                    getattr(wrong, part)[index] = bad
                    yield wrong


def bounds_of(limits: Limits) -> Array:
    """Least and largest position and largest speed (3, n), margins taken off."""
    error = column(limits, "tracking_error")
    return np.array(
        [
            column(limits, "min_position") + error,
            column(limits, "max_position") - error,
            column(limits, "max_velocity") - column(limits, "velocity_error"),
        ]
    )


# Scratch memory that each limit fills for itself.
SCRATCH = ("afar", "middle", "open", "segment", "stack", "swept", "total", "vector")


def ask(limits: Limits, motion: Motion, holds: Any) -> Verdict:
    """Lay the motion out, and ask one limit about it; what memory held before means nothing."""
    packed = pack(limits)
    work, report = work_for(packed), np.full(3, math.nan)
    for name in SCRATCH:
        getattr(work, name)[...] = math.nan
    work.known[:] = EXACT  # of another configuration
    build(
        np.ascontiguousarray(motion.start), np.array(motion.ddq_next), limits.period_s,
        np.array(motion.ticks), np.array(motion.jerk), work.pieces, work.small[ENDS],
    )  # fmt: skip
    note_speeds(work.pieces, work.small[ENDS], work.fastest)
    before = work.pieces.copy()
    ok = bool(holds(packed, work, bounds_of(limits), report))
    assert np.array_equal(before, work.pieces, equal_nan=True)  # a judge changes nothing
    if ok:
        return Verdict(True, -1, 0.0, 0.0)
    subject = int(report[0]) if math.isfinite(report[0]) else -1
    return Verdict(False, subject, float(report[1]), float(report[2]))

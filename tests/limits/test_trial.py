"""Which shares of the way are tried, one after the other, where only so much of it is certified.

The search as plain Python, without the motions that it is about: those are in test_tick_trials.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from tests.plain_kernels import python
from tests.robots import slider

from checkrein.limits import trial
from checkrein.limits.kernels.packed import JERK, PERIOD, Packed, Work, pack, work_for
from checkrein.limits.kernels.pursuit import TARGET
from checkrein.limits.records import Array

OUT = np.zeros((3, 6))


class Search:
    """What a search tried, and what it said; up to `certified` of the way is certified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, certified: float) -> None:
        self.tried: list[float] = []
        self.slowly: set[bool] = set()
        self._certified = certified
        monkeypatch.setattr(trial, "_between", self._between)
        monkeypatch.setattr(trial, "_progress", python(trial._progress))
        monkeypatch.setattr(trial, "_steadily", python(trial._steadily))

    def _between(
        self,
        _packed: Packed,
        _start: Array,
        _safe: Array,
        _bold: Array,
        share: float,
        slowly: bool,
        _work: Work,
        _out: Array,
    ) -> bool:
        self.tried.append(share)
        self.slowly.add(slowly)
        return share <= self._certified

    def on_ray(self, times: int, least: float = 0.1) -> bool:
        """From so much of what the boldest makes of the command, to all of it."""
        packed, start, work = _at_rest()
        work.ray[:, TARGET] = [1.0, 1.0]
        slow, bold = np.full(2, least), np.ones(2)
        return bool(python(trial.on_ray)(packed, start, slow, bold, times, work, OUT))

    def towards(self, times: int) -> bool:
        packed, start, work = _at_rest()
        safe, bold = np.zeros(2), np.ones(2)
        return bool(python(trial.towards)(packed, start, safe, bold, times, work, OUT))


def _at_rest() -> tuple[Packed, Array, Work]:
    packed = pack(slider())
    return packed, np.zeros((2, 3)), work_for(packed)


class Case(NamedTuple):
    """So much is certified, at most so many trials; whether one is found, and what was tried."""

    certified: float
    times: int
    is_found: bool
    tried: list[float]


FIRST = [0.5, 0.25]
ON_RAY = [
    (1.0, 8, True, [0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375]),  # known to 1.5 %
    (0.3, 8, True, [*FIRST, 0.375, 0.3125, 0.28125, 0.296875, 0.3046875, 0.30078125]),
    (0.0, 8, True, [*FIRST, 0.0, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125]),
    (-1.0, 8, False, [*FIRST, 0.0]),  # not even the slowest: two in vain, and it
    (0.6, 5, True, [0.5, 0.75, 0.625, 0.5625, 0.59375]),
    (0.3, 2, True, FIRST),
    (0.0, 2, True, [*FIRST, 0.0]),
    (-1.0, 2, False, [*FIRST, 0.0]),
    (1.0, 2, True, [0.5, 0.75]),
]


@pytest.mark.parametrize("case", [Case(*row) for row in ON_RAY])
def test_on_the_ray_it_halves_what_is_not_known_yet(
    monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    search = Search(monkeypatch, case.certified)
    assert search.on_ray(case.times) is case.is_found
    assert search.tried == case.tried
    assert search.slowly == {False}


def test_on_the_ray_two_trials_do_where_there_is_next_to_nothing_to_gain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = Search(monkeypatch, 1.0)
    assert search.on_ray(8, least=0.98)
    assert search.tried == [0.5, 0.75]


TOWARDS = [
    (1.0, 4, True, [0.5, 0.75, 0.875, 0.9375]),
    (0.6, 4, True, [0.5, 0.75, 0.625, 0.5625]),
    (0.0, 4, False, [0.5, 0.25, 0.125, 0.0625]),
    # From rest, where effort is short: a sixteenth is not certified, the first that is will do.
    (0.004, 14, True, [0.5, 0.25, 0.125, 0.0625, 0.015625, 0.00390625]),
    (0.5, 14, True, [0.5, 0.75, 0.625, 0.5625]),
    (0.0, 14, False, [0.5, 0.25, 0.125, *(0.0625 / 4**k for k in range(11))]),
]


@pytest.mark.parametrize("case", [Case(*row) for row in TOWARDS])
def test_towards_the_stop_it_halves_the_way_and_then_quarters_it(
    monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    search = Search(monkeypatch, case.certified)
    assert search.towards(case.times) is case.is_found
    assert search.tried == case.tried
    assert search.slowly == {case.times == 14}  # a slow stop is for a start from rest


def test_progress_is_what_the_speeds_after_the_tick_make_of_the_command() -> None:
    packed, start, work = _at_rest()
    rng = np.random.default_rng(4)
    start[:], ddq = rng.normal(size=(2, 3)), rng.normal(size=2)
    work.ray[:, TARGET] = rng.normal(size=2)
    after = start[:, 1] + (start[:, 2] + ddq) * slider().period_s / 2.0
    expected = float(after @ work.ray[:, TARGET])
    assert python(trial._progress)(packed, start, ddq, work) == pytest.approx(expected, rel=1e-12)


class InMotion(NamedTuple):
    """Two joints at such speeds; a way [jerk steps a tick] of each that begins so far below now."""

    speeds: tuple[float, float] = (1.0, 1.0)
    ways: tuple[float, float] = (1.0, 1.0)
    below: tuple[float, float] = (0.5, 0.5)

    def arranged(self) -> tuple[Packed, Array, Array, Array, Work]:
        packed, start, work = _at_rest()
        step = packed.joint[:, JERK] * packed.scalar[PERIOD]
        start[:, 1], start[:, 2] = self.speeds, 0.3 * step
        safe = start[:, 2] - np.array(self.below) * step
        return packed, start, safe, safe + np.array(self.ways) * step, work


STEADY = [
    (InMotion(), 1.0, [0.58]),
    (InMotion(), 0.5, [0.58, 0.42]),
    (InMotion(), 0.3, [0.58, 0.42, 0.21, 0.315, 0.2625, 0.28875]),
    (InMotion(ways=(1.0, 0.5)), 0.5, [0.68, 0.52, 0.26, 0.39, 0.455, 0.4875]),  # 0.75 / 1.25
    (InMotion(ways=(1.0, -0.5), below=(0.5, -0.25)), 1.0, [0.58]),
    (InMotion(speeds=(3.0, 3.0), ways=(2.0, 2.0)), 1.0, [0.29]),
    (InMotion(ways=(0.5, 0.5), below=(0.25, 0.25)), 1.0, [0.66]),
    (InMotion(below=(0.0, 0.0)), 1.0, [0.08]),
    (InMotion(below=(0.0, 0.0)), 0.0, [0.08, 0.04, 0.02, 0.01, 0.005]),  # no share below zero
    (InMotion(below=(0.95, 0.95)), 1.0, [0.87]),  # none above one
    (InMotion(below=(0.95, 0.95)), 0.8, [0.87, 0.435, 0.6525, 0.76125, 0.815625]),
    (InMotion(below=(-0.5, -0.5)), 1.0, [0.5, 0.75, 0.875, 0.9375]),  # all is a jolt
    (InMotion(speeds=(0.0, 0.0)), 1.0, [0.5, 0.75, 0.875, 0.9375]),
]


@pytest.mark.parametrize(("case", "certified", "tried"), STEADY)
def test_in_motion_it_goes_on_nearly_as_before_first(
    monkeypatch: pytest.MonkeyPatch, case: InMotion, certified: float, tried: list[float]
) -> None:
    search = Search(monkeypatch, certified)
    packed, start, safe, bold, work = case.arranged()
    found = bool(python(trial.towards)(packed, start, safe, bold, 4, work, OUT))
    assert search.tried == pytest.approx(tried)
    assert found is (certified > 0.0)
    assert search.slowly == {False}


@pytest.mark.parametrize(("share", "is_steady"), [(1.01, True), (0.99, False)])
def test_it_does_so_where_a_tick_changes_speeds_by_hardly_more_than_one_per_cent(
    monkeypatch: pytest.MonkeyPatch, share: float, is_steady: bool
) -> None:
    search = Search(monkeypatch, 1.0)
    packed, start, safe, bold, work = InMotion().arranged()
    start[:, 1] = share * 0.5 * packed.scalar[PERIOD] * (bold - safe) / 0.015 * [1.0, -1.0]
    assert python(trial.towards)(packed, start, safe, bold, 4, work, OUT)
    assert (search.tried == pytest.approx([0.58])) is is_steady


def test_on_the_ray_it_goes_on_nearly_as_before_too(monkeypatch: pytest.MonkeyPatch) -> None:
    packed, start, safe, bold, work = InMotion().arranged()
    work.ray[:, TARGET] = [1.0, 1.0]
    for certified, tried in ((0.5, [0.58, 0.42]), (0.3, [0.58, 0.42, 0.21, 0.315])):
        search = Search(monkeypatch, certified)
        assert python(trial.on_ray)(packed, start, safe, bold, 8, work, OUT)
        assert search.tried == pytest.approx(tried)


def test_what_is_no_number_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search(monkeypatch, 1.0)
    packed, start, safe, bold, work = InMotion().arranged()
    bold[1] = math.nan
    python(trial.towards)(packed, start, safe, bold, 4, work, OUT)
    assert search.tried == [0.5, 0.75, 0.875, 0.9375]

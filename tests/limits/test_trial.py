"""Which shares of the way are tried, one after the other, where only so much of it is certified.

The search as plain Python, without the motions that it is about: those are in test_tick_trials.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from tests.plain_kernels import python
from tests.robots import slider

from checkrein.limits import trial
from checkrein.limits.kernels.packed import Packed, Work, pack, work_for
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

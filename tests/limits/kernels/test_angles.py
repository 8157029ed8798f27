"""Cosine and sine of the joints, against the library's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkrein.limits.kernels.angles import ANGLE_MAX_RAD, COS, SIN, cos_sin
from checkrein.limits.records import Array


def turned(angles: list[float], columns: int | None = None) -> tuple[Array, Array]:
    """Cosines and sines (n,)."""
    turn = np.zeros((3, len(angles) if columns is None else columns))
    cos_sin(np.array(angles), turn)
    return turn[COS, : len(angles)], turn[SIN, : len(angles)]


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=9))
def test_they_are_the_library_s_to_the_last_digits(angles: list[float]) -> None:
    cos, sin = turned(angles)
    assert np.abs(cos - [math.cos(x) for x in angles]).max() <= 3e-16
    assert np.abs(sin - [math.sin(x) for x in angles]).max() <= 3e-16


@pytest.mark.parametrize("quarters", [-1e6, -7, -2, -1, 0, 1, 2, 3, 4, 5, 123456])
def test_at_whole_quarters_of_a_turn_and_beside_them(quarters: float) -> None:
    middle = quarters * math.pi / 2.0
    for half in (0.0, math.pi / 4.0):
        for x in (middle + half, *(math.nextafter(middle + half, way) for way in (-1e9, 1e9))):
            cos, sin = turned([x])
            assert cos[0] == pytest.approx(math.cos(x), abs=3e-16)
            assert sin[0] == pytest.approx(math.sin(x), abs=3e-16)
            assert cos[0] ** 2 + sin[0] ** 2 == pytest.approx(1.0, abs=5e-16)


def test_a_small_angle_keeps_all_its_digits() -> None:
    for x in (0.0, 5e-324, 1e-300, -1e-17, 3e-9, -1e-4):
        assert turned([x])[1][0] == pytest.approx(math.sin(x), rel=3e-16, abs=0.0)


def test_after_years_of_turning_one_way_they_are_as_good_as_the_angle() -> None:
    for x in (1e6, -3.3e7, 0.99 * ANGLE_MAX_RAD):
        cos, sin = turned([x])
        assert abs(cos[0] - math.cos(x)) <= math.ulp(x)
        assert abs(sin[0] - math.sin(x)) <= math.ulp(x)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.01e9, -1e300])
def test_what_is_no_angle_has_none(bad: float) -> None:
    for place in range(5):
        angles = [0.3] * 5
        angles[place] = bad
        cos, sin = turned(angles)
        assert np.isnan([cos[place], sin[place]]).all()
        assert np.isfinite(np.delete([cos, sin], place, axis=1)).all()


def test_a_joint_s_do_not_depend_on_its_place_or_on_how_many_there_are() -> None:
    """To the bit: some are computed several at a time, the last ones by themselves."""
    angles = np.random.default_rng(0).uniform(-7.0, 7.0, 11).tolist()
    alone = [turned([x]) for x in angles]
    for count in range(1, 12):
        for columns in (count, count + 1, 12):
            cos, sin = turned(angles[:count], columns)
            assert cos.tolist() == [one[0][0] for one in alone[:count]]
            assert sin.tolist() == [one[1][0] for one in alone[:count]]

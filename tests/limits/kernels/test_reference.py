"""What a command asks for at a time: rows, periods, interpolation; one definition per mode."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from checkrein.limits.kernels.reference import DELTA, MODE_CODES, POSITION, VELOCITY, reference
from checkrein.limits.records import MODES, Array

ROWS = np.array([[1.0, -1.0], [2.0, 0.0], [0.5, 0.5]])
ANCHOR = np.array([[0.2, 0.4], [0.1, -0.3]])  # commanded position, velocity
P = 0.1


def asked(mode: int, rows: Array, row_period: float, t: float) -> Array:
    out = np.full((3, rows.shape[1]), np.nan)
    reference(mode, rows, row_period, ANCHOR, t, out)
    return out


def test_every_mode_has_its_code() -> None:
    assert tuple(MODE_CODES) == MODES
    assert len(set(MODE_CODES.values())) == len(MODES)


@pytest.mark.parametrize("t", [0.0, 0.003, 5.0])
def test_a_single_row_is_held(t: float) -> None:
    row = ROWS[:1]
    np.testing.assert_array_equal(asked(POSITION, row, 0.0, t), [row[0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(asked(DELTA, row, 0.0, t), [ANCHOR[0] + row[0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(asked(VELOCITY, row, 0.0, t)[1:], [row[0], [0, 0]])


def test_position_rows_are_reached_at_the_end_of_their_period() -> None:
    knots = np.vstack([ANCHOR[0], ROWS])
    for k, (begin, end) in enumerate(pairwise(knots)):
        for share in (0.0, 0.25, 0.999):
            q, dq, ddq = asked(POSITION, ROWS, P, (k + share) * P)
            np.testing.assert_allclose(q, begin + share * (end - begin), atol=1e-12)
            np.testing.assert_allclose(dq, (end - begin) / P)
            assert not ddq.any()


def test_velocity_rows_are_reached_at_the_end_of_their_period() -> None:
    knots = np.vstack([ANCHOR[1], ROWS])
    for k, (begin, end) in enumerate(pairwise(knots)):
        for share in (0.0, 0.5, 0.99):
            _, dq, ddq = asked(VELOCITY, ROWS, P, (k + share) * P)
            np.testing.assert_allclose(dq, begin + share * (end - begin), atol=1e-12)
            np.testing.assert_allclose(ddq, (end - begin) / P)


def test_delta_rows_are_displacements_at_constant_speed() -> None:
    knots = ANCHOR[0] + np.vstack([np.zeros(2), np.cumsum(ROWS, axis=0)])
    for k in range(3):
        for share in (0.0, 0.5, 0.99):
            q, dq, ddq = asked(DELTA, ROWS, P, (k + share) * P)
            np.testing.assert_allclose(q, knots[k] + share * ROWS[k], atol=1e-12)
            np.testing.assert_allclose(dq, ROWS[k] / P)
            assert not ddq.any()


def test_after_the_last_row_nothing_moves() -> None:
    for t in (3 * P, 3 * P + 0.01, 1e9):
        np.testing.assert_array_equal(asked(POSITION, ROWS, P, t), [ROWS[2], [0, 0], [0, 0]])
        np.testing.assert_allclose(asked(DELTA, ROWS, P, t)[0], ANCHOR[0] + ROWS.sum(axis=0))
        assert not asked(VELOCITY, ROWS, P, t)[1:].any()


@pytest.mark.parametrize("period_s", [0.004, 0.001, 1.0 / 3.0, 0.02])
def test_a_tick_that_begins_a_row_is_in_that_row(period_s: float) -> None:
    """k · T / period rounds to just below k for many k: the row must still be k."""
    rows = np.arange(600.0)[:, None]
    for k in range(599):
        out = np.zeros((3, 1))
        reference(DELTA, rows, period_s, np.zeros((2, 1)), k * period_s, out)
        assert out[1, 0] == pytest.approx(rows[k, 0] / period_s)


@pytest.mark.parametrize("mode", MODE_CODES.values())
@pytest.mark.parametrize("t", [math.nan, math.inf, -1.0, 1e300, -1e300])
def test_a_time_that_is_none_reads_no_row_that_is_none(mode: int, t: float) -> None:
    """No index is made of it (NUMBA_BOUNDSCHECK=1 in the gate would see one)."""
    assert np.isfinite(asked(mode, ROWS, P, t)).all()
    assert np.isfinite(asked(mode, ROWS, 5e-324, 1.0)).all()


@pytest.mark.parametrize("mode", MODE_CODES.values())
def test_a_row_that_is_no_number_stays_visible(mode: int) -> None:
    wrong = ROWS.copy()
    wrong[0, 1] = math.nan
    assert not np.isfinite(asked(mode, wrong, P, 0.5 * P)).all()

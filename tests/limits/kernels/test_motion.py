"""Pieces of constant jerk: where they are, and the extrema that every joint bound relies on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.slow_motion import Motion, at, random_motions, total_s
from tests.robots import panda, slider

from checkrein.limits.kernels.motion import (
    build,
    note_speeds,
    pieces_in,
    place,
    position_range,
    speed_in,
    speed_sup,
)
from checkrein.limits.kernels.packed import ENDS, pack, work_for
from checkrein.limits.records import Array

T = panda().period_s


def laid_out(motion: Motion) -> tuple[Array, Array]:
    """pieces (4, n, 4), ends (5,)."""
    n = motion.start.shape[0]
    pieces, ends = np.zeros((4, n, 4)), np.zeros(5)
    build(motion.start, motion.ddq_next, T, motion.ticks, motion.jerk, pieces, ends)
    return pieces, ends


MOTIONS = random_motions(panda(), seed=1, count=40) + random_motions(slider(), seed=2, count=40)


def test_pieces_are_the_motion() -> None:
    for motion in MOTIONS:
        pieces, ends = laid_out(motion)
        assert ends[-1] == pytest.approx(total_s(motion, T))
        q = np.zeros(motion.start.shape[0])
        for t in np.linspace(0.0, float(ends[-1]), 17):
            place(pieces, ends, float(t), q)
            np.testing.assert_allclose(q, at(motion, T, float(t))[0], atol=1e-12)


def test_pieces_join_smoothly() -> None:
    for motion in MOTIONS:
        pieces, ends = laid_out(motion)
        for p in range(3):
            h, (q, dq, ddq, j) = ends[p + 1] - ends[p], pieces[p].T
            np.testing.assert_allclose(
                pieces[p + 1, :, 0], q + dq * h + ddq * h**2 / 2 + j * h**3 / 6, atol=1e-12
            )
            np.testing.assert_allclose(pieces[p + 1, :, 1], dq + ddq * h + j * h**2 / 2, atol=1e-11)
            np.testing.assert_allclose(pieces[p + 1, :, 2], ddq + j * h, atol=1e-9)


def test_the_range_of_positions_is_the_sampled_one() -> None:
    rng = np.random.default_rng(3)
    for motion in MOTIONS:
        pieces, ends = laid_out(motion)
        first, last = sorted(rng.uniform(0.0, float(ends[-1]), 2).tolist())
        times = np.linspace(first, last, 400)
        q = np.array([at(motion, T, float(t))[0] for t in times])
        for i in range(q.shape[1]):
            low, high = position_range(pieces, ends, i, first, last)
            assert low <= q[:, i].min() + 1e-13
            assert high >= q[:, i].max() - 1e-13
            assert low == pytest.approx(q[:, i].min(), abs=1e-5)
            assert high == pytest.approx(q[:, i].max(), abs=1e-5)


def test_the_largest_speed_is_the_sampled_one() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        piece, length = rng.normal(size=4) * [1.0, 1.0, 5.0, 100.0], float(rng.uniform(0.0, 0.2))
        t = np.linspace(0.0, length, 2000)
        sampled = float(np.abs(piece[1] + piece[2] * t + piece[3] * t**2 / 2.0).max())
        found = speed_sup(piece, 0.0, length)
        assert sampled - 1e-12 <= found <= sampled + 1e-4


def test_the_speeds_that_are_noted_are_those_of_every_piece_and_of_no_part() -> None:
    for motion in MOTIONS:
        work = work_for(pack(panda() if motion.start.shape[0] == 7 else slider()))
        assert (work.fastest == math.inf).all()  # what nobody has noted holds nowhere
        ends, n = work.small[ENDS], motion.start.shape[0]
        build(motion.start, motion.ddq_next, T, motion.ticks, motion.jerk, work.pieces, ends)
        note_speeds(work.pieces, ends, work.fastest)
        for p in range(pieces_in(ends)):
            last = float(ends[p + 1] - ends[p])
            for i in range(n):
                assert work.fastest[p, i] == speed_sup(work.pieces[p, i], 0.0, last)
                for part in ((0.0, last), (0.0, 0.5 * last), (0.5 * last, last)):
                    assert speed_in(work, p, i, *part) == speed_sup(work.pieces[p, i], *part)
        assert (work.fastest[pieces_in(ends) :] == math.inf).all()


def test_a_turning_point_is_found_to_rounding() -> None:
    """q = t³/6 - t/2 within [0, 2] turns at t = 1, exactly."""
    pieces, ends = np.zeros((4, 1, 4)), np.full(5, 2.0)
    ends[0], pieces[0, 0] = 0.0, (0.0, -0.5, 0.0, 1.0)
    for value in np.abs(position_range(pieces, ends, 0, 0.0, 2.0)):
        assert value == pytest.approx(1.0 / 3.0, rel=1e-15)
    assert position_range(pieces, ends, 0, 0.0, 1.0)[0] == pytest.approx(-1.0 / 3.0)
    pieces[0, 0] = (0.0, 1.0, -2.0, 0.0)  # a parabola that turns at t = 1/2
    assert position_range(pieces, ends, 0, 0.0, 1.0) == (0.0, 0.25)


def test_a_nearly_constant_acceleration_loses_no_root() -> None:
    """b² >> 4ac: the textbook formula would cancel."""
    pieces, ends = np.zeros((4, 1, 4)), np.full(5, 1.0)
    ends[0], pieces[0, 0] = 0.0, (0.0, -0.5, 1.0, 1e-15)
    assert position_range(pieces, ends, 0, 0.0, 1.0)[0] == pytest.approx(-0.125, rel=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_known_is_everything(bad: float) -> None:
    work = work_for(pack(slider()))
    for column in range(4):
        work.small[ENDS, :5] = np.arange(5) * T
        work.pieces[...] = 0.0
        work.pieces[0, 1, column] = bad
        low, high = position_range(work.pieces, work.small[ENDS], 1, 0.0, 4 * T)
        assert (low, high) == (-math.inf, math.inf)
        if column > 0:
            assert speed_sup(work.pieces[0, 1], 0.0, T) == math.inf
    work.pieces[...] = 0.0
    if not bad > 0.0:  # an end that is no number, or before the begin
        assert position_range(work.pieces, work.small[ENDS], 1, 0.0, bad) == (-math.inf, math.inf)
        assert speed_sup(work.pieces[0, 1], 0.0, bad) == math.inf

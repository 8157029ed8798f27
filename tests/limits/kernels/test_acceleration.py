"""Speeding up and slowing down, each by its own bound, at every instant of a piece."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.limits.kinds.battery import plain_robot
from tests.robots import with_joint

from checkrein.limits.kernels.acceleration import least, most, within
from checkrein.limits.kernels.packed import pack
from checkrein.limits.records import Array

numbers = st.floats(-4.0, 4.0).map(lambda x: round(x, 6))
bounds = st.floats(0.25, 4.0)


def sampled(piece: Array, length: float) -> tuple[float, float]:
    """Largest |ddq| where the joint speeds up, and where it slows down; sampled."""
    t = np.linspace(0.0, length, 4001)
    ddq = piece[2] + t * piece[3]
    dq = piece[1] + t * (piece[2] + t * piece[3] / 2.0)
    up = np.abs(ddq[dq * ddq > 0.0]).max(initial=0.0)
    return float(up), float(np.abs(ddq[dq * ddq < 0.0]).max(initial=0.0))


@given(numbers, numbers, numbers, st.floats(0.01, 2.0), bounds, bounds)
@settings(max_examples=300, deadline=None)
@example(1.0, -2.0, 0.0, 1.0, 1.5, 3.0)  # turns in the middle
@example(1.0, -2.0, 0.0, 1.0, 3.0, 1.5)
@example(0.5, -2.0, 4.0, 1.0, 1.0, 2.0)  # touches zero
def test_it_is_what_samples_say(
    dq: float, ddq: float, jerk: float, length: float, up: float, down: float
) -> None:
    piece = np.array([0.0, dq, ddq, jerk])
    value, bound = within(piece, length, up, down)
    speeding, slowing = sampled(piece, length)
    step = 4.0 * length / 4000.0 + 1e-9  # of ddq between two samples
    if value <= bound:
        assert speeding <= up + 1e-9
        assert slowing <= down + 1e-9
    else:
        assert value > bound
        assert bound in (up, down)
        assert speeding > up - step or slowing > down - step


def test_each_way_has_its_bound() -> None:
    ahead, back = np.array([0.0, 1.0, -2.0, 0.0]), np.array([0.0, -1.0, -2.0, 0.0])
    assert within(ahead, 0.25, 1.0, 2.0)[0] == 0.0  # slows down
    assert within(ahead, 0.25, 2.0, 1.0) == (2.0, 1.0)
    assert within(back, 0.25, 2.0, 1.0)[0] == 0.0  # speeds up, backwards
    assert within(back, 0.25, 1.0, 2.0) == (2.0, 1.0)
    assert within(ahead, 0.75, 1.0, 2.0) == (2.0, 1.0)  # turns at 0.5, and speeds up from there


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_what_is_not_a_number_is_never_within(bad: float, place: int) -> None:
    piece = np.array([0.0, 0.5, 0.5, 0.5])
    piece[place] = bad
    for up, down in ((1.0, 2.0), (2.0, 1.0)):
        value, bound = within(piece, 0.5, up, down)
        assert not value <= bound
    value, bound = within(np.array([0.0, 0.5, 0.5, 0.5]), bad, 1.0, 2.0)
    assert not value <= bound


@given(st.floats(-2.0, 2.0), st.floats(-1.0, 1.0), st.sampled_from([0.4, 1.0, 2.5]))
@settings(max_examples=200, deadline=None)
def test_a_tick_towards_the_proposed_bounds_is_within(
    dq: float, share: float, factor: float
) -> None:
    """From any state whose acceleration is allowed, with jerk to spare."""
    robot = with_joint(plain_robot(), 1, max_acceleration=4.0, max_deceleration=4.0 * factor)
    row, period = pack(robot).joint[1], robot.period_s
    down = 4.0 * factor
    ddq = share * (4.0 if share * dq >= 0.0 else down)
    if abs(ddq) > 4.0 and abs(dq) < abs(ddq) * period:
        ddq = math.copysign(4.0, ddq)  # about to turn: it must have been given back
    low, high = least(dq, ddq, row, period), most(dq, ddq, row, period)
    assert -max(4.0, down) <= low < 0.0 < high <= max(4.0, down)
    for end in (low, high):
        piece = np.array([0.0, dq, ddq, (end - ddq) / period])
        value, bound = within(piece, period, 4.0, down)
        # What the tick begins with can be over the bound after a turn; its end never is.
        assert value <= bound * (1.0 + 1e-12) or value <= abs(ddq) * (1.0 + 1e-12)

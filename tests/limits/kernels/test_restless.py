"""What a motion remembers of turns in jerk, and what gentle jerk leaves of a joint's bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.robots import column, panda, without_geometry

from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.packed import (
    ALONG,
    RAY_COLUMNS,
    TURNS,
    UPS,
    WALLS,
    motion_shape,
    pack,
    work_for,
)
from checkrein.limits.kernels.pursuit import HIGHEST, LOWEST, STEP
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.kernels.restless import (
    APART_S,
    AT_ONCE,
    FORGET_S,
    GENTLER,
    GENTLY,
    JOINTS_MAX,
    TOO_MANY,
    TURNS_MAX,
    gently,
    jerk_share,
    recall,
    remember,
)
from checkrein.limits.records import Array

# Of ticks that are longer than turns have to be apart.
LIMITS = replace(panda(), period_s=0.05)
PACKED = pack(LIMITS)
SPARE = motion_shape(7)[1] - 3
ROWS = np.zeros((3, 7))


def after(jerks: list[list[float]], along: bool = True, limits: Limits = LIMITS) -> Array:
    """The motion (n + 1, 3 + m) after ticks with these shares of the bounds of jerk (k, n)."""
    packed, steps = pack(limits), column(limits, "max_jerk") * limits.period_s
    work, motion = work_for(packed), np.zeros(motion_shape(7))
    for shares in jerks:
        start, following = motion[:7, :3].copy(), motion.copy()
        following[:7, 2] += np.array(shares) * steps
        recall(packed, motion, work)
        work.small[WALLS, ALONG] = float(along)
        remember(packed, start, work, following)
        motion = following
    return motion


def turns(motion: Array) -> float:
    return float(motion[7, SPARE])


def only(joint: int, share: float) -> list[float]:
    return [share if i == joint else 0.0 for i in range(7)]


def test_a_turn_is_a_change_of_sign_of_a_strong_jerk_and_forgotten_little_by_little() -> None:
    kept = 1.0 - LIMITS.period_s / FORGET_S
    once = after([only(2, 0.5)])
    assert turns(once) == 1.0
    assert once[7, SPARE + 1] == 4.0  # the third joint's bit
    assert turns(after([only(2, 0.5), only(2, 0.5)])) == kept
    assert turns(after([only(2, 0.5), only(2, -0.5)])) == kept + 1.0
    assert turns(after([only(2, 0.5), only(2, -0.09), only(2, 0.5)])) == kept * kept


def test_joints_that_turn_together_are_one_turn_and_others_are_more() -> None:
    kept = 1.0 - LIMITS.period_s / FORGET_S
    assert turns(after([[0.5] * 7])) == 1.0
    assert turns(after([only(2, 0.5), only(3, 0.5)])) == kept + 1.0


def test_turns_at_once_after_one_another_are_one_turn_and_later_ones_are_more() -> None:
    limits = replace(LIMITS, period_s=0.001)
    kept = 1.0 - limits.period_s / FORGET_S
    every = [only(2, 0.5 * (-1.0) ** k) for k in range(AT_ONCE + 1)]
    assert turns(after(every, limits=limits)) == pytest.approx(kept**AT_ONCE)
    still = [only(2, 0.0)] * round(APART_S / limits.period_s)
    later = after([only(2, -0.5), only(2, 0.5), *still, only(2, -0.5)], limits=limits)
    assert 1.9 < turns(later) < 2.0


def test_turns_in_every_tick_count_before_their_time_is_over() -> None:
    limits = replace(LIMITS, period_s=0.001)
    every = [only(2, 0.5 * (-1.0) ** k) for k in range(4 * (AT_ONCE + 1))]
    assert 3.9 < turns(after(every, limits=limits)) < 4.0
    assert len(every) * limits.period_s < APART_S


def test_no_more_than_a_few_turns_are_remembered() -> None:
    many = after([only(6, 0.5 * (-1.0) ** k) for k in range(100)])
    assert turns(many) == TURNS_MAX


def test_turns_away_from_volumes_do_not_count() -> None:
    assert turns(after([only(2, 0.5), only(2, -0.5)], along=False)) == 0.0


def test_it_is_restless_after_too_many_turns_and_for_a_while() -> None:
    work, enough = work_for(PACKED), int(TOO_MANY) + 1
    every = [only(0, 0.5 * (-1.0) ** k) for k in range(enough)]
    still = [only(0, 0.0)] * round(2.0 / LIMITS.period_s)
    for jerks, expected in ((every[: enough // 2], False), (every, True), (every + still, False)):
        recall(PACKED, after(jerks), work)
        assert (jerk_share(work) < 1.0) is expected


def test_with_each_turn_more_jerk_is_gentler_until_no_more_come_than_are_forgotten() -> None:
    work, shares = work_for(PACKED), []
    for many in np.arange(TOO_MANY, TURNS_MAX + 1.0):
        work.small[WALLS, TURNS] = many
        shares.append(jerk_share(work))
    assert shares[0] == GENTLY
    assert np.divide(shares[1:], shares[:-1]) == pytest.approx(GENTLER)
    assert TURNS_MAX / FORGET_S <= 4.0, "so many a second could go on for ever"


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_nonsense_in_memory_is_nothing(nonsense: float) -> None:
    work, motion = work_for(PACKED), np.zeros(motion_shape(7))
    motion[7, SPARE:] = nonsense
    recall(PACKED, motion, work)
    assert work.small[WALLS, TURNS] == 0.0
    assert work.small[WALLS, UPS] == 0.0
    assert jerk_share(work) == 1.0


def test_each_joint_has_a_bit_that_a_float_keeps() -> None:
    motion = np.zeros(motion_shape(7))
    motion[7, SPARE + 1] = 2.0**JOINTS_MAX - 1.0
    work = work_for(PACKED)
    recall(PACKED, motion, work)
    remember(PACKED, motion[:7, :3].copy(), work, motion)
    assert motion[7, SPARE + 1] == 2.0**JOINTS_MAX - 1.0


def narrowed(dq: float, ddq: float, low: float, high: float) -> Array:
    """STEP, LOWEST and HIGHEST of a joint, gently; one step of jerk is 1 rad/s², T = 0.1 s."""
    row = np.zeros(RAY_COLUMNS)
    row[[STEP, LOWEST, HIGHEST]] = 1.0, low, high
    gently(row, dq, ddq, 0.1, GENTLY)
    return row[[STEP, LOWEST, HIGHEST]]


def test_gentle_jerk_does_not_count_as_a_turn() -> None:
    step, low, high = narrowed(0.0, 0.0, -1.0, 1.0)
    assert step == high == -low
    assert 0.0 < high < 0.1


def test_a_joint_brakes_as_hard_as_before_and_goes_on_gently() -> None:
    for way in (1.0, -1.0):
        low, high = sorted(way * x for x in narrowed(way, 0.0, -1.0, 1.0)[1:])
        assert (low, high) == (-1.0, pytest.approx(0.09))


def test_it_brakes_no_harder_than_leads_to_rest() -> None:
    """Not beyond: with long ticks it would jump from one way to the other."""
    low = float(narrowed(0.02, 0.0, -1.0, 1.0)[1])
    assert -1.0 < low < -0.09
    assert abs(0.02 + low * 0.1) < 1e-9  # a tick to get there, one to fade: rest


def test_bounds_that_leave_no_choice_are_kept() -> None:
    assert narrowed(1.0, 3.0, 2.0, 2.5)[1:].tolist() == [2.0, 2.5]
    assert narrowed(-1.0, 0.0, 0.5, 1.0)[1:].tolist() == [0.5, 1.0]


def test_a_stop_keeps_what_was_remembered_and_a_new_motion_has_nothing() -> None:
    """An arm that is sent around the corners of its cell, until it has become restless."""
    limits, rng, reference = (
        replace(LIMITS, period_s=0.001),
        np.random.default_rng(275),
        ROWS.copy(),
    )
    reference[1] = rng.uniform(-1.0, 1.0, 7) * column(limits, "max_velocity") * rng.uniform(0.1, 1)
    core, tick = Core(limits), 0
    motion, _ = core.rest(limits.home)
    assert not motion[7].any()
    while not turns(motion) >= TOO_MANY and tick < 8000:
        motion, _, _ = core.advance(motion, VELOCITY, reference)
        tick += 1
    assert turns(motion) >= TOO_MANY
    assert turns(core.brake(motion)) == turns(motion)


def test_where_no_volume_is_near_nothing_is_restless() -> None:
    """Who sends the arm to and fro in the open gets what is asked for."""
    core, reference = Core(without_geometry(LIMITS)), ROWS.copy()
    motion, _ = core.rest(LIMITS.home)
    for tick in range(300):
        reference[1] = 0.5 * (-1.0) ** (tick // 10)
        motion, _, _ = core.advance(motion, VELOCITY, reference)
        assert turns(motion) == 0.0

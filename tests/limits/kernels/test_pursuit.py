"""Pursuit of held velocities: the fewest ticks there are, exact arrival, the commanded direction.

The references are closed forms and plain NumPy: which speeds whole ticks of bounded steps can gain,
and which a joint can have after one tick.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.robots import column, panda

from checkrein.limits.kernels.packed import RAY_COLUMNS
from checkrein.limits.kernels.pursuit import (
    HIGHEST,
    LOWEST,
    SHARE_MIN,
    SLOPE,
    STEP,
    TARGET,
    arriving,
    pursue,
)
from checkrein.limits.records import Array

# Landing: rounding of a few hundred sums of numbers of order one.
EXACT = 1e-11


class Joint(NamedTuple):
    """Bounds of one joint: its acceleration, how much of it a tick may change, and the tick."""

    a_max: float
    step: float
    period: float


@st.composite
def joints(draw: st.DrawFn) -> Joint:
    a_max = draw(st.floats(2.0, 30.0))
    return Joint(a_max, a_max / draw(st.floats(0.4, 25.0)), draw(st.floats(0.002, 0.04)))


def held(joint: Joint, ddq: float, wanted: float) -> float:
    low, high = max(-joint.a_max, ddq - joint.step), min(joint.a_max, ddq + joint.step)
    return min(high, max(low, wanted))


def chased(joint: Joint, dq: float, ddq: float, target: float) -> Array:
    """(k, 2) dq and ddq tick by tick, until both have arrived."""
    out = [(dq, ddq)]
    for _ in range(4000):
        if abs(dq - target) <= EXACT and abs(ddq) <= EXACT * joint.step:
            return np.array(out)
        after = held(joint, ddq, arriving(dq, ddq, target, joint.step, joint.period))
        dq, ddq = dq + (ddq + after) * joint.period / 2.0, after
        out.append((dq, ddq))
    raise AssertionError("never arrives")


def fewest_ticks(joint: Joint, dq: float, ddq: float, target: float) -> int:
    """Fewest ticks of bounded steps to dq = target and ddq = 0: gains in between are all there."""
    for count in range(4000):
        k = np.arange(1, count + 1)
        left = (count - k) * joint.step
        most = np.minimum(np.minimum(ddq + k * joint.step, left), joint.a_max)
        least = np.maximum(np.maximum(ddq - k * joint.step, -left), -joint.a_max)
        if count == 0 and abs(ddq) > EXACT * joint.step:
            continue
        if (most < least - 1e-12).any():
            continue
        half = ddq / 2.0 if count else 0.0
        low, high = ((half + way.sum()) * joint.period for way in (least, most))
        if low - EXACT <= target - dq <= high + EXACT:
            return count
    raise AssertionError("not within the range")


speeds = st.floats(-2.0, 2.0)


@given(joints(), speeds, st.floats(-1.0, 1.0), speeds)
def test_no_way_of_whole_ticks_is_shorter(
    joint: Joint, dq: float, share: float, target: float
) -> None:
    way = chased(joint, dq, share * joint.a_max, target)
    assert len(way) - 1 <= fewest_ticks(joint, dq, share * joint.a_max, target)


@given(joints(), speeds, speeds)
def test_from_a_constant_speed_it_never_turns_back_and_never_goes_beyond(
    joint: Joint, dq: float, target: float
) -> None:
    way = chased(joint, dq, 0.0, target)
    ahead = (way[:, 0] - target) * math.copysign(1.0, target - dq)
    assert (ahead <= EXACT).all()
    assert (np.diff(ahead) >= -EXACT).all()
    assert (np.abs(np.diff(way[:, 1])) <= joint.step + 1e-12 * joint.a_max).all()
    assert (np.abs(way[:, 1]) <= joint.a_max).all()


@given(joints(), speeds, speeds)
def test_the_jerk_changes_its_sign_once(joint: Joint, dq: float, target: float) -> None:
    """Up and down, that is all: what would swing has more of them."""
    steps = np.diff(chased(joint, dq, 0.0, target)[:, 1])
    signs = np.sign(steps[np.abs(steps) > 1e-6 * joint.step])
    assert np.count_nonzero(np.diff(signs)) <= 1


@given(joints(), speeds, speeds)
def test_two_neighbouring_speeds_are_answered_alike(joint: Joint, dq: float, target: float) -> None:
    """No jump where the number of ticks changes: rounding there must not matter."""
    gain = 2.0 / joint.period  # the steepest that the solution can be
    for ticks in range(5):
        border = ticks * (ticks + 1) * joint.step * joint.period / 2.0
        near, far = (
            arriving(target - border - way, 0.0, target, joint.step, joint.period)
            for way in (-1e-9, 1e-9)
        )
        assert 0.0 <= far - near <= gain * 2e-9 * 1.001 + 1e-12
    assert arriving(dq, 0.0, dq, joint.step, joint.period) == 0.0


class Tick(NamedTuple):
    """What `pursue` was asked and what it said."""

    ray: Array
    base: Array  # (n,) speed after the tick, less what the new acceleration adds
    period: float
    ddq: Array
    slow: Array

    def speeds(self, ddq: Array) -> Array:
        return self.base + ddq * self.period / 2.0

    @property
    def shares(self) -> tuple[float, float]:
        """The least and the most of the commanded speed that every joint can have after it."""
        ends = np.array([self.speeds(self.ray[:, c]) for c in (LOWEST, HIGHEST)])
        target = self.ray[:, TARGET]
        ends = ends[:, target != 0.0] / target[target != 0.0]
        return max(SHARE_MIN, ends.min(axis=0).max()), min(1.0, ends.max(axis=0).min())

    @property
    def degrees(self) -> float:
        return angle(self.speeds(self.ddq), self.ray[:, TARGET])


def angle(one: Array, other: Array) -> float:
    """Degrees between two directions; accurate where they are alike."""
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    half = float(np.linalg.norm(one - other)) / 2.0
    return math.degrees(2.0 * math.asin(min(1.0, half)))


def pursued(
    start: Array,
    target: Array,
    a_max: Array,
    step: Array,
    period: float,
    calm: float = 0.0,
    turns: bool = False,
) -> Tick:
    n, now = len(target), start[:, 2]
    ray, ddq, slow = np.zeros((n, RAY_COLUMNS)), np.full(n, math.nan), np.full(n, math.nan)
    ray[:, TARGET], ray[:, SLOPE], ray[:, STEP] = target, 0.0, step
    ray[:, LOWEST], ray[:, HIGHEST] = np.maximum(-a_max, now - step), np.minimum(a_max, now + step)
    pursue(start, ray, period, calm, turns, ddq, slow)
    return Tick(ray, start[:, 1] + now * period / 2.0, period, ddq, slow)


def driven(targets: list[Array], ticks: int = 300, calm: float = 0.0) -> list[Tick]:
    """The shipped arm's joints from rest, each target held for some ticks; one after the other."""
    limits = panda()
    a_max, step = column(limits, "max_acceleration"), column(limits, "max_jerk") * limits.period_s
    start, out = np.zeros((len(limits.joints), 3)), []
    for target in targets:
        for _ in range(ticks):
            out.append(pursued(start, target, a_max, step, limits.period_s, calm))
            start[:, 1], start[:, 2] = out[-1].speeds(out[-1].ddq), out[-1].ddq
        np.testing.assert_allclose(start[:, 1], target, atol=EXACT)
        np.testing.assert_allclose(start[:, 2], 0.0, atol=1e-7)
    return out


def random_targets(
    seed: int, count: int, least: float = 0.1, most: float = 1.6
) -> list[list[Array]]:
    """Two velocities each, the largest of their entries between `least` and `most`."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(count):
        pair = rng.uniform(-1.0, 1.0, (2, 7))
        pair *= rng.uniform(least, most, (2, 1)) / np.abs(pair).max(axis=1, keepdims=True)
        out.append(list(pair))
    return out


def angles_of(every: list[list[Array]], ticks: int = 250, calm: float = 0.0) -> list[float]:
    """Degrees off the command, tick by tick, wherever all joints can reach its ray."""
    return [
        tick.degrees
        for targets in every
        for tick in driven(targets, ticks, calm)
        if tick.shares[0] <= tick.shares[1]
    ]


def test_from_rest_the_first_ticks_are_on_the_ray_already() -> None:
    """Also where jerk lets the slowest joint reach a thousandth of its speed in them."""
    for targets in random_targets(17, 30, least=0.5):
        for tick in driven(targets[:1])[:6]:
            assert tick.degrees <= 1.0
            assert np.linalg.norm(tick.speeds(tick.ddq)) > 0.0
            if np.isfinite(tick.slow).all():
                assert angle(tick.speeds(tick.slow), tick.ray[:, TARGET]) <= 1.0
                assert np.linalg.norm(tick.speeds(tick.slow)) > 0.0


def test_what_is_pursued_lies_between_the_bounds() -> None:
    """Whatever the state: the way there, and the slowest way, never ask for more than allowed."""
    rng, meets = np.random.default_rng(1), 0
    for _ in range(2000):
        n = int(rng.integers(1, 8))
        a_max = rng.uniform(1.0, 20.0, n)
        step = a_max / rng.uniform(1.0, 25.0, n)
        target = rng.normal(size=n) * rng.choice([0.0, 1.0], n, p=[0.1, 0.9])
        start = np.zeros((n, 3))
        start[:, 1] = target * rng.uniform(0.0, 1.2) + rng.normal(size=n) * 0.02 * rng.uniform()
        start[:, 2] = rng.uniform(-1.0, 1.0, n) * a_max * rng.uniform()
        tick = pursued(start, target, a_max, step, float(rng.uniform(0.001, 0.05)))
        for ddq in (tick.ddq, tick.slow) if np.isfinite(tick.slow).all() else (tick.ddq,):
            assert (ddq >= tick.ray[:, LOWEST]).all()
            assert (ddq <= tick.ray[:, HIGHEST]).all()
        meets += bool(np.isfinite(tick.slow).all())
        assert np.isfinite(tick.slow).all() or np.isnan(tick.slow).all()
    assert meets >= 200


def test_in_motion_along_the_command_all_joints_keep_to_it() -> None:
    """From any share of the commanded speed: along it, nearly as fast as the slowest joint goes."""
    rng = np.random.default_rng(2)
    for _ in range(1000):
        n = int(rng.integers(1, 8))
        a_max = rng.uniform(1.0, 20.0, n)
        step, target = a_max / rng.uniform(1.0, 25.0, n), rng.normal(size=n)
        start = np.zeros((n, 3))
        start[:, 1] = target * rng.uniform(0.1, 0.9)
        tick = pursued(start, target, a_max, step, float(rng.uniform(0.001, 0.02)))
        least, most = tick.shares
        assert most > least
        assert tick.degrees <= 1.0
        reached = float(tick.speeds(tick.ddq) @ target / (target @ target))
        alone = [
            tick.base[i]
            + held(joint, 0.0, arriving(start[i, 1], 0.0, target[i], *joint[1:]))
            * tick.period
            / 2.0
            for i, joint in enumerate(
                Joint(*pair, tick.period) for pair in zip(a_max, step, strict=True)
            )
        ]
        assert reached >= 0.97 * float((np.array(alone) / target).min())
        assert angle(tick.speeds(tick.slow), target) <= 1e-5
        assert float(tick.speeds(tick.slow) @ target / (target @ target)) <= reached + 1e-12


def test_where_all_joints_can_have_the_direction_they_keep_to_it() -> None:
    """Steps of the command from rest and in motion: whenever one tick can reach its ray at all."""
    angles = angles_of(random_targets(3, 12))
    assert len(angles) >= 4000
    assert max(angles) <= 1.0


def test_also_a_small_change_of_direction_is_made_at_once() -> None:
    """Within one or two ticks' reach, too (ADR 8)."""
    assert max(angles_of(random_targets(7, 30, least=0.01, most=0.15), ticks=60)) <= 1.0


def test_where_it_is_calm_a_small_change_of_direction_goes_straight_from_one_to_the_other() -> None:
    small = random_targets(7, 30, least=0.01, most=0.15)
    assert 1.0 < max(angles_of(small, 60, calm=math.inf)) <= 20.0


def test_a_small_step_from_rest_keeps_to_the_direction() -> None:
    small = random_targets(7, 30, least=0.01, most=0.15)
    assert max(angles_of([targets[:1] for targets in small], ticks=60)) <= 1.0


def test_a_step_from_rest_does_not_overshoot_and_does_not_swing() -> None:
    for targets in random_targets(4, 12):
        ticks = driven(targets[:1])
        dq, target = np.array([tick.speeds(tick.ddq) for tick in ticks]), targets[0]
        cone = math.tan(math.radians(1.0)) * float(np.linalg.norm(target))
        assert (dq * np.sign(target) <= np.abs(target) + cone).all()
        ddq = np.array([tick.ddq for tick in ticks])
        steps, allowed = np.diff(ddq, axis=0), ticks[0].ray[:, STEP]
        for joint in range(dq.shape[1]):
            large = steps[np.abs(steps[:, joint]) > 0.1 * allowed[joint], joint]
            assert np.count_nonzero(np.diff(np.sign(large))) <= 6


def test_an_arm_is_as_fast_as_its_slowest_joint_alone() -> None:
    """Six ticks more, at most: keeping to the direction costs next to nothing."""
    limits = panda()
    for targets in random_targets(5, 12):
        ticks, target = driven(targets[:1]), targets[0]
        alone = max(
            fewest_ticks(Joint(j.max_acceleration, j.max_jerk * limits.period_s, limits.period_s),
                         0.0, 0.0, float(w))
            for j, w in zip(limits.joints, target, strict=True)
        )  # fmt: skip
        off = [float(np.abs(tick.speeds(tick.ddq) - target).max()) for tick in ticks]
        assert next(k for k, away in enumerate(off) if away <= 1e-9) <= alone + 6


def test_to_rest_every_joint_for_itself() -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        start = np.zeros((3, 3))
        start[:, 1], start[:, 2] = rng.normal(size=3), rng.normal(size=3)
        a_max, step = rng.uniform(1.0, 20.0, 3), rng.uniform(0.1, 5.0, 3)
        tick = pursued(start, np.zeros(3), a_max, step, 0.004)
        assert np.isnan(tick.slow).all()
        for i in range(3):
            joint = Joint(float(a_max[i]), float(step[i]), 0.004)
            wanted = arriving(start[i, 1], start[i, 2], 0.0, joint.step, joint.period)
            assert tick.ddq[i] == held(joint, start[i, 2], wanted)


@pytest.mark.parametrize("large", [1e9, 1e100, 1e300])
def test_a_huge_target_is_approached_within_the_bounds(large: float) -> None:
    target, a_max, step = np.array([large, -1.0, 0.5]), np.full(3, 10.0), np.full(3, 2.0)
    tick = pursued(np.zeros((3, 3)), target, a_max, step, 0.004)
    assert np.isfinite(tick.ddq).all()
    assert (np.abs(tick.ddq) <= step).all()

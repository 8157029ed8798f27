"""Pursuit along a wall: a direction that turns is followed, straight and without swinging."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.kernels.test_pursuit import EXACT, pursued
from tests.robots import column, panda

from checkrein.limits.kernels.pursuit import SMOOTH


def test_along_a_wall_it_follows_a_direction_that_turns_without_swinging() -> None:
    """With a lag of 1 / SMOOTH seconds."""
    limits, rng = panda(), np.random.default_rng(41)
    a_max, step = column(limits, "max_acceleration"), column(limits, "max_jerk") * 0.001
    for _ in range(8):
        one, two = rng.uniform(-1.0, 1.0, (2, 7))
        start, ddq, lags = np.zeros((7, 3)), [], []
        for tick in range(2000):
            at = 1.2 * tick * 0.001  # so slowly that every joint can follow
            target = math.cos(at) * one + math.sin(at) * two
            out = pursued(start, target, a_max, step, 0.001, turns=True)
            start[:, 1], start[:, 2] = out.speeds(out.ddq), out.ddq
            ddq.append(out.ddq)
            turning = 1.2 * (math.cos(at) * two - math.sin(at) * one)
            lags.append(float(np.linalg.norm(start[:, 1] - target) / np.linalg.norm(turning)))
        steps = np.diff(np.array(ddq)[1000:], axis=0)
        for joint in range(7):
            large = steps[np.abs(steps[:, joint]) > 0.1 * step[joint], joint]
            assert np.count_nonzero(np.diff(np.sign(large))) <= 2
        assert max(lags[1000:]) <= 1.1 / SMOOTH


def test_along_a_wall_what_is_a_little_off_goes_on_all_the_same() -> None:
    """Going back to the ray first, it crept, since that turns on."""
    limits, rng = panda(), np.random.default_rng(43)
    a_max, step = column(limits, "max_acceleration"), column(limits, "max_jerk") * 0.001
    for _ in range(40):
        target, aside = rng.uniform(-1.0, 1.0, 7), rng.normal(size=7)
        target += 0.2 * np.sign(target)
        aside -= target * (aside @ target) / (target @ target)
        aside *= 0.02 * float(np.linalg.norm(target) / np.linalg.norm(aside))
        start = np.zeros((7, 3))
        start[:, 1] = 0.3 * (target + aside)
        out = pursued(start, target, a_max, step, 0.001, turns=True)
        gained = float((out.speeds(out.ddq) - start[:, 1]) @ target / (target @ target))
        assert gained >= 0.5 * 0.0005 * float((step / np.abs(target)).min())


@pytest.mark.parametrize("period_s", [0.001, 0.004, 0.01, 0.05])
def test_along_a_wall_it_goes_straight_to_the_target_and_arrives_without_overshoot(
    period_s: float,
) -> None:
    """From rest along the ray, however hard every joint may go."""
    limits, rng = panda(), np.random.default_rng(45)
    a_max, step = column(limits, "max_acceleration"), column(limits, "max_jerk") * period_s
    for _ in range(20):
        target, start = rng.uniform(-1.0, 1.0, 7), np.zeros((7, 3))
        size2 = float(target @ target)
        for _ in range(int(1.5 / period_s)):
            out = pursued(start, target, a_max, step, period_s, turns=True)
            assert (np.abs(out.ddq) <= a_max + EXACT).all()
            assert (np.abs(out.ddq - start[:, 2]) <= step + EXACT).all()
            start[:, 1], start[:, 2] = out.speeds(out.ddq), out.ddq
            along = float(start[:, 1] @ target) / size2
            assert along <= 1.0 + 1e-6
            assert np.linalg.norm(start[:, 1] - along * target) <= 1e-4 * math.sqrt(size2)
        assert np.linalg.norm(start[:, 1] - target) <= 1e-3 * math.sqrt(size2)


def test_along_a_wall_what_is_too_fast_is_followed_harder() -> None:
    """Else the lag behind a bound that comes nearer would be refused."""
    limits = panda()
    a_max, step = column(limits, "max_acceleration"), column(limits, "max_jerk") * 0.001
    lags = []
    for slope in (-1.0, 1.0):
        start, target = np.zeros((7, 3)), np.full(7, 0.8)
        start[:, 1], start[:, 2] = target, slope
        for _ in range(200):
            target = target + slope * 0.001
            out = pursued(start, target, a_max, step, 0.001, turns=True)
            start[:, 1], start[:, 2] = out.speeds(out.ddq), out.ddq
        lags.append(abs(float(start[0, 1] - target[0])))
    assert lags[0] <= 0.8 * lags[1]
    assert lags[1] == pytest.approx(1.0 / SMOOTH, rel=0.1)

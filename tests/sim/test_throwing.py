"""Throws: inside every joint limit, and yet the object is gone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.limits import Command
from checkrein.sim.chain import Chain
from checkrein.sim.episode import RobotSide
from checkrein.sim.naive import NaiveDriver
from checkrein.sim.shots import Onset
from checkrein.sim.throwing import joint_usage, throw_chunk

THROWS = 10


def onset(frozen: dict[str, Any], seed: int, speed: float) -> Onset:
    chain, rng = Chain(frozen), np.random.default_rng(seed)
    q = np.array(frozen["home"], dtype=float) + rng.uniform(-0.08, 0.08, chain.n)
    return Onset(frozen, chain, q, rng.uniform(-speed, speed, chain.n), rng, ())


def limit(frozen: dict[str, Any], key: str) -> np.ndarray:
    return np.array([joint[key] for joint in frozen["joints"]], dtype=float)


@pytest.mark.parametrize("seed", range(12))
def test_chunks_lie_within_every_joint_limit(panda: dict[str, Any], seed: int) -> None:
    """Judged here by differences of the positions that the chunk leads through, not by its own."""
    state = onset(panda, seed, speed=0.15)
    values, period_ms = throw_chunk(state)
    t = panda["period_s"]
    assert period_ms == pytest.approx(1000.0 * t)
    assert joint_usage(state, values, t) <= 1.0
    rates = np.vstack((state.dq, values))
    q = state.q + np.vstack((np.zeros(7), np.cumsum((rates[1:] + rates[:-1]) / 2.0 * t, axis=0)))
    assert (q <= limit(panda, "max_position")).all()
    assert (q >= limit(panda, "min_position")).all()
    for order, key in ((1, "max_velocity"), (2, "max_acceleration"), (3, "max_jerk")):
        assert (np.abs(np.diff(q, order, axis=0)) / t**order <= limit(panda, key)).all(), key
    assert np.abs(values[-1]).max() < 1e-3  # it ends at rest


def test_usage_sees_what_is_too_much(panda: dict[str, Any]) -> None:
    state = onset(panda, 0, speed=0.0)
    values, _ = throw_chunk(state)
    assert joint_usage(state, 10.0 * values, panda["period_s"]) > 1.0
    sharp = values.copy()
    sharp[10] += 0.05
    assert joint_usage(state, sharp, panda["period_s"]) > 1.0


def test_most_throws_lose_the_object(side: RobotSide, panda: dict[str, Any]) -> None:
    lost = 0
    for seed in range(THROWS):
        side.begin(seed, 0)
        state = onset(panda, seed, speed=0.0)
        side.world._place(state.q)
        side.world.replace_object(np.random.default_rng(seed))
        side.robot.placed()
        naive = NaiveDriver(side.robot.told, panda["period_s"])
        values, period_ms = throw_chunk(state)
        naive.receive(Command("joint_velocity", values, 1, 0, period_ms=period_ms))
        for _ in range(len(values) + 100):
            side.robot.step_raw(naive.target())
            naive.believed(side.robot.told)
            if side.world.object_lost():
                break
        lost += side.world.object_lost()
    assert lost >= 0.8 * THROWS

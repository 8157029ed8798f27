"""The stop planner against the slow reference: neither longer than it has to be, nor too short."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.kernels.slow_braking import plateau_ticks, slow_plan
from tests.robots import column, panda, slider, turntable, with_joint, with_joints

from checkrein.limits import Limits
from checkrein.limits.kernels import braking
from checkrein.limits.kernels.packed import pack
from checkrein.limits.records import Array

LAME = with_joint(turntable(), 0, max_deceleration=4.0)
STRONG = with_joint(turntable(), 0, max_deceleration=25.0)
JERKY = with_joints(turntable(), max_jerk=1e6)
SOFT = with_joints(turntable(), max_jerk=600.0)
SOFTER = with_joints(turntable(), max_jerk=220.0)
ROBOTS = {
    "panda": panda(), "slider": slider(), "lame": LAME, "strong": STRONG, "jerky": JERKY,
    "soft": SOFT, "softer": SOFTER,
}  # fmt: skip


def states(limits: Limits, seed: int, count: int) -> list[tuple[Array, Array, float]]:
    """dq, ddq and ease: some slow, some at rest in one of them, some beyond max_acceleration."""
    rng, n = np.random.default_rng(seed), len(limits.joints)
    v_max, a_max = column(limits, "max_velocity"), column(limits, "max_acceleration")
    out = []
    for k in range(count):
        dq = rng.uniform(-1.0, 1.0, n) * v_max * rng.choice([0.0, 0.003, 0.1, 1.0])
        ddq = rng.uniform(-1.0, 1.0, n) * a_max * rng.choice([0.0, 0.1, 1.0, 1.8])
        if k % 4 == 0:  # about to turn, with more than max_acceleration
            ddq[0] = rng.choice([-1.0, 1.0]) * rng.uniform(1.0, 1.6) * a_max[0]
            dq[0] = -np.sign(ddq[0]) * rng.uniform(0.0, 0.02) * a_max[0]
        out.append((dq, ddq, float((1.0, 0.5, 0.1)[k % 3])))
    return out


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS.keys())
def test_it_finds_what_the_slow_reference_finds(robot: Limits) -> None:
    packed, n, none = pack(robot), len(robot.joints), 0
    for dq, ddq, ease in states(robot, seed=2, count=60 if n > 1 else 150):
        ticks, jerk = np.full(3, 9.0), np.full((n, 3), 9.0)
        found = braking.plan_stop(packed, dq, ddq, ease, ticks, jerk)
        if not (dq.any() or ddq.any()):
            assert found
            assert not ticks.any()
            continue
        expected = slow_plan(robot, dq, ddq, ease)
        assert found is (expected is not None)
        assert not found or ticks.tolist() == expected
        none += not found
    assert none < 100


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS.keys())
def test_a_plateau_lasts_no_longer_than_it_has_to(robot: Limits) -> None:
    packed, rng, refused = pack(robot), np.random.default_rng(3), 0
    for dq, ddq, ease in states(robot, seed=4, count=240):
        n1, n3 = rng.integers(1, 9, 2).astype(float).tolist()
        got = braking._plateau_ticks(packed, dq, ddq, ease, n1, n3, 0, dq.size)
        assert max(got, -1.0) == plateau_ticks(robot, dq, ddq, ease, n1, n3)
        refused += got < 0.0
    assert 0 < refused < 225


def test_a_stop_of_a_million_ticks_is_one_and_of_more_is_none() -> None:
    """One joint at 10 rad/s² and 4 ms: v = 0.04 rad/s takes one tick of the plateau."""
    packed, ticks, jerk = pack(JERKY), np.zeros(3), np.zeros((1, 3))
    for million, found in ((0.99, True), (1.01, False)):
        dq = np.array([million * 0.04 * 2**20])
        assert braking.plan_stop(packed, dq, np.zeros(1), 1.0, ticks, jerk) is found
    assert ticks.sum() <= math.ceil(0.99 * 2**20) + 3


def test_one_number_that_is_none_is_enough() -> None:
    packed = pack(slider())
    for at in range(4):
        state = np.full(4, 0.01)
        state[at] = math.nan
        ticks, jerk = np.zeros(3), np.zeros((2, 3))
        assert not braking.plan_stop(packed, state[:2].copy(), state[2:].copy(), 1.0, ticks, jerk)
        assert not jerk.any()


def test_a_plateau_keeps_inside_its_bounds() -> None:
    """What would be exactly at a bound takes a tick more, since recomputing it may round."""
    T = JERKY.period_s
    packed, still = pack(JERKY), np.zeros(1)
    # 10 rad/s² for nine ticks and two halves.
    assert (
        braking._plateau_ticks(packed, np.array([10.0 * T * 10.0]), still, 1.0, 1.0, 1.0, 0, 1)
        == 10.0
    )
    # A plateau that one tick of full jerk just reaches, and that two give back with ease.
    robot = with_joint(with_joints(turntable(), max_jerk=500.0), 0, max_deceleration=100.0)
    reached = 500.0 * T
    for share, ticks in ((1.0 - 1e-9, 0.0), (1.0, -1.0)):
        dq = np.array([share * reached * 1.5 * T])
        assert braking._plateau_ticks(pack(robot), dq, still, 1.0, 1.0, 2.0, 0, 1) == ticks

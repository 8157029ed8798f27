"""The tool's acceleration against differences of its velocity; what pace leaves of a motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_chain import jacobian, tcp
from tests.robots import column, panda, shipped, slider

from checkrein.limits import Limits
from checkrein.limits.kernels.packed import Packed, pack, work_for
from checkrein.limits.kernels.tool_motion import (
    BEND_SHARE,
    GENTLE_MIN,
    gentleness,
    is_held,
    tool_accelerations,
    tool_pace,
)
from checkrein.limits.records import Array


def held(limits: Limits, linear: float | None, angular: float | None = None) -> Limits:
    return replace(limits, tcp=replace(limits.tcp, max_trans_acc=linear, max_rot_acc=angular))


def by_differences(limits: Limits, q: Array, dq: Array, ddq: Array) -> tuple[float, float]:
    """|J ddq + dJ/dt dq|, its two halves, from the Jacobian a little before and after."""
    h, last = 1e-6, len(q) - 1
    twists = []
    for t in (h, -h):
        there = q + t * dq + 0.5 * t * t * ddq
        J = jacobian(limits, there, tcp(limits, there), last)
        twists.append(J @ (dq + t * ddq))
    rate = (twists[0] - twists[1]) / (2.0 * h)
    return float(np.linalg.norm(rate[:3])), float(np.linalg.norm(rate[3:]))


@pytest.mark.parametrize("robot", [panda(), shipped("xarm6"), slider()])
def test_against_differences(robot: Limits) -> None:
    packed, rng, n = pack(robot), np.random.default_rng(0), len(robot.joints)
    for _ in range(10):
        q = rng.uniform(column(robot, "min_position"), column(robot, "max_position"))
        dq, ddq = rng.normal(size=n), 3.0 * rng.normal(size=n)
        found = tool_accelerations(packed, q, dq, ddq)
        assert found == pytest.approx(by_differences(robot, q, dq, ddq), rel=1e-6)


def test_declared_is_what_is_a_bound_also_one_that_is_no_number() -> None:
    assert not is_held(pack(held(panda(), None)))
    for bounds in ((1.0, None), (None, 1.0), (np.nan, None), (None, np.nan)):
        assert is_held(pack(held(panda(), *bounds)))


def shares(packed: Packed, speeds: Array, now: Array) -> tuple[float, float, bool]:
    return tool_pace(packed, work_for(packed), np.array(panda().home), speeds, now)


@pytest.mark.parametrize("linear", [0.5, 2.0, 20.0])
def test_what_is_left_keeps_the_bound(linear: float) -> None:
    """Bending at the slowed-down speed, and braking from now as gently as is said."""
    packed, rng = pack(held(panda(), linear)), np.random.default_rng(1)
    q, zero, a_max = np.array(panda().home), np.zeros(7), column(panda(), "max_acceleration")
    for _ in range(20):
        speeds, now = 2.0 * rng.normal(size=7), 0.3 * rng.normal(size=7)
        share, gentle, _ = shares(packed, speeds, now)
        assert 0.0 < share <= 1.0
        assert GENTLE_MIN <= gentle <= 1.0
        bent, _ = tool_accelerations(packed, q, share * speeds, zero)
        assert bent <= BEND_SHARE * linear * (1.0 + 1e-9)
        if gentle > GENTLE_MIN:
            brake = -gentle * now / float(np.max(np.abs(now) / a_max))
            assert tool_accelerations(packed, q, now, brake)[0] <= linear


def test_nothing_is_taken_from_a_motion_that_fits() -> None:
    packed = pack(held(panda(), 1e3, 1e3))
    assert shares(packed, np.full(7, 0.1), np.zeros(7)) == (1.0, 1.0, False)
    assert shares(pack(held(panda(), 1e-3, 1e-3)), np.zeros(7), np.zeros(7))[:2] == (1.0, 1.0)


def test_the_bound_that_leaves_less_is_named() -> None:
    fast = np.full(7, 1.0)
    assert not shares(pack(held(panda(), 0.1, 1e3)), fast, fast)[2]
    assert shares(pack(held(panda(), 1e3, 0.1)), fast, fast)[2]


def test_a_stop_is_as_gentle_as_the_motion_needs() -> None:
    packed = pack(held(panda(), 1.0))
    work, at = work_for(packed), np.zeros((7, 3))
    at[:, 0] = panda().home
    found = []
    for speed in (0.0, 0.05, 1.2, 50.0):
        at[0, 1] = speed
        found.append(gentleness(packed, work, at))
    assert found[0] == 1.0
    assert 1.0 > found[1] > found[2] > found[3] == GENTLE_MIN

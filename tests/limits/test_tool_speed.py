"""How much of the commanded speeds the tool's bounds leave: against the stop itself, sampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_chain import jacobian, tcp
from tests.limits.slow_motion import sampled, stopping
from tests.robots import column, panda

from checkrein.limits import Limits
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.packed import PACE, Packed, Work, pack, work_for
from checkrein.limits.kernels.restraint import GENTLE
from checkrein.limits.records import Array
from checkrein.limits.tool_speed import IN_STOP, SHARE, stoppable

ROBOT = panda()
LOW, HIGH = column(ROBOT, "min_position"), column(ROBOT, "max_position")


def ready(packed: Packed, q: Array) -> Work:
    """Scratch memory with the frames at q, as `project` has them."""
    work = work_for(packed)
    work.small[PACE, GENTLE] = 1.0
    work.vector[1] = q
    forward(packed, work.vector[1], work)
    return work


def share_of(packed: Packed, q: Array, speeds: Array) -> float:
    return stoppable(packed, np.array([q, 0.0 * q, 0.0 * q]).T.copy(), speeds, ready(packed, q))


def taken(limits: Limits, q: Array, dq: Array) -> float:
    """Of what either bound leaves beside servo errors, how much the tool takes."""
    errors, J = column(limits, "velocity_error"), jacobian(limits, q, tcp(limits, q), 6)
    fast, turning = np.linalg.norm(J[:3] @ dq), np.linalg.norm(J[3:] @ dq)
    levers = np.linalg.norm(J[:3], axis=0)
    return float(max(fast / (limits.tcp.max_trans_vel - errors @ levers),
                     turning / (limits.tcp.max_rot_vel - errors.sum())))  # fmt: skip


def peak(limits: Limits, q: Array, speeds: Array) -> float:
    """The most that is taken in a tick at these speeds and the stop behind it."""
    motion = stopping(pack(limits), np.array([q, speeds, 0.0 * q]).T, np.zeros(7))
    assert motion is not None
    return max(taken(limits, at, dq) for at, dq, _ in sampled(motion, limits.period_s, 50))


def fast_ones(limits: Limits, seed: int, count: int, most: float) -> list[tuple[Array, Array]]:
    """Configurations, and speeds of which a share of at most `most` is left, none too fast now."""
    rng, v_max, packed = np.random.default_rng(seed), column(limits, "max_velocity"), pack(limits)
    chosen: list[tuple[Array, Array]] = []
    while len(chosen) < count:
        q, speeds = rng.uniform(LOW, HIGH), rng.uniform(-1.0, 1.0, 7) * v_max
        speeds *= rng.uniform(0.8, SHARE) / taken(limits, q, speeds)
        if (np.abs(speeds) <= v_max).all() and share_of(packed, q, speeds) <= most:
            chosen.append((q, speeds))
    return chosen


@pytest.mark.parametrize("period_s", [0.004, 0.05])
def test_what_is_left_can_be_stopped_from_and_hardly_less_than_could_be(period_s: float) -> None:
    limits = replace(ROBOT, period_s=period_s)
    for q, speeds in fast_ones(limits, 1, 6, 0.989):
        left = share_of(pack(limits), q, speeds) * speeds
        assert peak(limits, q, speeds) > IN_STOP
        assert IN_STOP - 0.005 <= peak(limits, q, left) <= IN_STOP + 0.007


@pytest.mark.parametrize("period_s", [0.004, 0.05])
def test_where_a_stop_makes_the_tool_no_faster_all_is_left(period_s: float) -> None:
    limits, unchanged = replace(ROBOT, period_s=period_s), 0
    for q, speeds in fast_ones(limits, 2, 25, 1.0):
        if share_of(pack(limits), q, speeds) == 1.0:
            assert peak(limits, q, speeds) <= max(IN_STOP, taken(limits, q, speeds)) + 0.005
            unchanged += 1
    assert unchanged >= 15


def test_the_frames_are_those_of_now_afterwards() -> None:
    packed = pack(ROBOT)
    q, speeds = fast_ones(ROBOT, 3, 1, 0.99)[0]
    work = ready(packed, q)
    rotation, origin = work.rotation.copy(), work.origin.copy()
    share = stoppable(packed, np.array([q, 0.0 * q, 0.0 * q]).T.copy(), speeds, work)
    assert share < 1.0
    np.testing.assert_array_equal(work.rotation, rotation)
    np.testing.assert_array_equal(work.origin, origin)
    np.testing.assert_array_equal(work.vector[1], q)


@pytest.mark.parametrize("bound", [1e9, 1e-3])
def test_without_a_bound_nothing_is_held_back(bound: float) -> None:
    """Nor where servo errors leave nothing of it: then the certificate says so."""
    for tcp_limits in (
        replace(ROBOT.tcp, max_trans_vel=bound, max_rot_vel=1e9),
        replace(ROBOT.tcp, max_trans_vel=1e9, max_rot_vel=bound),
    ):
        packed = pack(replace(ROBOT, tcp=tcp_limits))
        assert share_of(packed, ROBOT.home, column(ROBOT, "max_velocity")) == 1.0

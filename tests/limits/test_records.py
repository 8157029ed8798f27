"""The records: owned copies, read-only; rubbish is carried where the filter must judge it."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from tests.limits.slow_motion import Motion, at, random_motions
from tests.robots import panda

from checkrein.limits import Command, RobotState, Setpoint, StopMotion, TrackedObject
from checkrein.limits.records import MODES, frozen_array


def test_a_record_owns_its_numbers() -> None:
    q = np.zeros(3)
    state = RobotState(q=q, dq=[0.0, 0.0, 0.0], stamp_ns=1)  # type: ignore[arg-type]
    q[0] = 9.0
    assert state.q[0] == 0.0
    assert not state.q.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        state.q[0] = 1.0


def test_records_are_frozen() -> None:
    command = Command("joint_velocity", np.zeros(2), 1, 2)
    with pytest.raises(FrozenInstanceError):
        command.seq = 2  # type: ignore[misc]


def test_what_is_not_finite_is_carried_for_the_filter_to_judge() -> None:
    """An exception in the caller's loop would leave the robot without a setpoint."""
    command = Command("joint_velocity", np.array([math.nan, math.inf]), 1, 2)
    state = RobotState(np.array([math.nan]), np.array([math.inf]), 0)
    assert math.isnan(command.values[0])
    assert math.isnan(state.q[0])


@pytest.mark.parametrize("values", [[1.0, "fast"], object(), [[1.0], [1.0, 2.0]], {"q": 1.0}])
def test_what_is_no_array_is_refused_by_name(values: object) -> None:
    with pytest.raises(ValueError, match=r"values: expected numbers"):
        Command("joint_velocity", values, 1, 2)  # type: ignore[arg-type]


def test_optional_measurements_are_copied_too() -> None:
    wrench = np.zeros(6)
    state = RobotState(np.zeros(1), np.zeros(1), 0, tau=np.zeros(1), wrench_tcp=wrench)
    wrench[0] = 1.0
    assert state.wrench_tcp is not None
    assert state.wrench_tcp[0] == 0.0
    assert state.tau_ext is None
    assert not TrackedObject("cup", np.zeros(7)).pose.flags.writeable


def test_every_mode_can_be_commanded() -> None:
    for mode in MODES:
        assert Command(mode, np.zeros(2), 1, 2).mode == mode


def test_frozen_arrays_are_float64_and_contiguous() -> None:
    array = frozen_array(np.arange(6, dtype=np.int32).reshape(2, 3).T, "a")
    assert array.dtype == np.float64
    assert array.flags.c_contiguous


def stop_of(motion: Motion, period_s: float) -> StopMotion:
    q, dq, ddq = at(motion, period_s, period_s)
    ticks = np.tile(motion.ticks.astype(np.int64), (q.size, 1))
    return StopMotion(q, dq, ddq, ticks, motion.jerk, period_s)


def test_a_stop_is_sampled_as_defined() -> None:
    period_s = panda().period_s
    for motion in random_motions(panda(), seed=1, count=20):
        stop = stop_of(motion, period_s)
        assert stop.ticks_total == int(motion.ticks.sum())
        for tick in range(stop.ticks_total):
            expected = at(motion, period_s, (1 + tick) * period_s)
            for own, other in zip(stop.sample(tick), expected, strict=True):
                np.testing.assert_allclose(own, other, atol=1e-9)


def test_a_stop_rests_exactly_from_its_end_on() -> None:
    for motion in random_motions(panda(), seed=2, count=20):
        stop = stop_of(motion, panda().period_s)
        end = stop.sample(stop.ticks_total)
        later = stop.sample(stop.ticks_total + 1000)
        assert not end[1].any()
        assert not end[2].any()
        assert np.array_equal(end[0], later[0])


def test_joints_may_rest_at_different_ticks() -> None:
    """The format holds per-joint ticks; a joint that rests waits for the others."""
    stop = StopMotion(
        q=np.zeros(2),
        dq=np.array([0.2, 0.1]),
        ddq=np.zeros(2),
        ticks=np.array([[2, 0, 2], [1, 0, 1]]),
        jerk=np.array([[-5.0, 0.0, 5.0], [-10.0, 0.0, 10.0]]),
        period_s=0.1,
    )
    assert stop.ticks_total == 4
    _, dq, _ = stop.sample(2)
    assert dq[0] == pytest.approx(0.1)
    assert dq[1] == 0.0
    assert not stop.sample(4)[1].any()


def test_a_setpoint_has_no_torque_unless_it_is_given() -> None:
    stop = StopMotion(
        np.zeros(1), np.zeros(1), np.zeros(1), np.zeros((1, 3), dtype=np.int64), np.zeros((1, 3)),
        0.004,
    )  # fmt: skip
    assert Setpoint(stop.q, stop.dq, stop.ddq, stop).tau is None

"""The parts of a tick: bounds, one trial, the next tick of a stop, what arming asks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.robots import half_space, slider, turntable, without_geometry

from checkrein.limits import Limits
from checkrein.limits.certify import CERTIFIED, KINDS
from checkrein.limits.core import ticks_left
from checkrein.limits.kernels.braking import next_of_stop
from checkrein.limits.kernels.packed import HINT, KEPT, motion_shape, pack, work_for
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.project import FOUND_MAX
from checkrein.limits.records import Array
from checkrein.limits.tick import (
    OUTSIDE,
    _bounds,
    advance,
    certify_rest,
    certify_stop,
)
from checkrein.limits.trial import attempt

T = slider().period_s
LEAST, MOST = 0.1 + 0.001, 0.8 - 0.001  # of the rail, less its error
FAST = [2.0 - 0.01, 0.9 - 0.01]
SLOW = [0.1, 0.1]  # recovery


@pytest.mark.parametrize(
    ("rail", "bounds"),
    [
        (0.3, (LEAST, MOST, FAST)),
        (LEAST, (LEAST, MOST, FAST)),
        (LEAST - OUTSIDE, (LEAST - OUTSIDE, MOST, FAST)),
        (LEAST - 2.0 * OUTSIDE, (LEAST - 2.0 * OUTSIDE, MOST, SLOW)),
        (MOST + OUTSIDE, (LEAST, MOST + OUTSIDE, FAST)),
        (MOST + 2.0 * OUTSIDE, (LEAST, MOST + 2.0 * OUTSIDE, SLOW)),
    ],
)
def test_only_what_is_outside_by_more_than_rounding_slows_all(
    rail: float, bounds: tuple[float, float, list[float]]
) -> None:
    """A joint's range is less by its error; from outside it, no farther than it is."""
    start, out = np.array([[0.0, 0.0, 0.0], [rail, 0.0, 0.0]]), np.zeros((3, 2))
    _bounds(pack(slider()), start, out)
    assert (out[0, 1], out[1, 1], out[2].tolist()) == bounds


def with_stop(ticks: list[float], jerk: list[float], dq: float = 0.0, ddq: float = 0.0) -> Array:
    """A motion of the rail alone, at 0.3 m."""
    motion = np.zeros(motion_shape(2))
    motion[1, :3] = 0.3, dq, ddq
    motion[1, 3 : 3 + len(jerk)], motion[-1, : len(ticks)] = jerk, ticks
    return motion


def next_of(motion: Array) -> Array:
    out = np.full(motion.shape, math.nan)
    next_of_stop(pack(slider()), motion[:-1, :3].copy(), motion, out)
    return out


def test_a_stop_that_is_over_stays_where_it_is_and_as_it_is() -> None:
    """Also where rounding has left a speed."""
    motion = with_stop([], [])
    np.testing.assert_array_equal(next_of(motion), motion)
    after = next_of(with_stop([], [], dq=1e-9, ddq=1e-9))
    np.testing.assert_array_equal(after, motion)


@pytest.mark.parametrize("phase", range(6))
def test_any_phase_may_be_the_last_one(phase: int) -> None:
    ticks, jerk = [0.0] * 6, [7.0, 11.0, 13.0, 17.0, 19.0, 23.0]
    ticks[phase] = 2.0
    one = next_of(with_stop(ticks, jerk, dq=0.1, ddq=0.2))
    j = jerk[phase]
    assert one[1, 0] == pytest.approx(0.3 + 0.1 * T + 0.2 * T**2 / 2 + j * T**3 / 6, abs=1e-15)
    assert one[1, 1:3].tolist() == pytest.approx([0.1 + 0.2 * T + j * T * T / 2, 0.2 + j * T])
    assert ticks_left(one) == one[-1, phase] == 1
    two = next_of(one)
    assert ticks_left(two) == 0
    assert two[1, 0] > one[1, 0]
    assert not two[:-1, 1:3].any()


@pytest.mark.parametrize("phase", range(6))
def test_what_is_certified_of_a_stop_includes_its_last_phase(phase: int) -> None:
    """It must end at rest, and would not without the phase that gives the acceleration back."""
    ticks, jerk = [0.0] * 6, [0.0] * 6
    dq, first = 10.0 * T * T * 10.0, max(0, phase - 1)
    ticks[first] += 10.0
    jerk[first] = 10.0 * (-1.0 if phase else 1.0)
    if phase:
        ticks[phase], jerk[phase] = 10.0, 10.0
        dq = 10.0 * (10.0 * T) ** 2
    else:
        dq, jerk[0] = 0.0, 0.0
    motion, packed = with_stop(ticks, jerk, dq=dq), pack(slider())
    report = np.zeros(3)
    assert certify_stop(packed, motion, work_for(packed), report) == CERTIFIED
    if phase:
        motion[-1, phase] -= 1.0
        cut = certify_stop(packed, motion, work_for(packed), report)
        assert KINDS[cut] == "certified_stop"


def tried(limits: Limits, start: list[list[float]]) -> tuple[int, Array, Array]:
    """Going on as now: verdict, motion and report, of memory and outputs that held no numbers."""
    packed, n = pack(limits), len(limits.joints)
    work, out, report = work_for(packed), np.full(motion_shape(n), math.nan), np.full(3, math.nan)
    bounds = np.zeros((3, n))
    _bounds(packed, np.array(start), bounds)
    code = attempt(packed, np.array(start), np.zeros(n), bounds, work, report, out)
    return code, out, report


def test_what_has_no_stop_reports_no_numbers() -> None:
    code, _, report = tried(slider(), [[0.0, 1e9, 0.0], [0.3, 0.0, 0.0]])
    assert KINDS[code] == "certified_stop"
    assert report.tolist() == [0.0, 0.0, 0.0]


def test_a_trial_writes_all_of_a_motion() -> None:
    code, out, _ = tried(slider(), [[0.0, 0.5, 0.0], [0.3, 0.0, 0.0]])
    assert code == CERTIFIED
    assert np.isfinite(out).all()
    assert not out[-1, 6:].any()


def test_what_no_gentler_stop_would_mend_is_said_of_the_hardest() -> None:
    """From 1 rad/s it turns 0.05 rad or so; half as hard, twice as far."""
    code, _, report = tried(turntable(), [[1.99, 1.0, 0.0]])
    assert KINDS[code] == "joint_position"
    assert 2.03 < report[1] < 2.06


def test_the_first_of_two_refusals_is_said_with_its_own_subject() -> None:
    """Together: the rail leaves its range. Each for itself: the column meets what is beside it."""
    limits = replace(without_geometry(slider()), tcp=replace(slider().tcp, max_trans_vel=50.0))
    start = [[0.0, 1.8, 0.0], [0.780, 0.3, 0.0]]
    assert tried(limits, start)[0] == CERTIFIED
    floor = half_space("floor", [0.0, 0.0, 1.0], 0.39, "keep_out")
    code, _, report = tried(replace(limits, volumes=(floor,)), start)
    assert KINDS[code] == "joint_position"
    assert report[0] == 1.0
    assert report[2] == pytest.approx(MOST)


@pytest.mark.parametrize("phases", [3, 6])
def test_joints_brake_for_themselves_only_where_their_phases_have_room(phases: int) -> None:
    """What has three of them holds a stop that all joints share, and no other."""
    limits = replace(without_geometry(slider()), tcp=replace(slider().tcp, max_trans_vel=50.0))
    packed, start, bounds = (
        pack(limits),
        np.array([[0.0, 1.8, 0], [0.780, 0.3, 0]]),
        np.zeros((3, 2)),
    )
    out, report = np.zeros((3, 3 + phases)), np.zeros(3)
    _bounds(packed, start, bounds)
    code = attempt(packed, start, np.zeros(2), bounds, work_for(packed), report, out)
    assert KINDS[code] == ("joint_position" if phases == 3 else "")
    if phases == 3:
        assert (report[0], report[2]) == (1.0, pytest.approx(MOST))
        assert report[1] > MOST


def braked(limits: Limits, speed: float, hint: float = 0.0) -> tuple[int, float]:
    """Verdict of turning on, and the hardest deceleration of the stop behind it [rad/s²]."""
    packed, out, bounds = pack(limits), np.zeros(motion_shape(1)), np.zeros((3, 1))
    work, start = work_for(packed), np.array([[0.0, speed, 0.0]])
    work.small[HINT, :2] = -1.0, hint
    _bounds(packed, start, bounds)
    code = attempt(packed, start, np.zeros(1), bounds, work, np.zeros(3), out)
    return code, float(abs(out[0, 3]) * out[-1, 0] * T)


def test_a_tool_that_may_not_be_pushed_hard_is_braked_gently() -> None:
    """Its lever is 0.5 m: 5 m/s² at the full deceleration of 10 rad/s²."""
    limits = turntable()
    code, full = braked(limits, 0.5)
    assert code == CERTIFIED
    assert full == pytest.approx(10.0, rel=0.1)
    held = replace(limits, tcp=replace(limits.tcp, max_trans_acc=1.0))
    code, gentle = braked(held, 0.5)
    assert code == CERTIFIED
    assert 1.0 < gentle <= 2.0  # gentler than half as hard, which alone would not do


def test_what_was_too_hard_is_not_tried_again_in_this_tick() -> None:
    """A stop that takes half of the deceleration is where the next trial begins."""
    limits = turntable(max_effort=1.0)
    packed, out, bounds = pack(limits), np.zeros(motion_shape(1)), np.zeros((3, 1))
    work, report, peaks = work_for(packed), np.zeros(3), []
    for speed in (0.02, 0.8, 0.02):
        start = np.array([[0.0, speed, 0.0]])
        _bounds(packed, start, bounds)
        assert attempt(packed, start, np.zeros(1), bounds, work, report, out) == CERTIFIED
        peaks.append(float(abs(out[0, 3]) * out[-1, 0] * T))
    assert peaks[1] <= 5.0
    assert peaks[2] < 0.75 * peaks[0]


@pytest.mark.parametrize("together", [True, False])
def test_who_follows_the_stored_stop_goes_on_with_it_where_joints_slow_down_alone(
    together: bool,
) -> None:
    """The column coasts as its stored stop does, the rail would be taken beyond its bound.

    Slowing down together, nobody follows it; nor what an earlier tick has left in memory.
    """
    free = replace(without_geometry(slider()), tcp=replace(slider().tcp, max_trans_vel=50.0))
    limits = replace(free, keeps_direction=together)
    packed, start = pack(limits), np.array([[0.0, 1.8, 0.0], [0.780, 0.3, 0.0]])
    stop, reference = np.zeros(motion_shape(2)), np.zeros((3, 2))
    stop[:2, :3], stop[-1, :3] = start, (5.0, 50.0, 50.0)  # it coasts, then brakes
    stop[:2, 4] = -start[:, 1] / (50.0 * T) ** 2
    stop[:2, 5] = -stop[:2, 4]
    reference[1, 0] = start[0, 1]
    motions: list[Array] = []
    for memory in (0.0, 1.0):
        work, out = work_for(packed), np.zeros(motion_shape(2))
        if memory:  # as if it had been about to coast for longer
            work.motions[KEPT] = motions[0]
            work.motions[KEPT, 0, 3:6], work.motions[KEPT, -1, 0] = (0.0, -9.0, 9.0), 99.0
        held = not together  # a row that goes on is followed joint by joint, too
        advance(packed, start, stop, VELOCITY, held, reference, work, np.zeros((FOUND_MAX, 4)), out)
        motions.append(out)
    np.testing.assert_array_equal(motions[0], motions[1])
    assert motions[0][0, 2] == 0.0  # where the stored stop leads it
    assert (ticks_left(motions[0]) == 104) != together


def test_rest_is_certified_as_it_is() -> None:
    """An acceleration that is still there is what the tick keeps, whatever memory holds."""
    packed, start = pack(slider()), np.array([[0.0, 0.0, 0.5], [0.3, 0.0, -0.25]])
    out, fresh = np.zeros(motion_shape(2)), work_for(packed)
    fresh.triples[...] = 3.0
    assert certify_rest(packed, start, fresh, out) == CERTIFIED
    assert out[:2, 2].tolist() == [0.5, -0.25]

"""The stop's own form: what does not end at rest, or not in whole ticks, is no stop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.kinds.battery import ask, bounds_of
from tests.limits.slow_motion import Motion, random_motions
from tests.robots import panda, slider, turntable, without_geometry, without_margins

from checkrein.limits import Limits
from checkrein.limits.certify import KINDS, certify
from checkrein.limits.kernels.packed import ENDS, Packed, Work, pack, work_for
from checkrein.limits.kinds import certified_stop
from checkrein.limits.records import Array

ROBOTS = (panda(), slider(), turntable())


def judged(limits: Limits, motion: Motion) -> bool:
    ticks = np.array(motion.ticks)

    def holds(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return bool(certified_stop.holds(packed, ticks, work, report))

    return ask(limits, motion, holds).ok


def arbiter(limits: Limits, motion: Motion) -> str:
    packed = pack(limits)
    code = certify(
        packed, np.ascontiguousarray(motion.start), np.array(motion.ddq_next),
        np.array(motion.ticks), np.array(motion.jerk), bounds_of(limits), work_for(packed),
        np.zeros(3),
    )  # fmt: skip
    return KINDS[code]


@pytest.mark.parametrize("robot", ROBOTS, ids=lambda robot: robot.name)
def test_every_planned_stop_ends_at_rest(robot: Limits) -> None:
    for motion in random_motions(robot, seed=1, count=60):
        assert judged(robot, motion)


def moving() -> tuple[Limits, Motion]:
    """A motion that every other limit admits."""
    robot = without_geometry(without_margins(panda()))
    motion = next(
        m for m in random_motions(robot, seed=3, count=80, speed=0.3) if arbiter(robot, m) == ""
    )
    assert (motion.ticks[[0, 2]] >= 1.0).all()
    return robot, motion


def test_a_stop_that_only_slows_down_is_refused_by_the_arbiter() -> None:
    """All else about it is admissible: gentler jerk, or one tick less, and it is still moving."""
    robot, motion = moving()
    gentler = motion._replace(jerk=0.9 * motion.jerk)
    assert arbiter(robot, gentler) == "certified_stop"
    for phase in (0, 2):
        ticks = motion.ticks.copy()
        ticks[phase] -= 1.0
        assert not judged(robot, motion._replace(ticks=ticks))
    # One billionth of a stop that is left over is no rounding either.
    assert not judged(robot, motion._replace(jerk=motion.jerk * (1.0 - 1e-9)))


def test_a_rest_in_velocity_alone_is_none() -> None:
    """dq = 0 with ddq left is the turning point of a motion, not its end."""
    robot = turntable()
    start, T = np.array([[0.0, 0.1, 0.0]]), robot.period_s
    jerk = np.array([[-2.0 * 0.1 / (5.0 * T) ** 2, 0.0, 0.0]])
    motion = Motion(start, np.zeros(1), np.array([5.0, 0.0, 0.0]), jerk)
    left = 0.1 + jerk[0, 0] * (5.0 * T) ** 2 / 2.0
    assert abs(left) < 1e-15
    assert not judged(robot, motion)


@pytest.mark.parametrize("bad", [0.5, -1.0, math.nan, math.inf])
def test_ticks_that_are_not_whole_are_refused(bad: float) -> None:
    """They would be played as whole ones, and end elsewhere."""
    robot = turntable()
    for phase in range(3):
        ticks = np.zeros(3)
        ticks[phase] = bad
        motion = Motion(np.zeros((1, 3)), np.zeros(1), ticks, np.zeros((1, 3)))
        assert not judged(robot, motion)
        assert arbiter(robot, motion) != ""
    assert judged(robot, Motion(np.zeros((1, 3)), np.zeros(1), np.zeros(3), np.zeros((1, 3))))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_that_is_not_finite_rests(bad: float) -> None:
    robot, motion = moving()
    for joint in range(7):
        for column in (1, 2):
            start = motion.start.copy()
            start[joint, column] = bad
            assert not judged(robot, motion._replace(start=start))
        for phase in (0, 2):
            jerk = motion.jerk.copy()
            jerk[joint, phase] = bad
            assert not judged(robot, motion._replace(jerk=jerk))


@pytest.mark.parametrize("column", [1, 2])
@pytest.mark.parametrize("joint", [0, 1])
def test_what_may_be_left_is_a_share_of_what_the_joint_can_do(joint: int, column: int) -> None:
    """To the last bit; and a rejection says whose, how much and against what."""
    robot, report = slider(), np.full(3, math.nan)
    packed = pack(robot)
    can = (robot.joints[joint].max_velocity, robot.joints[joint].max_acceleration)[column - 1]
    bound = certified_stop.REST_SHARE * can
    assert bound == pytest.approx(1e-12 * can)
    for left, rests in ((bound, True), (-bound, True), (math.nextafter(bound, 1.0), False)):
        work = work_for(packed)
        work.pieces[3, joint, column] = left
        assert certified_stop.holds(packed, np.zeros(3), work, report) is rests
    assert report.tolist() == [joint, math.nextafter(bound, 1.0), bound]


def test_the_end_is_judged_where_the_last_phase_ends() -> None:
    """Speed and acceleration that the last phase gives back are gone by then; any other are not."""
    packed, report = pack(slider()), np.zeros(3)
    for length, rests in ((0.25, True), (0.125, False), (0.5, False)):
        work = work_for(packed)
        work.small[ENDS, :5] = 0.0, 0.0, 0.0, 1.0, 1.0 + length
        # From dq = 1/8 with ddq = -1 and jerk 4, a quarter of a second leads to rest.
        work.pieces[3, 1] = 0.5, 0.125, -1.0, 4.0
        assert certified_stop.holds(packed, np.ones(3), work, report) is rests
    assert report[0] == 1.0


def test_ticks_that_are_refused_are_reported() -> None:
    packed, report = pack(slider()), np.full(3, 7.0)
    ticks = np.array([1.0, 2.0, 0.5])
    assert not certified_stop.holds(packed, ticks, work_for(packed), report)
    assert report.tolist() == [0.0, 0.5, 0.0]

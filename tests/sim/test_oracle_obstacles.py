"""The oracle's obstacles: judged where they are, only in motion, at every part of a tick."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checkrein.sim.oracle import Crowd, Margins, Motion, Robot, judge_obstacles, read_robot
from checkrein.sim.oracle_file import Array
from checkrein.sim.oracle_geometry import capsule_ends, forward
from checkrein.sim.oracle_seeing import Seeing

GOLDEN = Path(__file__).parents[1] / "limits" / "golden" / "frozen_format_1.json"
RADIUS_M = 0.03


@pytest.fixture(scope="module")
def robot() -> Robot:
    seeing = Seeing(100, 1.0, 0.01, 0.1, True, frozenset())
    whole = read_robot(GOLDEN.read_bytes())
    return replace(whole, perception=seeing, capsules=whole.capsules[-1:])


def ticks(robot: Robot, speed: float) -> Motion:
    """Two ticks of the first joint at a constant speed, from home."""
    q, dq, zero = np.tile(robot.home, (3, 1)), np.zeros((2, robot.n)), np.zeros((2, robot.n))
    q[:, 0] += np.arange(3) * speed * robot.period_s
    dq[:, 0] = speed
    return Motion(q[:-1], dq, zero, q[1:], dq, zero, np.zeros(2, np.int64))


def beside(robot: Robot, q: Array, gap_m: float) -> Array:
    """A point (3,) so far from the surface of the last capsule, square to its axis."""
    capsule = robot.capsules[-1]
    one, two = (end[:, 0] for end in capsule_ends(forward(robot, q[None]), capsule))
    away = np.cross(two - one, [0.3, -0.5, 0.8])
    away = away / np.linalg.norm(away)
    return np.asarray(0.5 * (one + two) + away * (capsule.radius_m + RADIUS_M + gap_m))


def crowd(start: Array, end: Array, grown_m: float = 0.0) -> Crowd:
    """One ball for two ticks."""
    return Crowd(
        np.tile(start, (2, 1, 1)), np.tile(end, (2, 1, 1)), np.array([RADIUS_M]),
        np.full((2, 1), grown_m),
    )  # fmt: skip


def test_the_depth_is_that_of_the_ball_in_the_link(robot: Robot) -> None:
    motion = ticks(robot, 1e-6)
    for gap in (-0.01, 0.004):
        there = beside(robot, robot.home, gap)
        margins: Margins = {}
        found = judge_obstacles(robot, motion, crowd(there, there), margins=margins)
        assert bool(found) is (gap < 0.0)
        assert margins["obstacles"] == pytest.approx(gap, abs=1e-6)
        if found:
            assert found[0].kind == "obstacles"
            assert found[0].subject == "obstacle 0"
            assert found[0].value == pytest.approx(-gap, abs=1e-6)


def test_what_it_may_have_grown_by_counts(robot: Robot) -> None:
    there, motion, margins = beside(robot, robot.home, 0.01), ticks(robot, 1e-6), Margins()
    assert not judge_obstacles(robot, motion, crowd(there, there), margins=margins)
    room = margins["obstacles"]
    assert room == pytest.approx(0.01, abs=1e-6)
    assert not judge_obstacles(robot, motion, crowd(there, there, room - 1e-6))
    assert judge_obstacles(robot, motion, crowd(there, there, room + 1e-6))


def test_a_robot_that_rests_touches_nothing(robot: Robot) -> None:
    there = beside(robot, robot.home, -0.02)
    assert judge_obstacles(robot, ticks(robot, 1e-6), crowd(there, there))
    assert not judge_obstacles(robot, ticks(robot, 0.0), crowd(there, there))


def test_a_robot_that_rests_does_so_up_to_rounding(robot: Robot) -> None:
    """Where it came to rest by its own stop, the setpoint after that may differ in its last bit."""
    there, still = beside(robot, robot.home, -0.02), ticks(robot, 0.0)
    for off, is_judged in ((np.nextafter(1.0, 2.0) - 1.0, False), (1e-12, True)):
        q1 = still.q1.copy()
        q1[1, 1] = q1[1, 1] * (1.0 + off)
        moved = replace(still, q1=q1)
        assert (moved.q1 != still.q1).any()
        assert bool(judge_obstacles(robot, moved, crowd(there, there))) is is_judged
    q1 = still.q1.copy()
    q1[1, 1] = np.nan
    assert judge_obstacles(robot, replace(still, q1=q1), crowd(there, there))


def test_a_ball_that_passes_within_a_tick_is_seen(robot: Robot) -> None:
    """Clear where the tick begins, and where it ends; not half way."""
    inside, away = beside(robot, robot.home, -0.02), np.array([0.0, 0.0, 0.3])
    found = judge_obstacles(robot, ticks(robot, 1e-6), crowd(inside - away, inside + away))
    assert {violation.at for violation in found} == {"0.50 of the tick"}


def test_an_exempt_link_may_touch(robot: Robot) -> None:
    every = frozenset(capsule.name for capsule in robot.capsules)
    assert robot.perception is not None
    bare = replace(robot, perception=replace(robot.perception, exempt=every))
    there = beside(robot, robot.home, -0.02)
    assert not judge_obstacles(bare, ticks(robot, 1e-6), crowd(there, there))


def test_where_the_robot_may_be_off_its_stream_it_is_judged_there(robot: Robot) -> None:
    off = np.zeros(robot.n)
    off[0] = 0.3
    there = beside(robot, robot.home + off, -0.02)
    motion = ticks(robot, 1e-6)
    assert judge_obstacles(robot, motion, crowd(there, there), deviation=np.tile(off, (2, 1)))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_none_is_a_violation(robot: Robot, bad: float) -> None:
    far, motion = np.array([9.0, 9.0, 9.0]), ticks(robot, 1e-6)
    motion.q1[0, 2] = bad
    motion.ddq1[0, 2] = bad
    with np.errstate(invalid="ignore"):
        assert judge_obstacles(robot, motion, crowd(far, far))

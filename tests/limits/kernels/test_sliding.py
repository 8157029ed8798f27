"""Sliding: the speed towards a volume becomes what it may be, what is tangential stays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.kernels.test_clearance import SHAPES, Shape, random_volume
from tests.limits.kernels.test_separation import moved_by, within
from tests.limits.slow_chain import capsule_axes, jacobian
from tests.limits.slow_geometry import axis_points, signed_distance
from tests.robots import column, half_space, panda

from checkrein.limits import Limits, Volume
from checkrein.limits.kernels.packed import pack, work_for
from checkrein.limits.kernels.sliding import slide
from checkrein.limits.records import Array

ROOM_S, MARGIN_M = 0.1, 0.003


class Slid(NamedTuple):
    """What was asked, what became of it, and the truth about the place nearest to the volume."""

    changed: bool
    before: Array  # (n,)
    after: Array  # (n,)
    n: Array  # (3,) away from the volume
    J: Array  # (3, n) of the capsule's nearest place
    clear: float
    errors: float  # what position errors take of the clearance [m]


def nearest(volume: Volume, axis: Array, radius: float) -> tuple[Array, Array, float]:
    """Place on the axis (3,), direction away (3,) and clearance: sampled, then differences."""
    points = axis_points(axis, 801)
    distance = signed_distance(volume, points)
    p, away = points[int(distance.argmin())], np.zeros(3)
    for way in range(3):
        step = np.eye(3)[way] * 1e-5
        one, other = signed_distance(volume, np.array([p - step, p + step]))
        away[way] = other - one
    return p, away / np.linalg.norm(away), float(distance.min()) - radius


def slid(limits: Limits, q: Array, w: Array, k: int) -> Slid:
    packed, after = pack(limits), np.array(w)
    changed = slide(packed, work_for(packed), np.array(q), 0, k, ROOM_S, MARGIN_M, after)
    capsule = limits.capsules[k]
    p, n, clear = nearest(limits.volumes[0], capsule_axes(limits, q)[k], capsule.radius)
    J = jacobian(limits, q, p, capsule.joint)[:3]
    errors = float(np.abs(n @ J) @ column(limits, "position_error"))
    return Slid(bool(changed), w, after, n, J, clear, errors)


def cases(shape: Shape, count: int = 12) -> list[Slid]:
    """The shipped arm near a volume of that shape, in random motion."""
    rng, robot, out = np.random.default_rng(21), panda(), []
    low, high = column(robot, "min_position"), column(robot, "max_position")
    k = len(robot.capsules) - 1
    for _ in range(4 * count):
        q = low + rng.uniform(0.2, 0.8, low.size) * (high - low)
        axis = capsule_axes(robot, q)[k]
        volume = random_volume(rng, shape, "keep_out")
        away = rng.normal(size=3) if volume.normal is None else np.array(volume.normal)
        away /= np.linalg.norm(away)
        volume = moved_by(volume, axis.mean(axis=0) - within(volume) - 5.0 * away)
        for _ in range(8):
            clear = nearest(volume, axis, robot.capsules[k].radius)[2]
            volume = moved_by(volume, (clear - 0.01) * away)
        if nearest(volume, axis, robot.capsules[k].radius)[2] < 0.002:
            continue
        out.append(slid(replace(robot, volumes=(volume,)), q, rng.uniform(-0.5, 0.5, q.size), k))
    return out


@pytest.mark.parametrize("shape", ["half_space", "sphere", "capsule"])
def test_what_is_tangential_stays_and_the_rest_is_what_it_may_be(shape: Shape) -> None:
    changed = 0
    for case in cases(shape):
        before, after = (case.J @ w for w in (case.before, case.after))
        wanted = (MARGIN_M + case.errors - case.clear) / ROOM_S
        if case.n @ before > wanted + 0.02:
            assert not case.changed
        if not case.changed:
            assert np.array_equal(case.before, case.after)
            continue
        changed += 1
        assert case.n @ after == pytest.approx(
            wanted, abs=0.03 + 0.05 * abs(float(case.n @ before))
        )
        along = (after - before) - case.n * (case.n @ (after - before))
        assert float(np.linalg.norm(along)) <= 0.05 + 0.05 * float(np.linalg.norm(before))
    assert changed >= 3


def test_in_front_of_a_floor_the_numbers_are_exact() -> None:
    """The nearest place is an end of the axis: no sampling between the test and the answer."""
    rng, robot, changed = np.random.default_rng(22), panda(), 0
    k = len(robot.capsules) - 1
    for _ in range(40):
        q = np.array(robot.home) + rng.uniform(-0.3, 0.3, 7)
        ends = capsule_axes(robot, q)[k]
        if abs(ends[0, 2] - ends[1, 2]) < 0.01:
            continue
        floor = float(ends[:, 2].min()) - robot.capsules[k].radius - 0.012
        limits = replace(robot, volumes=(half_space("floor", [0, 0, 1.0], floor, "keep_out"),))
        case = slid(limits, q, rng.uniform(-0.5, 0.5, 7), k)
        if not case.changed:
            continue
        changed += 1
        assert case.clear == pytest.approx(0.012, abs=1e-9)
        up, gain = np.array([0.0, 0.0, 1.0]), case.J @ case.J.T
        damped = gain @ np.linalg.solve(gain + 0.02**2 * np.eye(3), up)
        wanted = (MARGIN_M + case.errors - case.clear) / ROOM_S
        lifted = damped * (wanted - up @ case.J @ case.before)
        np.testing.assert_allclose(case.J @ (case.after - case.before), lifted, atol=1e-6)
        assert damped[2] >= 0.9
    assert changed >= 5


def test_joints_that_do_not_move_the_link_are_left_alone() -> None:
    robot, w = panda(), np.full(7, -0.3)
    for k, capsule in enumerate(robot.capsules[:-1]):
        q = np.array(robot.home)
        ends = capsule_axes(robot, q)[k]
        floor = float(ends[:, 2].min()) - capsule.radius - 0.002
        limits = replace(robot, volumes=(half_space("floor", [0, 0, 1.0], floor, "keep_out"),))
        case = slid(limits, q, w, k)
        assert np.array_equal(case.after[capsule.joint + 1 :], w[capsule.joint + 1 :])


def test_what_is_too_near_is_led_away_slowly() -> None:
    robot, q = panda(), np.array(panda().home)
    k = len(robot.capsules) - 1
    ends = capsule_axes(robot, q)[k]
    floor = float(ends[:, 2].min()) - robot.capsules[k].radius + 0.5  # half a metre inside
    limits = replace(robot, volumes=(half_space("floor", [0, 0, 1.0], floor, "keep_out"),))
    packed, w = pack(limits), np.zeros(7)
    assert slide(packed, work_for(packed), q, 0, k, ROOM_S, MARGIN_M, w)
    rise = jacobian(limits, q, ends[int(ends[:, 2].argmin())], 6)[2] @ w
    assert 0.05 <= rise <= 0.11


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_changes_nothing_that_it_should_not(shape: Shape, bad: float) -> None:
    """False, with w as it was; a command that is none itself is judged by who asked."""
    robot = panda()
    volume = random_volume(np.random.default_rng(23), shape, "keep_out")
    packed = pack(replace(robot, volumes=(volume,)))
    for joint in range(7):
        q, w = np.array(robot.home), np.full(7, -0.3)
        q[joint] = bad
        assert not slide(packed, work_for(packed), q, 0, len(robot.capsules) - 1, ROOM_S, 0.0, w)
        assert np.array_equal(w, np.full(7, -0.3))
    for room_s, margin in ((math.nan, 0.0), (ROOM_S, math.nan)):
        w, q = np.full(7, -0.3), np.array(robot.home)
        assert not slide(packed, work_for(packed), q, 0, 3, room_s, margin, w) or (
            np.isfinite(w).all()
        )

"""Sliding: the speed towards a volume becomes what it may be, what is tangential stays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.kernels.test_clear_in_motion import moved_by, within
from tests.limits.kernels.test_clearance import SHAPES, Shape, random_volume
from tests.limits.slow_chain import capsule_axes, jacobian, tcp
from tests.limits.slow_geometry import axis_points, signed_distance
from tests.robots import column, half_space, panda, turntable

from checkrein.limits import Limits, Volume
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.damped import SINGULAR
from checkrein.limits.kernels.packed import (
    ARRIVED,
    TWIST_LENGTH,
    TWIST_SPEED,
    VELOCITY,
    Packed,
    pack,
    work_for,
)
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
    regular: float  # how far from a singularity the tool is: 1 where its way begins to be damped


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


def moved_aside(
    packed: Packed,
    q: Array,
    v: int,
    k: int,
    room_s: float,
    margin: float,
    w: Array,
    at_bound: int | None = None,
    slower: bool = False,
) -> bool:
    work = work_for(packed)
    if at_bound is not None:
        work.vector[ARRIVED, at_bound] = 1.0
    forward(packed, q, work)
    return bool(slide(packed, work, v, k, room_s, margin, slower, w))


def balls(robot: Limits) -> Limits:
    """The robot with a ball in the middle of each capsule: both its ends are the nearest place."""
    middles = [np.add(c.start, c.end) / 2.0 for c in robot.capsules]
    capsules = (replace(c, start=m, end=m) for c, m in zip(robot.capsules, middles, strict=True))
    return replace(robot, capsules=tuple(capsules))


def slid(limits: Limits, q: Array, w: Array, k: int, at_bound: int | None = None) -> Slid:
    packed, after = pack(limits), np.array(w)
    changed = moved_aside(packed, np.array(q), 0, k, ROOM_S, MARGIN_M, after, at_bound)
    capsule = limits.capsules[k]
    p, n, clear = nearest(limits.volumes[0], capsule_axes(limits, q)[k], capsule.radius)
    J = jacobian(limits, q, p, capsule.joint)[:3]
    errors = float(np.abs(n @ J) @ column(limits, "position_error"))
    tool, shares = jacobian(limits, q, tcp(limits, q), 6), packed.joint[:, VELOCITY]
    rows = np.repeat([1.0, packed.scalar[TWIST_LENGTH]], 3)[:, None]
    least = np.trace(np.linalg.inv((rows * tool * shares) @ (rows * tool * shares).T)) ** -0.5
    regular = float(least / (SINGULAR * packed.scalar[TWIST_SPEED]))
    return Slid(bool(changed), w, after, n, J, clear, errors, regular)


def cases(shape: Shape, count: int = 12) -> list[Slid]:
    """The shipped arm near a volume of that shape, in random motion."""
    rng, robot, out = np.random.default_rng(21), balls(panda()), []
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
        if case.regular < 2.0:  # there, what is across n begins to give way as well
            continue
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
        tool = jacobian(limits, q, tcp(limits, q), 6) @ (case.after - case.before)
        wanted = (MARGIN_M + case.errors - case.clear) / ROOM_S
        lift = wanted - case.J[2] @ case.before
        # All of the tool goes up by that, and it turns no more.
        np.testing.assert_allclose(tool, [0.0, 0.0, lift, 0.0, 0.0, 0.0], atol=1e-9)
        assert (np.abs(case.after) <= column(robot, "max_velocity")).all()
    assert changed >= 5


def least_change(limits: Limits, q: Array, pull: Array, faster: float) -> Array:
    """The change d (n,) with pull·d = faster that changes the tool's twist least, by its normal
    equations: kernels.damped says how twists and joints are weighted."""
    packed, speeds = pack(limits), column(limits, "max_velocity")
    length, speed = packed.scalar[TWIST_LENGTH], packed.scalar[TWIST_SPEED]
    A = jacobian(limits, q, tcp(limits, q), len(q) - 1) * speeds
    A[3:] *= length
    c = pull * speeds
    u = np.linalg.solve(A.T @ A + (0.1 * speed) ** 2 * np.eye(len(q)), c)
    return np.asarray(speeds * u * faster / (c @ u))


def beside(k: int, rng: np.random.Generator) -> tuple[Limits, Array, Array, int] | None:
    """The shipped arm whose capsule k is 5 mm from a wall: limits, place and direction away."""
    robot = panda()
    q, away = np.array(robot.home) + rng.uniform(-0.3, 0.3, 7), rng.normal(size=3)
    away /= np.linalg.norm(away)
    ends = capsule_axes(robot, q)[k]
    if abs(float(away @ (ends[1] - ends[0]))) < 0.01:
        return None
    edge = float((ends @ away).min()) - robot.capsules[k].radius - 0.005
    limits = replace(robot, volumes=(half_space("wall", away.tolist(), edge, "keep_out"),))
    return limits, q, away, int((ends @ away).argmin())


def test_another_link_gives_way_and_the_tool_keeps_what_it_can() -> None:
    rng, robot, changed = np.random.default_rng(24), panda(), 0
    speeds = column(robot, "max_velocity")
    for _ in range(150):
        k = int(rng.integers(1, len(robot.capsules)))
        given = beside(k, rng)
        if given is None or robot.capsules[k].joint == 6:
            continue
        limits, q, _, _ = given
        case = slid(limits, q, rng.uniform(-0.2, 0.2, 7), k)
        if not case.changed:
            continue
        pull = np.asarray(case.n @ case.J)
        faster = (MARGIN_M + case.errors - case.clear) / ROOM_S - float(pull @ case.before)
        expected = np.add(case.before, least_change(limits, q, pull, faster))
        if (np.abs(expected) > 0.99 * speeds).any():
            continue
        changed += 1
        np.testing.assert_allclose(case.after, expected, atol=1e-6)
    assert changed >= 20


@pytest.mark.slow
def test_where_joints_would_be_too_fast_the_nearest_way_will_do() -> None:
    """By damped least squares at that place, the more of it the faster they would have to be; where
    those need them far too fast as well, there is less of them, and all slow down."""
    rng, robot, kinds = np.random.default_rng(25), balls(panda()), [0, 0, 0]
    for _ in range(1200):
        k = int(rng.integers(3, 6))
        given = beside(k, rng)
        if given is None:
            continue
        top = float(rng.choice([0.05, 0.3, 1.0]))
        slow = tuple(replace(j, max_velocity=top) for j in robot.joints)
        limits, q = replace(balls(given[0]), joints=slow), given[1]
        w = rng.uniform(-1.0, 1.0, 7) * rng.choice([0.1, 1.0])
        case = slid(limits, q, w, k)
        if not case.changed:
            continue
        pull, wanted = case.n @ case.J, (MARGIN_M + case.errors - case.clear) / ROOM_S
        wanted = min(0.1, wanted)
        change = least_change(limits, q, pull, wanted - float(pull @ w))
        over = np.abs(w + change) - np.maximum(np.abs(w), 0.5 * top)
        share = float(np.clip(1.0 - over / (0.5 * top), 0.0, 1.0).min())
        expected = w + share * change
        force = np.linalg.solve(case.J @ case.J.T + 0.02**2 * np.eye(3), case.n)
        made = float(case.n @ case.J @ case.J.T @ force)
        if made < 0.8:  # what damping leaves undone is not all made up for
            continue
        change = case.J.T @ force * (wanted - float(pull @ expected)) / made
        too_fast = np.abs(expected + change) > np.maximum(np.abs(expected), top) + 0.5 * top
        room = np.maximum(np.abs(expected), top) + 0.5 * top - np.sign(change) * expected
        less = float(np.where(too_fast, room / np.maximum(np.abs(change), 1e-12), 1.0).min())
        expected = expected + less * change
        most, along = min(0.0, wanted) - 1e-4, float(pull @ expected)
        if less < 1.0 and along < most:
            expected *= most / along
        np.testing.assert_allclose(case.after, expected, atol=2e-3 if less < 1.0 else 1e-6)
        kinds[0 if less < 1.0 else 1 if share == 0.0 else 2] += share < 1.0
    assert min(kinds) >= 10, kinds


@pytest.mark.parametrize("k", [3, 9])
def test_a_joint_that_rests_at_its_bound_takes_no_part(k: int) -> None:
    """Neither is it asked for more, nor does what it was asked for count; the others make it up."""
    rng, robot, found = np.random.default_rng(27), panda(), 0
    for _ in range(60):
        given = beside(k, rng)
        if given is None:
            continue
        limits, q, _, _ = given
        joint = robot.capsules[k].joint
        at_bound = int(rng.integers(0, joint + 1))
        case = slid(limits, q, rng.uniform(-0.4, 0.4, 7), k, at_bound)
        if not case.changed:
            continue
        found += 1
        assert case.after[at_bound] == case.before[at_bound]
        resting = np.where(np.arange(7) == at_bound, 0.0, case.after)
        wanted = (MARGIN_M + case.errors - case.clear) / ROOM_S
        assert float(case.n @ case.J @ resting) <= min(0.1, wanted) + 0.03
        assert float(case.n @ case.J @ resting) >= min(0.1, wanted) - 0.03
    assert found >= 5


def alone(speed: float, clear: float, distance: float = 0.1) -> tuple[bool, float]:
    """A turntable's speed (and whether it was changed) with its link so far [m] from a wall."""
    wall = half_space("wall", [0.0, -1.0, 0.0], -distance, "keep_out")
    limits = replace(turntable(tracking_error=0.0), volumes=(wall,))
    q, w = np.arcsin((distance - 0.04 - clear) / 0.1), np.array([speed])
    changed = moved_aside(
        pack(limits), np.array([q]), 0, len(limits.capsules) - 1, ROOM_S, MARGIN_M, w
    )
    return changed, float(w[0])


def test_the_only_joint_that_moves_a_link_goes_just_as_fast_as_it_may() -> None:
    changed, speed = alone(2.0, MARGIN_M + 0.01)
    lever = math.sqrt(0.1**2 - (0.06 - MARGIN_M - 0.01) ** 2)
    assert changed
    assert speed == pytest.approx(0.01 / ROOM_S / lever, rel=1e-9)


def test_the_only_joint_that_moves_a_link_is_not_held_on_its_way_out() -> None:
    """Too near, it leaves as fast as it has to, and as fast as it is asked to if that is more."""
    away = 0.002 / ROOM_S / math.sqrt(0.1**2 - (0.06 - MARGIN_M + 0.002) ** 2)
    speeds = [alone(-share * away, MARGIN_M - 0.002)[1] for share in (0.0, 0.5, 0.9, 1.0, 1.5)]
    assert speeds[4] == pytest.approx(-1.5 * away)
    for speed in speeds[:4]:
        assert speed == pytest.approx(-away, rel=1e-6)


def test_a_joint_that_cannot_move_a_link_towards_a_volume_is_left_alone() -> None:
    """However near that is: turning about the normal of a table takes nothing of the clearance."""
    robot = panda()
    k = next(i for i, capsule in enumerate(robot.capsules) if capsule.joint == 0)
    axes = capsule_axes(robot, np.array(robot.home))[k]
    edge = float(axes[:, 2].min()) - robot.capsules[k].radius - 0.5 * MARGIN_M
    table = half_space("table", [0.0, 0.0, 1.0], edge, "keep_out")
    for resting in (None, 0):
        case = slid(replace(robot, volumes=(table,)), robot.home, np.full(7, 0.3), k, resting)
        assert not case.changed
        assert np.array_equal(case.after, case.before)


def test_what_is_too_near_is_led_away_slowly() -> None:
    robot, q = panda(), np.array(panda().home)
    k = len(robot.capsules) - 1
    ends = capsule_axes(robot, q)[k]
    floor = float(ends[:, 2].min()) - robot.capsules[k].radius + 0.5  # half a metre inside
    limits = replace(robot, volumes=(half_space("floor", [0, 0, 1.0], floor, "keep_out"),))
    packed, w = pack(limits), np.zeros(7)
    assert moved_aside(packed, q, 0, k, ROOM_S, MARGIN_M, w)
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
        assert not moved_aside(packed, q, 0, len(robot.capsules) - 1, ROOM_S, 0.0, w)
        assert np.array_equal(w, np.full(7, -0.3))
    for room_s, margin in ((math.nan, 0.0), (ROOM_S, math.nan)):
        w, q = np.full(7, -0.3), np.array(robot.home)
        assert not moved_aside(packed, q, 0, 3, room_s, margin, w) or (np.isfinite(w).all())

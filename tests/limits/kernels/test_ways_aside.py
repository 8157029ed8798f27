"""Ways aside: both ends of a capsule are looked at, and no way switches to another one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kernels.test_sliding import MARGIN_M, ROOM_S, balls, moved_aside, slid
from tests.limits.slow_chain import capsule_axes, jacobian
from tests.robots import column, half_space, panda

from checkrein.limits.kernels.packed import DATA, pack

JUMP = 0.03  # [rad/s] that a thousandth of the way may change what a joint is asked for


def test_both_ends_of_a_capsule_come_no_nearer_than_they_may() -> None:
    """Where the nearest one leaves, or keeps its distance, the other one may be coming down."""
    rng, robot, found = np.random.default_rng(31), panda(), 0
    k = next(i for i, capsule in enumerate(robot.capsules) if capsule.name == "tray")
    joint, radius = robot.capsules[k].joint, robot.capsules[k].radius
    for _ in range(600):
        q = np.array(robot.home) + rng.uniform(-0.3, 0.3, 7)
        ends, side = capsule_axes(robot, q)[k], rng.normal(size=3)
        axis, lead = ends[1] - ends[0], rng.uniform(0.004, 0.012)
        side -= axis * (side @ axis) / (axis @ axis)
        n = side / np.linalg.norm(side) + lead * axis / (axis @ axis)  # the first end is nearest
        n /= np.linalg.norm(n)
        floor = float(n @ ends[0]) - radius - 0.006
        wall = half_space("wall", n.tolist(), floor, "keep_out")
        limits = replace(robot, volumes=(wall,))
        case = slid(limits, q, rng.uniform(-1.0, 1.0, 7), k)
        pull = n @ jacobian(limits, q, ends[1], joint)[:3]
        errors = float(np.abs(pull) @ column(limits, "position_error"))
        wanted = (MARGIN_M + errors - (float(n @ ends[1]) - radius - floor)) / ROOM_S
        assert float(pull @ case.after) >= min(wanted, float(pull @ case.before)) - 0.01
        if float(case.n @ case.J @ case.before) > (MARGIN_M + case.errors - case.clear) / ROOM_S:
            assert float(pull @ case.after) >= wanted - 0.01
            found += float(pull @ case.before) < wanted
    assert found >= 20


@pytest.mark.slow
def test_with_the_configuration_the_way_aside_changes_little_by_little() -> None:
    """Also where the tool cannot be led as a whole, or joints would be too fast: two ways that take
    turns chatter. From anywhere to anywhere, some of it past a joint that rests."""
    rng, robot, found = np.random.default_rng(33), panda(), 0
    packed = pack(replace(robot, volumes=(half_space("floor", [0, 0, 1.0], 0.0, "keep_out"),)))
    low, high = column(robot, "min_position"), column(robot, "max_position")
    k = len(robot.capsules) - 1
    for _ in range(15):
        one, two = (low + rng.uniform(0.1, 0.9, 7) * (high - low) for _ in range(2))
        w, last = rng.uniform(-0.5, 0.5, 7), None
        at_bound = int(rng.integers(0, 14))
        for q in np.linspace(one, two, 1001):
            lowest = float(capsule_axes(robot, q)[k][:, 2].min()) - robot.capsules[k].radius
            packed.volume[0, DATA + 3] = lowest - 0.008
            after = np.array(w)
            resting = at_bound if at_bound < 7 else None
            if not moved_aside(packed, q, 0, k, ROOM_S, MARGIN_M, after, resting):
                after = np.full(7, math.nan)
            elif last is not None and np.isfinite(last).all():
                found += 1
                assert float(np.abs(after - last).max()) <= JUMP
            last = after
    assert found >= 5000


def test_the_last_time_all_only_slow_down() -> None:
    """Just so much that it comes no nearer than it may, if it does; what leaves is left alone."""
    rng, robot, found = np.random.default_rng(35), balls(panda()), 0
    k = len(robot.capsules) - 1
    for _ in range(40):
        q, w = np.array(robot.home) + rng.uniform(-0.3, 0.3, 7), rng.uniform(-0.4, 0.4, 7)
        at = capsule_axes(robot, q)[k][0]
        for clear in (MARGIN_M + 0.004, 0.5 * MARGIN_M):
            floor = float(at[2]) - robot.capsules[k].radius - clear
            low = half_space("floor", [0, 0, 1.0], floor, "keep_out")
            limits, after = replace(robot, volumes=(low,)), np.array(w)
            pull = jacobian(limits, q, at, robot.capsules[k].joint)[2]
            errors = float(np.abs(pull) @ column(limits, "position_error"))
            most = min(0.0, (MARGIN_M + errors - clear) / ROOM_S)
            changed = moved_aside(pack(limits), q, 0, k, ROOM_S, MARGIN_M, after, slower=True)
            assert changed == bool(pull @ w < most - 1e-4)
            share = (most - 1e-4) / float(pull @ w) if changed else 1.0
            np.testing.assert_allclose(after, share * w, rtol=1e-9, atol=1e-12)
            found += changed
    assert found >= 20


def test_in_a_box_each_end_of_a_capsule_keeps_to_the_face_that_is_next_to_it() -> None:
    """What the nearest face asks of its end is nothing to an end that another face is near."""
    rng, robot, found = np.random.default_rng(37), panda(), 0
    k = next(i for i, capsule in enumerate(robot.capsules) if capsule.name == "tray")
    joint, radius = robot.capsules[k].joint, robot.capsules[k].radius
    for _ in range(300):
        q, w = np.array(robot.home) + rng.uniform(-0.5, 0.5, 7), rng.uniform(-1.0, 1.0, 7)
        ends = capsule_axes(robot, q)[k]
        low = ends.min(axis=0) - radius - 1.0
        high = ends.max(axis=0) + radius + 1.0
        low[2] = ends[0, 2] - radius - 0.007  # the first end is over the floor
        way = int(np.argmax(np.abs(ends[1, :2] - ends[0, :2])))
        out = 1.0 if ends[1, way] > ends[0, way] else -1.0
        wall = ends[1, way] + out * (radius + 0.012)  # the other one before a wall
        (high if out > 0.0 else low)[way] = wall
        if not ends[1, 2] - radius - low[2] > 0.05 or abs(ends[1, way] - ends[0, way]) < 0.05:
            continue
        cell = replace(
            half_space("cell", [0, 0, 1.0], 0.0, "keep_in"),
            shape="box",
            normal=None,
            offset=None,
            center=(low + high) / 2.0,
            rotation=np.eye(3),
            half_extents=(high - low) / 2.0,
        )
        case = slid(replace(robot, volumes=(cell,)), q, w, k)
        pull = -out * jacobian(robot, q, ends[1], joint)[way]
        errors = float(np.abs(pull) @ column(robot, "position_error"))
        wanted = (MARGIN_M + errors - 0.012) / ROOM_S
        assert float(pull @ case.after) >= min(wanted, float(pull @ case.before)) - 0.01
        found += float(pull @ case.before) < wanted
    assert found >= 20

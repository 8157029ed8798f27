"""The record of what perception sees, and its tree: a ball is in one leaf, a box around all."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from checkrein.limits import Obstacles
from checkrein.limits.kernels.cloud_layout import (
    BALL_COLUMNS,
    CLOUD_STANDOFF,
    COUNT,
    HEAD,
    LEAVES,
    NODE_COLUMNS,
    STRETCH,
)
from checkrein.limits.obstacles import POINTS_MAX, flat_cloud
from checkrein.limits.records import Array

CAPSULES = 3
coordinates = st.floats(-1e6, 1e6, allow_subnormal=False)


def cloud_of(count: int, seed: int = 0, **changes: Any) -> Obstacles:
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = {
        "points": rng.normal(size=(count, 3)),
        "radius_m": rng.uniform(0.0, 0.1, count),
        "stamp_ns": 7,
        "speed_m_s": rng.uniform(0.0, 2.0, count),
    }
    return Obstacles(**{**values, **changes})


def parts(obstacles: Obstacles) -> tuple[Array, Array, Array]:
    """Head, nodes and balls of the flat cloud."""
    flat = flat_cloud(obstacles, 3.0, np.ones(CAPSULES), 1.5, 0.02)
    nodes_at = HEAD + CAPSULES
    nodes = max(0, 2 * int(flat[LEAVES]) - 1)
    balls_at = nodes_at + nodes * NODE_COLUMNS
    return (
        flat[:nodes_at],
        flat[nodes_at:balls_at].reshape(nodes, NODE_COLUMNS),
        flat[balls_at:].reshape(int(flat[COUNT]), BALL_COLUMNS),
    )


def check_tree(obstacles: Obstacles) -> None:
    head, nodes, balls = parts(obstacles)
    count, leaves = len(balls), int(head[LEAVES])
    assert sorted(balls[:, 5].astype(int).tolist()) == list(range(len(obstacles.points)))
    number = balls[:, 5].astype(int)
    np.testing.assert_array_equal(balls[:, :3], obstacles.points[number])
    np.testing.assert_array_equal(balls[:, 3], obstacles.radius_m[number])
    below: dict[int, list[int]] = {}
    for leaf in range(leaves):
        first, last = leaf * count // leaves, (leaf + 1) * count // leaves
        assert first < last
        below[leaves - 1 + leaf] = list(range(first, last))
    assert sum(map(len, below.values())) == count
    for node in range(leaves - 2, -1, -1):
        below[node] = below[2 * node + 1] + below[2 * node + 2]
    for node, held in below.items():
        radius = balls[held, 3:4]
        assert (nodes[node, :3] <= balls[held, :3] - radius).all()
        assert (nodes[node, 3:6] >= balls[held, :3] + radius).all()
        assert nodes[node, 6] >= balls[held, 4].max()


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 17, 100, 1000])
def test_every_ball_is_in_one_leaf_and_in_every_box_above_it(count: int) -> None:
    check_tree(cloud_of(count))


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=coordinates))
def test_also_for_any_points_at_all(points: Array) -> None:
    check_tree(Obstacles(points, 0.05, 0, 0.5))


def test_the_head_says_what_was_declared() -> None:
    head, _, _ = parts(cloud_of(20))
    assert (head[COUNT], head[LEAVES]) == (20.0, 4.0)
    assert (head[STRETCH], head[CLOUD_STANDOFF]) == (1.5, 0.02)
    assert (head[HEAD:] == 1.0).all()


def test_without_speeds_of_their_own_all_are_as_fast_as_declared() -> None:
    _, nodes, balls = parts(cloud_of(50, speed_m_s=None))
    assert (nodes[:, 6] == 3.0).all()
    assert (balls[:, 4] == 3.0).all()


def test_an_empty_cloud_is_one() -> None:
    head, nodes, balls = parts(Obstacles(np.zeros((0, 3)), 0.1, 0, 1.0))
    assert (head[COUNT], head[LEAVES], len(nodes), len(balls)) == (0.0, 0.0, 0, 0)


def test_the_same_points_give_the_same_tree() -> None:
    one, other = (flat_cloud(cloud_of(300), 1.0, np.ones(2), 1.0, 0.0) for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_ten_thousand_points_are_indexed_in_a_few_milliseconds() -> None:
    points = np.random.default_rng(1).normal(size=(10_000, 3))
    times = []
    for _ in range(5):
        before = time.process_time()
        Obstacles(points, 0.02, 0, 0.0)
        times.append(time.process_time() - before)
    assert min(times) < 0.025  # 5 ms on an idle machine


def test_it_is_a_copy_and_cannot_be_written_to() -> None:
    points = np.zeros((2, 3))
    obstacles = Obstacles(points, 0.1, 0)
    points[:] = 9.0
    assert (obstacles.points == 0.0).all()
    for array in (obstacles.points, obstacles.radius_m, obstacles._nodes, obstacles._balls):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e7])
def test_what_is_no_measurement_is_a_fault_and_not_an_error(bad: float) -> None:
    points = np.zeros((4, 3))
    points[2, 1] = bad
    wrong = Obstacles(points, 0.1, 0)
    assert wrong.fault == "points"
    assert np.array_equal(wrong.points, points, equal_nan=True)
    assert Obstacles(np.zeros((1, 3)), bad, 0).fault == "radius_m"
    assert Obstacles(np.zeros((1, 3)), 0.1, 0, bad).fault == "speed_m_s"


def test_so_is_what_has_the_wrong_form() -> None:
    assert Obstacles(np.zeros(3), 0.1, 0).fault == "points: their shape"
    assert Obstacles(np.zeros((2, 2)), 0.1, 0).fault == "points: their shape"
    assert Obstacles(np.zeros((2, 3)), [0.1], 0).fault == "radius_m: its shape"
    assert Obstacles(np.zeros((2, 3)), 0.1, 0, [1.0]).fault == "speed_m_s: its shape"
    assert Obstacles(np.zeros((2, 3)), -0.1, 0).fault == "radius_m"
    assert Obstacles(np.zeros((2, 3)), 0.1, 0, -1.0).fault == "speed_m_s"
    assert Obstacles(np.zeros((POINTS_MAX + 1, 3)), 0.1, 0).fault == "points: their number"
    with pytest.raises(ValueError, match=r"obstacles\.points: expected numbers"):
        Obstacles("here", 0.1, 0)

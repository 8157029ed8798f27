"""The way home: the way that the robot came, gentle, gentler when it is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.sim.recovery import WayBack

T = 0.004
SETTLING = 50  # ticks


def came_along(panda: dict[str, Any]) -> tuple[WayBack, np.ndarray, list[np.ndarray]]:
    """A way with a corner: out along joint 1, then along joint 4."""
    home = np.array(panda["home"], dtype=float)
    way = WayBack(panda)
    trail: list[np.ndarray] = []
    way.begin(home)
    for i, reach in ((0, 0.8), (3, 0.5)):
        start = trail[-1] if trail else home
        for share in np.linspace(0.0, 1.0, 60):
            q = start.copy()
            q[i] += share * reach
            way.note(q)
            trail.append(q)
    way.turn_back()
    return way, trail[-1], trail


@pytest.mark.parametrize("carrying", [True, False])
def test_home_is_reached_gently_along_the_way(panda: dict[str, Any], carrying: bool) -> None:
    way, q, trail = came_along(panda)
    home = np.array(panda["home"], dtype=float)
    path, rows, at = [q], np.tile(q, (60, 1)), 0
    for tick in range(SETTLING, 3000):
        shot = way.step(q, tick, carrying)
        if shot is not None:
            assert shot.period_ms == pytest.approx(1000.0 * T)
            rows, at = shot.values, 0
        q = rows[min(at, len(rows) - 1)]
        at += 1
        path.append(q)
        if way.is_home(q):
            break
    assert np.abs(q - home).max() <= 0.08
    speed = np.abs(np.diff(path, axis=0)).max() / T
    slowest = min(joint["max_velocity"] for joint in panda["joints"])
    assert speed <= (0.5 if carrying else 0.9) * slowest * 1.1
    for point in path[::20]:  # never far from where it came
        assert min(np.abs(point - seen).max() for seen in trail) < 0.12


def test_nothing_is_said_while_the_robot_settles(panda: dict[str, Any]) -> None:
    way, q, _ = came_along(panda)
    assert all(way.step(q, tick, True) is None for tick in range(SETTLING))
    assert way.step(np.full(7, np.nan), SETTLING, True) is None


def test_a_robot_that_is_held_is_asked_for_less(panda: dict[str, Any]) -> None:
    way, q, _ = came_along(panda)
    reach = []
    for tick in range(SETTLING, SETTLING + 500, 25):  # it never moves
        shot = way.step(q, tick, True)
        assert shot is not None
        reach.append(np.abs(shot.values[-1] - q).max())
    assert reach[-1] < 0.35 * reach[0]  # what is left leads back onto the way
    assert reach[-1] > 0.0

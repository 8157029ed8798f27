"""Poses that the attacks start from and aim at, found with the oracle's own geometry.

Guarantees:
- A function of the frozen limits alone: every process and every seed has the same poses.
- Each zone has poses in it, on the right side of every volume, if the arm can reach it at all.
- Each declared volume has poses inside its forbidden side, if the arm can reach it at all; where
  links must not touch each other, there are poses in which they do, under the name TOUCHING.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...sim.oracle import Robot, clearances, link_clearances
from ...sim.oracle_dynamics import joint_effort
from ...sim.oracle_geometry import forward
from ...sim.oracle_speeds import zone_clearances

__all__ = ["TOUCHING", "Poses", "find_poses"]

Array = npt.NDArray[np.float64]

# Stands for a volume's name among the poses: what links that touch each other violate.
TOUCHING = "self_collision"
SAMPLES = 20_000
POOL_MAX = 300
BESIDE_MAX = 40
FREE_CLEARANCE_M = 0.05
LINKS_APART_M = 0.015  # neighbours but one are never far from each other
PRESSED_DEPTH_M = 0.03
REACHED_DEPTH_M = 0.005
REFINEMENTS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """Pools of configurations, each (count, n)."""

    free: Array  # inside everything, with room around
    edge: Array  # as free, but some joint is near its end
    heavy: Array  # of the free ones, those that gravity loads most
    pressed: dict[str, Array]  # volume name: configurations that violate it; zone name: inside it
    beside: dict[str, Array]  # volume or zone name: free configurations that are near it


def _sample(robot: Robot, rng: np.random.Generator, count: int) -> Array:
    low, high = robot.span
    return rng.uniform(low, high, (count, robot.n))


def _distances(robot: Robot, q: Array) -> tuple[Array, tuple[str, ...]]:
    """Clearances (B, pairs) of links to volumes, then to each other; names `who/volume`."""
    values, names = clearances(robot, q)
    between, pairs = link_clearances(robot, q)
    touching = tuple(f"{pair.replace('/', '+')}/{TOUCHING}" for pair in pairs)
    return np.hstack([values, between]), names + touching


def _volume_columns(names: tuple[str, ...], volume: str) -> list[int]:
    return [i for i, name in enumerate(names) if name.split("/", 1)[1] == volume]


def _descend(
    robot: Robot, rng: np.random.Generator, start: Array, columns: list[int], stride: float
) -> Array:
    """Random descent of configurations (count, n) into one volume and into no other.

    Those that arrive. `stride` is the first step, as a share of the joints' ranges.
    """
    low, high = robot.span
    at, best = start.copy(), np.full(start.shape[0], np.inf)
    for step in range(REFINEMENTS):
        size = stride * (high - low) * (1.0 - step / REFINEMENTS)
        tried = np.clip(at + size * rng.normal(size=at.shape), low, high) if step else at
        values = _distances(robot, tried)[0]
        depth = values[:, columns].min(axis=1)
        others = np.delete(values, columns, axis=1).min(axis=1, initial=np.inf)
        better = (depth < best) & ((others > 0.0) | (step == 0))
        best[better], at[better] = depth[better], tried[better]
    return at[best < -REACHED_DEPTH_M]


def _columns(robot: Robot, names: tuple[str, ...]) -> dict[str, list[int]]:
    """Columns of the clearances that belong to each volume."""
    every = (*(volume.name for volume in robot.volumes), TOUCHING)
    columns = {name: _volume_columns(names, name) for name in every}
    return {name: chosen for name, chosen in columns.items() if chosen}


def _pressed(
    robot: Robot,
    rng: np.random.Generator,
    q: Array,
    values: Array,
    columns: list[int],
    beside: Array,
) -> Array:
    """Configurations inside one volume's forbidden side; q (B, n) has the clearances `values`."""
    depth = values[:, columns].min(axis=1)
    others = np.delete(values, columns, axis=1).min(axis=1, initial=np.inf)
    # Those that violate this volume alone are reached without being held by another one.
    inside = np.flatnonzero(depth < -PRESSED_DEPTH_M)
    found = q[inside[np.argsort(-others[inside], kind="stable")[:POOL_MAX]]]
    near = q[np.argsort(depth, kind="stable")[:100]]
    ways = [_descend(robot, rng, beside, columns, 0.05), found]
    if found.shape[0] < 20:
        ways.append(_descend(robot, rng, near, columns, 0.2))
    return np.vstack(ways)


def find_poses(robot: Robot) -> Poses:
    """Search the configuration space at random, from a fixed seed."""
    rng = np.random.default_rng(0)
    q = np.vstack([robot.home[None], _sample(robot, rng, SAMPLES)])
    values, names = _distances(robot, q)
    low, high = robot.span
    inside = np.minimum(q - low, high - q) / (high - low)
    from_end = np.where(robot.continuous, 0.5, inside).min(axis=1)
    zero = np.zeros_like(q)
    load = np.abs(joint_effort(robot, forward(robot, q), zero, zero)) / robot.bounds["max_effort"]
    links = _volume_columns(names, TOUCHING)
    room = np.delete(values, links, axis=1).min(axis=1, initial=np.inf)
    apart = values[:, links].min(axis=1, initial=np.inf) > LINKS_APART_M
    clear = apart & (room > FREE_CLEARANCE_M) & (load.max(axis=1) < 0.85)
    free = np.flatnonzero(clear & (from_end > 0.08))
    free = free if free.size else np.array([0])
    edge = np.flatnonzero(clear & (from_end > 0.005))
    edge = edge[np.argsort(from_end[edge], kind="stable")[:POOL_MAX]] if edge.size else free
    heavy = free[np.argsort(-load[free].max(axis=1), kind="stable")[:POOL_MAX]]
    beside, pressed = {}, {}
    for volume, columns in _columns(robot, names).items():
        near = np.argsort(values[free][:, columns].min(axis=1), kind="stable")[:BESIDE_MAX]
        beside[volume] = q[free[near]]
        inside = _pressed(robot, rng, q, values, columns, beside[volume])
        if inside.shape[0]:
            pressed[volume] = inside
    allowed = values.min(axis=1, initial=np.inf) > 0.0
    for zone, away in zip(robot.zones, zone_clearances(robot, q), strict=True):
        depth = away.min(axis=1)
        within = np.flatnonzero(allowed & (depth < -REACHED_DEPTH_M))
        outside = free[depth[free] > 0.0] if (depth[free] > 0.0).any() else free
        near = np.argsort(depth[outside], kind="stable")[:BESIDE_MAX]
        beside[zone.place.name] = q[outside[near]]
        if within.size:
            chosen = within[np.argsort(depth[within], kind="stable")[:POOL_MAX]]
            pressed[zone.place.name] = q[chosen]
    return Poses(q[free[:POOL_MAX]], q[edge], q[heavy], pressed, beside)

"""The oracle's opinion on obstacles: where they really were, and whether a moving link touched one.

Guarantees:
- Judged against the truth, not against what perception said of it: latency, age and noise are the
  filter's to allow for.
- Distances are exact, from every point of the capsule's axis, at samples within each tick.
- A robot that rests, up to rounding, is not judged: what walks into it was not touched by it.
- A stop is judged against all that obstacles could do while it runs, at the speed they claim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .oracle_file import Array, Robot
from .oracle_geometry import capsule_ends, forward
from .oracle_joints import EPSILON, Excess, Motion, within_tick

__all__ = ["PARTS", "Crowd", "obstacle_excesses"]

PARTS = (0.25, 0.5, 0.75, 1.0)
SLACK_M = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """m balls during K ticks: where they are when each begins and ends, in between straight on."""

    start: Array  # (K, m, 3) [m]
    end: Array  # (K, m, 3) [m]
    radius_m: Array  # (m,)
    grown_m: Array  # (K, m) by how much each may be larger; 0 where it is known


def _clear(robot: Robot, q: Array, middle: Array, exempt: frozenset[str]) -> Array:
    """Distance (K, m) [m] of points (K, m, 3) from the nearest capsule."""
    frames, least = forward(robot, q), np.full(middle.shape[:2], np.inf)
    for capsule in robot.capsules:
        if capsule.name in exempt:
            continue
        one, two = (end.T[:, None, :] for end in capsule_ends(frames, capsule))
        way = two - one
        length2 = np.sum(way * way, axis=2)
        along = np.sum((middle - one) * way, axis=2) / np.where(length2 > 0.0, length2, 1.0)
        gap = middle - one - np.clip(along, 0.0, 1.0)[:, :, None] * way
        least = np.minimum(least, np.sqrt(np.sum(gap * gap, axis=2)) - capsule.radius_m)
    least[~np.isfinite(q.sum(axis=1))] = np.nan
    return least


def obstacle_excesses(
    robot: Robot,
    motion: Motion,
    crowd: Crowd,
    deviation: Array | None = None,
    parts: tuple[float, ...] = PARTS,
) -> list[tuple[float, Excess]]:
    """(part of the tick, depth of each ball in the nearest link) of ticks in which it moves.

    deviation (K, n): where the robot may be, relative to the stream.
    """
    count = crowd.radius_m.size
    names, zero = tuple(f"obstacle {i}" for i in range(count)), np.zeros(count)
    exempt = frozenset[str]() if robot.perception is None else robot.perception.exempt
    # The last bit of a setpoint that follows a robot's own stop is no motion; NaN is.
    size = np.maximum(np.abs(motion.q0), np.abs(motion.q1))
    stays = np.abs(motion.q1 - motion.q0) <= 8.0 * EPSILON * size
    moves = (motion.dq0 != 0.0) | (motion.dq1 != 0.0) | ~stays
    rests = ~moves.any(axis=1)
    out = []
    for part in parts:
        q, _, _ = within_tick(motion, robot.period_s, part * robot.period_s)
        q = q if deviation is None else q + deviation
        middle = crowd.start + part * (crowd.end - crowd.start)
        clear = _clear(robot, q, middle, exempt) - crowd.radius_m - crowd.grown_m
        clear[rests] = np.inf
        excess = Excess("obstacles", -clear, zero, zero + SLACK_M, names, "m inside")
        out.append((part, excess))
    return out

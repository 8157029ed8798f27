"""The oracle's opinion on links that must not touch each other.

Guarantees: the distance of a pair is exact up to rounding where it is small; only where bounding
spheres prove a pair to be more than EXACT_WITHIN_M apart is it a lower bound, itself above that.
NaN in, NaN out. Standoff and tracking errors are the filter's margins: here links touch, or not.
"""

from __future__ import annotations

import numpy as np

from .oracle_file import Array, Robot
from .oracle_geometry import EXACT_WITHIN_M, segment_segment

__all__ = ["pair_clearances", "pair_names"]


def pair_names(robot: Robot) -> tuple[str, ...]:
    """Both links of each pair."""
    return tuple(f"{robot.capsules[i].name}/{robot.capsules[k].name}" for i, k in robot.pairs)


def pair_clearances(robot: Robot, ends: list[tuple[Array, Array]]) -> Array:
    """Distance (B, pairs) [m] between the surfaces of each pair; negative: they overlap.

    ends: of every capsule's axis, each (3, B), in the base frame.
    """
    count = ends[0][0].shape[1]
    if not robot.pairs:
        return np.empty((count, 0))
    first, second = np.array(robot.pairs).T
    starts, stops = np.array([start for start, _ in ends]), np.array([end for _, end in ends])
    radius = np.array([capsule.radius_m for capsule in robot.capsules])
    radii = (radius[first] + radius[second])[:, None]
    middles = 0.5 * (starts + stops)  # (capsules, 3, B)
    half = 0.5 * np.sqrt(np.sum((stops - starts) ** 2, axis=1))
    apart = np.sqrt(np.sum((middles[first] - middles[second]) ** 2, axis=1))
    bound = apart - half[first] - half[second] - radii  # (pairs, B)
    pair, row = np.nonzero(~(bound > EXACT_WITHIN_M))
    if pair.size:
        a, b = first[pair], second[pair]
        axes = (starts[a, :, row].T, stops[a, :, row].T, starts[b, :, row].T, stops[b, :, row].T)
        bound[pair, row] = segment_segment(*axes) - radii[pair, 0]
    return np.asarray(bound.T)

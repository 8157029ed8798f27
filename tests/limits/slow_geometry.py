"""Clearance the slow way: signed distance functions of the solids, minimised over sampled axes.

A volume is its signed distance function: negative inside. Sampling an axis can only overestimate
the least distance, by at most half the spacing; that is what `sampled_clearance` takes off.
"""

from __future__ import annotations

import numpy as np
from tests.limits.slow_chain import capsule_axes

from checkrein.limits import Capsule, Limits, Volume
from checkrein.limits.records import Array


def _given(value: Array | None) -> Array:
    assert value is not None
    return value


def signed_distance(volume: Volume, points: Array) -> Array:
    """Signed distance (m,) of points (m, 3) to the solid; negative inside of it."""
    if volume.shape == "half_space":
        assert volume.offset is not None
        return np.asarray(points @ _given(volume.normal) - volume.offset)
    if volume.shape == "sphere":
        assert volume.radius is not None
        return np.asarray(np.linalg.norm(points - _given(volume.center), axis=1) - volume.radius)
    if volume.shape == "capsule":
        assert volume.radius is not None
        start, end = _given(volume.start), _given(volume.end)
        along = np.clip((points - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
        nearest = start + along[:, None] * (end - start)
        return np.asarray(np.linalg.norm(points - nearest, axis=1) - volume.radius)
    local = (points - _given(volume.center)) @ _given(volume.rotation)
    beyond = np.abs(local) - _given(volume.half_extents)
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    return np.asarray(outside + np.minimum(beyond.max(axis=1), 0.0))


def axis_points(axis: Array, count: int) -> Array:
    """(count, 3) points along an axis (2, 3), ends included."""
    share = np.linspace(0.0, 1.0, count)[:, None]
    return np.asarray((1.0 - share) * axis[0] + share * axis[1])


def upper_clearance(volume: Volume, axis: Array, radius: float, count: int = 101) -> float:
    """No smaller than the true clearance of a capsule (keep_out: distance; keep_in: depth)."""
    distance = signed_distance(volume, axis_points(axis, count))
    inside_is_good = volume.kind == "keep_in"
    return float((-distance if inside_is_good else distance).min()) - radius


def spacing(axis: Array, count: int = 101) -> float:
    """How much too large `upper_clearance` can be."""
    return float(np.linalg.norm(axis[1] - axis[0])) / (count - 1) / 2.0


def checked(volume: Volume, capsule: Capsule) -> bool:
    return capsule.name not in volume.exempt


def least_clearance(limits: Limits, q: Array, count: int = 21) -> float:
    """Least clearance of all checked pairs at q, over the true value by at most half a spacing."""
    axes, least = capsule_axes(limits, q), np.inf
    for volume in limits.volumes:
        for axis, capsule in zip(axes, limits.capsules, strict=True):
            if checked(volume, capsule):
                least = min(least, upper_clearance(volume, axis, capsule.radius, count))
    return float(least)

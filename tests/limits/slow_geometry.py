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
    if volume.shape == "cylinder":
        return _cylinder(volume, points)
    if volume.shape == "mesh":
        return _mesh(volume, points)
    local = (points - _given(volume.center)) @ _given(volume.rotation)
    beyond = np.abs(local) - _given(volume.half_extents)
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    return np.asarray(outside + np.minimum(beyond.max(axis=1), 0.0))


def _cylinder(volume: Volume, points: Array) -> Array:
    """By its half section: a rectangle over (height above the middle, distance from the axis)."""
    assert volume.radius is not None
    start, end = _given(volume.start), _given(volume.end)
    length = float(np.linalg.norm(end - start))
    turned = np.linalg.qr(np.column_stack([end - start, np.eye(3)]))[0]
    local = (points - (start + end) / 2.0) @ turned
    section = np.abs(np.column_stack([local[:, 0], np.linalg.norm(local[:, 1:], axis=1)]))
    beyond = section - [length / 2.0, volume.radius]
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    return np.asarray(outside + np.minimum(beyond.max(axis=1), 0.0))


def _mesh(volume: Volume, points: Array) -> Array:
    """Inside by its planes; outside by Wolfe-like descent: the nearest mix of its vertices."""
    vertices, planes = _given(volume.vertices), _given(volume.planes)
    height = (points @ planes[:, :3].T - planes[:, 3]).max(axis=1)
    return np.asarray(
        [
            h if h <= 0.0 else _nearest(vertices - p)
            for h, p in zip(height.tolist(), points, strict=True)
        ]
    )


def _nearest(corners: Array) -> float:
    """Distance of the origin from the hull of corners (m, 3): non-negative least squares.

    Lawson and Hanson: of the mixes w >= 0 with a heavy row that asks for sum(w) = 1.
    """
    from scipy.optimize import nnls

    heavy = 1e4
    mix, _ = nnls(np.vstack([corners.T, np.full(len(corners), heavy)]), np.r_[np.zeros(3), heavy])
    return float(np.linalg.norm(corners.T @ (mix / mix.sum())))


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

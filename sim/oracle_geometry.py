"""Vectorised kinematics of the oracle, and the clearance between link capsules and volumes.

Guarantees:
- Works on batches: a batch of B configurations is (B, n); points are (3, B), frames (3, 3, B) with
  the column first, so that every operation runs over contiguous memory.
- A clearance is exact for every shape (up to rounding) where it is positive, and negative where
  the volume is violated; only where bounding spheres prove a pair to be more than EXACT_WITHIN_M
  apart is it a lower bound, itself above EXACT_WITHIN_M.
- NaN in, NaN out: the judge's comparisons then fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from .oracle_file import Array, CapsuleShape, Robot, VolumeShape

__all__ = [
    "EXACT_WITHIN_M",
    "Frames",
    "capsule_ends",
    "clearance",
    "cross",
    "forward",
    "segment_segment",
    "tcp_rotation",
    "tcp_velocity",
]

EXACT_WITHIN_M = 0.02
GOLDEN = (5.0**0.5 - 1.0) / 2.0
GOLDEN_SECTIONS = 55  # of a segment of 1 m, less than rounding is left


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Joint frames of a batch, in the base frame."""

    axes: Array  # (n, 3, 3, B): joint, column, component
    origin: Array  # (n, 3, B) [m]
    tcp: Array  # (3, B) [m]


def _combine(weights: Array, columns: Array) -> Array:
    """Σ_c weights[c] · columns[c] over columns (3, 3, B): a vector of a frame, in the base."""
    count = columns.shape[2]
    return cast(Array, (weights @ columns.reshape(3, 3 * count)).reshape(3, count))


def forward(robot: Robot, q: Array) -> Frames:
    """Frames of every joint at configurations q (B, n)."""
    count = q.shape[0]
    axes = np.empty((robot.n, 3, 3, count))
    origin = np.empty((robot.n, 3, count))
    parent = np.empty((3, 3, count))
    parent[:] = np.eye(3)[:, :, None]
    at = np.zeros((3, count))
    values = np.ascontiguousarray(q.T)
    for i in range(robot.n):
        at = at + _combine(robot.translation[i], parent)
        turned = (robot.rotation[i].T @ parent.reshape(3, 3 * count)).reshape(3, 3, count)
        if robot.prismatic[i]:
            at = at + turned[2] * values[i]
            axes[i] = turned
        else:
            cos, sin = np.cos(values[i]), np.sin(values[i])
            axes[i, 0] = turned[0] * cos + turned[1] * sin
            axes[i, 1] = turned[1] * cos - turned[0] * sin
            axes[i, 2] = turned[2]
        origin[i] = at
        parent = axes[i]
    return Frames(axes, origin, at + _combine(robot.tcp_translation, parent))


def cross(a: Array, b: Array) -> Array:
    """Cross product over the first axis, (3, B)."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]
    return out


def tcp_velocity(robot: Robot, frames: Frames, dq: Array) -> Array:
    """Linear velocity of the TCP (3, B) [m/s] at joint velocities dq (B, n)."""
    velocity = np.zeros_like(frames.tcp)
    for i in range(robot.n):
        axis = frames.axes[i, 2]
        column = axis if robot.prismatic[i] else cross(axis, frames.tcp - frames.origin[i])
        velocity += column * dq[:, i]
    return velocity


def tcp_rotation(robot: Robot, frames: Frames, dq: Array) -> Array:
    """Angular velocity of the TCP (3, B) [rad/s] at joint velocities dq (B, n)."""
    turning = ~robot.prismatic
    return np.asarray(np.einsum("icb,bi->cb", frames.axes[turning, 2], dq[:, turning]))


def capsule_ends(frames: Frames, capsule: CapsuleShape) -> tuple[Array, Array]:
    """Both ends of a capsule's axis, each (3, B) [m], in the base frame."""
    axes, origin = frames.axes[capsule.joint], frames.origin[capsule.joint]
    return origin + _combine(capsule.start, axes), origin + _combine(capsule.end, axes)


def _dot(a: Array, b: Array) -> Array:
    return cast(Array, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _column(vector: Array) -> Array:
    return vector.reshape(3, 1)


def _point_segment(point: Array, start: Array, end: Array) -> Array:
    """Distance (B,) [m] of points (3, B) to segments (3, B or 1)."""
    axis = end - start
    length2 = _dot(axis, axis)
    along = _dot(point - start, axis) / np.where(length2 > 0.0, length2, 1.0)
    offset = point - start - np.clip(along, 0.0, 1.0) * axis
    return np.sqrt(_dot(offset, offset))


def segment_segment(a0: Array, a1: Array, b0: Array, b1: Array) -> Array:
    """Smallest distance between segments a and b, ends (3, ...) that broadcast.

    Either the closest pair lies inside both (then it solves the 2 × 2 normal equations), or one of
    the four ends takes part: the smallest of the five candidates is the distance, and each
    candidate is the length of a true connection, so that none is below it.
    """
    best = np.minimum(
        np.minimum(_point_segment(a0, b0, b1), _point_segment(a1, b0, b1)),
        np.minimum(_point_segment(b0, a0, a1), _point_segment(b1, a0, a1)),
    )
    u, v, w = a1 - a0, b1 - b0, a0 - b0
    uu, uv, vv, uw, vw = _dot(u, u), _dot(u, v), _dot(v, v), _dot(u, w), _dot(v, w)
    det = uu * vv - uv * uv
    skew = det > 1e-12 * uu * vv
    safe = np.where(skew, det, 1.0)
    s = np.clip((uv * vw - vv * uw) / safe, 0.0, 1.0)
    t = np.clip((uu * vw - uv * uw) / safe, 0.0, 1.0)
    gap = w + s * u - t * v
    return np.where(skew, np.minimum(best, np.sqrt(_dot(gap, gap))), best)


def _segment_box(start: Array, end: Array, half: Array) -> Array:
    """Smallest distance (B,) of segments, in the box's frame, to the box |x| <= half.

    Along the segment, half the squared distance is convex and its slope
    g(t) = Σ_i u_i · (x_i(t) − clip(x_i(t), −h_i, h_i)) is monotone and linear between the at most
    six crossings of the box's planes. The smallest distance is where g changes sign.
    """
    u = end - start
    moves = np.abs(u) > 1e-15
    slope = np.where(moves, u, 1.0)
    knots = np.empty((8, start.shape[1]))
    knots[0], knots[7] = 0.0, 1.0
    knots[1:4] = np.where(moves, np.clip((half - start) / slope, 0.0, 1.0), 0.0)
    knots[4:7] = np.where(moves, np.clip((-half - start) / slope, 0.0, 1.0), 0.0)
    at = start[:, None, :] + u[:, None, :] * knots[None]
    limit = half[:, :, None]
    rise = _dot(u[:, None, :], at - np.clip(at, -limit, limit))
    # The largest knot still falling and the smallest one that no longer falls bracket the minimum.
    low = np.max(np.where(rise < 0.0, knots, 0.0), axis=0)
    high = np.min(np.where(rise >= 0.0, knots, 1.0), axis=0)
    rise_low = np.max(np.where(rise < 0.0, rise, -np.inf), axis=0)
    rise_high = np.min(np.where(rise >= 0.0, rise, np.inf), axis=0)
    span = rise_high - rise_low
    inner = np.isfinite(span) & (span > 0.0)
    part = np.where(inner, -np.where(inner, rise_low, 0.0) / np.where(inner, span, 1.0), 0.0)
    t = np.where(np.isfinite(rise_low), np.where(inner, low + part * (high - low), 1.0), high)
    point = start + u * t
    gap = point - np.clip(point, -half, half)
    return np.where(np.isnan(rise).any(axis=0), np.nan, np.sqrt(_dot(gap, gap)))


def _cylinder_signed(f: dict[str, Array], point: Array) -> Array:
    """Distance (B,) of points (3, B) from a cylinder's surface, negative inside."""
    axis = f["end"] - f["start"]
    length = np.sqrt(axis @ axis)
    along = (axis / length) @ (point - _column(f["start"]))
    offset = point - _column(f["start"]) - _column(axis / length) * along
    wall, cap = np.sqrt(_dot(offset, offset)) - f["radius"], np.maximum(-along, along - length)
    rim = np.sqrt(np.maximum(wall, 0.0) ** 2 + np.maximum(cap, 0.0) ** 2)
    return np.asarray(np.where(np.maximum(wall, cap) > 0.0, rim, np.maximum(wall, cap)))


def _across(axis: Array) -> Array:
    """Two unit vectors (2, 3) square to a unit vector (3,) and to each other."""
    first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(axis, first)])


def _segment_cylinder(f: dict[str, Array], start: Array, end: Array) -> Array:
    """Smallest distance (B,) of segments from a solid cylinder, by golden sections.

    Along a segment the distance to a convex body is convex, and so is its square.
    """
    axis = f["end"] - f["start"]
    length = float(np.sqrt(axis @ axis))
    frame = np.vstack([_across(axis / length), axis / length])  # the cylinder's: it stands on z
    x, y, z = frame @ (start - _column(f["start"]))
    u, v, w = frame @ (end - start)

    def squared(t: Array) -> Array:
        wall = np.sqrt((x + u * t) ** 2 + (y + v * t) ** 2) - f["radius"]
        height = z + w * t
        cap = np.maximum(-height, height - length)
        return np.asarray(np.maximum(wall, 0.0) ** 2 + np.maximum(cap, 0.0) ** 2)

    low, high = np.zeros_like(x), np.ones_like(x)
    first, second = high - GOLDEN, low + GOLDEN
    at_first, at_second = squared(first), squared(second)
    least = np.minimum(np.minimum(squared(low), squared(high)), np.minimum(at_first, at_second))
    for _ in range(GOLDEN_SECTIONS):
        left = at_first < at_second
        low, high = np.where(left, low, first), np.where(left, second, high)
        span = GOLDEN * (high - low)
        probe = np.where(left, high - span, low + span)
        at_probe = squared(probe)
        least = np.minimum(least, at_probe)
        first, second = np.where(left, probe, second), np.where(left, first, probe)
        at_first, at_second = (
            np.where(left, at_probe, at_second),
            np.where(left, at_first, at_probe),
        )
    return np.sqrt(least)


def _segment_mesh(f: dict[str, Array], start: Array, end: Array) -> Array:
    """Smallest distance (B,) of segments from a convex mesh; 0 where they meet it.

    The nearest connection ends on an edge, or joins an end of the segment to the inside of a face:
    one parallel to a face can be pushed along it until either is so. They meet where some part of
    the segment is behind every plane.
    """
    first, second = f["edges"].transpose(1, 2, 0)[:, :, :, None]
    best = segment_segment(start[:, None], end[:, None], first, second).min(axis=0)
    normal, offset = f["planes"][:, :3], f["planes"][:, 3:]
    at_start, at_end = normal @ start - offset, normal @ end - offset  # (faces, B)
    for point, height in ((start, at_start), (end, at_end)):
        face = height.argmax(axis=0)
        above = height.max(axis=0)
        foot = point - normal[face].T * above
        within = (normal @ foot - offset).max(axis=0) <= 1e-9
        best = np.where(within & (above < best), above, best)
    rise = at_end - at_start
    moving = np.abs(rise) > 1e-15
    crossing = -at_start / np.where(moving, rise, 1.0)
    enters = np.max(np.where(moving & (rise < 0.0), crossing, 0.0), axis=0, initial=0.0)
    leaves = np.min(np.where(moving & (rise > 0.0), crossing, 1.0), axis=0, initial=1.0)
    ever = ~np.any(~moving & (at_start > 0.0), axis=0)
    met = np.where(ever & (enters <= leaves), 0.0, np.maximum(best, 0.0))
    return np.where(np.isfinite(rise).all(axis=0), met, np.nan)


def _inside(volume: VolumeShape, start: Array, end: Array, radius_m: float) -> Array:
    """Clearance of a capsule that must stay inside: a convex set holds it if it holds both ends."""
    f = volume.fields
    if volume.shape == "half_space":
        reach = np.maximum(f["normal"] @ start, f["normal"] @ end)
        return f["offset"] - reach - radius_m
    ends = []
    for point in (start, end):
        if volume.shape == "box":
            local = np.abs(f["rotation"].T @ (point - _column(f["center"])))
            ends.append(np.min(_column(f["half_extents"]) - local, axis=0))
        elif volume.shape == "sphere":
            offset = point - _column(f["center"])
            ends.append(f["radius"] - np.sqrt(_dot(offset, offset)))
        elif volume.shape == "cylinder":
            ends.append(-_cylinder_signed(f, point))
        elif volume.shape == "mesh":
            ends.append(np.min(f["planes"][:, 3:] - f["planes"][:, :3] @ point, axis=0))
        else:
            away = _point_segment(point, _column(f["start"]), _column(f["end"]))
            ends.append(f["radius"] - away)
    return np.asarray(np.minimum(ends[0], ends[1]) - radius_m)


def _outside(volume: VolumeShape, start: Array, end: Array, radius_m: float) -> Array:
    """Clearance of a capsule that must stay outside."""
    f = volume.fields
    if volume.shape == "half_space":
        reach = np.minimum(f["normal"] @ start, f["normal"] @ end)
        return reach - f["offset"] - radius_m
    if volume.shape == "box":
        frame, center = f["rotation"].T, _column(f["center"])
        half = _column(f["half_extents"])
        return _segment_box(frame @ (start - center), frame @ (end - center), half) - radius_m
    if volume.shape == "sphere":
        away = _point_segment(_column(f["center"]), start, end)
        return away - f["radius"] - radius_m
    if volume.shape == "cylinder":
        return _segment_cylinder(f, start, end) - radius_m
    if volume.shape == "mesh":
        return _segment_mesh(f, start, end) - radius_m
    away = segment_segment(start, end, _column(f["start"]), _column(f["end"]))
    return away - f["radius"] - radius_m


def _bounding_sphere(volume: VolumeShape) -> tuple[Array, float]:
    f = volume.fields
    if volume.shape == "box":
        return f["center"], float(np.linalg.norm(f["half_extents"]))
    if volume.shape == "sphere":
        return f["center"], float(f["radius"])
    if volume.shape == "mesh":
        center = f["vertices"].mean(axis=0)
        return center, float(np.linalg.norm(f["vertices"] - center, axis=1).max())
    half = 0.5 * float(np.linalg.norm(f["end"] - f["start"]))
    return 0.5 * (f["start"] + f["end"]), half + float(f["radius"])


def clearance(volume: VolumeShape, start: Array, end: Array, radius_m: float) -> Array:
    """Distance (B,) [m] that a capsule keeps from the volume's wrong side; negative: violated."""
    if volume.keeps_in:
        return _inside(volume, start, end, radius_m)
    if volume.shape == "half_space":
        return _outside(volume, start, end, radius_m)
    center, size = _bounding_sphere(volume)
    middle = 0.5 * (start + end) - _column(center)
    axis = end - start
    # A pair whose bounding spheres are well apart is clear; NaN goes to the exact distance.
    bound = np.sqrt(_dot(middle, middle)) - 0.5 * np.sqrt(_dot(axis, axis)) - radius_m - size
    near = _near(bound)
    if near.size and volume.shape == "cylinder":  # the next one is slow: a capsule around it first
        f = volume.fields
        away = segment_segment(start[:, near], end[:, near], _column(f["start"]), _column(f["end"]))
        bound[near] = away - f["radius"] - radius_m
        near = _near(bound)
    if near.size:
        bound[near] = _outside(volume, start[:, near], end[:, near], radius_m)
    return bound


def _near(bound: Array) -> npt.NDArray[np.intp]:
    return np.flatnonzero(~(bound > EXACT_WITHIN_M))

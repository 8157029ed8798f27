"""Many configurations of a robot at once, in plain NumPy: where it is, how far from what, what
effort holds it.

Written for checks of a limits file, where a compiled kernel would cost more than it saves; the
filter's kernels share no code with it. m configurations, n joints, k capsules throughout.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .declared import Kinematics, Limits, Volume
from .polyhedra import segment_distance
from .records import Array

__all__ = [
    "capsule_pairs",
    "clearances",
    "efforts",
    "joint_frames",
    "pair_clearances",
    "pair_sweeps",
    "speed_errors",
    "sweep_bounds",
]

TERNARY_STEPS = 24  # (2/3)^24 of a segment; the distance is flat at its least


def joint_frames(kinematics: Kinematics, prismatic: Array, q: Array) -> tuple[Array, Array]:
    """Rotations (m, n, 3, 3) and origins (m, n, 3) of the joint frames, base frame, at q (m, n).

    prismatic (n,): 1 for a joint that slides, 0 for one that turns.
    """
    m, n = q.shape
    rotations, origins = np.empty((m, n, 3, 3)), np.empty((m, n, 3))
    turned, origin = np.broadcast_to(np.eye(3), (m, 3, 3)), np.zeros((m, 3))
    for i in range(n):
        angle, slide = q[:, i] * (1.0 - prismatic[i]), q[:, i] * prismatic[i]
        origin = origin + turned @ kinematics.translation[i]
        turned = turned @ kinematics.rotation[i]
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        x, y, z = turned[:, :, 0], turned[:, :, 1], turned[:, :, 2]
        turned = np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=2)
        origin = origin + slide[:, None] * z
        rotations[:, i], origins[:, i] = turned, origin
    return rotations, origins


def _prismatic(limits: Limits) -> Array:
    return np.array([float(joint.type == "prismatic") for joint in limits.joints])


def _axes(limits: Limits, q: Array) -> tuple[Array, Array, Array, Array]:
    """(rotations, origins, capsule starts (m, k, 3), capsule ends (m, k, 3))."""
    rotations, origins = joint_frames(limits.kinematics, _prismatic(limits), q)
    index = np.array([capsule.joint for capsule in limits.capsules])
    local = np.array([[capsule.start, capsule.end] for capsule in limits.capsules])  # (k, 2, 3)
    placed = np.einsum("mkrc,kec->mker", rotations[:, index], local) + origins[:, index, None]
    return rotations, origins, placed[:, :, 0], placed[:, :, 1]


def _segment_point(start: Array, end: Array, point: Array) -> Array:
    """Distance of points (..., 3) from segments (..., 3)-(..., 3)."""
    along = end - start
    square = (along * along).sum(-1)
    share = ((point - start) * along).sum(-1) / np.where(square > 0.0, square, 1.0)
    share = np.clip(np.where(square > 0.0, share, 0.0), 0.0, 1.0)
    return np.asarray(np.linalg.norm(point - start - share[..., None] * along, axis=-1))


def _least_along(start: Array, end: Array, distance: Callable[[Array], Array]) -> Array:
    """Least of a convex distance along segments, by ternary search."""
    low, high = np.zeros(start.shape[:-1]), np.ones(start.shape[:-1])
    for _ in range(TERNARY_STEPS):
        first, second = low + (high - low) / 3.0, high - (high - low) / 3.0
        nearer = distance(start + first[..., None] * (end - start)) <= distance(
            start + second[..., None] * (end - start)
        )
        high, low = np.where(nearer, second, high), np.where(nearer, low, first)
    middle = (low + high) / 2.0
    return np.asarray(distance(start + middle[..., None] * (end - start)))


def _cylinder(volume: Volume) -> Callable[[Array], Array]:
    """Signed distance of points (..., 3) from a cylinder; inside: depth below its nearest side."""
    start, end = np.asarray(volume.start), np.asarray(volume.end)
    length, own = float(np.linalg.norm(end - start)), float(volume.radius or 0.0)
    axis = (end - start) / length

    def outside(points: Array) -> Array:
        along = (points - start) @ axis
        away = np.linalg.norm(points - start - along[..., None] * axis, axis=-1) - own
        over = np.abs(along - length / 2.0) - length / 2.0
        beyond = np.hypot(np.maximum(away, 0.0), np.maximum(over, 0.0))
        return np.asarray(beyond + np.minimum(np.maximum(away, over), 0.0))

    return outside


def _clearance(volume: Volume, start: Array, end: Array, radius: Array) -> Array:
    """Signed clearance (m, k) of capsules from one volume; positive: admissible."""
    ends = np.stack([start, end])
    inside = volume.kind == "keep_in"
    if volume.vertices is not None and volume.planes is not None:
        if inside:
            height = ends @ volume.planes[:, :3].T - volume.planes[:, 3]
            return np.asarray(-height.max(axis=(0, -1)) - radius)
        return segment_distance(volume.vertices, volume.planes, start, end) - radius
    if volume.shape == "cylinder":
        signed = _cylinder(volume)
        if inside:
            return np.asarray(-signed(ends).max(axis=0) - radius)
        return np.maximum(_least_along(start, end, signed), 0.0) - radius
    if volume.normal is not None and volume.offset is not None:
        depth = ends @ volume.normal - volume.offset
        return np.asarray((-depth if inside else depth).min(axis=0) - radius)
    if volume.half_extents is not None:
        half = volume.half_extents
        rotation, center = np.asarray(volume.rotation), np.asarray(volume.center)

        def outside(points: Array) -> Array:
            beyond = np.maximum(np.abs((points - center) @ rotation) - half, 0.0)
            return np.asarray(np.linalg.norm(beyond, axis=-1))

        if inside:
            depth = (half - np.abs((ends - center) @ rotation)).min(axis=-1)
            return np.asarray(depth.min(axis=0) - radius)
        return _least_along(start, end, outside) - radius
    if volume.center is not None:
        own = float(volume.radius or 0.0)
        if inside:
            far = np.linalg.norm(ends - volume.center, axis=-1).max(axis=0)
            return np.asarray(own - far - radius)
        return _segment_point(start, end, volume.center) - own - radius
    first, second = np.asarray(volume.start), np.asarray(volume.end)
    own = float(volume.radius or 0.0)

    def from_axis(points: Array) -> Array:
        return _segment_point(first, second, points)

    if inside:
        return np.asarray(own - from_axis(ends).max(axis=0) - radius)
    return _least_along(start, end, from_axis) - own - radius


def clearances(limits: Limits, q: Array) -> Array:
    """Signed clearance [m] (m, v, k) of every capsule from every volume at q (m, n).

    Without standoff and tracking error; inf where the volume exempts the capsule.
    """
    _, _, start, end = _axes(limits, q)
    radius = np.array([capsule.radius for capsule in limits.capsules])
    names = [capsule.name for capsule in limits.capsules]
    out = np.empty((len(q), len(limits.volumes), len(names)))
    for v, volume in enumerate(limits.volumes):
        exempt = np.array([name in volume.exempt for name in names])
        out[:, v] = np.where(exempt, np.inf, _clearance(volume, start, end, radius))
    return out


def capsule_pairs(limits: Limits) -> npt.NDArray[np.int64]:
    """Indices (p, 2) of the capsules that self-collision keeps apart, nearer to the base first."""
    declared, capsules = limits.self_collision, limits.capsules
    names = () if declared is None else declared.pairs
    rows = [
        (a, b)
        for one, other in names
        for a, first in enumerate(capsules)
        for b, second in enumerate(capsules)
        if (first.name, second.name) == (one, other)
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 2)


def pair_clearances(limits: Limits, q: Array) -> Array:
    """Distance [m] (m, p) between the capsules of every pair at q (m, n), less the radii.

    Without standoff and tracking error.
    """
    _, _, start, end = _axes(limits, q)
    radius = np.array([capsule.radius for capsule in limits.capsules])
    first, second = capsule_pairs(limits).T
    low, high = start[:, second], end[:, second]

    def from_axis(points: Array) -> Array:
        return _segment_point(low, high, points)

    apart = _least_along(start[:, first], end[:, first], from_axis)
    return np.asarray(apart - radius[first] - radius[second])


def pair_sweeps(limits: Limits, q: Array) -> Array:
    """How far [m] (m, p) tracking errors can move the capsules of each pair together at q (m, n).

    Only the joints between the two count.
    """
    pairs = capsule_pairs(limits)
    levers = _levers(limits, q)
    index = np.array([capsule.joint for capsule in limits.capsules])
    bounds = np.zeros((len(q), len(pairs)))
    for j, joint in enumerate(limits.joints):
        between = (index[pairs[:, 0]] < j) & (j <= index[pairs[:, 1]])
        bounds += np.where(between, levers[:, j][:, pairs[:, 1]] * joint.position_error, 0.0)
    return bounds


def _levers(limits: Limits, q: Array) -> Array:
    """Largest distance [m] (m, n, k) of each capsule from each joint's axis; 1 where it slides."""
    rotations, origins, start, end = _axes(limits, q)
    radius = np.array([capsule.radius for capsule in limits.capsules])
    levers = np.ones((len(q), len(limits.joints), len(radius)))
    for j, joint in enumerate(limits.joints):
        if joint.type == "prismatic":
            continue
        axis = rotations[:, j, :, 2][:, None]  # (m, 1, 3)
        away = [points - origins[:, j][:, None] for points in (start, end)]
        arms = [np.linalg.norm(np.cross(each, axis), axis=-1) for each in away]
        levers[:, j] = np.maximum(*arms) + radius
    return levers


def sweep_bounds(limits: Limits, q: Array) -> Array:
    """How far [m] (m, k) position errors can move each capsule from where it is at q (m, n)."""
    levers = _levers(limits, q)
    bounds = np.zeros((len(q), len(limits.capsules)))
    for j, joint in enumerate(limits.joints):
        moved = np.array([capsule.joint >= j for capsule in limits.capsules])
        bounds += np.where(moved, levers[:, j] * joint.position_error, 0.0)
    return bounds


def speed_errors(limits: Limits, q: Array) -> Array:
    """How fast [m/s] (m, k) velocity errors alone can move each capsule's points at q (m, n)."""
    levers = _levers(limits, q)
    index = np.array([capsule.joint for capsule in limits.capsules])
    bounds = np.zeros((len(q), len(limits.capsules)))
    for j, joint in enumerate(limits.joints):
        bounds += np.where(index >= j, levers[:, j] * joint.velocity_error, 0.0)
    return bounds


def efforts(limits: Limits, q: Array, dq: Array, ddq: Array) -> Array:
    """Inverse dynamics (m, n) [N·m or N] at q, dq, ddq (m, n), gravity included."""
    model, prismatic = limits.kinematics, _prismatic(limits)
    rotations, origins = joint_frames(model, prismatic, q)
    m, n = q.shape
    axes = rotations[:, :, :, 2]
    spin, turn = np.zeros((m, 3)), np.zeros((m, 3))
    push = np.broadcast_to(-model.gravity, (m, 3))
    before = np.zeros((m, 3))
    forces, moments = np.empty((m, n, 3)), np.empty((m, n, 3))
    coms = np.einsum("mnrc,nc->mnr", rotations, model.com) + origins
    for i in range(n):
        axis, rate, gain = axes[:, i], dq[:, i, None], ddq[:, i, None]
        arm = origins[:, i] - before
        push = push + np.cross(turn, arm) + np.cross(spin, np.cross(spin, arm))
        if prismatic[i] > 0.0:
            push = push + axis * gain + 2.0 * np.cross(spin, axis * rate)
        else:
            turn = turn + axis * gain + np.cross(spin, axis * rate)
            spin = spin + axis * rate
        before = origins[:, i]
        lever = coms[:, i] - origins[:, i]
        acceleration = push + np.cross(turn, lever) + np.cross(spin, np.cross(spin, lever))
        inertia = rotations[:, i] @ model.inertia[i] @ rotations[:, i].transpose(0, 2, 1)
        forces[:, i] = model.mass[i] * acceleration
        moments[:, i] = np.einsum("mrc,mc->mr", inertia, turn) + np.cross(
            spin, np.einsum("mrc,mc->mr", inertia, spin)
        )
    out = np.empty((m, n))
    force, moment = np.zeros((m, 3)), np.zeros((m, 3))
    for i in reversed(range(n)):
        # The moment so far is about the next joint's origin; move it to this one's.
        if i + 1 < n:
            moment = moment + np.cross(origins[:, i + 1] - origins[:, i], force)
        moment = moment + moments[:, i] + np.cross(coms[:, i] - origins[:, i], forces[:, i])
        force = force + forces[:, i]
        out[:, i] = ((force if prismatic[i] > 0.0 else moment) * axes[:, i]).sum(-1)
    return out

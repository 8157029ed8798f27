"""The oracle on the speed of links, everywhere and in zones, and on the tool's acceleration.

Guarantees:
- A capsule's speed is exact at an instant: of all points within its radius of its axis.
- A zone counts for a capsule that has any point more than rounding inside it.
- NaN in, NaN out: the judge's comparisons then fail.
"""

from __future__ import annotations

import numpy as np

from .oracle_file import Array, Robot
from .oracle_geometry import Frames, capsule_ends, clearance, cross, forward
from .oracle_joints import Excess

__all__ = [
    "capsule_speeds",
    "speed_excesses",
    "tool_excesses",
    "tool_motion",
    "zone_clearances",
]

INSIDE_M = 1e-9
# What turns more slowly has no direction: the squares of what it turns by underflow.
TURNING_MIN_RAD_S = 1e-100


def _link_twists(robot: Robot, frames: Frames, dq: Array) -> list[tuple[Array, Array]]:
    """(velocity of the joint's origin, angular velocity), each (3, B), of every link."""
    spin, speed = np.zeros_like(frames.tcp), np.zeros_like(frames.tcp)
    before, out = np.zeros_like(frames.tcp), []
    for i in range(robot.n):
        along = frames.axes[i, 2] * dq[:, i]
        speed = speed + cross(spin, frames.origin[i] - before)
        if robot.prismatic[i]:
            speed = speed + along
        else:
            spin = spin + along
        before = frames.origin[i]
        out.append((speed, spin))
    return out


def _fastest(speed: Array, spin: Array, away: list[Array], radius_m: float) -> Array:
    """(B,) of a body that spins about its origin: away are the ends of its axis from there.

    Along the spin all points are equally fast; across it the radius adds to the axis.
    """
    rate = np.sqrt(np.sum(spin * spin, axis=0))
    turns = rate > TURNING_MIN_RAD_S
    way = np.where(turns, spin / np.where(turns, rate, 1.0), 0.0)
    fastest = np.zeros_like(rate)
    for arm in away:
        velocity = speed + cross(spin, arm)
        along = np.sum(velocity * way, axis=0)
        rest = velocity - along * way
        across = np.sqrt(np.sum(rest * rest, axis=0)) + rate * radius_m
        fastest = np.maximum(fastest, np.sqrt(along * along + across * across))
    return np.asarray(fastest)


def capsule_speeds(robot: Robot, frames: Frames, dq: Array) -> Array:
    """Speed (B, capsules) [m/s] of each capsule's fastest point at joint velocities dq (B, n)."""
    twists = _link_twists(robot, frames, dq)
    columns = []
    for capsule in robot.capsules:
        speed, spin = twists[capsule.joint]
        ends = [end - frames.origin[capsule.joint] for end in capsule_ends(frames, capsule)]
        columns.append(_fastest(speed, spin, ends, capsule.radius_m))
    return np.stack(columns, axis=1)


def zone_clearances(robot: Robot, q: Array, frames: Frames | None = None) -> list[Array]:
    """For each zone, how far outside it (B, capsules) [m] each capsule is; infinite if exempt."""
    frames = forward(robot, q) if frames is None else frames
    ends = [capsule_ends(frames, capsule) for capsule in robot.capsules]
    out = []
    for zone in robot.zones:
        away = np.full((q.shape[0], len(ends)), np.inf)
        for k, (capsule, (start, end)) in enumerate(zip(robot.capsules, ends, strict=True)):
            if capsule.name not in zone.place.exempt:
                away[:, k] = clearance(zone.place, start, end, capsule.radius_m)
        out.append(away)
    return out


def speed_excesses(robot: Robot, q: Array, dq: Array) -> list[Excess]:
    """What is declared of the speed of links, at instants q, dq (B, n)."""
    if robot.link_speed_m_s is None and not robot.zones:
        return []
    frames, out = forward(robot, q), []
    speeds = capsule_speeds(robot, frames, dq)
    names = tuple(capsule.name for capsule in robot.capsules)
    if robot.link_speed_m_s is not None:
        top = np.full(len(names), robot.link_speed_m_s)
        out.append(Excess("link_speed", speeds, top, 1e-9 * top, names, "m/s"))
    for zone, away in zip(robot.zones, zone_clearances(robot, q, frames), strict=True):
        top = np.full(len(names), zone.speed_m_s)
        value = np.where(~(away >= -INSIDE_M), speeds, 0.0)
        subjects = tuple(f"{name}/{zone.place.name}" for name in names)
        out.append(Excess("zone_speed", value, top, 1e-9 * top, subjects, "m/s"))
    return out


def tool_motion(robot: Robot, frames: Frames, dq: Array, ddq: Array) -> tuple[Array, Array]:
    """The TCP's acceleration [m/s²] and angular acceleration [rad/s²], each (3, B).

    In the base frame, joint by joint: what a joint's axis is carried along with, and what it adds.
    """
    zero = np.zeros_like(frames.tcp)
    spin, turn, push, before = zero, zero, zero, zero
    points = [*frames.origin, frames.tcp]
    for i, point in enumerate(points):
        arm = point - before
        push = push + cross(turn, arm) + cross(spin, cross(spin, arm))
        before = point
        if i == robot.n:
            break
        axis, rate, gain = frames.axes[i, 2], dq[:, i], ddq[:, i]
        if robot.prismatic[i]:
            push = push + axis * gain + 2.0 * cross(spin, axis * rate)
        else:
            turn = turn + axis * gain + cross(spin, axis * rate)
            spin = spin + axis * rate
    return push, turn


def tool_excesses(robot: Robot, frames: Frames, dq: Array, ddq: Array) -> list[Excess]:
    """What is declared of the tool's acceleration, at instants."""
    bounds = (robot.max_trans_acc_m_s2, robot.max_rot_acc_rad_s2)
    if bounds == (None, None):
        return []
    kinds = ("tcp_acceleration", "tcp_rotational_acceleration")
    out = []
    for kind, bound, vector, unit in zip(
        kinds, bounds, tool_motion(robot, frames, dq, ddq), ("m/s²", "rad/s²"), strict=True
    ):
        if bound is not None:
            size, top = np.sqrt(np.sum(vector * vector, axis=0))[:, None], np.array([bound])
            out.append(Excess(kind, size, top, 1e-9 * top, ("tcp",), unit))
    return out

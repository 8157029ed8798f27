"""Chunks that no joint limit objects to, and that still throw the carried object off the tool.

Guarantees: `throw_chunk` gives joint velocities whose piecewise linear motion stays inside every
declared joint position, velocity, acceleration and jerk limit (`joint_usage` <= 1), from the state
of its onset to its end at rest. The tool turns about a horizontal axis, and moves little: TCP speed
and volumes do not object either, as a rule.
"""

from __future__ import annotations

import numpy as np

from .chain import hermite
from .shots import Onset
from .world import Array

__all__ = ["joint_usage", "throw_chunk"]

LENGTH_S = 1.0
RAMP_SHARE = 0.45  # of the length: to speed up, and as much to slow down
BRAKE_S = 0.4  # the velocity that the robot has at the onset fades out within it
ANGLE_RAD = (1.1, 1.8)
ANGLE_MIN_RAD = 1.0  # less only tilts the object
SHARE = 0.97  # of each limit: what is sent must not owe its passing to rounding
HEADINGS = 6
PATH_STEPS = 24
LOOSE = 0.1  # weight of the tool's place against its turning
ACCELERATION_SHARE = 0.8  # of the limit: leaves effort for the weight of the arm
HALVINGS = 8


def joint_usage(onset: Onset, values: Array, row_s: float) -> float:
    """The largest used share of any joint limit; 1 is a limit. `values` (rows, n) [rad/s].

    The motion is the one of a velocity chunk: linear between rows, so that its acceleration is
    constant within a row and changes within one tick where rows meet, at the end too.
    """
    rows = np.vstack((onset.dq, values))
    acceleration = np.diff(rows, axis=0) / row_s
    at_rest = np.zeros((1, values.shape[1]))
    steps = np.diff(np.vstack((at_rest, acceleration, at_rest)), axis=0) / onset.period_s
    q = onset.q + np.vstack((at_rest, np.cumsum((rows[1:] + rows[:-1]) / 2.0 * row_s, axis=0)))
    middle = (onset.limit("max_position") + onset.limit("min_position")) / 2.0
    half = (onset.limit("max_position") - onset.limit("min_position")) / 2.0
    used = (
        np.abs(q - middle) / half,
        np.abs(rows) / onset.limit("max_velocity"),
        np.abs(acceleration) / (ACCELERATION_SHARE * onset.limit("max_acceleration")),
        np.abs(steps) / onset.limit("max_jerk"),
    )
    return max(float(share.max()) for share in used)


def _path(onset: Onset, axis: Array, push: Array) -> tuple[Array, Array]:
    """Joint positions (steps + 1, n) that turn the tool about `axis`, and the angle at each."""
    low, high = onset.limit("min_position") + 0.05, onset.limit("max_position") - 0.05
    weight = onset.limit("max_acceleration")
    loose = np.array([[LOOSE], [LOOSE], [LOOSE], [1.0], [1.0], [1.0]])  # where to is secondary
    q, step = onset.q.copy(), ANGLE_RAD[1] / PATH_STEPS
    rows, angles = [q], [0.0]
    for _ in range(PATH_STEPS):
        _, _, jacobian = onset.chain.tcp(q)
        change = weight * onset.chain.rates(
            loose * jacobian * weight, np.concatenate((LOOSE * push, axis)) * step, damping=0.1
        )
        reached = np.clip(q + change, low, high)
        angles.append(angles[-1] + float(axis @ jacobian[3:] @ (reached - q)))
        q = reached
        rows.append(q)
    return np.array(rows), np.array(angles)


def _progress(times_s: Array) -> Array:
    """0 to 1 over LENGTH_S: speed ramps up as a smooth step, holds, and ramps down again."""
    ramp = RAMP_SHARE * LENGTH_S
    inner = np.linspace(0.0, LENGTH_S, 2001)
    u = np.clip(np.minimum(inner, LENGTH_S - inner) / ramp, 0.0, 1.0)
    speed = u * u * (3.0 - 2.0 * u)
    moved = np.concatenate((np.zeros(1), np.cumsum((speed[1:] + speed[:-1]) / 2.0)))
    return np.asarray(np.interp(times_s, inner, moved / moved[-1]), dtype=np.float64)


def _rows(onset: Onset, path: Array, angles: Array, angle_rad: float) -> Array:
    """Velocity rows (rows, n), one a tick, along `path` up to `angle_rad`, then at rest."""
    t = onset.period_s
    count = onset.ticks(LENGTH_S)
    edges = np.arange(-0.5, count + 1.0) * t  # mean velocities half a tick around each row
    end = float(np.interp(angle_rad, angles, np.arange(len(angles))))
    q = hermite(path, end * _progress(np.clip(edges, 0.0, LENGTH_S)))
    rates = np.diff(q, axis=0)[1:] / t
    fade = np.clip(1.0 - t * np.arange(1, len(rates) + 1) / BRAKE_S, 0.0, 1.0)
    fade = fade * fade * (3.0 - 2.0 * fade)
    return np.asarray(rates + onset.dq * fade[:, None])


def throw_chunk(onset: Onset) -> tuple[Array, float]:
    """(velocity rows (rows, n) [rad/s], row period [ms]) that throw the object."""
    rng, row_ms = onset.rng, 1000.0 * onset.period_s
    best, largest = onset.dq * np.linspace(1.0, 0.0, onset.ticks(LENGTH_S) + 1)[1:, None], 0.0
    for heading in rng.uniform(0.0, 2.0 * np.pi, HEADINGS):
        axis = np.array([np.cos(heading), np.sin(heading), 0.0])
        push = float(rng.uniform(-0.1, 0.1)) * np.array([-axis[1], axis[0], 0.0])
        path, angles = _path(onset, axis, push)
        if not bool((np.diff(angles) > 0.0).all()):
            continue
        fits, high = 0.0, float(rng.uniform(ANGLE_RAD[0], min(ANGLE_RAD[1], angles[-1])))
        angle = high
        for _ in range(HALVINGS):
            rows = _rows(onset, path, angles, angle)
            if joint_usage(onset, rows, onset.period_s) <= SHARE:
                fits = angle
                if angle > largest:
                    best, largest = rows, angle
                if angle == high:
                    break
            else:
                high = angle
            angle = (fits + high) / 2.0
        if largest >= ANGLE_MIN_RAD:
            break
    return best, row_ms

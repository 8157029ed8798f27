"""The classifier's features the slow way: plain loops, and derivatives of the kinematics by
differences instead of a recursion. Shares no code with the kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.limits.slow_chain import frames, tcp

from checkrein.limits import Limits
from checkrein.limits.records import Array

KNOTS, SUBSTEPS, STEP_S = 17, 4, 0.0125
G = 9.81
DIFFERENCE_S = 1e-4


def asked(
    mode: str, rows: Array, row_s: float, anchor: Array, t: float
) -> tuple[Array, Array, Array]:
    """Position, velocity, acceleration that a command asks for at t."""
    zero = np.zeros(rows.shape[1])
    if row_s <= 0.0:
        if mode == "joint_velocity":
            return anchor[0], rows[0], zero
        return (rows[0] if mode == "joint_position" else anchor[0] + rows[0]), zero, zero
    k = math.floor(t / row_s + 1e-9)
    if k >= len(rows):
        held = rows[-1] if mode == "joint_position" else anchor[0]
        return (anchor[0] + rows.sum(axis=0) if mode == "joint_delta" else held), zero, zero
    share = t / row_s - k
    if mode == "joint_delta":
        return anchor[0] + rows[:k].sum(axis=0) + share * rows[k], rows[k] / row_s, zero
    before = rows[k - 1] if k else anchor[0 if mode == "joint_position" else 1]
    slope = (rows[k] - before) / row_s
    value = before + share * row_s * slope
    if mode == "joint_position":
        return value, slope, zero
    return anchor[0], value, slope


@dataclass
class Walk:
    """The joints on their way: what the cascade makes of a command."""

    limits: Limits
    q: Array
    dq: Array
    ddq: Array

    def column(self, name: str) -> Array:
        return np.array([getattr(joint, name) for joint in self.limits.joints])

    def follow(self, mode: str, wanted: tuple[Array, Array, Array]) -> float:
        """One step; returns the largest share of the declared speed that was asked for."""
        T, most = self.limits.period_s, 0.0
        for i, joint in enumerate(self.limits.joints):
            beta = min(1.0, joint.max_jerk * T / joint.max_acceleration)
            made_up = 1.0 - (1.0 - beta) ** (STEP_S / T)
            speed = float(wanted[1][i])
            if mode != "joint_velocity":
                error = float(wanted[0][i] - self.q[i])
                gain = min(beta / 12.0 / T, 0.4 / STEP_S)
                pull = min(gain * abs(error), math.sqrt(joint.max_acceleration * abs(error)))
                speed += math.copysign(pull, error)
            most = max(most, abs(speed) / joint.max_velocity)
            speed = float(np.clip(speed, -joint.max_velocity, joint.max_velocity))
            room = joint.max_position - self.q[i] if speed > 0 else self.q[i] - joint.min_position
            cap = math.sqrt(2.0 * joint.max_acceleration * max(0.0, float(room)))
            speed = float(np.clip(speed, -cap, cap))
            gain = min(beta / 4.0 / T, 0.8 / STEP_S)
            target = wanted[2][i] + gain * (speed - self.dq[i])
            ddq = self.ddq[i] + made_up * (target - self.ddq[i])
            self.ddq[i] = np.clip(ddq, -joint.max_acceleration, joint.max_acceleration)
        before = self.dq.copy()
        self.dq = before + self.ddq * STEP_S
        self.q = self.q + 0.5 * (before + self.dq) * STEP_S
        return most

    def stop(self) -> tuple[float, Array]:
        """How long the synchronised stop lasts, and its accelerations."""
        seconds = float((np.abs(self.dq) / self.column("max_acceleration")).max())
        return seconds, -self.dq / seconds if seconds > 0.0 else np.zeros_like(self.dq)


def up_axis(limits: Limits) -> Array:
    """The tray's normal in the last joint's frame."""
    rotation = frames(limits, limits.home)[-1][:3, :3]
    return np.asarray(rotation.T @ np.array([0.0, 0.0, 1.0]))


def felt(limits: Limits, q: Array, dq: Array, ddq: Array) -> dict[str, Any]:
    """Specific force, velocity, position by central differences along the motion."""
    h = DIFFERENCE_S
    at = [tcp(limits, q + s * h * dq + 0.5 * (s * h) ** 2 * ddq) for s in (-1.0, 0.0, 1.0)]
    acceleration = (at[2] - 2.0 * at[1] + at[0]) / h**2
    force = acceleration + np.array([0.0, 0.0, G])
    rotation = frames(limits, q)[-1][:3, :3]
    up = rotation @ up_axis(limits)
    return {
        "position": at[1],
        "velocity": (at[2] - at[0]) / (2.0 * h),
        "force_up": float(force @ up) / G,
        "lateral": float(np.linalg.norm(force - (force @ up) * up)) / G,
        "tilt": float(np.sqrt(max(0.0, 1.0 - up[2] ** 2))),
    }


def knots(
    limits: Limits, start: Array, mode: str, rows: Array, row_s: float, anchor: Array,
    elapsed_s: float = 0.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """All knots of the first window."""
    walk = Walk(limits, start[:, 0].copy(), start[:, 1].copy(), start[:, 2].copy())
    end = row_s * len(rows) if row_s > 0.0 else limits.timing.command_timeout_ms / 1e3
    out, left, braking = [], -1.0, np.zeros(len(start))
    chosen = start[:, 0], start[:, 1], start[:, 2]
    speed_asked = 0.0
    moments = [(walk.q.copy(), walk.dq.copy(), walk.ddq.copy())]
    for k in range(1, KNOTS):
        best = -1.0
        for s in range(SUBSTEPS):
            t = elapsed_s + (SUBSTEPS * (k - 1) + s + 1) * STEP_S
            if left < 0.0 and not np.any(braking) and t > end + 0.5 * STEP_S:
                left, braking = walk.stop()
                left = max(left, 0.0)
                braking = braking if np.any(braking) else np.full(len(start), 1e-300)
            if np.any(braking):
                run = min(STEP_S, max(0.0, left))
                walk.ddq = braking.copy() if run > 0.0 else np.zeros(len(start))
                walk.q = walk.q + run * (walk.dq + 0.5 * walk.ddq * run)
                walk.dq = walk.dq + walk.ddq * run if left > STEP_S else np.zeros(len(start))
                left -= STEP_S
            else:
                wanted = asked(mode, rows, row_s, anchor, t - 0.01 * STEP_S)
                speed_asked = max(speed_asked, walk.follow(mode, wanted))
            share = float((np.abs(walk.ddq) / walk.column("max_acceleration")).max())
            if share > best + 1e-3:
                best = share
                chosen = walk.q.copy(), walk.dq.copy(), walk.ddq.copy()
        moments.append(chosen)
    for q, dq, ddq in moments:
        seconds, brake = Walk(limits, q, dq, ddq).stop()
        knot = felt(limits, q, dq, ddq)
        stopping = felt(limits, q, dq, brake)
        knot |= {"stop_lateral": stopping["lateral"], "stop_up": stopping["force_up"]}
        knot |= {"stop_s": seconds, "asked": min(10.0, speed_asked), "q": q, "dq": dq}
        out.append(knot)
    return out

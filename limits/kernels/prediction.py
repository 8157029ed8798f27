"""Where a command leads, coarsely: the filter's cascade (limits.project) in steps of STEP_S.

It foresees; it decides nothing. Speeds and accelerations are held to the declared ones, bounds of
position to what can still be braked; volumes and efforts are left out. `joints` (8, n) holds q, dq,
ddq now, then scratch: see the row numbers.
"""

from __future__ import annotations

import math

import numpy as np

from .jit import kernel
from .packed import ACCELERATION, JERK, MAX, MIN, PERIOD, VELOCITY, Floats
from .reference import VELOCITY as MODE_VELOCITY
from .tray import Arm

__all__ = ["GAIN_MAX_1_S", "STEP_S", "brake_on", "effort", "follow", "gains_of", "stop_from"]

STEP_S = 0.0125
STOP_S_MAX = 2.0
GAIN_MAX_1_S = 0.4 / STEP_S  # on position; explicit steps are stable below 2 / STEP_S
GAINS = 5  # columns of `gains_of`
Q, DQ, DDQ, BRAKE, BEST_Q, BEST_DQ, BEST_DDQ, BRAKING = range(8)


def gains_of(arm: Arm) -> Floats:
    """(n, 5): share of the acceleration that is made up a step, gains on speed and on position
    [1/s], one over the declared velocity and acceleration."""
    period = arm.scalar[PERIOD]
    beta = np.minimum(1.0, arm.joint[:, JERK] * period / arm.joint[:, ACCELERATION])
    with np.errstate(divide="ignore"):
        made_up = 1.0 - np.power(np.maximum(0.0, 1.0 - beta), STEP_S / period)
    # A faster cascade is as good as its fastest step.
    speed = np.minimum(beta / 4.0 / period, 2.0 * GAIN_MAX_1_S)
    position = np.minimum(beta / 12.0 / period, GAIN_MAX_1_S)
    over = 1.0 / arm.joint[:, VELOCITY], 1.0 / arm.joint[:, ACCELERATION]
    return np.ascontiguousarray(np.column_stack((made_up, speed, position, *over)))


@kernel
def stop_from(gains: Floats, dq: Floats, brake: Floats) -> float:
    """Write the accelerations (n,) of the synchronised stop from dq; return how long it lasts."""
    longest = 0.0
    for i in range(dq.shape[0]):
        longest = max(longest, abs(dq[i]) * gains[i, 4])
    rate = -1.0 / longest if longest > 0.0 else 0.0
    for i in range(dq.shape[0]):
        brake[i] = dq[i] * rate
    return min(longest, STOP_S_MAX)


@kernel
def follow(arm: Arm, gains: Floats, mode: int, asked: Floats, joints: Floats) -> float:
    """One STEP_S of the cascade towards asked (3, n); return the largest share of speed asked."""
    q, dq, ddq = joints[Q], joints[DQ], joints[DDQ]
    most = 0.0
    for i in range(q.shape[0]):
        a_max, fast = arm.joint[i, ACCELERATION], arm.joint[i, VELOCITY]
        speed = asked[1, i]
        if mode != MODE_VELOCITY:
            error = asked[0, i] - q[i]
            pull = min(gains[i, 2] * abs(error), math.sqrt(a_max * abs(error)))
            speed += math.copysign(pull, error)
        most = max(most, abs(speed) * gains[i, 3])
        speed = min(fast, max(-fast, speed))
        # No faster towards a bound than the joint could still stop before it.
        room = max(0.0, arm.joint[i, MAX] - q[i] if speed > 0.0 else q[i] - arm.joint[i, MIN])
        if speed * speed > 2.0 * a_max * room:
            speed = math.copysign(math.sqrt(2.0 * a_max * room), speed)
        wanted = asked[2, i] + gains[i, 1] * (speed - dq[i])
        wanted = ddq[i] + gains[i, 0] * (wanted - ddq[i])
        ddq[i] = min(a_max, max(-a_max, wanted))
        before = dq[i]
        dq[i] = before + ddq[i] * STEP_S
        q[i] += 0.5 * (before + dq[i]) * STEP_S
    return most


@kernel
def brake_on(joints: Floats, left_s: float) -> None:
    """One STEP_S of the stop in joints[BRAKING], of which left_s remain."""
    q, dq, ddq = joints[Q], joints[DQ], joints[DDQ]
    run = min(STEP_S, max(0.0, left_s))
    for i in range(q.shape[0]):
        ddq[i] = joints[BRAKING, i] if run > 0.0 else 0.0
        q[i] += run * (dq[i] + 0.5 * ddq[i] * run)
        dq[i] = dq[i] + ddq[i] * run if left_s > STEP_S else 0.0 * dq[i]


@kernel
def effort(gains: Floats, ddq: Floats) -> float:
    most = 0.0
    for i in range(ddq.shape[0]):
        most = max(most, abs(ddq[i]) * gains[i, 4])
    return most

"""klimits as a contestant: the range of accelerations that keeps every joint inside its limits.

It has no notion of a commanded velocity, so a velocity is turned into the acceleration that reaches
it soonest without overshoot at the declared jerk, and that is clipped to klimits' range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...limits import Limits
from ...limits.records import Array
from .contest import Answers

__all__ = ["make"]

# As in klimits' own example.
AFTER_MAX_VELOCITY = 0.0001


class _Klimits:
    answers: Answers = "ramp"

    def __init__(self, limits: Limits) -> None:
        import klimits

        def both(values: list[float]) -> list[list[float]]:
            return [[-value, value] for value in values]

        joints = limits.joints
        self._period_s = limits.period_s
        self._jerk = np.array([joint.max_jerk for joint in joints])
        self._range: Any = klimits.PosVelJerkLimitation(
            time_step=limits.period_s,
            pos_limits=[[joint.min_position, joint.max_position] for joint in joints],
            vel_limits=both([joint.max_velocity for joint in joints]),
            acc_limits=both([joint.max_acceleration for joint in joints]),
            jerk_limits=both([joint.max_jerk for joint in joints]),
            acceleration_after_max_vel_limit_factor=AFTER_MAX_VELOCITY,
            normalize_acc_range=False,
            num_threads=1,
        )

    def decide(self, q: Array, dq: Array, ddq: Array, wanted: Array, /) -> Array:
        """Acceleration (n,) at the end of the tick."""
        found, _ = self._range.calculate_valid_acceleration_range(q, dq, ddq)
        missing = wanted - dq - ddq * (self._period_s / 2.0)
        # |missing| / T is there within a tick; √(2j|missing|) can still be ramped down in time.
        size = np.abs(missing)
        towards = np.minimum(size / self._period_s, np.sqrt(2.0 * self._jerk * size))
        answer: Array = np.clip(np.copysign(towards, missing), found[:, 0], found[:, 1])
        return answer


def make(limits: Limits) -> _Klimits:
    """klimits with the declared joint limits."""
    return _Klimits(limits)

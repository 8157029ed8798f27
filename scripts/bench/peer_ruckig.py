"""ruckig as a contestant: every tick the first of a new trajectory to the commanded velocity.

Its velocity interface knows neither positions nor a largest velocity, so the command is clipped to
the declared speeds. Defaults otherwise: the joints arrive together (Synchronization.Time).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...limits import Limits
from ...limits.records import Array
from .contest import Answers

__all__ = ["make"]


class _Ruckig:
    answers: Answers = "state"

    def __init__(self, limits: Limits) -> None:
        import ruckig

        joints, n = limits.joints, len(limits.joints)
        self._speed = np.array([joint.max_velocity for joint in joints])
        self._generator: Any = ruckig.Ruckig(n, limits.period_s)
        self._in: Any = ruckig.InputParameter(n)
        self._out: Any = ruckig.OutputParameter(n)
        self._in.control_interface = ruckig.ControlInterface.Velocity
        self._in.max_velocity = self._speed
        self._in.max_acceleration = [joint.max_acceleration for joint in joints]
        self._in.max_jerk = [joint.max_jerk for joint in joints]
        self._in.target_acceleration = [0.0] * n

    def decide(
        self, q: Array, dq: Array, ddq: Array, wanted: Array, /
    ) -> tuple[Array, Array, Array]:
        """State at the end of the tick."""
        given, out = self._in, self._out
        given.current_position, given.current_velocity, given.current_acceleration = q, dq, ddq
        given.target_velocity = np.clip(wanted, -self._speed, self._speed)
        self._generator.update(given, out)
        return (
            np.array(out.new_position),
            np.array(out.new_velocity),
            np.array(out.new_acceleration),
        )


def make(limits: Limits) -> _Ruckig:
    """ruckig with the declared speeds, accelerations and jerks."""
    return _Ruckig(limits)

"""What stands between the robot-side agent and a robot: segments of motion, and `Driver`.

Guarantees: a `Segment` is finite and one tick long; within it jerk is constant, so a
driver may sample it as finely as its robot wants and the declared limits hold in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from ..limits.gripper import GripperSetpoint
from ..limits.records import Array, Executed, RobotState

__all__ = ["Driver", "Segment", "Source"]

# setpoint: a frame was accepted; stop: the stored stop runs; hold: at rest; arm: at rest, and the
# motion starts anew from the measured position.
Source = Literal["setpoint", "stop", "hold", "arm"]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One tick of motion: q, dq, ddq (n,) at its start and its end, constant jerk (n,) within."""

    q: Array  # (n,)
    dq: Array  # (n,)
    ddq: Array  # (n,)
    jerk: Array  # (n,)
    q_end: Array  # (n,)
    dq_end: Array  # (n,)
    ddq_end: Array  # (n,)
    period_s: float
    source: Source
    executed: Executed
    gripper: GripperSetpoint | None = None  # None: leave it as it is; else also what it holds

    def position(self, time_s: float) -> Array:
        """q (n,) at `time_s` since the start of the tick."""
        t = time_s
        return self.q + t * (self.dq + t * (self.ddq / 2.0 + t * self.jerk / 6.0))

    def velocity(self, time_s: float) -> Array:
        """dq (n,) at `time_s` since the start of the tick."""
        return self.dq + time_s * (self.ddq + time_s * self.jerk / 2.0)


class Driver(Protocol):
    """One robot. The robot side calls `read`, then `write`, once a tick."""

    @property
    def period_s(self) -> float:
        """Length of a tick."""
        ...

    @property
    def joints(self) -> int:
        """Number of joints."""
        ...

    def read(self) -> RobotState:
        """The measured state now; `executed` is filled in by the agent."""
        ...

    def write(self, segment: Segment) -> None:
        """Play one tick of motion. Returns when the tick is over, or was handed to the robot."""
        ...

    def close(self) -> None:
        """Let go of the robot, which must stay as it is."""
        ...

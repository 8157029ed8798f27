"""What a gripper's limits, commands, measurements and setpoints are: plain, frozen data; SI units.

Guarantees: the records carry *what came*, non-finite values included, as all records do (ADR 2);
a setpoint is made by checkrein alone and is finite. `position` and `max_effort` are what
control_msgs/GripperCommand calls so: the width between the fingers [m] and the grasping force [N].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .records import Array, frozen_array

__all__ = ["CLOSED", "OPEN", "Gripper", "GripperCommand", "GripperSetpoint", "GripperState"]

OPEN, CLOSED = 1.0, 0.0  # positions of an `open_close` command


@dataclass(frozen=True, slots=True)
class Gripper:
    """The declared limits of one parallel gripper; it holds whenever the arm stops."""

    command: Literal["width", "open_close"]  # what a command's position is: [m], or OPEN and CLOSED
    min_width: float  # m, between the fingers
    max_width: float  # m
    max_speed: float  # m/s, of the commanded width
    max_force: float  # N, that the gripper is asked for
    width_error: float  # m: how far outside its range a width may be measured
    force_error: float  # N: how far above max_force a force may be measured
    force_required: bool  # whether a state without a measured force is a reason to stop
    on_stop: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True, eq=False)
class GripperCommand:
    """The gripper's part of a command: one position for a single row, (rows,) for a chunk.

    Of a `width` gripper [m], reached at the end of its row, linear in between, a single one held;
    of an `open_close` gripper OPEN or CLOSED, from the beginning of its row on.
    max_effort [N]: None asks for the declared max_force.
    """

    position: Array  # () or (rows,)
    max_effort: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", frozen_array(self.position, "gripper.position"))


@dataclass(frozen=True, slots=True)
class GripperState:
    """What was measured: the width [m], and the grasping force [N] where there is a sensor."""

    position: float
    effort: float | None = None


@dataclass(frozen=True, slots=True)
class GripperSetpoint:
    """Where the fingers are to be at the end of the tick, width [m], with at most max_effort [N].

    Until the next one they stay: whoever has no new one keeps sending this one.
    """

    position: float
    max_effort: float

"""The records that every part of checkrein shares; their arrays are float64 copies, read-only.

Guarantees:
- A record never aliases memory of its creator: arrays are copied, then frozen.
- `RobotState` and `Command` carry *what came*, non-finite values included. The filter judges them,
  because an exception in the caller's loop would leave the robot without a setpoint (ADR 2).
- `Setpoint` and `StopMotion` are made by checkrein alone and are finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .gripper import GripperCommand, GripperSetpoint, GripperState
    from .obstacles import Obstacles

__all__ = [
    "MODES",
    "TCP_MODES",
    "Array",
    "Candidates",
    "Command",
    "Executed",
    "Mode",
    "RobotState",
    "Setpoint",
    "StopMotion",
    "TrackedObject",
    "frozen_array",
]


Array = npt.NDArray[np.float64]
Mode = Literal["joint_position", "joint_velocity", "joint_delta", "tcp_twist", "tcp_delta"]
MODES: tuple[Mode, ...] = (
    "joint_position",
    "joint_velocity",
    "joint_delta",
    "tcp_twist",
    "tcp_delta",
)
TCP_MODES: tuple[Mode, ...] = ("tcp_twist", "tcp_delta")  # rows of TCP_WIDTH, whatever the robot
TCP_WIDTH = 6
COMMAND_ROWS_MAX = 1024


def frozen_array(values: Any, name: str) -> Array:
    """Copy `values` into a read-only float64 array; raise ValueError that names the field."""
    try:
        array = np.array(values, dtype=np.float64, order="C", copy=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers, got {values!r}") from error
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True)
class Executed:
    """What the robot-side agent last played: setpoint `seq`, and how many ticks of its stop."""

    seq: int
    stop_tick: int


@dataclass(frozen=True, slots=True, eq=False)
class TrackedObject:
    """A body that perception tracks. `pose` is (7,) [m] xyz then quaternion xyzw, world frame."""

    name: str
    pose: Array  # (7,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pose", frozen_array(self.pose, "objects.pose"))


@dataclass(frozen=True, slots=True, eq=False)
class RobotState:
    """One measurement of the robot.

    q (n,) [rad or m], dq (n,) [rad/s or m/s], tau and tau_ext (n,) [N·m or N],
    wrench_tcp (6,) [N, N·m] force then torque that the environment exerts on the TCP, world frame,
    stamp_ns: when it was measured, on the monotonic clock of the receiver; obstacles: the newest
    cloud, the same record as long as there is no newer one, or None, which is no news either;
    gripper: its width and force, where one is declared.
    """

    q: Array  # (n,)
    dq: Array  # (n,)
    stamp_ns: int
    tau: Array | None = None
    tau_ext: Array | None = None
    wrench_tcp: Array | None = None
    executed: Executed | None = None
    objects: tuple[TrackedObject, ...] = ()
    humans: tuple[TrackedObject, ...] = ()
    obstacles: Obstacles | None = None
    gripper: GripperState | None = None

    def __post_init__(self) -> None:
        for name in ("q", "dq", "tau", "tau_ext", "wrench_tcp"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, frozen_array(value, name))


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """What the policy proposes: one row (n,), or a chunk (rows, n) with `period_ms` between rows.

    Row i is reached (i + 1) · period_ms after the command is accepted:
    `joint_position` [rad or m] and `joint_velocity` [rad/s or m/s] are interpolated linearly
    between rows; `joint_delta` [rad or m] is the displacement made during row i, at constant speed.
    Rows of the TCP's modes are (6,), linear then angular, axes of the base frame: `tcp_twist` [m/s,
    rad/s], interpolated as joint velocities are; `tcp_delta` [m, rotation vector in rad], the TCP's
    displacement during row i, at constant speed.
    A single row is held until `valid_ms` (default and at most: the limits' `command_timeout_ms`) is
    over, a chunk until its last row; then the certified stop runs. `seq` grows within a session.
    `gripper` is what the gripper does meanwhile; without it the gripper holds.
    """

    mode: Mode
    values: Array  # (n,) or (rows, n); TCP modes: (6,) or (rows, 6)
    seq: int
    stamp_ns: int
    valid_ms: float | None = None
    period_ms: float | None = None
    gripper: GripperCommand | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen_array(self.values, "values"))


Candidates = Command | tuple[Command, ...] | list[Command] | None


@dataclass(frozen=True, slots=True, eq=False)
class StopMotion:
    """A complete braking motion to rest: constant-jerk segments per joint, in whole ticks.

    It starts at q, dq, ddq (n,), the end of the setpoint that carries it. Joint i first spends
    ticks[i, 0] ticks at jerk[i, 0], and so on; then it rests exactly (dq = ddq = 0).
    """

    q: Array  # (n,)
    dq: Array  # (n,)
    ddq: Array  # (n,)
    ticks: npt.NDArray[np.int64]  # (n, segments)
    jerk: Array  # (n, segments)
    period_s: float

    @property
    def ticks_total(self) -> int:
        """Ticks until every joint rests."""
        return int(self.ticks.sum(axis=1).max(initial=0))

    def sample(self, tick: int) -> tuple[Array, Array, Array]:
        """(q, dq, ddq), each (n,), after `tick` ticks of the stop; at rest from ticks_total on."""
        n, segments = self.ticks.shape
        period = self.period_s
        out_q, out_dq, out_ddq = np.empty(n), np.empty(n), np.empty(n)
        for i in range(n):
            q, dq, ddq = float(self.q[i]), float(self.dq[i]), float(self.ddq[i])
            left, moving = tick, False
            for s in range(segments):
                run = min(left, int(self.ticks[i, s]))
                t, j = run * period, float(self.jerk[i, s])
                q = q + dq * t + ddq * t * t / 2.0 + j * t * t * t / 6.0
                dq = dq + ddq * t + j * t * t / 2.0
                ddq = ddq + j * t
                left -= run
                if run < int(self.ticks[i, s]):
                    moving = True
                    break
            # All segments over: the profile rests by construction, what is left is rounding.
            out_q[i], out_dq[i], out_ddq[i] = (q, dq, ddq) if moving else (q, 0.0, 0.0)
        return out_q, out_dq, out_ddq


@dataclass(frozen=True, slots=True, eq=False)
class Setpoint:
    """The motion for the next tick: where it ends, and the certified stop from there.

    q, dq, ddq (n,) hold at the end of the tick; in between the motion is the cubic of constant
    jerk. tau (n,) [N·m] is only given in torque mode. gripper: None asks nothing of it, so that it
    stays as it is; a stop never changes it.
    """

    q: Array  # (n,)
    dq: Array  # (n,)
    ddq: Array  # (n,)
    stop: StopMotion
    tau: Array | None = None
    gripper: GripperSetpoint | None = None


class OnViolation(StrEnum):
    """What a limit does with a proposal that violates it."""

    CLAMP = "clamp"
    REFUSE = "refuse"

"""The gripper's records on the wire and in the audit; absent where there is no gripper.

Guarantees: every bit survives; what a robot would play is finite and not negative in its force.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from ..limits.gripper import GripperCommand, GripperSetpoint, GripperState
from .errors import RemoteError

__all__ = [
    "GripperCommandWire",
    "GripperSetpointWire",
    "GripperStateWire",
    "pack_gripper_command",
    "pack_gripper_setpoint",
    "pack_gripper_state",
    "unpack_gripper_command",
    "unpack_gripper_setpoint",
    "unpack_gripper_state",
]

NUMBER = np.dtype("<f8")
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class GripperStateWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measured width [m] and force [N]."""

    position: float
    effort: float | None


class GripperCommandWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a policy asks of the gripper, whatever its shape."""

    position: bytes
    shape: Annotated[tuple[Count, ...], msgspec.Meta(max_length=2)]
    max_effort: float | None


class GripperSetpointWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the fingers are to be [m], with which force at most [N]."""

    position: float
    max_effort: float


def pack_gripper_state(state: GripperState | None) -> GripperStateWire | None:
    """A measurement, as it is."""
    return None if state is None else GripperStateWire(state.position, state.effort)


def unpack_gripper_state(wire: GripperStateWire | None) -> GripperState | None:
    """A measurement; the filter judges whether it is finite."""
    return None if wire is None else GripperState(wire.position, wire.effort)


def pack_gripper_command(command: GripperCommand | None) -> GripperCommandWire | None:
    """A command's part, as it is."""
    if command is None:
        return None
    position = command.position
    return GripperCommandWire(position.astype(NUMBER).tobytes(), position.shape, command.max_effort)


def unpack_gripper_command(wire: GripperCommandWire | None) -> GripperCommand | None:
    """A command's part: its positions fill the shape that it claims."""
    if wire is None:
        return None
    expected = 8 * math.prod(wire.shape)
    if len(wire.position) != expected:
        raise RemoteError(
            f"gripper.position: {len(wire.position)} bytes, expected {expected} for shape "
            f"{wire.shape}"
        )
    position = np.frombuffer(wire.position, dtype=NUMBER).reshape(wire.shape)
    return GripperCommand(position, wire.max_effort)


def pack_gripper_setpoint(setpoint: GripperSetpoint | None) -> GripperSetpointWire | None:
    """A setpoint's part."""
    if setpoint is None:
        return None
    return GripperSetpointWire(setpoint.position, setpoint.max_effort)


def unpack_gripper_setpoint(wire: GripperSetpointWire | None) -> GripperSetpoint | None:
    """A setpoint's part; RemoteError for what no robot may play."""
    if wire is None:
        return None
    if not (math.isfinite(wire.position) and 0.0 <= wire.max_effort < math.inf):
        raise RemoteError(
            f"gripper: position {wire.position} m with max_effort {wire.max_effort} N; a robot "
            "never plays such a value"
        )
    return GripperSetpoint(wire.position, wire.max_effort)

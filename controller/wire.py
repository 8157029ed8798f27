"""How the shared records look on the wire and in the audit: msgpack maps, arrays as bytes.

Guarantees:
- Unknown fields, unknown modes and arrays of another length than they claim raise RemoteError.
- Arrays are little-endian float64, so every bit survives: encoding what was decoded gives the
  same bytes (the audit's replay compares them).
- A policy's values and a measured state may be non-finite, and a policy's values may be too few:
  the filter judges those and refuses. What a robot would play must be finite.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
import numpy as np

from ..limits.obstacles import POINTS_MAX, Obstacles
from ..limits.records import (
    Array,
    Command,
    Executed,
    Mode,
    RobotState,
    Setpoint,
    StopMotion,
    TrackedObject,
)
from .errors import RemoteError
from .gripper_wire import (
    GripperCommandWire,
    GripperSetpointWire,
    GripperStateWire,
    pack_gripper_command,
    pack_gripper_setpoint,
    pack_gripper_state,
    unpack_gripper_command,
    unpack_gripper_setpoint,
    unpack_gripper_state,
)

__all__ = [
    "CommandWire",
    "Count",
    "ExecutedWire",
    "Integer",
    "ObjectWire",
    "ObstaclesWire",
    "SetpointWire",
    "StateWire",
    "pack_array",
    "pack_command",
    "pack_executed",
    "pack_setpoint",
    "pack_state",
    "unpack_array",
    "unpack_command",
    "unpack_executed",
    "unpack_setpoint",
    "unpack_state",
]

OBJECTS_MAX = 256
SEGMENTS_MAX = 16
STOP_TICKS_MAX = 1_000_000
DIMENSIONS_MAX = 3
LITTLE_ENDIAN = np.dtype("<f8")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=256)]
Objects = Annotated[tuple["ObjectWire", ...], msgspec.Meta(max_length=OBJECTS_MAX)]
Shape = Annotated[tuple[Count, ...], msgspec.Meta(max_length=DIMENSIONS_MAX)]


class ObjectWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tracked body."""

    name: Name
    pose: bytes


class ExecutedWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which setpoint, and which tick of its stop."""

    seq: Integer
    stop_tick: Count


class ObstaclesWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What perception sees, whatever its shape."""

    points: bytes
    shape: Shape
    radius_m: bytes
    speed_m_s: bytes | None
    stamp_ns: Integer


class StateWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A measured state."""

    q: bytes
    dq: bytes
    stamp_ns: Integer
    tau: bytes | None
    tau_ext: bytes | None
    wrench_tcp: bytes | None
    executed: ExecutedWire | None
    objects: Objects
    humans: Objects
    obstacles: bytes | None  # what came before there was `cloud`: points that nothing vouches for
    obstacles_shape: Shape
    cloud: ObstaclesWire | None = None
    gripper: GripperStateWire | None = None


class CommandWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One candidate of a policy, whatever its shape."""

    mode: Mode
    values: bytes
    shape: Shape
    seq: Integer
    stamp_ns: Integer
    valid_ms: float | None
    period_ms: float | None
    gripper: GripperCommandWire | None = None


class SetpointWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The end of the next tick, and the stop that starts there."""

    q: bytes
    dq: bytes
    ddq: bytes
    tau: bytes | None
    stop_ticks: bytes  # (n, segments) int32
    stop_jerk: bytes  # (n, segments)
    period_s: float
    gripper: GripperSetpointWire | None = None


def pack_array(array: Array) -> bytes:
    """Little-endian float64 bytes, C order."""
    if array.dtype != LITTLE_ENDIAN:
        array = array.astype(LITTLE_ENDIAN)
    return array.tobytes()


def unpack_array(data: bytes, shape: tuple[int, ...], name: str, *, finite: bool = False) -> Array:
    """Read an array of exactly `shape`; RemoteError that names the field otherwise."""
    expected = 8 * math.prod(shape)
    if len(data) != expected:
        raise RemoteError(f"{name}: {len(data)} bytes, expected {expected} for shape {shape}")
    array: Array = np.frombuffer(data, dtype=LITTLE_ENDIAN)
    if finite and np.count_nonzero(np.isfinite(array)) != array.size:
        raise RemoteError(f"{name}: not finite; a robot never plays such a value")
    return array if len(shape) == 1 else array.reshape(shape)


def _pack_optional(array: Array | None) -> bytes | None:
    return None if array is None else pack_array(array)


def _unpack_optional(
    data: bytes | None, shape: tuple[int, ...], name: str, *, finite: bool = False
) -> Array | None:
    return None if data is None else unpack_array(data, shape, name, finite=finite)


def pack_executed(executed: Executed | None) -> ExecutedWire | None:
    """`executed` for the wire."""
    return None if executed is None else ExecutedWire(executed.seq, executed.stop_tick)


def unpack_executed(wire: ExecutedWire | None) -> Executed | None:
    """`executed` from the wire."""
    return None if wire is None else Executed(seq=wire.seq, stop_tick=wire.stop_tick)


def _pack_objects(objects: tuple[TrackedObject, ...]) -> tuple[ObjectWire, ...]:
    return tuple(ObjectWire(o.name, pack_array(o.pose)) for o in objects)


def _unpack_objects(wires: tuple[ObjectWire, ...], name: str) -> tuple[TrackedObject, ...]:
    return tuple(
        TrackedObject(name=w.name, pose=unpack_array(w.pose, (7,), f"{name}.pose")) for w in wires
    )


def _pack_cloud(obstacles: Obstacles | None) -> ObstaclesWire | None:
    if obstacles is None:
        return None
    return ObstaclesWire(
        points=pack_array(obstacles.points),
        shape=obstacles.points.shape,
        radius_m=pack_array(obstacles.radius_m),
        speed_m_s=_pack_optional(obstacles.speed_m_s),
        stamp_ns=obstacles.stamp_ns,
    )


def _numbers(data: bytes, name: str) -> Array:
    """As many as there are; the filter says whether that is right."""
    return unpack_array(data, (len(data) // 8,), name)


def _unpack_cloud(wire: StateWire) -> Obstacles | None:
    cloud, shape = wire.cloud, wire.obstacles_shape if wire.cloud is None else wire.cloud.shape
    if not (len(shape) == 0 or shape[0] <= POINTS_MAX):
        raise RemoteError(f"obstacles: shape {shape}, at most {POINTS_MAX} rows")
    if cloud is None:
        if wire.obstacles is None:
            return None
        points = unpack_array(wire.obstacles, shape, "obstacles")
        return Obstacles(points, np.zeros(0), wire.stamp_ns)
    return Obstacles(
        unpack_array(cloud.points, shape, "obstacles.points"),
        _numbers(cloud.radius_m, "obstacles.radius_m"),
        cloud.stamp_ns,
        None if cloud.speed_m_s is None else _numbers(cloud.speed_m_s, "obstacles.speed_m_s"),
    )


def pack_state(state: RobotState, *, with_obstacles: bool = True) -> StateWire:
    """A measured state for the wire; its obstacles may be left out where they are no news."""
    return StateWire(
        q=pack_array(state.q),
        dq=pack_array(state.dq),
        stamp_ns=state.stamp_ns,
        tau=_pack_optional(state.tau),
        tau_ext=_pack_optional(state.tau_ext),
        wrench_tcp=_pack_optional(state.wrench_tcp),
        executed=pack_executed(state.executed),
        objects=_pack_objects(state.objects),
        humans=_pack_objects(state.humans),
        obstacles=None,
        obstacles_shape=(),
        cloud=_pack_cloud(state.obstacles) if with_obstacles else None,
        gripper=pack_gripper_state(state.gripper),
    )


def unpack_state(wire: StateWire, joints: int) -> RobotState:
    """A measured state from the wire; its numbers may be non-finite, its lengths are right."""
    n = (joints,)
    return RobotState(
        q=unpack_array(wire.q, n, "q"),
        dq=unpack_array(wire.dq, n, "dq"),
        stamp_ns=wire.stamp_ns,
        tau=_unpack_optional(wire.tau, n, "tau"),
        tau_ext=_unpack_optional(wire.tau_ext, n, "tau_ext"),
        wrench_tcp=_unpack_optional(wire.wrench_tcp, (6,), "wrench_tcp"),
        executed=unpack_executed(wire.executed),
        objects=_unpack_objects(wire.objects, "objects"),
        humans=_unpack_objects(wire.humans, "humans"),
        obstacles=_unpack_cloud(wire),
        gripper=unpack_gripper_state(wire.gripper),
    )


def pack_command(command: Command) -> CommandWire:
    """A candidate for the wire, as it is."""
    return CommandWire(
        mode=command.mode,
        values=pack_array(command.values),
        shape=command.values.shape,
        seq=command.seq,
        stamp_ns=command.stamp_ns,
        valid_ms=command.valid_ms,
        period_ms=command.period_ms,
        gripper=pack_gripper_command(command.gripper),
    )


def unpack_command(wire: CommandWire) -> Command:
    """A candidate from the wire: its values fill the shape that it claims."""
    return Command(
        mode=wire.mode,
        values=unpack_array(wire.values, wire.shape, "values"),
        seq=wire.seq,
        stamp_ns=wire.stamp_ns,
        valid_ms=wire.valid_ms,
        period_ms=wire.period_ms,
        gripper=unpack_gripper_command(wire.gripper),
    )


def pack_setpoint(setpoint: Setpoint) -> SetpointWire:
    """A setpoint with its complete stop; the stop must start where the setpoint ends."""
    stop = setpoint.stop
    for name in ("q", "dq", "ddq"):
        mine, its = getattr(setpoint, name), getattr(stop, name)
        if mine is not its and not np.array_equal(mine, its):
            raise ValueError(f"stop.{name}: the stop does not start at the end of its setpoint")
    return SetpointWire(
        q=pack_array(setpoint.q),
        dq=pack_array(setpoint.dq),
        ddq=pack_array(setpoint.ddq),
        tau=_pack_optional(setpoint.tau),
        stop_ticks=np.ascontiguousarray(stop.ticks, dtype="<i4").tobytes(),
        stop_jerk=pack_array(stop.jerk),
        period_s=stop.period_s,
        gripper=pack_gripper_setpoint(setpoint.gripper),
    )


def _unpack_ticks(wire: SetpointWire, joints: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    width = 4 * joints
    segments, rest = divmod(len(wire.stop_ticks), width)
    if rest != 0 or not (segments <= SEGMENTS_MAX):
        raise RemoteError(
            f"stop_ticks: {len(wire.stop_ticks)} bytes, expected a multiple of {width} "
            f"for {joints} joints, at most {SEGMENTS_MAX} segments"
        )
    ticks = np.frombuffer(wire.stop_ticks, dtype="<i4").astype(np.int64).reshape(joints, segments)
    if not bool((ticks >= 0).all() and ticks.sum() <= STOP_TICKS_MAX):
        raise RemoteError(f"stop_ticks: negative, or more than {STOP_TICKS_MAX} ticks in all")
    ticks.setflags(write=False)
    return ticks


def unpack_setpoint(wire: SetpointWire, joints: int) -> Setpoint:
    """A setpoint from the wire: finite, every length right, the stop attached to its end."""
    n = (joints,)
    q = unpack_array(wire.q, n, "q", finite=True)
    dq = unpack_array(wire.dq, n, "dq", finite=True)
    ddq = unpack_array(wire.ddq, n, "ddq", finite=True)
    ticks = _unpack_ticks(wire, joints)
    jerk = unpack_array(wire.stop_jerk, ticks.shape, "stop_jerk", finite=True)
    if not (0.0 < wire.period_s <= 1.0):
        raise RemoteError(f"period_s: {wire.period_s} s is not in (0, 1] s")
    stop = StopMotion(q=q, dq=dq, ddq=ddq, ticks=ticks, jerk=jerk, period_s=wire.period_s)
    tau = _unpack_optional(wire.tau, n, "tau", finite=True)
    gripper = unpack_gripper_setpoint(wire.gripper)
    return Setpoint(q=q, dq=dq, ddq=ddq, stop=stop, tau=tau, gripper=gripper)

"""The frames between processes: a msgpack map each, `format` first, checked before it is believed.

    robot -> controller    hello, state, reset, bye
    controller -> robot    welcome, arm, setpoint, nothing, bye
    policy -> controller   hello, proposal, bye
    controller -> policy   welcome, state, decision, bye

Guarantees:
- A frame that is too large, not msgpack, of a newer format, of a kind that its receiver does not
  expect, or has unknown, missing, mistyped or wrongly sized fields raises RemoteError, whole.
- Nothing that is decoded can run code: msgpack of declared types, no pickle (trap 21).
- Whatever a robot would play is finite. A policy's values are passed on as they came: the filter
  refuses what is non-finite or of a wrong length, with a finding.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from ..limits.records import Array, Command, Executed, RobotState, Setpoint
from .errors import NewerFormatError, RemoteError
from .wire import (
    CommandWire,
    Count,
    ExecutedWire,
    Integer,
    SetpointWire,
    StateWire,
    pack_array,
    pack_command,
    pack_setpoint,
    pack_state,
    unpack_array,
    unpack_command,
    unpack_setpoint,
    unpack_state,
)

__all__ = [
    "FORMAT",
    "FRAME_BYTES_MAX",
    "ArmFrame",
    "ByeFrame",
    "Category",
    "Frame",
    "HelloFrame",
    "NothingFrame",
    "ProposalFrame",
    "ResetFrame",
    "Role",
    "SetpointFrame",
    "StateFrame",
    "WelcomeFrame",
    "decode",
    "encode",
    "encode_setpoint",
    "new_token",
    "read_kind",
]

FORMAT = 1
FRAME_BYTES_MAX = 1 << 20
CANDIDATES_MAX = 64
JOINTS_MAX = 64

Session = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Text = Annotated[str, msgspec.Meta(max_length=1024)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Joints = Annotated[int, msgspec.Meta(ge=1, le=JOINTS_MAX)]
Ticks = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Role = Literal["policy", "robot"]
Category = Literal["none", "cat2", "cat1", "cat0"]


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: int = FORMAT


class _Head(msgspec.Struct, frozen=True):
    """What is read before anything else is believed; other fields are skipped unread."""

    format: int
    kind: str


class HelloFrame(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A peer introduces itself. A robot says hello again whenever its world starts anew."""

    kind: Literal["hello"] = "hello"
    greeting: Session  # repeated until it is answered: the same one is the same hello
    role: Role
    name: Text
    joints: Joints | None = None  # a robot must say; a policy need not know
    limits_sha256: Digest | None = None


class WelcomeFrame(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The controller's answer: the session that all later frames belong to."""

    kind: Literal["welcome"] = "welcome"
    greeting: Session  # of the hello that it answers; of the robot's, if the robot said it
    session: Session
    run: Count  # counts the robot's hellos: a policy starts its episode anew
    limits_name: Text
    limits_sha256: Digest
    joints: Joints
    period_s: float
    watchdog_ms: float
    lockstep: bool


class ResetFrame(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operator, who stands at the robot, allows motion from rest: a policy cannot say this."""

    kind: Literal["reset"] = "reset"
    session: Session
    recover: bool = False  # also from where links are too near to something, to lead them away


class NothingFrame(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The controller has no setpoint for tick `tick`: no need to wait for one."""

    kind: Literal["nothing"] = "nothing"
    session: Session
    tick: Count


class ByeFrame(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sender goes; there is nothing to wait for."""

    kind: Literal["bye"] = "bye"
    reason: Text


@dataclass(frozen=True, slots=True, eq=False)
class StateFrame:
    """A measured state, before tick `tick` is played; `now_ns` is the controller's time base."""

    session: str
    seq: int
    tick: int
    now_ns: int
    state: RobotState


@dataclass(frozen=True, slots=True, eq=False)
class SetpointFrame:
    """The motion of tick `tick` with its complete stop.

    Valid for the ticks [tick, tick + valid_ticks), and only if the robot last played exactly
    `continues_from`.
    """

    session: str
    seq: int
    tick: int
    valid_ticks: int
    continues_from: Executed
    setpoint: Setpoint
    category: Category  # what the stop ends in, once it was decided
    latched: bool  # the controller will send no motion until it is reset and armed


@dataclass(frozen=True, slots=True, eq=False)
class ArmFrame:
    """Start, at rest, from the measured position q (n,) [rad or m] of tick `tick`."""

    session: str
    seq: int
    tick: int
    q: Array  # (n,)


@dataclass(frozen=True, slots=True, eq=False)
class ProposalFrame:
    """A policy's answer to the state of tick `tick`; None: nothing new."""

    session: str
    seq: int
    tick: int
    candidates: tuple[Command, ...] | None


class _StateWire(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: Literal["state"] = "state"
    session: Session
    seq: Count
    tick: Count
    now_ns: Integer
    state: StateWire


class _SetpointWire(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: Literal["setpoint"] = "setpoint"
    session: Session
    seq: Count
    tick: Count
    valid_ticks: Ticks
    continues_from: ExecutedWire
    setpoint: SetpointWire
    category: Category
    latched: bool


class _ArmWire(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: Literal["arm"] = "arm"
    session: Session
    seq: Count
    tick: Count
    q: bytes


class _ProposalWire(_Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    kind: Literal["proposal"] = "proposal"
    session: Session
    seq: Count
    tick: Count
    candidates: Annotated[tuple[CommandWire, ...], msgspec.Meta(max_length=CANDIDATES_MAX)] | None


Frame = (
    HelloFrame
    | WelcomeFrame
    | ResetFrame
    | NothingFrame
    | ByeFrame
    | StateFrame
    | SetpointFrame
    | ArmFrame
    | ProposalFrame
)


def _state_to_wire(frame: StateFrame) -> _StateWire:
    return _StateWire(
        session=frame.session,
        seq=frame.seq,
        tick=frame.tick,
        now_ns=frame.now_ns,
        state=pack_state(frame.state),
    )


def _state_from_wire(wire: _StateWire, joints: int) -> StateFrame:
    return StateFrame(
        session=wire.session,
        seq=wire.seq,
        tick=wire.tick,
        now_ns=wire.now_ns,
        state=unpack_state(wire.state, joints),
    )


def _setpoint_to_wire(frame: SetpointFrame, packed: SetpointWire | None = None) -> _SetpointWire:
    return _SetpointWire(
        session=frame.session,
        seq=frame.seq,
        tick=frame.tick,
        valid_ticks=frame.valid_ticks,
        continues_from=ExecutedWire(frame.continues_from.seq, frame.continues_from.stop_tick),
        setpoint=packed or pack_setpoint(frame.setpoint),
        category=frame.category,
        latched=frame.latched,
    )


def _setpoint_from_wire(wire: _SetpointWire, joints: int) -> SetpointFrame:
    from_ = wire.continues_from
    return SetpointFrame(
        session=wire.session,
        seq=wire.seq,
        tick=wire.tick,
        valid_ticks=wire.valid_ticks,
        continues_from=Executed(seq=from_.seq, stop_tick=from_.stop_tick),
        setpoint=unpack_setpoint(wire.setpoint, joints),
        category=wire.category,
        latched=wire.latched,
    )


def _arm_to_wire(frame: ArmFrame) -> _ArmWire:
    return _ArmWire(session=frame.session, seq=frame.seq, tick=frame.tick, q=pack_array(frame.q))


def _arm_from_wire(wire: _ArmWire, joints: int) -> ArmFrame:
    q = unpack_array(wire.q, (joints,), "q", finite=True)
    return ArmFrame(session=wire.session, seq=wire.seq, tick=wire.tick, q=q)


def _proposal_to_wire(frame: ProposalFrame) -> _ProposalWire:
    candidates = frame.candidates
    return _ProposalWire(
        session=frame.session,
        seq=frame.seq,
        tick=frame.tick,
        candidates=None if candidates is None else tuple(pack_command(c) for c in candidates),
    )


def _proposal_from_wire(wire: _ProposalWire, joints: int) -> ProposalFrame:
    candidates = wire.candidates
    return ProposalFrame(
        session=wire.session,
        seq=wire.seq,
        tick=wire.tick,
        candidates=None if candidates is None else tuple(unpack_command(c) for c in candidates),
    )


def _same(wire: Any, joints: int) -> Any:
    return wire


_TO_WIRE: dict[type, Callable[[Any], msgspec.Struct]] = {
    StateFrame: _state_to_wire,
    SetpointFrame: _setpoint_to_wire,
    ArmFrame: _arm_to_wire,
    ProposalFrame: _proposal_to_wire,
}
_FROM_WIRE: dict[str, tuple[msgspec.msgpack.Decoder[Any], Callable[[Any, int], Frame]]] = {
    "hello": (msgspec.msgpack.Decoder(HelloFrame), _same),
    "welcome": (msgspec.msgpack.Decoder(WelcomeFrame), _same),
    "reset": (msgspec.msgpack.Decoder(ResetFrame), _same),
    "nothing": (msgspec.msgpack.Decoder(NothingFrame), _same),
    "bye": (msgspec.msgpack.Decoder(ByeFrame), _same),
    "state": (msgspec.msgpack.Decoder(_StateWire), _state_from_wire),
    "setpoint": (msgspec.msgpack.Decoder(_SetpointWire), _setpoint_from_wire),
    "arm": (msgspec.msgpack.Decoder(_ArmWire), _arm_from_wire),
    "proposal": (msgspec.msgpack.Decoder(_ProposalWire), _proposal_from_wire),
}
_ENCODER = msgspec.msgpack.Encoder()
_HEAD = msgspec.msgpack.Decoder(_Head)


def new_token() -> str:
    """A session or a greeting that nobody has used before."""
    return secrets.token_hex(8)


def encode_setpoint(frame: SetpointFrame, packed: SetpointWire) -> bytes:
    """The bytes of a setpoint frame whose setpoint was packed already."""
    return _ENCODER.encode(_setpoint_to_wire(frame, packed))


def encode(frame: Frame) -> bytes:
    """The bytes of a frame."""
    to_wire = _TO_WIRE.get(type(frame))
    return _ENCODER.encode(frame if to_wire is None else to_wire(frame))


def read_kind(data: bytes) -> str:
    """The kind that a frame says it is, once its size and its format are known to be ours."""
    if not (len(data) <= FRAME_BYTES_MAX):
        raise RemoteError(f"frame: {len(data)} bytes, at most {FRAME_BYTES_MAX}")
    try:
        head = _HEAD.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RemoteError(f"frame: {error}") from None
    if head.format > FORMAT:
        raise NewerFormatError(theirs=head.format, ours=FORMAT)
    if head.format != FORMAT:
        raise RemoteError(f"format: the frame has format {head.format}, expected {FORMAT}")
    return head.kind


def decode(data: bytes, *, joints: int, kinds: Collection[str]) -> Frame:
    """The frame in `data`, if it is one of `kinds` and fits `joints`; RemoteError otherwise."""
    kind = read_kind(data)
    if kind not in kinds or kind not in _FROM_WIRE:
        raise RemoteError(f"kind: {kind!r} is not among {', '.join(sorted(kinds))}")
    decoder, from_wire = _FROM_WIRE[kind]
    try:
        return from_wire(decoder.decode(data), joints)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise RemoteError(f"{kind}: {error}") from None

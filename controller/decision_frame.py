"""Decisions on the wire and in the audit: every field of the record, bit for bit.

Guarantees:
- Encoding is deterministic, and encoding what was decoded gives the same bytes; so two decisions
  are the same if and only if their bytes are. Replay compares these bytes.
- Nothing of the record is left out: whoever reads the frame has the decision, not a summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from ..limits.records import Setpoint
from .decision import Decision, Finding, Outcome, StopCategory, StopStatus
from .errors import RemoteError
from .frames import FORMAT, read_kind
from .wire import Count, ExecutedWire, Integer, SetpointWire, pack_setpoint, unpack_setpoint

__all__ = ["DecisionFrame", "decode_decision", "encode_decision"]

FINDINGS_MAX = 4096
SCORES_MAX = 4096


class _FindingWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: str
    subject: str
    value: float
    bound: float
    unit: str
    margin: float


class _StopWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phase: str
    latched: bool
    category: StopCategory
    cause: str | None
    rest_in_ticks: Count


class _DecisionWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: int = FORMAT
    kind: Literal["decision"] = "decision"
    session: str
    tick: Count
    outcome: Outcome
    setpoint: SetpointWire
    findings: Annotated[tuple[_FindingWire, ...], msgspec.Meta(max_length=FINDINGS_MAX)]
    scores: Annotated[tuple[float, ...], msgspec.Meta(max_length=SCORES_MAX)]
    stop_state: _StopWire
    seq: Integer
    continues: ExecutedWire
    stop_tick: Count
    accepted: Integer | None
    command_seq: Integer | None
    resample: bool
    now_ns: Integer
    limits_sha256: str
    classifier_sha256: str | None
    error: str | None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_DecisionWire)


@dataclass(frozen=True, slots=True, eq=False)
class DecisionFrame:
    """The decision on the state of tick `tick`."""

    session: str
    tick: int
    decision: Decision


def encode_decision(
    session: str, tick: int, decision: Decision, packed: SetpointWire | None = None
) -> bytes:
    """The bytes of a decision; `packed`: its setpoint, if it was packed already."""
    d, stop = decision, decision.stop_state
    wire = _DecisionWire(
        session=session,
        tick=tick,
        outcome=d.outcome,
        setpoint=packed or pack_setpoint(d.setpoint),
        findings=tuple(
            _FindingWire(f.limit, f.subject, f.value, f.bound, f.unit, f.margin) for f in d.findings
        ),
        scores=d.scores,
        stop_state=_StopWire(
            stop.phase, stop.latched, stop.category, stop.cause, stop.rest_in_ticks
        ),
        seq=d.seq,
        continues=ExecutedWire(*d.continues),
        stop_tick=d.stop_tick,
        accepted=d.accepted,
        command_seq=d.command_seq,
        resample=d.resample,
        now_ns=d.now_ns,
        limits_sha256=d.limits_sha256,
        classifier_sha256=d.classifier_sha256,
        error=d.error,
    )
    return _ENCODER.encode(wire)


def decode_decision(data: bytes, *, joints: int) -> DecisionFrame:
    """The decision in `data`; RemoteError if it is none, or does not fit `joints`."""
    kind = read_kind(data)
    if kind != "decision":
        raise RemoteError(f"kind: {kind!r} is not a decision")
    try:
        wire = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteError(f"decision: {error}") from None
    return DecisionFrame(wire.session, wire.tick, _decision(wire, joints))


def _decision(wire: _DecisionWire, joints: int) -> Decision:
    stop = wire.stop_state
    setpoint: Setpoint = unpack_setpoint(wire.setpoint, joints)
    return Decision(
        outcome=wire.outcome,
        setpoint=setpoint,
        findings=tuple(
            Finding(f.limit, f.subject, f.value, f.bound, f.unit, f.margin) for f in wire.findings
        ),
        scores=wire.scores,
        stop_state=StopStatus(
            stop.phase, stop.latched, stop.category, stop.cause, stop.rest_in_ticks
        ),
        seq=wire.seq,
        continues=(wire.continues.seq, wire.continues.stop_tick),
        stop_tick=wire.stop_tick,
        accepted=wire.accepted,
        command_seq=wire.command_seq,
        resample=wire.resample,
        now_ns=wire.now_ns,
        limits_sha256=wire.limits_sha256,
        classifier_sha256=wire.classifier_sha256,
        error=wire.error,
    )

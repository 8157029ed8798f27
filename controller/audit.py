"""Audit records: all inputs of each decision, the decision, and the hash of the record before.

    header, (start, (arm | decision | reset | change)*)*, close

Guarantees:
- A record holds everything that `SafetyFilter` was given (state, candidates, time; a cloud of
  obstacles once, when it is new, for no cloud is no news to the filter either) and the encoded
  decision with its scores, so that replaying the records derives every decision again, bit by bit.
- Each record names the SHA-256 of the bytes of the one before, so a record that is changed, left
  out, repeated or moved breaks the chain; without the closing record the file counts as truncated.
- Latencies are in the record, and in the chain, but not in what replay compares.
- `AuditLog.submit` never waits longer than it was told. Once one record could not be handed over,
  every later call fails too: the caller must not let anything move that is not recorded.

Whoever can rewrite the whole file can rewrite the chain; note the head's digest elsewhere.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import msgspec

from ..limits.declared import Limits
from ..limits.obstacles import Obstacles
from ..limits.records import Command, RobotState
from .errors import NewerFormatError, RemoteError
from .wire import CommandWire, Count, Integer, StateWire, pack_command, pack_state

__all__ = [
    "FORMAT",
    "AnyRecord",
    "ArmRecord",
    "AuditLog",
    "AuditRecord",
    "ChangeRecord",
    "CloseRecord",
    "DecisionRecord",
    "HeaderRecord",
    "ResetRecord",
    "StartRecord",
    "Submit",
    "decode_record",
    "record_digest",
]

FORMAT = 1
CHAIN_START = bytes(32)
WAIT_MS = 2000.0

Submit = Callable[[bytes, float], bool]  # (record, how long to wait for space [ms]) -> taken
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class AuditRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every record has; `previous` is the SHA-256 of the record before."""

    format: int = FORMAT
    index: Count
    previous: Digest
    now_ns: Integer


class HeaderRecord(
    AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
    tag="header",
):  # fmt: skip
    """Under which limits, and with which versions: replay is exact with the same ones."""

    limits_name: str
    limits_sha256: str
    classifier_sha256: str | None
    joints: Count
    period_s: float
    versions: dict[str, str]
    machine: str


class StartRecord(
    AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
    tag="start",
):  # fmt: skip
    """A robot said hello: a session begins, with a filter that remembers nothing."""

    session: str


class ArmRecord(
    AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="arm"
):
    """The filter was armed from this measured state."""

    session: str
    tick: Count
    state: StateWire
    recover: bool = False  # also from where links are too near to something


class DecisionRecord(
    AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
    tag="decision",
):  # fmt: skip
    """One decision. `rejected`: why the policy's frame was not one; it then stands as empty."""

    session: str
    tick: Count
    state: StateWire
    candidates: tuple[CommandWire, ...] | None
    rejected: str | None
    decision: bytes  # as decision_frame encodes it
    decide_ns: Count  # latency; not part of what replay compares


class ResetRecord(
    AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
    tag="reset",
):  # fmt: skip
    """The filter was reset: a latched stop was cleared, and by whom."""

    cause: str


class ChangeRecord(
    AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
    tag="change",
):  # fmt: skip
    """From here on other limits are in force, or another of their tools and payloads."""

    limits_name: str
    limits_sha256: str
    tool: str | None = None
    payload: str | None = None


class CloseRecord(
    AuditRecord, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind",
    tag="close",
):  # fmt: skip
    """The last record: nothing is missing behind it."""

    reason: str


AnyRecord = (
    HeaderRecord
    | StartRecord
    | ArmRecord
    | DecisionRecord
    | ResetRecord
    | ChangeRecord
    | CloseRecord
)


class _Head(msgspec.Struct, frozen=True):
    format: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(AnyRecord)
_HEAD = msgspec.msgpack.Decoder(_Head)


def record_digest(data: bytes) -> bytes:
    """What the next record must name as `previous`."""
    return hashlib.sha256(data).digest()


def decode_record(data: bytes) -> AnyRecord:
    """The record in `data`; RemoteError if it is none."""
    try:
        head = _HEAD.decode(data)
        if head.format > FORMAT:
            raise NewerFormatError(theirs=head.format, ours=FORMAT)
        record: AnyRecord = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteError(f"audit record: {error}") from None
    return record


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("checkrein", "numpy", "numba", "llvmlite", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


class AuditLog:
    """Builds the chain in the controller's process and hands each record to the writer's queue."""

    def __init__(self, submit: Submit, *, wait_ms: float = WAIT_MS) -> None:
        self._submit = submit
        self._wait_ms = wait_ms
        self._index = 0
        self._previous = CHAIN_START
        self._now_ns = 0
        self._obstacles: Obstacles | None = None  # recorded last: what has not changed is no news
        self.failed: str | None = None

    @property
    def records(self) -> int:
        """Records handed over so far."""
        return self._index

    @property
    def head_sha256(self) -> str:
        """The digest of the last record."""
        return self._previous.hex()

    def submit(self, record: AuditRecord) -> bool:
        """Hand one record over; False, for ever after, if the queue had no room."""
        if self.failed is not None:
            return False
        data = _ENCODER.encode(record)
        if not self._submit(data, self._wait_ms):
            self.failed = f"record {self._index} found no room in the audit queue"
            return False
        self._index += 1
        self._previous = record_digest(data)
        self._now_ns = record.now_ns
        return True

    def header(self, limits: Limits, *, now_ns: int = 0) -> bool:
        """The first record."""
        return self.submit(
            HeaderRecord(
                index=self._index,
                previous=self._previous,
                now_ns=now_ns,
                limits_name=limits.name,
                limits_sha256=limits.sha256,
                classifier_sha256=limits.classifier.sha256,
                joints=len(limits.joints),
                period_s=limits.period_s,
                versions=_versions(),
                machine=platform.machine(),
            )
        )

    def start(self, session: str, *, now_ns: int) -> bool:
        """A new session, and a filter made for it."""
        self._obstacles = None
        return self.submit(
            StartRecord(index=self._index, previous=self._previous, now_ns=now_ns, session=session)
        )

    def arm(
        self, session: str, tick: int, state: RobotState, *, now_ns: int, recover: bool = False
    ) -> bool:
        """The filter was armed."""
        self._obstacles = state.obstacles
        return self.submit(
            ArmRecord(
                index=self._index,
                previous=self._previous,
                now_ns=now_ns,
                session=session,
                tick=tick,
                state=pack_state(state),
                recover=recover,
            )
        )

    def decision(
        self,
        session: str,
        tick: int,
        state: RobotState,
        candidates: tuple[Command, ...] | None,
        decision: bytes,
        *,
        now_ns: int,
        rejected: str | None = None,
        decide_ns: int = 0,
    ) -> bool:
        """The filter decided; `decision` is what `encode_decision` gave."""
        is_news = state.obstacles is not None and state.obstacles is not self._obstacles
        if is_news:
            self._obstacles = state.obstacles
        return self.submit(
            DecisionRecord(
                index=self._index,
                previous=self._previous,
                now_ns=now_ns,
                session=session,
                tick=tick,
                state=pack_state(state, with_obstacles=is_news),
                candidates=None if candidates is None else tuple(map(pack_command, candidates)),
                rejected=rejected,
                decision=decision,
                decide_ns=decide_ns,
            )
        )

    def reset(self, cause: str, *, now_ns: int) -> bool:
        """The filter was reset."""
        return self.submit(
            ResetRecord(index=self._index, previous=self._previous, now_ns=now_ns, cause=cause)
        )

    def change(self, limits: Limits, *, now_ns: int) -> bool:
        """Other limits, or another tool or payload, are in force from the next decision on."""
        return self.submit(
            ChangeRecord(
                index=self._index,
                previous=self._previous,
                now_ns=now_ns,
                limits_name=limits.name,
                limits_sha256=limits.sha256,
                tool=limits.tool,
                payload=limits.payload,
            )
        )

    def close(self, reason: str) -> bool:
        """The last record."""
        return self.submit(
            CloseRecord(
                index=self._index, previous=self._previous, now_ns=self._now_ns, reason=reason
            )
        )

"""Reads and verifies audit files, with a parser of its own: it shares no code with the writer.

Guarantees:
- `verify` finds any changed byte, a record that was left out, repeated or moved, and a file that
  was cut: by the chain of digests, and by the container's checksums for the bytes around records.
- It says at which record; where a compressed chunk is damaged, the first one that is unreadable.
- It never raises on what a file contains, only if it cannot be read.
- Records are streamed: memory does not grow with the file.

The layout is that of MCAP 0 (https://mcap.dev/spec).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard

from .audit import CHAIN_START, AnyRecord, CloseRecord, HeaderRecord, decode_record, record_digest
from .errors import AuditFileError, RemoteError

__all__ = ["Problem", "Verification", "read_records", "verify"]

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(0x01, 0x09)
STATISTICS, SUMMARY_OFFSET, DATA_END = 0x0B, 0x0E, 0x0F
IN_DATA = frozenset({HEADER, CHUNK, MESSAGE_INDEX, DATA_END})
IN_CHUNK = frozenset({SCHEMA, CHANNEL, MESSAGE})
IN_SUMMARY = frozenset({SCHEMA, CHANNEL, CHUNK_INDEX, STATISTICS, SUMMARY_OFFSET, FOOTER})
FRAME = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
CHUNK_HEAD = struct.Struct("<QQQII")  # first and last time, size, checksum, length of "zstd"
FOOTER_BODY = struct.Struct("<QQI")
RECORD_BYTES_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and at which record; None: with the container around the records."""

    record: int | None
    what: str

    def __str__(self) -> str:
        where = "container" if self.record is None else f"record {self.record}"
        return f"{where}: {self.what}"


@dataclass(slots=True)
class Verification:
    """The result of `verify`; no problems: the file is whole and as it was written."""

    records: int = 0
    decisions: int = 0
    head_sha256: str = CHAIN_START.hex()
    header: HeaderRecord | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """Nothing was found."""
        return not self.problems


class _BrokenContainerError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Message:
    sequence: int
    log_time: int
    publish_time: int
    data: bytes


class _Container:
    """Walks the file once and yields its messages; `_BrokenContainerError` where it breaks."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._checksum = 0

    def messages(self) -> Iterator[_Message]:
        if self._take(len(MAGIC), "the magic number") != MAGIC:
            raise _BrokenContainerError("it does not begin as an MCAP file")
        if self._record(IN_DATA)[0] != HEADER:
            raise _BrokenContainerError("its first record is no header")
        while True:
            before = self._checksum
            opcode, body = self._record(IN_DATA)
            if opcode == CHUNK:
                yield from _messages_in(_decompress(body))
            elif opcode == DATA_END:
                if body != struct.pack("<I", before):
                    raise _BrokenContainerError("the checksum of the data section is wrong")
                break
        self._summary()

    def _summary(self) -> None:
        self._checksum = 0
        while True:
            before = self._checksum
            opcode, body = self._record(IN_SUMMARY)
            if opcode == FOOTER:
                break
        if len(body) != FOOTER_BODY.size:
            raise _BrokenContainerError("its footer has a wrong length")
        checksum = zlib.crc32(FRAME.pack(FOOTER, len(body)) + body[:-4], before)
        if body[-4:] != struct.pack("<I", checksum):
            raise _BrokenContainerError("the checksum of the summary is wrong")
        if self._stream.read() != MAGIC:
            raise _BrokenContainerError("it does not end as an MCAP file")

    def _record(self, allowed: frozenset[int]) -> tuple[int, bytes]:
        opcode, length = FRAME.unpack(self._take(FRAME.size, "a record"))
        if opcode not in allowed:
            raise _BrokenContainerError(f"unexpected record type {opcode:#04x}")
        if not (length <= RECORD_BYTES_MAX):
            raise _BrokenContainerError(f"a record claims {length} bytes")
        return opcode, self._take(length, "a record")

    def _take(self, count: int, what: str) -> bytes:
        data = self._stream.read(count)
        if len(data) != count:
            raise _BrokenContainerError(f"cut off within {what}")
        self._checksum = zlib.crc32(data, self._checksum)
        return data


def _decompress(body: bytes) -> bytes:
    """The records of a chunk, once its checksum is right."""
    if len(body) < CHUNK_HEAD.size + 12:
        raise _BrokenContainerError("a chunk is too short")
    _, _, size, checksum, name_length = CHUNK_HEAD.unpack_from(body)
    at = CHUNK_HEAD.size
    if name_length != 4 or body[at : at + 4] != b"zstd" or not (size <= RECORD_BYTES_MAX):
        raise _BrokenContainerError("a chunk is not compressed as expected")
    try:
        data = zstandard.ZstdDecompressor().decompress(body[at + 12 :], max_output_size=size)
    except zstandard.ZstdError as error:
        raise _BrokenContainerError(f"a chunk is damaged: {error}") from None
    if len(data) != size or zlib.crc32(data) != checksum:
        raise _BrokenContainerError("a chunk is damaged: its checksum is wrong")
    return data


def _messages_in(chunk: bytes) -> Iterator[_Message]:
    at = 0
    while at < len(chunk):
        if len(chunk) - at < FRAME.size:
            raise _BrokenContainerError("cut off within a chunk")
        opcode, length = FRAME.unpack_from(chunk, at)
        at += FRAME.size
        if opcode not in IN_CHUNK or len(chunk) - at < length:
            raise _BrokenContainerError(f"unexpected record type {opcode:#04x} in a chunk")
        if opcode == MESSAGE:
            if length < MESSAGE_HEAD.size:
                raise _BrokenContainerError("a message is too short")
            channel, sequence, log_time, publish_time = MESSAGE_HEAD.unpack_from(chunk, at)
            if channel != 1:
                raise _BrokenContainerError(f"a message is on channel {channel}, expected 1")
            data = chunk[at + MESSAGE_HEAD.size : at + length]
            yield _Message(sequence, log_time, publish_time, data)
        at += length


def verify(path: Path) -> Verification:
    """Check every byte of an audit file."""
    found = Verification()
    previous, last = CHAIN_START, None
    with _open(path) as stream:
        try:
            for message in _Container(stream).messages():
                last = _check(message, previous, found)
                previous = record_digest(message.data)
                found.records += 1
        except _BrokenContainerError as error:
            where = None if isinstance(last, CloseRecord) else found.records
            found.problems.append(Problem(where, str(error)))
    found.head_sha256 = previous.hex()
    if not isinstance(last, CloseRecord):
        end = f"truncated after {found.records} records: there is no closing record"
        found.problems.append(Problem(found.records, end))
    return found


def _check(message: _Message, previous: bytes, found: Verification) -> AnyRecord | None:
    """Check one message against the chain so far; note what is wrong."""
    at = found.records
    try:
        record = decode_record(message.data)
    except RemoteError as error:
        found.problems.append(Problem(at, f"unreadable: {error}"))
        return None
    if record.previous != previous:
        if record.index == at and at > 0:
            what = f"its bytes are not those that record {at} was chained to"
            found.problems.append(Problem(at - 1, what))
        else:
            what = f"it is not the successor of record {at - 1}: moved, repeated or left out"
            found.problems.append(Problem(at, what))
    if record.index != at:
        found.problems.append(Problem(at, f"it says that it is record {record.index}"))
    stamp = max(0, record.now_ns)
    if (message.sequence, message.log_time, message.publish_time) != (
        at & 0xFFFF_FFFF, stamp, stamp,
    ):  # fmt: skip
        found.problems.append(Problem(at, "the container's sequence or times are not its own"))
    if isinstance(record, HeaderRecord) != (at == 0):
        what = "a header within the file" if at else "the first record is no header"
        found.problems.append(Problem(at, what))
    if at == 0 and isinstance(record, HeaderRecord):
        found.header = record
    if hasattr(record, "decision"):
        found.decisions += 1
    return record


def read_records(path: Path) -> Iterator[AnyRecord]:
    """The records of a file that `verify` found intact; RemoteError where it is not."""
    with _open(path) as stream:
        try:
            for message in _Container(stream).messages():
                yield decode_record(message.data)
        except _BrokenContainerError as error:
            raise RemoteError(f"{path}: {error}") from None


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise AuditFileError(f"{path}: {error.strerror}") from error

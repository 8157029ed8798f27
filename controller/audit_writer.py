"""The process that writes the audit file: MCAP, one message a record, behind a bounded queue.

Guarantees:
- It is a process of its own: its disk never delays a decision. The queue between (ZMQ, at most
  AUDIT_QUEUE_RECORDS) is bounded; when it is full, `AuditQueue.submit` says so, the caller stops.
- Records are written in the order and with the bytes in which they came, in compressed chunks (a
  fifth of the size). At most SYNC_RECORDS records or SYNC_S seconds are not on the disk yet.
- It ends when the closing record was written, or when its parent is gone.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import zmq
from mcap.writer import CompressionType, Writer

from .audit import CloseRecord, decode_record
from .bus import NOBLOCK, open_socket, receive_parts
from .errors import RemoteError

__all__ = ["SCHEMA", "TOPIC", "AuditFile", "AuditQueue", "write_audit"]

TOPIC = "checkrein/audit"
SCHEMA = "checkrein.audit.v1"
PROFILE = "checkrein"
SYNC_RECORDS = 256
SYNC_S = 1.0
CHUNK_BYTES = 1 << 20
POLL_MS = 250.0


class AuditQueue:
    """The controller's end of the queue."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self._socket = open_socket(context, "audit.submit", address)

    def wait_connected(self, timeout_ms: float) -> bool:
        """Whether the writer is there, within `timeout_ms`."""
        return bool(self._socket.poll(math.ceil(timeout_ms), zmq.POLLOUT))

    def submit(self, record: bytes, wait_ms: float = 0.0) -> bool:
        """Queue one record. False: the queue is full, or the writer is gone."""
        try:
            self._socket.send(record, NOBLOCK)
            return True
        except zmq.Again:
            pass
        if not (wait_ms > 0.0 and self._socket.poll(math.ceil(wait_ms), zmq.POLLOUT)):
            return False
        try:
            self._socket.send(record, NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Let go of the socket; what is queued still leaves (LINGER)."""
        self._socket.close()


class AuditFile:
    """An MCAP file that takes records one by one."""

    def __init__(self, path: Path) -> None:
        self._stream: BinaryIO = path.open("wb")
        self._writer = Writer(
            self._stream,
            chunk_size=CHUNK_BYTES,
            compression=CompressionType.ZSTD,
            enable_crcs=True,
            enable_data_crcs=True,
        )
        self._writer.start(profile=PROFILE, library="checkrein")
        schema = self._writer.register_schema(name=SCHEMA, encoding="", data=b"")
        self._channel = self._writer.register_channel(
            topic=TOPIC, message_encoding="msgpack", schema_id=schema
        )
        self.records = 0
        self._synced = 0
        self._synced_s = time.monotonic()

    def append(self, data: bytes, now_ns: int) -> None:
        """Write one record."""
        self._writer.add_message(
            channel_id=self._channel,
            log_time=max(0, now_ns),
            data=data,
            publish_time=max(0, now_ns),
            sequence=self.records & 0xFFFF_FFFF,
        )
        self.records += 1
        if self.records - self._synced >= SYNC_RECORDS:
            self.sync()

    def sync_if_due(self) -> None:
        """Flush to the disk if the last time is long enough ago."""
        if self.records > self._synced and time.monotonic() - self._synced_s >= SYNC_S:
            self.sync()

    def sync(self) -> None:
        """Finish the chunk and flush to the disk."""
        self._writer.flush()  # type: ignore[no-untyped-call]
        os.fdatasync(self._stream.fileno())
        self._synced, self._synced_s = self.records, time.monotonic()

    def close(self) -> None:
        """Finish the container; what lacks is the closing record, if it did not come."""
        if self._stream.closed:
            return
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def __enter__(self) -> AuditFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def write_audit(address: str, path: Path, is_wanted: Callable[[], bool]) -> int:
    """Write what comes until the closing record, or until `is_wanted` says no; return the count."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    socket = open_socket(context, "audit.write", address)
    try:
        with AuditFile(path) as file:
            while True:
                parts = receive_parts(socket, POLL_MS)
                if parts is None:
                    file.sync_if_due()
                    if not is_wanted():
                        return file.records
                    continue
                try:
                    record = decode_record(parts[-1])
                except RemoteError:
                    continue  # not ours: the chain would break, and verification would say where
                file.append(parts[-1], record.now_ns)
                if isinstance(record, CloseRecord):
                    return file.records
    finally:
        socket.close(0)
        context.term()

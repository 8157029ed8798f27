"""The rehearsal's side channel: the scripted policy tells the stage what it is doing, tick by tick.

Guarantees:
- Nothing moves by a note: it names the attack for the books, and asks the operator, who is played
  by the robot's process, to place the robot anew or to arm it.
- In lock-step there is one note for every tick, so that the same seed gives the same run.

No bus: a datagram of a socket pair is there when `tell` returns, and wakes nobody who does not wait
for it. Through ZMQ each note woke a thread at either end, in every tick.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Literal

import msgspec

__all__ = ["Note", "NoteReader", "NoteWriter", "note_sockets"]

WAIT_MS = 5000.0
NOTE_BYTES_MAX = 4096


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the policy does in one tick."""

    tick: int
    phase: str
    kind: str
    is_onset: bool = False
    is_moving: bool = False
    wants_placing: bool = False
    wants_arming: bool = False
    is_over: bool = False  # the episode
    proposed: bytes = b""  # (n,) float64: where it wants the joints to be after this tick


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Note)


def note_sockets() -> tuple[socket.socket, socket.socket]:
    """The reader's end and the writer's end, for a process each."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


class NoteWriter:
    """The policy's end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.settimeout(WAIT_MS / 1000.0)

    def tell(self, note: Note) -> bool:
        """Send one note; False if nobody reads it in time, or nobody is there."""
        try:
            self._socket.send(_ENCODER.encode(note))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


class NoteReader:
    """The stage's end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._last = Note(tick=-1, phase="good", kind="good")
        self.missing = 0

    def for_tick(self, tick: int, mode: Literal["lockstep", "realtime"]) -> Note:
        """The note of `tick`. In real time, what came last: its events only once."""
        if mode == "realtime":
            return self._newest()
        wait_s = 0.0 if self.missing else WAIT_MS / 1000.0
        deadline_s = time.monotonic() + wait_s
        while self._last.tick < tick:
            note = self._receive(max(0.0, deadline_s - time.monotonic()))
            if note is None:
                self.missing += 1
                return _without_events(self._last)
            self._last, self.missing = note, 0
        return self._last

    def _newest(self) -> Note:
        newest = _without_events(self._last)
        while (later := self._receive(0.0)) is not None:
            newest = msgspec.structs.replace(
                later,
                is_onset=later.is_onset or newest.is_onset,
                wants_placing=later.wants_placing or newest.wants_placing,
                is_over=later.is_over or newest.is_over,
            )
        self._last = newest
        return newest

    def _receive(self, wait_s: float) -> Note | None:
        """The next note, or None if there is none within `wait_s`."""
        self._socket.settimeout(wait_s)
        with contextlib.suppress(TimeoutError, BlockingIOError):
            return _DECODER.decode(self._socket.recv(NOTE_BYTES_MAX))
        return None

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


def _without_events(note: Note) -> Note:
    return msgspec.structs.replace(note, is_onset=False, wants_placing=False, is_over=False)

"""The rehearsal's side channel: the scripted policy tells the stage what it is doing, tick by tick.

Guarantees:
- Nothing moves by a note: it names the attack for the books, and asks the operator, who is played
  by the robot's process, to place the robot anew or to arm it.
- In lock-step there is one note for every tick, so that the same seed gives the same run.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec
import zmq

from ...controller.bus import open_socket, receive_parts

__all__ = ["Note", "NoteReader", "NoteWriter"]

WAIT_MS = 5000.0


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


class NoteWriter:
    """The policy's end."""

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._socket = open_socket(self._context, "notes.tell", address)

    def tell(self, note: Note) -> bool:
        """Send one note; False if nobody reads it in time."""
        try:
            self._socket.send(_ENCODER.encode(note))  # SNDTIMEO is its deadline
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        self._context.term()


class NoteReader:
    """The stage's end."""

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._socket = open_socket(self._context, "notes.hear", address)
        self._last = Note(tick=-1, phase="good", kind="good")
        self.missing = 0

    def for_tick(self, tick: int, mode: Literal["lockstep", "realtime"]) -> Note:
        """The note of `tick`. In real time, what came last: its events only once."""
        if mode == "realtime":
            return self._newest()
        wait_ms = 0.0 if self.missing else WAIT_MS
        deadline_s = time.monotonic() + wait_ms / 1000.0
        while self._last.tick < tick:
            left_ms = max(0.0, 1000.0 * (deadline_s - time.monotonic()))
            parts = receive_parts(self._socket, left_ms)
            if parts is None:
                self.missing += 1
                return _without_events(self._last)
            self._last = _DECODER.decode(parts[-1])
            self.missing = 0
        return self._last

    def _newest(self) -> Note:
        newest = _without_events(self._last)
        while (parts := receive_parts(self._socket, 0.0)) is not None:
            later = _DECODER.decode(parts[-1])
            newest = msgspec.structs.replace(
                later,
                is_onset=later.is_onset or newest.is_onset,
                wants_placing=later.wants_placing or newest.wants_placing,
                is_over=later.is_over or newest.is_over,
            )
        self._last = newest
        return newest

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close(0)
        self._context.term()


def _without_events(note: Note) -> Note:
    return msgspec.structs.replace(note, is_onset=False, wants_placing=False, is_over=False)

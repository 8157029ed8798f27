"""The rehearsal's side channel: every note once, in time, and no waiting for the dead."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from checkrein.scripts.demonstration.notes import Note, NoteReader, NoteWriter, note_sockets

Pair = tuple[NoteReader, NoteWriter]


@pytest.fixture
def pair() -> Iterator[Pair]:
    hear, tell = note_sockets()
    reader, writer = NoteReader(hear), NoteWriter(tell)
    yield reader, writer
    reader.close()
    writer.close()


def note(tick: int, kind: str = "good", *, is_onset: bool = False) -> Note:
    return Note(tick=tick, phase="good", kind=kind, is_onset=is_onset)


def test_in_lock_step_each_tick_has_its_note(pair: Pair) -> None:
    reader, writer = pair
    for tick, kind in enumerate(("good", "slam", "throw")):
        assert writer.tell(note(tick, kind))
    assert [reader.for_tick(tick, "lockstep").kind for tick in range(3)] == [
        "good",
        "slam",
        "throw",
    ]
    assert reader.missing == 0


def test_a_note_that_does_not_come_is_waited_for_once_and_repeats_no_event(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkrein.scripts.demonstration.notes.WAIT_MS", 20.0)
    reader, writer = pair
    writer.tell(note(0, "slam", is_onset=True))
    assert reader.for_tick(0, "lockstep").is_onset
    for missing in (1, 2):
        again = reader.for_tick(1, "lockstep")
        assert (again.kind, again.is_onset) == ("slam", False)
        assert reader.missing == missing


def test_in_real_time_the_newest_counts_and_no_event_is_lost(pair: Pair) -> None:
    reader, writer = pair
    assert reader.for_tick(0, "realtime").kind == "good"
    writer.tell(note(0, "slam", is_onset=True))
    writer.tell(note(1, "slam"))
    newest = reader.for_tick(1, "realtime")
    assert (newest.tick, newest.kind, newest.is_onset) == (1, "slam", True)
    assert not reader.for_tick(2, "realtime").is_onset


def test_nobody_there_is_said_at_once() -> None:
    hear, tell = note_sockets()
    writer = NoteWriter(tell)
    hear.close()
    assert not writer.tell(note(0))
    writer.close()


def test_a_reader_that_stalls_does_not_stall_the_policy_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("checkrein.scripts.demonstration.notes.WAIT_MS", 20.0)
    hear, tell = note_sockets()
    tell.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    writer = NoteWriter(tell)
    assert not all(writer.tell(note(tick)) for tick in range(10_000))
    writer.close()
    hear.close()

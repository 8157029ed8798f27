"""The robot's process: the simulation, which owns time, and the observer that judges it.

Guarantees:
- Guarded, the robot only plays what its agent says; unguarded, what the policy says. Everything
  else (world, seed, observer, script) is the same code in both runs.
- A tick is judged while the other side thinks about the next: before the robot moves again.
- In lock-step nothing here reads a clock: the same seed gives the same run on a stalled machine.
- The operator stands here: arming after a rest, and placing a stuck robot, as the notes ask.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zmq

from ...controller.agent import RobotAgent
from ...controller.bus import Publisher
from ...controller.frames import ByeFrame, StateFrame, WelcomeFrame, encode, new_token
from ...controller.policy_desk import PolicyDesk
from ...controller.robot_link import RobotLink
from ...limits.records import Array
from ...sim.chain import Chain
from ...sim.episode import RobotSide
from ...sim.naive import NaiveDriver
from .children import is_wanted
from .notes import Note, NoteReader
from .recording import Recorder, Row
from .settings import Meeting, Settings, read_frozen

__all__ = ["run_guarded_robot", "run_unguarded_robot"]

CONNECT_MS = 300_000.0
PATIENCE_MS = 20_000.0  # in lock-step it only matters when a process has died
REALTIME_SHARE = 0.6  # of a tick: how long the robot waits for its frame
PROGRESS_TICKS = 50
PARENT_TICKS = 250


@contextmanager
def _without_banner() -> Iterator[None]:
    """PyBullet's C code greets on standard error when it is loaded, into the live table."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@dataclass(frozen=True, slots=True, eq=False)
class _Tick:
    """A tick that was made: q, dq (n,) as told; raw: what an unguarded driver was handed."""

    tick: int
    note: Note
    q: Array
    dq: Array
    raw: Sequence[float] | Array | None = None


class _Stage:
    """World, notes and books of one run; what both runs have in common."""

    def __init__(self, settings: Settings, meeting: Meeting, end: socket.socket) -> None:
        self.settings, self.meeting = settings, meeting
        self.frozen = read_frozen(settings.frozen)
        with _without_banner():
            gui = settings.gui and meeting.run == "guarded"
            self.side = RobotSide(self.frozen, settings.seed, gui)
        self.mode: Literal["lockstep", "realtime"] = "realtime" if settings.realtime else "lockstep"
        self.period_s = float(self.frozen["period_s"])
        self.notes = NoteReader(end)
        self.recorder = Recorder(meeting.run, len(self.frozen["joints"]))
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._progress = Publisher(self.context, meeting.address("progress"))
        self._frames = Path(settings.out) / "frames"
        self.episode = 0
        self.onsets: Counter[str] = Counter()
        self.onsets_moving: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()  # objects, by what the policy was doing
        self._started_s = time.monotonic()
        self._next_s = self._started_s
        self.late_ticks = 0
        self._made: _Tick | None = None  # still to be judged
        self.side.begin(settings.seed, 0)
        self.side.observer.draws_clearance = True  # of the first episode, for the report

    def start_clock(self) -> None:
        """Everybody is there: from here on wall time is counted."""
        self._started_s = self._next_s = time.monotonic()

    def note(self, tick: int, armed: bool) -> Note:
        """The policy's note for this tick, its onset counted."""
        note = self.notes.for_tick(tick, self.mode)
        if note.is_onset:
            self.onsets[note.kind] += 1
            self.onsets_moving[note.kind] += armed and note.is_moving
            if self.episode == 0:
                self.recorder.begin_attack(note.kind, tick)
        return note

    def made(self, tick: _Tick) -> None:
        """The robot has made this tick; the object is tended now, the tick judged by `judge`."""
        self.side.tend_object()
        self._made = tick

    def judge(self) -> None:
        """Judge the tick last made and write its books, while the other side thinks.

        The world is still as that tick has left it, but for a fresh object.
        """
        made, self._made = self._made, None
        if made is not None:
            self._write(made, self.side.observer.observe(made.q, made.raw))

    def _write(self, made: _Tick, kinds: frozenset[str]) -> None:
        """Write the books of one tick."""
        side, tick, note, q = self.side, made.tick, made.note, made.q
        trace, row = side.robot.trace, None
        if "object_lost" in kinds:
            self.lost[note.kind] += 1
        if self.episode == 0:
            proposed = np.frombuffer(note.proposed)
            row = Row(
                tick=tick,
                time_s=side.driver.now_ns * 1e-9,
                proposed=proposed if len(proposed) == len(q) else np.full(len(q), np.nan),
                executed_q=q,
                executed_dq=made.dq,
                measured_q=trace.q[-1],
                tcp_speed_m_s=float(trace.tcp_speed_m_s.max()),
                clearance_m=side.observer.clearance_m,
                contact_force_n=float(trace.contact_force_n.max()),
                in_violation=bool(kinds),
            )
        self.recorder.add(note.kind, tick, row)
        if self.recorder.wants_frame(tick):
            self.recorder.add_frame(tick, side.world.render(), self._frames)
        if tick % PROGRESS_TICKS == 0:
            self._publish(tick, note)

    def next_episode(self) -> bool:
        """Set the stage for the next episode; False: that was the last one."""
        self.episode += 1
        if self.episode >= self.settings.episodes:
            return False
        self.side.begin(self.settings.seed, self.episode)
        self.side.observer.draws_clearance = False
        return True

    def pace(self) -> None:
        """In real time, wait for the end of the tick; a tick that was too long is counted."""
        if self.mode == "lockstep":
            return
        self._next_s += self.period_s
        left_s = self._next_s - time.monotonic()
        if left_s > 0.0:
            time.sleep(left_s)
        else:
            self.late_ticks += 1
            self._next_s -= left_s

    def is_wanted(self, tick: int) -> bool:
        return tick % PARENT_TICKS != 0 or is_wanted(self.meeting)

    def _publish(self, tick: int, note: Note) -> None:
        trace, observer = self.side.robot.trace, self.side.observer
        state = {
            "episode": self.episode,
            "tick": tick,
            "time_s": self.side.driver.now_ns * 1e-9,
            "kind": note.kind,
            "violations": observer.counts,
            "tcp_speed_m_s": float(trace.tcp_speed_m_s.max()),
            "clearance_m": observer.clearance_m,
            "contact_force_n": float(trace.contact_force_n.max()),
        }
        self._progress.send(json.dumps(state).encode())

    def close(self, ticks: int, more: dict[str, Any]) -> None:
        """Write the results down and let go of everything."""
        observer, meeting = self.side.observer, self.meeting
        wall_s = time.monotonic() - self._started_s
        result = {
            "ticks": ticks,
            "simulated_s": self.side.driver.now_ns * 1e-9,
            "wall_s": wall_s,
            "tick_us": 1e6 * wall_s / max(1, ticks),
            "violations": observer.counts,
            "violation_onsets": observer.onsets,
            "first_violations": {k: asdict(v) for k, v in observer.first.items()},
            "onsets": dict(self.onsets),
            "onsets_moving": dict(self.onsets_moving),
            "objects_lost": dict(self.lost),
            "late_ticks": self.late_ticks,
            "frames": self.recorder.frames,
            **more,
        }
        meeting.path("robot.json").write_text(json.dumps(result), encoding="utf-8")
        np.savez_compressed(
            meeting.path("kinds.npz"),
            tick=np.array(self.recorder.ticks, dtype=np.int64),
            kind=np.array(self.recorder.kinds, dtype=np.int8),
        )
        self.recorder.save(meeting.path("trace.npz"))
        self.notes.close()
        self._progress.close()
        self.context.term()
        self.side.driver.close()


def run_guarded_robot(settings: Settings, meeting: Meeting, end: socket.socket) -> None:
    """The robot behind its controller."""
    stage = _Stage(settings, meeting, end)
    side = stage.side
    link = RobotLink(meeting.address("robot"), _agent(stage, 0), name="simulated arm")
    link.start(CONNECT_MS)
    patience_ms = REALTIME_SHARE * 1000.0 * stage.period_s if settings.realtime else PATIENCE_MS
    link.patience_ms = patience_ms
    link.reset()
    stage.start_clock()
    rejected: Counter[str] = Counter()
    tick = 0
    while stage.is_wanted(tick):
        armed = link.is_moving_allowed
        link.report(side.driver.read(), now_ns=side.driver.now_ns)
        stage.judge()
        segment = link.segment()
        note = stage.note(tick, armed)
        tick = link.agent.tick_index
        if note.is_over or note.wants_placing:
            if note.is_over and not stage.next_episode():
                break
            if note.wants_placing:
                side.place()
            rejected += link.agent.rejected
            link.start(CONNECT_MS, _agent(stage, tick))
            link.reset()
            continue
        side.driver.write(segment)
        stage.made(_Tick(tick - 1, note, segment.q_end, segment.dq_end))
        if note.wants_arming and not link.is_moving_allowed and link.agent.is_at_rest:
            link.reset()
        stage.pace()
    stage.judge()
    rejected += link.agent.rejected
    link.bye("the demonstration is over")
    link.close()
    frames = {"rejected_frames": dict(rejected), "unreadable_frames": dict(link.rejected)}
    stage.close(tick, frames)


def _agent(stage: _Stage, tick: int) -> RobotAgent:
    """An agent for the robot where it stands now."""
    watchdog_ms = float(stage.frozen["timing"]["watchdog_ms"])
    return RobotAgent(
        q=stage.side.robot.told, period_s=stage.period_s, watchdog_ms=watchdog_ms, tick=tick
    )


def run_unguarded_robot(settings: Settings, meeting: Meeting, end: socket.socket) -> None:
    """The robot with nothing in between: the policy's frames go straight to a naive driver."""
    stage = _Stage(settings, meeting, end)
    side = stage.side
    desk = PolicyDesk(
        stage.context,
        meeting.address("policy"),
        joints=len(stage.frozen["joints"]),
        lockstep=not settings.realtime,
        patience_ms=PATIENCE_MS,
    )
    while not desk.is_present and is_wanted(meeting):
        desk.newest()
        time.sleep(0.02)
    session = new_token()
    desk.open_session(_welcome(stage, session))
    chain = Chain(side.world.frozen)
    naive = NaiveDriver(side.robot.told, stage.period_s, chain)
    stage.start_clock()
    tick = 0
    while stage.is_wanted(tick):
        state = side.driver.read()
        frame = StateFrame(session, tick, tick, side.driver.now_ns, state)
        desk.show(encode(frame))
        stage.judge()
        answer = desk.answer(tick)
        note = stage.note(tick, armed=True)
        tick += 1
        if note.is_over or note.wants_placing:
            if note.is_over and not stage.next_episode():
                break
            if note.wants_placing:
                side.place()
            naive = NaiveDriver(side.robot.told, stage.period_s, chain)
            continue
        if answer.candidates and answer.rejected is None:
            naive.receive(answer.candidates[0])
        raw, before = naive.target(), side.robot.told
        side.driver.write_raw(raw)
        naive.believed(side.robot.told)
        dq = (side.robot.told - before) / stage.period_s
        stage.made(_Tick(tick - 1, note, side.robot.told, dq, raw))
        stage.pace()
    stage.judge()
    desk.send(encode(ByeFrame(reason="the demonstration is over")))
    desk.close("the demonstration is over")
    stage.close(tick, {})


def _welcome(stage: _Stage, session: str) -> WelcomeFrame:
    return WelcomeFrame(
        greeting=session,
        session=session,
        run=1,
        limits_name=str(stage.frozen["name"]),
        limits_sha256="0" * 64,  # nothing is enforced
        joints=len(stage.frozen["joints"]),
        period_s=stage.period_s,
        watchdog_ms=float(stage.frozen["timing"]["watchdog_ms"]),
        lockstep=not stage.settings.realtime,
    )

"""The policy's process: plays the scenario, well-behaved and then hostile, over the bus.

Guarantees: it sees what any policy sees (states, decisions) and speaks only through a
`PolicyClient`; the same code faces the controller and, in the unguarded run, the robot itself.
"""

from __future__ import annotations

import json
import socket

import msgspec
import numpy as np

from ...controller.errors import PeerLostError
from ...controller.policy_client import Observation, PolicyClient
from ...limits.records import Array
from ...sim.chain import Chain
from ...sim.naive import NaiveDriver
from ...sim.scenario import PolicyMessage, Scenario
from .children import is_wanted
from .notes import Note, NoteWriter
from .settings import Meeting, Settings, read_frozen

__all__ = ["Progress", "run_policy"]

CONNECT_MS = 300_000.0  # the controller may have to compile its kernels first
SLICE_MS = 500.0


class Progress(msgspec.Struct):
    """How the well-behaved parts went: the first one of each episode, and all of them."""

    episodes: int = 0
    goals: int = 0
    goals_met: int = 0
    first_goals: int = 0
    first_goals_met: int = 0
    first_ticks: int = 0


class _Player:
    """One policy: a scenario after the other."""

    def __init__(self, settings: Settings, client: PolicyClient, notes: NoteWriter) -> None:
        self._settings, self._client, self._notes = settings, client, notes
        self._frozen = read_frozen(settings.frozen)
        self._episode = 0
        self._scenario = self._new_scenario()
        self._shadow = NaiveDriver(
            np.array(self._frozen["home"]), self._frozen["period_s"], Chain(self._frozen)
        )
        self._is_first_part = True
        self.progress = Progress()

    def _new_scenario(self) -> Scenario:
        settings = self._settings
        return Scenario(self._frozen, settings.seed, self._episode, settings.seconds)

    def answer(self, seen: Observation) -> None:
        """One tick: an answer for the controller, a note for the stage."""
        if self._scenario.done:
            self._end_episode()
            self._notes.tell(Note(tick=seen.tick, phase="good", kind="good", is_over=True))
            self._client.propose(None)
            return
        message = self._scenario.step(seen.state, seen.now_ns)
        self._note_progress(message)
        if message.new_session:
            self._client.reconnect()
        self._client.propose(message.command)  # first: the controller decides meanwhile
        self._notes.tell(
            Note(
                tick=seen.tick,
                phase=message.phase,
                kind=message.kind,
                is_onset=message.is_onset,
                is_moving=message.is_moving,
                wants_placing=message.wants_placing,
                wants_arming=message.wants_arming,
                proposed=self._proposed(seen.state.q, message).tobytes(),
            )
        )

    def _proposed(self, q: Array, message: PolicyMessage) -> Array:
        """Where the proposal would take the joints if nobody stood in between.

        Empty after the first episode, which is the one that the report shows.
        """
        if self._episode > 0:
            return np.empty(0)
        self._shadow.believed(np.asarray(q))
        if message.command is not None:
            self._shadow.receive(message.command)
        target = np.asarray(self._shadow.target(), dtype=np.float64).ravel()[: len(q)]
        padded = np.full(len(q), np.nan)
        padded[: len(target)] = target
        return padded

    def _note_progress(self, message: PolicyMessage) -> None:
        good, progress = self._scenario.good, self.progress
        if self._is_first_part and message.phase != "good":
            self._is_first_part = False
            progress.first_goals += good.goals
            progress.first_goals_met += good.goals_met
            progress.first_ticks += self._scenario.tick

    def _end_episode(self) -> None:
        good, progress = self._scenario.good, self.progress
        progress.episodes += 1
        progress.goals += good.goals
        progress.goals_met += good.goals_met
        if self._is_first_part:
            progress.first_goals += good.goals
            progress.first_goals_met += good.goals_met
            progress.first_ticks += self._scenario.tick
        self._episode += 1
        self._is_first_part = True
        self._scenario = self._new_scenario()


def run_policy(settings: Settings, meeting: Meeting, end: socket.socket) -> None:
    """Until the other side says goodbye. `end`: of `note_sockets`, as in the robot's processes."""
    notes = NoteWriter(end)
    try:
        with PolicyClient(meeting.address("policy"), timeout_ms=CONNECT_MS) as client:
            player = _Player(settings, client, notes)
            while is_wanted(meeting):
                try:
                    seen = client.observe(SLICE_MS)
                except PeerLostError:
                    continue
                if seen is None:
                    break
                player.answer(seen)
            data = json.dumps(msgspec.to_builtins(player.progress))
            meeting.path("policy.json").write_text(data, encoding="utf-8")
    finally:
        notes.close()

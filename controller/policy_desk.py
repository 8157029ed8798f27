"""The controller's side of the policy: who it is, what it answers, and what is no answer.

Guarantees:
- Only frames of the one policy that said hello last, of this session, with a growing sequence, are
  proposals. Everything else is dropped and counted; nothing here can arm or reset.
- A frame of the policy that cannot be read stands for a proposal without values, so that the
  filter refuses it with a finding: rubbish is not the same as silence.
- In lock-step every tick is asked and the answer must name it; "nothing" is an answer. A policy
  that missed its deadline is not waited for again until it answers.
- In real time the newest proposal counts, and those before it are superseded (trap 19).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import zmq

from ..limits.records import Command
from .bus import Server
from .errors import RemoteError
from .frames import (
    ByeFrame,
    HelloFrame,
    ProposalFrame,
    WelcomeFrame,
    decode,
    encode,
)

__all__ = ["NOTHING", "Answer", "PolicyDesk"]

KINDS = frozenset({"hello", "proposal", "bye"})
GOODBYE_MS = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Candidates for a tick, or None: nothing new. `rejected`: why the frame was not a proposal."""

    candidates: tuple[Command, ...] | None
    rejected: str | None = None


NOTHING = Answer(None)


class PolicyDesk:
    """The ROUTER socket that policies talk to."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: str,
        *,
        joints: int,
        lockstep: bool,
        patience_ms: float,
    ) -> None:
        self._server = Server(context, "controller.policy", address)
        self._joints, self._lockstep, self._patience_ms = joints, lockstep, patience_ms
        self._welcome: WelcomeFrame | None = None
        self._seq = -1
        self._decision: bytes | None = None
        self._is_answering = True
        self._known: Answer | None = NOTHING  # None: shown a state, still to be waited for
        self.rejected: Counter[str] = Counter()
        self.superseded = 0
        self.unreadable = 0

    @property
    def is_present(self) -> bool:
        """A policy has said hello, and not goodbye."""
        return self._server.peer is not None

    def open_session(self, welcome: WelcomeFrame) -> None:
        """A new session: what was proposed in the last one does not count any more."""
        self._welcome, self._seq, self._decision = welcome, -1, None
        self._is_answering = True
        self._server.send(encode(welcome))

    def tell(self, decision: bytes) -> None:
        """Hand over a decision in one message with the next state: a message is what costs."""
        self._decision = decision

    def send(self, data: bytes) -> bool:
        """Hand a frame to the policy, if it is there."""
        return self._server.send(data)

    def ask(self, tick: int, state: bytes) -> Answer:
        """What the policy proposes for this tick, given the encoded state."""
        self.show(state)
        return self.answer(tick)

    def show(self, state: bytes) -> None:
        """The first half of `ask`: the policy thinks from here on."""
        frames = (state,) if self._decision is None else (self._decision, state)
        self._decision = None
        if not self._lockstep:
            self._known = self.newest()
            self._server.send(*frames)
        elif not self._server.send(*frames):
            self.newest()
            self._known = NOTHING
        else:
            self._known = None

    def answer(self, tick: int) -> Answer:
        """The second half of `ask`: what it proposes; in lock-step waited for from now on."""
        if self._known is not None:
            return self._known
        patience_ms = self._patience_ms if self._is_answering else 0.0
        deadline_s = time.monotonic() + patience_ms / 1000.0
        while True:
            left_ms = max(0.0, 1000.0 * (deadline_s - time.monotonic()))
            received = self._server.receive(left_ms)
            if received is None:
                self._is_answering = False
                return NOTHING
            answer = self._read(received, tick)
            if answer is not None:
                self._is_answering = True
                return answer

    def newest(self) -> Answer:
        """Read all that waits, without waiting; the newest proposal counts."""
        newest = NOTHING
        while (received := self._server.receive(0.0)) is not None:
            answer = self._read(received, None)
            if answer is not None and answer.candidates is not None:
                self.superseded += newest.candidates is not None
                newest = answer
        return newest

    def close(self, reason: str) -> None:
        """Say goodbye, wait until it was read, and let go of the socket.

        A peer that drops what it cannot send (IMMEDIATE) also drops what it has not yet read when
        the connection ends, so the goodbye has to be answered before the socket may close.
        """
        if self._server.send(encode(ByeFrame(reason=reason))):
            deadline_s = time.monotonic() + GOODBYE_MS / 1000.0
            while self._server.peer is not None and time.monotonic() < deadline_s:
                received = self._server.receive(50.0)
                if received is not None:
                    self._read(received, None)
        self._server.close()

    def _read(self, received: tuple[bytes, bytes], tick: int | None) -> Answer | None:
        """Handle one frame; None if it is no answer."""
        who, data = received
        try:
            frame = decode(data, joints=self._joints, kinds=KINDS)
        except RemoteError as error:
            self.rejected[str(error)] += 1
            if who != self._server.peer:
                return None
            self.unreadable += 1
            empty = Command(mode="joint_velocity", values=np.empty(0), seq=0, stamp_ns=0)
            return Answer((empty,), rejected=str(error))
        if isinstance(frame, HelloFrame):
            self._greet(who, frame)
        elif isinstance(frame, ByeFrame) and who == self._server.peer:
            self._server.peer = None
            return NOTHING
        elif isinstance(frame, ProposalFrame) and who == self._server.peer:
            return self._proposal(frame, tick)
        return None

    def _proposal(self, frame: ProposalFrame, tick: int | None) -> Answer | None:
        if self._welcome is None or frame.session != self._welcome.session:
            self.rejected["another session"] += 1
        elif not frame.seq > self._seq:
            self.rejected["sequence does not grow"] += 1
        elif tick is not None and frame.tick != tick:
            self.rejected["for another tick"] += 1
        else:
            self._seq = frame.seq
            return Answer(frame.candidates)
        return None

    def _greet(self, who: bytes, hello: HelloFrame) -> None:
        if hello.role == "policy":
            self._server.peer = who
            self._is_answering = True
            if self._welcome is not None:
                self._server.send(encode(self._welcome))
        else:
            self.rejected[f"role {hello.role}"] += 1

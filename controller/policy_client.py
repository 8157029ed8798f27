"""The policy's end of the bus: observe a state, propose commands, see what was executed instead.

    with PolicyClient("ipc:///tmp/run/policy") as client:
        while (seen := client.observe()) is not None:
            client.propose(Command(mode="joint_velocity", values=policy(seen.state), ...))

Guarantees:
- A command's `stamp_ns` should be `seen.now_ns`: the controller's own clock, echoed. No clock of
  the policy's machine is ever compared with another one (trap 20).
- Nothing is queued while no controller is there: what cannot be delivered is dropped (trap 19).
- Each observation carries the decision on the last proposal: use what was executed (trap 24). It
  is read when it is asked for, which most policies do not do at every tick.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

from ..limits.records import Candidates, Command, RobotState
from .bus import Link
from .decision import Decision
from .decision_frame import decode_decision
from .errors import PeerLostError, RemoteError
from .frames import (
    ByeFrame,
    HelloFrame,
    ProposalFrame,
    StateFrame,
    WelcomeFrame,
    decode,
    encode,
    new_token,
    read_kind,
)

__all__ = ["Observation", "PolicyClient"]

KINDS = frozenset({"welcome", "state", "bye"})
HELLO_EVERY_MS = 250.0


class _Told:
    """A decision frame of one session, unread."""

    def __init__(self, data: bytes, welcome: WelcomeFrame) -> None:
        self._data, self._welcome = data, welcome

    @cached_property
    def decision(self) -> Decision | None:
        """What it says; None if it is of another session, or cannot be read."""
        try:
            frame = decode_decision(self._data, joints=self._welcome.joints)
        except RemoteError:
            return None
        return frame.decision if frame.session == self._welcome.session else None


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What the policy answers to."""

    run: int  # grows when the robot's world starts anew
    tick: int
    now_ns: int  # the controller's clock; the stamp of what is proposed now
    state: RobotState
    told: _Told | None

    @property
    def decision(self) -> Decision | None:
        """The last one that was made; None before the first, and if it cannot be read."""
        return None if self.told is None else self.told.decision


class PolicyClient:
    """Speaks for one policy. `welcome` says which limits and which robot it is about."""

    def __init__(self, address: str, *, name: str = "policy", timeout_ms: float = 60_000.0) -> None:
        self._link = Link("policy", address)
        self._name = name
        self._seq = 0
        self._asked: StateFrame | None = None
        self._told: _Told | None = None
        self._pending: list[bytes] = []  # read too early, still to be handled
        self.rejected = 0  # frames that could not be read
        try:
            self.welcome = self._start(timeout_ms)
        except BaseException:
            self._link.close()
            raise

    def observe(self, timeout_ms: float = 60_000.0) -> Observation | None:
        """Wait for the next state; None once the controller said goodbye.

        Raises PeerLostError after `timeout_ms`.
        """
        deadline_s = time.monotonic() + timeout_ms / 1000.0
        while True:
            data = self._receive(deadline_s)
            if data is None:
                raise PeerLostError(f"no state within {timeout_ms:.0f} ms")
            try:
                if read_kind(data) == "decision":
                    self._told = _Told(data, self.welcome)
                    continue
                message = decode(data, joints=self.welcome.joints, kinds=KINDS)
            except RemoteError:
                self.rejected += 1
                continue
            if isinstance(message, ByeFrame):
                self._link.send(encode(ByeFrame(reason="goodbye")))
                return None
            if isinstance(message, WelcomeFrame):
                if message.session != self.welcome.session:
                    self.welcome, self._told = message, None
            elif isinstance(message, StateFrame) and message.session == self.welcome.session:
                self._asked = message = self._newest(message)
                return Observation(
                    self.welcome.run, message.tick, message.now_ns, message.state, self._told
                )

    def reconnect(self) -> None:
        """Say hello as if this policy had just connected."""
        self._link.send(self._hello())

    def propose(self, proposal: Candidates) -> bool:
        """Answer the last observation: candidates in order of preference, or None: nothing new."""
        if self._asked is None:
            raise PeerLostError("observe() has not returned a state yet")
        candidates = (proposal,) if isinstance(proposal, Command) else proposal
        frame = ProposalFrame(
            session=self._asked.session,
            seq=self._seq,
            tick=self._asked.tick,
            candidates=None if candidates is None else tuple(candidates),
        )
        self._seq += 1
        return self._link.send(encode(frame))

    def close(self) -> None:
        """Let go of the socket."""
        self._link.close()

    def __enter__(self) -> PolicyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hello(self) -> bytes:
        return encode(HelloFrame(greeting=new_token(), role="policy", name=self._name))

    def _start(self, timeout_ms: float) -> WelcomeFrame:
        deadline_s = time.monotonic() + timeout_ms / 1000.0
        while time.monotonic() < deadline_s:
            if not self._link.wait_connected(HELLO_EVERY_MS) or not self._link.send(self._hello()):
                continue
            data = self._link.receive(HELLO_EVERY_MS)
            if data is None:
                continue
            try:
                message = decode(data, joints=1, kinds=("welcome", "bye"))
            except RemoteError:
                self.rejected += 1
                continue
            if isinstance(message, WelcomeFrame):
                return message
            if isinstance(message, ByeFrame):
                self._link.send(encode(ByeFrame(reason="goodbye")))
                raise PeerLostError(f"the controller goes: {message.reason}")
        raise PeerLostError(f"no controller answered within {timeout_ms:.0f} ms")

    def _newest(self, frame: StateFrame) -> StateFrame:
        """In real time: the last state that waits, for a policy that is slower than the robot."""
        while not self.welcome.lockstep and (data := self._link.receive(0.0)) is not None:
            try:
                if read_kind(data) != "state":
                    self._pending.append(data)
                    continue
                later = decode(data, joints=self.welcome.joints, kinds=("state",))
            except RemoteError:
                self.rejected += 1
                continue
            if isinstance(later, StateFrame) and later.session == frame.session:
                frame = later
        return frame

    def _receive(self, deadline_s: float) -> bytes | None:
        if self._pending:
            return self._pending.pop(0)
        return self._link.receive(max(0.0, 1000.0 * (deadline_s - time.monotonic())))

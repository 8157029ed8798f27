"""The robot's end of the bus: one exchange a tick, and a segment to play whatever happened.

Guarantees:
- `exchange` always returns a segment: of the frame that came, or of the stored stop. Its halves
  `report` and `segment` leave the caller the time in which the controller decides.
- It waits at most `patience_ms`; a controller that missed a deadline is not waited for again until
  it has sent something. In lock-step `patience_ms` only matters when a process has died.
- What is not a frame for this robot is dropped and counted; nothing is played twice.
"""

from __future__ import annotations

import time
from collections import Counter

from ..limits.records import RobotState
from .agent import RobotAgent
from .bus import Link
from .driver import Segment
from .errors import PeerLostError, RemoteError
from .frames import (
    ArmFrame,
    ByeFrame,
    Frame,
    HelloFrame,
    NothingFrame,
    ResetFrame,
    SetpointFrame,
    StateFrame,
    WelcomeFrame,
    decode,
    encode,
    new_token,
)

__all__ = ["RobotLink"]

KINDS = frozenset({"welcome", "arm", "setpoint", "nothing", "bye"})
HELLO_EVERY_MS = 250.0


class RobotLink:
    """Speaks for one robot and its agent."""

    def __init__(
        self,
        address: str,
        agent: RobotAgent,
        *,
        name: str,
        limits_sha256: str | None = None,
        patience_ms: float = 2000.0,
    ) -> None:
        self.agent = agent
        self.patience_ms = patience_ms
        self.welcome: WelcomeFrame | None = None
        self.rejected: Counter[str] = Counter()  # frames that could not be read, by reason
        self._name, self._limits_sha256 = name, limits_sha256
        self._joints = len(agent.position)
        self._link = Link("robot", address)
        self._seq = 0
        self._is_answering = True
        self._is_reported = False  # a state went out that no segment has answered yet
        self.is_moving_allowed = False  # armed, and nothing is latched, as far as we were told

    @property
    def is_answering(self) -> bool:
        """The controller answered the last exchange in time."""
        return self._is_answering

    def start(self, timeout_ms: float, agent: RobotAgent | None = None) -> WelcomeFrame:
        """Say hello until the controller welcomes us; PeerLostError after `timeout_ms`.

        Also said again, with a new agent, after the robot was placed elsewhere: a new session.
        """
        deadline_s = time.monotonic() + timeout_ms / 1000.0
        self.agent = agent or self.agent
        self.is_moving_allowed = False
        greeting = new_token()
        hello = encode(
            HelloFrame(
                greeting=greeting,
                role="robot",
                name=self._name,
                joints=self._joints,
                limits_sha256=self._limits_sha256,
            )
        )
        while time.monotonic() < deadline_s:
            if not self._link.wait_connected(HELLO_EVERY_MS) or not self._link.send(hello):
                continue
            frame = self._receive(time.monotonic() + HELLO_EVERY_MS / 1000.0)
            while frame is not None and not isinstance(frame, WelcomeFrame | ByeFrame):
                frame = self._receive(time.monotonic() + HELLO_EVERY_MS / 1000.0)
            if isinstance(frame, ByeFrame):
                raise PeerLostError(f"the controller does not want this robot: {frame.reason}")
            if isinstance(frame, WelcomeFrame) and frame.greeting == greeting:
                self.welcome = frame
                self.agent.open_session(frame.session)
                self._is_answering = True
                return frame
        raise PeerLostError(f"no controller answered within {timeout_ms:.0f} ms")

    def exchange(self, state: RobotState, *, now_ns: int) -> Segment:
        """Report what was measured, and take one tick of motion."""
        self.report(state, now_ns=now_ns)
        return self.segment()

    def report(self, state: RobotState, *, now_ns: int) -> None:
        """The first half of `exchange`: the controller decides from here on."""
        if self.welcome is None:
            raise PeerLostError("start() has not been called")
        sent = StateFrame(
            session=self.welcome.session,
            seq=self._seq,
            tick=self.agent.tick_index,
            now_ns=now_ns,
            state=self.agent.stamp(state),
        )
        self._seq += 1
        self._is_reported = self._link.send(encode(sent))
        self._is_answering = self._is_answering and self._is_reported

    def segment(self) -> Segment:
        """The second half of `exchange`: one tick of motion, of the stored stop if none comes.

        It waits `patience_ms` from now on. Without a report before it nothing is waited for.
        """
        is_reported, self._is_reported = self._is_reported, False
        frame = self._frame_for(self.agent.tick_index) if is_reported else None
        return self.agent.tick(frame)

    def reset(self, *, recover: bool = False) -> None:
        """The operator at the robot allows motion: clear a latched stop, and arm, at rest.

        recover: as SafetyFilter.arm.
        """
        if self.welcome is not None:
            self._link.send(encode(ResetFrame(session=self.welcome.session, recover=recover)))

    def bye(self, reason: str) -> None:
        """Tell the controller that the robot goes."""
        self._link.send(encode(ByeFrame(reason=reason)))

    def close(self) -> None:
        """Let go of the socket."""
        self._link.close()

    def _frame_for(self, tick: int) -> SetpointFrame | ArmFrame | None:
        """The first frame for this tick that the agent would play, before the deadline."""
        patience_s = self.patience_ms / 1000.0
        deadline_s = time.monotonic() + (patience_s if self._is_answering else 0.0)
        while True:
            frame = self._receive(deadline_s)
            if frame is None or isinstance(frame, ByeFrame):
                self._is_answering = self.is_moving_allowed = False
                return None
            if not self._is_answering:  # it is back, if only with an answer that came too late
                self._is_answering, deadline_s = True, time.monotonic() + patience_s
            if isinstance(frame, NothingFrame):
                if frame.tick == tick:
                    self.is_moving_allowed = False
                    return None
                continue
            if isinstance(frame, SetpointFrame | ArmFrame):
                self.is_moving_allowed = isinstance(frame, ArmFrame) or not frame.latched
                if frame.tick == tick:
                    return frame
                self.rejected["for another tick"] += 1

    def _receive(self, deadline_s: float) -> Frame | None:
        """The next readable frame before the deadline."""
        while True:
            data = self._link.receive(max(0.0, 1000.0 * (deadline_s - time.monotonic())))
            if data is None:
                return None
            try:
                return decode(data, joints=self._joints, kinds=KINDS)
            except RemoteError as error:
                self.rejected[str(error)] += 1

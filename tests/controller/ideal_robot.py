"""A robot that does exactly what it is told, a controller in a thread and a scripted policy."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from checkrein.controller.agent import RobotAgent
from checkrein.controller.audit import AuditLog
from checkrein.controller.bus import Endpoints, Link
from checkrein.controller.driver import Segment
from checkrein.controller.errors import PeerLostError
from checkrein.controller.policy_client import Observation, PolicyClient
from checkrein.controller.robot_link import RobotLink
from checkrein.controller.service import ControllerService, ServiceReport
from checkrein.limits.declared import Limits
from checkrein.limits.records import Array, Candidates, Command, RobotState

Policy = Callable[[Observation, PolicyClient], Candidates]


def swinging(seed: int = 0, every: int = 25) -> Policy:
    """Full speed in a new random direction every 100 ms; in between nothing new."""
    rng = np.random.default_rng(seed)
    seq = 0

    def policy(seen: Observation, client: PolicyClient) -> Candidates:
        nonlocal seq
        if seen.tick % every:
            return None
        seq += 1
        values = rng.uniform(-2.0, 2.0, len(seen.state.q))
        return Command("joint_velocity", values, seq, seen.now_ns, valid_ms=100.0)

    return policy


class Stand:
    """Everything but the robot's loop: `tick` plays one tick of it."""

    def __init__(
        self,
        limits: Limits,
        folder: Path,
        policy: Policy,
        *,
        audit: AuditLog | None = None,
        patience_ms: float = 5000.0,
    ) -> None:
        self.limits = limits
        self.endpoints = Endpoints.in_folder(folder)
        self.service = ControllerService(
            limits, self.endpoints, audit=audit, policy_patience_ms=patience_ms
        )
        self._policy = policy
        self._wanted = threading.Event()
        self._wanted.set()
        self.report = ServiceReport()
        self._threads = [
            threading.Thread(target=self._serve, daemon=True),
            threading.Thread(target=self._propose, daemon=True),
        ]
        self.link = self.new_link(patience_ms)
        self.now_ns = 0
        self.q: Array = limits.home
        self.dq: Array = np.zeros(len(limits.joints))
        self.segments: list[Segment] = []
        for thread in self._threads:
            thread.start()

    def new_link(self, patience_ms: float, limits_sha256: str | None = None) -> RobotLink:
        return RobotLink(
            self.endpoints.robot,
            self.new_agent(),
            name="ideal",
            limits_sha256=limits_sha256,
            patience_ms=patience_ms,
        )

    def new_agent(self) -> RobotAgent:
        limits = self.limits
        return RobotAgent(
            q=limits.home, period_s=limits.period_s, watchdog_ms=limits.timing.watchdog_ms
        )

    def _serve(self) -> None:
        self.report = self.service.run(self._wanted.is_set)
        self.service.close()

    def _propose(self) -> None:
        try:
            with PolicyClient(self.endpoints.policy, timeout_ms=20_000.0) as client:
                while (seen := client.observe(20_000.0)) is not None:
                    client.propose(self._policy(seen, client))
        except PeerLostError:
            return

    def start(self) -> None:
        """Begin a session and arm."""
        self.link.start(20_000.0)
        self.link.reset()
        assert self.tick().source == "arm"

    def tick(self, state: RobotState | None = None) -> Segment:
        measured = state or RobotState(
            q=self.q, dq=self.dq, stamp_ns=self.now_ns, wrench_tcp=np.zeros(6)
        )
        segment = self.link.exchange(measured, now_ns=self.now_ns)
        self.q, self.dq = segment.q_end, segment.dq_end
        self.now_ns += round(self.limits.period_s * 1e9)
        self.segments.append(segment)
        return segment

    def stop(self) -> ServiceReport:
        """Say goodbye, and wait until all is over."""
        self.link.bye("done")
        self.link.close()
        self._wanted.clear()
        for thread in self._threads:
            thread.join(20.0)
        gc.enable()  # the service keeps it quiet in its own process; here it is ours
        gc.unfreeze()
        return self.report

    def __enter__(self) -> Stand:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if any(thread.is_alive() for thread in self._threads):
            self.stop()


@contextmanager
def rubbish_link(address: str) -> Iterator[Link]:
    """A peer that can send anything."""
    with Link("policy", address) as link:
        assert link.wait_connected(5000)
        yield link

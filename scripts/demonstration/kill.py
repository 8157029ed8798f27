"""SIGKILL of the controller at full speed: the robot must play the stop that it was sent.

Guarantees: each time, a real controller process in lock-step is killed at a random tick while the
simulated arm moves. The robot's side then hears nothing more. Judged: it rests in as many ticks as
the last setpoint declared, stays latched, and the observer finds no violation from start to rest.

    python -m checkrein.scripts.demonstration.kill --count 50
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...controller.agent import RobotAgent
from ...controller.errors import PeerLostError
from ...controller.policy_client import PolicyClient
from ...controller.robot_link import RobotLink
from ...limits.records import Array, Command
from ...sim.episode import RobotSide
from .children import Children
from .controller_process import run_bare_controller
from .settings import Meeting, Settings, frozen_path, read_frozen

__all__ = ["KillResult", "kill_controller"]

CONNECT_MS = 300_000.0
CONNECT_SLICE_MS = 2_000.0
PATIENCE_MS = 5_000.0
AFTER_TICKS = 100
FULL_SPEED = 0.5  # share of a joint's declared velocity that one joint at least must have


@dataclass(frozen=True, slots=True)
class KillResult:
    """One kill. `why_bad` is None if all held."""

    tick: int
    speed: float  # share of its declared velocity that the fastest joint had
    declared_ticks: int  # to rest, by the last setpoint
    needed_ticks: int
    why_bad: str | None


class _Policy(threading.Thread):
    """Full speed, in a new direction every 100 ms, until the controller is gone."""

    def __init__(self, address: str, seed: int, speed: Array) -> None:
        super().__init__(daemon=True)
        self._address, self._speed = address, speed
        self._rng = np.random.default_rng(seed)
        self.is_wanted = True

    def run(self) -> None:
        with PolicyClient(self._address, timeout_ms=CONNECT_MS) as client:
            seq, values = 0, np.zeros(len(self._speed))
            while self.is_wanted:
                try:
                    seen = client.observe(200.0)
                except PeerLostError:
                    continue
                if seen is None:
                    return
                command: Command | None = None
                if seen.tick % 100 == 0:
                    # One joint at a time: together they would soon be slowed by the TCP's limit.
                    values = np.zeros(len(self._speed))
                    joint = self._rng.integers(len(values))
                    values[joint] = self._rng.choice((-1.0, 1.0)) * self._speed[joint]
                if seen.tick % 25 == 0:
                    seq += 1
                    command = Command("joint_velocity", values, seq, seen.now_ns, valid_ms=100.0)
                client.propose(command)


def kill_controller(
    count: int, seed: int = 0, limits: str = "franka_panda"
) -> Iterator[KillResult]:
    """Kill the controller `count` times, each at another random tick."""
    settings = Settings(frozen_path(limits), seed, 1, 60.0, gui=False, realtime=False, out=".")
    rng = np.random.default_rng(seed)
    side = RobotSide(read_frozen(settings.frozen), seed)
    try:
        for index in range(count):
            yield _kill_once(settings, side, index, int(rng.integers(100, 600)))
    finally:
        side.driver.close()


def _kill_once(settings: Settings, side: RobotSide, index: int, tick: int) -> KillResult:
    frozen = read_frozen(settings.frozen)
    side.begin(settings.seed, index)
    before = dict(side.observer.counts)
    agent = RobotAgent(
        q=side.robot.told,
        period_s=float(frozen["period_s"]),
        watchdog_ms=float(frozen["timing"]["watchdog_ms"]),
    )
    fastest = np.array([joint["max_velocity"] for joint in frozen["joints"]])
    with tempfile.TemporaryDirectory(prefix="checkrein-") as folder, Children(settings) as children:
        meeting = Meeting("guarded", folder, os.getpid())
        children.start("controller", run_bare_controller, meeting)
        policy = _Policy(meeting.address("policy"), settings.seed + index, fastest)
        policy.start()
        link = RobotLink(meeting.address("robot"), agent, name="arm", patience_ms=PATIENCE_MS)
        try:
            while not children.is_finished():
                try:
                    link.start(CONNECT_SLICE_MS)
                    break
                except PeerLostError:
                    continue  # the kernels are being compiled; or the child failed: it says so
            link.reset()
            return _play(side, link, children, before, tick, fastest)
        finally:
            policy.is_wanted = False
            link.close()
            policy.join()


def _play(
    side: RobotSide,
    link: RobotLink,
    children: Children,
    before: dict[str, int],
    tick: int,
    fastest: Array,
) -> KillResult:
    agent = link.agent

    def play() -> float:
        segment = link.exchange(side.driver.read(), now_ns=side.driver.now_ns)
        side.driver.write(segment)
        side.after_tick(segment.q_end)
        return float((np.abs(segment.dq_end) / fastest).max())

    speed = 0.0
    # From the drawn tick on, as soon as the arm is fast.
    while agent.tick_index < tick or not (speed >= FULL_SPEED) or not link.is_answering:
        speed = play()
        children.is_finished()
        if agent.tick_index > tick + 5000:
            return KillResult(agent.tick_index, speed, 0, 0, "the arm never got fast")
    declared, at = agent.rest_in_ticks, agent.tick_index
    pid = children.pid("controller")
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    link.patience_ms = 50.0
    needed = 0
    while not agent.is_at_rest and needed <= declared + 1:
        play()
        needed += 1
    for _ in range(AFTER_TICKS):
        play()
    return KillResult(at, speed, declared, needed, _why_bad(side, link, before, declared, needed))


def _why_bad(
    side: RobotSide, link: RobotLink, before: dict[str, int], declared: int, needed: int
) -> str | None:
    if needed > declared:
        return f"at rest after {needed} ticks, declared were {declared}"
    if not link.agent.is_at_rest or link.agent.latched is None:
        return "not at rest and latched"
    moving = float(np.abs(side.robot.measured().dq).max())
    if not moving < 1e-3:
        return f"the measured speed is still {moving:.2g}"
    found = {
        kind: count - before[kind]
        for kind, count in side.observer.counts.items()
        if count != before[kind] and kind != "object_lost"
    }
    return f"violations: {found}" if found else None


def main() -> int:
    """0: every time all held; 1: not."""
    parser = argparse.ArgumentParser(description="SIGKILL the controller at full speed.")
    parser.add_argument("--count", type=int, default=int(os.environ.get("CHECKREIN_KILLS", "50")))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limits", default="franka_panda")
    arguments = parser.parse_args()
    results = []
    for result in kill_controller(arguments.count, arguments.seed, arguments.limits):
        results.append(result)
        print(
            f"tick {result.tick:4d}  {100 * result.speed:3.0f} % speed  at rest after "
            f"{result.needed_ticks:3d} of {result.declared_ticks:3d} declared ticks  "
            f"{result.why_bad or 'held'}",
            flush=True,
        )
    held = sum(result.why_bad is None for result in results)
    print(f"{held} of {len(results)} held")
    return 0 if held == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The robot's side of an episode: place it, watch it, give it a fresh object when one was lost.

Guarantees: the same (seed, episode) gives the same object and start, guarded or not; a fresh object
is only put onto a tool that is level and slow, so that it cannot be lost by being put there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .chain import Chain
from .driver import SimulatedDriver
from .model import Frozen
from .naive import NaiveDriver
from .observer import Observer
from .robot import SimulatedRobot
from .scenario import PolicyMessage, Scenario
from .world import Array, World

__all__ = ["RobotSide", "run_unguarded"]

LEVEL_RAD = math.radians(6.0)
SLOW_M_S = 0.25
SLOW_RAD_S = 0.4


class RobotSide:
    """World, robot, driver and observer of one robot process."""

    def __init__(self, frozen: Frozen, seed: int, gui: bool = False) -> None:
        self.world = World(frozen, seed, gui)
        self.robot = SimulatedRobot(self.world)
        self.driver = SimulatedDriver(self.robot)
        self.observer = Observer(frozen, self.world, self.robot)
        self._rng = np.random.default_rng(seed)
        self._level = self.world.tool_up() if self.world.carried is not None else None

    def begin(self, seed: int, episode: int) -> None:
        """Place the robot at home, at rest, with an object drawn from (seed, episode)."""
        self._rng = np.random.default_rng((seed, episode, 3))
        self.place()

    def place(self) -> None:
        """Place the robot anew, in the same episode: an operator has freed it."""
        self.world.reset(self.world.home, self._rng)
        self.robot.placed()
        self.observer.placed()

    def after_tick(self, applied: Array, raw: Any = None) -> frozenset[str]:
        """Tend the object, and judge the tick just made; returns the kinds in violation."""
        self.tend_object()
        return self.observer.observe(applied, raw)

    def tend_object(self) -> None:
        """Notice a lost object, and replace it where that may be; the tick may be judged later.

        What the robot measures next depends on it, and on nothing else that the observer does.
        """
        self.observer.watch_object()
        if self.observer.object_is_lost and self._may_replace():
            self.world.replace_object(self._rng)
            self.observer.object_replaced()

    def _may_replace(self) -> bool:
        trace = self.robot.trace
        slow = float(trace.tcp_speed_m_s[-1]) < SLOW_M_S
        slow = slow and float(np.abs(trace.dq[-1]).max()) < SLOW_RAD_S
        if not slow or self._level is None:
            return False
        return float(self._level @ self.world.tool_up()) > math.cos(LEVEL_RAD)


def run_unguarded(side: RobotSide, scenario: Scenario, ticks: int) -> list[PolicyMessage]:
    """Drive the robot by the scenario, with nothing in between; returns the attacks' onsets."""
    naive = NaiveDriver(side.robot.told, side.robot.period_s, Chain(side.world.frozen))
    onsets = []
    for _ in range(ticks):
        if scenario.done:
            break
        message = scenario.step(side.driver.read(), side.driver.now_ns)
        if message.is_onset:
            onsets.append(message)
        if message.wants_placing:
            side.place()
            naive.placed(side.robot.told)
            continue
        if message.command is not None:
            naive.receive(message.command)
        raw = naive.target()
        side.driver.write_raw(raw)
        naive.believed(side.robot.told)
        side.after_tick(side.robot.told, raw)
    return onsets

"""The unguarded driver: it does what it is told, the way drivers in the field do.

What it deliberately does not have: limits, age, sequence, finiteness, a watchdog. A command
replaces the last one, old or not; `zip` decides about wrong lengths; velocities are integrated;
when a command is over, its last row goes on for ever.
"""

from __future__ import annotations

import numpy as np

from ..limits.records import Command
from .world import Array

__all__ = ["NaiveDriver"]


class NaiveDriver:
    """Turns commands into one raw position target per tick, for `SimulatedRobot.step_raw`."""

    def __init__(self, q: Array, period_s: float) -> None:
        self._period_s = period_s
        self.placed(q)

    def placed(self, q: Array) -> None:
        """Start anew, at rest at q (n,)."""
        self._q: Array = np.array(q, dtype=np.float64)
        self._command: Command | None = None
        self._tick = 0
        self._start: Array = self._q
        self._speed: Array = np.zeros_like(self._q)
        self._speed_start: Array = self._speed

    def receive(self, command: Command) -> None:
        """Take a command, whatever it is."""
        self._command = command
        self._tick = 0
        self._start = self._q.copy()
        self._speed_start = np.where(np.isfinite(self._speed), self._speed, 0.0)

    def target(self) -> Array:
        """The raw target for the coming tick, possibly not finite or of the wrong length.

        `believed` must be called with what the robot made of it.
        """
        command = self._command
        if command is None:
            return self._q
        values = np.atleast_2d(command.values)
        if values.ndim != 2 or values.size == 0:
            return self._q
        self._tick += 1
        period_s = self._period_s
        row_s = period_s if command.period_ms is None else command.period_ms / 1000.0
        if not row_s > 0.0:
            row_s = period_s
        place = self._tick * period_s / row_s
        if command.mode == "joint_position":
            return self._between(self._start, values, place)
        if command.mode == "joint_velocity":
            self._speed = self._between(self._speed_start, values, place)
            return self._added(self._speed * period_s)
        if place > len(values):
            return self._q
        row: Array = values[min(int(np.ceil(place)) - 1, len(values) - 1)]
        return self._added(row * period_s / row_s)

    def believed(self, q: Array) -> None:
        """What the robot took the last target for (n,)."""
        self._q = q.copy()

    @staticmethod
    def _between(start: Array, values: Array, place: float) -> Array:
        """Row `place` of the rows after `start`, linearly interpolated; the last one for ever."""
        after = int(np.ceil(place)) - 1
        if after >= len(values):
            return np.asarray(values[-1])
        to: Array = values[after]
        before = values[after - 1] if after > 0 else start
        size = min(len(before), len(to))
        share = place - after
        if share >= 1.0:
            return to
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(before[:size] + share * (to[:size] - before[:size]))

    def _added(self, change: Array) -> Array:
        size = min(len(self._q), len(change))
        target = self._q.copy()
        with np.errstate(invalid="ignore", over="ignore"):
            target[:size] = self._q[:size] + change[:size]
        return target

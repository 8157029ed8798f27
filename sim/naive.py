"""The unguarded driver: it does what it is told, the way drivers in the field do.

What it deliberately does not have: limits, age, sequence, finiteness, a watchdog. A command
replaces the last one, old or not; `zip` decides about wrong lengths; velocities are integrated;
when a command is over, its last row goes on for ever. A twist becomes joint velocities by damped
least squares with one small damping, as textbooks have it.
"""

from __future__ import annotations

import numpy as np

from ..limits.records import TCP_MODES, TCP_WIDTH, Command
from .chain import Chain
from .world import Array

__all__ = ["NaiveDriver"]


class NaiveDriver:
    """Turns commands into one raw position target per tick, for `SimulatedRobot.step_raw`."""

    def __init__(self, q: Array, period_s: float, chain: Chain | None = None) -> None:
        """Begin at q (n,); without its `chain` a command of the tool moves nothing."""
        self._period_s, self._chain = period_s, chain
        self.placed(q)

    def placed(self, q: Array) -> None:
        """Start anew, at rest at q (n,)."""
        self._q: Array = np.array(q, dtype=np.float64)
        self._command: Command | None = None
        self._tick = 0
        self._start: Array = self._q
        self._speed: Array = np.zeros_like(self._q)
        self._speed_start: Array = self._speed
        self._twist: Array = np.zeros(TCP_WIDTH)
        self._twist_start: Array = self._twist

    def receive(self, command: Command) -> None:
        """Take a command, whatever it is."""
        self._command = command
        self._tick = 0
        self._start = self._q.copy()
        self._speed_start = np.where(np.isfinite(self._speed), self._speed, 0.0)
        self._twist_start = np.where(np.isfinite(self._twist), self._twist, 0.0)

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
        if command.mode in TCP_MODES:
            return self._tool_moved(command, values, place, row_s)
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

    def _tool_moved(self, command: Command, values: Array, place: float, row_s: float) -> Array:
        """The target that moves the TCP by one tick of a twist, or of a displacement."""
        if self._chain is None or values.shape[1] != TCP_WIDTH:
            return self._q
        if command.mode == "tcp_twist":
            self._twist = self._between(self._twist_start, values, place)
        elif place > len(values):
            return self._q
        else:
            self._twist = values[min(int(np.ceil(place)) - 1, len(values) - 1)] / row_s
        with np.errstate(invalid="ignore", over="ignore"):
            speed = self._chain.rates(self._chain.tcp(self._q)[2], self._twist)
            return self._added(speed * self._period_s)

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

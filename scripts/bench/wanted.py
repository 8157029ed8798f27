"""The same commanded joint velocities for every filter that is compared: (ticks, joints).

Guarantees:
- The same limits, stream and seed give the same commands, whoever follows them: they do not depend
  on where a robot has got to.
- Everything is finite and fresh. What is not (NaN, wrong lengths, stale, replayed) is held back, as
  by a careful driver: the last command goes on for the declared `command_timeout`, then the robot
  is told to stand.
- "nominal" and "attacked" are the streams that `streams` measures; "random" is a policy that is
  still learning: a velocity anywhere within the declared ones, held for up to a second.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...limits import Limits
from ...limits.records import Array, Candidates, Command
from .streams import STREAMS, Plant

__all__ = ["CONTESTS", "wanted_velocities"]

CONTESTS = ("nominal", "random", "attacked")
HELD_S = (0.1, 1.0)


class _Desk:
    """What a careful driver makes of proposals: a joint velocity for every tick."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._rows: Array = np.zeros((1, plant.n))
        self._left = 0  # ticks for which the rows are good
        self._seq = 0
        self._hold = max(1, int(plant.limits.timing.command_timeout_ms * 1e6 / plant.period_ns))

    def next(self, proposal: Candidates) -> Array:
        """The velocity (n,) for this tick."""
        if isinstance(proposal, Command) and self._is_good(proposal):
            self._seq = proposal.seq
            self._rows = self._velocities(proposal)
            self._left = self._hold + len(self._rows) - 1
        elif len(self._rows) > 1:
            self._rows = self._rows[1:]
        if self._left <= 0:
            return np.zeros(self._plant.n)
        self._left -= 1
        row: Array = self._rows[0]
        return row

    def _is_good(self, command: Command) -> bool:
        age_ms = (self._plant.now_ns - command.stamp_ns) * 1e-6
        return bool(
            command.seq > self._seq
            and command.values.shape[-1:] == (self._plant.n,)
            and np.isfinite(command.values).all()
            and 0.0 <= age_ms <= self._plant.limits.timing.command_timeout_ms
        )

    def _velocities(self, command: Command) -> Array:
        plant, rows = self._plant, np.atleast_2d(command.values)
        period_s = plant.limits.period_s
        if command.mode == "joint_position":
            return (rows - plant.q) / period_s
        if command.mode == "joint_delta":
            period_ms = command.period_ms
            return rows / (period_s if period_ms is None else period_ms * 1e-3)
        return rows


def _recorded(limits: Limits, stream: str, steps: int, seed: int) -> Array:
    plant = Plant(limits, seed)
    desk, proposals, out = _Desk(plant), STREAMS[stream](plant), np.zeros((steps, plant.n))
    for tick in range(steps):
        out[tick] = desk.next(next(proposals))
        plant.now_ns += plant.period_ns
    return out


def _random(limits: Limits, stream: str, steps: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    speed = np.array([joint.max_velocity for joint in limits.joints])
    out, tick = np.zeros((steps, speed.size)), 0
    while tick < steps:
        ticks = max(1, round(rng.uniform(*HELD_S) / limits.period_s))
        out[tick : tick + ticks] = rng.uniform(-speed, speed)
        tick += ticks
    return out


def wanted_velocities(limits: Limits, stream: str, *, steps: int, seed: int) -> Array:
    """Commanded joint velocities (steps, n) [rad/s or m/s] of one of CONTESTS."""
    made: Callable[[Limits, str, int, int], Array] = _random if stream == "random" else _recorded
    return made(limits, stream, steps, seed)

"""The well-behaved policy: reaches for goals and carries the object there, gently.

Guarantees: a new chunk every 100 ms, in joint positions or velocities, planned along a straight
line with the tool held level and the acceleration bounded; deterministic from its seed. It closes
the loop on the measured state, so that being slowed down costs it time and not its goal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .chain import Chain, hermite, rotation_matrix, rotation_vector
from .shots import Shot
from .world import Array

__all__ = ["GoodPolicy"]

CHUNK_PERIOD_S = 0.1
CHUNK_S = 0.24  # rows one tick apart; the next chunk comes long before the last row
KNOTS = 12
REACHED_M = 0.015
GOAL_BOX_M = np.array([0.12, 0.16, 0.08])  # half extents around the home position
ACCELERATION_MAX_M_S2 = 1.0
SPEED_MAX_M_S = 0.35
DURATION_MIN_S = 1.0
CORRECTION_1_S = 1.5  # gain on what the plan and the measurement differ by
PAUSE_S = 0.2  # carry: stand still at the goal for so long
ATTEMPTS_MAX = 50


class GoodPolicy:
    """Goal after goal, in turn a quick reach and a slow carry with a pause."""

    def __init__(self, frozen: Mapping[str, Any], chain: Chain, rng: np.random.Generator) -> None:
        self._chain, self._rng = chain, rng
        self._period_s = float(frozen["period_s"])
        self._home: Array = np.array(frozen["home"], dtype=np.float64)
        self._level, self._center, _ = chain.tcp(self._home)
        self._speed: Array = np.array([joint["max_velocity"] for joint in frozen["joints"]])
        self.goals = 0
        self.goals_met = 0
        self._rows = round(CHUNK_S / self._period_s)
        self._path: Array = np.tile(self._home, (KNOTS + 1, 1))
        self._seconds = DURATION_MIN_S
        self._goal: Array = self._center
        self._tick_in_goal = 0
        self._ticks_of_goal = 0
        self._velocity_mode = False

    @property
    def is_between_goals(self) -> bool:
        """The time for the last goal is over, the next has not been planned."""
        return self._tick_in_goal >= self._ticks_of_goal

    def restart(self) -> None:
        """Plan anew from wherever the robot is at the next step; the goal under way is dropped."""
        self._tick_in_goal = self._ticks_of_goal = 0

    def step(self, q: Array, tick: int) -> Shot | None:
        """The chunk for this tick, if one is due; q (n,) is measured, tick counts from 0."""
        if self.is_between_goals:
            self.settle(q)
            self._plan(q)
        shot = None
        if tick % round(CHUNK_PERIOD_S / self._period_s) == 0:
            shot = self._chunk(q)
        self._tick_in_goal += 1
        return shot

    def settle(self, q: Array) -> None:
        """The time for a goal is over: count it, and whether it was reached."""
        if self._ticks_of_goal:
            _, position, _ = self._chain.tcp(q)
            self.goals += 1
            self.goals_met += bool(float(np.linalg.norm(position - self._goal)) <= REACHED_M)
            self._tick_in_goal = self._ticks_of_goal = 0

    def _plan(self, q: Array) -> None:
        """A straight line to a new goal, in so much time that it stays gentle."""
        carry = self.goals % 2 == 1
        _, start, _ = self._chain.tcp(q)
        path, seconds, fits, attempts = np.tile(q, (KNOTS + 1, 1)), DURATION_MIN_S, False, 0
        while not fits and attempts < ATTEMPTS_MAX:
            attempts += 1
            self._goal = self._center + GOAL_BOX_M * self._rng.uniform(-1.0, 1.0, 3)
            distance = float(np.linalg.norm(self._goal - start))
            # Minimum jerk: peak speed 1.875 d / t, peak acceleration 5.774 d / t².
            slower = 0.6 if carry else 1.0
            seconds = max(
                DURATION_MIN_S,
                1.875 * distance / (slower * SPEED_MAX_M_S),
                (5.774 * distance / (slower * ACCELERATION_MAX_M_S2)) ** 0.5,
            )
            path, fits = self._line(q, seconds)
        self._path, self._seconds = path, seconds
        pause = PAUSE_S if carry else 0.0
        # Whole chunks: the next plan begins when a chunk is due.
        chunks = int(np.ceil((seconds + 0.2 + pause) / CHUNK_PERIOD_S))
        self._ticks_of_goal = chunks * round(CHUNK_PERIOD_S / self._period_s)
        self._tick_in_goal = 0
        self._velocity_mode = bool(self._rng.random() < 0.5)

    def _line(self, q: Array, seconds: float) -> tuple[Array, bool]:
        """Joint positions (KNOTS + 1, n) along the line, evenly in distance; whether they do."""
        chain, rows, fits = self._chain, [q], True
        rotation, start, _ = chain.tcp(q)
        tilt = rotation_vector(rotation @ self._level.T)  # levelled out on the way, not at once
        for share in np.linspace(0.0, 1.0, KNOTS + 1)[1:]:
            position = start + share * (self._goal - start)
            turn = rotation_matrix((1.0 - share) * tilt) @ self._level
            solved, error = chain.solve(rows[-1], turn, position, steps=8)
            fast = np.abs(solved - rows[-1]) * KNOTS * 1.875 / seconds > 0.7 * self._speed
            fits = fits and error < 0.01 and not fast.any()
            rows.append(solved)
        return np.array(rows), fits

    def _at(self, seconds: Array) -> Array:  # (m,) -> (m, n)
        """The planned joint positions: minimum jerk in time, cubic Hermite between the knots."""
        s = np.clip(seconds / self._seconds, 0.0, 1.0)
        place = s**3 * (10.0 - 15.0 * s + 6.0 * s * s) * KNOTS
        return hermite(self._path, place)

    def _chunk(self, q: Array) -> Shot:
        row_s = self._period_s
        times: Array = self._tick_in_goal * row_s + row_s * np.arange(
            self._rows + 1, dtype=np.float64
        )
        planned = self._at(times)
        # What differs from the plan now is let go of over the chunk, not at once.
        drift = q - planned[0]
        fade = np.exp(-CORRECTION_1_S * row_s * np.arange(1, self._rows + 1))[:, None]
        if not self._velocity_mode:
            return Shot("joint_position", planned[1:] + drift * fade, period_ms=1000.0 * row_s)
        # Half a row earlier and later: the planned velocity where the row ends.
        rates = (self._at(times[1:] + row_s / 2.0) - self._at(times[1:] - row_s / 2.0)) / row_s
        return Shot(
            "joint_velocity", rates - CORRECTION_1_S * drift * fade, period_ms=1000.0 * row_s
        )

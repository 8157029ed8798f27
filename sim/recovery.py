"""The way home after an attack: back along where the robot came from, gently.

Guarantees: positions only, every 100 ms a chunk; speed and acceleration along the way are bounded,
so that an object that is still on the tool stays there. The way was free when the robot came.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .shots import Shot
from .world import Array

__all__ = ["WayBack"]

CHUNK_PERIOD_S = 0.1
CHUNK_S = 0.24  # rows one tick apart
CRUMB_RAD = 0.02
SMOOTHING = 6  # crumbs to either side that round a corner off
# Share of the slowest joint's declared limits: with an object on the tool, and without.
SPEED_SHARE = {True: 0.5, False: 0.9}
ACCELERATION_SHARE = {True: 0.25, False: 0.7}
SETTLING_S = 0.2  # the stop still runs for a moment after the attack: part of the way
HOME_RAD = 0.08
LOOK_RAD = 0.3
ON_TIME_RAD = 0.03
CORRECTION_1_S = 3.0
HELD_SHARE = 0.2
PACE_MIN = 0.05


class WayBack:
    """Notes the positions of an attack, then leads back through them. Distances: largest joint."""

    def __init__(self, frozen: Mapping[str, Any]) -> None:
        home: Array = np.array(frozen["home"], dtype=np.float64)
        self._home, self._period_s = home, float(frozen["period_s"])
        self._speed_max = min(float(joint["max_velocity"]) for joint in frozen["joints"])
        self._change_max = min(float(joint["max_acceleration"]) for joint in frozen["joints"])
        self._trail: list[Array] = [home]
        self._path: Array = home[None]
        self._at: Array = np.zeros(1)  # distance along the path, for each of its points
        self._done_rad = 0.0
        self._expected = 0.0
        self._speed = 0.0
        self._pace = 1.0
        self._must_turn = False
        self._before: Array | None = None  # where the robot was when the last chunk was sent

    def begin(self, q: Array) -> None:
        """An attack begins at q (n,)."""
        self._trail = [self._home, q.copy()]

    def note(self, q: Array) -> None:
        """The robot is at q now."""
        if np.isfinite(q).all() and float(np.abs(q - self._trail[-1]).max()) > CRUMB_RAD:
            self._trail.append(q.copy())

    def note_settling(self, q: Array, tick: int) -> None:
        """As `note`, while the robot still comes to rest after the attack."""
        if tick * self._period_s <= SETTLING_S:
            self.note(q)
            self._must_turn = True  # once, when the first chunk is due

    def turn_back(self) -> None:
        """From here on, home."""
        self._path = _rounded(np.array(self._trail[::-1]))
        steps = np.abs(np.diff(self._path, axis=0)).max(axis=1)
        self._at = np.concatenate((np.zeros(1), np.cumsum(steps)))
        self._done_rad, self._expected, self._speed = 0.0, 0.0, 0.0
        self._pace, self._before, self._must_turn = 1.0, None, False

    def is_home(self, q: Array) -> bool:
        """Near enough to begin something new."""
        return bool(float(np.abs(q - self._home).max()) <= HOME_RAD)

    def _point(self, distance: float) -> Array:
        columns = [np.interp(distance, self._at, column) for column in self._path.T]
        return np.array(columns)

    def _is_held(self, q: Array) -> bool:
        """Since the last chunk the robot has made next to nothing of what was planned."""
        before, self._before = self._before, q.copy()
        if before is None:
            return False
        planned = self._expected - self._done_rad
        return bool(float(np.abs(q - before).max()) < HELD_SHARE * planned)

    def _nearest(self, q: Array) -> float:
        """How far along the path q is: not back, and not far ahead of what was done."""
        ahead = np.linspace(self._done_rad, min(self._at[-1], self._done_rad + LOOK_RAD), 16)
        errors = [float(np.abs(self._point(float(s)) - q).max()) for s in ahead]
        return float(ahead[int(np.argmin(errors))])

    def step(self, q: Array, tick: int, is_carrying: bool) -> Shot | None:
        """A chunk, if one is due; `tick` counts from the turn."""
        settled = tick - round(SETTLING_S / self._period_s)
        if settled < 0 or settled % round(CHUNK_PERIOD_S / self._period_s):
            return None
        if not np.isfinite(q).all():
            return None
        if self._must_turn:
            self.turn_back()
        held = self._is_held(q)
        # Refused: ask for something gentler. Moving again: back to full pace.
        self._pace = max(PACE_MIN, 0.7 * self._pace) if held else min(1.0, 1.3 * self._pace)
        change = self._pace * ACCELERATION_SHARE[is_carrying] * self._change_max
        fastest = self._pace * SPEED_SHARE[is_carrying] * self._speed_max
        # On time: go on as planned. Held up: from where the robot really is, from rest.
        if held or not float(np.abs(self._point(self._expected) - q).max()) <= ON_TIME_RAD:
            self._expected, self._speed = self._nearest(q), 0.0
        self._done_rad = place = self._expected
        speed, places, end, row_s = self._speed, [], float(self._at[-1]), self._period_s
        drift, fades = q - self._point(place), []
        for k in range(1, round(CHUNK_S / row_s) + 1):
            braking = math.sqrt(2.0 * change * max(0.0, end - place))
            most = min(fastest, speed + change * row_s, braking)
            place = min(end, place + (speed + most) / 2.0 * row_s)
            speed = most
            if k == round(CHUNK_PERIOD_S / row_s):
                self._expected, self._speed = place, speed
            places.append(place)
            fades.append(np.exp(-CORRECTION_1_S * row_s * k))
        on_path = np.column_stack([np.interp(places, self._at, column) for column in self._path.T])
        rows = on_path + drift * np.array(fades)[:, None]
        return Shot("joint_position", rows, period_ms=1000.0 * row_s)


def _rounded(path: Array) -> Array:
    """The same way in steps of CRUMB_RAD, with its corners rounded and its ends kept."""
    steps = np.abs(np.diff(path, axis=0)).max(axis=1)
    at = np.concatenate((np.zeros(1), np.cumsum(steps)))
    count = int(np.ceil(at[-1] / CRUMB_RAD)) + 1
    even = np.linspace(0.0, at[-1], max(2, count))
    fine = np.column_stack([np.interp(even, at, column) for column in path.T])
    index = np.arange(len(fine))
    # Near an end the window shrinks, so that the end itself stays where it is.
    width = np.minimum(SMOOTHING, np.minimum(index, index[::-1]))
    means = [fine[i - w : i + w + 1].mean(axis=0) for i, w in zip(index, width, strict=True)]
    return np.array(means)

"""Obstacles around a robot under attack, and a camera on them: late, noisy, sometimes ill.

Guarantees:
- What is really there never moves faster than it claims, and no claim is above the declared speed.
- A good cloud is true: measured no earlier than the declared latency before its stamp, with noise
  that its radii contain. It may be old, and there may be none for a long time.
- Bad clouds are bad in a way that the filter can see: not numbers, too fast, too many, from the
  future. Ghosts are points where nothing is; what is there is in every good cloud.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ...limits.obstacles import Obstacles
from ...limits.records import Array
from ...sim.oracle import Robot
from ...sim.oracle_geometry import capsule_ends, forward
from .view import View

__all__ = ["Passers", "Truth"]

AROUND_M = 0.25  # of links, in this or that configuration, obstacles begin
FREE_M = 0.06  # and this far from the robot where it is armed
WALL_POINTS = 24
BAD_SHARE, GHOST_SHARE, SILENCE_SHARE, OLD_SHARE = 0.002, 0.004, 0.004, 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Where obstacles really are while one tick is played, and how fast they may be."""

    start: Array  # (m, 3) [m]
    end: Array  # (m, 3) [m]
    radius_m: Array  # (m,)
    speed_m_s: Array  # (m,)
    excused: bool  # time ran away, and nothing but the stop could be played since


class Passers:
    """The obstacles of one armed run."""

    def __init__(self, robot: Robot, view: View, q: Array) -> None:
        if robot.perception is None:
            raise ValueError("the robot declares no perception")
        self._robot, self._view, self._seeing = robot, view, robot.perception
        self._at = self._places(q)
        count = len(self._at)
        most = self._seeing.max_speed_m_s
        self._radius = view.rng.uniform(0.0, 0.05, count)
        self._speed = most * view.rng.uniform(0.0, 1.0, count) * view.pick(0.0, 0.3, 1.0)
        self._speed[len(self._at) - self._standing :] = 0.0
        self._noise = view.pick(0.0, 0.005)
        self._claims = view.chance(0.8)  # or all are said to be as fast as declared
        self._way = np.zeros((count, 3))
        self._left = np.zeros(count, np.int64)  # ticks before each does something else
        self._history: deque[tuple[int, Array]] = deque(maxlen=64)
        self._clock_ns: int | None = None
        self._every = int(view.pick(1, 1, 3, 8))
        self._ticks = self._silent = 0
        self._stamp_ns = -(2**62)
        self._excused = False
        self.cloud: Obstacles | None = None

    def _places(self, q: Array) -> Array:
        """Where obstacles begin: movers, then a patch of points that stands still; or nothing."""
        rng, robot = self._view.rng, self._robot
        movers = int(self._view.pick(0, 0, 1, 3, 5))
        self._standing = WALL_POINTS if movers > 0 and self._view.chance(0.3) else 0
        wanted, found = movers + self._standing, np.empty((0, 3))
        for _ in range(20):
            low, high = (  # a continuous joint has no bounds: one turn is all of it
                np.clip(robot.bounds[name], -np.pi, np.pi)
                for name in ("min_position", "max_position")
            )
            frames = forward(robot, rng.uniform(low, high, (8, robot.n)))
            links = [capsule_ends(frames, capsule)[1].T for capsule in robot.capsules]
            near = np.vstack(links) + rng.normal(size=(8 * len(links), 3)) * AROUND_M
            if self._standing:  # a patch of points, beside which links may glide
                spread = rng.uniform(-0.15, 0.15, (WALL_POINTS, 3)) * [1.0, 1.0, 0.02]
                near = np.vstack([near, near[:1] + spread])
            found = np.vstack([found, near[self._clear(q, near) > FREE_M]])
            if len(found) >= wanted:
                break
        chosen = rng.permutation(len(found))[: min(wanted, self._seeing.max_points)]
        self._standing = max(0, min(self._standing, len(chosen) - movers))
        return np.array(found[chosen])

    def _clear(self, q: Array, points: Array) -> Array:
        """Distance (m,) [m] of points from the nearest link."""
        frames, least = forward(self._robot, q[None]), np.full(len(points), np.inf)
        for capsule in self._robot.capsules:
            one, two = (end[:, 0] for end in capsule_ends(frames, capsule))
            way = two - one
            share = np.clip((points - one) @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
            apart = np.linalg.norm(points - one - share[:, None] * way, axis=1)
            least = np.minimum(least, apart - capsule.radius_m)
        return np.asarray(least)

    def _steer(self) -> None:
        """Each mover goes on, or does something else: stays, passes, comes for a link, flees."""
        rng, view = self._view.rng, self._view
        self._left -= 1
        for i in np.flatnonzero(self._left < 0).tolist():
            self._left[i] = int(rng.integers(40, 400))
            frames = forward(self._robot, view.q[None])
            capsule = self._robot.capsules[int(rng.integers(len(self._robot.capsules)))]
            towards = capsule_ends(frames, capsule)[1][:, 0] - self._at[i]
            way = rng.normal(size=3) if view.chance(0.3) else towards * view.pick(1.0, 1.0, -1.0)
            size = float(np.linalg.norm(way)) * (0.0 if view.chance(0.2) else 1.0)
            self._way[i] = way / size if size > 0.0 else 0.0

    def _moved(self, seconds: float) -> Array:
        """Where all are after a time, a hair slower than they claim."""
        return self._at + self._way * (self._speed * seconds * (1.0 - 1e-9))[:, None]

    def begin(self, now_ns: int) -> None:
        """The world as it is when a tick begins."""
        if self._clock_ns is not None and now_ns > self._clock_ns:
            self._at = self._moved((now_ns - self._clock_ns) * 1e-9)
            late_s = (now_ns - self._clock_ns) * 1e-9
            self._excused |= late_s > self._robot.period_s * (1.0 + self._robot.period_tolerance)
            self._steer()
        self._clock_ns = now_ns
        if not self._history or self._history[-1][0] < now_ns:
            self._history.append((now_ns, self._at))
        self._ticks += 1
        if self._silent > 0:
            self._silent -= 1
        elif self._ticks % self._every == 0 or self.cloud is None:
            self._look(now_ns)

    def _look(self, now_ns: int) -> None:
        view, period_ns = self._view, round(self._robot.period_s * 1e9)
        latency_ns = round(self._seeing.latency_s * 1e9)
        back = int(view.rng.integers(0, 1 + min(len(self._history) - 1, latency_ns // period_ns)))
        if view.chance(OLD_SHARE):
            back = int(view.rng.integers(0, len(self._history)))
        measured_ns, at = self._history[-1 - back]
        stamp_ns = min(now_ns, measured_ns + int(view.rng.integers(0, latency_ns + 1)))
        self._stamp_ns = max(self._stamp_ns, stamp_ns)
        noise = view.rng.normal(size=at.shape)
        size = np.maximum(np.linalg.norm(noise, axis=1, keepdims=True), 1e-12)
        points = at + noise / size * self._noise
        radius, speed = self._radius + self._noise * (1.0 + 1e-9), self._speed
        if len(points) < self._seeing.max_points and view.chance(GHOST_SHARE):
            ghost = points[:1] + view.rng.normal(size=(1, 3)) * 0.2
            points, radius = np.vstack([points, ghost]), np.r_[radius, radius[:1]]
            speed = np.r_[speed, speed[:1]]
        claims = speed if self._claims else None
        self.cloud = Obstacles(points, radius, stamp_ns, claims)
        if view.chance(BAD_SHARE):
            self.cloud = self._bad(points, radius, stamp_ns)
        if view.chance(SILENCE_SHARE):
            longest = round(3.0 * self._seeing.max_age_s / self._robot.period_s)
            self._silent = int(view.rng.integers(1, 2 + longest))

    def _bad(self, points: Array, radius: Array, stamp_ns: int) -> Obstacles:
        kind = int(self._view.rng.integers(4))
        wrong = np.vstack([points, np.zeros((1, 3))])
        radii = np.r_[radius, 0.01]
        if kind == 0:
            wrong[int(self._view.rng.integers(len(wrong)))] = self._view.pick(np.nan, np.inf)
        elif kind == 1:
            return Obstacles(wrong, radii, stamp_ns, self._seeing.max_speed_m_s * 1.01 + 1e-6)
        elif kind == 2:
            wrong = np.tile(wrong[:1], (self._seeing.max_points + 1, 1))
            radii = np.full(len(wrong), 0.01)
        else:
            stamp_ns += 10**12
        return Obstacles(wrong, radii, stamp_ns)

    def truth(self, *, is_fresh: bool) -> Truth:
        """Of the tick that has just been decided; is_fresh: it is newly certified motion."""
        if is_fresh:
            self._excused = False
        most = np.full_like(self._speed, self._seeing.max_speed_m_s)
        speed = self._speed if self._claims else most
        end = self._moved(self._robot.period_s)
        return Truth(self._at, end, self._radius, speed, self._excused)

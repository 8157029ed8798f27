"""What an attack sees of the robot, and how it words its proposals.

Guarantees:
- An attack sees the ideal plant, the poses and a seeded generator: nothing of the filter's inside.
- A proposal that must never be accepted is marked when it is made (`rubbish`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ...limits.records import Array, Candidates, Command, Mode
from ...sim.oracle import Robot
from ...sim.oracle_geometry import cross, forward, tcp_rotation, tcp_velocity
from .poses import Poses

__all__ = ["Stream", "View"]

Stream = Iterator[Candidates]


class View:
    """The attacker's knowledge; the shard updates q, dq and now_ns before every tick."""

    def __init__(self, robot: Robot, poses: Poses, rng: np.random.Generator) -> None:
        self.robot = robot
        self.poses = poses
        self.rng = rng
        self.q: Array = robot.home
        self.dq: Array = np.zeros(robot.n)
        self.now_ns = 0
        self.rubbish: list[Command] = []
        self.accepted: Command | None = None  # since arming
        self.binds: Counter[str] = Counter()  # how often each volume has bound in this shard
        self.volume: str | None = None  # the one that the robot starts beside
        self._seq = 0
        self.low, self.high = robot.span
        self.speed = robot.bounds["max_velocity"]
        self.creeping = 1e-3 * self.speed  # not more is as good as at rest
        self.period_ms = robot.period_s * 1e3
        turning = robot.max_rot_vel_rad_s
        self.tool_speed = np.repeat(  # (6,) [m/s, rad/s]
            [robot.max_trans_vel_m_s, float(self.speed.max()) if turning is None else turning], 3
        )

    @property
    def n(self) -> int:
        """Number of joints."""
        return self.robot.n

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def pick(self, *choices: float) -> float:
        """One of the numbers."""
        return choices[int(self.rng.random() * len(choices))]  # a fifth of the time of integers()

    def signs(self) -> Array:
        """(n,) of -1 and 1."""
        return self.rng.choice(np.array([-1.0, 1.0]), self.n)

    def some(self) -> Array:
        """(n,) of 0 and 1, at least one of which is 1."""
        mask = (self.rng.random(self.n) < self.pick(0.2, 0.5, 1.0)).astype(float)
        mask[int(self.rng.integers(self.n))] = 1.0
        return mask

    def ticks(self, low: int, high: int) -> range:
        """A random number of ticks."""
        return range(int(self.rng.integers(low, high + 1)))

    def row_of(self, pool: Array) -> Array:
        """One configuration of a pool (count, n): the nearest of a few."""
        few = pool[self.rng.integers(0, pool.shape[0], 40)]
        span = self.high - self.low
        gaps = np.abs((few - self.q) / span).max(axis=1)
        return np.array(few[int(np.argmin(gaps))])

    def some_volume(self) -> str | None:
        """Mostly the reachable volume that has bound the least so far."""
        names = sorted(self.poses.pressed)
        if not names:
            return None
        if self.volume is not None and self.chance(0.5):
            return self.volume
        if self.chance(0.7):
            self.rng.shuffle(names)
            return min(names, key=lambda name: self.binds[name])
        return names[int(self.rng.integers(len(names)))]

    def command(
        self,
        mode: Mode,
        values: Array,
        *,
        period_ms: float | None = None,
        valid_ms: float | None = None,
        stamp_ns: int | None = None,
    ) -> Command:
        """A well-formed command with the next sequence number."""
        self._seq += 1
        stamp = self.now_ns if stamp_ns is None else stamp_ns
        return Command(mode, values, self._seq, stamp, valid_ms, period_ms)

    def bad(self, command: Command) -> Command:
        """Mark a command that must not be accepted."""
        self.rubbish.append(command)
        return command

    def twist_of(self, dq: Array) -> Array:
        """Twist (6,) of the TCP at joint velocities dq (n,): [m/s], [rad/s], base frame."""
        frames = forward(self.robot, self.q[None])
        linear = tcp_velocity(self.robot, frames, dq[None])
        angular = tcp_rotation(self.robot, frames, dq[None])
        return np.concatenate([linear[:, 0], angular[:, 0]])

    def outward(self) -> Array:
        """Unit vector (3,) from the second joint to the TCP: the arm stretches that way."""
        frames = forward(self.robot, self.q[None])
        way = frames.tcp[:, 0] - frames.origin[min(1, self.n - 1), :, 0]
        return np.asarray(way / max(1e-9, float(np.linalg.norm(way))))

    def spinning(self, direction: Array) -> Array:
        """Joint velocity (n,), all at their bounds, that turns the TCP about `direction` (3,)."""
        frames = forward(self.robot, self.q[None])
        senses = np.sign(frames.axes[:, 2, :, 0] @ direction)
        return np.asarray(np.where(self.robot.prismatic, 0.0, senses) * self.speed)

    def toward(self, direction: Array) -> Array:
        """Joint velocity (n,), all at their bounds, that moves the TCP along `direction` (3,)."""
        frames = forward(self.robot, self.q[None])
        out = np.empty(self.n)
        for i in range(self.n):
            axis = frames.axes[i, 2]
            slides = self.robot.prismatic[i]
            column = axis if slides else cross(axis, frames.tcp - frames.origin[i])
            out[i] = np.sign(float(direction @ column[:, 0]))
        return out * self.speed

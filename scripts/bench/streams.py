"""The two streams that are measured: a well-behaved policy's, and a hostile one's.

Guarantees:
- The same seed gives the same stream; nothing depends on how fast this machine is.
- The robot is an ideal one: it is where the last setpoint put it, and reports torques, a wrench
  and what it executed, as a real one does. So the filter has everything to check that it ever has.
- Works for any number of joints; a stream never latches the filter, so every tick is a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...controller import Decision
from ...limits import Limits, Obstacles
from ...limits.records import Array, Candidates, Command, Executed, Mode, RobotState

__all__ = ["STREAMS", "Plant", "Stream", "attacked", "chunked", "nominal"]

Stream = Iterator[Candidates]

# Of each joint's declared speed and room, what the well-behaved policy uses.
NOMINAL_SPEED = 0.15
NOMINAL_ROOM = 0.2
NOMINAL_HZ = (0.2, 0.5)
CHUNK_ROWS, CHUNK_MS = 25, 4.0
PHASE_TICKS = (15, 75)


class Plant:
    """The ideal robot, its clock and its policy's counters."""

    def __init__(self, limits: Limits, seed: int) -> None:
        self.limits = limits
        self.rng = np.random.default_rng(seed)
        self.n = len(limits.joints)
        self.now_ns = 1_000_000_000
        self.period_ns = round(limits.period_s * 1e9)
        self.low = np.array([joint.min_position for joint in limits.joints])
        self.high = np.array([joint.max_position for joint in limits.joints])
        self.speed = np.array([joint.max_velocity for joint in limits.joints])
        self.q: Array = np.array(limits.home)
        self.dq: Array = np.zeros(self.n)
        self.obstacles: Obstacles | None = None  # what its camera saw last
        self._executed: Executed | None = None
        self._seq = 0
        self._still = np.zeros(self.n)
        self._wrench = np.zeros(6)

    def state(self) -> RobotState:
        """What the robot reports now."""
        return RobotState(
            self.q, self.dq, self.now_ns, tau=self._still, wrench_tcp=self._wrench,
            executed=self._executed, obstacles=self.obstacles,
        )  # fmt: skip

    def move(self, decision: Decision) -> None:
        """Play a setpoint, and let its tick pass."""
        self.q, self.dq = decision.setpoint.q, decision.setpoint.dq
        self._executed = Executed(decision.seq, 0)
        self.now_ns += self.period_ns

    def command(
        self, mode: Mode, values: Array, *, period_ms: float | None = None, age_ns: int = 0
    ) -> Command:
        """A command with the next sequence number, made `age_ns` ago."""
        self._seq += 1
        return Command(mode, values, self._seq, self.now_ns - age_ns, period_ms=period_ms)

    def replayed(self) -> Command:
        """A command with a sequence number from long ago."""
        return Command("joint_velocity", np.zeros(self.n), 0, self.now_ns)


def _swing(plant: Plant) -> Callable[[float], Array]:
    """A velocity (n,) over time: every joint swings about where it starts, slowly at first."""
    hz = plant.rng.uniform(*NOMINAL_HZ, plant.n)
    room = NOMINAL_ROOM * np.minimum(plant.high - plant.q, plant.q - plant.low)
    size = np.minimum(NOMINAL_SPEED * plant.speed, np.pi * hz * np.maximum(room, 0.0))
    return lambda t: min(1.0, t) * size * np.sin(2.0 * np.pi * hz * t)


def nominal(plant: Plant) -> Stream:
    """A new velocity for every tick: what a policy at the control rate sends."""
    wanted, t = _swing(plant), 0.0
    while True:
        t += plant.limits.period_s
        yield plant.command("joint_velocity", wanted(t))


def chunked(plant: Plant) -> Stream:
    """The same motion in chunks of 0.1 s: one arrives, then 24 ticks bring nothing."""
    wanted, t = _swing(plant), 0.0
    ticks = max(1, round(CHUNK_ROWS * CHUNK_MS * 1e-3 / plant.limits.period_s))
    while True:
        times = t + CHUNK_MS * 1e-3 * (np.arange(CHUNK_ROWS) + 1.0)
        rows = np.array([wanted(float(row)) for row in times])
        yield plant.command("joint_velocity", rows, period_ms=CHUNK_MS)
        t += ticks * plant.limits.period_s
        for _ in range(ticks - 1):
            yield None


def _slam(plant: Plant, ticks: int) -> Stream:
    """Full speed, and far beyond, towards the joints' ends."""
    side = plant.rng.choice(np.array([-1.0, 1.0]), plant.n)
    excess = float(plant.rng.choice(np.array([1.0, 4.0, 1e6])))
    for _ in range(ticks):
        yield plant.command("joint_velocity", side * plant.speed * excess)


def _jump(plant: Plant, ticks: int) -> Stream:
    """To anywhere within the joints' range and beyond, through whatever is in between."""
    target = plant.rng.uniform(plant.low - 0.2, plant.high + 0.2)
    for _ in range(ticks):
        yield plant.command("joint_position", target)


def _bang_bang(plant: Plant, ticks: int) -> Stream:
    """Full speed one way, then the other, every tick."""
    side = plant.rng.choice(np.array([-1.0, 1.0]), plant.n)
    for tick in range(ticks):
        yield plant.command("joint_velocity", (-1.0) ** tick * side * plant.speed)


def _hurl(plant: Plant, ticks: int) -> Stream:
    """Chunks of large random steps, replaced before they are over."""
    for tick in range(ticks):
        if tick % 10:
            yield None
        else:
            rows = plant.rng.normal(0.0, 0.02, (CHUNK_ROWS, plant.n))
            yield plant.command("joint_delta", rows, period_ms=CHUNK_MS)


def _rubbish(plant: Plant, ticks: int) -> Stream:
    """NaN, infinity, wrong lengths, stale, replayed, from the future; a good one in between."""
    fine = plant.rng.uniform(-0.3, 0.3, plant.n) * plant.speed
    for tick in range(ticks):
        bad = fine.copy()
        bad[tick % plant.n] = (np.nan, np.inf)[tick % 2]
        yield (
            plant.command("joint_velocity", fine),
            plant.command("joint_velocity", bad),
            plant.command("joint_velocity", np.append(fine, 0.0)),
            plant.command("joint_velocity", fine, age_ns=10_000_000_000),
            plant.command("joint_velocity", fine, age_ns=-1_000_000),
            plant.replayed(),
        )[tick % 6]


def _silence(plant: Plant, ticks: int) -> Stream:
    """At full speed, and then nothing: the command runs out and the stop runs."""
    for tick in range(ticks):
        yield plant.command("joint_velocity", 0.5 * plant.speed) if tick < ticks // 3 else None


ATTACKS = (_slam, _jump, _bang_bang, _hurl, _rubbish, _silence)


def attacked(plant: Plant) -> Stream:
    """Attacks, one after the other, each for a moment."""
    while True:
        attack = ATTACKS[int(plant.rng.integers(len(ATTACKS)))]
        yield from attack(plant, int(plant.rng.integers(*PHASE_TICKS)))


STREAMS: dict[str, Callable[[Plant], Stream]] = {
    "nominal": nominal,
    "chunked": chunked,
    "attacked": attacked,
}

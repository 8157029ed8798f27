"""Labels by simulation: what a chunk does, run through the filter, and what its stop does.

Guarantees:
- What is simulated is what would be executed: the chunk goes through `decide`, without a
  classifier, and a stop is the certified one that travelled with its setpoint.
- A label is made of two roll-outs from the same saved state: the chunk to its end and the stop
  behind it, and the stop from a tick drawn at random within it; each with SETTLE_S at rest after.
  Without the stops a chunk that merely postpones the failure would look safe.
- Deterministic: the same world, state and generator give the same label.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...controller import SafetyFilter
from ...controller.decide import Memory, decide
from ...limits.core import Core, is_at_rest
from ...limits.declared import ClassifierLimits, Limits
from ...limits.records import Array, Command, RobotState
from ...sim.attackers import Shot
from ...sim.robot import SimulatedRobot
from ...sim.world import SavedWorld, World

__all__ = ["Branch", "Label", "Path", "without_classifier"]

SETTLE_S = 0.2
COMMAND_S_MAX = 0.8
STOP_TICKS_MAX = 1000
LOOK_TICKS = 4  # ticks between two looks at the object


def without_classifier(limits: Limits) -> Limits:
    """The same limits, for a filter whose executed motions are to be labelled."""
    none = ClassifierLimits(None, None, None, None, "its training data are being made")
    return dataclasses.replace(limits, classifier=none)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """What the filter makes of a command: its memory after every tick, from before the first."""

    memories: tuple[Memory, ...]
    command_ticks: int  # how many of them still follow the command


@dataclass(frozen=True, slots=True)
class Label:
    """Whether the object was lost, and where."""

    in_command: bool  # in the command itself, or in the stop at its end
    in_stop: bool  # in the stop that began at `stop_tick`
    stop_tick: int

    @property
    def is_unsafe(self) -> bool:
        """Lost in either roll-out."""
        return self.in_command or self.in_stop


class Branch:
    """One world and one filter core, branched from saved states."""

    def __init__(self, limits: Limits, world: World, substep_s: float) -> None:
        self.limits = without_classifier(limits)
        self.world = world
        self.core = Core(self.limits)
        self._substep_s = substep_s
        self._substeps = round(self.limits.period_s / substep_s)
        if abs(self._substeps * substep_s - self.limits.period_s) > 1e-12 or self._substeps < 1:
            raise ValueError(
                f"substep: {substep_s} s does not divide the period of {self.limits.period_s} s"
            )
        world.p.setPhysicsEngineParameter(fixedTimeStep=substep_s, physicsClientId=world.client)
        self._efforts = SimulatedRobot(world).motor_efforts
        self._period_ns = round(self.limits.period_s * 1e9)

    def armed(self, q: Array) -> Memory | None:
        """The filter's memory at rest at q (n,); None if that is not certifiable."""
        if self.core.rest(q)[1] is not None:
            return None
        guard = SafetyFilter(self.limits)
        guard.arm(RobotState(q, np.zeros_like(q), 0), now_ns=0)
        return guard.memory

    def command(self, shot: Shot, memory: Memory) -> Command:
        """The shot as the next command after `memory`."""
        seq = (memory.command_seq or 0) + 1
        now_ns = (memory.now_ns or 0) + self._period_ns
        return Command(shot.mode, shot.values, seq, now_ns, period_ms=shot.period_ms)

    def tick(self, memory: Memory, command: Command | None) -> Memory:
        """One tick of the filter, the robot being exactly where it was told to be."""
        now_ns = (memory.now_ns or 0) + self._period_ns
        state = RobotState(memory.motion[:-1, 0], memory.motion[:-1, 1], now_ns)
        return decide(self.core, memory, state, command, now_ns, None)[1]

    def path(self, memory: Memory, command: Command | None) -> Path:
        """The whole of a command (None: of what is left of the plan) and the stop behind it."""
        ticks_max = round(COMMAND_S_MAX / self.limits.period_s)
        memories = [memory]
        followed = 0
        while len(memories) <= ticks_max + STOP_TICKS_MAX:
            memory = self.tick(memory, command if len(memories) == 1 else None)
            memories.append(memory)
            if memory.plan is not None and len(memories) - 1 <= ticks_max:
                followed = len(memories) - 1
                continue
            if len(memories) - 1 > ticks_max and memory.plan is not None:
                break
            if is_at_rest(memory.motion):
                break
        if not is_at_rest(memories[-1].motion):  # too long to be labelled whole: stop where it ends
            memories[-1:] = self._stop(memories[-1])
        return Path(tuple(memories), followed)

    def _stop(self, memory: Memory) -> list[Memory]:
        """`memory` and the certified stop that it carries, tick by tick."""
        out = [memory]
        while not is_at_rest(out[-1].motion) and len(out) < STOP_TICKS_MAX:
            motion = self.core.brake(out[-1].motion)
            out.append(out[-1]._replace(motion=motion, plan=None))
        return out

    def play(self, memories: tuple[Memory, ...] | list[Memory]) -> bool:
        """Simulate the motion from the first memory to the last; True once the object is lost."""
        world, p, client = self.world, self.world.p, self.world.client
        h = self._substep_s * np.arange(1, self._substeps + 1)[:, None]
        n = len(self._efforts)
        for k, (before, after) in enumerate(pairwise(memories)):
            q, dq, ddq = before.motion[:-1, 0], before.motion[:-1, 1], before.motion[:-1, 2]
            jerk = (after.motion[:-1, 2] - ddq) / self.limits.period_s
            rows = q + h * (dq + h * (ddq / 2.0 + h * (jerk / 6.0)))
            if is_at_rest(after.motion):
                rows[-1] = after.motion[:-1, 0]
            for row in rows.tolist():
                p.setJointMotorControlArray(
                    world.robot,
                    world.joint_indices,
                    p.POSITION_CONTROL,
                    targetPositions=row,
                    targetVelocities=[0.0] * n,
                    forces=self._efforts,
                    positionGains=[1.0] * n,
                    velocityGains=[1.0] * n,
                    physicsClientId=client,
                )
                p.stepSimulation(physicsClientId=client)
            if k % LOOK_TICKS == 0 and world.object_lost():
                return True
        return world.object_lost()

    def settle(self, memory: Memory) -> bool:
        """Stand still for SETTLE_S; True if the object is lost by then."""
        return self.play([memory] * (round(SETTLE_S / self.limits.period_s) + 1))

    def is_doomed(self, memory: Memory) -> bool:
        """Whether the stop that `memory` carries loses the object; leaves the world at its end."""
        stop = self._stop(memory)
        return self.play(stop) or self.settle(stop[-1])

    def label(self, saved: SavedWorld, path: Path, stop_tick: int) -> Label:
        """Both roll-outs from `saved`; leaves the world wherever they end."""
        world, memories = self.world, path.memories
        world.restore(saved)
        if self.play(memories[: stop_tick + 1]):
            return Label(True, False, stop_tick)
        at_stop = world.save()
        lost = self.play(memories[stop_tick:]) or self.settle(memories[-1])
        lost_in_stop = False
        if not lost:
            world.restore(at_stop)
            stop = self._stop(memories[stop_tick])
            lost_in_stop = self.play(stop) or self.settle(stop[-1])
        world.forget(at_stop)
        return Label(lost, lost_in_stop, stop_tick)

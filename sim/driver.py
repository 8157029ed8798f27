"""The simulated robot as a driver: `read` what it measures, `write` one tick of motion.

Guarantees: satisfies the controller's `Driver` protocol without importing it; time is simulated,
tick index times period, so nothing depends on how fast this machine is. A lost object is not
tracked: it is absent from `objects` until a fresh one stands on the tool.
"""

from __future__ import annotations

from ..limits.records import RobotState, TrackedObject
from .robot import Motion, SimulatedRobot
from .world import Array

__all__ = ["SimulatedDriver"]


class SimulatedDriver:
    """Wraps a `SimulatedRobot`; `ticks` counts what was written."""

    def __init__(self, robot: SimulatedRobot) -> None:
        self.robot = robot
        self.ticks = 0

    @property
    def period_s(self) -> float:
        """Length of a tick."""
        return self.robot.period_s

    @property
    def joints(self) -> int:
        """Number of joints."""
        return len(self.robot.world.joint_names)

    @property
    def now_ns(self) -> int:
        """Simulated time."""
        return self.ticks * round(self.period_s * 1e9)

    def read(self) -> RobotState:
        """The measured state now."""
        measured, world = self.robot.measured(), self.robot.world
        objects: tuple[TrackedObject, ...] = ()
        if world.carried is not None and not world.object_lost():
            objects = (TrackedObject(world.carried.name, world.object_pose()),)
        return RobotState(
            q=measured.q,
            dq=measured.dq,
            stamp_ns=self.now_ns,
            tau=measured.tau,
            wrench_tcp=measured.wrench_tcp,
            objects=objects,
        )

    def write(self, segment: Motion) -> None:
        """Play one tick of motion; simulated time has passed when this returns."""
        self.robot.step(segment)
        self.ticks += 1

    def write_raw(self, target: Array) -> None:
        """One tick of an unguarded driver: straight to `target`, whatever it is."""
        self.robot.step_raw(target)
        self.ticks += 1

    def close(self) -> None:
        """Let go of the world."""
        self.robot.world.close()

"""A robot with a gripper, ideal fingers, and a judge of what was asked of them.

The judge works on the setpoints alone; its tolerance is rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.drive import Rig

from checkrein.controller import Decision
from checkrein.limits import (
    Gripper,
    GripperCommand,
    GripperSetpoint,
    GripperState,
    Limits,
    OnViolation,
)

DECLARED = Gripper(
    command="width", min_width=0.0, max_width=0.08, max_speed=0.1, max_force=40.0,
    width_error=0.001, force_error=5.0, force_required=False,
)  # fmt: skip


def gripping(
    limits: Limits, *, on_violation: OnViolation = OnViolation.CLAMP, **changes: Any
) -> Limits:
    """The same robot with a gripper; on_violation of all that its commands can violate."""
    gripper = replace(DECLARED, **changes)
    kinds = ["gripper_force"]
    kinds += ["gripper_width", "gripper_speed"] if gripper.command == "width" else []
    every = {**limits.on_violation, **dict.fromkeys(kinds, on_violation)}
    return replace(limits, gripper=gripper, on_violation=every)


def towards(position: Any, max_effort: float | None = None) -> GripperCommand:
    return GripperCommand(position, max_effort)


class Hand:
    """A rig with fingers that are where they were told to be, unless something is between them."""

    def __init__(self, limits: Limits, width: float = 0.05, object_width: float = 0.0) -> None:
        self.limits, self.rig = limits, Rig(limits)
        self.width, self.object_width = width, object_width
        self.told: list[GripperSetpoint | None] = []
        self.arm()

    def arm(self) -> None:
        self.rig.arm(gripper=self.measured())

    def measured(self) -> GripperState:
        return GripperState(self.width, 0.0)

    def tick(self, proposal: Any = None, **state: Any) -> Decision:
        decision = self.rig.tick(proposal, **{"gripper": self.measured(), **state})
        told = decision.setpoint.gripper
        self.told.append(told)
        if told is not None:
            self.width = max(told.position, self.object_width)
        return decision

    def ask(self, position: Any, ticks: int, speed: float = 0.1, **part: Any) -> Decision:
        """The arm at a velocity, the gripper somewhere, as a policy that repeats itself."""
        for _ in range(ticks):
            command = self.rig.velocity(speed, gripper=towards(position, **part))
            self.tick(command)
        return self.rig.decisions[-1]


def assert_gripped_within(limits: Limits, told: list[GripperSetpoint | None], start: float) -> None:
    """Width, speed and force of a stream that began with the fingers at `start` [m]."""
    gripper, last = limits.gripper, start
    assert gripper is not None
    for setpoint in told:
        if setpoint is None:
            continue
        assert gripper.min_width <= setpoint.position <= gripper.max_width
        assert 0.0 <= setpoint.max_effort <= gripper.max_force
        reach = gripper.max_speed * limits.period_s
        assert abs(setpoint.position - last) <= reach * (1.0 + 1e-9) + 1e-15
        last = setpoint.position

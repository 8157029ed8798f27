"""A gripper to attack: ideal fingers with something between them, and hostile commands for them.

Guarantees:
- The fingers do what they were told, unless an object is in between; what is measured of them is
  off by no more than declared, except where the measurement itself is the attack.
- Each command of a proposal gets a part of its own, or none; what must not be accepted is marked.
- Robots without a gripper draw nothing from the generator: their runs are what they were.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np

from ...limits.canonical import canonical_bytes
from ...limits.gripper import GripperCommand, GripperSetpoint, GripperState
from ...limits.records import Array, Candidates, Command, RobotState
from ...sim.oracle_gripper import Asked, Fingers
from .limits_source import LimitsSource
from .view import View

__all__ = ["Hand", "asked_of", "declare_for_some", "declare_gripper", "with_gripper"]

GRIPPING_SHARE = 0.3
BINARY_SHARE = 0.3
FAULT_SHARE = 0.001  # of measurements, each of which stops the robot
BAD_SHARE = 0.01  # of commands
MOVED_SHARE = 0.3  # of armings: somebody moved the fingers meanwhile


def declare_gripper(document: dict[str, Any], rng: np.random.Generator) -> None:
    """Put a random section `gripper` into a frozen document."""
    is_binary = bool(rng.random() < BINARY_SHARE)
    low = round(float(rng.choice([0.0, 0.005, 0.02])), 6)
    width = round(low + float(rng.uniform(0.02, 0.2)), 6)
    force = round(float(np.exp(rng.uniform(np.log(1.0), np.log(200.0)))), 6)
    share = float(rng.choice([0.0, 0.02]))
    document["gripper"] = {
        "command": "open_close" if is_binary else "width",
        "min_width": low,
        "max_width": width,
        "max_speed": round(float(np.exp(rng.uniform(np.log(0.005), np.log(0.5)))), 6),
        "max_force": force,
        "width_error": round(share * (width - low), 6),
        "force_error": round(share * force, 6),
        "force_required": bool(rng.random() < 0.3),
        "on_stop": "hold",
    }
    kinds = ("gripper_force",) if is_binary else ("gripper_force", "gripper_width", "gripper_speed")
    for kind in kinds:
        document["on_violation"][kind] = "refuse" if rng.random() < 0.05 else "clamp"


def declare_for_some(document: dict[str, Any], rng: np.random.Generator) -> None:
    """Declare a gripper for a share of random robots."""
    if rng.random() < GRIPPING_SHARE:
        declare_gripper(document, rng)


def with_gripper(source: LimitsSource, seed: int) -> LimitsSource:
    """The same limits with a gripper; as they are where they declare one."""
    document = json.loads(source.raw)
    if "gripper" not in document:
        declare_gripper(document, np.random.default_rng([seed, 2]))
    raw = canonical_bytes(document)
    sha256 = hashlib.sha256(raw).hexdigest()
    return LimitsSource(source.argument, source.path, raw, sha256)


def asked_of(state: RobotState, told: GripperSetpoint | None, *, is_held: bool) -> Asked:
    """One executed tick, as the oracle takes it; told: what the fingers hold at its end."""
    measured = math.nan if state.gripper is None else state.gripper.position
    if told is None:
        return Asked(None, None, measured, is_held)
    return Asked(told.position, told.max_effort, measured, is_held)


class Hand:
    """The fingers of one shard."""

    def __init__(self, fingers: Fingers, view: View) -> None:
        self._fingers, self._view = fingers, view
        self.width = self._somewhere()
        self._object = 0.0  # width of what is between them [m]
        self.told: GripperSetpoint | None = None  # executed last
        self.kept: GripperSetpoint | None = None  # that a filter may go on with when armed again
        self._mood, self._target, self._left = 0, self.width, 0
        self._measured: list[float] = []  # of which a filter may remember any [m]

    def _somewhere(self) -> float:
        low, high = self._fingers.min_width_m, self._fingers.max_width_m
        return float(self._view.rng.uniform(low, high))

    def arm(self, is_new_filter: bool) -> GripperState:
        """Between two runs: perhaps another object, perhaps somebody moved the fingers."""
        view, fingers = self._view, self._fingers
        self.kept = None if is_new_filter else self.told
        if view.chance(MOVED_SHARE):
            self.width = self._somewhere()
            if not any(abs(self.width - at) <= fingers.width_error_m for at in self._measured):
                self.kept = None
        self._measured = [self.width]
        self._object = self._somewhere() * view.pick(0.0, 0.5) if self.width > 0.0 else 0.0
        self._object = min(self._object, self.width)
        self.told = None
        return GripperState(self.width, 0.0)

    def measure(self) -> GripperState | None:
        """What the filter is told of them."""
        view, fingers = self._view, self._fingers
        width = self.width + float(view.rng.uniform(-1.0, 1.0)) * fingers.width_error_m * 0.99
        force: float | None = view.pick(0.0, 0.5, 1.0) * fingers.max_force_n
        if not fingers.is_force_required and view.chance(0.2):
            force = None
        if view.chance(FAULT_SHARE):
            fault = int(view.rng.integers(5))
            if fault == 0:
                return None
            if fault == 1:
                width = view.pick(math.nan, math.inf, -math.inf)
            elif fault == 2:
                far = 1.01 * fingers.width_error_m + 1e-4
                width = view.pick(fingers.min_width_m - far, fingers.max_width_m + far, 1e9)
            else:
                most = fingers.max_force_n + fingers.force_error_n
                force = view.pick(math.nan, math.inf, 1.001 * most, -1.001 * most)
        self._measured.append(width)
        return GripperState(width, force)

    def execute(self, told: GripperSetpoint | None, *, is_followed: bool) -> None:
        """The frame arrived: the fingers go there, or as far as the object lets them.

        is_followed: a command; so the filter believed what was measured last.
        """
        if is_followed:
            self._measured = self._measured[-1:]
        self.told = told
        if told is not None:
            self.width = max(told.position, self._object)

    def dress(self, proposal: Candidates) -> Candidates:
        """A part of the gripper for each command."""
        if proposal is None:
            return None
        if isinstance(proposal, Command):
            return self._dressed(proposal)
        return type(proposal)(self._dressed(command) for command in proposal)

    def _dressed(self, command: Command) -> Command:
        view = self._view
        if view.chance(0.05):
            return command
        is_bad = view.chance(BAD_SHARE)
        rows = command.values.shape[:-1] if command.values.ndim > 0 else ()
        part = self._bad(rows) if is_bad else self._part(rows)
        dressed = replace(command, gripper=part)
        if is_bad or any(command is item for item in view.rubbish):
            view.bad(dressed)
        return dressed

    def _part(self, rows: tuple[int, ...]) -> GripperCommand:
        """Well formed, whatever it asks for; the same for a while."""
        view, fingers = self._view, self._fingers
        low, high = fingers.min_width_m, fingers.max_width_m
        if self._left <= 0:
            self._mood, self._left = int(view.rng.integers(4)), int(view.rng.integers(1, 60))
            self._target = view.pick(low, high, self._somewhere(), low - 0.01, 1e3, -1e300)
        self._left -= 1
        effort = view.pick(1.0, 1.0, 0.3, 0.0, 1.0 + 1e-9, 5.0) * fingers.max_force_n
        if fingers.is_binary:
            position: Array = view.rng.integers(0, 2, rows).astype(np.float64)
            if self._mood > 0:
                position = np.full(rows, float(self._mood % 2))
        elif self._mood == 0:  # anywhere, each tick anew
            position = view.rng.uniform(low - 0.02, high + 0.02, rows)
        elif self._mood == 1:  # as a good policy: no faster than allowed
            reach = 0.9 * fingers.max_speed_m_s * view.robot.period_s
            start = self.width if self.told is None else self.told.position
            position = np.full(rows, min(max(start + view.pick(-reach, reach), low), high))
        else:
            position = np.full(rows, self._target)
        return GripperCommand(position, None if view.chance(0.3) else effort)

    def _bad(self, rows: tuple[int, ...]) -> GripperCommand:
        """One part that no command may have."""
        view, fingers = self._view, self._fingers
        middle = 1.0 if fingers.is_binary else 0.5 * (fingers.min_width_m + fingers.max_width_m)
        kind = int(view.rng.integers(4))
        if kind == 0:
            size = (*rows, 2)
            return GripperCommand(np.full(size, middle), None)
        if kind == 1:
            return GripperCommand(np.full(rows, middle), view.pick(math.nan, math.inf, -1.0))
        odd = view.pick(0.5, 2.0) if fingers.is_binary and kind == 2 else math.nan
        if 0 in rows:  # nothing in it that could be odd
            return GripperCommand(np.zeros((*rows, 2)), None)
        return GripperCommand(np.full(rows, odd), None)

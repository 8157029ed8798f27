"""Counts what the robot really did against the declared limits. It trusts neither filter nor bus.

Guarantees:
- Shares no code with the filter: it parses the frozen file itself and has its own geometry.
- Position, velocity, acceleration and jerk of the applied stream are differences of the setpoints
  q over T, T², T³, judged with 1e-9 of the bound plus 8 eps max|q| / T^p: rounding, nothing more.
- Where slowing down has a bound of its own: the larger one, and the joint's own wherever it surely
  did not turn within the two ticks that a second difference spans.
- Measured position, velocity, effort, TCP speeds and contact force are judged at every substep.
- The tool's acceleration is that of the applied stream, by differences (`observed_tool`).
- Link and zone speeds are those of mesh vertices at the end of each tick (`observed_speeds`).
- What is far away is not measured at every tick (`clearances`); what is in violation always is.
- Links that the file keeps apart and that touch each other all the same are a `collision`.
- A comparison with NaN counts as a violation.

`counts` has ticks in violation per kind, `onsets` how often a violation began. A lost object is
counted once, when it is lost: how long it then lies on the floor says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .clearances import Clearances
from .observed_bounds import ObservedBounds
from .observed_speeds import LinkSpeeds
from .observed_tool import ToolAcceleration
from .robot import SimulatedRobot, TickTrace
from .world import World

__all__ = ["KINDS", "FirstViolation", "Observer"]

Array = npt.NDArray[np.float64]

KINDS = (
    "joint_position",
    "joint_velocity",
    "joint_acceleration",
    "joint_jerk",
    "joint_effort",
    "tcp_speed",
    "tcp_rotational_speed",
    "tcp_acceleration",
    "tcp_rotational_acceleration",
    "link_speed",
    "zone_speed",
    "workspace",
    "collision",
    "contact_force",
    "non_finite",
    "object_lost",
)
RELATIVE_TOLERANCE = 1e-9
ROUNDINGS = 8.0


@dataclass(frozen=True, slots=True)
class FirstViolation:
    """The first one of its kind: when, which joint, link or volume, by how much."""

    kind: str
    tick: int
    subject: str
    value: float
    bound: float
    unit: str


# First, second and third difference of four samples, the oldest first.
_DIFFERENCES = np.array([[0.0, 0.0, -1.0, 1.0], [0.0, 1.0, -2.0, 1.0], [-1.0, 3.0, -3.0, 1.0]])


class Observer:
    """Judges every tick after the robot has made it."""

    def __init__(self, frozen: Mapping[str, Any], world: World, robot: SimulatedRobot) -> None:
        self._bounds = ObservedBounds.parse(frozen)
        self._world, self._robot = world, robot
        bounds = self._bounds
        self._clearances = Clearances(world, bounds.volumes, bounds.pairs, bounds.extensions_m)
        self._link_speeds = LinkSpeeds(frozen, world)
        self._tool = ToolAcceleration(frozen)
        powers = self._bounds.period_s ** np.arange(1.0, 4.0)
        rate = np.array(self._bounds.rate)  # (3, n)
        rate[1] = np.minimum(*self._bounds.push)
        self._change_max: Array = rate * powers[:, None]
        self.clearance_m = math.inf
        self.draws_clearance = False  # measure it at every tick: a curve, not a sawtooth of bounds
        self._now: set[str] = set()
        self.forget()
        self.placed()

    def forget(self) -> None:
        """Start the books anew; the stream goes on."""
        self.counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.onsets: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.first: dict[str, FirstViolation] = {}
        self.tick = 0
        self._before: frozenset[str] = frozenset()

    def placed(self) -> None:
        """The robot was placed anew, at rest, where its motors hold it: the stream starts here."""
        q = self._robot.told.copy()
        self._history = [q, q, q]
        self._before = frozenset()
        self._object_gone = self._is_watched = self._just_lost = False
        self._clearances.forget()

    def watch_object(self) -> None:
        """See whether the tick just made has lost the object; `observe` then counts it.

        To be called where the object may be replaced before the tick is judged.
        """
        if not (self._is_watched or self._object_gone) and self._world.object_lost():
            self._object_gone = self._just_lost = True
        self._is_watched = True

    def object_replaced(self) -> None:
        """A fresh object stands on the tool: it can be lost again."""
        self._object_gone = False

    @property
    def object_is_lost(self) -> bool:
        """The last object was lost, and none has replaced it."""
        return self._object_gone

    def observe(self, applied: Array, raw: Sequence[float] | Array | None = None) -> frozenset[str]:
        """Judge the tick just made; returns the kinds in violation.

        applied (n,): the setpoint that the robot was given. raw: what was handed to an unguarded
        driver, before it made a target of it; judged for finiteness only.
        """
        q: Array = np.array(applied, dtype=np.float64)
        self._now = set()
        handed = q if raw is None else np.asarray(raw, dtype=np.float64)
        if not (np.isfinite(handed).all() and np.isfinite(q).all()):
            self._note("non_finite", "command", math.nan, 0.0, "")
        off = np.abs(q - self._robot.told).max()
        if not off <= RELATIVE_TOLERANCE * max(1.0, float(np.abs(q).max())):
            raise ValueError(f"applied setpoint is {off} rad from what the motors were told")
        self._judge_stream(q)
        self._judge_measured(self._robot.trace)
        self.clearance_m, subject, touching = self._clearances.look(anew=self.draws_clearance)
        if not self.clearance_m >= -RELATIVE_TOLERANCE:
            self._note("workspace", subject, self.clearance_m, 0.0, "m")
        for kind, value, bound in self._tool.look(self._history[1], self._history[2], q):
            unit = "m/s^2" if kind == "tcp_acceleration" else "rad/s^2"
            self._note(kind, "tcp", value, bound, unit)
        for kind, link, speed_m_s, bound_m_s in self._link_speeds.look():
            self._note(kind, link, speed_m_s, bound_m_s, "m/s")
        if touching is not None:
            self._note("collision", "/".join(touching), 0.0, 0.0, "m")
        self.watch_object()
        if self._just_lost:
            self._note("object_lost", "object", 1.0, 0.0, "")
        self._is_watched = self._just_lost = False
        now = frozenset(self._now)
        for kind in now:
            self.counts[kind] += 1
            self.onsets[kind] += kind not in self._before
        self._before = now
        self._history = [*self._history[1:], q]
        self.tick += 1
        return now

    def _judge_stream(self, q: Array) -> None:
        if self._is_surely_fine(q):
            return
        bounds, period = self._bounds, self._bounds.period_s
        self._judge_range(q, "applied")
        first, second, third = self._history
        differences = (q - third, q - 2.0 * third + second, q - 3.0 * (third - second) - first)
        kinds = ("joint_velocity", "joint_acceleration", "joint_jerk")
        largest = max(float(np.abs(row).max()) for row in (q, first, second, third))
        rounding = ROUNDINGS * float(np.finfo(np.float64).eps) * largest
        for power, (kind, change, bound) in enumerate(
            zip(kinds, differences, bounds.rate, strict=True), start=1
        ):
            scale = period**power
            value = np.abs(change) / scale
            if power == 2:
                bound = self._push_bound(third - second, q - third)
            excess = value - bound * (1.0 + RELATIVE_TOLERANCE) - rounding / scale
            self._judge_joints(kind, "applied", value, bound, excess, f"/s^{power}")

    def _push_bound(self, before: Array, now: Array) -> Array:
        """The bound (n,) on a second difference between two first ones, each (n,).

        Somewhere in each tick dq was its first difference over T, so that it never was further from
        it than T times the largest acceleration: with both beyond that, the joint did not turn.
        """
        bounds, period = self._bounds, self._bounds.period_s
        up, down = bounds.push
        slowest = np.minimum(np.abs(before), np.abs(now))
        is_one_way = (before * now > 0.0) & (slowest > bounds.rate[1] * period * period)
        speeds_up = np.abs(now) > np.abs(before)
        return np.where(is_one_way, np.where(speeds_up, up, down), bounds.rate[1])

    def _is_surely_fine(self, q: Array) -> bool:
        """Whether the stream is within every bound without any tolerance: nearly every tick."""
        bounds, stream = self._bounds, np.array([*self._history, q])
        changes = np.abs(_DIFFERENCES @ stream)
        inside = (bounds.low <= q).all() and (q <= bounds.high).all()
        return bool(inside and (changes <= self._change_max).all())

    def _judge_range(self, q: Array, what: str) -> None:
        bounds = self._bounds
        slack = RELATIVE_TOLERANCE * np.maximum(np.abs(bounds.low), np.abs(bounds.high))
        slack = slack + ROUNDINGS * np.finfo(np.float64).eps * np.abs(q)
        outside = np.maximum(bounds.low - q, q - bounds.high)
        bound = np.where(q < bounds.low, bounds.low, bounds.high)
        self._judge_joints("joint_position", what, q, bound, outside - slack, "")

    def _judge_measured(self, trace: TickTrace) -> None:
        bounds = self._bounds
        if not ((bounds.low <= trace.q).all() and (trace.q <= bounds.high).all()):
            self._judge_range(trace.q.min(axis=0), "measured")
            self._judge_range(trace.q.max(axis=0), "measured")
        for kind, values, bound, unit in (
            ("joint_velocity", np.abs(trace.dq), bounds.rate[0], "/s"),
            ("joint_effort", np.abs(trace.tau), bounds.effort, "N·m"),
        ):
            if not (values <= bound).all():
                value = values.max(axis=0)
                excess = value - bound * (1.0 + RELATIVE_TOLERANCE)
                self._judge_joints(kind, "measured", value, bound, excess, unit)
        for kind, peaks, limit, unit in (
            ("tcp_speed", trace.tcp_speed_m_s, bounds.tcp_speed_m_s, "m/s"),
            ("tcp_rotational_speed", trace.tcp_rotation_rad_s, bounds.tcp_rotation_rad_s, "rad/s"),
            ("contact_force", trace.contact_force_n, bounds.force_n, "N"),
        ):
            peak = float(peaks.max())
            if not peak <= limit * (1.0 + RELATIVE_TOLERANCE):
                self._note(kind, "tcp", peak, limit, unit)
        for link, body, _ in trace.collisions:
            self._note("collision", f"link {link}, body {body}", 0.0, 0.0, "m")

    def _judge_joints(
        self, kind: str, what: str, value: Array, bound: Array, excess: Array, unit: str
    ) -> None:
        bad = ~(excess <= 0.0)
        if bad.any():
            i = int(np.argmax(bad))
            names, units = self._bounds.names, self._bounds.units
            shown = unit if kind == "joint_effort" else f"{units[i]}{unit}"
            self._note(kind, f"{what} {names[i]}", float(value[i]), float(bound[i]), shown)

    def _note(self, kind: str, subject: str, value: float, bound: float, unit: str) -> None:
        self._now.add(kind)
        if kind not in self.first:
            self.first[kind] = FirstViolation(kind, self.tick, subject, value, bound, unit)

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

from .observed_bounds import ObservedBounds
from .observed_geometry import Hull, ObservedVolume, point_clearances, read_hulls
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
NEAR_M = 0.05  # clearances above it are lower bounds, below it exact


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


class _Clearances:
    """Smallest clearance of the moving links from the declared volumes, cheap while it is large;
    and which of the declared pairs of links touch each other."""

    def __init__(
        self,
        world: World,
        volumes: Sequence[ObservedVolume],
        pairs: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._world = world
        self._hulls: list[Hull] = read_hulls(world.urdf, world.moving_links)
        self._links = [world.link_index[hull.link] for hull in self._hulls]
        self._volumes = volumes
        # A ball about the link's centre of mass, which PyBullet reports: no frame has to be turned.
        self._reach: Array = np.array(
            [
                float(np.linalg.norm(hull.points - self._mass_center(link), axis=1).max())
                + hull.radius
                for hull, link in zip(self._hulls, self._links, strict=True)
            ]
        )
        # An exempt pair never counts: infinity added to its clearance.
        self._exempt = [
            np.array([math.inf if hull.link in volume.exempt else 0.0 for hull in self._hulls])
            for volume in volumes
        ]

        links = [hull.link for hull in self._hulls]
        near = [
            (i, k)
            for a, b in pairs  # the carried object is no link: the tool that holds it stands for it
            for i, one in enumerate(links)
            for k, other in enumerate(links)
            if (one, other) == (a, b)
        ]
        self._pairs = np.array(near, dtype=np.int64).reshape(len(near), 2)

    def look(self) -> tuple[float, str, tuple[str, str] | None]:
        """The smallest clearance [m] and `link/volume`, and the first pair of links that overlap.

        The clearance is a lower bound where it is above NEAR_M.
        """
        if not self._hulls:
            return math.inf, "", None
        world = self._world
        states = world.p.getLinkStates(
            world.robot, self._links, computeForwardKinematics=1, physicsClientId=world.client
        )
        centers = np.array([state[0] for state in states])
        return (*self._smallest(states, centers), self._touching(centers))

    def _touching(self, centers: Array) -> tuple[str, str] | None:
        """By PyBullet's closest points of the hulls; centers (k, 3) of the balls that hold them."""
        if not len(self._pairs):
            return None
        first, second = self._pairs.T
        gaps = np.sqrt(((centers[first] - centers[second]) ** 2).sum(axis=1))
        world = self._world
        for p in np.flatnonzero(~(gaps > self._reach[first] + self._reach[second])):
            points = world.p.getClosestPoints(
                bodyA=world.robot,
                bodyB=world.robot,
                distance=0.0,
                linkIndexA=self._links[first[p]],
                linkIndexB=self._links[second[p]],
                physicsClientId=world.client,
            )
            if any(not float(point[8]) >= 0.0 for point in points):
                return self._hulls[first[p]].link, self._hulls[second[p]].link
        return None

    def _smallest(self, states: Any, centers: Array) -> tuple[float, str]:
        smallest, subject = math.inf, ""
        for volume, exempt in zip(self._volumes, self._exempt, strict=True):
            bounds = point_clearances(volume, centers) - self._reach + exempt
            for i in np.flatnonzero(~(bounds > min(NEAR_M, smallest))):
                hull = self._hulls[i]
                points = hull.points @ _matrix(states[i][5]).T + np.array(states[i][4])
                value = float(point_clearances(volume, points).min()) - hull.radius
                if not volume.keep_in and volume.shape != "half_space":
                    value = min(value, self._closest(volume, self._links[i], value))
                if not value >= smallest:
                    smallest, subject = value, f"{hull.link}/{volume.name}"
            far = bounds[bounds > NEAR_M]
            if far.size and float(far.min()) < smallest:
                smallest, subject = float(far.min()), f"?/{volume.name}"
        return smallest, subject

    def _mass_center(self, link: int) -> Array:  # (3,) in the link's frame
        world = self._world
        info = world.p.getDynamicsInfo(world.robot, link, physicsClientId=world.client)
        return np.array(info[3])

    def _closest(self, volume: ObservedVolume, link: int, vertex_m: float) -> float:
        """Clearance of the link's hull; no vertex is nearer than `vertex_m`, a face may be."""
        world = self._world
        points = world.p.getClosestPoints(
            bodyA=world.robot,
            bodyB=world.volumes[volume.name],
            distance=max(vertex_m, 0.0),
            linkIndexA=link,
            physicsClientId=world.client,
        )
        return min((float(point[8]) for point in points), default=math.inf)


def _matrix(quaternion: Sequence[float]) -> Array:  # xyzw -> (3, 3)
    size = math.hypot(*quaternion)  # PyBullet's are of unit length to some 1e-9 only
    x, y, z, w = (part / size for part in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


class Observer:
    """Judges every tick after the robot has made it."""

    def __init__(self, frozen: Mapping[str, Any], world: World, robot: SimulatedRobot) -> None:
        self._bounds = ObservedBounds.parse(frozen)
        self._world, self._robot = world, robot
        self._clearances = _Clearances(world, self._bounds.volumes, self._bounds.pairs)
        self._link_speeds = LinkSpeeds(frozen, world)
        self._tool = ToolAcceleration(frozen)
        powers = self._bounds.period_s ** np.arange(1.0, 4.0)
        rate = np.array(self._bounds.rate)  # (3, n)
        rate[1] = np.minimum(*self._bounds.push)
        self._change_max: Array = rate * powers[:, None]
        self.clearance_m = math.inf
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
        self._object_gone = False

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
        self.clearance_m, subject, touching = self._clearances.look()
        if not self.clearance_m >= -RELATIVE_TOLERANCE:
            self._note("workspace", subject, self.clearance_m, 0.0, "m")
        for kind, value, bound in self._tool.look(self._history[1], self._history[2], q):
            unit = "m/s^2" if kind == "tcp_acceleration" else "rad/s^2"
            self._note(kind, "tcp", value, bound, unit)
        for kind, link, speed_m_s, bound_m_s in self._link_speeds.look():
            self._note(kind, link, speed_m_s, bound_m_s, "m/s")
        if touching is not None:
            self._note("collision", "/".join(touching), 0.0, 0.0, "m")
        if not self._object_gone and self._world.object_lost():
            self._object_gone = True
            self._note("object_lost", "object", 1.0, 0.0, "")
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
        low, high = trace.q.min(axis=0), trace.q.max(axis=0)
        if not ((bounds.low <= low).all() and (high <= bounds.high).all()):
            self._judge_range(low, "measured")
            self._judge_range(high, "measured")
        speed, effort = np.abs(trace.dq).max(axis=0), np.abs(trace.tau).max(axis=0)
        for kind, value, bound, unit in (
            ("joint_velocity", speed, bounds.rate[0], "/s"),
            ("joint_effort", effort, bounds.effort, "N·m"),
        ):
            if not (value <= bound).all():
                excess = value - bound * (1.0 + RELATIVE_TOLERANCE)
                self._judge_joints(kind, "measured", value, bound, excess, unit)
        for kind, values, limit, unit in (
            ("tcp_speed", trace.tcp_speed_m_s, bounds.tcp_speed_m_s, "m/s"),
            ("tcp_rotational_speed", trace.tcp_rotation_rad_s, bounds.tcp_rotation_rad_s, "rad/s"),
            ("contact_force", trace.contact_force_n, bounds.force_n, "N"),
        ):
            peak = float(values.max())
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

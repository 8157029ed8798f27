"""A robot that looks around, and a judge that knows where everything really is.

The judge measures the distance of points from the capsules with slow kinematics of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from tests.drive import Rig
from tests.limits.slow_chain import capsule_axes

from checkrein.controller import Decision
from checkrein.limits import Limits, Obstacles, OnViolation, Perception
from checkrein.limits.records import Array

DECLARED = Perception(
    max_points=50, max_speed=1.5, latency_ms=10.0, max_age_ms=40.0, standoff=0.01, required=True,
    exempt=(),
)  # fmt: skip
FAR = [[5.0, 5.0, 5.0]]


def seeing(limits: Limits, **changes: Any) -> Limits:
    """The same robot, which looks around; the clouds alone are in its way."""
    return replace(
        limits,
        volumes=(),
        perception=replace(DECLARED, **changes),
        on_violation={**limits.on_violation, "obstacles": OnViolation.CLAMP},
    )


def clearances(limits: Limits, q: Array, points: Any, radius_m: float) -> Array:
    """Least distance [m] of each ball from any capsule."""
    least = np.full(len(points), math.inf)
    for axis, capsule in zip(capsule_axes(limits, q), limits.capsules, strict=True):
        way = axis[1] - axis[0]
        gap = np.asarray(points) - axis[0]
        share = np.clip(gap @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
        apart = np.linalg.norm(gap - share[:, None] * way, axis=1)
        least = np.minimum(least, apart - capsule.radius - radius_m)
    return least


def ahead(limits: Limits, distance_m: float, q: Array | None = None) -> Array:
    """A point (1, 3) on the rail's line, so far beyond the tip of the carriage; at home, or q."""
    axis = capsule_axes(limits, limits.home if q is None else q)[1]
    tip = np.array(axis[int(axis[:, 0].argmax())])
    tip[0] += limits.capsules[1].radius + distance_m
    return tip[None]


def names(decision: Decision) -> set[str]:
    return {finding.limit for finding in decision.findings}


class World:
    """A rig with obstacles that really are somewhere, and a camera that looks at them."""

    def __init__(self, limits: Limits, points: Any = FAR, radius_m: float = 0.02) -> None:
        self.limits, self.rig = limits, Rig(limits)
        self.points, self.radius_m = np.array(points, dtype=np.float64), radius_m
        self.cloud = self.seen(age_ms=limits.period_s * 1e3)
        self.rig.arm(obstacles=self.cloud)
        self.least = math.inf  # clearance [m] while the robot moved

    def seen(self, age_ms: float = 0.0, **changes: Any) -> Obstacles:
        """A cloud of what is there, stamped with the time of the next tick, or before."""
        stamp_ns = self.rig.now_ns + self.rig.period_ns - round(age_ms * 1e6)
        values = {"points": self.points, "radius_m": self.radius_m, "speed_m_s": 0.0, **changes}
        return Obstacles(**{"stamp_ns": stamp_ns, **values})

    def tick(self, proposal: Any = None, *, look: bool = True, **changes: Any) -> Decision:
        if look:
            self.cloud = self.seen(**changes)
        before = self.rig.q
        decision = self.rig.tick(proposal, obstacles=self.cloud)
        if not np.array_equal(before, self.rig.q):
            now = clearances(self.limits, self.rig.q, self.points, self.radius_m)
            self.least = min(self.least, float(now.min()))
        return decision

    def run(self, speed: Any, ticks: int, **changes: Any) -> Decision:
        for _ in range(ticks):
            self.tick(self.rig.velocity(speed), **changes)
        return self.rig.decisions[-1]

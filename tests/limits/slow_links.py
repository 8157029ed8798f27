"""Speeds of links the slow way: each point of a body has its own velocity; take many points."""

from __future__ import annotations

import numpy as np
from tests.limits.slow_chain import cross, frames, point
from tests.limits.slow_geometry import upper_clearance
from tests.robots import array

from checkrein.limits import Limits, Volume, Zone
from checkrein.limits.records import Array, OnViolation


def ball(center: object, radius: float, speed: float, exempt: tuple[str, ...] = ()) -> Zone:
    """A zone."""
    place = Volume(
        "cell", "keep_out", "sphere", OnViolation.CLAMP, exempt, center=array(center), radius=radius
    )
    return Zone(place, speed)


def twists(limits: Limits, placed: list[Array], dq: Array) -> list[tuple[Array, Array]]:
    """(velocity of the joint's origin, angular velocity) of each link."""
    out, v, w, before = [], np.zeros(3), np.zeros(3), np.zeros(3)
    for joint, T, rate in zip(limits.joints, placed, dq.tolist(), strict=True):
        v = v + cross(w, T[:3, 3] - before)
        if joint.type == "prismatic":
            v = v + rate * T[:3, 2]
        else:
            w = w + rate * T[:3, 2]
        before = T[:3, 3]
        out.append((v, w))
    return out


def capsule_speeds(limits: Limits, q: Array, dq: Array) -> Array:
    """Fastest point (k,) [m/s] of each capsule: of a turning body, a rim across its axis.

    Split along and across the angular velocity: what the radius adds is across, and may point
    wherever the axis moves.
    """
    placed = frames(limits, q)
    moving, out = twists(limits, placed, dq), []
    for capsule in limits.capsules:
        T, (v0, w) = placed[capsule.joint], moving[capsule.joint]
        size, fastest = float(np.linalg.norm(w)), 0.0
        for end in (capsule.start, capsule.end):
            v = v0 + cross(w, point(T, end) - T[:3, 3])
            along = float(v @ w) / size if size > 0.0 else float(np.linalg.norm(v))
            across = float(np.linalg.norm(v - along * w / size)) if size > 0.0 else 0.0
            fastest = max(fastest, float(np.hypot(along, across + size * capsule.radius)))
        out.append(fastest)
    return np.array(out)


def body_point_speeds(limits: Limits, q: Array, dq: Array, rng: np.random.Generator) -> Array:
    """Fastest (k,) of many points on the surface of each capsule; never above the truth."""
    placed = frames(limits, q)
    moving, out = twists(limits, placed, dq), []
    for capsule in limits.capsules:
        T, (v0, w) = placed[capsule.joint], moving[capsule.joint]
        ways = rng.normal(size=(4000, 3))
        ways *= capsule.radius / np.linalg.norm(ways, axis=1)[:, None]
        share = rng.integers(0, 3, (4000, 1)) / 2.0
        local = (1.0 - share) * capsule.start + share * capsule.end + ways
        away = local @ T[:3, :3].T
        out.append(float(np.linalg.norm(v0 + np.cross(w, away), axis=1).max()))
    return np.array(out)


def inside(limits: Limits, zone: Zone, q: Array) -> Array:
    """Which capsules (k,) have a part in the zone; one that hardly touches it may be missing."""
    placed = frames(limits, q)
    return np.array(
        [
            capsule.name not in zone.volume.exempt
            and upper_clearance(
                zone.volume,
                np.array([point(placed[capsule.joint], p) for p in (capsule.start, capsule.end)]),
                capsule.radius,
                21,
            )
            < 0.0
            for capsule in limits.capsules
        ]
    )

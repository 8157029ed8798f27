"""What perception says, as a decision uses it: which cloud is trusted, how old it is, and for which
cloud the stored stop was certified.

Guarantees:
- A cloud that is not declared, not finite, too large, too fast or not newer than the last one that
  was trusted never reaches a certificate. After a bad one nothing moves until a good one came.
- Silence is not absence: once a cloud was trusted it is needed, fresh, for every motion; where the
  limits say `required` there must be one before the first.
- The stored stop is certified again where it was certified for another cloud, or where time ran
  away from the ticks that were assumed: not to touch anything; a robot at rest needs no stop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..limits.core import Core, Found, Sight, is_at_rest
from ..limits.obstacles import Obstacles
from ..limits.records import Array
from .admission import NS_PER_MS
from .decision import Finding

__all__ = ["BLIND", "Seen", "certified", "cloud_fault", "looked", "recertified", "sight_of"]

ROUNDING = 1.0 + 1e-9


class Seen(NamedTuple):
    """What one decision hands to the next of perception."""

    latest: Obstacles | None = None  # the last record that was looked at
    trusted: Obstacles | None = None  # the last one without fault
    fault: Finding | None = None  # of the latest
    certified: Obstacles | None = None  # what the stored stop was certified against
    certified_ns: int = 0  # and when
    ticks: int = 0  # of the stream since


BLIND = Seen()


def _wrong(subject: str) -> Finding:
    return Finding("non_finite", f"obstacles.{subject}", math.nan, 0.0, "", math.nan)


def _over(limit: str, subject: str, value: float, bound: float, unit: str) -> Finding:
    return Finding(limit, subject, value, bound, unit, bound - value)


def cloud_fault(core: Core, obstacles: Obstacles, now_ns: int) -> Finding | None:
    """Why a cloud that has just come is not trusted; None if it is."""
    declared, count = core.limits.perception, float(len(obstacles.radius_m))
    if declared is None:
        return _over("undeclared", "state.obstacles", count, 0.0, "points")
    if obstacles.fault is not None:
        return _wrong(obstacles.fault)
    if not count <= declared.max_points:
        bound = float(declared.max_points)
        return _over("wrong_length", "obstacles.points", count, bound, "points")
    if not obstacles.fastest_m_s <= declared.max_speed:
        fastest = obstacles.fastest_m_s
        return _over("obstacles_speed", "obstacles", fastest, declared.max_speed, "m/s")
    return _age_fault(core, obstacles, now_ns)


def _age_fault(core: Core, obstacles: Obstacles, now_ns: int) -> Finding | None:
    declared = core.limits.perception
    bound_ms = 0.0 if declared is None else declared.max_age_ms
    age_ms = (now_ns - obstacles.stamp_ns) / NS_PER_MS
    if 0.0 <= age_ms <= bound_ms:
        return None
    return _over("obstacles_stale", "obstacles", age_ms, bound_ms, "ms")


def looked(
    core: Core, seen: Seen, obstacles: Obstacles | None, now_ns: int
) -> tuple[Seen, Finding | None]:
    """What is known once `obstacles` came (None: nothing new), and why nothing may move, if so."""
    trusted, latest = seen.trusted, seen.latest
    if (
        obstacles is not None
        and (latest is None or obstacles.stamp_ns != latest.stamp_ns)
        and (trusted is None or obstacles.stamp_ns > trusted.stamp_ns)
    ):
        fault = cloud_fault(core, obstacles, now_ns)
        trusted = obstacles if fault is None else trusted
        seen = seen._replace(latest=obstacles, trusted=trusted, fault=fault)
    if seen.fault is not None:
        return seen, seen.fault
    if trusted is not None:
        return seen, _age_fault(core, trusted, now_ns)
    declared = core.limits.perception
    if declared is not None and declared.required:
        return seen, Finding("obstacles_missing", "obstacles", 0.0, 1.0, "clouds", -1.0)
    return seen, None


def sight_of(core: Core, seen: Seen, now_ns: int) -> Sight | None:
    """The trusted cloud with its age when the coming tick begins; None where none was ever seen."""
    declared, cloud = core.limits.perception, seen.trusted
    if declared is None or cloud is None:
        return None
    limits, since_ms = core.limits, (now_ns - cloud.stamp_ns) / NS_PER_MS
    lag_s = limits.timing.latency_ticks * limits.period_s * core.stretch
    age_s = (since_ms + declared.latency_ms) / 1e3 + lag_s
    return Sight(cloud, age_s, declared.standoff)


def certified(seen: Seen, now_ns: int) -> Seen:
    """After a tick whose stop was certified against the trusted cloud."""
    return Seen(seen.latest, seen.trusted, seen.fault, seen.trusted, now_ns, 1)


def recertified(
    core: Core, seen: Seen, motion: Array, now_ns: int, eased: Array | None = None
) -> tuple[Seen, Found | None]:
    """After a tick of the stop that `motion` carries, and what speaks against the stop, if so."""
    after = seen._replace(ticks=seen.ticks + 1)
    if seen.trusted is None or is_at_rest(motion):
        return after, None
    elapsed_s = (now_ns - seen.certified_ns) * 1e-9
    assumed_s = seen.ticks * core.limits.period_s * core.stretch * ROUNDING
    if seen.certified is seen.trusted and 0.0 <= elapsed_s <= assumed_s:
        return after, None
    sight = sight_of(core, seen, now_ns)
    if sight is not None:  # the standoff is there so that two looks at one stop can agree
        sight = sight._replace(standoff_m=0.0)
    against = core.recertify(motion, sight, eased=eased)
    return (certified(seen, now_ns) if against is None else after), against

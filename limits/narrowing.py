"""Whether limits are nowhere looser than those in force: only then may they replace them in motion.

Guarantees:
- Field by field: what is not known here to be tighter in one direction has to stay as it is, so a
  field that is new in `declared` cannot be loosened by forgetting it. NaN is looser than anything.
- The kinematics, the joints, the period and all declared errors stay: they describe the robot.
- The message names the first field, both values, and the way to looser limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .declared import Capsule, JointLimits, Limits, SelfCollision, Volume, Zone
from .errors import LooserLimitsError
from .records import OnViolation

__all__ = ["Looser", "looser", "require_nowhere_looser"]

# Tighter when lower. None, not declared, is the loosest.
_LOWER = frozenset(
    {
        "max_position", "max_velocity", "max_acceleration", "max_deceleration", "max_jerk",
        "max_effort",
        "recovery_velocity", "max_trans_vel", "max_rot_vel", "max_trans_acc", "max_rot_acc",
        "max_speed", "max_force", "command_timeout_ms", "state_age_max_ms", "period_tolerance",
        "resample_deadline_ms",
    }
)  # fmt: skip
_HIGHER = frozenset({"min_position", "standoff", "ramp_s"})
# Says which limits these are, not what they are.
_IDENTITY = frozenset({"name", "sha256", "source", "provenance", "home"})
_STOPS = ("cat2", "cat1")  # from the milder one
_WAY_OUT = (
    "while the filter runs, limits can only be tightened; for looser ones reset() at rest, and arm "
    "a new filter with them"
)


class Looser(NamedTuple):
    """A field that would be looser, or is of another robot."""

    field: str
    now: object
    wanted: object
    unit: str = ""

    def __str__(self) -> str:
        what = "differs from" if self.unit == "" else "is looser than"
        wanted, now = (f"{v:.9g}" if isinstance(v, float) else f"{v}" for v in (self[2], self[1]))
        return (
            f"{self.field}: {wanted} {self.unit}".rstrip() + f" {what} {now} {self.unit}".rstrip()
        )


def _same(one: Any, other: Any) -> bool:
    if is_dataclass(one) and type(one) is type(other):
        return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is not None and other is not None and np.array_equal(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _number(name: str, now: Any, wanted: Any) -> bool:
    """Whether a bound is nowhere looser; None is no bound."""
    if now is None:
        return wanted is None or bool(np.isfinite(wanted))
    if wanted is None:
        return False
    return bool(wanted <= now if name in _LOWER else wanted >= now)


def _record(now: Any, wanted: Any, where: str, unit: Callable[[str], str]) -> Iterator[Looser]:
    """Fields of a flat record."""
    for field in fields(now):
        one, other = getattr(now, field.name), getattr(wanted, field.name)
        if field.name == "max_deceleration":  # not declared it is max_acceleration
            one, other = now.deceleration, wanted.deceleration
        if field.name in _LOWER or field.name in _HIGHER:
            if not _number(field.name, one, other):
                yield Looser(f"{where}{field.name}", one, other, unit(field.name))
        elif not _same(one, other):
            yield Looser(f"{where}{field.name}", one, other)


def _joint_unit(joint: JointLimits) -> Callable[[str], str]:
    def unit(name: str) -> str:
        from .tightening import FIELD_UNIT, unit_of  # of files that people write: for messages only

        return unit_of(joint.type, name) if name in FIELD_UNIT else "SI"

    return unit


def _size(volume: Volume, name: str, now: Any, wanted: Any) -> bool:
    """Whether one measure of a volume is the same, or leaves the robot less room."""
    if _same(now, wanted):
        return True
    grows = volume.kind == "keep_out"
    if name in {"offset", "radius"}:
        return bool(wanted >= now if grows else wanted <= now)
    if name == "half_extents":
        return bool((wanted >= now).all() if grows else (wanted <= now).all())
    return False


def _volume(now: Volume, wanted: Volume | None) -> Iterator[Looser]:
    where = f"volumes.{now.name}"
    if wanted is None:
        yield Looser(where, "declared", "absent", "(a volume)")
        return
    if (now.kind, now.shape) != (wanted.kind, wanted.shape):
        yield Looser(where, f"{now.kind} {now.shape}", f"{wanted.kind} {wanted.shape}")
        return
    if not set(wanted.exempt) <= set(now.exempt):
        yield Looser(f"{where}.exempt", now.exempt, wanted.exempt, "(links)")
    if now.on_violation is OnViolation.REFUSE and wanted.on_violation is not OnViolation.REFUSE:
        yield Looser(f"{where}.on_violation", "refuse", wanted.on_violation.value, "(choice)")
    for field in fields(now):
        if field.name in ("name", "kind", "shape", "exempt", "on_violation"):
            continue
        one, other = getattr(now, field.name), getattr(wanted, field.name)
        if not _size(now, field.name, one, other):
            yield Looser(f"{where}.{field.name}", one, other, "m")


def _zones(now: tuple[Zone, ...], wanted: tuple[Zone, ...]) -> Iterator[Looser]:
    """Each zone in force is still there, no smaller and no faster; there may be more of them."""
    by_name = {zone.volume.name: zone for zone in wanted}
    for zone in now:
        where = f"zones.{zone.volume.name}"
        other = by_name.get(zone.volume.name)
        if other is None:
            yield Looser(where, "declared", "absent", "(a zone)")
            continue
        if not _number("max_speed", zone.max_speed, other.max_speed):
            yield Looser(f"{where}.max_speed", zone.max_speed, other.max_speed, "m/s")
        for item in _volume(zone.volume, other.volume):
            yield item._replace(field=f"zones{item.field.removeprefix('volumes')}")


def _capsules(now: tuple[Capsule, ...], wanted: tuple[Capsule, ...]) -> Iterator[Looser]:
    """Each capsule in force is still there, as thick as it was; there may be more of them."""
    for capsule in now:
        kept = (
            (other.name, other.joint) == (capsule.name, capsule.joint)
            and _same(other.start, capsule.start)
            and _same(other.end, capsule.end)
            and other.radius >= capsule.radius
            for other in wanted
        )
        if not any(kept):
            yield Looser(f"capsules.{capsule.name}", "declared", "absent or thinner", "(a capsule)")


def _self_collision(now: SelfCollision | None, wanted: SelfCollision | None) -> Iterator[Looser]:
    if now is None or now.none_reason is not None:
        return
    if wanted is None or not set(now.pairs) <= set(wanted.pairs):
        kept = () if wanted is None else wanted.pairs
        missing = sorted(set(now.pairs) - set(kept))
        yield Looser("self_collision.pairs", "declared", f"without {missing[0]}", "(pairs)")
    elif not wanted.standoff >= now.standoff:
        yield Looser("self_collision.standoff", now.standoff, wanted.standoff, "m")


def _variants(now: Limits, wanted: Limits) -> Iterator[Looser]:
    """Each other tool and payload is the same robot, as thick as it was, or cannot be chosen."""
    before = {(v.tool, v.payload): v for v in now.variants}
    for other in wanted.variants:
        name = f"variants.{other.tool}/{other.payload}"
        variant = before.get((other.tool, other.payload))
        if variant is None or not _same(variant.kinematics, other.kinematics):
            yield Looser(name, "absent or another", "declared")
            continue
        found = [*_capsules(variant.capsules, other.capsules)]
        found += _self_collision(variant.self_collision, other.self_collision)
        yield from (item._replace(field=f"{name}.{item.field}") for item in found)


def looser(now: Limits, wanted: Limits) -> Iterator[Looser]:
    """What of `wanted` is looser than `now`, or belongs to another robot."""
    names = [joint.name for joint in now.joints], [joint.name for joint in wanted.joints]
    if names[0] != names[1]:
        yield Looser("joints", names[0], names[1])
        return
    for joint, other in zip(now.joints, wanted.joints, strict=True):
        yield from _record(joint, other, f"joints.{joint.name}.", _joint_unit(joint))
    yield from _record(now.tcp, wanted.tcp, "tcp.", lambda name: "N" if "force" in name else "SI")
    yield from _record(now.timing, wanted.timing, "timing.", lambda _: "ms")
    yield from _capsules(now.capsules, wanted.capsules)
    by_name = {volume.name: volume for volume in wanted.volumes}
    for volume in now.volumes:
        yield from _volume(volume, by_name.get(volume.name))
    yield from _record(now.links, wanted.links, "links.", lambda _: "m/s")
    yield from _zones(now.zones, wanted.zones)
    yield from _self_collision(now.self_collision, wanted.self_collision)
    yield from _variants(now, wanted)
    for kind, chosen in now.on_violation.items():
        if chosen is OnViolation.REFUSE and wanted.on_violation.get(kind) is not OnViolation.REFUSE:
            yield Looser(f"on_violation.{kind}", "refuse", "clamp", "(choice)")
    if "gripper_release" in now.on_violation and "gripper_release" not in wanted.on_violation:
        yield Looser("on_violation.gripper_release", "declared", "absent", "(choice)")
    if now.stop_category not in (wanted.stop_category, _STOPS[0]):
        yield Looser("stop_category", now.stop_category, wanted.stop_category, "(choice)")
    judged = {
        "joints", "tcp", "timing", "capsules", "volumes", "self_collision", "on_violation",
        "stop_category", "variants", "classifier", "links", "zones",
        # No bound: it says how motion is held back, and what is certified is the same either way.
        "keeps_direction",
    }  # fmt: skip
    same_scorer = _same(replace(now.classifier, file=None), replace(wanted.classifier, file=None))
    if not same_scorer:  # its digest counts, not the folder that it is in
        yield Looser("classifier", now.classifier.sha256, wanted.classifier.sha256)
    for field in fields(now):
        if field.name in judged or field.name in _IDENTITY:
            continue
        one, other = getattr(now, field.name), getattr(wanted, field.name)
        if field.name in _LOWER or field.name in _HIGHER:
            if not _number(field.name, one, other):
                yield Looser(field.name, one, other, "m" if field.name == "standoff" else "SI")
        elif not _same(one, other):
            yield Looser(field.name, one, other)


def require_nowhere_looser(now: Limits, wanted: Limits) -> None:
    """Raise LooserLimitsError, naming the first field, if `wanted` would loosen `now` anywhere."""
    first = next(looser(now, wanted), None)
    if first is not None:
        raise LooserLimitsError(f"limits '{wanted.name}': {first}; {_WAY_OUT}")

"""Of several sources of one limit the tightest wins, and its provenance says what it replaced.

Guarantees:
- The result is never looser than any source: the file, its `sources`, the URDF's `<limit>` and
  `<safety_controller>`.
- What bounds a joint that mimics another bounds that other one: the URDF's bounds of it, and those
  that `sources` gives for it.
- A source without max_deceleration bounds slowing down by its max_acceleration, as the file does.
- A value that is an order of magnitude looser than another source is refused: that is a wrong unit
  or the wrong robot, and silently tightening it would hide the mistake.
"""

from __future__ import annotations

from typing import Any

from .authoring.mimic import Dependent, leader_fields
from .authoring.urdf import Chain, UrdfJoint
from .errors import LimitsFileError
from .joint_schema import ContinuousModel
from .schema import LimitsFile
from .units import parse_quantity

__all__ = ["BOUNDED_FIELDS", "FIELD_UNIT", "tightest", "unit_of"]

# Fields that another source can bound.
BOUNDED_FIELDS = (
    "min_position",
    "max_position",
    "max_velocity",
    "max_acceleration",
    "max_deceleration",
    "max_jerk",
    "max_effort",
)
# Beside the joints' fields, what a reason can be given for.
DECLARED_PATHS = (
    "tcp.max_trans_vel",
    "tcp.max_rot_vel",
    "tcp.max_trans_acc",
    "tcp.max_rot_acc",
    "tcp.max_force",
    "links.max_speed",
    "standoff",
    "period",
    "timing.latency_ticks",
)
SUSPICIOUS_RATIO = 10.0
UNITS = {
    "revolute": ("rad", "rad/s", "rad/s^2", "rad/s^3", "N*m"),
    "continuous": ("rad", "rad/s", "rad/s^2", "rad/s^3", "N*m"),
    "prismatic": ("m", "m/s", "m/s^2", "m/s^3", "N"),
}
# Index into UNITS, in the order in which `explain` shows the fields.
FIELD_UNIT = {
    "min_position": 0,
    "max_position": 0,
    "max_velocity": 1,
    "max_acceleration": 2,
    "max_deceleration": 2,
    "max_jerk": 3,
    "max_effort": 4,
    "tracking_error": 0,
    "velocity_error": 1,
    "effort_error": 4,
    "recovery_velocity": 1,
    "position_noise": 0,
}


def unit_of(joint_type: str, field: str) -> str:
    """SI unit of a joint's field."""
    return UNITS[joint_type][FIELD_UNIT[field]]


def _check_names(file: LimitsFile, chain: Chain) -> None:
    there_are = f"the robot's moving joints are: {', '.join(chain.joint_names)}"
    following = {one.name: one for one in chain.dependents}
    for name in file.joint_limits:
        if name in following:
            raise LimitsFileError(
                f"joint_limits.{name}: mimics {following[name].leader!r} and has no command of its "
                f"own; what bounds it belongs into sources, and bounds {following[name].leader!r}"
            )
        if name not in chain.joint_names:
            raise LimitsFileError(f"joint_limits.{name}: no such joint; {there_are}")
    for name, kind in zip(chain.joint_names, chain.joint_types, strict=True):
        if name not in file.joint_limits:
            raise LimitsFileError(
                f"joint_limits.{name}: missing; declare its limits, or fix it "
                f"in robot.locked_joints; {there_are}"
            )
        declared = file.joint_limits[name].type
        # A range may be declared for a joint that has none.
        if declared != kind and (declared, kind) != ("revolute", "continuous"):
            raise LimitsFileError(
                f"joint_limits.{name}.type: {declared}, but the URDF's joint is {kind}"
            )
    for name in file.home:
        if name not in chain.joint_names:
            raise LimitsFileError(f"home.{name}: no such joint; {there_are}")
    for name in chain.joint_names:
        if name not in file.home:
            raise LimitsFileError(f"home.{name}: missing; where the robot starts and returns to")
    for k, source in enumerate(file.sources):
        for name, fields in source.joint_limits.items():
            where = f"sources.{k}.joint_limits.{name}"
            if name not in chain.joint_names and name not in following:
                raise LimitsFileError(f"{where}: no such joint; {there_are}")
            moved = following[name].leader if name in following else name
            for field in fields:
                if "_position" in field and file.joint_limits[moved].type == "continuous":
                    raise LimitsFileError(
                        f"{where}.{field}: joint_limits.{moved} is continuous and has no position "
                        f"limits; write type: revolute there, with its range"
                    )
                if field not in BOUNDED_FIELDS:
                    raise LimitsFileError(
                        f"{where}: unknown key {field!r}; known: {', '.join(BOUNDED_FIELDS)}"
                    )


def _followers(
    file: LimitsFile, chain: Chain, name: str, field: str, urdf: dict[str, UrdfJoint]
) -> list[tuple[float, str]]:
    """(value, where from) of what the joints that mimic this one may do."""
    found = []
    for one in chain.dependents:
        if one.leader != name:
            continue
        how = f"of {one.name}, which mimics it (x {one.multiplier:g} + {one.offset:g})"
        for own in BOUNDED_FIELDS:
            for value, origin in _others(file, one.name, own, one.type, urdf[one.name]):
                bound = leader_fields(one, {own: value}).get(field)
                if bound is not None:
                    found.append((bound, f"{origin} {how}"))
    return found


def _others(
    file: LimitsFile, name: str, field: str, kind: str, urdf: UrdfJoint
) -> list[tuple[float, str]]:
    """(value, where from) of every source but the file's own value."""
    found = []
    for k, source in enumerate(file.sources):
        fields = source.joint_limits.get(name, {})
        where, raw = f"sources.{k}.joint_limits.{name}", fields.get(field)
        if field == "max_deceleration" and raw is None:
            raw = fields.get("max_acceleration")
        if raw is not None:
            try:
                value = parse_quantity(raw, (unit_of(kind, field),))
            except ValueError as error:
                raise LimitsFileError(f"{where}.{field}: {error}") from error
            found.append((value, source.title))
    if field in urdf.limit:
        found.append((urdf.limit[field], "URDF <limit>"))
    if field in urdf.soft:
        found.append((urdf.soft[field], "URDF <safety_controller>"))
    return found


def _own(file: LimitsFile, name: str, field: str) -> float | None:
    """The file's own value; what it leaves out and no source names stays out."""
    model = file.joint_limits[name]
    value = getattr(model, field, None)
    if field == "max_deceleration" and value is None:
        named = any(field in fields for s in file.sources for fields in s.joint_limits.values())
        value = model.max_acceleration if named else None
    return None if value is None else float(value)


def _plausible(
    name: str, field: str, kind: str, own: float, others: list[tuple[float, str]]
) -> None:
    if field in ("min_position", "max_position"):
        return  # a range has no ratio; angles beyond a turn are refused by the schema
    for value, origin in others:
        if value > 0.0 and not own <= SUSPICIOUS_RATIO * value:
            unit = unit_of(kind, field)
            raise LimitsFileError(
                f"joint_limits.{name}.{field}: {own:g} {unit} is {own / value:.0f} times the "
                f"{value:g} {unit} of {origin}: wrong unit or wrong robot? If degrees are meant, "
                f'write "{own:g} {unit.replace("rad", "deg")}"'
            )


def _reason(file: LimitsFile, name: str, field: str) -> str:
    reason = file.reasons.get(f"joint_limits.{name}.{field}", file.reasons.get(field))
    return "declared" if reason is None else f"declared: {reason}"


def _tightest(
    field: str, own: tuple[float, str], others: list[tuple[float, str]]
) -> tuple[float, dict[str, Any]]:
    is_lower = field == "min_position"
    best = own
    for other in others:
        if (other[0] > best[0]) if is_lower else (other[0] < best[0]):
            best = other
    replaced = [
        {"value": value, "from": origin}
        for value, origin in [own, *others]
        if ((value < best[0]) if is_lower else (value > best[0]))
    ]
    return best[0], {"from": best[1], "tightened_from": replaced}


def tightest(
    file: LimitsFile, chain: Chain, urdf: dict[str, UrdfJoint]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(joints of the frozen form, provenance by path)."""
    _check_names(file, chain)
    for path in file.reasons:
        _check_reason(file, path)
    joints: list[dict[str, Any]] = []
    provenance: dict[str, Any] = {}
    for name in chain.joint_names:
        model = file.joint_limits[name]
        kind = model.type
        joint: dict[str, Any] = {"name": name, "type": kind}
        if isinstance(model, ContinuousModel):
            joint["position_targets"] = model.position_targets
            provenance[f"joints.{name}.position_targets"] = {
                "from": "declared",
                "tightened_from": [],
            }
        for field in FIELD_UNIT:
            value = _own(file, name, field)
            if value is None:  # may be left out, and is left out
                continue
            own = (value, _reason(file, name, field))
            others: list[tuple[float, str]] = []
            if field in BOUNDED_FIELDS:
                others = _others(file, name, field, kind, urdf[name])
                _plausible(name, field, kind, own[0], others)
                others += _followers(file, chain, name, field, urdf)
            joint[field], provenance[f"joints.{name}.{field}"] = _tightest(field, own, others)
        if kind == "continuous" and any(
            _followers(file, chain, name, f"{end}_position", urdf) for end in ("min", "max")
        ):
            raise LimitsFileError(
                f"joint_limits.{name}: is continuous, but what mimics it has position limits; "
                f"write type: revolute, with its range"
            )
        if kind != "continuous" and not joint["min_position"] < joint["max_position"]:
            low, high = (provenance[f"joints.{name}.{m}_position"]["from"] for m in ("min", "max"))
            raise LimitsFileError(
                f"joint_limits.{name}: no position is left: min_position {joint['min_position']:g} "
                f"({low}) is not below max_position {joint['max_position']:g} ({high})"
            )
        joints.append(joint)
    for path in DECLARED_PATHS:
        if path.startswith("tcp.") and getattr(file.tcp, path.removeprefix("tcp.")) is None:
            continue
        if path == "links.max_speed" and file.links is None:
            continue
        if path == "timing.latency_ticks" and file.timing.latency_ticks is None:
            continue
        reason = file.reasons.get(path)
        provenance[path] = {
            "from": "declared" if reason is None else f"declared: {reason}",
            "tightened_from": [],
        }
    for one in chain.dependents:
        provenance[f"mimic_joints.{one.name}"] = _coupling(chain, one)
    return joints, provenance


def _coupling(chain: Chain, one: Dependent) -> dict[str, Any]:
    """What `explain` says of a mimic joint."""
    links = ", ".join(chain.swell)
    return {
        "from": "URDF <mimic>",
        "tightened_from": [],
        "means": f"{one.multiplier:g} x {one.leader} + {one.offset:g}; what mimic joints move "
        f"({links}) is covered wherever {one.leader} may be",
    }


def _check_reason(file: LimitsFile, path: str) -> None:
    known = {*FIELD_UNIT, *DECLARED_PATHS}
    parts = path.rsplit(".", 1)
    is_joint = (
        len(parts) == 2
        and parts[0].removeprefix("joint_limits.") in file.joint_limits
        and parts[1] in FIELD_UNIT
    )
    if path not in known and not is_joint:
        raise LimitsFileError(
            f"reasons: unknown path {path!r}; known: {', '.join(sorted(known))}, "
            f"joint_limits.<joint>.<field>"
        )

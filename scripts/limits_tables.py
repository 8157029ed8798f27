"""What `checkrein limits list` and `explain` show: plain rows for machines, tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from ..limits.declared import Limits, Variant, Volume, Zone
from ..limits.tightening import FIELD_UNIT, unit_of
from ..limits.turns import TURN_RAD

__all__ = ["explained_rows", "list_rows", "print_explained", "print_list"]


def list_rows(every: list[Limits]) -> list[dict[str, Any]]:
    """One row a robot."""
    return [
        {
            "name": limits.name,
            "joints": len(limits.joints),
            "period_ms": limits.period_s * 1e3,
            "classifier": limits.classifier.sha256,
            "sha256": limits.sha256,
        }
        for limits in every
    ]


def print_list(every: list[Limits]) -> None:
    """A table, one row a robot."""
    table = Table("name", "joints", "period", "classifier", "sha256")
    for limits in every:
        table.add_row(
            limits.name,
            str(len(limits.joints)),
            f"{limits.period_s * 1e3:g} ms",
            "none" if limits.classifier.sha256 is None else limits.classifier.sha256[:12],
            limits.sha256[:12],
        )
    Console().print(table)


def _row(limits: Limits, path: str, value: object, unit: str) -> dict[str, Any]:
    known: Any = limits.provenance.get(path, {})
    return {
        "path": path,
        "value": value,
        "unit": unit,
        "from": known.get("from", "declared"),
        "tightened_from": known.get("tightened_from", []),
    }


def _or_contained(limits: Limits, row: dict[str, Any]) -> dict[str, Any]:
    """The row of a field that may be left out: where it is, that is said instead."""
    if row["path"] in limits.provenance:
        return row
    return {**row, "from": "not declared: 0, contained in tracking_error"}


def _optional(limits: Limits, path: str, value: float | None, unit: str) -> dict[str, Any]:
    return _row(limits, path, "none: not declared" if value is None else value, unit)


def _zone(zone: Zone) -> str:
    where = _volume(zone.volume).removeprefix("keep_out ")
    return f"at most {zone.max_speed:g} m/s in {where}"


def _volume(volume: Volume) -> str:
    corners = f"{len(volume.vertices)} corners" if volume.vertices is not None else ""
    numbers = {
        "half_space": lambda: f"normal {_three(volume.normal)}, offset {volume.offset:g} m",
        "box": lambda: f"center {_three(volume.center)}, half {_three(volume.half_extents)} m",
        "sphere": lambda: f"center {_three(volume.center)}, radius {volume.radius:g} m",
        "capsule": lambda: _round(volume),
        "cylinder": lambda: _round(volume),
        "mesh": lambda: (
            f"{corners} between {_three(_corner(volume, 'min'))} and "
            f"{_three(_corner(volume, 'max'))} m"
        ),
    }
    exempt = f"; exempt: {', '.join(volume.exempt)}" if volume.exempt else ""
    size = numbers[volume.shape]()
    return f"{volume.kind} {volume.shape}: {size}{exempt}; {volume.on_violation}"


def _round(volume: Volume) -> str:
    return f"{_three(volume.start)} to {_three(volume.end)}, radius {volume.radius:g} m"


def _corner(volume: Volume, which: str) -> Any:
    """Least or largest coordinates of a mesh."""
    return () if volume.vertices is None else getattr(volume.vertices, which)(axis=0)


def _self_collision_rows(limits: Limits) -> list[dict[str, Any]]:
    declared = limits.self_collision
    if declared is None:
        return [_row(limits, "self_collision", "not declared: links may touch each other", "")]
    if declared.none_reason is not None:
        return [_row(limits, "self_collision", f"none: {declared.none_reason}", "")]
    kept: dict[str, list[str]] = {}
    for one, other in declared.pairs:
        kept.setdefault(one, []).append(other)
    rows = [_row(limits, "self_collision.standoff", declared.standoff, "m")]
    rows += [
        _row(limits, f"self_collision.{one}", f"apart from {', '.join(others)}", "")
        for one, others in kept.items()
    ]
    return rows + [
        _row(limits, f"self_collision.ignored.{k}", f"{one}, {other}: {reason}", "")
        for k, (one, other, reason) in enumerate(declared.ignored)
    ]


def _perception_rows(limits: Limits) -> list[dict[str, Any]]:
    declared = limits.perception
    if declared is None:
        return [_row(limits, "perception", "not declared: no obstacles are accepted", "")]
    units = {"max_speed": "m/s", "latency_ms": "ms", "max_age_ms": "ms", "standoff": "m"}
    fields = ("max_points", *units, "required")
    rows = [
        _row(limits, f"perception.{field}", getattr(declared, field), units.get(field, ""))
        for field in fields
    ]
    return [*rows, _row(limits, "perception.exempt", ", ".join(declared.exempt) or "none", "")]


def _gripper_rows(limits: Limits) -> list[dict[str, Any]]:
    declared = limits.gripper
    if declared is None:
        return [_row(limits, "gripper", "not declared: no gripper is commanded", "")]
    units = {"command": "", "min_width": "m", "max_width": "m", "max_speed": "m/s"}
    units |= {"max_force": "N", "width_error": "m", "force_error": "N"}
    units |= {"force_required": "", "on_stop": ""}
    rows = [
        _row(limits, f"gripper.{field}", getattr(declared, field), unit)
        for field, unit in units.items()
    ]
    if "gripper_release" not in limits.on_violation:
        rows.append(_row(limits, "gripper.release", "not declared: at any time", ""))
    return rows


def _three(values: Any) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _body(limits: Limits, key: str) -> str:
    body: Any = limits.source.get(key)
    if body is None:
        return "none"
    return f"{body['name']} on {body['parent']}, {body['mass']:g} kg"


def _choice(variant: Variant) -> str:
    """A tool and a payload that can be set at run time."""
    weight = f"{float(variant.kinematics.mass.sum()):.6g} kg with the arm"
    return f"tool {variant.tool or 'none'}, payload {variant.payload or 'none'}: {weight}"


def explained_rows(limits: Limits) -> list[dict[str, Any]]:
    """Every declared value, with where it comes from."""
    rows = [_row(limits, "period", limits.period_s, "s")]
    for joint in limits.joints:
        if joint.is_continuous:
            path = f"joints.{joint.name}.position_targets"
            rows.append(_row(limits, path, joint.position_targets, ""))
        for field in FIELD_UNIT:
            path = f"joints.{joint.name}.{field}"
            row = _row(limits, path, getattr(joint, field), unit_of(joint.type, field))
            if joint.is_continuous and field in ("min_position", "max_position"):
                row = {
                    **row,
                    "value": "none",
                    "from": f"continuous, counted to {joint.max_position / TURN_RAD:g} turns",
                }
            elif field == "position_noise":
                row = _or_contained(limits, row)
            elif field == "max_deceleration" and path not in limits.provenance:
                absent = "not declared: as max_acceleration"
                row = {**row, "value": joint.deceleration, "from": absent}
            rows.append(row)
    for path, known in limits.provenance.items():
        if path.startswith("mimic_joints.") and isinstance(known, dict):
            rows.append(_row(limits, path, known.get("means", ""), ""))
    rows.append(_row(limits, "tcp.max_trans_vel", limits.tcp.max_trans_vel, "m/s"))
    rows.append(_optional(limits, "tcp.max_rot_vel", limits.tcp.max_rot_vel, "rad/s"))
    rows.append(_optional(limits, "tcp.max_trans_acc", limits.tcp.max_trans_acc, "m/s^2"))
    rows.append(_optional(limits, "tcp.max_rot_acc", limits.tcp.max_rot_acc, "rad/s^2"))
    rows.append(_row(limits, "tcp.max_force", limits.tcp.max_force, "N"))
    rows.append(_row(limits, "tcp.force_required", limits.tcp.force_required, ""))
    rows.append(_optional(limits, "links.max_speed", limits.links.max_speed, "m/s"))
    rows += [_row(limits, f"volumes.{v.name}", _volume(v), "") for v in limits.volumes]
    if not limits.volumes:
        rows.append(_row(limits, "volumes", "none: links may be anywhere", ""))
    rows += [_row(limits, f"zones.{z.volume.name}", _zone(z), "") for z in limits.zones]
    if not limits.zones:
        rows.append(_row(limits, "zones", "none: links are as fast anywhere", ""))
    rows.append(_row(limits, "standoff", limits.standoff, "m"))
    rows += _self_collision_rows(limits)
    rows += _perception_rows(limits)
    rows += _gripper_rows(limits)
    rows += [_row(limits, key, _body(limits, key), "") for key in ("tool", "payload")]
    rows += [_row(limits, f"choices.{k}", _choice(v), "") for k, v in enumerate(limits.variants)]
    for field in ("command_timeout_ms", "state_age_max_ms", "resample_deadline_ms", "watchdog_ms"):
        rows.append(_row(limits, f"timing.{field}", getattr(limits.timing, field), "ms"))
    rows.append(_row(limits, "timing.period_tolerance", limits.timing.period_tolerance, ""))
    latency = _row(limits, "timing.latency_ticks", limits.timing.latency_ticks, "ticks")
    rows.append(_or_contained(limits, latency))
    ramp = limits.ramp_s if limits.ramp_s > 0.0 else "none: full speed at once"
    rows.append(_row(limits, "arming.ramp", ramp, "s"))
    together = "true: joints slow down together" if limits.keeps_direction else "false: each alone"
    rows.append(_row(limits, "motion.keep_direction", together, ""))
    rows += [_row(limits, f"on_violation.{k}", str(v), "") for k, v in limits.on_violation.items()]
    rows.append(_row(limits, "stop_category", limits.stop_category, ""))
    classifier = limits.classifier
    if classifier.none_reason is not None:
        rows.append(_row(limits, "classifier", f"none: {classifier.none_reason}", ""))
    else:
        for field, unit in (("sha256", ""), ("threshold", ""), ("rescore_deviation", "rad")):
            rows.append(_row(limits, f"classifier.{field}", getattr(classifier, field), unit))
    return rows


def print_explained(limits: Limits) -> None:
    """A table, one row a value, one section a joint."""
    table = Table()
    table.add_column("value of", no_wrap=True)
    for head in ("value", "unit", "from", "tightened from"):
        table.add_column(head, overflow="fold", min_width=len(head.split()[0]))
    section = ""
    for row in explained_rows(limits):
        path, value = str(row["path"]), row["value"]
        joint, _, field = path.removeprefix("joints.").rpartition(".")
        is_joint = path.startswith("joints.")
        if is_joint and joint != section:
            table.add_section()
            table.add_row(joint)
        if section and not is_joint:
            table.add_section()
        section = joint if is_joint else ""
        table.add_row(
            f"  {field}" if is_joint else path,
            f"{value:g}" if isinstance(value, float) else str(value),
            row["unit"],
            row["from"],
            "; ".join(f"{old['value']:g} ({old['from']})" for old in row["tightened_from"]),
        )
    console = Console()
    heading = f"{limits.name}\nsha256 {limits.sha256}"
    console.print(heading, highlight=False, markup=False)
    console.print(table)

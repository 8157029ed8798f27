"""What a URDF says about its joints: types, bounds, and which of them mimic another.

Guarantees: a number is finite, or an error that names it; what exporters leave at 0 is no bound;
XML entities and huge files are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ..errors import RobotError

__all__ = ["UrdfJoint", "read_joints"]

URDF_BYTES_MAX = 4 << 20


@dataclass(frozen=True, slots=True)
class UrdfJoint:
    """What the URDF says about one joint; SI. None: it says nothing."""

    name: str
    type: str
    mimics: str | None
    limit: dict[str, float]  # min_position, max_position, max_velocity, max_effort
    soft: dict[str, float]  # min_position, max_position from <safety_controller>
    multiplier: float = 1.0  # of a joint that mimics: q = multiplier · q of the other + offset
    offset: float = 0.0  # rad or m


def _number(element: ElementTree.Element | None, key: str, where: str) -> float | None:
    text = None if element is None else element.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise RobotError(f"{where}: {key}={text!r} is not a number") from error
    if not math.isfinite(value):
        raise RobotError(f"{where}: {key}={text!r} is not finite")
    return value


def _parse(path: Path) -> tuple[ElementTree.Element, bytes]:
    data = path.read_bytes()
    if len(data) > URDF_BYTES_MAX:
        raise RobotError(f"{path}: {len(data)} bytes, more than {URDF_BYTES_MAX}")
    if b"<!ENTITY" in data:
        raise RobotError(f"{path}: XML entities are not accepted")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise RobotError(f"{path}: not XML: {error}") from error
    if root.tag != "robot":
        raise RobotError(f"{path}: the root element is <{root.tag}>, expected <robot>")
    return root, data


def _drop_unset(source: dict[str, float | None], kind: str) -> None:
    """Forget what nobody filled in: exporters write 0 there, and it would bind as a limit."""
    no_range = source["min_position"] == 0.0 and source["max_position"] == 0.0
    if kind == "continuous" or no_range:
        source["min_position"] = source["max_position"] = None
    for name in ("max_velocity", "max_effort"):
        value = source.get(name)
        if value is not None and not value > 0.0:
            source[name] = None


def _coupling(mimic: ElementTree.Element | None, where: str) -> tuple[float, float]:
    """Multiplier and offset of a <mimic>; URDF has defaults for both."""
    multiplier, offset = (
        _number(mimic, key, f"{where}: mimic") for key in ("multiplier", "offset")
    )
    return 1.0 if multiplier is None else multiplier, 0.0 if offset is None else offset


def read_joints(path: Path) -> dict[str, UrdfJoint]:
    """Every joint that moves, in file order, with what `<limit>` and `<safety_controller>` say."""
    joints: dict[str, UrdfJoint] = {}
    for element in _parse(path)[0].findall("joint"):
        name, kind = element.get("name", ""), element.get("type", "")
        if kind == "fixed":
            continue
        where = f"{path.name}: joint {name!r}"
        if kind not in ("revolute", "continuous", "prismatic"):
            raise RobotError(f"{where}: type {kind!r} is not supported")
        limit, safety = element.find("limit"), element.find("safety_controller")
        hard = {
            "min_position": _number(limit, "lower", where),
            "max_position": _number(limit, "upper", where),
            "max_velocity": _number(limit, "velocity", where),
            "max_effort": _number(limit, "effort", where),
        }
        soft = {
            "min_position": _number(safety, "soft_lower_limit", where),
            "max_position": _number(safety, "soft_upper_limit", where),
        }
        for source in (hard, soft):
            _drop_unset(source, kind)
        mimic = element.find("mimic")
        joints[name] = UrdfJoint(
            name,
            kind,
            None if mimic is None else mimic.get("joint"),
            {key: value for key, value in hard.items() if value is not None},
            {key: value for key, value in soft.items() if value is not None},
            *_coupling(mimic, where),
        )
    return joints

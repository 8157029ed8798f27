"""The oracle's own parser of a frozen limits file: strict, and independent of `checkrein.limits`.

Guarantees:
- Every number that the oracle judges by comes from the bytes given, whose sha256 it records.
- An unknown key, a missing key, a wrong length, a duplicate key, NaN or infinity raises
  `FrozenFileError` that names the field: what the oracle does not understand, it does not judge.
- No value is tightened or widened: margins are the filter's business, the bounds are the oracle's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import oracle_fields as read
from .oracle_fields import FrozenFileError
from .oracle_gripper import Fingers, fingers_of
from .oracle_seeing import Seeing, seeing_of
from .oracle_shapes import (
    CapsuleShape,
    VolumeShape,
    ZoneShape,
    read_capsule,
    read_pairs,
    read_volume,
    read_zones,
)

__all__ = ["CapsuleShape", "FrozenFileError", "Robot", "VolumeShape", "ZoneShape", "read_robot"]

Array = npt.NDArray[np.float64]
Choice = tuple[str | None, str | None]  # tool, payload

FORMAT = 1
KIND = "checkrein/frozen-limits"
TOP_KEYS = frozenset(
    {
        "capsules",
        "classifier",
        "format",
        "home",
        "joints",
        "kind",
        "kinematics",
        "name",
        "on_violation",
        "period_s",
        "provenance",
        "source",
        "standoff",
        "stop_category",
        "tcp",
        "timing",
        "version",
        "volumes",
    }
)
JOINT_NUMBERS = (
    "min_position",
    "max_position",
    "max_velocity",
    "max_acceleration",
    "max_jerk",
    "max_effort",
    "tracking_error",
    "velocity_error",
    "effort_error",
    "recovery_velocity",
)
# May be left out; then they are 0.
JOINT_OPTIONAL = ("position_noise",)
# May be left out; then it is max_acceleration.
DECELERATION = "max_deceleration"
JOINT_KEYS = frozenset({"name", "type", *JOINT_NUMBERS})
JOINT_MAY = frozenset({*JOINT_OPTIONAL, DECELERATION})
# How commands are followed, `motion`, changes nothing of what is judged.
OPTIONAL_KEYS = frozenset(
    {"arming", "gripper", "links", "motion", "perception", "self_collision", "variants", "zones"}
)


@dataclass(frozen=True, slots=True, eq=False)
class Robot:
    """What the oracle knows of one robot: declared bounds, chain, bodies, volumes."""

    name: str
    sha256: str
    period_s: float
    joint_names: tuple[str, ...]
    prismatic: npt.NDArray[np.bool_]  # (n,)
    continuous: npt.NDArray[np.bool_]  # (n,) its position bounds are infinite
    bounds: dict[str, Array]  # each of JOINT_NUMBERS, JOINT_OPTIONAL, DECELERATION: (n,)
    rotation: Array  # (n, 3, 3) parent from joint, at q = 0
    translation: Array  # (n, 3) [m]
    tcp_translation: Array  # (3,) [m] in the last joint's frame
    mass: Array  # (n,) [kg]
    com: Array  # (n, 3) [m]
    inertia: Array  # (n, 3, 3) [kg·m²] about the centre of mass
    gravity: Array  # (3,) [m/s²]
    capsules: tuple[CapsuleShape, ...]
    volumes: tuple[VolumeShape, ...]
    pairs: tuple[tuple[int, int], ...]  # capsules that must not touch each other
    max_trans_vel_m_s: float
    max_force_n: float
    max_rot_vel_rad_s: float | None  # None: the file declares none
    max_trans_acc_m_s2: float | None  # likewise
    max_rot_acc_rad_s2: float | None
    link_speed_m_s: float | None
    zones: tuple[ZoneShape, ...]
    period_tolerance: float
    timing_ms: dict[str, float]
    home: Array  # (n,)
    risk_max: float | None  # classifier threshold; None: the file declares no classifier
    perception: Seeing | None = None  # None: the file declares none
    gripper: Fingers | None = None  # likewise

    @property
    def span(self) -> tuple[Array, Array]:
        """Least and largest position (n,); one turn of what is continuous."""
        low, high = self.bounds["min_position"], self.bounds["max_position"]
        return np.where(self.continuous, -np.pi, low), np.where(self.continuous, np.pi, high)

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joint_names)


def _link_speed(value: Any) -> float | None:
    if value is None:
        return None
    return read.number(
        read.keys(value, frozenset({"max_speed"}), "links")["max_speed"], "links.max_speed"
    )


def _endless(row: Any, where: str) -> Any:
    """A continuous joint as one of those with a range; every other row as it is."""
    if not isinstance(row, dict) or row.get("type") != "continuous":
        return row
    if row.get("position_targets") not in ("literal", "nearest"):
        raise FrozenFileError(f"{where}.position_targets: neither literal nor nearest")
    if "min_position" in row or "max_position" in row:
        raise FrozenFileError(f"{where}: a continuous joint has no min_position, max_position")
    known = {key: value for key, value in row.items() if key != "position_targets"}
    return {**known, "min_position": 0.0, "max_position": 0.0}


def _joints(value: Any) -> tuple[list[str], list[str], dict[str, Array]]:
    names, kinds, columns = [], [], []
    for i, row in enumerate(read.rows(value, "joints")):
        where = f"joints[{i}]"
        item = read.keys(_endless(row, where), JOINT_KEYS, where, JOINT_MAY)
        if item["type"] not in ("revolute", "prismatic", "continuous"):
            raise FrozenFileError(f"{where}.type: {item['type']!r} is not known")
        names.append(read.text(item["name"], f"{where}.name"))
        kinds.append(item["type"])
        optional = {key: item.get(key, 0.0) for key in JOINT_OPTIONAL}
        numbers = {key: item[key] for key in JOINT_NUMBERS} | optional
        numbers[DECELERATION] = item.get(DECELERATION, item["max_acceleration"])
        columns.append([read.number(number, f"{where}.{key}") for key, number in numbers.items()])
    if not names:
        raise FrozenFileError("joints: none declared")
    table, every = np.array(columns), (*JOINT_NUMBERS, *JOINT_OPTIONAL, DECELERATION)
    bounds = {key: table[:, i].copy() for i, key in enumerate(every)}
    endless = np.array([kind == "continuous" for kind in kinds])
    bounds["min_position"][endless], bounds["max_position"][endless] = -np.inf, np.inf
    return names, kinds, bounds


def _chain(value: Any, n: int) -> dict[str, Array]:
    item = read.keys(value, frozenset({"joints", "tcp", "links", "gravity"}), "kinematics")
    rows, links = (
        read.rows(item["joints"], "kinematics.joints"),
        read.rows(item["links"], "links"),
    )
    if len(rows) != n or len(links) != n:
        raise FrozenFileError(f"kinematics: {len(rows)} joints, {len(links)} links, expected {n}")
    pose = frozenset({"rotation", "translation"})
    body = frozenset({"mass", "com", "inertia"})
    places = [read.keys(row, pose, f"kinematics.joints[{i}]") for i, row in enumerate(rows)]
    bodies = [read.keys(row, body, f"kinematics.links[{i}]") for i, row in enumerate(links)]
    tcp = read.keys(item["tcp"], pose, "kinematics.tcp")
    read.matrix(tcp["rotation"], "kinematics.tcp.rotation")
    return {
        "rotation": np.array([read.matrix(row["rotation"], "rotation") for row in places]),
        "translation": np.array(
            [read.vector(row["translation"], 3, "translation") for row in places]
        ),
        "tcp_translation": read.vector(tcp["translation"], 3, "kinematics.tcp.translation"),
        "mass": np.array([read.number(row["mass"], "links.mass") for row in bodies]),
        "com": np.array([read.vector(row["com"], 3, "links.com") for row in bodies]),
        "inertia": np.array([read.inertia(row["inertia"], "links.inertia") for row in bodies]),
        "gravity": read.vector(item["gravity"], 3, "kinematics.gravity"),
    }


def _tcp(value: Any) -> dict[str, Any]:
    """The tool's limits; some are younger than the format, and may be absent: None."""
    declared = frozenset({"max_trans_vel", "max_force", "force_required"})
    optional = frozenset({"max_rot_vel", "max_trans_acc", "max_rot_acc"})
    tcp = read.keys(value, declared, "tcp", optional)
    if not isinstance(tcp["force_required"], bool):
        raise FrozenFileError(f"tcp.force_required: {tcp['force_required']!r} is not true or false")
    numbers = {key: read.number(tcp[key], f"tcp.{key}") for key in tcp if key != "force_required"}
    return {**dict.fromkeys(optional), **numbers}


def _risk_max(value: Any) -> float | None:
    if isinstance(value, dict) and set(value) == {"none"}:
        read.text(value["none"], "classifier.none")
        return None
    keys = frozenset({"file", "sha256", "threshold", "rescore_deviation"})
    return read.number(read.keys(value, keys, "classifier")["threshold"], "classifier.threshold")


def _perception(value: Any) -> Seeing | None:
    try:
        return seeing_of(value)
    except ValueError as error:
        raise FrozenFileError(str(error)) from error


def _carrying(top: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """The document for another tool and payload of its variants."""
    variants = read.keys(top.get("variants"), frozenset({"tool", "payload", "others"}), "variants")
    if (variants["tool"], variants["payload"]) == choice:
        return top
    body = frozenset({"tool", "payload", "kinematics", "capsules"})
    for k, row in enumerate(read.rows(variants["others"], "variants.others")):
        item = read.keys(row, body, f"variants.others[{k}]", frozenset({"self_collision"}))
        if (item["tool"], item["payload"]) == choice:
            return {**{k: v for k, v in top.items() if k != "self_collision"}, **item}
    raise FrozenFileError(f"variants: no choice {choice!r}")


def read_robot(raw: bytes, choice: Choice | None = None) -> Robot:
    """Parse the bytes of a frozen limits file; choice: the tool and payload, if not its own."""
    try:
        document = json.loads(raw, object_pairs_hook=read.unique, parse_constant=read.constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FrozenFileError(f"not JSON: {error}") from error
    top = read.keys(document, TOP_KEYS, "limits file", OPTIONAL_KEYS)
    if top["format"] != FORMAT or isinstance(top["format"], bool) or top["kind"] != KIND:
        raise FrozenFileError(f"format {top['format']!r} {top['kind']!r}: expected {FORMAT} {KIND}")
    if choice is not None:
        top = _carrying(top, choice)
    names, kinds, bounds = _joints(top["joints"])
    tcp = _tcp(top["tcp"])
    each: Callable[[str], list[Any]] = lambda key: read.rows(top[key], key)  # noqa: E731
    timing = top["timing"]
    if not isinstance(timing, dict):
        raise FrozenFileError("timing: expected an object")
    timing_ms = {key: read.number(value, f"timing.{key}") for key, value in timing.items()}
    capsules = tuple(
        read_capsule(row, len(names), f"capsules[{i}]") for i, row in enumerate(each("capsules"))
    )
    return Robot(
        name=read.text(top["name"], "name"),
        sha256=hashlib.sha256(raw).hexdigest(),
        period_s=read.number(top["period_s"], "period_s"),
        joint_names=tuple(names),
        prismatic=np.array([kind == "prismatic" for kind in kinds]),
        continuous=np.array([kind == "continuous" for kind in kinds]),
        bounds=bounds,
        **_chain(top["kinematics"], len(names)),
        capsules=capsules,
        volumes=tuple(read_volume(row, f"volumes[{i}]") for i, row in enumerate(each("volumes"))),
        pairs=read_pairs(top.get("self_collision"), capsules),
        max_trans_vel_m_s=tcp["max_trans_vel"],
        max_force_n=tcp["max_force"],
        max_rot_vel_rad_s=tcp["max_rot_vel"],
        max_trans_acc_m_s2=tcp["max_trans_acc"],
        max_rot_acc_rad_s2=tcp["max_rot_acc"],
        link_speed_m_s=_link_speed(top.get("links")),
        zones=read_zones(top.get("zones", [])),
        period_tolerance=timing_ms.get("period_tolerance", 0.0),
        timing_ms=timing_ms,
        home=read.vector(top["home"], len(names), "home"),
        risk_max=_risk_max(top["classifier"]),
        perception=_perception(top.get("perception")),
        gripper=fingers_of(top.get("gripper")),
    )

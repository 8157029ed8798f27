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
from .oracle_seeing import Seeing, seeing_of

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
SHAPE_FIELDS = {
    "half_space": {"normal": 3, "offset": 0},
    "box": {"center": 3, "rotation": 9, "half_extents": 3},
    "sphere": {"center": 3, "radius": 0},
    "capsule": {"start": 3, "end": 3, "radius": 0},
    "cylinder": {"start": 3, "end": 3, "radius": 0},
    "mesh": {"vertices": 3, "planes": 4},
}
OPTIONAL_KEYS = frozenset({"arming", "links", "perception", "self_collision", "variants", "zones"})
ON_PLANE_M = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class CapsuleShape:
    """One link capsule in the frame of joint `joint`."""

    name: str
    joint: int
    start: Array  # (3,) [m]
    end: Array  # (3,) [m]
    radius_m: float


@dataclass(frozen=True, slots=True, eq=False)
class VolumeShape:
    """One keep-in or keep-out volume in the base frame; `fields` holds what its shape declares."""

    name: str
    keeps_in: bool
    shape: str
    exempt: frozenset[str]
    fields: dict[str, Array]  # () or (3,) or (3, 3); of a mesh (m, 3 or 4), and edges (e, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class ZoneShape:
    """Where links are slow."""

    place: VolumeShape
    speed_m_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Robot:
    """What the oracle knows of one robot: declared bounds, chain, bodies, volumes."""

    name: str
    sha256: str
    period_s: float
    joint_names: tuple[str, ...]
    prismatic: npt.NDArray[np.bool_]  # (n,)
    bounds: dict[str, Array]  # each of JOINT_NUMBERS and JOINT_OPTIONAL: (n,)
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

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joint_names)


def _capsule(value: Any, n: int, where: str) -> CapsuleShape:
    item = read.keys(value, frozenset({"name", "joint", "start", "end", "radius"}), where)
    joint = item["joint"]
    if isinstance(joint, bool) or not isinstance(joint, int) or not 0 <= joint < n:
        raise FrozenFileError(f"{where}.joint: expected 0 to {n - 1}, got {joint!r}")
    return CapsuleShape(
        name=read.text(item["name"], f"{where}.name"),
        joint=joint,
        start=read.vector(item["start"], 3, f"{where}.start"),
        end=read.vector(item["end"], 3, f"{where}.end"),
        radius_m=read.number(item["radius"], f"{where}.radius"),
    )


def _mesh(value: dict[str, Any], where: str) -> dict[str, Array]:
    """Corners, planes and edges of a convex body; edges are what two planes have in common."""
    corners, planes = (
        np.array([read.vector(row, width, f"{where}.{key}") for row in read.rows(value[key], key)])
        for key, width in (("vertices", 3), ("planes", 4))
    )
    if corners.shape[0] < 4 or planes.shape[0] < 4:
        raise FrozenFileError(f"{where}: a body has 4 corners and 4 planes or more")
    if not np.abs(np.sum(planes[:, :3] ** 2, axis=1) - 1.0).max() < 1e-9:
        raise FrozenFileError(f"{where}.planes: a normal is not of length 1")
    height = planes[:, :3] @ corners.T - planes[:, 3:]
    if not height.max() <= ON_PLANE_M:
        raise FrozenFileError(f"{where}: not convex, {height.max()} m in front of a plane")
    on = height >= -ON_PLANE_M
    edges = [
        (corners[i], corners[k])
        for i in range(corners.shape[0])
        for k in range(i)
        if np.count_nonzero(on[:, i] & on[:, k]) >= 2
    ]
    if corners.shape[0] + planes.shape[0] - len(edges) != 2:
        raise FrozenFileError(f"{where}: corners, edges and planes are not those of a closed body")
    return {"vertices": corners, "planes": planes, "edges": np.array(edges)}


def _pairs(value: Any, capsules: tuple[CapsuleShape, ...]) -> tuple[tuple[int, int], ...]:
    """Indices of the capsules that the file keeps apart; none where it declares nothing."""
    if value is None or (isinstance(value, dict) and set(value) == {"none"}):
        return ()
    item = read.keys(value, frozenset({"standoff", "pairs", "ignored"}), "self_collision")
    read.number(item["standoff"], "self_collision.standoff")
    out = []
    for k, row in enumerate(read.rows(item["pairs"], "self_collision.pairs")):
        where = f"self_collision.pairs[{k}]"
        if len(read.rows(row, where)) != 2:
            raise FrozenFileError(f"{where}: expected two names, got {row!r}")
        one, two = ([i for i, c in enumerate(capsules) if c.name == name] for name in row)
        if not one or not two:
            raise FrozenFileError(f"{where}: no capsule of that name in {row!r}")
        out += [(i, j) for i in one for j in two]
    return tuple(out)


def _volume(value: Any, where: str) -> VolumeShape:
    shape = value.get("shape") if isinstance(value, dict) else None
    if shape not in SHAPE_FIELDS:
        raise FrozenFileError(f"{where}.shape: {shape!r} is none of {sorted(SHAPE_FIELDS)}")
    lengths = SHAPE_FIELDS[shape]
    common = {"name", "kind", "shape", "on_violation", "exempt"}
    item = read.keys(value, frozenset(common | set(lengths)), where)
    if item["kind"] not in ("keep_in", "keep_out"):
        raise FrozenFileError(f"{where}.kind: {item['kind']!r} is neither keep_in nor keep_out")
    fields: dict[str, Array] = _mesh(item, where) if shape == "mesh" else {}
    for key, length in {} if shape == "mesh" else lengths.items():
        at = f"{where}.{key}"
        if length == 9:
            fields[key] = read.matrix(item[key], at)
        elif length == 0:
            fields[key] = np.array(read.number(item[key], at))
        else:
            fields[key] = read.vector(item[key], length, at)
    exempt = [
        read.text(name, f"{where}.exempt") for name in read.rows(item["exempt"], f"{where}.exempt")
    ]
    name = read.text(item["name"], f"{where}.name")
    return VolumeShape(name, item["kind"] == "keep_in", shape, frozenset(exempt), fields)


def _zones(value: Any) -> tuple[ZoneShape, ...]:
    out = []
    for i, row in enumerate(read.rows(value, "zones")):
        where = f"zones[{i}]"
        item = read.keys(row, frozenset({"max_speed", "volume"}), where)
        place = _volume(item["volume"], f"{where}.volume")
        if place.keeps_in:
            raise FrozenFileError(f"{where}.volume.kind: a zone is where its volume is, not around")
        out.append(ZoneShape(place, read.number(item["max_speed"], f"{where}.max_speed")))
    return tuple(out)


def _link_speed(value: Any) -> float | None:
    if value is None:
        return None
    return read.number(
        read.keys(value, frozenset({"max_speed"}), "links")["max_speed"], "links.max_speed"
    )


def _joints(value: Any) -> tuple[list[str], list[bool], dict[str, Array]]:
    names, prismatic, columns = [], [], []
    for i, row in enumerate(read.rows(value, "joints")):
        where = f"joints[{i}]"
        wanted = frozenset({"name", "type", *JOINT_NUMBERS})
        item = read.keys(row, wanted, where, frozenset(JOINT_OPTIONAL))
        if item["type"] not in ("revolute", "prismatic"):
            raise FrozenFileError(f"{where}.type: {item['type']!r} is not known")
        names.append(read.text(item["name"], f"{where}.name"))
        prismatic.append(item["type"] == "prismatic")
        optional = {key: item.get(key, 0.0) for key in JOINT_OPTIONAL}
        numbers = {key: item[key] for key in JOINT_NUMBERS} | optional
        columns.append([read.number(number, f"{where}.{key}") for key, number in numbers.items()])
    if not names:
        raise FrozenFileError("joints: none declared")
    table = np.array(columns)
    every = (*JOINT_NUMBERS, *JOINT_OPTIONAL)
    return names, prismatic, {key: table[:, i].copy() for i, key in enumerate(every)}


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
    names, prismatic, bounds = _joints(top["joints"])
    tcp = _tcp(top["tcp"])
    each: Callable[[str], list[Any]] = lambda key: read.rows(top[key], key)  # noqa: E731
    timing = top["timing"]
    if not isinstance(timing, dict):
        raise FrozenFileError("timing: expected an object")
    timing_ms = {key: read.number(value, f"timing.{key}") for key, value in timing.items()}
    capsules = tuple(
        _capsule(row, len(names), f"capsules[{i}]") for i, row in enumerate(each("capsules"))
    )
    return Robot(
        name=read.text(top["name"], "name"),
        sha256=hashlib.sha256(raw).hexdigest(),
        period_s=read.number(top["period_s"], "period_s"),
        joint_names=tuple(names),
        prismatic=np.array(prismatic),
        bounds=bounds,
        **_chain(top["kinematics"], len(names)),
        capsules=capsules,
        volumes=tuple(_volume(row, f"volumes[{i}]") for i, row in enumerate(each("volumes"))),
        pairs=_pairs(top.get("self_collision"), capsules),
        max_trans_vel_m_s=tcp["max_trans_vel"],
        max_force_n=tcp["max_force"],
        max_rot_vel_rad_s=tcp["max_rot_vel"],
        max_trans_acc_m_s2=tcp["max_trans_acc"],
        max_rot_acc_rad_s2=tcp["max_rot_acc"],
        link_speed_m_s=_link_speed(top.get("links")),
        zones=_zones(top.get("zones", [])),
        period_tolerance=timing_ms.get("period_tolerance", 0.0),
        timing_ms=timing_ms,
        home=read.vector(top["home"], len(names), "home"),
        risk_max=_risk_max(top["classifier"]),
        perception=_perception(top.get("perception")),
    )

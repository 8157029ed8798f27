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
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CapsuleShape", "FrozenFileError", "Robot", "VolumeShape", "read_robot"]

Array = npt.NDArray[np.float64]

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
SHAPE_FIELDS = {
    "half_space": {"normal": 3, "offset": 0},
    "box": {"center": 3, "rotation": 9, "half_extents": 3},
    "sphere": {"center": 3, "radius": 0},
    "capsule": {"start": 3, "end": 3, "radius": 0},
    "cylinder": {"start": 3, "end": 3, "radius": 0},
    "mesh": {"vertices": 3, "planes": 4},
}
OPTIONAL_KEYS = frozenset({"self_collision"})
ON_PLANE_M = 1e-9


class FrozenFileError(ValueError):
    """The frozen file is not what the oracle understands."""


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
    period_tolerance: float
    timing_ms: dict[str, float]
    home: Array  # (n,)
    risk_max: float | None  # classifier threshold; None: the file declares no classifier

    @property
    def span(self) -> tuple[Array, Array]:
        """Least and largest position (n,); one turn of what is continuous."""
        low, high = self.bounds["min_position"], self.bounds["max_position"]
        return np.where(self.continuous, -np.pi, low), np.where(self.continuous, np.pi, high)

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joint_names)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise FrozenFileError(f"duplicate key among {sorted(key for key, _ in pairs)}")
    return out


def _constant(text: str) -> Any:
    raise FrozenFileError(f"{text} is not a number")


def _keys(
    value: Any, wanted: frozenset[str], where: str, optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FrozenFileError(f"{where}: expected an object, got {type(value).__name__}")
    missing, unknown = sorted(wanted - set(value)), sorted(set(value) - wanted - optional)
    if missing or unknown:
        raise FrozenFileError(f"{where}: missing {missing}, unknown {unknown}")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FrozenFileError(f"{where}: expected a finite number, got {value!r}")
    return float(value)


def _vector(value: Any, length: int, where: str) -> Array:
    if not isinstance(value, list) or len(value) != length:
        raise FrozenFileError(f"{where}: expected {length} numbers, got {value!r}")
    return np.array([_number(item, f"{where}[{i}]") for i, item in enumerate(value)])


def _matrix(value: Any, where: str) -> Array:
    matrix = _vector(value, 9, where).reshape(3, 3)
    if not np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-9 or not np.linalg.det(matrix) > 0.0:
        raise FrozenFileError(f"{where}: not a rotation matrix")
    return matrix


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise FrozenFileError(f"{where}: expected a name, got {value!r}")
    return value


def _rows(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise FrozenFileError(f"{where}: expected a list, got {type(value).__name__}")
    return value


def _inertia(value: Any, where: str) -> Array:
    xx, xy, xz, yy, yz, zz = _vector(value, 6, where)
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _capsule(value: Any, n: int, where: str) -> CapsuleShape:
    item = _keys(value, frozenset({"name", "joint", "start", "end", "radius"}), where)
    joint = item["joint"]
    if isinstance(joint, bool) or not isinstance(joint, int) or not 0 <= joint < n:
        raise FrozenFileError(f"{where}.joint: expected 0 to {n - 1}, got {joint!r}")
    return CapsuleShape(
        name=_text(item["name"], f"{where}.name"),
        joint=joint,
        start=_vector(item["start"], 3, f"{where}.start"),
        end=_vector(item["end"], 3, f"{where}.end"),
        radius_m=_number(item["radius"], f"{where}.radius"),
    )


def _mesh(value: dict[str, Any], where: str) -> dict[str, Array]:
    """Corners, planes and edges of a convex body; edges are what two planes have in common."""
    corners, planes = (
        np.array([_vector(row, width, f"{where}.{key}") for row in _rows(value[key], key)])
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
    item = _keys(value, frozenset({"standoff", "pairs", "ignored"}), "self_collision")
    _number(item["standoff"], "self_collision.standoff")
    out = []
    for k, row in enumerate(_rows(item["pairs"], "self_collision.pairs")):
        where = f"self_collision.pairs[{k}]"
        if len(_rows(row, where)) != 2:
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
    item = _keys(value, frozenset(common | set(lengths)), where)
    if item["kind"] not in ("keep_in", "keep_out"):
        raise FrozenFileError(f"{where}.kind: {item['kind']!r} is neither keep_in nor keep_out")
    fields: dict[str, Array] = _mesh(item, where) if shape == "mesh" else {}
    for key, length in {} if shape == "mesh" else lengths.items():
        at = f"{where}.{key}"
        if length == 9:
            fields[key] = _matrix(item[key], at)
        elif length == 0:
            fields[key] = np.array(_number(item[key], at))
        else:
            fields[key] = _vector(item[key], length, at)
    exempt = [_text(name, f"{where}.exempt") for name in _rows(item["exempt"], f"{where}.exempt")]
    name = _text(item["name"], f"{where}.name")
    return VolumeShape(name, item["kind"] == "keep_in", shape, frozenset(exempt), fields)


def _endless(row: Any, where: str) -> dict[str, Any]:
    """A continuous joint as one of those with a range; every other row as it is."""
    if not isinstance(row, dict) or row.get("type") != "continuous":
        return row  # type: ignore[no-any-return]
    if row.get("position_targets") not in ("literal", "nearest"):
        raise FrozenFileError(f"{where}.position_targets: neither literal nor nearest")
    if "min_position" in row or "max_position" in row:
        raise FrozenFileError(f"{where}: a continuous joint has no min_position, max_position")
    known = {key: value for key, value in row.items() if key != "position_targets"}
    return {**known, "min_position": 0.0, "max_position": 0.0}


def _joints(value: Any) -> tuple[list[str], list[str], dict[str, Array]]:
    names, kinds, columns = [], [], []
    for i, row in enumerate(_rows(value, "joints")):
        where = f"joints[{i}]"
        item = _keys(_endless(row, where), JOINT_KEYS, where, JOINT_MAY)
        if item["type"] not in ("revolute", "prismatic", "continuous"):
            raise FrozenFileError(f"{where}.type: {item['type']!r} is not known")
        names.append(_text(item["name"], f"{where}.name"))
        kinds.append(item["type"])
        optional = {key: item.get(key, 0.0) for key in JOINT_OPTIONAL}
        numbers = {key: item[key] for key in JOINT_NUMBERS} | optional
        numbers[DECELERATION] = item.get(DECELERATION, item["max_acceleration"])
        columns.append([_number(number, f"{where}.{key}") for key, number in numbers.items()])
    if not names:
        raise FrozenFileError("joints: none declared")
    table, every = np.array(columns), (*JOINT_NUMBERS, *JOINT_OPTIONAL, DECELERATION)
    bounds = {key: table[:, i].copy() for i, key in enumerate(every)}
    endless = np.array([kind == "continuous" for kind in kinds])
    bounds["min_position"][endless], bounds["max_position"][endless] = -np.inf, np.inf
    return names, kinds, bounds


def _chain(value: Any, n: int) -> dict[str, Array]:
    item = _keys(value, frozenset({"joints", "tcp", "links", "gravity"}), "kinematics")
    rows, links = _rows(item["joints"], "kinematics.joints"), _rows(item["links"], "links")
    if len(rows) != n or len(links) != n:
        raise FrozenFileError(f"kinematics: {len(rows)} joints, {len(links)} links, expected {n}")
    pose = frozenset({"rotation", "translation"})
    body = frozenset({"mass", "com", "inertia"})
    places = [_keys(row, pose, f"kinematics.joints[{i}]") for i, row in enumerate(rows)]
    bodies = [_keys(row, body, f"kinematics.links[{i}]") for i, row in enumerate(links)]
    tcp = _keys(item["tcp"], pose, "kinematics.tcp")
    _matrix(tcp["rotation"], "kinematics.tcp.rotation")
    return {
        "rotation": np.array([_matrix(row["rotation"], "rotation") for row in places]),
        "translation": np.array([_vector(row["translation"], 3, "translation") for row in places]),
        "tcp_translation": _vector(tcp["translation"], 3, "kinematics.tcp.translation"),
        "mass": np.array([_number(row["mass"], "links.mass") for row in bodies]),
        "com": np.array([_vector(row["com"], 3, "links.com") for row in bodies]),
        "inertia": np.array([_inertia(row["inertia"], "links.inertia") for row in bodies]),
        "gravity": _vector(item["gravity"], 3, "kinematics.gravity"),
    }


def _tcp(value: Any) -> dict[str, Any]:
    """The tool's limits; the one on its rotation is younger than the format, and may be absent."""
    declared = {"max_trans_vel", "max_force", "force_required"}
    if isinstance(value, dict) and "max_rot_vel" in value:
        declared.add("max_rot_vel")
    tcp = _keys(value, frozenset(declared), "tcp")
    if not isinstance(tcp["force_required"], bool):
        raise FrozenFileError(f"tcp.force_required: {tcp['force_required']!r} is not true or false")
    return tcp


def _risk_max(value: Any) -> float | None:
    if isinstance(value, dict) and set(value) == {"none"}:
        _text(value["none"], "classifier.none")
        return None
    keys = frozenset({"file", "sha256", "threshold", "rescore_deviation"})
    return _number(_keys(value, keys, "classifier")["threshold"], "classifier.threshold")


def read_robot(raw: bytes) -> Robot:
    """Parse the bytes of a frozen limits file."""
    try:
        document = json.loads(raw, object_pairs_hook=_object, parse_constant=_constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FrozenFileError(f"not JSON: {error}") from error
    top = _keys(document, TOP_KEYS, "limits file", OPTIONAL_KEYS)
    if top["format"] != FORMAT or isinstance(top["format"], bool) or top["kind"] != KIND:
        raise FrozenFileError(f"format {top['format']!r} {top['kind']!r}: expected {FORMAT} {KIND}")
    names, kinds, bounds = _joints(top["joints"])
    tcp = _tcp(top["tcp"])
    each: Callable[[str], list[Any]] = lambda key: _rows(top[key], key)  # noqa: E731
    timing = top["timing"]
    if not isinstance(timing, dict):
        raise FrozenFileError("timing: expected an object")
    timing_ms = {key: _number(value, f"timing.{key}") for key, value in timing.items()}
    capsules = tuple(
        _capsule(row, len(names), f"capsules[{i}]") for i, row in enumerate(each("capsules"))
    )
    return Robot(
        name=_text(top["name"], "name"),
        sha256=hashlib.sha256(raw).hexdigest(),
        period_s=_number(top["period_s"], "period_s"),
        joint_names=tuple(names),
        prismatic=np.array([kind == "prismatic" for kind in kinds]),
        continuous=np.array([kind == "continuous" for kind in kinds]),
        bounds=bounds,
        **_chain(top["kinematics"], len(names)),
        capsules=capsules,
        volumes=tuple(_volume(row, f"volumes[{i}]") for i, row in enumerate(each("volumes"))),
        pairs=_pairs(top.get("self_collision"), capsules),
        max_trans_vel_m_s=_number(tcp["max_trans_vel"], "tcp.max_trans_vel"),
        max_force_n=_number(tcp["max_force"], "tcp.max_force"),
        max_rot_vel_rad_s=(
            _number(tcp["max_rot_vel"], "tcp.max_rot_vel") if "max_rot_vel" in tcp else None
        ),
        period_tolerance=timing_ms.get("period_tolerance", 0.0),
        timing_ms=timing_ms,
        home=_vector(top["home"], len(names), "home"),
        risk_max=_risk_max(top["classifier"]),
    )

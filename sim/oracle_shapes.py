"""Capsules, volumes and zones of a frozen limits file, as the oracle's own parser reads them.

Guarantees: as `oracle_file`; nothing is tightened or widened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import oracle_fields as read
from .oracle_fields import FrozenFileError

__all__ = [
    "CapsuleShape",
    "VolumeShape",
    "ZoneShape",
    "read_capsule",
    "read_pairs",
    "read_volume",
    "read_zones",
]

Array = npt.NDArray[np.float64]

SHAPE_FIELDS = {
    "half_space": {"normal": 3, "offset": 0},
    "box": {"center": 3, "rotation": 9, "half_extents": 3},
    "sphere": {"center": 3, "radius": 0},
    "capsule": {"start": 3, "end": 3, "radius": 0},
    "cylinder": {"start": 3, "end": 3, "radius": 0},
    "mesh": {"vertices": 3, "planes": 4},
}
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


def read_capsule(value: Any, n: int, where: str) -> CapsuleShape:
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


def read_pairs(value: Any, capsules: tuple[CapsuleShape, ...]) -> tuple[tuple[int, int], ...]:
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


def read_volume(value: Any, where: str) -> VolumeShape:
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


def read_zones(value: Any) -> tuple[ZoneShape, ...]:
    out = []
    for i, row in enumerate(read.rows(value, "zones")):
        where = f"zones[{i}]"
        item = read.keys(row, frozenset({"max_speed", "volume"}), where)
        place = read_volume(item["volume"], f"{where}.volume")
        if place.keeps_in:
            raise FrozenFileError(f"{where}.volume.kind: a zone is where its volume is, not around")
        out.append(ZoneShape(place, read.number(item["max_speed"], f"{where}.max_speed")))
    return tuple(out)

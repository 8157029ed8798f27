"""Simulation URDF of a frozen limits file: the maker's URDF, locked joints fixed, the tool added.

Guarantees:
- The URDF is the one that the limits were frozen from (its SHA-256 is compared, if declared).
- Locked joints become fixed at their declared value; every other joint stays as it is.
- The tool is a link of its own, rigidly fixed to its parent. Masses and inertias stay as the URDF
  has them, also of its massless links: the frozen limits were computed from the same ones.
- What is written lies in a folder of the caller's choice; mesh paths in it are absolute.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

__all__ = ["Frozen", "find_urdf", "write_simulation_urdf"]

Frozen = Mapping[str, Any]

_INERTIA_KEYS = ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")


def find_urdf(source: Frozen) -> Path:
    """Where `source.urdf` lies: in its package's data folder, or as it is written."""
    name, package = str(source["urdf"]), source.get("package")
    if package is None:
        path = Path(name)
    elif package == "pybullet_data":
        path = Path(str(importlib.import_module("pybullet_data").getDataPath())) / name
    else:
        folder = importlib.import_module(str(package)).__file__
        if folder is None:
            raise FileNotFoundError(f"source.package {package!r} has no folder to find {name!r} in")
        path = Path(folder).parent / name
    if not path.is_file():
        raise FileNotFoundError(f"source.urdf: no such file {path}")
    return path


def _numbers(values: Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _origin(parent: Element, xyz: Sequence[float], rpy: Sequence[float]) -> None:
    SubElement(parent, "origin", {"xyz": _numbers(xyz), "rpy": _numbers(rpy)})


def _absolute_mesh(name: str, folder: Path) -> str:
    """The mesh file behind `package://a/b` or `a/b`, looked for upwards from the URDF's folder."""
    relative = name.removeprefix("package://").removeprefix("file://")
    for base in (folder, *folder.parents):
        if (base / relative).is_file():
            return str((base / relative).resolve())
    raise FileNotFoundError(f"mesh {name!r} of the URDF is not in {folder} or above it")


def _rotation_rpy(rpy: Sequence[float]) -> list[list[float]]:
    (sr, sp, sy), (cr, cp, cy) = [math.sin(a) for a in rpy], [math.cos(a) for a in rpy]
    return [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]


def _rotation_axis(axis: Sequence[float], angle: float) -> list[list[float]]:
    x, y, z = axis
    c, s, v = math.cos(angle), math.sin(angle), 1.0 - math.cos(angle)
    return [
        [c + x * x * v, x * y * v - z * s, x * z * v + y * s],
        [y * x * v + z * s, c + y * y * v, y * z * v - x * s],
        [z * x * v - y * s, z * y * v + x * s, c + z * z * v],
    ]


def _rpy(rotation: list[list[float]]) -> list[float]:
    pitch = math.asin(max(-1.0, min(1.0, -rotation[2][0])))
    if abs(rotation[2][0]) > 1.0 - 1e-12:  # gimbal lock: roll and yaw are one angle, put it in yaw
        return [0.0, pitch, math.atan2(-rotation[0][1], rotation[1][1])]
    roll = math.atan2(rotation[2][1], rotation[2][2])
    return [roll, pitch, math.atan2(rotation[1][0], rotation[0][0])]


def _triple(element: Element | None, key: str, default: str = "0 0 0") -> list[float]:
    text = default if element is None else element.get(key, default)
    return [float(word) for word in text.split()]


def _lock(joint: Element, value: float) -> None:
    """Make `joint` fixed where its position is `value` [rad or m]."""
    axis = _triple(joint.find("axis"), "xyz", "1 0 0")
    norm = math.sqrt(sum(a * a for a in axis))
    origin = joint.find("origin")
    xyz, rpy = _triple(origin, "xyz"), _triple(origin, "rpy")
    rotation = _rotation_rpy(rpy)
    unit = [a / norm for a in axis]
    if joint.get("type") == "prismatic":
        shift = [sum(rotation[r][c] * unit[c] * value for c in range(3)) for r in range(3)]
        xyz = [a + b for a, b in zip(xyz, shift, strict=True)]
    elif value != 0.0:
        turn = _rotation_axis(unit, value)
        product = [
            [sum(rotation[r][k] * turn[k][c] for k in range(3)) for c in range(3)] for r in range(3)
        ]
        rpy = _rpy(product)
    for tag in ("origin", "axis", "limit", "mimic", "dynamics", "safety_controller"):
        for old in joint.findall(tag):
            joint.remove(old)
    joint.set("type", "fixed")
    _origin(joint, xyz, rpy)


def _add_shapes(link: Element, shapes: Sequence[Frozen]) -> None:
    for shape in shapes:
        kind = shape["type"]
        for tag in ("visual", "collision"):
            holder = SubElement(link, tag)
            _origin(holder, shape["xyz"], shape["rpy"])
            geometry = SubElement(holder, "geometry")
            if kind == "box":
                SubElement(geometry, "box", {"size": _numbers(shape["size"])})
            elif kind == "sphere":
                SubElement(geometry, "sphere", {"radius": repr(float(shape["radius"]))})
            elif kind in ("cylinder", "capsule"):
                sizes = {key: repr(float(shape[key])) for key in ("radius", "length")}
                SubElement(geometry, kind, sizes)
            else:
                raise ValueError(
                    f"source.tool.shapes: type {kind!r} is none of box, sphere, cylinder, capsule"
                )


def _add_tool(robot: Element, tool: Frozen) -> None:
    link = SubElement(robot, "link", {"name": str(tool["name"])})
    inertial = SubElement(link, "inertial")
    _origin(inertial, tool["com"], (0.0, 0.0, 0.0))
    SubElement(inertial, "mass", {"value": repr(float(tool["mass"]))})
    moments = zip(_INERTIA_KEYS, tool["inertia"], strict=True)
    SubElement(inertial, "inertia", {key: repr(float(value)) for key, value in moments})
    _add_shapes(link, tool["shapes"])
    joint = SubElement(robot, "joint", {"name": f"{tool['name']}_mount", "type": "fixed"})
    _origin(joint, tool["xyz"], tool["rpy"])
    SubElement(joint, "parent", {"link": str(tool["parent"])})
    SubElement(joint, "child", {"link": str(tool["name"])})


def write_simulation_urdf(frozen: Frozen, folder: Path) -> Path:
    """Write the simulation URDF of `frozen` into `folder`; return its path."""
    source = frozen["source"]
    path = find_urdf(source)
    content = path.read_bytes()
    declared, found = source.get("urdf_sha256"), hashlib.sha256(content).hexdigest()
    if declared is not None and declared != found:
        raise ValueError(f"source.urdf_sha256: {path} has {found}, the limits name {declared}")
    robot = ElementTree.fromstring(content)
    for mesh in robot.iter("mesh"):
        mesh.set("filename", _absolute_mesh(str(mesh.get("filename")), path.parent.resolve()))
    locked = dict(source.get("locked_joints") or {})
    for joint in robot.findall("joint"):
        if str(joint.get("name")) in locked:
            _lock(joint, float(locked.pop(str(joint.get("name")))))
    if locked:
        raise ValueError(f"source.locked_joints: the URDF has no joint {', '.join(sorted(locked))}")
    if source.get("tool") is not None:
        _add_tool(robot, source["tool"])
    target = folder / f"{frozen['name']}_simulation.urdf"
    ElementTree.ElementTree(robot).write(target, encoding="utf-8", xml_declaration=True)
    return target

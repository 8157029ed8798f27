"""Compiles a limits file to its frozen form: one canonical JSON (RFC 8785), identified by SHA-256.

Guarantees:
- Of two sources of one limit the tighter wins, and the provenance says what it was tightened from.
- Every corner of every collision shape of a moving link, tool and payload lies in its capsules.
- The same file, URDF and meshes give the same bytes; what was computed is rounded to 1e-12.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .alternatives import other_files
from .authoring.capsules import Segment, box_capsules, excess_m
from .authoring.hulls import convex_hull, mesh_points
from .authoring.urdf import Body, Chain, load_chain, read_joints, resolve_urdf, urdf_sha256
from .canonical import canonical_bytes
from .document import parse_document
from .errors import LimitsFileError, RobotError
from .frozen import KIND
from .frozen_pairs import candidate_pairs
from .geometry_schema import MeshOriginModel, SelfCollisionModel, ShapeModel, ZoneModel
from .gripper_schema import frozen_gripper
from .perception_schema import frozen_perception
from .records import Array
from .schema import CapsuleModel, ClassifierModel, LimitsFile
from .tightening import tightest

__all__ = ["freeze", "freeze_yaml", "frozen_document"]

DECIMALS = 12


def _list(values: Any) -> list[float]:
    """Plain floats, rounded so that the last bit of a sine does not change the digest."""
    return [round(float(v), DECIMALS) + 0.0 for v in np.asarray(values).ravel()]


def rotation_of(rpy: tuple[float, float, float]) -> Array:
    """R = Rz(yaw)·Ry(pitch)·Rx(roll), (3, 3), as URDF defines it."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def _symmetric(six: tuple[float, ...]) -> Array:
    xx, xy, xz, yy, yz, zz = six
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def bodies_of(file: LimitsFile) -> list[Body]:
    """Tool and payload as rigid bodies."""
    bodies = []
    if file.tool is not None:
        tool = file.tool
        bodies.append(
            Body(
                tool.name,
                tool.parent,
                np.array(tool.xyz),
                np.array(tool.rpy),
                tool.mass,
                np.array(tool.com),
                _symmetric(tool.inertia),
            )
        )
    if file.payload is not None:
        load = file.payload
        bodies.append(
            Body(
                load.name,
                load.parent,
                np.array(load.xyz),
                np.zeros(3),
                load.mass,
                np.zeros(3),
                _symmetric(load.inertia),
            )
        )
    return bodies


def _pose(chain: Chain, link: str, where: str) -> tuple[int, Array, Array]:
    if link not in chain.link_joint:
        raise RobotError(f"{where}: no link {link!r}; there are: {', '.join(chain.link_joint)}")
    return (chain.link_joint[link], *chain.link_pose[link])


def _capsule(
    name: str, joint: int, segment: Segment, rotation: Array, shift: Array
) -> dict[str, Any]:
    return {
        "name": name,
        "joint": joint,
        "start": _list(rotation @ np.array(segment.start) + shift),
        "end": _list(rotation @ np.array(segment.end) + shift),
        "radius": segment.radius,
    }


def _link_capsules(file: LimitsFile, chain: Chain) -> list[dict[str, Any]]:
    """Declared capsules in their joints' frames, after the proof that they contain the meshes."""
    moving = [link for link in chain.triangles if chain.link_joint[link] >= 0]
    for link in file.capsules:
        if link not in moving:
            raise LimitsFileError(
                f"capsules.{link}: not a moving link with a collision shape; "
                f"there are: {', '.join(moving)}"
            )
    out = []
    for link in moving:
        declared: tuple[CapsuleModel, ...] = file.capsules.get(link, ())
        joint, rotation, shift = _pose(chain, link, f"capsules.{link}")
        segments = [Segment(c.start, c.end, c.radius) for c in declared]
        # The proof runs in the link's frame, on the corners as the meshes give them.
        excess = excess_m((chain.triangles[link] - shift) @ rotation, segments)
        excess += chain.swell.get(link, 0.0)
        if not excess <= 0.0:
            raise LimitsFileError(
                f"capsules.{link}: "
                + (
                    "missing"
                    if not segments
                    else f"the collision mesh sticks out by {excess * 1e3:.3f} mm"
                )
                + "; `checkrein limits init` fits capsules"
            )
        out += [_capsule(link, joint, segment, rotation, shift) for segment in segments]
    return out


def _added_capsules(file: LimitsFile, chain: Chain) -> list[dict[str, Any]]:
    """Capsules of tool and payload, from their boxes."""
    boxes = []
    if file.tool is not None:
        for shape in file.tool.shapes:
            boxes.append(
                (file.tool.name, np.array(shape.size), rotation_of(shape.rpy), np.array(shape.xyz))
            )
    if file.payload is not None:
        boxes.append((file.payload.name, np.array(file.payload.size), np.eye(3), np.zeros(3)))
    out = []
    for name, size, rotation, shift in boxes:
        joint, link_rotation, link_shift = _pose(chain, name, name)
        segments = box_capsules(size)
        out += [
            _capsule(
                name, joint, segment, link_rotation @ rotation, link_rotation @ shift + link_shift
            )
            for segment in segments
        ]
    return out


def _hull(volume: ShapeModel, beside: Path | None, where: str) -> dict[str, Any]:
    """Corners and planes of a mesh volume, in the base frame."""
    if volume.file is not None:
        points = mesh_points(volume.file, volume.scale or 1.0, beside, where)
    else:
        points = np.array(volume.vertices, dtype=np.float64)
    origin = volume.origin or MeshOriginModel()
    vertices, planes = convex_hull(points @ rotation_of(origin.rpy).T + origin.xyz, where)
    return {"vertices": [_list(v) for v in vertices], "planes": [_list(p) for p in planes]}


def _zone(zone: ZoneModel, beside: Path | None) -> dict[str, Any]:
    return {"max_speed": zone.max_speed, "volume": _volume(zone, "keep_out", beside, "zones")}


def _volume(
    volume: ShapeModel, kind: str, beside: Path | None, section: str = "volumes"
) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": volume.name,
        "kind": kind,
        "shape": volume.shape,
        "on_violation": volume.on_violation.value,
        "exempt": list(volume.exempt),
    }
    if volume.normal is not None and volume.offset is not None:
        length = float(np.sqrt(sum(v * v for v in volume.normal)))
        out |= {"normal": _list(np.array(volume.normal) / length), "offset": volume.offset}
    if volume.size is not None:
        out |= {
            "center": _list(volume.center),
            "rotation": _list(rotation_of(volume.rpy or (0.0, 0.0, 0.0))),
            "half_extents": _list(np.array(volume.size) / 2.0),
        }
    if volume.shape == "sphere":
        out |= {"center": _list(volume.center), "radius": volume.radius}
    if volume.shape in ("capsule", "cylinder"):
        out |= {"start": _list(volume.start), "end": _list(volume.end), "radius": volume.radius}
    if volume.shape == "mesh":
        out |= _hull(volume, beside, f"{section}.{volume.name}")
    return out


def _self_collision(declared: SelfCollisionModel, capsules: list[dict[str, Any]]) -> dict[str, Any]:
    """The explicit list of pairs: all but those that can never part and those that are ignored."""
    if declared.none is not None:
        return {"none": declared.none}
    pairs = candidate_pairs((capsule["name"], capsule["joint"]) for capsule in capsules)
    reasons: dict[frozenset[str], str] = {}
    known = {capsule["name"]: capsule["joint"] for capsule in capsules}
    for k, item in enumerate(declared.ignore):
        where = f"self_collision.ignore.{k}.pair"
        for name in item.pair:
            if name not in known:
                raise LimitsFileError(
                    f"{where}: no link {name!r} with a capsule; there are: {', '.join(known)}"
                )
        if abs(known[item.pair[0]] - known[item.pair[1]]) < 2:
            raise LimitsFileError(
                f"{where}: {item.pair[0]!r} and {item.pair[1]!r} are on the same or on "
                f"neighbouring joints, which are left out anyway; remove the entry"
            )
        reasons[frozenset(item.pair)] = item.reason
    return {
        "standoff": declared.standoff,
        "pairs": [list(pair) for pair in pairs if frozenset(pair) not in reasons],
        "ignored": [
            {"pair": list(pair), "reason": reasons[frozenset(pair)]}
            for pair in pairs
            if frozenset(pair) in reasons
        ],
    }


def _kinematics(file: LimitsFile, chain: Chain) -> dict[str, Any]:
    joint, rotation, shift = _pose(chain, file.tcp.link, "tcp.link")
    last = len(chain.joint_names) - 1
    if file.tcp.link in chain.swell:
        raise RobotError(f"tcp.link: {file.tcp.link!r} is moved by a joint that mimics another")
    if joint != last:
        raise RobotError(
            f"tcp.link: {file.tcp.link!r} does not move with the last joint, "
            f"{chain.joint_names[last]!r}"
        )
    six = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    return {
        "joints": [{"rotation": _list(r), "translation": _list(t)} for r, t in chain.placements],
        "tcp": {
            "rotation": _list(rotation @ rotation_of(file.tcp.rpy)),
            "translation": _list(rotation @ np.array(file.tcp.xyz) + shift),
        },
        "links": [
            {
                "mass": round(mass, DECIMALS),
                "com": _list(com),
                "inertia": _list([inertia[i] for i in six]),
            }
            for mass, com, inertia in zip(chain.masses, chain.coms, chain.inertias, strict=True)
        ],
        "gravity": list(file.robot.gravity),
    }


def _tcp(file: LimitsFile) -> dict[str, Any]:
    """The tool's limits; what is not declared is absent, as it was before it could be."""
    names = (
        "max_trans_vel",
        "max_rot_vel",
        "max_trans_acc",
        "max_rot_acc",
        "max_force",
        "force_required",
    )
    declared = {name: getattr(file.tcp, name) for name in names}
    return {name: value for name, value in declared.items() if value is not None}


def _source(file: LimitsFile, urdf: Path, chain: Chain) -> dict[str, Any]:
    out: dict[str, Any] = {
        "urdf": file.robot.urdf,
        "package": file.robot.package,
        "urdf_sha256": urdf_sha256(urdf),
        "locked_joints": dict(chain.locked),
        "tcp_link": file.tcp.link,
        "tcp_origin": {"xyz": list(file.tcp.xyz), "rpy": list(file.tcp.rpy)},
        "tool": None,
        "payload": None,
    }
    for key in ("tool", "payload"):
        model = getattr(file, key)
        if model is not None:
            out[key] = model.model_dump(mode="json")
    return out


def frozen_document(file: LimitsFile, beside: Path | None) -> dict[str, Any]:
    """The frozen form as plain data. beside: the folder that relative paths start from."""
    urdf = resolve_urdf(file.robot.urdf, file.robot.package, beside)
    chain = load_chain(urdf, dict(file.robot.locked_joints), bodies_of(file))
    joints, provenance = tightest(file, chain, read_joints(urdf))
    timing = file.timing
    classifier: dict[str, Any]
    if isinstance(file.classifier, ClassifierModel):
        classifier = file.classifier.model_dump(mode="json")
    else:
        classifier = {"none": file.classifier.none}
    body = _body(file, chain)
    document = {
        "format": file.format,
        "kind": KIND,
        "name": file.name,
        "version": file.version,
        "period_s": file.period,
        "joints": joints,
        "kinematics": body["kinematics"],
        "capsules": body["capsules"],
        "volumes": [_volume(volume, volume.kind, beside) for volume in file.volumes],
        "standoff": file.standoff,
        "tcp": _tcp(file),
        "timing": {
            "command_timeout_ms": timing.command_timeout * 1e3,
            "state_age_max_ms": timing.state_age_max * 1e3,
            "period_tolerance": timing.period_tolerance,
            "resample_deadline_ms": timing.resample_deadline * 1e3,
            "watchdog_ms": timing.watchdog * 1e3,
            **({} if timing.latency_ticks is None else {"latency_ticks": timing.latency_ticks}),
        },
        "home": [file.home[name] for name in chain.joint_names],
        "on_violation": file.on_violation.model_dump(mode="json", exclude_none=True),
        "stop_category": file.stop_category,
        "classifier": classifier,
        "source": _source(file, urdf, chain),
        "provenance": provenance,
    }
    if file.links is not None:
        document["links"] = file.links.model_dump(mode="json")
    if file.zones:
        document["zones"] = [_zone(zone, beside) for zone in file.zones]
    if file.arming is not None:
        document["arming"] = {"ramp_s": file.arming.ramp}
    if file.motion is not None:
        document["motion"] = file.motion.model_dump(mode="json")
    if file.perception is not None:
        document["perception"] = frozen_perception(file.perception)
    if file.gripper is not None:
        document["gripper"] = frozen_gripper(file.gripper)
    if "self_collision" in body:
        document["self_collision"] = body["self_collision"]
    others = other_files(file)
    if others:
        document["variants"] = {
            **_choice(file),
            "others": [_variant(other, urdf) for other in others],
        }
    return document


def _body(file: LimitsFile, chain: Chain) -> dict[str, Any]:
    """What depends on the tool and the payload."""
    capsules = sorted(
        _link_capsules(file, chain) + _added_capsules(file, chain), key=lambda c: c["joint"]
    )
    out: dict[str, Any] = {"kinematics": _kinematics(file, chain), "capsules": capsules}
    if file.self_collision is not None:
        out["self_collision"] = _self_collision(file.self_collision, capsules)
    return out


def _choice(file: LimitsFile) -> dict[str, str | None]:
    return {
        "tool": None if file.tool is None else file.tool.name,
        "payload": None if file.payload is None else file.payload.name,
    }


def _variant(file: LimitsFile, urdf: Path) -> dict[str, Any]:
    """The robot with another tool or payload."""
    choice = _choice(file)
    try:
        chain = load_chain(urdf, dict(file.robot.locked_joints), bodies_of(file))
        return {**choice, **_body(file, chain)}
    except (LimitsFileError, RobotError) as error:
        where = f"tool {choice['tool']!r} with payload {choice['payload']!r}"
        raise type(error)(f"{where}: {error}") from error


def freeze_yaml(data: bytes, path: Path) -> bytes:
    """Frozen bytes of the limits file `data`, which was read from `path`."""
    file = parse_document(data, path.name)
    try:
        return freeze(file, path.resolve().parent)
    except (LimitsFileError, RobotError) as error:
        raise type(error)(f"{path.name}: {error}") from error


def freeze(file: LimitsFile, beside: Path | None = None) -> bytes:
    """Canonical bytes of the frozen form; their SHA-256 is the identity of the limits."""
    return canonical_bytes(frozen_document(file, beside))

"""Reads a URDF: the serial chain with frames turned so that every axis is +z, limits, geometry.

Guarantees:
- Locked joints, fixed links and added bodies (tool, payload) are merged into the links that carry
  them, inertias by the parallel-axis theorem (Pinocchio does it; the tests do it again, otherwise).
- A tree, a floating base, an arm that goes on beyond a mimic joint, a joint type that is not
  understood: refused. What a mimic joint moves is covered wherever its leader may be (see `mimic`);
  its mass stays with its place in the middle.
- `<limit>` and `<safety_controller>` are both read; who is tighter is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingExtraError, RobotError
from ..records import Array
from .capsules import box_triangles
from .meshes import read_triangles
from .mimic import Dependent, resolved, sweeps, swept
from .urdf_joints import UrdfJoint, read_joints

__all__ = [
    "Body",
    "Chain",
    "UrdfJoint",
    "load_chain",
    "read_joints",
    "resolve_urdf",
    "urdf_sha256",
]

CYLINDER_SIDES = 24


@dataclass(frozen=True, slots=True)
class Body:
    """A rigid body to add to a link: tool or payload."""

    name: str
    parent: str
    xyz: Array  # (3,) [m] its frame in the parent link's frame
    rpy: Array  # (3,) [rad]
    mass: float
    com: Array  # (3,) in its frame
    inertia: Array  # (3, 3) about its COM, axes of its frame


@dataclass(slots=True)
class Chain:
    """The robot as the runtime needs it; joint frames have their axis along +z."""

    joint_names: list[str]
    joint_types: list[str]
    placements: list[tuple[Array, Array]]  # rotation (3, 3), translation (3,) in the parent joint
    masses: list[float] = field(default_factory=list)
    coms: list[Array] = field(default_factory=list)
    inertias: list[Array] = field(default_factory=list)
    link_joint: dict[str, int] = field(default_factory=dict)  # -1: fixed to the base
    link_pose: dict[str, tuple[Array, Array]] = field(default_factory=dict)  # in its joint's frame
    # link: (m, 3, 3), joint's frame; where a mimic joint moves it (m, 6, 3), both ends of a step
    triangles: dict[str, Array] = field(default_factory=dict)
    swell: dict[str, float] = field(default_factory=dict)  # [m] of those: how much more they need
    dependents: tuple[Dependent, ...] = ()
    locked: dict[str, float] = field(default_factory=dict)  # all, mimic joints held in the middle


def _pinocchio() -> Any:
    # By name: the runtime can reach this file, and must not depend on what it imports.
    try:
        return importlib.import_module("pinocchio")
    except ImportError as error:
        raise MissingExtraError("reading a URDF", "authoring", "pinocchio") from error


def resolve_urdf(urdf: str, package: str | None, beside: Path | None) -> Path:
    """Path of a URDF: in the data folder of `package`, or relative to the limits file."""
    if package is None:
        path = Path(urdf)
        if not path.is_absolute() and beside is not None:
            path = beside / path
    elif package == "pybullet_data":
        # Found, not imported: it is a folder of data, and importing it runs code of others.
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise MissingExtraError(f"the URDF {urdf}", "sim", package)
        path = Path(found.origin).parent / urdf
    else:
        raise RobotError(f"robot.package: {package!r} is not known; known: pybullet_data")
    if not path.is_file():
        raise RobotError(f"robot.urdf: no such file: {path}")
    return path


def urdf_sha256(path: Path) -> str:
    """SHA-256 of the URDF's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _build(path: Path) -> tuple[Any, Any]:
    """(model, collision geometry) of the whole URDF."""
    pin = _pinocchio()
    text = path.read_text(encoding="utf-8")
    # Pinocchio gives a continuous joint two coordinates; it is an angle like any other here.
    text = re.sub(
        r'type\s*=\s*"continuous"',
        'type="revolute"',
        text,
    )
    text = re.sub(r"<mimic\b[^>]*/>", "", text)  # none of them moves by itself: see load_chain
    folders = [str(path.parent), *[str(p) for p in path.parents[1:4]]]
    try:
        model = pin.buildModelFromXML(text)
        geometry = pin.buildGeomFromUrdfString(
            model, text, pin.GeometryType.COLLISION, package_dirs=folders
        )
    except (ValueError, RuntimeError) as error:
        raise RobotError(f"{path}: {error}") from error
    return model, geometry


def _reduced(
    pin: Any, model: Any, geometry: Any, locked: dict[str, float], bodies: list[Body]
) -> tuple[Any, Any]:
    """The same with `locked` joints fixed and bodies added."""
    ids = []
    reference = pin.neutral(model)
    for name, value in locked.items():
        joint = model.getJointId(name)
        ids.append(joint)
        reference[model.joints[joint].idx_q] = value
    reduced, (shapes,) = pin.buildReducedModel(model, [geometry], ids, reference)
    for i in range(1, reduced.njoints):
        if reduced.parents[i] != i - 1:
            raise RobotError(
                f"joint {reduced.names[i]!r}: the moving joints must form one serial chain; "
                f"lock the others in robot.locked_joints (init: --lock JOINT=POSITION)"
            )
    if reduced.njoints < 2:
        raise RobotError("robot: no joint moves")
    for body in bodies:
        _add_body(pin, reduced, body)
    return reduced, shapes


def _rotation_to_axis(axis: Array) -> Array:
    """The least rotation R (3, 3) with R·z = axis."""
    x, y, z = (float(v) for v in axis)
    if z > 1.0 - 1e-12:
        return np.eye(3)
    if z < -1.0 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0.0, 0.0, x], [0.0, 0.0, y], [-x, -y, 0.0]])  # [z × axis]
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + z))


def load_chain(path: Path, locked: dict[str, float], bodies: list[Body]) -> Chain:
    """The serial chain of the URDF with `locked` joints fixed and `bodies` added."""
    pin = _pinocchio()
    joints = read_joints(path)
    for name in locked:
        if name not in joints:
            raise RobotError(
                f"robot.locked_joints: no joint {name!r}; there are: {', '.join(joints)}"
            )
    all_locked, moving = resolved(joints, locked)
    plans = sweeps(joints, moving)
    held = {
        one.name: one.at(float(plan.leader[[0, -1]].mean()))
        for plan in plans
        for one in plan.dependents
    }
    whole, shapes = _build(path)
    model, geometry = _reduced(pin, whole, shapes, {**all_locked, **held}, bodies)
    chain = _turned(pin, model, joints)
    _add_triangles(pin, model, geometry, joints, chain)
    chain.dependents, chain.locked = moving, {**all_locked, **held}

    def poses(values: dict[str, float]) -> dict[str, tuple[Array, Array]]:
        other, _ = _reduced(pin, whole, shapes, {**all_locked, **values}, bodies)
        there = _turned(pin, other, joints)
        for name, *pair in zip(chain.joint_names, chain.placements, there.placements, strict=True):
            if any(np.abs(a - b).max() > 1e-9 for a, b in zip(*pair, strict=True)):
                raise RobotError(
                    f"joint {name!r} is carried by a joint that mimics another: such an arm is not "
                    f"understood; lock {name!r} (init: --lock {name}=POSITION)"
                )
        return there.link_pose

    for plan in plans:
        moved = swept(plan, poses, held, _in_links(chain))
        _require_free(chain, moved, bodies)
        for link, (prisms, swell) in moved.items():
            chain.swell[link] = swell
            if len(prisms):
                chain.triangles[link] = prisms
    return chain


def _in_links(chain: Chain) -> dict[str, Array]:
    """Triangles of each link in its own frame; those that no mimic joint moves yet."""
    out = {}
    for link, (rotation, shift) in chain.link_pose.items():
        triangles = chain.triangles.get(link, np.zeros((0, 3, 3)))
        out[link] = (triangles - shift) @ rotation
    return out


def _require_free(chain: Chain, moved: dict[str, Any], bodies: list[Body]) -> None:
    """What a mimic joint moves carries nothing, is moved by one leader only, and by the arm."""
    for link in moved:
        why = None
        if link in chain.swell:
            why = "is carried by joints that mimic two different ones"
        elif any(body.name == link for body in bodies):
            why = "is fixed to what a mimic joint moves; its parent must be a link of the arm"
        elif chain.link_joint[link] < 0:
            why = "is moved by a mimic joint at the robot's base, beside the arm"
        if why is not None:
            raise RobotError(f"{link!r} {why}: lock the joint that is mimicked")


def _add_body(pin: Any, model: Any, body: Body) -> None:
    frame_id = _frame(model, body.parent, f"{body.name}.parent")
    frame = model.frames[frame_id]
    inertia = pin.Inertia(body.mass, np.array(body.com), np.array(body.inertia))
    pose = frame.placement * pin.SE3(pin.rpy.rpyToMatrix(np.array(body.rpy)), np.array(body.xyz))
    model.appendBodyToJoint(frame.parentJoint, inertia, pose)
    model.addFrame(pin.Frame(body.name, frame.parentJoint, frame_id, pose, pin.FrameType.BODY))


def _frame(model: Any, link: str, where: str) -> int:
    links = [f.name for f in model.frames if str(f.type) == "BODY"]
    if link not in links:
        raise RobotError(f"{where}: no link {link!r}; there are: {', '.join(links)}")
    return next(i for i, f in enumerate(model.frames) if f.name == link and str(f.type) == "BODY")


def _turns(pin: Any, model: Any, joints: dict[str, UrdfJoint]) -> list[Array]:
    """Of the base and each joint: the least rotation that makes its axis +z."""
    data = model.createData()
    pin.computeJointJacobians(model, data, pin.neutral(model))
    turn = [np.eye(3)]
    for i in range(1, model.njoints):
        column = pin.getJointJacobian(model, data, i, pin.ReferenceFrame.LOCAL)[:, i - 1]
        axis = column[:3] if joints[model.names[i]].type == "prismatic" else column[3:]
        turn.append(_rotation_to_axis(axis / float(np.sqrt(axis @ axis))))
    return turn


def _turned(pin: Any, model: Any, joints: dict[str, UrdfJoint]) -> Chain:
    """Turn every joint frame so that its axis is +z, and express all that it carries in it."""
    turn, chain = _turns(pin, model, joints), Chain([], [], [])
    for i in range(1, model.njoints):
        name = model.names[i]
        kind = joints[name].type
        pose = model.jointPlacements[i]
        chain.joint_names.append(name)
        chain.joint_types.append(kind)
        chain.placements.append(
            (turn[i - 1].T @ pose.rotation @ turn[i], turn[i - 1].T @ pose.translation)
        )
        inertia = model.inertias[i]
        chain.masses.append(float(inertia.mass))
        chain.coms.append(turn[i].T @ inertia.lever)
        chain.inertias.append(turn[i].T @ inertia.inertia @ turn[i])
    for frame in model.frames:
        if str(frame.type) == "BODY":
            joint = frame.parentJoint
            chain.link_joint[frame.name] = joint - 1
            chain.link_pose[frame.name] = (
                turn[joint].T @ frame.placement.rotation,
                turn[joint].T @ frame.placement.translation,
            )
    return chain


def _add_triangles(
    pin: Any, model: Any, geometry: Any, joints: dict[str, UrdfJoint], chain: Chain
) -> None:
    """Every collision shape, in the turned frame of the joint that carries it."""
    turn = _turns(pin, model, joints)
    for item in geometry.geometryObjects:
        link = re.sub(r"_\d+$", "", item.name)
        corners = _triangles(item) @ item.placement.rotation.T + item.placement.translation
        corners = corners @ turn[item.parentJoint]
        before = chain.triangles.get(link)
        chain.triangles[link] = corners if before is None else np.concatenate([before, corners])


def _triangles(item: Any) -> Array:
    """Triangles (m, 3, 3) of one collision shape in its own frame; round shapes from outside."""
    shape, kind = item.geometry, type(item.geometry).__name__
    if kind == "Box":
        return box_triangles(2.0 * np.array(shape.halfSide))
    if kind == "Sphere":
        # A point with the radius added would be exact; a cube around it is simple and contains it.
        return box_triangles(np.full(3, 2.0 * float(shape.radius)))
    if kind in ("Cylinder", "Capsule"):
        angles = np.arange(CYLINDER_SIDES) * 2.0 * math.pi / CYLINDER_SIDES
        radius = float(shape.radius) / math.cos(math.pi / CYLINDER_SIDES)
        half = float(shape.halfLength) + (float(shape.radius) if kind == "Capsule" else 0.0)
        ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
        low = np.column_stack([ring, np.full(len(ring), -half)])
        high = np.column_stack([ring, np.full(len(ring), half)])
        after = np.roll(np.arange(CYLINDER_SIDES), -1)
        sides = np.stack([low, high, high[after]], axis=1)
        others = np.stack([low, low[after], high[after]], axis=1)
        return np.concatenate([sides, others])
    if item.meshPath and hasattr(shape, "vertices"):
        return np.asarray(read_triangles(Path(item.meshPath)) * np.asarray(item.meshScale))
    raise RobotError(
        f"collision shape {item.name!r}: {kind} is not supported; use a mesh, "
        f"box, cylinder, capsule or sphere"
    )

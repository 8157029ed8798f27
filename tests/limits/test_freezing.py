"""Freezing: what comes out is the robot that went in, to rounding, and always the same bytes.

The second opinion is Pinocchio on the whole URDF, fingers and all, tool and payload appended there;
the frozen chain is evaluated by plain NumPy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pinocchio")

import pinocchio as pin
from tests.limits import small_arm

from checkrein.limits import Limits, load_limits
from checkrein.limits.authoring.urdf import resolve_urdf
from checkrein.limits.errors import LimitsFileError, RobotError
from checkrein.limits.freezing import freeze_yaml
from checkrein.limits.loading import robots_folder, shipped_names
from checkrein.limits.posture import efforts, joint_frames
from checkrein.limits.records import Array

STATES = 100
TOLERANCE = 1e-9


class Whole:
    """The URDF as Pinocchio reads it, every joint free, with tool and payload appended."""

    def __init__(self, limits: Limits, folder: Path) -> None:
        source: Any = limits.source
        self.urdf = resolve_urdf(source["urdf"], source["package"], folder)
        self.model = pin.buildModelFromUrdf(str(self.urdf))
        self.limits, self.source = limits, source
        for key in ("tool", "payload"):
            if source[key] is not None:
                self._append(source[key])
        self.data = self.model.createData()
        names = list(self.model.names)
        self.index = [self.model.joints[names.index(j.name)].idx_v for j in limits.joints]
        self.joint_ids = [names.index(j.name) for j in limits.joints]
        self.still = np.zeros(self.model.nv)
        for name, value in source["locked_joints"].items():
            self.still[self.model.joints[names.index(name)].idx_v] = value

    def _append(self, body: Any) -> None:
        ixx, ixy, ixz, iyy, iyz, izz = body["inertia"]
        tensor = np.array([[ixx, ixy, ixz], [ixy, iyy, iyz], [ixz, iyz, izz]])
        inertia = pin.Inertia(body["mass"], np.array(body.get("com", [0.0] * 3)), tensor)
        origin = pin.SE3(
            pin.rpy.rpyToMatrix(*body.get("rpy", [0.0] * 3)), np.array(body["xyz"], dtype=float)
        )
        frame = self.model.frames[self.model.getFrameId(body["parent"])]
        self.model.appendBodyToJoint(frame.parentJoint, inertia, frame.placement * origin)

    def full(self, values: Array, rest: Array) -> Array:
        out = rest.copy()
        out[self.index] = values
        return out

    def place(self, q: Array) -> None:
        moved = pin.integrate(self.model, pin.neutral(self.model), self.full(q, self.still))
        pin.forwardKinematics(self.model, self.data, moved)
        pin.updateFramePlacements(self.model, self.data)

    def rnea(self, q: Array, dq: Array, ddq: Array) -> Array:
        nothing = np.zeros(self.model.nv)
        moved = pin.integrate(self.model, pin.neutral(self.model), self.full(q, self.still))
        tau = pin.rnea(
            self.model, self.data, moved, self.full(dq, nothing), self.full(ddq, nothing)
        )
        return np.asarray(tau[self.index])


ROBOTS = [*shipped_names(), "small"]


@pytest.fixture(params=ROBOTS)
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Whole:
    if request.param == "small":
        return Whole(load_limits(small_arm.write(tmp_path)), tmp_path)
    pytest.importorskip("pybullet_data")
    return Whole(load_limits(request.param), robots_folder())


def states(limits: Limits) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(7)
    low = np.array([j.min_position for j in limits.joints])
    high = np.array([j.max_position for j in limits.joints])
    speed = np.array([j.max_velocity for j in limits.joints])
    gain = np.array([j.max_acceleration for j in limits.joints])
    shape = (STATES, len(low))
    return (
        rng.uniform(low, high, shape),
        rng.uniform(-1, 1, shape) * speed,
        rng.uniform(-1, 1, shape) * gain,
    )


def frames_at(limits: Limits, q: Array) -> tuple[Array, Array]:
    prismatic = np.array([float(j.type == "prismatic") for j in limits.joints])
    return joint_frames(limits.kinematics, prismatic, q)


def test_forward_kinematics_is_pinocchios(whole: Whole) -> None:
    limits, source = whole.limits, whole.source
    q = states(limits)[0]
    rotations, origins = frames_at(limits, q)
    kinematics = limits.kinematics
    origin = pin.SE3(
        pin.rpy.rpyToMatrix(*source["tcp_origin"]["rpy"]), np.array(source["tcp_origin"]["xyz"])
    )
    for k in range(STATES):
        whole.place(q[k])
        last_rotation, last = rotations[k, -1], origins[k, -1]
        frame = whole.data.oMf[whole.model.getFrameId(source["tcp_link"])] * origin
        tcp = last_rotation @ kinematics.tcp_translation + last
        assert np.abs(tcp - frame.translation).max() <= TOLERANCE
        turned = last_rotation @ kinematics.tcp_rotation
        assert np.abs(turned - frame.rotation).max() <= TOLERANCE
        for i, joint in enumerate(whole.joint_ids):
            assert np.abs(origins[k, i] - whole.data.oMi[joint].translation).max() <= TOLERANCE


def test_every_axis_is_z(whole: Whole) -> None:
    q = states(whole.limits)[0]
    rotations, _ = frames_at(whole.limits, q)
    for k in range(10):
        moved = pin.integrate(whole.model, pin.neutral(whole.model), whole.full(q[k], whole.still))
        jacobian = pin.computeJointJacobians(whole.model, whole.data, moved)
        for i, joint in enumerate(whole.limits.joints):
            column = jacobian[:, whole.index[i]]
            axis = column[:3] if joint.type == "prismatic" else column[3:]
            assert np.abs(axis - rotations[k, i, :, 2]).max() <= TOLERANCE


def test_inverse_dynamics_is_pinocchios_with_tool_and_payload(whole: Whole) -> None:
    q, dq, ddq = states(whole.limits)
    ours = efforts(whole.limits, q, dq, ddq)
    for k in range(STATES):
        theirs = whole.rnea(q[k], dq[k], ddq[k])
        assert np.abs(ours[k] - theirs).max() <= TOLERANCE


def moving_shapes(whole: Whole) -> dict[str, tuple[int, list[Any]]]:
    """link: (joint of ours, its collision shapes as Pinocchio gives them)."""
    folders = [str(whole.urdf.parent), str(whole.urdf.parent.parent)]
    geometry = pin.buildGeomFromUrdf(
        whole.model, str(whole.urdf), pin.GeometryType.COLLISION, package_dirs=folders
    )
    out: dict[str, tuple[int, list[Any]]] = {}
    for item in geometry.geometryObjects:
        joint = item.parentJoint
        while joint and joint not in whole.joint_ids:  # a locked joint: what carries it
            joint = whole.model.parents[joint]
        if joint:
            link = whole.model.frames[item.parentFrame].name
            out.setdefault(link, (whole.joint_ids.index(joint), []))[1].append(item)
    return out


def corners(shape: Any) -> Array:
    """Points that span a shape, or nearly: corners, or points on its surface."""
    rng = np.random.default_rng(0)
    kind = type(shape).__name__
    unit = rng.standard_normal((2000, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    if kind == "Box":
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        return np.asarray(signs * shape.halfSide)
    if kind == "Sphere":
        return np.asarray(unit * shape.radius)
    if kind == "Cylinder":
        angle = rng.uniform(0, 2 * np.pi, 2000)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * shape.radius
        return np.column_stack([ring, rng.choice([-1, 1], 2000) * shape.halfLength])
    return np.asarray(shape.vertices())


def axis_distance(points: Array, start: Array, end: Array) -> Array:
    """Distance of points from a segment, by dense search."""
    share = np.linspace(0.0, 1.0, 4001)[:, None]
    axis = start + share * (end - start)
    return np.array([np.linalg.norm(axis - point, axis=1).min() for point in points])


def test_every_collision_vertex_lies_within_the_capsules(whole: Whole) -> None:
    """At a posture that is not zero, so that a capsule on a wrong joint shows."""
    q = whole.limits.home + 0.1
    whole.place(q)
    rotations, origins = frames_at(whole.limits, q[None])
    shapes = moving_shapes(whole)
    assert shapes
    for link, (joint, items) in shapes.items():
        capsules = [c for c in whole.limits.capsules if c.name == link]
        assert capsules, f"{link} has no capsule"
        for item in items:
            pose = whole.data.oMi[item.parentJoint] * item.placement
            points = corners(item.geometry) @ pose.rotation.T + pose.translation
            outside = np.full(len(points), np.inf)
            for c in capsules:
                assert c.joint == joint
                start, end = (rotations[0, joint] @ p + origins[0, joint] for p in (c.start, c.end))
                outside = np.minimum(outside, axis_distance(points, start, end) - c.radius)
            assert float(outside.max()) <= 1e-6, f"{link}: {outside.max() * 1e3:.3f} mm outside"


def test_tool_and_payload_boxes_lie_within_their_capsules(whole: Whole) -> None:
    limits, rng = whole.limits, np.random.default_rng(0)
    whole.place(limits.home)
    rotations, origins = frames_at(limits, limits.home[None])
    for key in ("tool", "payload"):
        body = whole.source[key]
        if body is None:
            continue
        frame = whole.data.oMf[whole.model.getFrameId(body["parent"])]
        for shape in body["shapes"] if key == "tool" else [{"size": body["size"]}]:
            points = rng.choice([-0.5, 0.5], (64, 3)) * np.array(shape["size"])
            for part in (shape, body):
                rotation = pin.rpy.rpyToMatrix(*part.get("rpy", [0.0] * 3))
                points = points @ rotation.T + np.array(part.get("xyz", [0.0] * 3))
            points = points @ frame.rotation.T + frame.translation
            outside = np.full(len(points), np.inf)
            for c in limits.capsules:
                if c.name == body["name"]:
                    joint, ends = c.joint, (c.start, c.end)
                    start, end = (rotations[0, joint] @ p + origins[0, joint] for p in ends)
                    outside = np.minimum(outside, axis_distance(points, start, end) - c.radius)
            assert float(outside.max()) <= 1e-6


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_frozen_file_is_the_freezing_of_the_shipped_yaml(name: str) -> None:
    pytest.importorskip("pybullet_data")
    path = robots_folder() / f"{name}.yaml"
    frozen = freeze_yaml(path.read_bytes(), path)
    assert frozen == path.with_suffix(".json").read_bytes(), "run `checkrein limits freeze`"


def test_freezing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    path = small_arm.write(tmp_path)
    data = freeze_yaml(path.read_bytes(), path)
    assert freeze_yaml(path.read_bytes(), path) == data
    assert load_limits(path).sha256 == hashlib.sha256(data).hexdigest()


def test_frozen_bytes_are_canonical(tmp_path: Path) -> None:
    path = small_arm.write(tmp_path)
    data = freeze_yaml(path.read_bytes(), path)
    keys = list(json.loads(data))
    assert keys == sorted(keys)
    assert b" :" not in data
    assert not data.endswith(b"\n")


def test_units_and_order_do_not_change_the_identity(tmp_path: Path) -> None:
    path = small_arm.write(tmp_path)
    same = small_arm.YAML.replace("250 mm/s", "0.25").replace("period: 8 ms", "period: 0.008")
    lines = same.splitlines(keepends=True)
    assert same != small_arm.YAML
    moved = [line for line in lines if not line.startswith("standoff")] + ["standoff: 0.005\n"]
    data = freeze_yaml(path.read_bytes(), path)
    assert freeze_yaml("".join(moved).encode(), path) == data


def test_meshes_and_pairs_are_in_the_frozen_file(tmp_path: Path) -> None:
    path = small_arm.write(tmp_path)
    limits = load_limits(path)
    volumes = {volume.name: volume for volume in limits.volumes}
    fixture, tent = volumes["fixture"], volumes["tent"]
    assert fixture.vertices is not None
    assert fixture.planes is not None
    # Turned by a quarter about z, then moved: x = -3 - y, y = x of the file, in metres.
    expected = {
        (-3.0 - y, x, z)
        for x, y, z in (
            (0, 0, 0),
            (0.2, 0, 0),
            (0.2, 0.1, 0),
            (0, 0.1, 0),
            (0, 0, 0.1),
            (0, 0.1, 0.1),
        )
    }
    assert {tuple(np.round(v, 9)) for v in fixture.vertices} == expected
    assert len(fixture.planes) == 5
    assert tent.vertices is not None
    assert len(tent.vertices) == 5  # the corner at the origin is inside of the tent
    declared = limits.self_collision
    assert declared is not None
    assert declared.standoff == 0.001
    assert ("upper", "cup") in declared.pairs
    assert ("upper", "lower") not in declared.pairs
    assert [pair[:2] for pair in declared.ignored] == [("upper", "carriage")]
    assert limits.on_violation["self_collision"] == "refuse"


def test_links_that_may_touch_are_declared_so(tmp_path: Path) -> None:
    text = small_arm.YAML[: small_arm.YAML.index("self_collision:")] + (
        "self_collision: {none: cables only}\n"
        + small_arm.YAML[small_arm.YAML.index("home:") :].replace("self_collision: refuse,\n", "\n")
    )
    declared = load_limits(small_arm.write(tmp_path, text)).self_collision
    assert declared is not None
    assert (declared.pairs, declared.none_reason) == ((), "cables only")


Edit = Callable[[str], str]
BAD: dict[str, tuple[str, str, type[Exception], str]] = {
    "capsule too small": ("radius: 0.12}", "radius: 0.06}", LimitsFileError, "capsules.lower.* mm"),
    "capsule missing": ("  finger: [", "  # ", LimitsFileError, "capsules.finger: missing.*init"),
    "capsule of no link": ("  finger: [", "  thumb: [", LimitsFileError, "thumb: not a moving"),
    "tcp on another link": ("tcp: {link: plate", "tcp: {link: lower", RobotError, "'wrist'"),
    "tcp on no link": ("tcp: {link: plate", "tcp: {link: dish", RobotError, "'dish'; there are"),
    "tool on no link": ("parent: plate", "parent: dish", RobotError, "cup.parent.*there are"),
    "no urdf": ("small.urdf", "large.urdf", RobotError, "no such file"),
    "ignored link": (
        "pair: [upper, carriage]",
        "pair: [upper, cariage]",
        LimitsFileError,
        "ignore.0.pair: no link 'cariage' with a capsule; there are: upper",
    ),
    "ignored neighbours": (
        "pair: [upper, carriage]",
        "pair: [upper, lower]",
        LimitsFileError,
        "ignore.0.pair: 'upper' and 'lower' are on the same or on neighbouring.*remove",
    ),
    "no mesh file": ("fixture.obj", "fixtur.obj", RobotError, "fixtur.obj: No such file"),
    "flat mesh": ("[0, 0, 9], [0, 0, 0]", "[0, 0, -2]", LimitsFileError, "volumes.tent.*no body"),
    "exempt": ("exempt: [upper]", "exempt: [uper]", LimitsFileError, "'uper'; there are: ball"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_the_way_out(case: str, tmp_path: Path) -> None:
    old, new, kind, message = BAD[case]
    assert old in small_arm.YAML
    path = small_arm.write(tmp_path, small_arm.YAML.replace(old, new, 1))
    with pytest.raises(kind, match=message):
        load_limits(path)


def test_link_speed_and_zones_are_frozen(tmp_path: Path) -> None:
    path = small_arm.write(tmp_path)
    frozen = json.loads(freeze_yaml(path.read_bytes(), path))
    assert frozen["links"] == {"max_speed": 0.9}
    assert frozen["provenance"]["links.max_speed"]["from"] == "declared"
    aisle, pit = frozen["zones"]
    assert (aisle["max_speed"], pit["max_speed"]) == (0.25, 0.4)
    assert aisle["volume"]["kind"] == pit["volume"]["kind"] == "keep_out"
    assert aisle["volume"]["on_violation"] == "refuse"
    assert aisle["volume"]["exempt"] == ["upper"]
    assert len(pit["volume"]["vertices"]) == 6
    text = path.read_text()
    for name in ("links", "zones"):
        assert name in text
    bare = text[: text.index("links: {")] + text[text.index("self_collision:\n") :]
    path.write_text(bare.replace("  link_speed: clamp,\n", ""))
    assert not {"links", "zones"} & set(json.loads(freeze_yaml(path.read_bytes(), path)))

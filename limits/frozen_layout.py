"""The layout of a frozen limits file: which fields there are, of which type, in which range.

Guarantees: unknown fields are refused, missing ones too; a number is never a string. What relates
two fields to each other is checked by `frozen`, which makes `Limits` of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from .obstacles import POINTS_MAX
from .records import OnViolation

__all__ = [
    "BoxLayout",
    "CapsuleLayout",
    "CapsuleVolumeLayout",
    "ClassifierLayout",
    "CylinderLayout",
    "Document",
    "GripperLayout",
    "HalfSpaceLayout",
    "JointLayout",
    "KinematicsLayout",
    "LinksLayout",
    "MeshLayout",
    "NoneLayout",
    "PerceptionLayout",
    "SelfCollisionLayout",
    "SphereLayout",
    "VariantLayout",
    "VariantsLayout",
    "VolumeLayout",
    "ZoneLayout",
]

JOINTS_MAX = 16
VARIANTS_MAX = 32
LATENCY_TICKS_MAX = 15  # the filter remembers that many ticks of its stream
# Beyond these it is a wrong unit, or no perception.
SPEED_MAX_M_S = 50.0
PERCEPTION_DURATION_MAX_MS = 10e3
PERCEPTION_STANDOFF_MAX_M = 1.0
# Beyond these it is a wrong unit, or no gripper.
GRIPPER_WIDTH_MAX_M = 1.0
GRIPPER_SPEED_MAX_M_S = 5.0
GRIPPER_FORCE_MAX_N = 5000.0
Positive = Annotated[float, msgspec.Meta(gt=0.0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Three = Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]
Four = Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)]
Six = Annotated[list[float], msgspec.Meta(min_length=6, max_length=6)]
Nine = Annotated[list[float], msgspec.Meta(min_length=9, max_length=9)]

Pair = Annotated[list[str], msgspec.Meta(min_length=2, max_length=2)]


class Layout(msgspec.Struct, forbid_unknown_fields=True):
    """Refuses unknown fields."""


class JointLayout(Layout):
    """Limits of one joint; SI."""

    name: str
    type: Literal["revolute", "prismatic", "continuous"]
    max_velocity: Positive
    max_acceleration: Positive
    max_jerk: Positive
    max_effort: Positive
    tracking_error: NotNegative
    velocity_error: NotNegative
    effort_error: NotNegative
    recovery_velocity: Positive
    position_noise: NotNegative = 0.0  # absent: contained in tracking_error
    max_deceleration: Positive | None = None  # absent: as max_acceleration
    min_position: float | None = None  # absent iff it is continuous
    max_position: float | None = None
    position_targets: Literal["literal", "nearest"] | None = None  # present iff it is continuous


class PoseLayout(Layout):
    """Rotation, row-major, and translation [m]."""

    rotation: Nine
    translation: Three


class LinkLayout(Layout):
    """Mass [kg], COM [m], inertia about it: ixx ixy ixz iyy iyz izz."""

    mass: NotNegative
    com: Three
    inertia: Six


class KinematicsLayout(Layout):
    """The serial chain."""

    joints: Annotated[list[PoseLayout], msgspec.Meta(min_length=1, max_length=JOINTS_MAX)]
    tcp: PoseLayout
    links: list[LinkLayout]
    gravity: Three


class CapsuleLayout(Layout):
    """A link's capsule, in its joint's frame [m]."""

    name: str
    joint: Annotated[int, msgspec.Meta(ge=0)]
    start: Three
    end: Three
    radius: Positive


class VolumeBase(Layout):
    """What all volumes have."""

    name: str
    kind: Literal["keep_in", "keep_out"]
    on_violation: OnViolation
    exempt: list[str]


class HalfSpaceLayout(VolumeBase, tag_field="shape", tag="half_space"):
    """{x: normal·x <= offset}."""

    normal: Three
    offset: float


class BoxLayout(VolumeBase, tag_field="shape", tag="box"):
    """A turned box."""

    center: Three
    rotation: Nine
    half_extents: Three


class SphereLayout(VolumeBase, tag_field="shape", tag="sphere"):
    """A sphere."""

    center: Three
    radius: Positive


class CapsuleVolumeLayout(VolumeBase, tag_field="shape", tag="capsule"):
    """A capsule."""

    start: Three
    end: Three
    radius: Positive


class CylinderLayout(VolumeBase, tag_field="shape", tag="cylinder"):
    """A cylinder with flat ends."""

    start: Three
    end: Three
    radius: Positive


class MeshLayout(VolumeBase, tag_field="shape", tag="mesh"):
    """A convex polyhedron, by its corners [m] and its outward planes {x: normal·x <= offset}."""

    vertices: Annotated[list[Three], msgspec.Meta(min_length=4, max_length=64)]
    planes: Annotated[list[Four], msgspec.Meta(min_length=4, max_length=128)]


VolumeLayout = (
    HalfSpaceLayout | BoxLayout | SphereLayout | CapsuleVolumeLayout | CylinderLayout | MeshLayout
)


class ZoneLayout(Layout):
    """Where links are slow: the volume's kind is keep_out, as clearance is counted outside it."""

    max_speed: Positive
    volume: VolumeLayout


class LinksLayout(Layout):
    """What holds for every point of every link."""

    max_speed: Positive


class IgnoredPairLayout(Layout):
    """Two links that may touch, and why."""

    pair: Pair
    reason: Annotated[str, msgspec.Meta(min_length=1)]


class SelfCollisionLayout(Layout):
    """Pairs of links, by the names of their capsules, that stay `standoff` [m] apart."""

    standoff: NotNegative
    pairs: Annotated[list[Pair], msgspec.Meta(max_length=2048)]
    ignored: list[IgnoredPairLayout]


class PerceptionLayout(Layout):
    """What clouds of obstacles are trusted to be; SI, times in milliseconds."""

    max_points: Annotated[int, msgspec.Meta(ge=1, le=POINTS_MAX)]
    max_speed: Annotated[float, msgspec.Meta(ge=0.0, le=SPEED_MAX_M_S)]
    latency_ms: Annotated[float, msgspec.Meta(ge=0.0, le=PERCEPTION_DURATION_MAX_MS)]
    max_age_ms: Annotated[float, msgspec.Meta(gt=0.0, le=PERCEPTION_DURATION_MAX_MS)]
    standoff: Annotated[float, msgspec.Meta(ge=0.0, le=PERCEPTION_STANDOFF_MAX_M)]
    required: bool
    exempt: list[str]


class GripperLayout(Layout):
    """A parallel gripper: widths [m], speed [m/s], forces [N]."""

    command: Literal["width", "open_close"]
    min_width: NotNegative
    max_width: Annotated[float, msgspec.Meta(gt=0.0, le=GRIPPER_WIDTH_MAX_M)]
    max_speed: Annotated[float, msgspec.Meta(gt=0.0, le=GRIPPER_SPEED_MAX_M_S)]
    max_force: Annotated[float, msgspec.Meta(gt=0.0, le=GRIPPER_FORCE_MAX_N)]
    width_error: Annotated[float, msgspec.Meta(ge=0.0, lt=GRIPPER_WIDTH_MAX_M)]
    force_error: NotNegative
    force_required: bool
    on_stop: Literal["hold"]


class TcpLayout(Layout):
    """Limits at the tool centre point."""

    max_trans_vel: Positive
    max_force: Positive
    force_required: bool
    max_rot_vel: Positive | None = None  # absent: not declared
    max_trans_acc: Positive | None = None
    max_rot_acc: Positive | None = None


class TimingLayout(Layout):
    """Deadlines [ms], delays [ticks]."""

    command_timeout_ms: Positive
    state_age_max_ms: Positive
    period_tolerance: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    resample_deadline_ms: Positive
    watchdog_ms: Positive
    latency_ticks: Annotated[int, msgspec.Meta(ge=0, le=LATENCY_TICKS_MAX)] = 0


class ArmingLayout(Layout):
    """What holds for a while after arming."""

    ramp_s: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)]


class MotionLayout(Layout):
    """How motion that asks for too much is held back."""

    keep_direction: bool


class OnViolationLayout(Layout):
    """What each kind of limit does."""

    joint_position: OnViolation
    joint_velocity: OnViolation
    joint_acceleration: OnViolation
    joint_jerk: OnViolation
    joint_effort: OnViolation
    tcp_speed: OnViolation
    contact_force: OnViolation
    tcp_rotational_speed: OnViolation | None = None  # absent: not declared
    self_collision: OnViolation | None = None
    link_speed: OnViolation | None = None
    tcp_acceleration: OnViolation | None = None
    tcp_rotational_acceleration: OnViolation | None = None
    obstacles: OnViolation | None = None
    gripper_width: OnViolation | None = None
    gripper_speed: OnViolation | None = None
    gripper_force: OnViolation | None = None
    gripper_release: OnViolation | None = None


class ClassifierLayout(Layout):
    """Which classifier must score every proposal."""

    file: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.\-]+\.onnx$")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    threshold: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    rescore_deviation: Positive


class VariantLayout(Layout):
    """What is different with another tool or payload."""

    tool: str | None
    payload: str | None
    kinematics: KinematicsLayout
    capsules: Annotated[list[CapsuleLayout], msgspec.Meta(min_length=1, max_length=256)]
    self_collision: dict[str, Any] | None = None


class VariantsLayout(Layout):
    """Which tool and payload the file itself is for, and all other choices."""

    tool: str | None
    payload: str | None
    others: Annotated[list[VariantLayout], msgspec.Meta(min_length=1, max_length=VARIANTS_MAX)]


class Document(Layout):
    """The whole file."""

    format: Literal[1]
    kind: Literal["checkrein/frozen-limits"]
    name: str
    version: str
    period_s: Annotated[float, msgspec.Meta(ge=5e-4, le=0.1)]
    joints: Annotated[list[JointLayout], msgspec.Meta(min_length=1, max_length=JOINTS_MAX)]
    kinematics: KinematicsLayout
    capsules: Annotated[list[CapsuleLayout], msgspec.Meta(min_length=1, max_length=256)]
    volumes: Annotated[list[VolumeLayout], msgspec.Meta(max_length=64)]
    standoff: NotNegative
    tcp: TcpLayout
    timing: TimingLayout
    home: list[float]
    on_violation: OnViolationLayout
    stop_category: Literal["cat1", "cat2"]
    classifier: dict[str, Any]
    source: dict[str, Any]
    provenance: dict[str, Any]
    self_collision: dict[str, Any] | None = None  # none at all, or why none, or SelfCollisionLayout
    links: LinksLayout | None = None  # absent: not declared
    zones: Annotated[list[ZoneLayout], msgspec.Meta(max_length=64)] = []
    arming: ArmingLayout | None = None  # absent: the full speed is allowed at once
    motion: MotionLayout | None = None  # absent: joints slow down together
    perception: PerceptionLayout | None = None  # absent: no obstacles are accepted
    gripper: GripperLayout | None = None  # absent: no gripper is commanded
    variants: VariantsLayout | None = None  # absent: one tool and one payload, or none


class NoneLayout(Layout):
    """Why there is no classifier, or no self-collision."""

    none: Annotated[str, msgspec.Meta(min_length=1)]

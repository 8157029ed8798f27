"""The limits file as people write it: YAML, checked field by field; SI after parsing.

Guarantees:
- Unknown keys, missing limits, wrong dimensions, NaN, inf and swapped bounds are refused; no limit
  has a default.
- Degrees that were written where radians belong are refused when they cannot be radians.
- What needs the robot (do these joints exist? do the limits fit?) is checked when freezing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)

from .frozen_layout import LATENCY_TICKS_MAX
from .geometry_schema import ORIGIN, Angles, SelfCollisionModel, Vector, VolumeModel, ZoneModel
from .gripper_schema import GripperModel, require_gripper_choices
from .joint_schema import (
    POSITION_MAX_RAD,
    RADIANS_MAX,
    ContinuousModel,
    Model,
    Name,
    PrismaticModel,
    RevoluteModel,
    require_positive,
    suspect_degrees,
)
from .perception_schema import PerceptionModel
from .records import OnViolation
from .units import (
    Acceleration,
    AngularAcceleration,
    AngularSpeed,
    Duration,
    Force,
    JointPosition,
    Length,
    Mass,
    Number,
    Speed,
)

__all__ = [
    "FORMAT",
    "BoxShape",
    "CapsuleModel",
    "LimitsFile",
    "LinksModel",
    "OtherToolModel",
    "PayloadModel",
    "RobotModel",
    "SourceModel",
    "TcpModel",
    "ToolModel",
]

FORMAT = 1
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class RobotModel(Model):
    """Where the robot's description is, and which of its joints do not move."""

    urdf: Annotated[str, Field(min_length=1, max_length=1024)]
    package: Name | None = None
    locked_joints: dict[Name, JointPosition] = Field(default_factory=dict)
    gravity: tuple[Number, Number, Number]


class BoxShape(Model):
    """A box of edge lengths `size`."""

    type: Literal["box"]
    size: Vector
    xyz: Vector = ORIGIN
    rpy: Angles = ORIGIN

    @model_validator(mode="after")
    def _solid(self) -> Self:
        if not all(edge > 0.0 for edge in self.size):
            raise ValueError(f"size: {self.size} must be greater than 0")
        return self


class ToolModel(Model):
    """A rigid body fixed to a link; com and inertia in its own frame, inertia about the com."""

    name: Name
    parent: Name
    xyz: Vector
    rpy: Angles = ORIGIN
    mass: Mass
    com: Vector
    inertia: tuple[Number, Number, Number, Number, Number, Number]  # ixx ixy ixz iyy iyz izz
    shapes: Annotated[tuple[BoxShape, ...], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _massive(self) -> Self:
        require_positive(self, ("mass",))
        return self


class PayloadModel(Model):
    """What the tool carries: a box of edge lengths `size`; xyz is its com in the parent link."""

    name: Name
    parent: Name
    xyz: Vector
    mass: Mass
    inertia: tuple[Number, Number, Number, Number, Number, Number]
    size: Vector

    @model_validator(mode="after")
    def _massive(self) -> Self:
        require_positive(self, ("mass",))
        return self


class PlaceModel(Model):
    """A place in a body's own frame."""

    xyz: Vector
    rpy: Angles = ORIGIN


class OtherToolModel(ToolModel):
    """A tool that can be put on instead, and where its centre point is, in its own frame."""

    tcp: PlaceModel


class TcpModel(Model):
    """The tool centre point, in a link's frame, and its limits."""

    link: Name
    xyz: Vector
    rpy: Angles = ORIGIN
    max_trans_vel: Speed
    max_force: Force
    force_required: StrictBool
    max_rot_vel: AngularSpeed | None = None  # not every robot's sheet gives one; `explain` says so
    max_trans_acc: Acceleration | None = None  # of what is commanded; as Pilz names them
    max_rot_acc: AngularAcceleration | None = None

    @model_validator(mode="after")
    def _limits(self) -> Self:
        require_positive(self, ("max_trans_vel", "max_force"))
        if self.max_rot_vel is not None:
            require_positive(self, ("max_rot_vel",))
            bound = RADIANS_MAX["max_velocity"]
            if not self.max_rot_vel <= bound:
                raise suspect_degrees("max_rot_vel", self.max_rot_vel, bound, "rad/s")
        given = ("max_trans_acc", "max_rot_acc")
        require_positive(self, tuple(n for n in given if getattr(self, n) is not None))
        if self.max_rot_acc is not None:
            bound = RADIANS_MAX["max_acceleration"]
            if not self.max_rot_acc <= bound:
                raise suspect_degrees("max_rot_acc", self.max_rot_acc, bound, "rad/s^2")
        return self


class LinksModel(Model):
    """What holds for every point of every link, tool and payload.

    max_speed, and not max_trans_vel as of the TCP: the norm of the velocity of whichever point is
    the fastest, so that turning counts. It is what ISO 10218 and ISO/TS 15066 mean by the speed of
    the robot where a person may touch any part of it.
    """

    max_speed: Speed

    @model_validator(mode="after")
    def _positive(self) -> Self:
        require_positive(self, ("max_speed",))
        return self


class CapsuleModel(Model):
    """A capsule around (part of) a link, in the link's frame."""

    start: Vector
    end: Vector
    radius: Length

    @model_validator(mode="after")
    def _solid(self) -> Self:
        require_positive(self, ("radius",))
        return self


class TimingModel(Model):
    """Deadlines and delays."""

    command_timeout: Duration
    state_age_max: Duration
    period_tolerance: Number
    resample_deadline: Duration
    watchdog: Duration
    latency_ticks: Annotated[StrictInt, Field(ge=0, le=LATENCY_TICKS_MAX)] | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        require_positive(self, tuple(set(TimingModel.model_fields) - {"latency_ticks"}))
        if not self.period_tolerance < 1.0:
            raise ValueError(f"period_tolerance: {self.period_tolerance:g} must be below 1")
        for name in ("command_timeout", "state_age_max", "resample_deadline", "watchdog"):
            value = getattr(self, name)
            if not value <= 10.0:
                raise ValueError(
                    f"{name}: {value:g} s exceeds 10 s; if milliseconds are meant, "
                    f'write "{value:g} ms"'
                )
        return self


class ArmingModel(Model):
    """What holds for a while after arming."""

    ramp: Duration  # of motion, over which the allowed speed and acceleration grow to the declared

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        require_positive(self, ("ramp",))
        if not self.ramp <= 10.0:
            raise ValueError(
                f"ramp: {self.ramp:g} s exceeds 10 s; if milliseconds are meant, "
                f'write "{self.ramp:g} ms"'
            )
        return self


class MotionModel(Model):
    """How motion that asks for too much is held back; what is certified is the same."""

    # true: all joints slow down together, so that the motion keeps its direction. false: each joint
    # does as much of what is asked of it as its own limits allow, which bends the way of the tool.
    keep_direction: StrictBool


class OnViolationModel(Model):
    """What each kind of limit does with a proposal that violates it."""

    joint_position: OnViolation
    joint_velocity: OnViolation
    joint_acceleration: OnViolation
    joint_jerk: OnViolation
    joint_effort: OnViolation
    tcp_speed: OnViolation
    self_collision: OnViolation | None = None  # where self-collision is declared
    contact_force: Literal[OnViolation.REFUSE]  # a force that was felt cannot be clamped
    tcp_rotational_speed: OnViolation | None = None  # declared where tcp.max_rot_vel is
    link_speed: OnViolation | None = None  # where links.max_speed is
    tcp_acceleration: OnViolation | None = None  # where tcp.max_trans_acc is
    tcp_rotational_acceleration: OnViolation | None = None  # where tcp.max_rot_acc is
    obstacles: OnViolation | None = None  # declared where perception is
    gripper_width: OnViolation | None = None  # where gripper.command is width
    gripper_speed: OnViolation | None = None  # where gripper.command is width
    gripper_force: OnViolation | None = None  # where gripper is
    gripper_release: OnViolation | None = None  # of a payload; absent: it may be let go


class ClassifierModel(Model):
    """Which classifier must score every proposal."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+\.onnx$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    threshold: Number
    rescore_deviation: Number

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"threshold: {self.threshold:g} must be within 0 and 1")
        require_positive(self, ("rescore_deviation",))
        return self


class NoClassifierModel(Model):
    """Why there is no classifier."""

    none: Text


def _classifier_kind(value: Any) -> str:
    none = "none" in value if isinstance(value, dict) else isinstance(value, NoClassifierModel)
    return "no classifier" if none else "classifier"


class SourceModel(Model):
    """A document that also bounds the joints; where it is tighter than the file, it wins."""

    title: Text
    joint_limits: dict[Name, dict[str, Any]]


class LimitsFile(Model):
    """The whole file."""

    format: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    period: Duration
    robot: RobotModel
    joint_limits: dict[
        Name,
        Annotated[RevoluteModel | PrismaticModel | ContinuousModel, Field(discriminator="type")],
    ]
    sources: tuple[SourceModel, ...] = ()
    reasons: dict[Annotated[str, Field(max_length=128)], Text] = Field(default_factory=dict)
    tool: ToolModel | None
    payload: PayloadModel | None
    tools: Annotated[tuple[OtherToolModel, ...], Field(max_length=8)] = ()
    payloads: Annotated[tuple[PayloadModel, ...], Field(max_length=16)] = ()
    tcp: TcpModel
    links: LinksModel | None = None
    capsules: dict[Name, tuple[CapsuleModel, ...]]
    volumes: Annotated[tuple[VolumeModel, ...], Field(max_length=64)]
    standoff: Length
    zones: Annotated[tuple[ZoneModel, ...], Field(max_length=64)] = ()
    self_collision: SelfCollisionModel | None = None
    perception: PerceptionModel | None = None
    gripper: GripperModel | None = None
    home: dict[Name, JointPosition]
    on_violation: OnViolationModel
    stop_category: Literal["cat1", "cat2"]
    timing: TimingModel
    arming: ArmingModel | None = None
    motion: MotionModel | None = None  # absent: keep_direction
    classifier: Annotated[
        Annotated[ClassifierModel, Tag("classifier")]
        | Annotated[NoClassifierModel, Tag("no classifier")],
        Discriminator(_classifier_kind),
    ]

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not 5e-4 <= self.period <= 0.1:
            raise ValueError(
                f'period: {self.period:g} s must be within 0.0005 and 0.1 s; write e.g. "4 ms"'
            )
        for path, value, kind, what in (
            (
                "tcp.max_rot_vel",
                self.tcp.max_rot_vel,
                "tcp_rotational_speed",
                "tool's rotation has",
            ),
            ("links.max_speed", self.links, "link_speed", "links have"),
        ):
            if (value is not None) is not (getattr(self.on_violation, kind) is not None):
                raise ValueError(
                    f"{path} and on_violation.{kind} belong together: declare both, or neither "
                    f"where the {what} has no limit of its own"
                )
        if not 0.0 <= self.standoff <= 0.1:
            raise ValueError(f"standoff: {self.standoff:g} m must be within 0 and 0.1 m")
        for name, value in self.home.items():
            joint = self.joint_limits.get(name)
            is_angle = joint is not None and joint.type != "prismatic"
            if is_angle and not abs(value) <= POSITION_MAX_RAD:
                raise suspect_degrees(f"home.{name}", value, POSITION_MAX_RAD, "rad")
        is_declared = self.self_collision is not None and self.self_collision.none is None
        if is_declared != (self.on_violation.self_collision is not None):
            raise ValueError(
                "on_violation.self_collision: "
                + ("missing; clamp or refuse" if is_declared else "self_collision is not declared")
            )
        if (self.perception is None) is not (self.on_violation.obstacles is None):
            raise ValueError(
                "perception and on_violation.obstacles belong together: declare both, or neither "
                "where no obstacles are perceived"
            )
        choices = dict(self.on_violation)
        require_gripper_choices(self.gripper, choices, bool(self.payloads))
        bodies = [tool.name for tool in (self.tool, *self.tools) if tool is not None]
        bodies += [load.name for load in (self.payload, *self.payloads) if load is not None]
        doubles = sorted({name for name in bodies if bodies.count(name) > 1})
        if doubles:
            raise ValueError(f"tools, payloads: the name {doubles[0]!r} is used twice")
        names = [item.name for item in (*self.volumes, *self.zones)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"volumes, zones: the name {twice[0]!r} is used twice")
        return self

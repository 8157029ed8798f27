"""The declared limits as the runtime holds them: plain, frozen data; SI units.

Guarantees: what is here has been validated by `loading`; there is no default for a safety limit.
Conventions: joint i's frame has its axis along +z (the freezer turns the frames so); link i is the
rigid body that joint i moves, with everything fixed to it (hand, tool, payload) merged in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .gripper import Gripper
from .records import Array, OnViolation

__all__ = [
    "CONTINUOUS_MAX_RAD",
    "Capsule",
    "ClassifierLimits",
    "JointLimits",
    "Kinematics",
    "Limits",
    "LinkLimits",
    "Perception",
    "SelfCollision",
    "TcpLimits",
    "Timing",
    "Variant",
    "Volume",
    "Zone",
]


# A continuous joint has no position limits. Its stream counts turns, and that many each way keep
# what rounding adds to the third difference, 8 ε·|q|/T³, below 0.2 rad/s³ at 1 ms.
CONTINUOUS_MAX_RAD = 10_000 * 2.0 * math.pi


@dataclass(frozen=True, slots=True)
class JointLimits:
    """Limits of one joint, and how far it may be from what was commanded, and measured so."""

    name: str
    type: Literal["revolute", "prismatic", "continuous"]
    min_position: float  # rad or m; of a continuous joint how far its turns are counted
    max_position: float
    max_velocity: float  # rad/s or m/s
    max_acceleration: float  # rad/s² or m/s²
    max_jerk: float  # rad/s³ or m/s³
    max_effort: float  # N·m or N
    tracking_error: float  # rad or m: sup |q - q commanded|; without position_noise: |q measured …|
    velocity_error: float  # rad/s or m/s: sup |dq measured - dq commanded|
    effort_error: (
        float  # N·m or N: sup |measured effort - inverse dynamics of the commanded motion|
    )
    recovery_velocity: float  # rad/s or m/s: cap while the joint comes back from outside
    position_noise: float = 0.0  # rad or m: sup |q measured - q|; 0: contained in tracking_error
    max_deceleration: float | None = None  # rad/s² or m/s², where it slows down; None: as above

    position_targets: Literal["literal", "nearest"] | None = None  # of a continuous joint: its turn

    @property
    def is_continuous(self) -> bool:
        """Whether it turns without end."""
        return self.type == "continuous"

    @property
    def deceleration(self) -> float:
        """Bound of |ddq| where dq·ddq < 0 [rad/s² or m/s²]; max_acceleration is the other one's."""
        return self.max_acceleration if self.max_deceleration is None else self.max_deceleration

    @property
    def position_error(self) -> float:
        """How far the joint may be from the stream [rad or m]: what it tracks with, and the error
        of the measurement that the stream was seeded from."""
        return self.tracking_error + self.position_noise


@dataclass(frozen=True, slots=True, eq=False)
class Kinematics:
    """Serial chain: T_parent_joint of joint i at q = 0, axis +z; link inertias at their own COM."""

    rotation: Array  # (n, 3, 3) joint frame in its parent's (base for i = 0)
    translation: Array  # (n, 3) [m]
    tcp_rotation: Array  # (3, 3) TCP in the last joint's frame
    tcp_translation: Array  # (3,) [m]
    mass: Array  # (n,) [kg]
    com: Array  # (n, 3) [m] in joint i's frame
    inertia: Array  # (n, 3, 3) [kg·m²] about the COM, axes of joint i's frame
    gravity: Array  # (3,) [m/s²] base frame


@dataclass(frozen=True, slots=True, eq=False)
class Capsule:
    """All points within radius [m] of the segment start-end (3,) [m], in joint `joint`'s frame."""

    name: str  # the URDF link, tool or payload that it contains
    joint: int
    start: Array
    end: Array
    radius: float


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A convex set in the base frame that every link must stay inside of, or out of.

    half_space: {x: normal · x <= offset};  box: centre, rotation (3, 3), half_extents;
    sphere: centre, radius;  capsule and cylinder (flat ends): start, end, radius;
    mesh: the convex hull of vertices (m, 3) = {x: planes[:, :3] @ x <= planes[:, 3]}, planes (f, 4)
    with unit normals. Unused fields are None.
    """

    name: str
    kind: Literal["keep_in", "keep_out"]
    shape: Literal["half_space", "box", "sphere", "capsule", "cylinder", "mesh"]
    on_violation: OnViolation
    exempt: tuple[str, ...]  # capsule names that this volume does not constrain
    normal: Array | None = None
    offset: float | None = None
    center: Array | None = None
    rotation: Array | None = None
    half_extents: Array | None = None
    radius: float | None = None
    start: Array | None = None
    end: Array | None = None
    vertices: Array | None = None
    planes: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """Where links are slow: while any point of a capsule is in the volume, no point of that
    capsule is faster than max_speed. The volume's kind is keep_out: clearance is counted outside.
    """

    volume: Volume
    max_speed: float  # m/s


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Limits of every point of every link, tool and payload (its capsules)."""

    max_speed: float | None = None  # m/s, norm of the velocity, rotation included; None: undeclared


@dataclass(frozen=True, slots=True)
class SelfCollision:
    """Which links must not touch each other, by the names of their capsules.

    Every pair of links whose joints are neither the same nor neighbours is either in `pairs`
    (the first one nearer to the base) or in `ignored`; with `none_reason` both are empty.
    """

    pairs: tuple[tuple[str, str], ...]
    ignored: tuple[tuple[str, str, str], ...]  # two names and the reason
    standoff: float  # m, between any two links of a pair
    none_reason: str | None


@dataclass(frozen=True, slots=True)
class Perception:
    """What the clouds of obstacles are trusted to be, and how far from them every link stays."""

    max_points: int
    max_speed: float  # m/s, of any obstacle; also of each whose own speed is not given
    latency_ms: float  # how much earlier than its stamp a cloud may have been measured
    max_age_ms: float  # an older cloud is stale
    standoff: float  # m, kept beside all that an obstacle may have moved
    required: bool  # whether no cloud at all is a reason to stop
    exempt: tuple[str, ...]  # capsule names that are not kept away from obstacles


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """Limits at the tool centre point."""

    max_trans_vel: float  # m/s
    max_force: float  # N, norm of the measured force; above it: stop
    force_required: bool  # whether a state without a measured force is a reason to stop
    max_rot_vel: float | None = None  # rad/s, norm of the angular velocity; None: not declared
    max_trans_acc: float | None = None  # m/s², norm of the acceleration; None: not declared
    max_rot_acc: float | None = None  # rad/s², norm of the angular acceleration; None: not declared


@dataclass(frozen=True, slots=True)
class Timing:
    """Deadlines, in milliseconds, and delays, in ticks."""

    command_timeout_ms: float  # a single command is held no longer than this
    state_age_max_ms: float  # an older state is STALE
    period_tolerance: float  # allowed relative deviation of the measured tick period
    resample_deadline_ms: float  # how long RESAMPLE waits for a better proposal before REFUSE
    watchdog_ms: float  # robot side: silence after which the stop latches
    latency_ticks: int = 0  # how many ticks a measured position may lag behind the stream


@dataclass(frozen=True, slots=True)
class ClassifierLimits:
    """Which classifier must score each proposal, or why none does."""

    file: str | None  # absolute path, resolved at load
    sha256: str | None
    threshold: float | None  # allow iff risk <= threshold
    rescore_deviation: float | None  # rad: executed against scored motion, beyond: score again
    none_reason: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """The robot with another declared tool or payload: what of `Limits` is then different."""

    tool: str | None
    payload: str | None
    kinematics: Kinematics
    capsules: tuple[Capsule, ...]
    self_collision: SelfCollision | None


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """One robot's declared limits, compiled. `sha256` is their identity."""

    name: str
    sha256: str
    format: int
    period_s: float
    joints: tuple[JointLimits, ...]
    kinematics: Kinematics
    capsules: tuple[Capsule, ...]
    volumes: tuple[Volume, ...]
    standoff: float  # m, added around every volume
    tcp: TcpLimits
    timing: Timing
    home: Array  # (n,)
    on_violation: dict[str, OnViolation]  # per joint- or TCP-level limit kind
    stop_category: str  # what a latched stop ends in: "cat1" or "cat2"
    classifier: ClassifierLimits
    source: dict[str, object]  # the URDF, locked joints, tool and payload it was frozen from
    provenance: dict[str, object]  # per value: where it comes from, what it was tightened from
    self_collision: SelfCollision | None = None  # None: not declared, so not certified
    links: LinkLimits = LinkLimits()
    zones: tuple[Zone, ...] = ()
    ramp_s: float = 0.0  # of motion after arming, until the full speed is allowed; 0: at once
    perception: Perception | None = None  # None: not declared, so no obstacle is accepted
    gripper: Gripper | None = None  # None: not declared, so no gripper is commanded
    tool: str | None = None  # what `kinematics` and `capsules` contain; None: none, or no variants
    payload: str | None = None
    keeps_direction: bool = True  # slowing down, all joints together; False: each for itself
    variants: tuple[Variant, ...] = ()  # every declared choice, the one in force among them

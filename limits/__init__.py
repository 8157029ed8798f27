"""Declared limits: records, files, and the kernels that check them."""

from __future__ import annotations

from .declared import (
    Capsule,
    ClassifierLimits,
    JointLimits,
    Kinematics,
    Limits,
    LinkLimits,
    Perception,
    SelfCollision,
    TcpLimits,
    Timing,
    Variant,
    Volume,
    Zone,
)
from .errors import (
    FeasibilityError,
    FormatError,
    InputError,
    LimitsFileError,
    LooserLimitsError,
    MissingExtraError,
    ModelFileError,
    RobotError,
    UnknownChoiceError,
)
from .gripper import Gripper, GripperCommand, GripperSetpoint, GripperState
from .loading import load_limits
from .obstacles import Obstacles
from .records import (
    Command,
    Executed,
    OnViolation,
    RobotState,
    Setpoint,
    StopMotion,
    TrackedObject,
)

__all__ = [
    "Capsule",
    "ClassifierLimits",
    "Command",
    "Executed",
    "FeasibilityError",
    "FormatError",
    "Gripper",
    "GripperCommand",
    "GripperSetpoint",
    "GripperState",
    "InputError",
    "JointLimits",
    "Kinematics",
    "Limits",
    "LimitsFileError",
    "LinkLimits",
    "LooserLimitsError",
    "MissingExtraError",
    "ModelFileError",
    "Obstacles",
    "OnViolation",
    "Perception",
    "RobotError",
    "RobotState",
    "SelfCollision",
    "Setpoint",
    "StopMotion",
    "TcpLimits",
    "Timing",
    "TrackedObject",
    "UnknownChoiceError",
    "Variant",
    "Volume",
    "Zone",
    "load_limits",
]

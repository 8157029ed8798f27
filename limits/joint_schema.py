"""The joints' part of a limits file, and what all parts of it share.

Guarantees: no limit has a default, and what may be left out (position_noise, max_deceleration) is
contained in what may not (tracking_error, max_acceleration); degrees that were written where
radians belong are refused when they cannot be; a margin is smaller than what it is a margin of.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .units import (
    Acceleration,
    Angle,
    AngularAcceleration,
    AngularJerk,
    AngularSpeed,
    Force,
    Jerk,
    Length,
    Speed,
    Torque,
)

__all__ = [
    "POSITION_MAX_RAD",
    "RADIANS_MAX",
    "ContinuousModel",
    "JointModel",
    "Model",
    "Name",
    "PrismaticModel",
    "RevoluteModel",
    "require_positive",
    "suspect_degrees",
]

POSITION_MAX_RAD = 2.0 * math.pi * 1.01  # a full turn each way; more is a number of degrees
# No arm is faster: a larger number is degrees, or a per-tick value scaled twice.
RADIANS_MAX = {
    "max_velocity": 50.0,
    "max_acceleration": 5e3,
    "max_deceleration": 5e3,
    "max_jerk": 1e6,
    "tracking_error": 0.2,
    "position_noise": 0.2,
    "velocity_error": 5.0,
    "recovery_velocity": 2.0,
}
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.\-/]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]


class Model(BaseModel):
    """Frozen; refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


def require_positive(model: BaseModel, names: tuple[str, ...]) -> None:
    """Raise ValueError that names the field if one of them is not above 0."""
    for name in names:
        value = getattr(model, name)
        if not value > 0.0:
            raise ValueError(f"{name}: {value:g} must be greater than 0")


class JointModel(Model):
    """What all joints have in common."""

    type: Literal["revolute", "prismatic", "continuous"]
    max_velocity: float
    max_acceleration: float
    max_jerk: float
    max_effort: float
    tracking_error: float
    velocity_error: float
    effort_error: float
    recovery_velocity: float
    position_noise: float | None = None
    max_deceleration: float | None = None

    def _half_range(self) -> float:
        """What position errors are margins of."""
        return math.pi  # beyond half a turn nobody knows which way it is off

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        half = self._half_range()
        limits = ("max_velocity", "max_acceleration", "max_jerk", "max_effort")
        require_positive(self, (*limits, "recovery_velocity"))
        if self.max_deceleration is not None:
            require_positive(self, ("max_deceleration",))
        for error, limit in (
            ("velocity_error", self.max_velocity),
            ("effort_error", self.max_effort),
            ("tracking_error", half),
            ("position_noise", half - self.tracking_error),
        ):
            value = getattr(self, error)
            if value is not None and not 0.0 <= value < limit:
                raise ValueError(
                    f"{error}: {value:g} must be at least 0 and below {limit:g}, "
                    f"what it is a margin of"
                )
        if not self.recovery_velocity <= self.max_velocity:
            raise ValueError(
                f"recovery_velocity: {self.recovery_velocity:g} exceeds max_velocity "
                f"{self.max_velocity:g}"
            )
        return self


class RangedModel(JointModel):
    """A joint that cannot turn on for ever."""

    min_position: float
    max_position: float

    def _half_range(self) -> float:
        if not self.min_position < self.max_position:
            raise ValueError(
                f"min_position {self.min_position:g} is not below max_position "
                f"{self.max_position:g}: swapped?"
            )
        return (self.max_position - self.min_position) / 2.0


def suspect_degrees(name: str, value: float, bound: float, unit: str) -> ValueError:
    """The refusal of a number that cannot be in radians."""
    degrees = unit.replace("rad", "deg")
    return ValueError(
        f"{name}: {value:g} {unit} is beyond {bound:.4g} {unit}; "
        f'if degrees are meant, write "{value:g} {degrees}"'
    )


def _require_radians(model: JointModel) -> None:
    units = {
        "max_acceleration": "rad/s^2",
        "max_deceleration": "rad/s^2",
        "max_jerk": "rad/s^3",
        "tracking_error": "rad",
        "position_noise": "rad",
    }
    for name, bound in RADIANS_MAX.items():
        value = getattr(model, name)
        if value is not None and not value <= bound:
            raise suspect_degrees(name, value, bound, units.get(name, "rad/s"))


class RevoluteModel(RangedModel):
    """Limits of a revolute joint: rad, rad/s, …, N·m."""

    type: Literal["revolute"]
    min_position: Angle
    max_position: Angle
    max_velocity: AngularSpeed
    max_acceleration: AngularAcceleration
    max_jerk: AngularJerk
    max_effort: Torque
    tracking_error: Angle
    velocity_error: AngularSpeed
    effort_error: Torque
    recovery_velocity: AngularSpeed
    position_noise: Angle | None = None
    max_deceleration: AngularAcceleration | None = None

    @model_validator(mode="after")
    def _radians(self) -> Self:
        for name in ("min_position", "max_position"):
            value = getattr(self, name)
            if not abs(value) <= POSITION_MAX_RAD:
                raise suspect_degrees(name, value, POSITION_MAX_RAD, "rad")
        _require_radians(self)
        return self


class ContinuousModel(JointModel):
    """Limits of a joint that turns without end: as revolute, without a range."""

    type: Literal["continuous"]
    # Which of all turns a joint_position command means: as written, or the nearest (ADR 9).
    position_targets: Literal["literal", "nearest"]
    max_velocity: AngularSpeed
    max_acceleration: AngularAcceleration
    max_jerk: AngularJerk
    max_effort: Torque
    tracking_error: Angle
    velocity_error: AngularSpeed
    effort_error: Torque
    recovery_velocity: AngularSpeed
    position_noise: Angle | None = None
    max_deceleration: AngularAcceleration | None = None

    @model_validator(mode="before")
    @classmethod
    def _endless(cls, values: Any) -> Any:
        for name in ("min_position", "max_position"):
            if isinstance(values, dict) and name in values:
                raise ValueError(
                    f"{name}: a continuous joint has no position limits; remove it, or write "
                    f"type: revolute, which a joint that is continuous in the URDF may be here"
                )
        return values

    @model_validator(mode="after")
    def _radians(self) -> Self:
        _require_radians(self)
        return self


class PrismaticModel(RangedModel):
    """Limits of a prismatic joint: m, m/s, …, N."""

    type: Literal["prismatic"]
    min_position: Length
    max_position: Length
    max_velocity: Speed
    max_acceleration: Acceleration
    max_jerk: Jerk
    max_effort: Force
    tracking_error: Length
    velocity_error: Speed
    effort_error: Force
    recovery_velocity: Speed
    position_noise: Length | None = None
    max_deceleration: Acceleration | None = None

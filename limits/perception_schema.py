"""What a limits file trusts perception to be, as people write it.

Guarantees: nothing has a default, for a cloud of obstacles is only as good as its latency and its
speeds; a file that declares no perception accepts no obstacles.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from .frozen_layout import PERCEPTION_DURATION_MAX_MS, PERCEPTION_STANDOFF_MAX_M, SPEED_MAX_M_S
from .joint_schema import Model, Name, require_positive
from .obstacles import POINTS_MAX
from .units import Duration, Length, Speed

__all__ = ["PerceptionModel", "frozen_perception"]


class PerceptionModel(Model):
    """The section `perception` of a limits file."""

    max_points: Annotated[StrictInt, Field(ge=1, le=POINTS_MAX)]
    max_speed: Speed
    latency: Duration
    max_age: Duration
    standoff: Length
    required: StrictBool
    exempt: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        require_positive(self, ("max_age",))
        for name, most, unit in (
            ("max_speed", SPEED_MAX_M_S, "m/s"),
            ("latency", PERCEPTION_DURATION_MAX_MS / 1e3, "s"),
            ("max_age", PERCEPTION_DURATION_MAX_MS / 1e3, "s"),
            ("standoff", PERCEPTION_STANDOFF_MAX_M, "m"),
        ):
            value = getattr(self, name)
            if not 0.0 <= value <= most:
                raise ValueError(f"{name}: {value:g} {unit} must be within 0 and {most:g} {unit}")
        return self


def frozen_perception(declared: PerceptionModel) -> dict[str, Any]:
    """As the frozen form holds it: times in milliseconds."""
    return {
        "max_points": declared.max_points,
        "max_speed": declared.max_speed,
        "latency_ms": declared.latency * 1e3,
        "max_age_ms": declared.max_age * 1e3,
        "standoff": declared.standoff,
        "required": declared.required,
        "exempt": list(declared.exempt),
    }

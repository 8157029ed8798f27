"""The gripper's section of a limits file, as people write it.

Guarantees: nothing has a default; a gripper holds when the arm stops, and that is written down;
limits that a command cannot violate, as it only says open or closed, have no `on_violation`.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import StrictBool, model_validator

from .frozen_layout import GRIPPER_FORCE_MAX_N, GRIPPER_SPEED_MAX_M_S, GRIPPER_WIDTH_MAX_M
from .joint_schema import Model, require_positive
from .records import OnViolation
from .units import Force, Length, Speed

__all__ = ["GripperModel", "frozen_gripper", "require_gripper_choices"]


class GripperModel(Model):
    """The section `gripper`: a parallel gripper, beside the joints."""

    command: Literal["width", "open_close"]
    min_width: Length
    max_width: Length
    max_speed: Speed
    max_force: Force
    width_error: Length
    force_error: Force
    force_required: StrictBool
    on_stop: Literal["hold"]

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        require_positive(self, ("max_speed", "max_force"))
        if not 0.0 <= self.min_width < self.max_width:
            raise ValueError(
                f"min_width {self.min_width:g} m must be at least 0 and below max_width "
                f"{self.max_width:g} m: swapped?"
            )
        if not 0.0 <= self.width_error < self.max_width - self.min_width:
            raise ValueError(
                f"width_error: {self.width_error:g} m must be at least 0 and below the range of "
                f"widths, {self.max_width - self.min_width:g} m, what it is a margin of"
            )
        if not 0.0 <= self.force_error < self.max_force:
            raise ValueError(
                f"force_error: {self.force_error:g} N must be at least 0 and below max_force, "
                f"{self.max_force:g} N, what it is a margin of"
            )
        for name, most, unit, milli in (
            ("max_width", GRIPPER_WIDTH_MAX_M, "m", "mm"),
            ("max_speed", GRIPPER_SPEED_MAX_M_S, "m/s", "mm/s"),
            ("max_force", GRIPPER_FORCE_MAX_N, "N", "mN"),
        ):
            value = getattr(self, name)
            if not value <= most:
                raise ValueError(
                    f"{name}: {value:g} {unit} exceeds {most:g} {unit}; "
                    f'if thousandths are meant, write "{value:g} {milli}"'
                )
        return self


def require_gripper_choices(
    gripper: GripperModel | None, choices: dict[str, OnViolation | None], has_payloads: bool
) -> None:
    """Raise ValueError unless on_violation says what it must of the gripper, and no more.

    has_payloads: whether payloads are declared that can be chosen at run time.
    """
    if choices["gripper_release"] is not None and not (gripper is not None and has_payloads):
        raise ValueError(
            "on_violation.gripper_release: belongs to a gripper, and to payloads that set_payload "
            "chooses from (`payloads`); it says what is done while one of them is carried"
        )
    wanted = {"gripper_force": gripper is not None}
    by_width = gripper is not None and gripper.command == "width"
    wanted |= {"gripper_width": by_width, "gripper_speed": by_width}
    for kind, is_wanted in wanted.items():
        if is_wanted is (choices[kind] is not None):
            continue
        if is_wanted:
            raise ValueError(f"on_violation.{kind}: missing; clamp or refuse (gripper is declared)")
        why = "gripper is not declared"
        if gripper is not None:
            why = "a gripper that is told open or closed cannot be told too much; remove it"
        raise ValueError(f"on_violation.{kind}: {why}")


def frozen_gripper(declared: GripperModel) -> dict[str, Any]:
    """As the frozen form holds it."""
    return declared.model_dump(mode="json")

"""The reading of what a frozen file declares of a gripper.

Guarantees: its range is one; what a violation does is declared exactly where it can happen.
"""

from __future__ import annotations

import msgspec

from .errors import LimitsFileError
from .frozen_layout import Document
from .gripper import Gripper

__all__ = ["gripper_of"]


def gripper_of(document: Document) -> Gripper | None:
    """The declared gripper; None if the file says nothing of one."""
    layout, on = document.gripper, document.on_violation
    by_width = layout is not None and layout.command == "width"
    for kind, action, is_wanted in (
        ("gripper_width", on.gripper_width, by_width),
        ("gripper_speed", on.gripper_speed, by_width),
        ("gripper_force", on.gripper_force, layout is not None),
    ):
        if (action is not None) is not is_wanted:
            raise LimitsFileError(
                f"on_violation.{kind}: "
                + ("missing" if is_wanted else "there, but nothing declared can violate it")
            )
    has_payloads = document.variants is not None
    if on.gripper_release is not None and not (layout is not None and has_payloads):
        raise LimitsFileError(
            "on_violation.gripper_release: without a gripper, or without variants"
        )
    if layout is None:
        return None
    gripper = Gripper(**msgspec.structs.asdict(layout))
    if not gripper.min_width < gripper.max_width:
        raise LimitsFileError(
            f"gripper: min_width {gripper.min_width:g} m is not below max_width "
            f"{gripper.max_width:g} m"
        )
    if not gripper.force_error < gripper.max_force:
        raise LimitsFileError(
            f"gripper.force_error: {gripper.force_error:g} N is not below max_force, "
            f"{gripper.max_force:g} N"
        )
    return gripper

"""The reading of what a frozen file trusts perception to be.

Guarantees: what obstacles do to a proposal is declared exactly where perception is; a link that is
exempt exists.
"""

from __future__ import annotations

from .declared import Perception
from .errors import LimitsFileError
from .frozen_layout import Document

__all__ = ["perception_of"]


def perception_of(document: Document) -> Perception | None:
    """What a frozen file declares of perception; None if it says nothing."""
    layout, action = document.perception, document.on_violation.obstacles
    if (layout is not None) is not (action is not None):
        raise LimitsFileError(
            "on_violation.obstacles: "
            + ("missing" if action is None else "there, but perception is not declared")
        )
    if layout is None:
        return None
    known = sorted({capsule.name for capsule in document.capsules})
    for name in layout.exempt:
        if name not in known:
            raise LimitsFileError(
                f"perception.exempt: no capsule {name!r}; there are: {', '.join(known)}"
            )
    return Perception(
        layout.max_points, float(layout.max_speed), float(layout.latency_ms),
        float(layout.max_age_ms), float(layout.standoff), layout.required, tuple(layout.exempt),
    )  # fmt: skip

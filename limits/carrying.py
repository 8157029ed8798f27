"""Another tool or payload, of those that the limits declare.

Guarantees: a choice is one that was compiled whole (inertias, capsules, pairs that must not touch,
tool centre) when the limits were frozen; nothing else can be taken.
"""

from __future__ import annotations

from dataclasses import replace

from .declared import Limits
from .errors import UnknownChoiceError

__all__ = ["carrying", "choices"]


def choices(limits: Limits) -> tuple[tuple[str | None, str | None], ...]:
    """(tool, payload) of everything that can be chosen."""
    return tuple((variant.tool, variant.payload) for variant in limits.variants)


def carrying(limits: Limits, tool: str | None, payload: str | None) -> Limits:
    """The same limits for the robot with this tool and payload, both as declared.

    Raises UnknownChoiceError, which says what there is.
    """
    if (tool, payload) == (limits.tool, limits.payload):
        return limits
    for variant in limits.variants:
        if (variant.tool, variant.payload) == (tool, payload):
            return replace(
                limits,
                tool=tool,
                payload=payload,
                kinematics=variant.kinematics,
                capsules=variant.capsules,
                self_collision=variant.self_collision,
            )
    there_are = "; ".join(f"tool {t!r} with payload {p!r}" for t, p in choices(limits))
    raise UnknownChoiceError(
        f"limits '{limits.name}': tool {tool!r} with payload {payload!r} is not declared; "
        + (f"there are: {there_are}" if there_are else "declare tools or payloads in the file")
    )

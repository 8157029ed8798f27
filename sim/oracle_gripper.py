"""The oracle's view of a gripper: what was asked of its fingers, against what the file declares.

Guarantees:
- Every width, speed and force of the stream that was executed is judged, and nothing else is
  trusted: no finding, no outcome, nothing of the filter's.
- Where the stop runs, or no frame arrived, the fingers must be asked for exactly what they were.
- It shares no code with the filter; a field that is missing, or not a number, is refused by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from . import oracle_fields as read
from .oracle_fields import FrozenFileError

__all__ = ["Asked", "Fingers", "fingers_of", "judge_fingers"]

NUMBERS = ("min_width", "max_width", "max_speed", "max_force", "width_error", "force_error")
ROUNDING = 1e-9  # of a step; and of the width, for a difference of two


@dataclass(frozen=True, slots=True)
class Fingers:
    """What the file declares."""

    is_binary: bool  # commands say open or closed
    min_width_m: float
    max_width_m: float
    max_speed_m_s: float
    max_force_n: float
    width_error_m: float
    force_error_n: float
    is_force_required: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One executed tick of a run: what the fingers hold at its end, and where they were measured.

    position [m] and max_effort [N]: None as long as nothing was asked since arming.
    """

    position: float | None
    max_effort: float | None
    measured: float  # m; only where position was None before it counts
    is_held: bool  # the stop ran, or the frame was lost


def fingers_of(value: Any) -> Fingers | None:
    """The section `gripper`; None where there is none."""
    if value is None:
        return None
    item = read.keys(
        value, frozenset({*NUMBERS, "command", "force_required", "on_stop"}), "gripper"
    )
    if item["command"] not in ("width", "open_close") or item["on_stop"] != "hold":
        raise FrozenFileError(
            f"gripper: command {item['command']!r}, on_stop {item['on_stop']!r} are not known"
        )
    if not isinstance(item["force_required"], bool):
        raise FrozenFileError("gripper.force_required: neither true nor false")
    low, high, speed, force, width_error, force_error = (
        read.number(item[key], f"gripper.{key}") for key in NUMBERS
    )
    return Fingers(
        item["command"] == "open_close", low, high, speed, force, width_error, force_error,
        item["force_required"],
    )  # fmt: skip


def judge_fingers(
    fingers: Fingers,
    period_s: float,
    ticks: list[Asked],
    kept: tuple[float, float] | None = None,
) -> list[tuple[int, str, float, float, str]]:
    """(tick, kind, value, bound, unit) of all that one run asked too much of its fingers.

    kept: position and max_effort from before arming, where a filter may go on with them, because
    nobody has touched the fingers since; else it must begin where they were measured.
    """
    found: list[tuple[int, str, float, float, str]] = []
    low, high, reach = fingers.min_width_m, fingers.max_width_m, fingers.max_speed_m_s * period_s
    position: float | None = None
    force: float | None = None
    for k, tick in enumerate(ticks):
        may_keep = [kept] if k == 0 and kept is not None else []
        if tick.is_held and (tick.position, tick.max_effort) not in [(position, force), *may_keep]:
            value = math.nan if tick.position is None else tick.position
            bound = math.nan if position is None else position
            found.append((k, "gripper_held", value, bound, "m"))
        if tick.position is None or tick.max_effort is None:
            if position is not None:
                found.append((k, "gripper_held", math.nan, position, "m"))
            continue
        if not low <= tick.position <= high:
            bound = high if tick.position > high else low
            found.append((k, "gripper_width", tick.position, bound, "m"))
        if not 0.0 <= tick.max_effort <= fingers.max_force_n:
            found.append((k, "gripper_force", tick.max_effort, fingers.max_force_n, "N"))
        starts = [width for width, _ in may_keep]
        if position is not None:
            starts.append(position)
        elif math.isfinite(tick.measured):
            starts.append(min(max(tick.measured, low), high))
        step = min((abs(tick.position - at) for at in starts), default=math.nan)
        if not step <= reach * (1.0 + ROUNDING) + ROUNDING * 1e-3 * high:
            found.append((k, "gripper_speed", step / period_s, fingers.max_speed_m_s, "m/s"))
        position, force = tick.position, tick.max_effort
    return found

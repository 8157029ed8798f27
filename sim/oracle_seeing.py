"""What a frozen file declares of perception, as the oracle reads it.

Guarantees: every field is there, of its type and finite; ValueError names the one that is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Seeing", "seeing_of"]

NUMBERS = frozenset({"max_points", "max_speed", "latency_ms", "max_age_ms", "standoff"})


@dataclass(frozen=True, slots=True)
class Seeing:
    """What obstacles are declared to be, at most, and which capsules they do not concern."""

    max_points: int
    max_speed_m_s: float
    latency_s: float  # a cloud was measured no earlier, before its stamp
    max_age_s: float
    required: bool
    exempt: frozenset[str]


def seeing_of(value: Any) -> Seeing | None:
    """The section `perception`; None where there is none."""
    if value is None:
        return None
    wanted = NUMBERS | {"required", "exempt"}
    if not isinstance(value, dict) or set(value) != wanted:
        raise ValueError(f"perception: expected {sorted(wanted)}, got {value!r}")
    for key in sorted(NUMBERS):
        number = value[key]
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"perception.{key}: expected a number, got {number!r}")
        if not (math.isfinite(number) and number >= 0.0):
            raise ValueError(f"perception.{key}: {number!r} is not finite and positive")
    if not isinstance(value["required"], bool):
        raise ValueError(f"perception.required: {value['required']!r} is not true or false")
    exempt = value["exempt"]
    if not isinstance(exempt, list) or not all(isinstance(name, str) for name in exempt):
        raise ValueError(f"perception.exempt: expected names, got {exempt!r}")
    return Seeing(
        max_points=int(value["max_points"]),
        max_speed_m_s=float(value["max_speed"]),
        latency_s=float(value["latency_ms"]) / 1e3,
        max_age_s=float(value["max_age_ms"]) / 1e3,
        required=value["required"],
        exempt=frozenset(exempt),
    )

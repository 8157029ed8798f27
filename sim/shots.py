"""What scripted policies share: the message before it is stamped, and what an attack may know.

Guarantees: plain records; nothing here depends on physics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..limits.records import Array, Mode
from .chain import Chain

__all__ = ["Onset", "Script", "Shot"]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What the policy sends in one tick, before it is stamped.

    age_ms: how long before now it claims to have been made; replayed: sent with the sequence
    number and stamp of a message that went out long ago; new_session: as if just connected.
    """

    mode: Mode
    values: Array
    period_ms: float | None = None
    valid_ms: float | None = None
    age_ms: float = 0.0
    replayed: bool = False
    new_session: bool = False


Script = list[Shot | None]


@dataclass(frozen=True, slots=True, eq=False)
class Onset:
    """The state in which an attack begins, and what it may know."""

    frozen: Mapping[str, Any]
    chain: Chain
    q: Array  # (n,)
    dq: Array  # (n,)
    rng: np.random.Generator
    old_positions: tuple[Array, ...]  # where this policy went earlier, for replays

    @property
    def period_s(self) -> float:
        return float(self.frozen["period_s"])

    def limit(self, key: str) -> Array:  # (n,)
        """A declared joint limit, for all joints; half a turn where one turns without end."""
        half_turn = {"min_position": -math.pi, "max_position": math.pi}
        joints = [{**half_turn, **joint} for joint in self.frozen["joints"]]
        return np.array([joint[key] for joint in joints], dtype=np.float64)

    def ticks(self, seconds: float) -> int:
        return max(1, round(seconds / self.period_s))

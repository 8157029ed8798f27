"""What one decision hands to the next; `decide` reads it and makes a new one, nothing changes it.

Guarantees: plain data, immutable; with the other arguments of `decide` all that a decision needs.
"""

from __future__ import annotations

from typing import NamedTuple

from ..limits.records import Array
from .gripper import Grip, Wanted
from .seeing import BLIND, Seen
from .stop_state import Phase
from .trail import Trail

__all__ = ["Memory", "Plan"]


class Plan(NamedTuple):
    """An accepted command and how far it has been followed."""

    command_seq: int
    mode: int
    rows: Array  # (rows, n), or (rows, 6) in a TCP mode; read-only
    row_period_s: float  # 0: a single row that is held
    anchor: Array  # (2, n) commanded position and velocity when it was accepted
    ticks: int
    elapsed: int
    drift: Array | None  # (n,) executed minus scored motion; None: not scored
    gripper: Wanted | None = None  # None: it holds


class Memory(NamedTuple):
    """All that one decision hands to the next."""

    seq: int
    motion: Array  # (n + 1, 3 + m), see limits.core
    phase: Phase
    now_ns: int | None  # of the last step; None: there was none since arming
    stop_tick: int = 0
    plan: Plan | None = None
    command_seq: int | None = None
    resample_since_ns: int | None = None
    cause: str | None = None
    history: tuple[tuple[int, Array], ...] = ()  # (seq, motion) of the last setpoints
    continues: tuple[int, int] = (0, 0)
    trail: Trail = ()  # what the stream passed lately; empty: no latency is declared
    changed_seq: int = -1  # setpoints up to this one were certified under other limits
    seen: Seen = BLIND  # of perception
    back: Array | None = None  # (2, items) the way back from too near, see recovery; None: none
    ramp_ticks: int = 0  # of motion that are left of the ramp after arming
    grip: Grip | None = None  # None: no gripper is declared
    ends: Array | None = None  # (3, n) q, dq, ddq of `motion`, where a decision has made them

    @property
    def eased(self) -> Array | None:
        """By how much [m] each pair is eased (items,); None: all is as declared."""
        return None if self.back is None else self.back[0]

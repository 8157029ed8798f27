"""What the stream passed lately, for robots whose measured position lags behind it.

Guarantees:
- Holds what was executed: setpoints that the robot says it never played are taken out again, and
  the ticks of the stop that it played instead are put in.
- Nothing is kept, and nothing is computed, for limits that declare no latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..limits.core import Core, is_at_rest
from ..limits.records import Array

__all__ = ["Tick", "Trail", "extended", "passed", "rebased", "settling_ticks", "started"]

KEPT_TICKS = 17  # of them the last latency_ticks + 1 count, 16 at most; the rest is for `rebased`


class Tick(NamedTuple):
    """One tick of the stream: the end of setpoint `seq`, or of a tick of its stop."""

    seq: int
    stop_tick: int
    motion: Array  # (n + 1, 3 + m), see limits.core


Trail = tuple[Tick, ...]


def started(core: Core, seq: int, motion: Array) -> Trail:
    """The trail of a stream that begins at rest; empty where no latency is declared."""
    return (Tick(seq, 0, motion),) if core.limits.timing.latency_ticks > 0 else ()


def extended(trail: Trail, seq: int, motion: Array) -> Trail:
    """One tick more; an empty one stays empty."""
    return (*trail[1 - KEPT_TICKS :], Tick(seq, 0, motion)) if trail else ()


def rebased(trail: Trail, seq: int, motions: Sequence[Array]) -> Trail:
    """What the stream passed if it went through setpoint `seq` (the first of `motions`) and then
    ticks of its stop (the others). Execution follows the order of seq and stop_tick."""
    if not trail:
        return ()
    kept = tuple(tick for tick in trail if tick.seq < seq)
    played = tuple(Tick(seq, k, motion) for k, motion in enumerate(motions))
    return (*kept, *played)[-KEPT_TICKS:]


def passed(core: Core, trail: Trail) -> Array | None:
    """Least and largest position (2, n) of the last latency_ticks ticks; None: only where it is."""
    if not trail:
        return None
    return core.passed([tick.motion for tick in trail[-core.limits.timing.latency_ticks - 1 :]])


def settling_ticks(core: Core, trail: Trail) -> int:
    """For how many ticks more a robot that lags behind may still move, if the stream now rests."""
    recent = trail[-core.limits.timing.latency_ticks - 1 :]
    moving = (k for k in range(len(recent) - 1, -1, -1) if not is_at_rest(recent[k].motion))
    last = next(moving, None)
    return 0 if last is None else last + 1 + core.limits.timing.latency_ticks + 1 - len(recent)

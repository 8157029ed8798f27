"""`decide`, failing closed: whatever goes wrong inside, the certified stop runs.

Guarantees: never raises; an error of ours becomes a latched STOP that plays the stored stop to
rest, tick by tick, with the error attached. Where the short way fails, `decide` begins anew.
"""

from __future__ import annotations

from ..limits.core import Core
from ..limits.records import Candidates, RobotState
from .conclusion import stop_decision
from .decide import Memory, Scorer, decide
from .decision import Decision
from .usual import usual

__all__ = ["decide_or_stop"]


def decide_or_stop(
    core: Core,
    memory: Memory,
    state: RobotState,
    proposal: Candidates,
    now_ns: int,
    scorer: Scorer | None,
) -> tuple[Decision, Memory]:
    """One tick, as `decide`; after an error the next tick of the stored stop, latched."""
    try:
        quick = usual(core, memory, state, proposal, now_ns) if scorer is None else None
    except Exception:  # it has changed nothing: `decide` finds out what is wrong, and says it
        quick = None
    try:
        return decide(core, memory, state, proposal, now_ns, scorer) if quick is None else quick
    except Exception as error:  # fail closed: whatever went wrong, the stop runs
        cause = f"internal error: {type(error).__name__}: {error}"
        return stop_decision(core, memory, now_ns, scorer, cause, (), error=cause)

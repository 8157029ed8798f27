"""What a tick comes to: the decision that is handed out, and the memory for the next one.

Guarantees:
- A decision says what the stop-state machine does, and carries the motion with its stop.
- What a latched stop hands on has no plan: nothing is followed before `reset` and `arm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..limits.building import builder_of, new
from ..limits.core import Core, is_at_rest
from ..limits.gripper import GripperSetpoint
from ..limits.records import Array
from ..limits.stops import public
from . import gripper, stop_state
from .decision import Decision, Finding, Outcome, StopCategory, StopStatus
from .findings import changed
from .memory import Memory, Plan
from .recovery import ratcheted
from .scoring import Scorer
from .seeing import BLIND, certified, recertified
from .stop_state import Event, Phase
from .trail import extended

__all__ = [
    "BRAKED",
    "CLAMP",
    "HISTORY",
    "LATCHED",
    "MOVED",
    "PASS",
    "REFUSE",
    "RESAMPLE",
    "RESTED",
    "STOP",
    "Draft",
    "conclude",
    "status_of",
    "stop_decision",
]

HISTORY = 16  # setpoints that a robot may report as executed

# By name, once: Python 3.11 takes 0.1 µs to look a member up, which a tick would do twenty times.
PASS, CLAMP, RESAMPLE, REFUSE, STOP = Outcome
MOVED, BRAKED, RESTED, LATCHED = Event.MOVED, Event.BRAKED, Event.RESTED, Event.LATCHED
_severity = tuple(Outcome).index
_decision, _stop_status = builder_of(Decision), builder_of(StopStatus)


@dataclass(slots=True)
class Draft:
    """What this tick has found out so far."""

    plan: Plan | None
    outcome: Outcome
    findings: list[Finding]
    scores: list[float]
    command_seq: int | None
    resample_since_ns: int | None
    accepted: int | None = None
    gripper: GripperSetpoint | None = None  # None: it holds


@lru_cache(maxsize=1024)  # the same few, tick after tick
def status_of(
    phase: Phase, cause: str | None, rest_in_ticks: int, stop_category: str
) -> StopStatus:
    """What a decision says of the stop-state machine; stop_category: of a latched stop."""
    latched = stop_state.is_latched(phase)
    if latched:
        category = StopCategory(stop_category)
    else:
        category = StopCategory.NONE if phase is Phase.RUNNING else StopCategory.CAT2
    return _stop_status(stop_state.public_phase(phase), latched, category, cause, rest_in_ticks)


def conclude(
    core: Core,
    memory: Memory,
    draft: Draft,
    motion: Array,
    event: Event,
    now_ns: int,
    scorer: Scorer | None,
    cause: str | None = None,
    error: str | None = None,
) -> tuple[Decision, Memory]:
    """The decision that hands out `motion` after `event`, and the memory for the next tick.

    memory is that of the tick before; error: of ours, where the stop runs because of it.
    """
    seen = memory.seen
    if seen is not BLIND and event is MOVED:
        seen = certified(seen, now_ns)
    elif seen is not BLIND and error is None:
        seen, against = recertified(core, seen, memory.motion, now_ns, memory.eased)
        if against is not None:
            draft.findings.append(changed(core, against))
            draft.plan, draft.outcome = None, max(draft.outcome, REFUSE, key=_severity)
    phase = stop_state.step(memory.phase, event)
    stop_tick = 0 if event is MOVED else memory.stop_tick + 1
    seq = memory.seq + 1
    grip = held = None
    if memory.grip is not None:
        grip = gripper.sent(memory.grip, draft.gripper, seq)
        held = grip.setpoint
    setpoint, left, ends = public(motion, core.limits.period_s, held)
    status = status_of(phase, cause, left, core.limits.stop_category)
    decision = _decision(
        draft.outcome, setpoint, tuple(draft.findings),
        tuple(draft.scores), status, seq, memory.continues, stop_tick, draft.accepted,
        None if draft.plan is None else draft.plan.command_seq,
        draft.outcome is RESAMPLE, now_ns, core.limits.sha256,
        None if scorer is None else scorer.sha256, error,
    )  # fmt: skip
    history = (*memory.history[1 - HISTORY :], (seq, motion))
    back, changed_seq = memory.back, memory.changed_seq
    if back is not None and error is None:
        back = ratcheted(core, back, motion)
        if back is not memory.back:  # what went before was certified with more eased
            changed_seq = seq - 1
    ramp_ticks = memory.ramp_ticks
    if ramp_ticks > 0 and event is MOVED:
        ramp_ticks -= 1
    return decision, new(Memory, (
        seq, motion, phase, now_ns, stop_tick, draft.plan, draft.command_seq,
        draft.resample_since_ns, cause, history, (seq, 0), extended(memory.trail, seq, motion),
        changed_seq, seen, back, ramp_ticks, grip, ends,
    ))  # fmt: skip


def stop_decision(
    core: Core,
    memory: Memory,
    now_ns: int,
    scorer: Scorer | None,
    cause: str,
    findings: tuple[Finding, ...],
    error: str | None = None,
) -> tuple[Decision, Memory]:
    """Latch, and play the next tick of the stored stop."""
    phase = stop_state.step(memory.phase, LATCHED)
    motion = core.brake(memory.motion)
    latched = memory._replace(phase=phase, plan=None, resample_since_ns=None, cause=cause)
    draft = Draft(None, STOP, list(findings), [], memory.command_seq, None)
    event = RESTED if is_at_rest(motion) else BRAKED
    return conclude(core, latched, draft, motion, event, now_ns, scorer, cause, error)

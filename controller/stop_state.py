"""The stop-state machine. Everything that changes the phase goes through TRANSITIONS.

Rule 1: motion is only possible in RUNNING. Rule 2: a latched stop is left by RESET alone, and then
only towards DISARMED. Rule 3: severity never falls without an event (as in the failsafe of PX4).
An event that a phase does not list is a defect of the caller: `step` raises, the filter stops.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["TRANSITIONS", "Event", "Phase", "is_latched", "public_phase", "step"]


class Phase(StrEnum):
    """DISARMED: no motion has been certified. LATCHED_*: a stop that needs reset() and arm()."""

    DISARMED = "disarmed"
    RUNNING = "running"
    STOPPING = "stopping"
    AT_REST = "at_rest"
    LATCHED_STOPPING = "latched_stopping"
    LATCHED_AT_REST = "latched_at_rest"

    __hash__ = str.__hash__  # an enum's own is written in Python


class Event(StrEnum):
    """MOVED: fresh certified motion. BRAKED / RESTED: a tick of the stop, the last one or not."""

    ARMED = "armed"
    MOVED = "moved"
    BRAKED = "braked"
    RESTED = "rested"
    LATCHED = "latched"
    RESET = "reset"

    __hash__ = str.__hash__


TRANSITIONS: dict[Phase, dict[Event, Phase]] = {
    Phase.DISARMED: {Event.ARMED: Phase.AT_REST, Event.RESET: Phase.DISARMED},
    Phase.RUNNING: {
        Event.MOVED: Phase.RUNNING,
        Event.BRAKED: Phase.STOPPING,
        Event.RESTED: Phase.AT_REST,
        Event.LATCHED: Phase.LATCHED_STOPPING,
    },
    Phase.STOPPING: {
        Event.MOVED: Phase.RUNNING,
        Event.BRAKED: Phase.STOPPING,
        Event.RESTED: Phase.AT_REST,
        Event.LATCHED: Phase.LATCHED_STOPPING,
    },
    Phase.AT_REST: {
        Event.MOVED: Phase.RUNNING,
        Event.BRAKED: Phase.STOPPING,
        Event.RESTED: Phase.AT_REST,
        Event.LATCHED: Phase.LATCHED_STOPPING,
        Event.RESET: Phase.DISARMED,
    },
    Phase.LATCHED_STOPPING: {
        Event.BRAKED: Phase.LATCHED_STOPPING,
        Event.RESTED: Phase.LATCHED_AT_REST,
        Event.LATCHED: Phase.LATCHED_STOPPING,
    },
    Phase.LATCHED_AT_REST: {
        Event.RESTED: Phase.LATCHED_AT_REST,
        Event.LATCHED: Phase.LATCHED_AT_REST,
        Event.RESET: Phase.DISARMED,
    },
}

_LATCHED = (Phase.LATCHED_STOPPING, Phase.LATCHED_AT_REST)
_PUBLIC = {phase: phase.value.removeprefix("latched_") for phase in Phase}


def step(phase: Phase, event: Event) -> Phase:
    """The phase after `event`; RuntimeError if the phase does not allow it."""
    try:
        return TRANSITIONS[phase][event]
    except KeyError:
        allowed = ", ".join(TRANSITIONS[phase])
        raise RuntimeError(f"'{event}' is not possible in '{phase}' (only {allowed})") from None


def is_latched(phase: Phase) -> bool:
    """Whether only reset() leads out of this phase."""
    return phase in _LATCHED


def public_phase(phase: Phase) -> str:
    """The phase without its latch: disarmed, running, stopping, at_rest."""
    return _PUBLIC[phase]

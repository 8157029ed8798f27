"""The stop-state machine: its table, its rules, and that it never gets less severe by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkrein.controller.stop_state import (
    TRANSITIONS,
    Event,
    Phase,
    is_latched,
    public_phase,
    step,
)

SEVERITY = {
    Phase.RUNNING: 0,
    Phase.STOPPING: 1,
    Phase.AT_REST: 1,
    Phase.DISARMED: 1,
    Phase.LATCHED_STOPPING: 2,
    Phase.LATCHED_AT_REST: 2,
}
# What a person or a fresh certificate does; nothing else may make things less severe.
RELIEF = {Event.ARMED, Event.MOVED, Event.RESET}


def test_every_phase_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Phase)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", Event)
def test_what_is_not_in_the_table_raises_and_says_what_is(phase: Phase, event: Event) -> None:
    if event in TRANSITIONS[phase]:
        assert step(phase, event) is TRANSITIONS[phase][event]
        return
    with pytest.raises(RuntimeError, match=f"'{event}' is not possible in '{phase}'") as error:
        step(phase, event)
    for allowed in TRANSITIONS[phase]:
        assert allowed in str(error.value)


def test_motion_is_only_possible_in_running() -> None:
    for phase, row in TRANSITIONS.items():
        assert row.get(Event.MOVED, Phase.RUNNING) is Phase.RUNNING
        for event, after in row.items():
            assert (after is Phase.RUNNING) == (event is Event.MOVED), (phase, event)


def test_a_latch_is_left_by_reset_alone_and_only_at_rest() -> None:
    for phase in (Phase.LATCHED_STOPPING, Phase.LATCHED_AT_REST):
        for event, after in TRANSITIONS[phase].items():
            assert is_latched(after) or event is Event.RESET
    assert Event.RESET not in TRANSITIONS[Phase.LATCHED_STOPPING]
    assert TRANSITIONS[Phase.LATCHED_AT_REST][Event.RESET] is Phase.DISARMED


def test_disarmed_leads_to_rest_and_nowhere_else() -> None:
    assert set(TRANSITIONS[Phase.DISARMED].values()) == {
        Phase.AT_REST,
        Phase.DISARMED,
    }


def test_every_armed_phase_can_be_latched() -> None:
    """The shell latches on any exception: that must never raise itself."""
    for phase in Phase:
        if phase is not Phase.DISARMED:
            assert is_latched(step(phase, Event.LATCHED))


@given(st.lists(st.sampled_from(list(Event)), max_size=60))
def test_severity_never_falls_without_an_event_that_may_lower_it(events: list[Event]) -> None:
    phase = Phase.DISARMED
    for event in events:
        if event not in TRANSITIONS[phase]:
            continue
        after = step(phase, event)
        assert SEVERITY[after] >= SEVERITY[phase] or event in RELIEF
        if is_latched(phase) and not is_latched(after):
            assert event is Event.RESET
        phase = after


def test_people_see_the_phase_without_its_latch() -> None:
    assert {public_phase(phase) for phase in Phase} == {
        "disarmed",
        "running",
        "stopping",
        "at_rest",
    }

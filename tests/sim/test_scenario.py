"""The schedule of an episode, on an ideal robot: no physics, the same clockwork."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from checkrein.limits import RobotState, TrackedObject
from checkrein.sim import scenario as scenario_module
from checkrein.sim.attackers import available
from checkrein.sim.naive import NaiveDriver
from checkrein.sim.scenario import PolicyMessage, Scenario

OBJECT = (TrackedObject("object", np.array([0.5, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0])),)


def play(
    frozen: dict[str, Any], seed: int, seconds: float = 4.0, ticks: int = 40_000
) -> list[PolicyMessage]:
    """A robot that is always exactly where the naive driver wants it, within its limits."""
    scenario = Scenario(frozen, seed, 0, seconds)
    q = np.array(frozen["home"], dtype=float)
    low, high = (
        np.array([j[k] for j in frozen["joints"]]) for k in ("min_position", "max_position")
    )
    naive, dq, messages = NaiveDriver(q, frozen["period_s"]), np.zeros(len(q)), []
    for tick in range(ticks):
        if scenario.done:
            break
        now_ns = tick * 4_000_000
        message = scenario.step(RobotState(q, dq, now_ns, objects=OBJECT), now_ns)
        messages.append(message)
        if message.command is not None:
            naive.receive(message.command)
        target = q.copy()
        wanted = np.nan_to_num(np.asarray(naive.target(), dtype=float), nan=0.0)[: len(q)]
        target[: len(wanted)] = wanted
        target = np.clip(target, low, high)
        naive.believed(target)
        dq = np.clip((target - q) / frozen["period_s"], -2.0, 2.0)
        q = target
    return messages


SECONDS = 45.0
THROWS = 2  # fewer than in a demo, to be quick


@pytest.fixture(scope="module")
def messages(panda: dict[str, Any]) -> list[PolicyMessage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenario_module, "THROWS", THROWS)
        return play(panda, seed=0, seconds=SECONDS)


def test_every_attack_begins_once_and_throws_often(
    messages: list[PolicyMessage], panda: dict[str, Any]
) -> None:
    onsets = [message for message in messages if message.is_onset]
    expected = dict.fromkeys(available(panda), 1) | {"throw": THROWS}
    assert Counter(message.kind for message in onsets) == expected
    assert all(message.is_moving for message in onsets)


def test_it_behaves_well_first(messages: list[PolicyMessage]) -> None:
    phases = [message.phase for message in messages]
    first = next(i for i, phase in enumerate(phases) if phase != "good")
    assert first * 0.004 >= 0.25 * SECONDS
    assert phases[first] == "swing"


def test_sequence_numbers_grow_except_where_they_must_not(messages: list[PolicyMessage]) -> None:
    last = 0
    for message in messages:
        if message.command is None:
            continue
        if message.kind == "replay":
            assert message.command.seq <= last
        else:
            assert message.command.seq == last + 1
            last = message.command.seq


def test_stamps_are_now_except_where_they_must_not(messages: list[PolicyMessage]) -> None:
    for tick, message in enumerate(messages):
        if message.command is None:
            continue
        age_ms = tick * 4.0 - message.command.stamp_ns / 1e6
        if message.kind in ("stale", "replay"):
            assert age_ms >= 500.0
        else:
            assert age_ms == 0.0


def test_a_new_session_is_announced_once(messages: list[PolicyMessage]) -> None:
    announced = [message.kind for message in messages if message.new_session]
    assert announced == ["first_jump"]


def test_same_seed_same_messages(panda: dict[str, Any]) -> None:
    first, again = (play(panda, seed=7, ticks=1500) for _ in range(2))
    other = play(panda, seed=8, ticks=1500)

    def bits(messages: list[PolicyMessage]) -> list[bytes]:
        return [m.command.values.tobytes() for m in messages if m.command is not None]

    assert bits(first) == bits(again)
    assert bits(first) != bits(other)


def test_six_joints_and_no_object(xarm: dict[str, Any]) -> None:
    kinds = {message.kind for message in play(xarm, seed=0, ticks=2500)}
    assert len(kinds) >= 4
    assert "throw" not in kinds


def test_a_stuck_robot_is_placed_by_the_operator(panda: dict[str, Any]) -> None:
    """The robot never comes home: after a while the policy asks, once, and goes on."""
    scenario, asked = Scenario(panda, 0, 0, 10.0), 0
    phases: list[str] = []
    home = np.array(panda["home"], dtype=float)
    for tick in range(3700):
        attacked = "attack" in phases
        q = home + 0.5 if attacked and not asked else home
        dq = np.full(7, 0.2 * (bool(phases) and phases[-1] == "swing"))
        now_ns = tick * 4_000_000
        message = scenario.step(RobotState(q, dq, now_ns, objects=OBJECT), now_ns)
        asked += message.wants_placing
        phases.append(message.phase)
        if asked and message.phase == "swing":
            break
    assert asked == 1
    assert phases[-1] == "swing"


def test_it_ends_in_time(panda: dict[str, Any]) -> None:
    assert len(play(panda, seed=1, seconds=2.0)) <= round(1.5 * 2.0 / 0.004) + 1

"""Whatever a policy sends, the executed stream obeys every limit: properties over whole streams."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drive import Rig, assert_all_limits
from tests.robots import column, panda, robots, slider, turntable
from tests.scoring import DictatedScorer, always, scored

from checkrein.controller import Outcome
from checkrein.limits import Limits
from checkrein.limits.records import MODES, TCP_MODES, Candidates, Mode

GOOD = ("hold", "repeat", "chunk", "silence")
BAD = (
    "nan", "inf", "huge", "wrong_length", "wrong_rank", "no_period", "bad_mode", "stale", "future",
    "replayed", "empty", "candidates", "early", "late",
)  # fmt: skip

# A stream is segments: what the policy does, with which seed, for how many ticks.
segments = st.lists(
    st.tuples(
        st.sampled_from(GOOD * 3 + BAD),
        st.sampled_from(MODES),
        st.integers(0, 2**32 - 1),
        st.integers(1, 60),
    ),
    min_size=1,
    max_size=7,
)
Segment = tuple[str, Mode, int, int]


def values(rig: Rig, mode: Mode, rng: np.random.Generator, rows: int) -> Any:
    """Rows of a plausible, or wild, or bang-bang command."""
    n, limits = rig.q.size, rig.limits
    scale = float(rng.choice([0.1, 0.5, 1.0, 3.0]))
    shape = rng.choice([-1.0, 1.0], (rows, n)) if rng.random() < 0.4 else rng.normal(size=(rows, n))
    if mode in TCP_MODES:
        tool = np.resize(shape, (rows, 6))
        return scale * tool * (0.5 if mode == "tcp_twist" else 0.02)
    if mode == "joint_velocity":
        return scale * shape * column(limits, "max_velocity")
    if mode == "joint_delta":
        return scale * shape * 0.1
    low, high = column(limits, "min_position"), column(limits, "max_position")
    return np.clip(rig.q + scale * shape, low - 1.0, high + 1.0)


def rubbish(rig: Rig, kind: str, mode: Mode, rng: np.random.Generator) -> Candidates:
    row = values(rig, mode, rng, 1)[0]
    wrong = row.copy()
    wrong[int(rng.integers(row.size))] = math.nan if kind == "nan" else math.inf
    made: dict[str, Any] = {
        "nan": lambda: rig.command(mode, wrong),
        "inf": lambda: rig.command(mode, wrong, period_ms=5.0),
        "huge": lambda: rig.command(mode, row * 1e300, period_ms=1e-300),
        "wrong_length": lambda: rig.command(mode, np.zeros(row.size + 1)),
        "wrong_rank": lambda: rig.command(mode, np.zeros((1, 1, row.size))),
        "no_period": lambda: rig.command(mode, np.zeros((3, row.size))),
        "bad_mode": lambda: rig.command("joint_torque", row),  # type: ignore[arg-type]
        "stale": lambda: rig.command(mode, row, stamp_ns=0),
        "future": lambda: rig.command(mode, row, stamp_ns=rig.now_ns + 10**9),
        "replayed": lambda: rig.command(mode, row, seq=1),
        "empty": lambda: (),
        "candidates": lambda: [rig.command(mode, wrong), rig.command(mode, row)],
    }
    answer: Candidates = made[kind]()
    return answer


def play(rig: Rig, stream: list[Segment]) -> None:
    for kind, mode, seed, ticks in stream:
        rng = np.random.default_rng(seed)
        row = values(rig, mode, rng, 1)[0]
        for tick in range(ticks):
            period_ns = None
            proposal: Candidates = None
            if kind == "repeat" or (kind == "hold" and tick % 20 == 0):
                proposal = rig.command(mode, row)
            elif kind == "chunk" and tick == 0:
                rows = values(rig, mode, rng, int(rng.integers(1, 9)))
                proposal = rig.command(mode, rows, period_ms=float(rng.choice([4.0, 7.0, 50.0])))
            elif kind in ("early", "late"):
                period_ns = 1 if kind == "early" else 10 * rig.period_ns
                proposal = rig.command(mode, row)
            elif kind in BAD:
                proposal = rubbish(rig, kind, mode, rng)
            rig.tick(proposal, period_ns=period_ns)


@pytest.mark.slow
@pytest.mark.parametrize("name", robots())
@given(stream=segments)
@settings(max_examples=60)
def test_the_executed_stream_obeys_every_limit(name: str, stream: list[Segment]) -> None:
    rig = Rig(robots()[name]).arm()
    play(rig, stream)
    assert all(decision.outcome is not Outcome.STOP for decision in rig.decisions)
    rig.brake()
    assert_all_limits(rig)


@pytest.mark.slow
def test_the_streams_are_not_vacuous() -> None:
    """They move the robot most of the time, and every joint limit binds."""
    moving, ticks, bound = 0, 0, set()
    rng = np.random.default_rng(3)
    for _ in range(40):
        rig = Rig(panda()).arm()
        for _ in range(4):
            mode: Mode = MODES[int(rng.integers(5))]
            play(rig, [(str(rng.choice(GOOD)), mode, int(rng.integers(2**32)), 60)])
        moving += sum(bool(np.abs(d.setpoint.dq).max() > 1e-3) for d in rig.decisions)
        ticks += len(rig.decisions)
        bound |= {f.limit for d in rig.decisions for f in d.findings}
    assert moving > 0.5 * ticks
    assert bound >= {
        "joint_position", "joint_velocity", "joint_acceleration", "joint_jerk", "joint_effort",
        "tcp_speed", "tcp_rotational_speed", "workspace",
    }  # fmt: skip


@pytest.mark.slow
@given(stream=segments, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_measured_state_that_is_off_by_the_declared_errors_changes_nothing(
    stream: list[Segment], seed: int
) -> None:
    """Smoothness is that of the command, not of a noisy measurement (trap 11)."""

    class Noisy(Rig):
        rng = np.random.default_rng(seed)

        def tick(self, *arguments: Any, **changes: Any) -> Any:
            error = 0.99 * column(self.limits, "tracking_error")
            noise = error * self.rng.choice([-1.0, 1.0], error.size)
            return super().tick(*arguments, **{"q": self.q + noise, **changes})

    exact, noisy = Rig(slider()).arm(), Noisy(slider()).arm()
    play(exact, stream)
    play(noisy, stream)
    assert np.array_equal(exact.stream, noisy.stream)


@given(stream=segments)
@settings(max_examples=40)
def test_the_same_inputs_give_the_same_bits(stream: list[Segment]) -> None:
    """The audit replays decisions: setpoint, stop, findings, outcome and stop state."""
    one, two = Rig(panda()).arm(), Rig(panda()).arm()
    play(one, stream)
    play(two, stream)
    for mine, theirs in zip(one.decisions, two.decisions, strict=True):
        for field in ("q", "dq", "ddq"):
            own, other = getattr(mine.setpoint, field), getattr(theirs.setpoint, field)
            assert own.tobytes() == other.tobytes()
        assert mine.setpoint.stop.jerk.tobytes() == theirs.setpoint.stop.jerk.tobytes()
        assert mine.setpoint.stop.ticks.tobytes() == theirs.setpoint.stop.ticks.tobytes()
        assert repr(mine.findings) == repr(theirs.findings)
        assert (mine.outcome, mine.stop_state, mine.seq) == (
            theirs.outcome, theirs.stop_state, theirs.seq,
        )  # fmt: skip


def spiteful(seed: int) -> DictatedScorer:
    """Random risks, some of them none at all."""
    rng = np.random.default_rng(seed)
    return DictatedScorer(lambda rows: float(rng.choice([0.0, 0.4, 0.6, 1.0, math.nan, math.inf])))


@pytest.mark.slow
@given(stream=segments, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_classifier_widens_nothing(stream: list[Segment], seed: int) -> None:
    """With any scores at all the stream still obeys every limit, and nothing vetoed is followed."""
    limits = scored(slider(), rescore_deviation=0.05)
    rig = Rig(limits, scorer=spiteful(seed)).arm()
    play(rig, stream)
    for decision in rig.decisions:
        if decision.accepted is not None:
            assert decision.scores[-1] <= 0.5
            assert all(not s <= 0.5 for s in decision.scores[:-1])
    rig.brake()
    assert_all_limits(rig)


@pytest.mark.slow
@given(stream=segments)
@settings(max_examples=40)
def test_when_everything_is_vetoed_nothing_moves(stream: list[Segment]) -> None:
    rig = Rig(scored(slider()), scorer=always(0.51)).arm()
    play(rig, stream)
    assert all(np.array_equal(q, rig.stream[0]) for q in rig.stream)
    assert {d.outcome for d in rig.decisions} <= {Outcome.RESAMPLE, Outcome.REFUSE}


@given(stream=segments, fault_at=st.integers(0, 100))
@settings(max_examples=60)
def test_after_a_fault_severity_never_falls(stream: list[Segment], fault_at: int) -> None:
    """A latched stop stays one until reset and arm, whatever comes; it reaches rest and holds."""

    class Faulty(Rig):
        def tick(self, *arguments: Any, **changes: Any) -> Any:
            if len(self.decisions) == fault_at:
                changes = {**changes, "stamp_ns": 0}
            return super().tick(*arguments, **changes)

    rig = Faulty(turntable()).arm()
    play(rig, stream)
    latched = [decision.stop_state.latched for decision in rig.decisions]
    assert latched == sorted(latched)
    for decision in rig.decisions[fault_at:]:
        assert decision.outcome is Outcome.STOP
        assert decision.accepted is None
    left = [d.stop_state.rest_in_ticks for d in rig.decisions[fault_at:]]
    assert all(later <= max(0, now - 1) for now, later in pairwise(left))
    rig.brake()
    assert_all_limits(rig)


def test_tightening_a_limit_never_makes_a_stream_leave_the_looser_one() -> None:
    """What obeys the tight limits obeys the loose ones: margins and bounds only ever add up."""
    loose = panda()
    tight: Limits = replace(
        loose,
        standoff=0.01,
        joints=tuple(
            replace(joint, max_velocity=0.7 * joint.max_velocity, tracking_error=0.01)
            for joint in loose.joints
        ),
    )
    rig = Rig(tight).arm()
    rng = np.random.default_rng(2)
    play(rig, [("repeat", "joint_velocity", int(rng.integers(2**32)), 50) for _ in range(8)])
    rig.brake()
    rig.limits = loose
    assert_all_limits(rig)

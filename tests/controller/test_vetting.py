"""What is said of a chunk ahead of time is what then happens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drive import Rig
from tests.robots import column, panda, slider, turntable
from tests.scoring import always, by_first_value, scored

from checkrein.controller import Outcome, SafetyFilter, VettedChunk
from checkrein.controller.errors import NotArmedError
from checkrein.limits import Command, Executed
from checkrein.limits.records import MODES, TCP_MODES, Mode


def vetted(rig: Rig, command: Command, **state: Any) -> VettedChunk:
    """Between two ticks: as the coming tick will see it."""
    before = rig.guard.memory
    at_ns = rig.now_ns + rig.period_ns
    made = rig.guard.vet_chunk(rig.state(stamp_ns=at_ns, **state), command, now_ns=at_ns)
    assert rig.guard.memory is before
    return made


def outcomes(rig: Rig, command: Command, ticks: int) -> list[Any]:
    """Propose it, and follow it for real."""
    rig.tick(command)
    for _ in range(ticks - 1):
        rig.tick()
    return rig.decisions[-ticks:]


@pytest.mark.parametrize("robot", [slider, panda])
@given(
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(MODES),
    rows=st.integers(0, 6),
    period_ms=st.sampled_from([1.0, 4.0, 7.0, 20.0]),
)
@settings(max_examples=12)
def test_it_is_what_then_happens(
    robot: Any, seed: int, mode: Mode, rows: int, period_ms: float
) -> None:
    rng = np.random.default_rng(seed)
    rig = Rig(robot()).arm()
    speed = rng.normal(size=rig.q.size) * column(rig.limits, "max_velocity") * 0.2
    rig.run(speed, int(rng.integers(0, 40)))
    shape = (rows, 6 if mode in TCP_MODES else rig.q.size)[0 if rows else 1 :]
    values = rng.normal(size=shape) * float(rng.choice([0.01, 0.1, 1.0]))
    if mode == "joint_position":
        values = values + rig.q
    timing = {"period_ms": period_ms} if rows else {}
    command = rig.command(mode, values, **timing)
    made = vetted(rig, command)
    real = outcomes(rig, command, made.ticks)
    np.testing.assert_array_equal(made.q, [decision.setpoint.q for decision in real])
    passed = [decision.outcome is Outcome.PASS for decision in real]
    assert made.ticks_certified == (passed.index(False) if False in passed else len(passed))
    assert made.outcome == max((d.outcome for d in real), key=list(Outcome).index)
    assert made.rows == max(rows, 1)
    assert 0 <= made.rows_certified <= made.rows
    assert (made.rows_certified == made.rows) == all(passed)
    found = {(f.limit, f.subject) for d in real for f in d.findings}
    assert {(f.limit, f.subject) for _, _, f in made.findings} == found
    assert len(made.findings) == len(found)
    after = rig.tick()
    assert after.command_seq is None  # the chunk was over


def test_the_longest_prefix_of_whole_rows() -> None:
    """20 ms a row; the third asks for more than the joint has."""
    rig = Rig(turntable()).arm()
    rows = np.array([[0.05], [0.1], [9.0], [0.1]])
    made = vetted(rig, rig.command("joint_velocity", rows, period_ms=20.0))
    assert (made.rows, made.rows_certified, made.ticks) == (4, 2, 20)
    assert 10 <= made.ticks_certified < 15
    assert made.outcome is Outcome.CLAMP
    assert made.first_sample is None
    tick, row, finding = made.findings[0]
    assert (tick, row) == (made.ticks_certified, 2)
    assert finding.subject == "turn"


def test_rows_beyond_the_validity_are_not_certified() -> None:
    rig = Rig(turntable()).arm()
    rows = np.full((4, 1), 0.02)
    made = vetted(rig, rig.command("joint_velocity", rows, period_ms=20.0, valid_ms=50.0))
    assert (made.ticks, made.ticks_certified, made.rows_certified) == (12, 12, 2)


@pytest.mark.parametrize("mode", ["joint_position", "joint_velocity", "joint_delta"])
def test_a_chunk_that_begins_elsewhere_says_so(mode: Mode) -> None:
    rig = Rig(slider()).arm()
    rig.run([0.2, 0.0], 60)
    start = {"joint_position": rig.q, "joint_velocity": rig.dq, "joint_delta": 0.0 * rig.q}[mode]
    ahead = {"joint_velocity": 0.0}.get(mode, 0.2 * 0.02)
    rows = np.tile(start + np.array([ahead, 0.0]), (3, 1))
    timing = {"period_ms": 20.0}
    assert vetted(rig, rig.command(mode, rows, **timing)).first_sample is None
    rows = rows + np.array([0.0, -0.3])
    finding = vetted(rig, rig.command(mode, rows, **timing)).first_sample
    assert finding is not None
    assert (finding.limit, finding.subject) == ("first_sample", "rail")
    assert finding.value == pytest.approx(0.3)
    # 20 ms from rest: two ticks of full jerk to 4.8 m/s², one to 6 m/s², two there.
    gained = {"joint_velocity": 0.0192 + 0.0216 + 0.048}.get(mode, 5.12e-5 + 1.184e-4 + 5.184e-4)
    assert finding.bound == pytest.approx(gained, rel=1e-6)
    assert finding.unit == ("m/s" if mode == "joint_velocity" else "m")
    assert finding.margin == pytest.approx(finding.bound - 0.3)


def test_the_first_sample_is_within_reach_if_the_limits_can_do_it() -> None:
    """What the filter does at its hardest is never called a jump."""
    rig = Rig(turntable()).arm()
    for _ in range(60):
        before = rig.guard.memory
        rig.tick(rig.velocity(2.0))
        assert before is not None
        rig_q, rig_dq = rig.q.copy(), rig.dq.copy()
        guard = SafetyFilter(rig.limits)
        guard._memory = before
        state = rig.state(q=before.motion[:-1, 0], dq=before.motion[:-1, 1])
        for mode, row in (("joint_position", rig_q), ("joint_velocity", rig_dq)):
            chunk = Command(mode, row[None], rig.seq, rig.now_ns, period_ms=4.0)  # type: ignore[arg-type]
            assert guard.vet_chunk(state, chunk).first_sample is None


@pytest.mark.parametrize(
    ("values", "changes", "limit"),
    [
        ([[math.nan]], {"period_ms": 4.0}, "non_finite"),
        ([[math.inf]], {"period_ms": 4.0}, "non_finite"),
        ([[0.0, 0.0]], {"period_ms": 4.0}, "wrong_length"),
        (np.zeros((1, 1, 1)), {}, "wrong_length"),
        (np.zeros((0, 1)), {"period_ms": 4.0}, "wrong_length"),
        (0.0, {}, "wrong_length"),
        ([[0.0]], {}, "non_finite"),
        ([[0.0]], {"period_ms": math.nan}, "duration"),
        ([[0.0]], {"period_ms": -1.0}, "duration"),
        ([0.0], {"seq": 1}, "replayed"),
        ([0.0], {"stamp_ns": 0}, "stale"),
    ],
)
def test_what_is_not_admitted_has_no_prefix(values: Any, changes: Any, limit: str) -> None:
    rig = Rig(turntable()).arm()
    rig.run(0.1, 5)
    made = vetted(rig, rig.command("joint_velocity", values, **changes))
    assert (made.rows_certified, made.ticks_certified, made.ticks) == (0, 0, 1)
    assert made.outcome is Outcome.REFUSE
    assert [finding.limit for _, _, finding in made.findings] == [limit]
    assert made.first_sample is None


def test_a_state_that_cannot_be_acted_on_is_a_stop() -> None:
    rig = Rig(turntable()).arm()
    rig.run(0.1, 5)
    made = vetted(rig, rig.velocity(0.1), q=[math.nan])
    assert (made.outcome, made.rows_certified) == (Outcome.STOP, 0)
    assert np.isfinite(made.q).all()
    assert rig.tick(rig.velocity(0.1)).outcome is not Outcome.STOP


def test_the_classifier_is_asked() -> None:
    limits = scored(turntable())
    rig = Rig(limits, scorer=by_first_value()).arm()
    assert vetted(rig, rig.velocity(0.2)).scores == (0.2,)
    made = vetted(rig, rig.velocity(0.9))
    assert (made.rows_certified, made.outcome, made.scores) == (0, Outcome.RESAMPLE, (0.9,))
    assert made.findings[0][2].limit == "classifier"
    silent = Rig(limits, scorer=always(math.nan)).arm()
    assert vetted(silent, silent.velocity(0.0)).rows_certified == 0


def test_it_begins_where_the_robot_says_it_is() -> None:
    """The robot has played two ticks of the stop of a setpoint, not what came after it."""
    rig = Rig(turntable()).arm()
    rig.run(0.5, 30)
    played = Executed(rig.decisions[-3].seq, 2)
    stop = rig.decisions[-3].setpoint.stop
    q, dq, _ = stop.sample(2)
    rig.q, rig.dq = q, dq
    command = rig.command("joint_velocity", np.full((3, 1), 0.5), period_ms=8.0)
    made = vetted(rig, command, executed=played)
    real = rig.tick(command, executed=played)
    np.testing.assert_array_equal(made.q[0], real.setpoint.q)
    assert real.continues == (played.seq, 2)
    unknown = vetted(rig, rig.velocity(0.5), executed=Executed(10_000, 0))
    assert unknown.outcome is Outcome.STOP


def test_it_is_judged_as_if_the_tick_were_on_time() -> None:
    """Asked right after a step, or long before the next: ages count, the period does not."""
    rig = Rig(turntable()).arm()
    rig.run(0.1, 5)
    chunk = rig.command("joint_velocity", [0.1], stamp_ns=rig.now_ns)
    assert rig.guard.vet_chunk(rig.state(), chunk).rows_certified == 1
    later = rig.guard.vet_chunk(rig.state(), chunk, now_ns=rig.now_ns + 10**9)
    assert later.outcome is Outcome.STOP  # the state is a second old


def test_a_chunk_of_hours_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checkrein.controller.vetting.SIMULATED_TICKS_MAX", 50)
    rig = Rig(turntable()).arm()
    made = vetted(rig, rig.command("joint_velocity", np.zeros((2, 1)), period_ms=3.6e6))
    assert made.ticks == made.ticks_certified == 50
    assert made.rows_certified == 0


def test_without_arming_there_is_nothing_to_vet_from() -> None:
    rig = Rig(turntable())
    with pytest.raises(NotArmedError, match=r"call arm\(state"):
        rig.guard.vet_chunk(rig.state(), rig.velocity(0.0))

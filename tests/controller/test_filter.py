"""The filter on a timeline: a manual clock, faults in the order they come, and what is left."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig, assert_all_limits, assert_stop_holds, assert_within
from tests.robots import half_space, panda, slider, turntable, with_joint
from tests.scoring import always, scored

from checkrein.controller import Outcome, SafetyFilter, StopCategory, failsafe
from checkrein.controller.errors import ArmError, NotArmedError, ScorerError
from checkrein.controller.usual import usual
from checkrein.limits import Executed, RobotState
from checkrein.limits.core import Core

MS = 1_000_000


class TestArming:
    def test_arm_run_refuse_resume(self) -> None:
        rig = Rig(panda()).arm()
        assert rig.run(0.2, 60).outcome is Outcome.PASS
        speed = rig.dq.copy()
        refused = rig.tick(rig.velocity(math.nan))
        assert refused.outcome is Outcome.REFUSE
        assert refused.findings[0].limit == "non_finite"
        assert refused.stop_state.phase == "stopping"
        assert not refused.stop_state.latched
        assert (np.abs(rig.dq) < np.abs(speed)).all()
        resumed = rig.tick(rig.velocity(0.2))
        assert resumed.outcome in (Outcome.PASS, Outcome.CLAMP)
        assert resumed.stop_state.phase == "running"
        assert rig.run(0.2, 40).outcome is Outcome.PASS
        assert_all_limits(rig)

    def test_before_arming_it_holds_where_the_robot_is(self) -> None:
        rig = Rig(panda())
        rig.q = rig.q + 0.01
        decision = rig.tick(rig.velocity(1.0))
        assert decision.outcome is Outcome.STOP
        assert decision.stop_state.phase == "disarmed"
        assert decision.seq == 0
        np.testing.assert_array_equal(decision.setpoint.q, rig.stream[0] + 0.01)
        assert not decision.setpoint.dq.any()

    def test_before_arming_the_last_finite_position_is_held(self) -> None:
        rig = Rig(turntable())
        held = rig.tick(q=[0.5]).setpoint.q
        for q in ([math.nan], [math.inf], [], [0.1, 0.2]):
            np.testing.assert_array_equal(rig.tick(q=q).setpoint.q, held)

    def test_before_any_state_there_is_nothing_to_hold(self) -> None:
        rig = Rig(turntable())
        with pytest.raises(NotArmedError, match="call arm"):
            rig.tick(q=[math.nan])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"q": np.full(7, math.nan)}, r"state\.q: expected 7 finite numbers"),
            ({"dq": np.full(7, math.inf)}, r"state\.dq: expected 7 finite numbers"),
            ({"q": np.zeros(6)}, r"state\.q: expected 7 finite numbers, got \[0\.0"),
            ({"stamp_ns": 0}, r"state\.stamp_ns: 1000 ms old, bound 12\.0 ms"),
            ({"stamp_ns": 2_000_000_000}, r"state\.stamp_ns: -1000 ms old"),
            ({"dq": np.full(7, 0.5)}, r"joint 'panda_joint1' moves at 0\.5.*bring the robot to r"),
        ],
    )
    def test_what_speaks_against_it_is_said(self, changes: Any, message: str) -> None:
        rig = Rig(panda())
        with pytest.raises(ArmError, match=message):
            rig.arm(**changes)
        assert rig.guard.memory is None
        assert rig.tick().stop_state.phase == "disarmed"

    def test_inside_a_volume_it_is_refused_by_name(self) -> None:
        robot = panda()
        ceiling = half_space("ceiling", [0.0, 0.0, 1.0], 0.2, "keep_in")
        rig = Rig(replace(robot, volumes=(ceiling,)))
        with pytest.raises(ArmError, match=r"workspace of panda_link\w+/ceiling: .* even at rest"):
            rig.arm()

    def test_a_robot_that_moves_cannot_be_armed_again(self) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.2, 30)
        with pytest.raises(ArmError, match="the robot is running: it can only be armed at rest"):
            rig.arm()
        rig.tick(rig.velocity(math.nan))
        with pytest.raises(ArmError, match="the robot is stopping"):
            rig.arm()
        rig.brake()
        rig.arm()
        assert rig.run(0.1, 5).outcome is Outcome.PASS

    def test_sequence_numbers_go_on_across_arming(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.1, 10)
        rig.brake()
        last = rig.decisions[-1].seq
        rig.guard.reset()
        assert rig.tick().seq == last
        rig.arm()
        assert rig.tick().seq == last + 1

    def test_a_reset_that_is_not_needed_does_nothing(self) -> None:
        rig = Rig(turntable())
        rig.guard.reset()
        rig.arm()
        rig.guard.reset()
        assert rig.tick().stop_state.phase == "disarmed"

    def test_the_first_step_may_come_late(self) -> None:
        """The period is measured between steps; a person may pause between arm and go."""
        rig = Rig(turntable()).arm()
        assert rig.tick(None, period_ns=10_000 * MS).findings == ()
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.PASS


FAULTS: dict[str, dict[str, Any]] = {
    "stale": {"stamp_ns": 1},
    "tracking_error": {"q": np.array(panda().home) + 0.5},
    "non_finite": {"q": np.full(7, math.nan)},
    "wrong_length": {"dq": np.zeros(6)},
    "contact_force": {"wrench_tcp": np.array([0.0, 0.0, 41.0, 0.0, 0.0, 0.0])},
    "unknown": {"executed": Executed(12345, 0)},
}


@pytest.mark.parametrize("fault", FAULTS)
class TestFaultsOfTheState:
    """Each latches a stop; the stop is played to exact rest; only reset and arm lead out."""

    def faulty(self, fault: str) -> Rig:
        rig = Rig(panda()).arm()
        rig.run(0.3, 60)
        rig.tick(rig.velocity(0.3), **FAULTS[fault])
        return rig

    def test_it_latches_and_says_why(self, fault: str) -> None:
        rig = self.faulty(fault)
        decision = rig.decisions[-1]
        assert decision.outcome is Outcome.STOP
        assert decision.stop_state.latched
        assert decision.stop_state.category is StopCategory.CAT2
        assert decision.stop_tick == 1
        assert decision.stop_state.cause
        if fault != "unknown":
            assert decision.findings[0].limit == fault

    def test_the_stored_stop_is_played_to_exact_rest(self, fault: str) -> None:
        rig = self.faulty(fault)
        before, decision = rig.decisions[-2].setpoint.stop, rig.decisions[-1]
        for tick in range(1, before.ticks_total + 1):
            expected = before.sample(tick)
            for own, other in zip((rig.q, rig.dq), expected[:2], strict=True):
                np.testing.assert_allclose(own, other, atol=1e-9)
            decision = rig.tick(rig.velocity(0.3))  # good again: it does not matter
            assert decision.outcome is Outcome.STOP
            assert decision.stop_tick == tick + 1
        assert not rig.dq.any()
        assert decision.stop_state.phase == "at_rest"
        assert_within(rig.limits, rig.stream)

    def test_only_reset_and_arm_lead_out(self, fault: str) -> None:
        rig = self.faulty(fault)
        with pytest.raises(ArmError, match=r"a stop is latched .*: call reset"):
            rig.arm()
        with pytest.raises(ArmError, match=r"latched_stopping.*\d+ ticks of its stop are left"):
            rig.guard.reset()
        rig.brake()
        for _ in range(50):
            assert rig.tick(rig.velocity(0.3)).outcome is Outcome.STOP
        with pytest.raises(ArmError, match="call reset"):
            rig.arm()
        rig.guard.reset()
        assert rig.tick(rig.velocity(0.3)).stop_state.phase == "disarmed"
        rig.arm()
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.PASS


def test_the_declared_category_is_what_a_latched_stop_ends_in() -> None:
    rig = Rig(replace(turntable(), stop_category="cat1")).arm()
    assert rig.tick().stop_state.category is StopCategory.CAT2  # holding, powered
    assert rig.tick(stamp_ns=0).stop_state.category is StopCategory.CAT1


class TestSilence:
    def test_a_command_is_held_no_longer_than_declared(self) -> None:
        rig = Rig(panda()).arm()
        rig.tick(rig.velocity(0.1))
        for _ in range(24):
            assert rig.tick().outcome is Outcome.PASS
        expired = rig.tick()
        assert expired.outcome is Outcome.REFUSE
        assert expired.findings[0].limit == "command_expired"
        assert expired.stop_tick == 1
        rig.brake()
        assert rig.tick().findings == ()  # said once
        assert_all_limits(rig)

    def test_it_may_ask_for_less_but_not_for_more(self) -> None:
        for valid_ms, ticks in ((20.0, 5), (60_000.0, 25)):
            rig = Rig(panda()).arm()
            rig.tick(rig.velocity(0.1, valid_ms=valid_ms))
            while rig.tick().outcome is Outcome.PASS:
                pass
            assert len(rig.decisions) == ticks + 1

    def test_a_chunk_runs_to_its_last_row(self) -> None:
        rig = Rig(panda()).arm()
        rows = np.linspace(0.0, 0.1, 4)[:, None] * np.ones(7)
        rig.tick(rig.command("joint_velocity", rows, period_ms=20.0))
        while rig.tick().outcome is Outcome.PASS:
            pass
        assert len(rig.decisions) == 20 + 1
        rig.brake()
        assert_all_limits(rig)


class TestPeriod:
    @pytest.mark.parametrize("period_ms", [0.0, 1.0, 7.0, 400.0, -4.0])
    def test_a_tick_at_the_wrong_time_plays_the_stop(self, period_ms: float) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.2, 40)
        late = rig.tick(rig.velocity(0.2), period_ns=round(period_ms * MS))
        assert late.outcome is Outcome.REFUSE
        assert late.findings[0].limit == "period"
        assert late.stop_tick == 1
        assert rig.tick(rig.velocity(0.2)).outcome in (Outcome.PASS, Outcome.CLAMP)
        assert_all_limits(rig)

    def test_jitter_within_the_tolerance_changes_nothing(self) -> None:
        """Measured time only gates: the motion is the same to the last bit."""
        even, uneven = Rig(panda()).arm(), Rig(panda()).arm()
        rng = np.random.default_rng(1)
        for _ in range(100):
            even.tick(even.velocity(0.2))
            jitter = int(rng.integers(-MS, MS))
            uneven.tick(
                uneven.velocity(0.2, stamp_ns=uneven.now_ns), period_ns=uneven.period_ns + jitter
            )
        assert np.array_equal(even.stream, uneven.stream)


class TestResample:
    def test_the_last_vetted_chunk_runs_on_then_it_is_refused(self) -> None:
        scorer = always(0.0)
        rig = Rig(scored(panda()), scorer=scorer).arm()
        rig.tick(rig.command("joint_velocity", np.full((10, 7), 0.1), period_ms=50.0))
        for _ in range(20):
            assert rig.tick().outcome is Outcome.PASS
        scorer._risk = lambda rows: 0.9
        asked = rig.tick(rig.velocity(0.2))
        assert (asked.outcome, asked.resample) == (Outcome.RESAMPLE, True)
        assert asked.command_seq == 1  # still the one that was vetted
        assert asked.stop_tick == 0
        waited = 0
        while rig.tick().outcome is Outcome.RESAMPLE:
            waited += 1
        deadline_ticks = rig.limits.timing.resample_deadline_ms / 4.0
        assert waited == deadline_ticks
        last = rig.decisions[-1]
        assert last.outcome is Outcome.REFUSE
        assert (last.resample, last.stop_tick) == (False, 1)
        assert not last.stop_state.latched
        assert_all_limits(rig)

    def test_a_better_proposal_ends_it(self) -> None:
        scorer = always(0.9)
        rig = Rig(scored(panda()), scorer=scorer).arm()
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.RESAMPLE
        assert rig.tick().outcome is Outcome.RESAMPLE
        scorer._risk = lambda rows: 0.1
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.PASS
        assert rig.tick().outcome is Outcome.PASS
        scorer._risk = lambda rows: 0.9  # a new wait has a new deadline
        rig.run(0.1, 1)
        for _ in range(50):
            assert rig.tick().outcome is Outcome.RESAMPLE
        assert rig.tick().outcome is Outcome.REFUSE

    def test_another_veto_does_not_move_the_deadline(self) -> None:
        rig = Rig(scored(turntable()), scorer=always(0.9)).arm()
        outcomes = [rig.tick(rig.velocity(0.1)).outcome for _ in range(60)]
        assert outcomes == [Outcome.RESAMPLE] * 51 + [Outcome.REFUSE] * 9

    def test_even_after_the_deadline_a_good_one_may_resume(self) -> None:
        scorer = always(0.9)
        rig = Rig(scored(turntable()), scorer=scorer).arm()
        for _ in range(60):
            rig.tick(rig.velocity(0.1))
        scorer._risk = lambda rows: 0.1
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.PASS


class TestInternalErrors:
    """Whatever goes wrong inside: the stored stop, to rest, with the error attached."""

    @pytest.mark.parametrize("method", ["follow", "state_holds", "is_finite"])
    def test_the_stop_runs_to_rest(self, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.3, 60)
        carried = rig.decisions[-1].setpoint

        def broken(*arguments: Any, **named: Any) -> None:
            raise ZeroDivisionError("planted")

        monkeypatch.setattr(failsafe, "usual", lambda *_: None)
        monkeypatch.setattr(Core, method, broken)
        decision = rig.tick(rig.velocity(0.3))
        assert decision.outcome is Outcome.STOP
        assert decision.error == "internal error: ZeroDivisionError: planted"
        assert decision.stop_state.latched
        ticks = rig.brake()
        assert ticks == carried.stop.ticks_total - 1
        np.testing.assert_allclose(rig.q, carried.stop.sample(ticks + 1)[0], atol=1e-12)
        assert_stop_holds(rig.limits, rig.stream[:61], carried)
        monkeypatch.undo()
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.STOP  # until reset and arm
        rig.guard.reset()
        rig.arm()
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.PASS

    def test_where_the_short_way_fails_the_long_one_decides(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is wrong with such a command is found, and it is refused: no reason to latch."""
        monkeypatch.setattr(failsafe, "usual", usual)
        for broken in ({"seq": None}, {"stamp_ns": None}, {"stamp_ns": 10**400}):
            rig = Rig(turntable()).arm()
            rig.run(0.1, 5)
            decision = rig.tick(replace(rig.velocity(np.nan), **broken))
            assert (decision.outcome, decision.error) == (Outcome.REFUSE, None)
            assert [finding.limit for finding in decision.findings] == ["non_finite"]
            assert rig.run(0.1, 3).outcome is Outcome.PASS

    @pytest.mark.parametrize("rubbish", [42, object(), ["x"], [None], "joint_velocity"])
    def test_a_proposal_that_is_none_of_ours_stops(self, rubbish: Any) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.1, 5)
        decision = rig.tick(rubbish)
        assert decision.outcome is Outcome.STOP
        assert decision.error is not None
        rig.brake()
        assert_within(rig.limits, rig.stream)

    def test_a_state_that_is_none_stops(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.1, 5)
        rig.now_ns += rig.period_ns
        nothing: Any = None
        decision = rig.guard.step(nothing, rig.velocity(0.1), now_ns=rig.now_ns)
        assert decision.outcome is Outcome.STOP
        assert decision.error is not None


class TestScorer:
    def test_one_that_was_not_declared_is_refused(self) -> None:
        other = always(0.0)
        other.sha256 = "a" * 64
        with pytest.raises(ScorerError, match=r"classifier\.sha256: the limits declare f{64}"):
            SafetyFilter(scored(turntable()), scorer=other)

    def test_the_declared_one_is_in_every_decision(self) -> None:
        rig = Rig(scored(turntable()), scorer=always(0.0))
        assert rig.tick().classifier_sha256 == "f" * 64
        rig.arm()
        assert rig.tick(rig.velocity(0.1)).classifier_sha256 == "f" * 64
        assert rig.tick(stamp_ns=0).classifier_sha256 == "f" * 64


def test_limits_that_are_not_finite_make_no_filter() -> None:
    with pytest.raises(ValueError, match="limits 'turntable': joint holds"):
        SafetyFilter(with_joint(turntable(), 0, max_velocity=math.nan))


def test_a_state_is_not_changed_by_a_step() -> None:
    rig = Rig(slider()).arm()
    q = np.array(rig.q)
    state = RobotState(q, np.zeros(2), rig.now_ns + rig.period_ns)
    rig.guard.step(state, rig.velocity(0.1), now_ns=rig.now_ns + rig.period_ns)
    np.testing.assert_array_equal(state.q, q)

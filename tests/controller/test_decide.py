"""The pure core: candidates in their order, a classifier that only vetoes, refusals, rebasing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig, assert_all_limits, assert_within
from tests.robots import panda, slider, turntable
from tests.scoring import DictatedScorer, always, by_first_value, scored

from checkrein.controller import Outcome
from checkrein.limits import Executed, Limits, OnViolation
from checkrein.limits.records import Mode


def still(rig: Rig) -> Any:
    return rig.velocity(0.0)


class TestOutcomes:
    def test_pass_is_the_desired_motion_unaltered(self) -> None:
        rig = Rig(panda()).arm()
        for _ in range(50):
            decision = rig.tick(rig.velocity(0.1))
            assert decision.outcome is Outcome.PASS
            assert decision.findings == ()
            assert decision.stop_tick == 0
        np.testing.assert_allclose(rig.dq, 0.1, rtol=0.05)

    def test_what_is_handed_on_has_all_its_fields(self) -> None:
        """Both tuples are made from their values alone: none may be missing, or out of order."""
        rig = Rig(panda()).arm()
        decision = rig.tick(rig.velocity(0.1))
        memory = rig.guard.memory
        assert memory is not None
        assert memory.plan is not None
        assert len(memory) == len(memory._fields)
        assert len(memory.plan) == len(memory.plan._fields)
        assert (memory.seq, memory.command_seq) == (decision.seq, decision.command_seq)
        assert (memory.ramp_ticks, memory.grip, memory.back) == (0, None, None)
        assert memory.ends is not None
        np.testing.assert_array_equal(memory.ends[1], decision.setpoint.dq)
        np.testing.assert_array_equal(memory.ends, memory.motion[:-1, :3].T)
        plan = memory.plan
        assert (plan.elapsed, plan.drift, plan.gripper) == (1, None, None)
        assert plan.ticks == round(rig.limits.timing.command_timeout_ms / 4.0)

    def test_clamp_says_what_bound(self) -> None:
        rig = Rig(turntable()).arm()
        decision = rig.tick(rig.velocity(5.0))
        assert decision.outcome is Outcome.CLAMP
        finding = decision.findings[0]
        assert (finding.limit, finding.subject, finding.unit) == ("joint_velocity", "turn", "rad/s")
        assert (finding.value, finding.bound, finding.margin) == (5.0, 2.0, -3.0)

    def test_nothing_to_follow_is_refused_and_holds(self) -> None:
        rig = Rig(turntable()).arm()
        decision = rig.tick()
        assert decision.outcome is Outcome.REFUSE
        assert decision.accepted is None
        np.testing.assert_array_equal(decision.setpoint.q, rig.limits.home)

    def test_the_margin_of_a_lower_bound_is_counted_upwards(self) -> None:
        rig = Rig(turntable()).arm()
        for target, bound in ((-3.0, -2.0), (3.0, 2.0)):
            decision = rig.tick(rig.command("joint_position", [target]))
            finding = decision.findings[0]
            assert (finding.limit, finding.value, finding.bound) == (
                "joint_position",
                target,
                bound,
            )
            assert finding.margin == -1.0

    def test_a_decision_names_its_limits_and_its_time(self) -> None:
        rig = Rig(panda()).arm()
        decision = rig.tick(still(rig))
        assert decision.limits_sha256 == panda().sha256
        assert decision.classifier_sha256 is None
        assert decision.now_ns == rig.now_ns
        assert decision.seq == 1
        assert decision.continues == (0, 0)
        assert rig.tick(still(rig)).continues == (1, 0)


class TestRefusedLimits:
    """A limit that is declared `refuse` drops the proposal; the stop runs, the next may resume."""

    def drive_into(self, limits: Limits, mode: Any, values: Any) -> Rig:
        rig = Rig(limits).arm()
        rig.run(0.3, 30)
        decision = rig.tick(rig.command(mode, values))
        assert decision.outcome is Outcome.REFUSE
        assert decision.command_seq is None
        assert decision.stop_tick == 1
        rig.brake()
        assert rig.tick(rig.velocity(-0.1)).outcome is Outcome.PASS
        assert_within(limits, rig.stream)
        return rig

    def test_velocity(self) -> None:
        refuse = {**slider().on_violation, "joint_velocity": OnViolation.REFUSE}
        rig = self.drive_into(replace(slider(), on_violation=refuse), "joint_velocity", [9.0, 0.0])
        assert rig.decisions[30].findings[0].limit == "joint_velocity"

    def test_position(self) -> None:
        refuse = {**slider().on_violation, "joint_position": OnViolation.REFUSE}
        self.drive_into(replace(slider(), on_violation=refuse), "joint_position", [0.0, 2.0])

    def test_a_volume(self) -> None:
        """The wall is touched at some tick of the approach; then the approach is over."""
        robot = slider()
        wall = replace(robot.volumes[0], on_violation=OnViolation.REFUSE)
        rig = Rig(replace(robot, volumes=(wall,)), q=[0.0, 0.6]).arm()
        for _ in range(800):
            decision = rig.tick(rig.velocity([-1.0, 0.0]))
            if decision.outcome is Outcome.REFUSE:
                break
        decision = rig.decisions[-1]
        assert decision.outcome is Outcome.REFUSE
        assert decision.findings[-1].limit == "workspace"
        assert decision.findings[-1].subject.endswith("/wall")
        assert_all_limits(rig)


class TestCandidates:
    def test_the_first_that_is_admitted_is_taken(self) -> None:
        rig = Rig(turntable()).arm()
        bad, good, better = (rig.velocity(v) for v in (math.nan, 0.1, 0.2))
        decision = rig.tick([bad, good, better])
        assert decision.accepted == 1
        assert decision.command_seq == good.seq
        assert [f.limit for f in decision.findings] == ["non_finite"]
        assert decision.outcome is Outcome.PASS

    def test_one_in_a_sequence_is_as_one_alone(self) -> None:
        one, two = Rig(turntable()).arm(), Rig(turntable()).arm()
        for _ in range(20):
            alone, listed = one.tick(one.velocity(0.3)), two.tick((two.velocity(0.3),))
            assert alone.setpoint.q.tobytes() == listed.setpoint.q.tobytes()
            assert (alone.outcome, alone.accepted) == (listed.outcome, listed.accepted)

    @pytest.mark.parametrize("nothing", [[], ()])
    def test_an_empty_sequence_is_a_proposal_without_a_candidate(self, nothing: Any) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.5, 20)
        assert rig.tick(nothing).outcome is Outcome.REFUSE
        assert rig.decisions[-1].stop_tick == 1

    def test_all_bad_is_refused_with_every_reason(self) -> None:
        rig = Rig(turntable()).arm()
        wrong = [rig.velocity(math.inf), rig.command("joint_velocity", [0.0, 0.0])]
        decision = rig.tick(wrong)
        assert decision.outcome is Outcome.REFUSE
        assert [f.limit for f in decision.findings] == ["non_finite", "wrong_length"]

    def test_candidates_of_one_proposal_may_share_a_sequence_number(self) -> None:
        rig = Rig(turntable()).arm()
        pair = [rig.velocity(0.1, seq=7), rig.velocity(0.2, seq=7)]
        assert rig.tick(pair).accepted == 0
        again = rig.tick(rig.velocity(0.1, seq=7))
        assert [f.limit for f in again.findings] == ["replayed"]

    def test_a_candidate_that_was_vetoed_cannot_come_back(self) -> None:
        rig = Rig(scored(turntable()), scorer=by_first_value()).arm()
        pair = [rig.velocity(0.9, seq=3), rig.velocity(0.1, seq=2)]
        assert rig.tick(pair).accepted == 1
        assert rig.tick(rig.velocity(0.1, seq=3)).findings[0].limit == "replayed"


class TestClassifier:
    def test_scores_are_in_the_order_of_the_candidates_and_end_at_the_accepted(self) -> None:
        rig = Rig(scored(turntable()), scorer=by_first_value()).arm()
        decision = rig.tick([rig.velocity(v) for v in (0.9, 0.7, 0.25, 0.1)])
        assert decision.scores == (0.9, 0.7, 0.25)
        assert decision.accepted == 2
        assert decision.classifier_sha256 == rig.limits.classifier.sha256

    @pytest.mark.parametrize("risk", [0.5000001, 1.0, math.nan, math.inf, -math.inf, "0.1x", None])
    def test_what_is_not_allowed_never_moves(self, risk: Any) -> None:
        rig = Rig(scored(turntable()), scorer=always(risk)).arm()
        for _ in range(100):
            decision = rig.tick([rig.velocity(0.4), rig.velocity(0.2)])
            assert decision.accepted is None
            assert decision.outcome in (Outcome.RESAMPLE, Outcome.REFUSE)
            assert decision.findings[0].limit == "classifier"
        np.testing.assert_array_equal(rig.stream, np.zeros((101, 1)))

    @pytest.mark.parametrize("risk", [0.5, 0.0, -3.0])
    def test_the_threshold_itself_is_allowed(self, risk: float) -> None:
        rig = Rig(scored(turntable()), scorer=always(risk)).arm()
        assert rig.tick(rig.velocity(0.1)).outcome is Outcome.PASS

    def test_one_that_raises_is_a_veto(self) -> None:
        def broken(rows: Any) -> float:
            raise RuntimeError("no session")

        rig = Rig(scored(turntable()), scorer=DictatedScorer(broken)).arm()
        decision = rig.tick(rig.velocity(0.1))
        assert decision.outcome is Outcome.RESAMPLE
        assert math.isnan(decision.scores[0])
        assert decision.error is None

    def test_it_never_sees_what_was_not_admitted(self) -> None:
        scorer = always(0.0)
        rig = Rig(scored(turntable()), scorer=scorer).arm()
        rig.tick([rig.velocity(math.nan), rig.command("joint_velocity", [0.1, 0.2])])
        assert scorer.asked == []

    def test_one_that_allows_everything_changes_nothing(self) -> None:
        plain = Rig(panda()).arm()
        watched = Rig(scored(panda()), scorer=always(0.0)).arm()
        rng = np.random.default_rng(1)
        for k in range(300):
            values = rng.uniform(-2.0, 2.0, 7)
            for rig in (plain, watched):
                rig.tick(None if k % 3 else rig.velocity(values))
            mine, theirs = plain.decisions[-1], watched.decisions[-1]
            assert mine.setpoint.q.tobytes() == theirs.setpoint.q.tobytes()
            assert mine.outcome is theirs.outcome

    def test_a_motion_that_the_limits_changed_is_scored_again(self) -> None:
        """The wall stops the carriage; what is then executed is not what was scored."""
        scorer = always(0.0)
        rig = Rig(scored(slider(), rescore_deviation=0.02), scorer=scorer).arm()
        chunk = np.tile([0.0, 0.9], (20, 1))
        rig.tick(rig.command("joint_velocity", chunk, period_ms=50.0))
        for _ in range(240):
            rig.tick()
        assert len(scorer.asked) > 1
        assert all(elapsed > 0.0 for _, elapsed in scorer.asked[1:])

    @pytest.mark.parametrize("mode", ["tcp_twist", "tcp_delta"])
    def test_a_command_of_the_tool_is_followed_as_it_was_scored(self, mode: Mode) -> None:
        """Lag behind the target is none of it; a motion that is held back is."""
        row = np.array([0.0, 0.0, 0.05, 0.0, 0.0, 0.1]) * (1.0 if mode == "tcp_twist" else 0.05)
        for size, again in ((1.0, False), (40.0, True)):
            scorer = always(0.0)
            rig = Rig(scored(panda(), rescore_deviation=0.05), scorer=scorer).arm()
            rig.tick(rig.command(mode, np.tile(size * row, (8, 1)), period_ms=50.0))
            for _ in range(90):
                rig.tick()
            assert (len(scorer.asked) > 1) is again
            assert all(asked.shape == (8, 6) for asked, _ in scorer.asked)

    def test_and_a_veto_then_ends_it(self) -> None:
        scorer = always(0.0)
        rig = Rig(scored(slider(), rescore_deviation=0.02), scorer=scorer).arm()
        rig.tick(rig.command("joint_velocity", np.tile([0.0, 0.9], (20, 1)), period_ms=50.0))
        scorer._risk = lambda rows: 1.0
        outcomes = [rig.tick().outcome for _ in range(240)]
        assert Outcome.RESAMPLE in outcomes
        first = outcomes.index(Outcome.RESAMPLE)
        assert set(outcomes[:first]) <= {Outcome.PASS, Outcome.CLAMP}
        assert rig.decisions[first + 1].stop_tick == 1
        rig.brake()
        assert_within(rig.limits, rig.stream)


class TestExecuted:
    """The robot reports what it played; the next setpoint continues from exactly that."""

    def test_a_robot_that_played_the_stop_is_continued_from_there(self) -> None:
        rig = Rig(panda()).arm()
        sent = rig.run(0.4, 60)
        rig.q, rig.dq, _ = sent.setpoint.stop.sample(3)
        decision = rig.tick(rig.velocity(0.4), executed=Executed(sent.seq, 3))
        assert decision.accepted == 0
        assert decision.stop_tick == 0
        assert decision.continues == (sent.seq, 3)
        played = [sent.setpoint.stop.sample(tick)[0] for tick in (1, 2, 3)]
        assert_within(rig.limits, [*rig.stream[:-1], *played, decision.setpoint.q])

    def test_an_earlier_setpoint_can_be_what_was_played(self) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.4, 60)
        old, stream = rig.decisions[-4], rig.stream[:-3]  # three were decided and never arrived
        rig.q, rig.dq, _ = old.setpoint.stop.sample(3)
        decision = rig.tick(rig.velocity(0.4), executed=Executed(old.seq, 3))
        assert decision.stop_tick == 0
        played = [old.setpoint.stop.sample(tick)[0] for tick in (1, 2, 3)]
        assert_within(rig.limits, [*stream, *played, decision.setpoint.q])

    def test_a_robot_that_has_rested_for_long_is_continued_from_rest(self) -> None:
        rig = Rig(panda()).arm()
        sent = rig.run(0.4, 60)
        rig.q, rig.dq, _ = sent.setpoint.stop.sample(5000)
        decision = rig.tick(rig.velocity(0.1), executed=Executed(sent.seq, 5000))
        assert decision.outcome is Outcome.PASS
        assert np.abs(decision.setpoint.q - rig.stream[-2]).max() < 0.1

    @pytest.mark.parametrize(
        "executed", [Executed(999, 0), Executed(-1, 0), Executed(60, -1), Executed(60, 10**9)]
    )
    def test_what_is_not_known_cannot_be_continued(self, executed: Executed) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.2, 60)
        decision = rig.tick(rig.velocity(0.2), executed=executed)
        assert decision.outcome is Outcome.STOP
        assert decision.stop_state.cause == "executed setpoint is unknown"

    def test_only_the_last_setpoints_are_known(self) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.2, 60)
        assert rig.tick(executed=Executed(60 - 16, 0)).outcome is Outcome.STOP

"""What a decision does about risk, step by step: drift from what was scored, vetoes that wait."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.controller.test_decide_steps import T, memory_of, plan_of
from tests.drive import Rig
from tests.robots import NO_CLASSIFIER, slider, turntable
from tests.scoring import always, by_first_value, scored
from tests.seeing import names

from checkrein.controller import Outcome


class TestDrift:
    """How far the executed motion has left the one that was scored."""

    def test_of_velocities_it_is_what_was_not_gone(self) -> None:
        rig = Rig(scored(slider(), rescore_deviation=10.0), scorer=always(0.0)).arm()
        asked = np.array([0.5, 0.3])
        rig.tick(rig.velocity(asked))
        missing = np.zeros(2)
        for _ in range(12):
            missing += (rig.dq - asked) * T
            drift = plan_of(rig).drift
            assert drift is not None
            np.testing.assert_allclose(drift, missing, atol=1e-15)
            rig.tick()

    def test_of_positions_it_is_the_distance(self) -> None:
        rig = Rig(scored(slider(), rescore_deviation=10.0), scorer=always(0.0)).arm()
        target = np.array([0.1, 0.35])
        rig.tick(rig.command("joint_position", target))
        for _ in range(5):
            drift = plan_of(rig).drift
            assert drift is not None
            np.testing.assert_allclose(drift, rig.q - target, atol=1e-15)
            rig.tick()

    @pytest.mark.parametrize(("allowed", "times"), [(10.0, 1), (1e-9, 10), (None, 1)])
    def test_beyond_what_is_declared_it_is_scored_again(
        self, allowed: float | None, times: int
    ) -> None:
        scorer = always(0.0)
        rig = Rig(scored(turntable(), rescore_deviation=allowed), scorer=scorer).arm()
        rig.tick(rig.velocity(0.5))
        for _ in range(9):
            assert rig.tick().outcome in (Outcome.PASS, Outcome.CLAMP)
        assert len(scorer.asked) == times
        assert (plan_of(rig).drift is None) is (allowed is None)

    def test_what_is_declared_is_still_allowed(self) -> None:
        allowed = 10.0
        for times in (1, 1, 2):  # any; exactly as much; a bit less
            scorer = always(0.0)
            rig = Rig(scored(turntable(), rescore_deviation=allowed), scorer=scorer).arm()
            rig.tick(rig.velocity(0.5))
            drift = plan_of(rig).drift
            assert drift is not None
            rig.tick()
            assert len(scorer.asked) == times
            allowed = abs(float(drift[0])) if allowed == 10.0 else float(np.nextafter(allowed, 0.0))

    def test_one_joint_is_enough_on_either_side(self) -> None:
        """Drift is negative where the robot is behind, positive where it is ahead."""
        for sign in (1.0, -1.0):
            scorer = always(0.0)
            rig = Rig(scored(slider(), rescore_deviation=1e-3), scorer=scorer).arm()
            rig.tick(rig.velocity([0.0, sign * 0.5]))
            for _ in range(9):
                rig.tick()
            assert len(scorer.asked) > 1


class TestVeto:
    def test_a_plan_goes_on_clamped_while_a_veto_waits_for_another(self) -> None:
        """What the limits change is found, and it is still another proposal that is asked for."""
        rig = Rig(scored(turntable()), scorer=by_first_value()).arm()
        fast = rig.command("joint_velocity", [[0.4], [9.0], [9.0]], period_ms=8.0)
        assert rig.tick(fast).stop_tick == 0
        for _ in range(4):
            rig.tick()
        decision = rig.tick(rig.velocity(0.9))
        assert decision.outcome is Outcome.RESAMPLE
        assert decision.resample
        assert names(decision) >= {"classifier", "joint_velocity"}
        assert decision.command_seq == fast.seq
        assert decision.stop_tick == 0
        assert rig.dq[0] > 0.0

    def test_it_waits_until_the_deadline_and_no_longer(self) -> None:
        limits = scored(turntable())
        deadline = round(limits.timing.resample_deadline_ms / 4.0)
        rig = Rig(limits, scorer=by_first_value()).arm()
        rig.tick(rig.command("joint_velocity", [[0.1]] * 200, period_ms=20.0))
        outcomes = [rig.tick(rig.velocity(0.9)).outcome]
        since = rig.now_ns
        outcomes += [rig.tick().outcome for _ in range(deadline + 2)]
        late = outcomes.index(Outcome.REFUSE)
        assert set(outcomes[:late]) == {Outcome.RESAMPLE}
        assert late == deadline + 1
        assert rig.decisions[1 + late].stop_tick == 1
        assert memory_of(rig).resample_since_ns == since
        assert rig.tick(rig.velocity(0.2)).accepted == 0
        assert memory_of(rig).resample_since_ns is None

    def test_what_waits_is_asked_for_again_in_every_tick(self) -> None:
        rig = Rig(scored(turntable()), scorer=by_first_value()).arm()
        risk, bound = 0.9, 0.5
        found = rig.tick(rig.velocity(risk)).findings[0]
        assert (found.value, found.bound) == (risk, bound)
        assert found.margin == pytest.approx(bound - risk)
        again = rig.tick()
        assert again.resample
        assert [f.limit for f in again.findings] == ["classifier"]
        assert np.isnan(again.findings[0].value)

    def test_no_classifier_no_digest(self) -> None:
        rig = Rig(replace(turntable(), classifier=NO_CLASSIFIER)).arm()
        assert rig.tick(rig.velocity(0.1)).classifier_sha256 is None
        assert rig.decisions[-1].scores == ()

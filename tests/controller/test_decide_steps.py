"""What a decision hands to the next, step by step: on robots so small that each step is exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.controller.test_recovery import IN, OUT, rail
from tests.drive import Rig
from tests.gripping import Hand, gripping, towards
from tests.robots import half_space, slider, turntable, with_joint
from tests.seeing import DECLARED, World, ahead, names, seeing

from checkrein.controller import Outcome
from checkrein.controller.conclusion import HISTORY, status_of
from checkrein.controller.decide import REBASE_TICKS_MAX
from checkrein.controller.decision import StopCategory
from checkrein.controller.memory import Memory, Plan
from checkrein.controller.stop_state import Phase
from checkrein.limits import Executed, Limits
from checkrein.limits.core import Core

T = turntable().period_s


def memory_of(rig: Rig) -> Memory:
    assert rig.guard.memory is not None
    return rig.guard.memory


def plan_of(rig: Rig) -> Plan:
    plan = memory_of(rig).plan
    assert plan is not None
    return plan


def lagging(ticks: int = 9) -> Limits:
    """A turntable whose measurement lags behind, and may be off by much."""
    limits = with_joint(turntable(), 0, tracking_error=0.5)
    return replace(limits, timing=replace(limits.timing, latency_ticks=ticks))


class TestExecuted:
    @pytest.mark.parametrize("played", [0, 1, 3])
    def test_the_trail_holds_the_ticks_that_were_played_and_no_others(self, played: int) -> None:
        rig = Rig(lagging()).arm()
        sent = rig.run(0.3, 20)
        rig.run(0.3, 2)  # which never arrive
        rig.q, rig.dq, _ = sent.setpoint.stop.sample(played)
        decision = rig.tick(rig.velocity(0.3), executed=Executed(sent.seq, played))
        assert decision.stop_tick == 0
        passed = [(tick.seq, tick.stop_tick) for tick in memory_of(rig).trail]
        expected = [(sent.seq - 1, 0), *((sent.seq, k) for k in range(played + 1))]
        assert passed[-len(expected) - 1 :] == [*expected, (decision.seq, 0)]

    @pytest.mark.parametrize("played", [0, 1, 2])
    def test_ticks_of_the_last_stop_that_were_played_are_continued(self, played: int) -> None:
        """Not the setpoint itself: the robot has braked since."""
        rig = Rig(turntable()).arm()
        sent = rig.run(0.3, 20)
        rig.q, rig.dq, ddq = sent.setpoint.stop.sample(played)
        before = rig.q + rig.dq * T + ddq * T * T / 2.0
        decision = rig.tick(rig.velocity(0.3), executed=Executed(sent.seq, played))
        assert decision.continues == (sent.seq, played)
        assert abs(rig.q - before)[0] <= 2500.0 * T**3 / 6.0 + 1e-12
        assert plan_of(rig).anchor.shape == (2, 1)
        assert rig.tick().continues == (decision.seq, 0)

    @pytest.mark.parametrize("played", [0, 2])
    def test_a_latched_stop_goes_on_from_what_was_played(self, played: int) -> None:
        rig = Rig(turntable()).arm()
        sent = rig.run(0.3, 20)
        rig.tick(q=[np.nan])
        decision = rig.tick(executed=Executed(sent.seq, played))
        assert decision.continues == (sent.seq, played)
        np.testing.assert_allclose(rig.q, sent.setpoint.stop.sample(played + 1)[0], atol=1e-12)
        unknown = rig.tick(executed=Executed(999, 0))
        assert (unknown.outcome, unknown.error) == (Outcome.STOP, None)
        assert unknown.continues == (decision.seq, 0)

    @pytest.mark.parametrize("more", [0, 1, 2, 5, 100])
    def test_a_rest_behind_the_stop_is_as_long_as_it_was(self, more: int) -> None:
        rig = Rig(lagging()).arm()
        sent = rig.run(0.02, 4)
        ticks = sent.setpoint.stop.ticks_total + more
        rig.q, rig.dq, _ = sent.setpoint.stop.sample(ticks)
        rig.tick(rig.velocity(0.0), executed=Executed(sent.seq, ticks))
        trail = memory_of(rig).trail
        resting = [tick for tick in trail[:-1] if not tick.motion[:-1, 1].any()]
        assert len([t for t in resting if t.seq == sent.seq]) == 1 + min(more, len(trail) - 2, 15)
        assert len(trail) <= 17

    @pytest.mark.parametrize(
        ("stop_tick", "outcome"),
        [
            (REBASE_TICKS_MAX, Outcome.PASS),
            (REBASE_TICKS_MAX + 1, Outcome.STOP),
            (0, Outcome.PASS),
            (-1, Outcome.STOP),
        ],
    )
    def test_so_many_ticks_of_a_stop_may_have_been_played(
        self, stop_tick: int, outcome: Outcome
    ) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.0, 2)
        decision = rig.tick(rig.velocity(0.0), executed=Executed(2, stop_tick))
        assert decision.outcome is outcome

    @pytest.mark.parametrize(
        ("back", "outcome"), [(HISTORY - 1, Outcome.PASS), (HISTORY, Outcome.STOP)]
    )
    def test_the_last_sixteen_setpoints_are_known(self, back: int, outcome: Outcome) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.0, 20)
        assert rig.tick(rig.velocity(0.0), executed=Executed(20 - back, 0)).outcome is outcome
        assert [seq for seq, _ in memory_of(rig).history][-1] == 21


class TestPlan:
    def test_a_command_is_anchored_where_the_stream_is(self) -> None:
        """Also where the robot says that it has played another motion than the last."""
        rig = Rig(slider()).arm()
        before = rig.run([0.2, 0.1], 9)
        rig.tick(rig.velocity([0.1, 0.1]))
        assert plan_of(rig).anchor.shape == (2, 2)
        np.testing.assert_array_equal(plan_of(rig).anchor, [before.setpoint.q, before.setpoint.dq])
        rig.q, rig.dq, _ = before.setpoint.stop.sample(1)
        played = rig.q
        rig.tick(rig.velocity([0.1, 0.1]), executed=Executed(before.seq, 1))
        np.testing.assert_allclose(plan_of(rig).anchor[0], played, atol=1e-12)

    @pytest.mark.parametrize("rows", [1, 3])
    def test_rows_have_their_period_and_a_single_one_has_none(self, rows: int) -> None:
        rig = Rig(turntable()).arm()
        values = [[0.1]] * rows if rows > 1 else [0.1]
        rig.tick(rig.command("joint_velocity", values, period_ms=20.0 if rows > 1 else None))
        assert plan_of(rig).rows.shape == (rows, 1)
        assert plan_of(rig).row_period_s == (0.02 if rows > 1 else 0.0)

    def test_a_turn_is_completed_on_the_branch_where_the_joint_is(self) -> None:
        """A continuous joint that has turned once is led to the nearest such angle, not back."""
        limits = with_joint(
            turntable(), 0, type="continuous", position_targets="nearest", min_position=-50.0,
            max_position=50.0,
        )  # fmt: skip
        rig = Rig(limits, q=[6.0]).arm()
        rig.run(1.0, 10)
        rig.tick(rig.command("joint_position", [0.0]))
        assert float(plan_of(rig).rows[0, 0]) == pytest.approx(2.0 * np.pi)

    @pytest.mark.parametrize("ticks", [1, 4])
    def test_it_ends_after_its_time_and_is_said_to_be_over(self, ticks: int) -> None:
        rig = Rig(turntable()).arm()
        rig.tick(rig.velocity(0.0, valid_ms=4.0 * ticks))
        assert plan_of(rig).ticks == ticks
        for _ in range(ticks - 1):
            assert rig.tick().outcome is Outcome.PASS
        for over in range(2):
            decision = rig.tick()
            assert decision.outcome is Outcome.REFUSE
            expected = ["command_expired"] if over == 0 else []
            assert [found.limit for found in decision.findings] == expected
            assert all(found.value == 0.0 for found in decision.findings)
            assert memory_of(rig).plan is None
            assert decision.command_seq is None
            assert decision.stop_tick == over + 1

    def test_the_next_sequence_number_is_higher_than_all_that_were_admitted(self) -> None:
        rig = Rig(turntable()).arm()
        rig.tick([rig.velocity(0.05, seq=seq) for seq in (5, 9, 7)])
        assert memory_of(rig).command_seq == 9
        for seq, name in ((9, "replayed"), (8, "replayed"), (10, "replayed")):
            found = rig.tick(rig.velocity(0.05, seq=seq)).findings
            assert (name in [finding.limit for finding in found]) is (seq < 10)


@pytest.mark.parametrize(
    ("phase", "latched", "category"),
    [
        (Phase.RUNNING, False, StopCategory.NONE),
        (Phase.STOPPING, False, StopCategory.CAT2),
        (Phase.AT_REST, False, StopCategory.CAT2),
        (Phase.LATCHED_STOPPING, True, StopCategory.CAT1),
        (Phase.LATCHED_AT_REST, True, StopCategory.CAT1),
    ],
)
def test_only_a_latched_stop_has_the_declared_category(
    phase: Phase, latched: bool, category: StopCategory
) -> None:
    status = status_of(phase, None, 3, "cat1")
    assert (status.latched, status.category, status.rest_in_ticks) == (latched, category, 3)
    assert status.phase == phase.value.removeprefix("latched_")


class TestStops:
    def test_a_late_tick_drops_the_proposal_and_the_plan(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.2, 8)
        decision = rig.tick(rig.velocity(0.2), period_ns=30_000_000)
        assert decision.outcome is Outcome.REFUSE
        assert decision.stop_tick == 1
        assert "period" in names(decision)
        assert memory_of(rig).plan is None
        assert rig.tick(rig.velocity(0.2)).outcome is Outcome.PASS

    def test_its_ticks_are_counted_until_something_moves(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(0.2, 8)
        left = rig.decisions[-1].setpoint.stop.ticks_total
        for tick in range(1, left + 3):
            decision = rig.tick([])
            assert decision.stop_tick == tick
            assert decision.stop_state.phase == ("stopping" if tick < left else "at_rest")
            assert decision.stop_state.rest_in_ticks == max(0, left - tick)
        assert [rig.tick(rig.velocity(0.2)).stop_tick, rig.tick([]).stop_tick] == [0, 1]

    def test_a_latched_stop_is_played_to_rest_and_forgets_the_plan(self) -> None:
        rig = Rig(turntable()).arm()
        stop = rig.run(0.5, 30).setpoint.stop
        for tick in range(1, stop.ticks_total + 3):
            bad: dict[str, Any] = {"q": [np.nan]} if tick == 1 else {}
            decision = rig.tick(rig.velocity(0.5), **bad)
            assert decision.outcome is Outcome.STOP
            assert decision.stop_state.latched
            assert "non_finite" in str(decision.stop_state.cause)
            assert memory_of(rig).plan is None
            np.testing.assert_allclose(rig.q, stop.sample(tick)[0], atol=1e-12)
            phase = "stopping" if tick < stop.ticks_total else "at_rest"
            assert decision.stop_state.phase == phase


class TestRamp:
    def test_only_ticks_that_move_use_it_up(self) -> None:
        """After arming a robot is slow for so many ticks of motion, not of waiting."""
        rig = Rig(replace(turntable(), ramp_s=5.0 * T)).arm()
        assert memory_of(rig).ramp_ticks == 5
        rig.tick([])
        assert memory_of(rig).ramp_ticks == 5
        left = []
        for _ in range(7):
            rig.tick(rig.velocity(0.05))
            left.append(memory_of(rig).ramp_ticks)
        assert left == [4, 3, 2, 1, 0, 0, 0]


class TestWayBack:
    def test_a_wall_that_appears_around_a_robot_at_rest_begins_the_way_back(self) -> None:
        """From rest too near, nothing else would ever be certified."""
        free = replace(slider(), volumes=())
        rig = Rig(free, q=[0.0, 0.5]).arm()
        rig.tick(rig.velocity(0.0))
        rig.guard.tighten(replace(rail(), sha256="2" * 64))
        decision = rig.tick(rig.velocity(OUT))
        assert decision.outcome in (Outcome.PASS, Outcome.CLAMP)
        assert decision.stop_tick == 0
        back = memory_of(rig).back
        assert back is not None
        assert rig.guard.recovering
        rig.run(OUT, 4)
        assert -0.1 <= rig.dq[1] < 0.0

    def test_while_it_moves_the_stop_is_played_before_there_is_a_way_back(self) -> None:
        free = replace(slider(), volumes=())
        rig = Rig(free, q=[0.0, 0.5]).arm()
        stop = rig.run(IN, 5).setpoint.stop
        rig.guard.tighten(replace(rail(), sha256="2" * 64))
        for tick in range(1, stop.ticks_total + 1):
            decision = rig.tick(rig.velocity(OUT))
            assert "environment_changed" in names(decision)
            assert decision.stop_tick == tick
            assert memory_of(rig).back is None
            assert memory_of(rig).changed_seq == decision.seq
            phase = "stopping" if tick < stop.ticks_total else "at_rest"
            assert decision.stop_state.phase == phase
        rig.tick(rig.velocity(OUT))
        assert memory_of(rig).back is not None

    def test_setpoints_from_before_a_gain_are_certified_again_if_they_are_continued(self) -> None:
        rig = Rig(rail(), q=[0.0, 0.5])
        rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)
        rig.tick(rig.velocity(0.0))
        assert memory_of(rig).changed_seq == -1
        eased = memory_of(rig).back
        for _ in range(20):
            rig.tick(rig.velocity(OUT))
            now = memory_of(rig)
            assert (now.changed_seq == now.seq - 1) is (now.back is not eased)
            eased = now.back
        assert memory_of(rig).changed_seq > 0

    @pytest.mark.parametrize("way", [IN, [0.0, 0.01]])
    def test_what_does_not_lead_away_is_not_sent_and_said_for_where_it_is(self, way: Any) -> None:
        """How near it is now, and how near it may be; the stop is played instead."""
        rig = Rig(rail(), q=[0.0, 0.5])
        rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)
        rig.run(OUT, 20)
        rig.brake()
        gap = Core(rig.limits).clearance(rig.q)
        seen = False
        for _ in range(6):
            at = rig.q
            decision = rig.tick(rig.velocity(way))
            np.testing.assert_array_equal(rig.q, at)
            assert decision.outcome is Outcome.CLAMP
            for found in decision.findings:
                if found.limit == "recovery":
                    assert found.subject == "workspace of link1/wall"
                    assert found.value == pytest.approx(gap, abs=1e-9)
                    seen = True
        assert seen


class TestSeeing:
    def test_a_tick_that_moves_is_certified_against_what_is_trusted(self) -> None:
        limits = seeing(slider())
        world = World(limits, ahead(limits, 0.3))
        world.run([0.1, 0.0], 4)
        seen = memory_of(world.rig).seen
        assert seen.certified is seen.trusted is not None
        assert (seen.certified_ns, seen.ticks) == (world.rig.now_ns, 1)

    def test_what_is_not_declared_is_not_looked_at(self) -> None:
        rig = Rig(replace(slider(), volumes=(half_space("w", [0, 1.0, 0], -3.0, "keep_out"),)))
        rig.arm().run(0.05, 3)
        assert memory_of(rig).seen == type(memory_of(rig).seen)()

    def test_silence_is_noticed_without_a_word_from_the_camera(self) -> None:
        """From the tick on in which the last cloud is older than it may be."""
        limits = seeing(slider())
        world = World(limits)
        world.run([0.1, 0.0], 4)
        oldest = round(DECLARED.max_age_ms / (limits.period_s * 1e3))
        for k in range(oldest + 3):
            decision = world.rig.tick(world.rig.velocity([0.1, 0.0]))
            is_stale = "obstacles_stale" in names(decision)
            assert is_stale is (k + 1 > oldest)
            assert (decision.outcome is Outcome.REFUSE) is is_stale
        assert world.rig.decisions[-1].stop_tick > 0

    def test_a_tick_of_the_stop_is_not_taken_for_a_new_certificate(self) -> None:
        """Its age counts from the last tick that was certified, so that it is looked at again."""
        world = World(seeing(slider()))
        world.run([0.3, 0.0], 12)
        since = world.rig.now_ns
        for ticks in (2, 3, 4):
            world.rig.tick([])
            seen = memory_of(world.rig).seen
            assert (seen.certified_ns, seen.ticks) == (since, ticks)


def test_a_command_that_is_over_asks_nothing_of_the_gripper() -> None:
    robot = Hand(gripping(turntable()))
    rig = robot.rig
    robot.tick(rig.velocity(0.0, gripper=towards(0.0), valid_ms=4.0))
    decision = robot.tick(None)
    assert names(decision) == {"command_expired"}
    assert decision.outcome is Outcome.REFUSE

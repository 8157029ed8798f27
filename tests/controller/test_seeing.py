"""Obstacles in the filter: a timeline of clouds; see tests.seeing for the judge."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig, assert_within
from tests.robots import panda, slider
from tests.seeing import DECLARED, FAR, World, ahead, clearances, names, seeing

from checkrein.controller import BatchFilter, Decision, Outcome
from checkrein.controller.decision_frame import encode_decision
from checkrein.controller.errors import ArmError
from checkrein.limits import Executed, Obstacles


class TestArming:
    def test_what_is_required_must_be_there(self) -> None:
        with pytest.raises(ArmError, match=r"obstacles_missing.*perception\.required"):
            Rig(seeing(slider())).arm()

    def test_what_is_not_required_need_not(self) -> None:
        rig = Rig(seeing(slider(), required=False)).arm()
        assert rig.run([0.1, 0.0], 10).outcome is Outcome.PASS

    def test_what_is_not_declared_is_refused_with_the_way_out(self) -> None:
        with pytest.raises(ArmError, match=r"declare no perception.*declare `perception`, or"):
            Rig(slider()).arm(obstacles=Obstacles(FAR, 0.1, 1_000_000_000))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"points": [[math.nan, 0.0, 0.0]]}, r"non_finite of obstacles\.points"),
            ({"points": np.full((51, 3), 5.0)}, "wrong_length.*51 points"),
            ({"speed_m_s": 1.6}, r"obstacles_speed.*1\.6 m/s against a bound of 1\.5"),
            ({"stamp_ns": 0}, "obstacles_stale"),
            ({"stamp_ns": 2_000_000_000}, "obstacles_stale"),
        ],
    )
    def test_what_cannot_be_trusted_is_refused(self, changes: dict[str, Any], message: str) -> None:
        values = {"points": FAR, "radius_m": 0.1, "stamp_ns": 1_000_000_000, **changes}
        with pytest.raises(ArmError, match=message):
            Rig(seeing(slider())).arm(obstacles=Obstacles(**values))

    def test_a_robot_at_rest_may_be_armed_beside_an_obstacle_and_stays(self) -> None:
        limits = seeing(slider())
        world = World(limits, ahead(limits, -0.01))
        decision = world.run([0.3, 0.3], 5)
        assert not world.rig.dq.any()
        found = next(finding for finding in decision.findings if finding.limit == "obstacles")
        assert found.subject == "link1/0"
        assert found.margin < 0.0

    def test_a_batch_takes_none(self) -> None:
        with pytest.raises(ValueError, match=r"perception\.required: a batch takes no obstacles"):
            BatchFilter(seeing(slider()), 2)


class TestMoving:
    def test_far_away_nothing_changes(self) -> None:
        world, rig = World(seeing(slider())), Rig(replace(slider(), volumes=())).arm()
        for _ in range(60):
            decision = world.tick(world.rig.velocity([0.2, 0.1]))
            assert decision.outcome is rig.tick(rig.velocity([0.2, 0.1])).outcome
            assert np.array_equal(world.rig.q, rig.q)
        assert rig.decisions[-1].outcome is Outcome.PASS

    def test_it_stops_before_what_stands_still_and_not_far_from_it(self) -> None:
        limits = seeing(slider())
        world = World(limits, ahead(limits, 0.2))
        decision = world.run([0.0, 0.5], 200)
        assert "obstacles" in names(decision)
        assert DECLARED.standoff <= world.least <= DECLARED.standoff + 0.02
        assert world.run([0.0, -0.2], 10).outcome is Outcome.PASS
        assert_within(limits, world.rig.stream)

    def test_an_exempt_link_may_touch_it(self) -> None:
        limits = seeing(slider(), exempt=("link1",))
        world = World(limits, ahead(limits, 0.05))
        world.run([0.0, 0.5], 60)
        assert world.least < 0.0

    @pytest.mark.parametrize("age_ms", [0.0, 20.0])
    @pytest.mark.parametrize("latency", [0, 3])
    def test_what_comes_at_its_declared_speed_never_reaches_a_moving_robot(
        self, age_ms: float, latency: int
    ) -> None:
        """Seen late, by all that is declared: where it was latency and age ago."""
        limits = seeing(slider())
        limits = replace(limits, timing=replace(limits.timing, latency_ticks=latency))
        speed, T = 0.6, limits.period_s
        world = World(limits, ahead(limits, 0.7))
        late_s = (DECLARED.latency_ms + age_ms) * 1e-3
        moved = upon = 0
        for tick in range(360):
            shown = world.points + np.array([speed * late_s, 0.0, 0.0])
            proposal = world.rig.velocity([0.0, 0.3 if tick % 80 < 40 else -0.3])
            decision = world.tick(proposal, age_ms=age_ms, points=shown, speed_m_s=speed)
            assert "environment_changed" not in names(decision)
            moved += bool(world.rig.dq.any())
            upon += bool((clearances(limits, world.rig.q, world.points, 0.02) < 0.0).any())
            world.points = world.points - np.array([speed * T, 0.0, 0.0])
        assert moved > 60
        assert DECLARED.standoff - 2.0 * speed * T <= world.least < 0.2
        assert upon > 40  # and the robot rests

    def test_without_speeds_of_their_own_they_may_be_as_fast_as_declared(self) -> None:
        limits = seeing(slider())
        still, fast = (World(limits, ahead(limits, 0.3)) for _ in range(2))
        still.run([0.0, 0.5], 150)
        fast.run([0.0, 0.5], 150, speed_m_s=None)
        assert fast.rig.q[1] < still.rig.q[1] - 0.05
        assert "obstacles" in names(fast.rig.decisions[-1])


class TestTrust:
    def stale(self, world: World) -> tuple[Decision, int]:
        """Tick without a new cloud until that is found; how many ticks it took."""
        for tick in range(50):
            decision = world.tick(world.rig.velocity([0.2, 0.1]), look=False)
            if decision.outcome is Outcome.REFUSE:
                return decision, tick
        raise AssertionError("nothing happened")

    def test_silence_stops_the_robot_and_a_new_cloud_lets_it_go_on(self) -> None:
        world = World(seeing(slider()))
        world.run([0.2, 0.1], 40)
        decision, ticks = self.stale(world)
        assert names(decision) == {"obstacles_stale"}
        assert ticks == math.floor(DECLARED.max_age_ms / 4.0)
        assert decision.stop_tick == 1
        while world.rig.dq.any():
            decision = world.tick(world.rig.velocity([0.2, 0.1]), look=False)
            assert decision.outcome is Outcome.REFUSE
            assert not decision.stop_state.latched
        assert world.run([0.2, 0.1], 5).outcome is Outcome.PASS
        assert_within(world.limits, world.rig.stream)

    def test_no_cloud_is_no_news(self) -> None:
        """The same record again, and none at all, give the same decisions."""
        one, other = World(seeing(slider())), World(seeing(slider()))
        for tick in range(60):
            look = tick % 7 == 0
            first = one.tick(one.rig.velocity([0.2, 0.1]), look=look)
            if look:
                other.cloud = other.seen()
            shown = other.cloud if look else None
            second = other.rig.tick(other.rig.velocity([0.2, 0.1]), obstacles=shown)
            assert encode_decision("s", tick, first) == encode_decision("s", tick, second)

    def test_once_seen_it_is_needed_also_where_it_is_not_required(self) -> None:
        world = World(seeing(slider(), required=False))
        world.run([0.2, 0.1], 10)
        assert names(self.stale(world)[0]) == {"obstacles_stale"}

    @pytest.mark.parametrize(
        ("changes", "found"),
        [
            ({"points": [[math.nan, 0.0, 0.0]]}, "non_finite"),
            ({"points": np.zeros((2, 2))}, "non_finite"),
            ({"radius_m": math.inf}, "non_finite"),
            ({"radius_m": [0.1, 0.1]}, "non_finite"),
            ({"points": np.full((51, 3), 5.0)}, "wrong_length"),
            ({"speed_m_s": 1.6}, "obstacles_speed"),
            ({"age_ms": -9.0}, "obstacles_stale"),
        ],
    )
    def test_after_a_bad_cloud_nothing_moves_until_a_good_one(
        self, changes: dict[str, Any], found: str
    ) -> None:
        world = World(seeing(slider()))
        world.run([0.2, 0.1], 30)
        decision = world.tick(world.rig.velocity([0.2, 0.1]), **changes)
        assert (decision.outcome, names(decision)) == (Outcome.REFUSE, {found})
        for _ in range(3):
            decision = world.tick(world.rig.velocity([0.2, 0.1]), look=False)
            assert (decision.outcome, names(decision)) == (Outcome.REFUSE, {found})
        assert world.run([0.2, 0.1], 1).outcome in (Outcome.PASS, Outcome.CLAMP)
        assert_within(world.limits, world.rig.stream)

    def test_an_older_cloud_takes_nothing_back(self) -> None:
        limits = seeing(slider())
        world = World(limits, ahead(limits, 0.25))
        world.run([0.0, 0.3], 10)
        for _ in range(60):
            world.tick(world.rig.velocity([0.0, 0.5]))
            world.tick(world.rig.velocity([0.0, 0.5]), age_ms=30.0, points=FAR)
        assert world.least >= DECLARED.standoff

    def test_where_none_is_declared_one_stops_the_robot(self) -> None:
        rig = Rig(slider()).arm()
        rig.run([0.2, 0.0], 20)
        decision = rig.tick(rig.velocity(0.1), obstacles=Obstacles(FAR, 0.1, rig.now_ns))
        assert (decision.outcome, names(decision)) == (Outcome.REFUSE, {"undeclared"})


class TestChange:
    def test_what_appears_beyond_the_stop_changes_nothing(self) -> None:
        limits = seeing(slider())
        world = World(limits)
        world.run([0.0, 0.3], 60)
        end = world.rig.decisions[-1].setpoint.stop.sample(10_000)[0]
        world.points = ahead(limits, 0.06, end)
        decision = world.tick()
        world.run([0.0, 0.3], 80)
        assert all("environment_changed" not in names(d) for d in world.rig.decisions)
        assert decision.outcome is not Outcome.STOP
        assert world.least >= DECLARED.standoff

    def test_what_appears_on_the_way_is_said_and_the_stop_goes_on(self) -> None:
        limits = seeing(slider())
        world = World(limits)
        world.run([0.0, 0.4], 60)
        stop = world.rig.decisions[-1].setpoint.stop
        world.points = ahead(limits, 0.035, world.rig.q)
        for tick in range(1, stop.ticks_total):
            decision = world.tick(world.rig.velocity([0.0, 0.4]))
            assert names(decision) >= {"obstacles", "environment_changed"}
            assert decision.outcome is Outcome.REFUSE
            assert not decision.stop_state.latched
            np.testing.assert_allclose(world.rig.q, stop.sample(tick)[0], atol=1e-12)
        world.tick()
        assert not world.rig.dq.any()
        decision = world.tick(world.rig.velocity([0.0, 0.4]))
        assert "environment_changed" not in names(decision)  # a robot at rest needs no stop

    def test_time_that_runs_away_has_the_stop_certified_again(self) -> None:
        """The certificate assumed that a tick takes half as much again, and no longer."""
        limits = seeing(slider(), max_age_ms=1000.0)
        for late, is_found in ((1, False), (40, True)):
            world = World(limits, ahead(limits, 0.5))
            while "obstacles" not in names(world.run([0.0, 0.5], 1, speed_m_s=0.9)):
                assert len(world.rig.decisions) < 300
            assert world.rig.dq.any()
            world.rig.now_ns += (late - 1) * world.rig.period_ns
            decision = world.tick(look=False)
            assert ("environment_changed" in names(decision)) is is_found

    def test_a_setpoint_that_was_never_played_has_it_certified_again(self) -> None:
        """The robot played the stop of an older setpoint, which an older cloud certified."""
        limits = seeing(slider())
        world = World(limits)
        world.run([0.0, 0.4], 60)
        before = world.rig.decisions[-1]
        world.run([0.0, -0.4], 1)
        q, dq, _ = before.setpoint.stop.sample(1)
        world.points = ahead(limits, 0.035, q)
        rig = world.rig
        rig.q, rig.dq = q, dq
        decision = rig.tick(obstacles=world.seen(), executed=Executed(before.seq, 1))
        assert "environment_changed" in names(decision)


def test_the_panda_is_kept_away_from_many_points_on_all_sides() -> None:
    """Whole body, all limits: 2 000 points, random motion, some of them in the way."""
    limits = replace(panda(), volumes=())
    limits = replace(seeing(limits), perception=replace(DECLARED, max_points=2000))
    rng = np.random.default_rng(5)
    points = rng.uniform(-0.9, 0.9, (6000, 3))
    world = World(limits, points[clearances(limits, limits.home, points, 0.02) > 0.05][:2000])
    speeds, outcomes = np.zeros(7), set()
    for tick in range(400):
        if tick % 60 == 0:
            speeds = rng.uniform(-0.5, 0.5, 7) * [j.max_velocity for j in limits.joints]
        outcomes |= names(world.tick(world.rig.velocity(speeds), look=tick % 8 == 0))
    assert "obstacles" in outcomes
    assert "environment_changed" not in outcomes
    assert DECLARED.standoff <= world.least <= 0.05

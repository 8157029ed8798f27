"""Obstacles in the filter: a timeline of clouds, and a judge that knows where everything really is.

The judge measures the distance of points from the capsules with slow kinematics of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig, assert_within
from tests.limits.slow_chain import capsule_axes
from tests.robots import panda, slider

from checkrein.controller import BatchFilter, Decision, Outcome
from checkrein.controller.audit import AuditLog, DecisionRecord, decode_record
from checkrein.controller.audit_replay import replay
from checkrein.controller.audit_writer import AuditFile
from checkrein.controller.decision_frame import encode_decision
from checkrein.controller.errors import ArmError
from checkrein.controller.wire import pack_state, unpack_state
from checkrein.limits import Executed, Limits, Obstacles, OnViolation, Perception, RobotState
from checkrein.limits.records import Array

DECLARED = Perception(
    max_points=50, max_speed=1.5, latency_ms=10.0, max_age_ms=40.0, standoff=0.01, required=True,
    exempt=(),
)  # fmt: skip
FAR = [[5.0, 5.0, 5.0]]


def seeing(limits: Limits, **changes: Any) -> Limits:
    """The same robot, which looks around; the clouds alone are in its way."""
    return replace(
        limits,
        volumes=(),
        perception=replace(DECLARED, **changes),
        on_violation={**limits.on_violation, "obstacles": OnViolation.CLAMP},
    )


def clearances(limits: Limits, q: Array, points: Any, radius_m: float) -> Array:
    """Least distance [m] of each ball from any capsule."""
    least = np.full(len(points), math.inf)
    for axis, capsule in zip(capsule_axes(limits, q), limits.capsules, strict=True):
        way = axis[1] - axis[0]
        gap = np.asarray(points) - axis[0]
        share = np.clip(gap @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
        apart = np.linalg.norm(gap - share[:, None] * way, axis=1)
        least = np.minimum(least, apart - capsule.radius - radius_m)
    return least


def ahead(limits: Limits, distance_m: float, q: Array | None = None) -> Array:
    """A point (1, 3) on the rail's line, so far beyond the tip of the carriage; at home, or q."""
    axis = capsule_axes(limits, limits.home if q is None else q)[1]
    tip = np.array(axis[int(axis[:, 0].argmax())])
    tip[0] += limits.capsules[1].radius + distance_m
    return tip[None]


def names(decision: Decision) -> set[str]:
    return {finding.limit for finding in decision.findings}


class World:
    """A rig with obstacles that really are somewhere, and a camera that looks at them."""

    def __init__(self, limits: Limits, points: Any = FAR, radius_m: float = 0.02) -> None:
        self.limits, self.rig = limits, Rig(limits)
        self.points, self.radius_m = np.array(points, dtype=np.float64), radius_m
        self.cloud = self.seen(age_ms=limits.period_s * 1e3)
        self.rig.arm(obstacles=self.cloud)
        self.least = math.inf  # clearance [m] while the robot moved

    def seen(self, age_ms: float = 0.0, **changes: Any) -> Obstacles:
        """A cloud of what is there, stamped with the time of the next tick, or before."""
        stamp_ns = self.rig.now_ns + self.rig.period_ns - round(age_ms * 1e6)
        values = {"points": self.points, "radius_m": self.radius_m, "speed_m_s": 0.0, **changes}
        return Obstacles(**{"stamp_ns": stamp_ns, **values})

    def tick(self, proposal: Any = None, *, look: bool = True, **changes: Any) -> Decision:
        if look:
            self.cloud = self.seen(**changes)
        before = self.rig.q
        decision = self.rig.tick(proposal, obstacles=self.cloud)
        if not np.array_equal(before, self.rig.q):
            now = clearances(self.limits, self.rig.q, self.points, self.radius_m)
            self.least = min(self.least, float(now.min()))
        return decision

    def run(self, speed: Any, ticks: int, **changes: Any) -> Decision:
        for _ in range(ticks):
            decision = self.tick(self.rig.velocity(speed), **changes)
        return decision


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
        assert decision.outcome is Outcome.PASS

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
            cloud = {"obstacles": other.cloud} if look else {}
            second = other.rig.tick(other.rig.velocity([0.2, 0.1]), **cloud)
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


class TestElsewhere:
    def test_a_chunk_is_vetted_against_what_was_seen(self) -> None:
        limits = seeing(slider())
        world = World(limits, ahead(limits, 0.2))
        world.run([0.0, 0.1], 5)
        rig = world.rig
        rows = limits.home + np.linspace(0.0, 1.0, 60)[:, None] * [0.0, 0.4]
        chunk = rig.command("joint_position", rows[1:], period_ms=20.0, stamp_ns=rig.now_ns)
        vetted = rig.guard.vet_chunk(rig.state(), chunk, now_ns=rig.now_ns)
        assert "obstacles" in {finding.limit for _, _, finding in vetted.findings}
        assert "obstacles_stale" not in {finding.limit for _, _, finding in vetted.findings}
        assert 0 < vetted.rows_certified < vetted.rows

    @pytest.mark.parametrize(
        "cloud",
        [
            Obstacles(np.zeros((0, 3)), 0.1, 5),
            Obstacles(np.ones((3, 3)), [0.1, 0.2, 0.3], 2**60, [0.0, 1.0, 2.0]),
            Obstacles(np.full((2, 2), math.nan), 0.1, -1),
            Obstacles(np.ones((4, 3)), [0.1], 7, [1.0, 2.0]),
            Obstacles(np.ones((2, 4)), math.inf, 7),
            Obstacles(1.0, 0.1, 7),
        ],
    )
    def test_the_wire_carries_every_cloud_as_it_is(self, cloud: Obstacles) -> None:
        state = RobotState(np.zeros(2), np.zeros(2), 9, obstacles=cloud)
        again = unpack_state(pack_state(state), 2).obstacles
        assert again is not None
        assert (again.fault, again.stamp_ns) == (cloud.fault, cloud.stamp_ns)
        for name in ("points", "radius_m", "speed_m_s", "_nodes", "_balls"):
            before, after = getattr(cloud, name), getattr(again, name)
            assert (before is None) is (after is None)
            if before is not None:
                np.testing.assert_array_equal(before, after)
        bare = unpack_state(pack_state(state, with_obstacles=False), 2)
        assert bare.obstacles is None

    def test_the_audit_holds_each_cloud_once_and_replays_all_of_it(self, tmp_path: Path) -> None:
        limits, records = seeing(slider()), list[bytes]()
        log = AuditLog(lambda data, wait_ms: not records.append(data))
        world, rng = World(limits, ahead(limits, 0.3)), np.random.default_rng(3)
        rig, clouds = world.rig, 0
        log.header(limits)
        log.start("s", now_ns=rig.now_ns)
        log.arm("s", 0, rig.state(obstacles=world.cloud), now_ns=rig.now_ns)
        for tick in range(240):
            if tick % 9 == 0:
                changes = {"points": [[math.nan] * 3]} if tick % 90 == 81 else {}
                world.cloud = world.seen(age_ms=-9.0 if tick == 135 else 0.0, **changes)
                world.points = world.points + rng.normal(size=(1, 3)) * 0.01
                clouds += 1
            proposal = rig.velocity([0.1 * math.sin(tick / 9.0), 0.4])
            q, dq = rig.q, rig.dq
            decision = rig.tick(proposal, obstacles=world.cloud)
            encoded = encode_decision("s", tick, decision)
            state = rig.state(q=q, dq=dq, obstacles=world.cloud)
            log.decision("s", tick, state, (proposal,), encoded, now_ns=rig.now_ns)
        log.close("over")
        decisions = [r for r in map(decode_record, records) if isinstance(r, DecisionRecord)]
        assert sum(r.state.cloud is not None for r in decisions) == clouds
        path = tmp_path / "seen.mcap"
        with AuditFile(path) as file:
            for data in records:
                file.append(data, decode_record(data).now_ns)
        replayed = replay(path, limits)
        assert replayed.decisions == 240
        assert replayed.is_exact, replayed.problems
        found = {finding.limit for d in rig.decisions for finding in d.findings}
        assert {"obstacles", "non_finite", "obstacles_stale"} <= found


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

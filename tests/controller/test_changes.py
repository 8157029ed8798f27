"""Limits that are tightened while the robot moves: a timeline, and a stop that is never broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.controller.ideal_robot import Stand, swinging
from tests.drive import Rig, assert_inside, assert_stop_holds
from tests.robots import (
    array,
    column,
    half_space,
    panda,
    robots,
    slider,
    turntable,
    with_joint,
    with_joints,
)

from checkrein.controller import Outcome
from checkrein.controller.audit import AuditLog, decode_record
from checkrein.controller.audit_replay import replay
from checkrein.controller.audit_writer import AuditFile
from checkrein.limits import (
    Capsule,
    Executed,
    Limits,
    LooserLimitsError,
    UnknownChoiceError,
    Variant,
)
from checkrein.limits.core import Core

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


def other(limits: Limits, number: int, **changes: Any) -> Limits:
    """Limits with a digest of their own."""
    return replace(limits, sha256=f"{number:064x}", **changes)


def slower(limits: Limits, share: float, number: int = 1) -> Limits:
    joints = tuple(
        replace(
            j,
            max_velocity=max(share * j.max_velocity, 2.0 * j.velocity_error),
            recovery_velocity=min(j.recovery_velocity, share * j.max_velocity),
        )
        for j in limits.joints
    )
    return other(limits, number, joints=joints)


def is_changed(decision: Any) -> bool:
    return any(finding.limit == "environment_changed" for finding in decision.findings)


class TestTighten:
    def test_what_the_stored_stop_allows_interrupts_nothing(self) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.2, 80)
        assert rig.decisions[-1].outcome is Outcome.PASS
        rig.guard.tighten(slower(panda(), 0.9))
        decision = rig.tick()
        assert decision.outcome is Outcome.PASS
        assert decision.stop_tick == 0
        assert decision.limits_sha256 == f"{1:064x}"
        assert rig.guard.limits.sha256 == decision.limits_sha256

    def test_a_robot_that_is_too_fast_brakes_until_it_is_not_and_goes_on(self) -> None:
        robot = turntable()
        rig = Rig(robot).arm()
        rig.run(1.8, 60)
        assert rig.dq[0] > 1.5
        stop = rig.decisions[-1].setpoint.stop
        rig.guard.tighten(slower(robot, 0.5))
        ticks = 0
        while is_changed(decision := rig.tick(rig.velocity(1.8))):
            ticks += 1
            found = decision.findings[0]
            assert decision.outcome is Outcome.REFUSE
            assert not decision.stop_state.latched
            assert found.subject == "joint_velocity of turn"
            assert found.value > found.bound == pytest.approx(1.0)
            np.testing.assert_allclose(rig.q, stop.sample(ticks)[0], atol=1e-12)
        assert 10 < ticks < stop.ticks_total
        assert decision.outcome in (Outcome.PASS, Outcome.CLAMP)
        first = len(rig.stream) - 2
        rig.run(1.8, 80)
        assert_inside(robot, rig.stream)
        assert_inside(rig.guard.limits, rig.stream[first:])
        assert rig.dq[0] == pytest.approx(1.0, abs=1e-3)

    def test_a_wall_that_appears_on_the_way_stops_it_and_behind_it_nothing_moves_in(self) -> None:
        robot = replace(slider(), volumes=())
        rig = Rig(robot).arm()
        rig.run([0.0, 0.4], 60)
        tip = rig.q[1] + 0.14  # 0.05 m to the rail, 0.09 m to the end of its capsule
        rig.guard.tighten(
            other(robot, 2, volumes=(half_space("wall", [-1.0, 0, 0], -tip - 0.01, "keep_out"),))
        )
        decision = rig.tick(rig.velocity([0.0, 0.4]))
        assert is_changed(decision)
        assert decision.findings[0].subject == "workspace of link1/wall"
        assert decision.findings[0].margin < 0.0
        rig.brake()
        assert rig.decisions[-1].stop_state.phase == "at_rest"
        within = rig.q[1]
        assert within + 0.14 > tip + 0.01  # the stop of before leads beyond the new wall
        for _ in range(40):
            rig.tick(rig.velocity([0.0, 0.4]))
        assert [found.subject for found in rig.guard.recovering] == ["workspace of link1/wall"]
        assert rig.q[1] <= within + 2e-4
        rig.run([0.0, -0.4], 10)
        rig.guard.tighten(slower(rig.guard.limits, 0.9, 5))  # on the way back, in motion
        assert rig.guard.recovering == ()  # until it rests, and is looked at anew
        rig.tick(rig.velocity([0.0, -0.4]))
        assert is_changed(rig.decisions[-1])
        rig.brake()
        rig.run([0.0, -0.4], 400)
        assert rig.decisions[-1].stop_state.phase == "running"
        assert rig.guard.recovering == ()
        assert rig.q[1] + 0.14 < tip + 0.01

    def test_a_range_that_is_narrowed_behind_a_joint_is_left_slowly_and_inwards_only(self) -> None:
        robot = turntable(recovery_velocity=0.1)
        rig = Rig(robot).arm()
        rig.run(1.0, 250)
        rig.brake()
        assert rig.q[0] > 0.5
        narrow = other(with_joints(robot, max_position=0.4), 3)
        rig.guard.tighten(narrow)
        before = rig.q[0]
        assert rig.run(0.5, 50).outcome is not Outcome.PASS
        assert rig.q[0] <= before + 1e-9
        first = len(rig.stream) - 1
        rig.run(-2.0, 3000)
        assert rig.q[0] < 0.0
        moved = np.diff(np.array(rig.stream[first:])[:, 0]) / robot.period_s
        outside = np.array(rig.stream[first:-1])[:, 0] > 0.4 + 1e-9
        assert outside.sum() > 500
        assert (moved[outside] <= 1e-9).all()
        assert (moved[outside] >= -0.1 - 1e-9).all()

    def test_looser_limits_are_refused_and_change_nothing(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(1.0, 20)
        before = rig.guard.limits, rig.guard.memory
        with pytest.raises(LooserLimitsError, match=r"joints\.turn\.max_velocity: 2\.1 rad/s"):
            rig.guard.tighten(other(turntable(max_velocity=2.1), 4))
        assert (rig.guard.limits, rig.guard.memory) == before
        rig.guard.tighten(slower(turntable(), 0.8))
        with pytest.raises(LooserLimitsError):  # the declared ones are looser now
            rig.guard.tighten(turntable())

    def test_before_arming_it_is_as_if_made_with_them(self) -> None:
        rig = Rig(turntable())
        rig.guard.tighten(slower(turntable(), 0.5))
        rig.arm()
        rig.run(1.9, 100)
        assert_inside(rig.guard.limits, [rig.stream[0]] * 3 + rig.stream)

    def test_what_a_robot_executed_of_before_is_certified_again_as_well(self) -> None:
        """It reports a setpoint from before the change: its stop is of before the change, too."""
        rig = Rig(turntable()).arm()
        rig.run(1.6, 60)
        fast = rig.decisions[-1]
        rig.guard.tighten(slower(turntable(), 0.9))
        for _ in range(4):
            assert not is_changed(rig.tick(rig.velocity(0.2)))
        rig.guard.tighten(slower(turntable(), 0.7, 2))
        q, dq = fast.setpoint.q, fast.setpoint.dq
        rig.now_ns += rig.period_ns
        state = rig.state(q=q, dq=dq, executed=Executed(fast.seq, 0))
        decision = rig.guard.step(state, rig.velocity(0.2), now_ns=rig.now_ns)
        assert is_changed(decision)
        assert decision.continues == (fast.seq, 0)

    def test_a_latched_stop_stays_one(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(1.6, 60)
        latched = rig.tick(q=[9.0])
        assert latched.stop_state.latched
        rig.guard.tighten(slower(turntable(), 0.1))
        decision = rig.tick()
        assert decision.outcome is Outcome.STOP
        assert decision.stop_state.latched
        np.testing.assert_allclose(rig.q, latched.setpoint.stop.sample(1)[0], atol=1e-12)


def loaded(limits: Limits, mass: float, reach: float = 0.0) -> Limits:
    """A robot that can carry nothing, or a crate: more mass on its last link, and a capsule."""
    chain, last = limits.kinematics, len(limits.joints) - 1
    heavy = chain.mass.copy()
    heavy[last] += mass
    crate = Capsule("crate", last, array([0.0, 0.0, 0.0]), array([0.0, 0.0, reach]), 0.04)
    none = Variant(None, None, chain, limits.capsules, None)
    carried = replace(chain, mass=array(heavy))
    full = Variant(None, "crate", carried, (*limits.capsules, crate), None)
    return replace(limits, variants=(none, full))


class TestPayload:
    def test_an_unknown_name_is_an_error_and_changes_nothing(self) -> None:
        rig = Rig(loaded(slider(), 1.0)).arm()
        before = rig.guard.memory
        with pytest.raises(UnknownChoiceError, match="payload 'cart' is not declared; there are"):
            rig.guard.set_payload("cart")
        with pytest.raises(UnknownChoiceError, match="tool 'hook'"):
            rig.guard.set_tool("hook")
        assert rig.guard.memory is before
        assert rig.guard.limits.payload is None

    def test_more_mass_than_the_stop_can_brake_stops_first_and_goes_on_gently(self) -> None:
        """Braking at the declared deceleration takes more effort with the crate than there is."""
        robot = with_joint(slider(), 1, max_effort=40.0, effort_error=0.0)
        robot = loaded(replace(robot, volumes=()), 9.0)
        rig = Rig(robot).arm()
        rig.run([0.0, 0.6], 40)
        stop = rig.decisions[-1].setpoint.stop
        rig.guard.set_payload("crate")
        ticks = 0
        while is_changed(decision := rig.tick(rig.velocity([0.0, 0.6]))):
            ticks += 1
            assert decision.findings[0].subject == "joint_effort of rail"
            np.testing.assert_allclose(rig.q, stop.sample(ticks)[0], atol=1e-12)
        assert 3 < ticks <= stop.ticks_total
        moving = rig.run([0.0, -0.3], 100)
        assert moving.stop_state.phase == "running"
        core = Core(rig.guard.limits)
        for decision in rig.decisions[-80:]:
            s = decision.setpoint
            assert abs(core.efforts(s.q, s.dq, s.ddq)[1]) <= 40.0

    def test_a_longer_load_is_kept_off_the_wall(self) -> None:
        robot = replace(slider(), volumes=(half_space("wall", [-1, 0, 0], -0.9, "keep_out"),))
        robot = loaded(robot, 0.1, reach=0.3)
        rig = Rig(robot, q=[0.0, 0.3]).arm()
        rig.run([0.0, 0.5], 300)
        bare = rig.q[1]
        assert bare + 0.05 + 0.09 == pytest.approx(0.9, abs=0.02)
        other_rig = Rig(robot, q=[0.0, 0.3])
        other_rig.guard.set_payload("crate")
        other_rig.arm().run([0.0, 0.5], 300)
        assert other_rig.q[1] == pytest.approx(bare - 0.25, abs=0.02)

    def test_what_is_put_down_interrupts_nothing(self) -> None:
        rig = Rig(loaded(slider(), 1.0))
        rig.guard.set_payload("crate")
        rig.arm()
        rig.run([0.0, 0.3], 40)
        rig.guard.set_payload(None)
        decision = rig.tick()
        assert decision.outcome is Outcome.PASS
        assert decision.stop_tick == 0
        assert rig.guard.limits.payload is None

    def test_tightened_limits_are_those_of_what_is_carried(self) -> None:
        robot = loaded(slider(), 1.0)
        rig = Rig(robot)
        rig.guard.set_payload("crate")
        rig.guard.tighten(slower(robot, 0.5))
        assert rig.guard.limits.payload == "crate"
        assert rig.guard.limits.capsules[-1].name == "crate"

    def test_with_another_tool_a_command_is_not_followed_any_more(self) -> None:
        robot = slider()
        chain = replace(robot.kinematics, tcp_translation=array([0.0, 0.0, 0.4]))
        hook = Variant("hook", None, chain, robot.capsules, None)
        none = Variant(None, None, robot.kinematics, robot.capsules, None)
        rig = Rig(replace(robot, variants=(none, hook))).arm()
        rig.run([0.0, 0.3], 10)
        rig.guard.set_tool("hook")
        assert rig.tick().outcome is Outcome.REFUSE
        assert rig.tick(rig.velocity([0.0, 0.3])).stop_tick == 0


@pytest.mark.slow
@every_robot
def test_whatever_is_tightened_no_tick_lacks_a_stop_that_someone_certified(robot: Limits) -> None:
    """Random tightenings of a stream at its limits; each motion asked for again, in fresh memory.

    A decision without the finding carries a stop that holds under the limits in force; one with
    it is the next tick of a stop that held under those of before.
    """
    rng = np.random.default_rng(11)
    changed = 0
    for _ in range(3):
        rig = Rig(robot).arm()
        v_max, judge, before = column(robot, "max_velocity"), Core(robot), None
        for tick in range(160):
            if tick % 40 == 39:
                share = float(rng.uniform(0.05, 1.0))
                tighter = slower(rig.guard.limits, share, tick)
                tighter = replace(tighter, standoff=tighter.standoff + float(rng.uniform(0, 0.01)))
                rig.guard.tighten(tighter)
                judge = Core(tighter)
            speed = rng.choice([-1.0, 1.0], rig.q.size) * v_max if tick % 20 == 0 else None
            decision = rig.tick(None if speed is None else rig.velocity(speed, valid_ms=90.0))
            motion = rig.guard.memory.motion if rig.guard.memory is not None else None
            assert motion is not None
            if is_changed(decision):
                changed += 1
                assert before is not None
                np.testing.assert_array_equal(motion, judge.brake(before))
            else:
                assert judge.recertify(motion) is None
            before = motion
        assert_inside(robot, [rig.stream[0]] * 3 + rig.stream)
        assert_stop_holds(robot, rig.stream, rig.decisions[-1].setpoint)
    assert changed >= 2


class TestRecorded:
    def run(self, folder: Path, robot: Limits, tighter: Limits) -> Path:
        """A session whose limits and payload are changed on the way, on file."""
        records: list[bytes] = []

        def submit(data: bytes, wait_ms: float) -> bool:
            records.append(data)
            return True

        with Stand(robot, folder, swinging(), audit=AuditLog(submit)) as stand:
            stand.start()
            for tick in range(120):
                if tick == 60:
                    stand.service.changes.tighten(tighter)
                    with pytest.raises(LooserLimitsError, match="looser"):
                        stand.service.changes.tighten(slower(robot, 1.5, 9))
                if tick == 90:
                    stand.service.changes.set_payload("crate")
                stand.tick()
            report = stand.stop()
        assert stand.service.changes.made == 2
        assert not stand.service.changes.rejected
        assert report.findings["environment_changed"] > 0
        with AuditFile(folder / "audit.mcap") as file:
            for data in records:
                file.append(data, decode_record(data).now_ns)
        return folder / "audit.mcap"

    def test_a_change_is_on_file_and_the_file_replays_bit_by_bit_with_both_limits(
        self, tmp_path: Path
    ) -> None:
        robot = loaded(replace(panda(), self_collision=None), 0.1)
        tighter = slower(robot, 0.05)
        path = self.run(tmp_path, robot, tighter)
        again = replay(path, robot, changed=[slower(robot, 0.5, 7), tighter])
        assert again.is_exact, again.problems
        assert again.decisions > 100
        alone = replay(path, robot)
        assert f"the limits were changed to {tighter.sha256}" in alone.problems[0].what
        assert alone.different > 0

"""Arming, the ramp after it, stop, reset and arming again: one timeline, a manual clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.drive import Rig, assert_all_limits, assert_inside, excess
from tests.robots import panda, robots, turntable, with_joints

from checkrein.controller import BatchFilter, Outcome
from checkrein.controller.errors import ArmError
from checkrein.limits import Limits
from checkrein.limits.easing import RAMP_FROM

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


def ramped(limits: Limits, ramp_s: float = 0.4) -> Limits:
    return replace(limits, ramp_s=ramp_s)


class TestRamp:
    def test_speed_and_acceleration_grow_from_a_small_share_to_the_declared(self) -> None:
        rig = Rig(ramped(turntable(), 0.4)).arm()
        speeds, rates = [], []
        for _ in range(160):
            rig.tick(rig.velocity(9.0))
            speeds.append(rig.dq[0])
            rates.append(rig.decisions[-1].setpoint.ddq[0])
        for k in range(160):
            share = min(1.0, 1.0 - (1.0 - RAMP_FROM) * (100 - k) / 100.0)
            assert speeds[k] <= 2.0 * share + 1e-9
            assert abs(rates[k]) <= 10.0 * share + 1e-9
        assert speeds[99] > 0.9 * 2.0 * (1.0 - (1.0 - RAMP_FROM) * 0.01)
        assert speeds[-1] == pytest.approx(2.0, abs=1e-6)
        assert_all_limits(rig)

    def test_it_begins_with_the_first_motion_and_goes_on_where_it_was(self) -> None:
        """Waiting does not use it up, nor does a stop."""
        rig = Rig(ramped(turntable(), 0.4)).arm()
        for _ in range(200):
            rig.tick()
        rig.run(9.0, 25)
        assert 0.0 < rig.dq[0] <= 2.0 * (1.0 - (1.0 - RAMP_FROM) * 0.76)
        rig.brake()
        rig.run(9.0, 5)
        assert rig.dq[0] <= 2.0 * (1.0 - (1.0 - RAMP_FROM) * 0.71)

    @every_robot
    def test_what_is_certified_in_the_ramp_stays_so(self, robot: Limits) -> None:
        """Every limit as declared, all along, at full and changing speed."""
        rng = np.random.default_rng(5)
        rig = Rig(ramped(robot, 0.3)).arm()
        for _ in range(8):
            rig.run(rng.choice([-9.0, 9.0], rig.q.size), 25)
        rig.brake()
        assert_all_limits(rig, every=23)
        slow = with_joints(robot, position_noise=0.0)
        first = rig.stream[:25]
        joints = tuple(replace(j, max_velocity=0.5 * j.max_velocity) for j in slow.joints)
        assert excess(replace(slow, joints=joints), first)["joint_velocity"] <= 0.0

    def test_without_one_the_full_speed_is_allowed_at_once(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(9.0, 60)
        assert rig.dq[0] > 1.9

    def test_a_chunk_is_vetted_at_the_speed_of_the_ramp(self) -> None:
        rows = np.full((10, 1), 1.5)
        for limits, followed in ((turntable(), True), (ramped(turntable(), 1.0), False)):
            rig = Rig(limits).arm()
            rig.run(1.5, 80)
            chunk = rig.command("joint_velocity", rows, period_ms=4.0, stamp_ns=rig.now_ns)
            vetted = rig.guard.vet_chunk(rig.state(), chunk, now_ns=rig.now_ns)
            assert (vetted.outcome is Outcome.PASS) is followed

    def test_a_batch_gives_the_same_decisions(self) -> None:
        limits = ramped(panda(), 0.2)
        batch, rig = BatchFilter(limits, 2, threads=1), Rig(limits).arm()
        q, dq = np.array([rig.q] * 2), np.zeros((2, 7))
        batch.arm(q, dq, now_ns=rig.now_ns)
        for _ in range(80):
            decision = rig.tick(rig.velocity(1.5))
            command_ns = rig.now_ns
            both = batch.step(q, dq, np.full((2, 7), 1.5), now_ns=rig.now_ns, command_ns=command_ns)
            q, dq = both.motion[:, :-1, 0], both.motion[:, :-1, 1]
            np.testing.assert_array_equal(q[1], decision.setpoint.q)


class TestResetAndResume:
    @every_robot
    def test_stop_reset_arm_and_the_ramp_begins_anew(self, robot: Limits) -> None:
        rig = Rig(ramped(robot, 0.4)).arm()
        rig.run(0.4, 120)
        armed_at, moving = len(rig.stream), rig.decisions[-1]
        latched = rig.tick(rig.velocity(0.4), q=rig.q + 9.0)
        assert latched.outcome is Outcome.STOP
        assert latched.stop_state.latched
        with pytest.raises(ArmError, match="a stop is latched"):
            rig.arm()
        if rig.dq.any():
            with pytest.raises(ArmError, match="reset\\(\\) is possible once it is at rest"):
                rig.guard.reset()
        while rig.decisions[-1].stop_state.phase != "at_rest":
            assert rig.tick(rig.velocity(0.4)).outcome is Outcome.STOP
        for _ in range(3):  # a command does not resume it
            assert rig.tick(rig.velocity(0.4)).stop_state.latched
        assert_inside(robot, rig.stream)
        rig.guard.reset()
        assert rig.tick(rig.velocity(0.4)).stop_state.phase == "disarmed"
        seq = rig.decisions[-2].seq
        rig.arm()
        again = rig.tick(rig.velocity(9.0))
        assert again.seq == seq + 1 > moving.seq
        bound = np.array([j.max_velocity for j in robot.joints]) * 0.2
        while len(rig.stream) < 8:
            rig.tick(rig.velocity(9.0))
        assert (np.abs(rig.dq) <= bound).all()
        assert armed_at > 100

    def test_a_policy_that_was_silent_resumes_without_reset(self) -> None:
        rig = Rig(turntable()).arm()
        rig.run(1.0, 60)
        rig.brake()
        assert not rig.decisions[-1].stop_state.latched
        resumed = rig.tick(rig.velocity(1.0))
        assert resumed.stop_state.phase == "running"

    def test_a_robot_at_rest_is_armed_again_where_it_now_is(self) -> None:
        """Without reset, from rest: a new stream that begins at what is measured."""
        rig = Rig(turntable()).arm()
        rig.run(1.0, 60)
        with pytest.raises(ArmError, match="the robot is running"):
            rig.arm()
        rig.brake()
        rig.q = rig.q + 0.2
        rig.arm()
        before = rig.q
        rig.run(0.5, 3)
        assert before[0] < rig.q[0] < before[0] + 0.01

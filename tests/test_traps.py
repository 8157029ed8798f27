"""Traps that real filters fell into, by number: enforcement, first steps, state and compilation.

Traps 8 and 9 are in test_traps_input.py, those of the bus in controller/, the classifier's in
models/.
"""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig, assert_all_limits, assert_stop_holds, assert_within
from tests.limits.slow_chain import capsule_axes
from tests.robots import (
    column,
    half_space,
    moves,
    panda,
    turntable,
    with_joint,
    without_geometry,
    without_margins,
)

from checkrein.controller import Outcome
from checkrein.controller.errors import ArmError
from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.tick import PASSED


@pytest.mark.parametrize("acceleration", [10.0, 2.0, 0.5])
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_trap_01_full_speed_into_a_position_limit_never_overshoots(
    acceleration: float, direction: float
) -> None:
    """One tick of look-ahead overshot by 0.16 to 0.20 rad at a = 10 rad/s² and v = 2 rad/s."""
    limits = turntable(max_acceleration=acceleration, max_jerk=250.0 * acceleration)
    for mode, values in (("velocity", 2.0), ("velocity", 100.0), ("position", 50.0)):
        rig = Rig(limits, q=[-1.9 * direction]).arm()
        for _ in range(2500):
            aim = [direction * values]
            rig.tick(
                rig.velocity(aim) if mode == "velocity" else rig.command("joint_position", aim)
            )
        assert_within(limits, rig.stream)
        reached = direction * float(rig.q[0])
        assert 1.98 < reached <= 2.0 + 1e-12  # rounding of the last tick
        fastest = float(np.abs(np.diff(np.array(rig.stream)[:, 0])).max()) / limits.period_s
        assert fastest > min(1.9, 0.7 * math.sqrt(acceleration * 1.9))


def test_trap_02_braking_distance_is_counted_in_ticks() -> None:
    """√(2·a·d) is too large for a discrete stream; the carried stop is summed tick by tick."""
    limits = turntable(max_jerk=10.0 / 0.004)  # a tick from 0 to a_max: bang-bang
    T, a = limits.period_s, 10.0
    rig, seen = Rig(limits).arm(), 0
    for _ in range(600):
        decision = rig.tick(rig.velocity(2.0))
        v = float(decision.setpoint.dq[0])
        if v < 0.05:  # arrived
            continue
        seen += 1
        stop = decision.setpoint.stop
        n = math.floor(v / (a * T))
        discrete = T * ((n + 1) * v - a * T * n * (n + 1) / 2.0)
        rest = float(stop.sample(stop.ticks_total)[0][0] - stop.q[0])
        assert rest >= v**2 / (2.0 * a) - 1e-9  # no stop is shorter than physics
        assert rest <= discrete + v * 3.0 * T + 1e-9  # nor much longer than the sum over ticks
        assert decision.setpoint.q[0] + rest <= 2.0 + 1e-12
    assert seen > 200
    assert_within(limits, rig.stream)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("position margins that meet", {"min_position": -0.01, "tracking_error": 0.02}),
        ("a range of nothing", {"min_position": 0.0, "max_position": 0.0}),
        ("swapped bounds", {"min_position": 1.0, "max_position": -1.0}),
        ("an error larger than the speed", {"velocity_error": 5.0}),
        ("no acceleration to brake with", {"max_acceleration": 1e-12}),
        ("no jerk", {"max_jerk": 1e-12}),
    ],
)
def test_trap_03_an_empty_interval_stops_and_names_the_limit(
    name: str, change: dict[str, float]
) -> None:
    """No swapped bounds, no slack, no exception, no NaN: it does not move, and says what bound."""
    limits = turntable(**({"max_position": 0.01} | change))
    rig = Rig(limits)
    refused = Core(limits).rest(np.zeros(1))[1]
    if refused is not None:
        with pytest.raises(ArmError, match=refused[0]):
            rig.arm()
        return
    rig.arm()
    for _ in range(50):
        decision = rig.tick(rig.velocity(0.5))
        assert decision.outcome is not Outcome.PASS
        assert decision.findings
        assert np.isfinite(decision.setpoint.q).all()
        assert abs(float(decision.setpoint.q[0])) <= 0.011
        assert decision.error is None


def test_trap_04_the_final_output_is_what_is_verified() -> None:
    """A later clamp must not undo an earlier one: every setpoint is judged after all of them."""
    rig, rng = Rig(panda()).arm(), np.random.default_rng(4)
    for _ in range(100):
        rig.run(rng.choice([-5.0, 5.0], 7), 15)
    assert {d.outcome for d in rig.decisions} == {Outcome.CLAMP}
    assert_all_limits(rig)


def test_trap_05_projection_looks_at_all_limits_not_only_the_tripped_one() -> None:
    """Sliding along a wall must not push a joint out of its limits: 1 165 of 2 000 did."""
    rng, bound = np.random.default_rng(5), 0
    for _ in range(12):
        robot = panda()
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        axes = capsule_axes(robot, np.array(robot.home)).reshape(-1, 3)
        wall = half_space("wall", normal, float((axes @ normal).max()) + 0.15, "keep_in")
        limits = replace(robot, volumes=(*robot.volumes, wall))
        rig = Rig(limits).arm()
        target = rng.uniform(column(limits, "min_position"), column(limits, "max_position"))
        for _ in range(400):
            rig.tick(rig.command("joint_position", target + 0.2 * rng.normal(size=7)))
        assert_all_limits(rig)
        bound += any(f.limit == "workspace" for d in rig.decisions for f in d.findings)
    assert bound >= 3


def test_trap_06_slowing_down_keeps_the_direction() -> None:
    """Per-joint clamps bend the path (64° of tool error): one factor scales all joints."""
    limits = without_geometry(without_margins(panda()))
    rig, direction = Rig(limits).arm(), np.array([3.0, -1.0, 0.5, 1.0, -2.0, 0.3, 1.0])
    for _ in range(60):
        rig.tick(rig.velocity(direction))
    along = rig.dq / np.linalg.norm(rig.dq)
    straight = float(along @ direction) / float(np.linalg.norm(direction))
    assert straight > math.cos(math.radians(2.0))
    assert np.abs(rig.dq / column(limits, "max_velocity")).max() > 0.95  # it does not stall either


class TestTrap07:
    """The first sample after arming, reset and reconnect: seeded from the measured state."""

    @pytest.mark.parametrize("mode", ["joint_position", "joint_velocity", "joint_delta"])
    def test_trap_07_the_first_sample_is_a_ramp(self, mode: Any) -> None:
        measured = np.array(panda().home) + 0.05
        rig = Rig(panda(), q=measured).arm()
        decision = rig.tick(rig.command(mode, np.full(7, 6.025)))
        assert_within(rig.limits, rig.stream)
        step = np.abs(decision.setpoint.q - measured).max()
        assert step <= (column(panda(), "max_jerk") * 0.004**3).max()
        assert_stop_holds(rig.limits, rig.stream, decision.setpoint)

    def test_trap_07_so_is_the_one_after_a_reset_somewhere_else(self) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.3, 40)
        rig.tick(stamp_ns=0)
        rig.brake()
        rig.guard.reset()
        rig.q = rig.q - 0.2  # moved by hand meanwhile
        rig.arm()
        rig.tick(rig.command("joint_position", rig.q + 1.0))
        assert_within(rig.limits, rig.stream)

    def test_trap_07_and_the_one_after_a_refusal(self) -> None:
        rig = Rig(panda()).arm()
        for _ in range(10):
            rig.run(1.0, 9)
            rig.tick(rig.velocity(math.nan))
        assert_within(rig.limits, rig.stream)


def test_trap_12_no_chatter_on_a_limit_and_no_spike_at_the_final_stop() -> None:
    """Pressing on a bound for ever settles; the last tick of a stop is no jump to zero."""
    limits = turntable()
    rig = Rig(limits).arm()
    for _ in range(1500):
        rig.tick(rig.command("joint_position", [5.0]))
    settled = np.array(rig.stream[-500:])[:, 0]
    assert float(np.ptp(settled)) < 1e-6
    accelerations = [float(d.setpoint.ddq[0]) for d in rig.decisions[-500:]]
    assert max(map(abs, accelerations)) < 1e-2
    rig.run(-2.0, 100)
    rig.tick(rig.velocity(math.nan))
    rig.brake()
    assert_within(limits, rig.stream)  # third differences over the end of the stop included
    jerk = np.abs(np.diff(np.array(rig.stream[-6:])[:, 0], 3)) / limits.period_s**3
    assert jerk.max() <= limits.joints[0].max_jerk * (1.0 + 1e-6)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_trap_13_outside_its_limit_a_joint_comes_back_slowly_and_only_inward(side: float) -> None:
    limits = turntable(recovery_velocity=0.1)
    rig = Rig(limits, q=[2.3 * side]).arm()
    for values in (side * 1.0, side * 0.01):  # further out: never
        rig.run(values, 50)
        assert float(rig.q[0]) * side <= 2.3
    for _ in range(1200):
        rig.tick(rig.velocity(-side * 1.5))
    out = np.array(rig.stream)[:, 0] * side
    step = np.diff(out)
    assert (step[51:] <= 1e-15).all()
    outside = out[:-1] > 2.0 + 1e-9
    assert (np.abs(step[outside]) <= 0.1 * limits.period_s + 1e-12).all()
    assert outside.sum() > 500
    assert float(rig.q[0]) * side < 1.9
    assert abs(float(rig.dq[0])) > 1.0  # inside again: as fast as any


class TestTrap14:
    """Reject → zeros is a motion to q = 0, and drops gravity support."""

    def test_trap_14_a_refused_position_is_not_a_move_to_zero(self) -> None:
        rig = Rig(panda()).arm()
        home = np.array(panda().home)
        for _ in range(100):
            decision = rig.tick(rig.command("joint_position", np.full(7, math.nan)))
            assert decision.outcome is Outcome.REFUSE
            np.testing.assert_array_equal(decision.setpoint.q, home)
        assert np.abs(home).max() > 1.0

    def test_trap_14_nor_while_it_moves(self) -> None:
        rig = Rig(panda()).arm()
        rig.run(0.3, 60)
        at = np.array(rig.q)
        for _ in range(200):
            rig.tick(rig.command("joint_position", np.full(7, math.inf)))
        assert np.abs(rig.q - at).max() < 0.1  # the braking distance, no more
        assert not rig.dq.any()

    def test_trap_14_nor_before_arming(self) -> None:
        rig = Rig(panda())
        np.testing.assert_array_equal(rig.tick(None).setpoint.q, panda().home)


FIRST_STEP = """
import sys
from numba.core import event
sys.path.insert(0, {root!r})
import numpy as np
from checkrein.controller import SafetyFilter
from checkrein.limits import Command, Executed, RobotState
from checkrein.limits.records import MODES
from tests.robots import panda

limits, now = panda(), 10**9
guard = SafetyFilter(limits)
guard.arm(RobotState(limits.home, np.zeros(7), now), now_ns=now)
q, dq, n = limits.home, np.zeros(7), 0
with event.install_recorder("numba:compile") as compiled:
    for k in range(300):
        now += 4_000_000
        mode = MODES[k // 20 % 5]
        width = 6 if mode.startswith("tcp") else 7
        rows = np.full((3, width), 0.1) if k % 2 else [0.1] * width
        command = Command(mode, rows, k, now, period_ms=8.0)
        proposal = (command, [command, command], None, ())[k % 4]
        state = RobotState(
            list(q), dq, now, tau=np.zeros(7), wrench_tcp=np.zeros(6),
            executed=Executed(k, 0) if k % 5 else None,
        )
        if k == 280:
            state = RobotState(q, dq, 0)
        decision = guard.step(state, proposal, now_ns=now)
        q, dq = decision.setpoint.q, decision.setpoint.dq
        n += decision.outcome != "stop"
print(len(compiled.buffer), n)
"""


class TestTrap16:
    """Solver status ignored; float32; compilation on the first call (2 to 31 s)."""

    def test_trap_16_no_step_compiles_anything(self, request: pytest.FixtureRequest) -> None:
        """In a fresh process: whatever a step is given, its kernels are there once it is armed."""
        source = FIRST_STEP.format(root=str(request.config.rootpath))
        run = subprocess.run(
            [sys.executable, "-c", source], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        compiled, moved = run.stdout.split()
        assert int(compiled) == 0
        assert int(moved) == 280

    def test_trap_16_what_is_not_certified_is_never_returned_as_if(self) -> None:
        """The arbiter's verdict decides, not the projection's: here it can certify nothing."""
        core = Core(without_geometry(without_margins(panda())))
        motion, _ = core.rest(panda().home)
        wanted = np.zeros((3, 7))
        wanted[1] = 0.3
        for _ in range(60):
            motion, _, _ = core.advance(motion, VELOCITY, wanted)
        assert core.advance(motion, VELOCITY, wanted)[1] == PASSED
        blind = Core(with_strength(core.limits, 1e-3))
        after, code, found = blind.advance(motion, VELOCITY, wanted)
        assert code != PASSED
        assert found[-1][0] == "joint_effort"
        np.testing.assert_array_equal(moves(after), moves(core.brake(motion)))

    def test_trap_16_everything_is_float64(self) -> None:
        rig = Rig(panda()).arm()
        setpoint = rig.tick(rig.velocity(np.float32(0.1))).setpoint
        for values in (setpoint.q, setpoint.dq, setpoint.ddq, setpoint.stop.jerk):
            assert values.dtype == np.float64


def with_strength(limits: Limits, share: float) -> Limits:
    for index, joint in enumerate(limits.joints):
        limits = with_joint(limits, index, max_effort=share * joint.max_effort)
    return limits


def test_trap_22_a_stop_says_where_and_when_it_rests_and_stays_powered() -> None:
    """Limp arms fall: the default stop holds; its result is rich, not a bare flag."""
    rig = Rig(panda()).arm()
    rig.run(0.4, 60)
    decision = rig.tick(stamp_ns=0)
    status = decision.stop_state
    assert (status.phase, status.latched, status.category) == ("stopping", True, "cat2")
    assert status.cause is not None
    assert "stale" in status.cause
    where = decision.setpoint.stop.sample(status.rest_in_ticks)[0]
    assert status.rest_in_ticks > 0
    ticks = rig.brake()
    assert ticks == status.rest_in_ticks
    np.testing.assert_allclose(rig.q, where, atol=1e-12)
    assert rig.decisions[-1].stop_state.phase == "at_rest"
    held = rig.tick()
    np.testing.assert_array_equal(held.setpoint.q, rig.decisions[-2].setpoint.q)
    assert panda().stop_category == "cat2"


def test_trap_25_filters_of_sub_environments_share_nothing() -> None:
    """One is reset and armed elsewhere, in the middle of the other's motion: no bit changes."""
    alone, left, right = (Rig(panda()).arm() for _ in range(3))
    rng = np.random.default_rng(25)
    for k in range(300):
        values = rng.uniform(-1.5, 1.5, 7)
        left.tick(left.velocity(values))
        right.tick(right.velocity(-values))
        if k in (100, 200):  # an episode of the right one ends
            right.tick(stamp_ns=0)
            right.brake()
            right.guard.reset()
            right.q = np.array(panda().home) - 0.1
            right.arm()
        alone.tick(alone.velocity(values))
    assert np.array_equal(alone.stream, left.stream)
    assert_within(panda(), right.stream)

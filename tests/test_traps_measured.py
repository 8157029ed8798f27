"""Traps 10, 11, 15 and 18: what is measured, when, round which corner; and the loop that is closed
over it. Enforcement and first steps are in test_traps.py, input in test_traps_input.py."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig, assert_all_limits, assert_within
from tests.gripping import Hand, gripping, towards
from tests.limits import small_arm
from tests.limits.slow_chain import capsule_axes
from tests.robots import array, column, panda, shipped, with_joint, without_geometry

from checkrein.controller import Outcome
from checkrein.limits import InputError, Limits, OnViolation, Volume, load_limits
from checkrein.limits.declared import CONTINUOUS_MAX_RAD
from checkrein.limits.loading import robots_folder
from checkrein.limits.records import Array

SWINGS = [np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0]) * s for s in (1.5, -1.5, 0.4, -0.8)]


def swing(rig: Rig, ticks: int, state: Any = None) -> list[Outcome]:
    """Fast to and fro; `state(rig)` gives what is measured instead of where the robot is."""
    outcomes = []
    for k in range(ticks):
        changed = {} if state is None else state(rig)
        decision = rig.tick(rig.velocity(SWINGS[k // 60 % 4]), **changed)
        outcomes.append(decision.outcome)
    return outcomes


def lagging(latency_ticks: int) -> Limits:
    robot = without_geometry(panda())
    timing = replace(robot.timing, latency_ticks=latency_ticks, state_age_max_ms=12.0)
    return replace(robot, timing=timing)


class TestTrap10:
    """Two stale ticks diverge, jittered dt breaks every peer that assumes a constant one, and
    velocity by finite differences with 1 mrad of noise gave 61 mrad of overshoot."""

    def exact(self, latency_ticks: int = 0) -> Rig:
        rig = Rig(lagging(latency_ticks)).arm()
        swing(rig, 300)
        return rig

    def test_trap_10_a_state_that_is_two_ticks_old_changes_nothing_if_declared(self) -> None:
        def two_ticks_ago(rig: Rig) -> dict[str, Any]:
            old = rig.stream[max(0, len(rig.stream) - 3)]
            return {"q": old, "stamp_ns": rig.now_ns - rig.period_ns}

        rig = Rig(lagging(2)).arm()
        assert Outcome.STOP not in swing(rig, 300, two_ticks_ago)
        assert np.array_equal(rig.stream, self.exact(2).stream)
        undeclared = Rig(lagging(0)).arm()
        outcomes = swing(undeclared, 300, two_ticks_ago)
        first = outcomes.index(Outcome.STOP)
        assert undeclared.decisions[first].findings[0].limit == "tracking_error"
        undeclared.brake()
        assert_within(undeclared.limits, undeclared.stream)  # it stops, it does not diverge

    def test_trap_10_a_state_that_is_older_than_declared_stops_the_robot(self) -> None:
        rig = Rig(lagging(5)).arm()
        rig.run(0.5, 40)
        decision = rig.tick(rig.velocity(0.5), stamp_ns=rig.now_ns - 3 * rig.period_ns)
        assert decision.outcome is Outcome.STOP
        assert decision.findings[0].limit == "stale"
        rig.brake()
        assert_within(rig.limits, rig.stream)

    @pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
    def test_trap_10_jittered_ticks_do_not_change_the_stream(self, share: float) -> None:
        """Time is counted in ticks; a measured period is only gated, never integrated with."""
        rig, rng = Rig(lagging(0)).arm(), np.random.default_rng(10)
        for k in range(300):
            period_ns = round(rig.period_ns * (1.0 + share * rng.uniform(-1.0, 1.0)))
            rig.tick(rig.velocity(SWINGS[k // 60 % 4], stamp_ns=rig.now_ns), period_ns=period_ns)
        assert np.array_equal(rig.stream, self.exact().stream)

    @pytest.mark.parametrize("share", [0.3, 1.6, 20.0])
    def test_trap_10_a_period_beyond_its_tolerance_is_a_tick_of_the_stop(
        self, share: float
    ) -> None:
        rig = Rig(lagging(0)).arm()
        rig.run(0.5, 40)
        command = rig.velocity(0.5, stamp_ns=rig.now_ns)
        decision = rig.tick(command, period_ns=round(share * rig.period_ns))
        assert decision.outcome is Outcome.REFUSE
        assert decision.findings[0].limit == "period"
        assert decision.stop_tick == 1
        rig.run(0.5, 40)
        assert_within(rig.limits, rig.stream)

    def test_trap_10_velocity_noise_of_finite_differences_moves_nothing(self) -> None:
        """Half a radian a second of it: dq is no input of the motion."""
        rng, before = np.random.default_rng(11), [np.array(panda().home)]

        def differentiated(rig: Rig) -> dict[str, Any]:
            noisy = rig.q + rng.uniform(-1e-3, 1e-3, 7)
            dq = (noisy - before[-1]) / rig.limits.period_s
            before.append(noisy)
            return {"q": noisy, "dq": dq}

        rig = Rig(lagging(0)).arm()
        assert Outcome.STOP not in swing(rig, 300, differentiated)
        measured = np.diff(np.array(before), axis=0) / 0.004
        assert np.abs(measured - np.array([d.setpoint.dq for d in rig.decisions])).max() > 0.4
        assert np.array_equal(rig.stream, self.exact().stream)


class TestTrap11:
    """Limiting on the measured state mistakes lag for overspeed; limiting on the commanded state
    alone diverges without bound. So: smooth in the command, and |commanded - measured| bounded."""

    def test_trap_11_lag_and_ripple_within_the_declared_error_bend_nothing(self) -> None:
        robot = without_geometry(panda())
        error = 0.99 * column(robot, "tracking_error")

        def rippling(rig: Rig) -> dict[str, Any]:
            ripple = (-1.0) ** len(rig.stream)
            return {"q": rig.q + ripple * error, "dq": rig.dq + ripple * error / 0.004}

        rig, exact = Rig(robot).arm(), Rig(robot).arm()
        assert Outcome.STOP not in swing(rig, 300, rippling)
        swing(exact, 300)
        assert np.array_equal(rig.stream, exact.stream)

    def test_trap_11_a_blocked_robot_is_not_left_behind(self) -> None:
        """The command stops within its braking way of where the robot is stuck."""
        rig = Rig(without_geometry(panda())).arm()
        rig.run(0.5, 60)
        stuck, error = np.array(rig.q), column(rig.limits, "tracking_error")
        for _ in range(400):
            rig.tick(rig.velocity(0.5), q=stuck, dq=np.zeros(7))
        outcomes = [d.outcome for d in rig.decisions]
        first = outcomes.index(Outcome.STOP)
        at_stop = np.array(rig.stream[first + 1]) - stuck
        assert (np.abs(at_stop) <= error + 2.0 * 0.5 * 0.004 + 1e-3).all()
        way = np.abs(np.array(rig.stream[-1]) - stuck).max()
        assert way <= error.max() + 0.5 * 0.004 + 0.5**2 / 2.0 / 3.0 + 0.5 * 0.1
        assert not rig.dq.any()


class TestTrap15:
    """±π wrap on continuous joints: an error of 6.283 rad. An angle is counted here, not wrapped;
    only a joint declared continuous may be measured wrapped (more: limits/test_turns.py).
    Mimic joints and grippers need rules of their own (authoring/test_mimic.py, test_gripper.py)."""

    def test_trap_15_no_stop_opens_a_gripper_or_moves_it(self) -> None:
        hand = Hand(gripping(without_geometry(panda())))
        hand.object_width = 0.03
        hand.ask(0.0, 150, speed=0.3, max_effort=30.0)
        grasp = hand.told[-1]
        assert grasp is not None
        assert grasp.position < hand.width
        for _ in range(200):  # whatever is asked for: the arm's state is lost
            lost = np.full(7, np.nan)
            decision = hand.tick(hand.rig.velocity(0.3, gripper=towards(0.08)), q=lost)
            assert decision.setpoint.gripper == grasp
        assert hand.rig.decisions[-1].stop_state.latched
        assert not hand.rig.dq.any()
        assert hand.width == 0.03

    def test_trap_15_a_continuous_joint_goes_on_where_its_reading_wraps(self) -> None:
        robot = replace(shipped("xarm6"), volumes=())
        ends = {"min_position": -CONTINUOUS_MAX_RAD, "max_position": CONTINUOUS_MAX_RAD}
        robot = with_joint(robot, 0, type="continuous", position_targets="nearest", **ends)
        start = np.array(robot.home)
        start[0] = 3.0
        rig = Rig(robot, q=start).arm()
        for _ in range(400):
            wrapped = np.array(rig.q)
            wrapped[0] -= 2.0 * np.pi * (wrapped[0] > np.pi)
            decision = rig.tick(rig.velocity([0.5, 0.0, 0.0, 0.0, 0.0, 0.0]), q=wrapped)
            assert decision.outcome is not Outcome.STOP
        assert rig.q[0] > 3.3
        assert_within(robot, rig.stream)

    def test_trap_15_a_continuous_joint_with_a_range_is_told_what_to_write(
        self, tmp_path: Path
    ) -> None:
        text = small_arm.YAML.replace(
            "wrist:\n    {type: revolute", "wrist:\n    {type: continuous"
        )
        assert text != small_arm.YAML
        with pytest.raises(
            InputError, match=r"wrist.*continuous.*no position limits.*type: revolute"
        ):
            load_limits(small_arm.write(tmp_path, text))
        document = json.loads((robots_folder() / "xarm6.json").read_text())
        document["joints"][0]["type"] = "continuous"
        frozen = tmp_path / "continuous.json"
        frozen.write_text(json.dumps(document))
        with pytest.raises(InputError, match="continuous"):
            load_limits(frozen)

    def test_trap_15_nor_is_a_range_of_more_than_a_turn_each_way(self, tmp_path: Path) -> None:
        text = small_arm.YAML.replace(
            "wrist:\n    {type: revolute, min_position: -3.0, max_position: 3.0",
            "wrist:\n    {type: revolute, min_position: -10.0, max_position: 10.0",
        )
        with pytest.raises(InputError, match=r"wrist.*min_position.*deg"):
            load_limits(small_arm.write(tmp_path, text))

    def test_trap_15_a_urdfs_continuous_joint_needs_a_declared_range(self, tmp_path: Path) -> None:
        pytest.importorskip("pinocchio")
        wrist = load_limits(small_arm.write(tmp_path)).joints[3]
        assert (wrist.name, wrist.type) == ("wrist", "revolute")
        assert (wrist.min_position, wrist.max_position) == (-3.0, 3.0)
        text = small_arm.YAML.replace(
            "wrist:\n    {type: revolute, min_position: -3.0, max_position: 3.0,",
            "wrist:\n    {type: revolute,",
        )
        with pytest.raises(InputError, match=r"wrist\.m.._position: missing"):
            load_limits(small_arm.write(tmp_path, text))

    def test_trap_15_beyond_pi_the_way_back_is_the_way_it_came(self) -> None:
        robot = replace(shipped("xarm6"), volumes=())
        start = np.array(robot.home)
        start[0] = 3.5  # beyond π; -2.783 would be the same place
        rig = Rig(robot, q=start).arm()
        target = start.copy()
        target[0] = -3.0
        for _ in range(1500):
            rig.tick(rig.command("joint_position", target))
        turned = np.array(rig.stream)[:, 0]
        # 6.5 rad, not the 0.217 rad across the seam; it settles within a tenth of a millirad.
        assert float(np.diff(turned).max()) < 1e-4
        assert float(np.ptp(turned)) == pytest.approx(6.5, abs=1e-3)
        assert abs(float(rig.q[0]) + 3.0) < 1e-3
        assert_within(robot, rig.stream)

    def test_trap_15_an_angle_that_comes_back_wrapped_stops_the_robot(self) -> None:
        robot = replace(shipped("xarm6"), volumes=())
        start = np.array(robot.home)
        start[0] = 3.0
        rig = Rig(robot, q=start).arm()
        crossed = False
        for _ in range(400):
            wrapped = np.array(rig.q)
            wrapped[0] -= 2.0 * np.pi * (wrapped[0] > np.pi)
            crossed = crossed or bool(rig.q[0] > np.pi)
            decision = rig.tick(rig.velocity([0.5, 0.0, 0.0, 0.0, 0.0, 0.0]), q=wrapped)
            if crossed:
                assert decision.outcome is Outcome.STOP
        assert crossed
        finding = next(d for d in rig.decisions if d.outcome is Outcome.STOP).findings[0]
        assert finding.limit == "tracking_error"
        assert finding.value == pytest.approx(2.0 * np.pi)
        assert_within(robot, rig.stream)


def boxed(period_s: float) -> tuple[Limits, Volume]:
    """The Panda whose hand and tray must stay in a box around where they are at home."""
    robot = panda()
    names = [capsule.name for capsule in robot.capsules]
    hand = [k for k, c in enumerate(robot.capsules) if c.joint == 6]
    ends = capsule_axes(robot, np.array(robot.home))[hand].reshape(-1, 3)
    reach = max(robot.capsules[k].radius for k in hand) + 0.12
    low, high = ends.min(axis=0) - reach, ends.max(axis=0) + reach
    exempt = tuple(name for k, name in enumerate(names) if k not in hand)
    box = Volume(
        "box", "keep_in", "box", OnViolation.CLAMP, tuple(dict.fromkeys(exempt)),
        center=array((low + high) / 2.0), rotation=array(np.eye(3)),
        half_extents=array((high - low) / 2.0),
    )  # fmt: skip
    timing = replace(robot.timing, state_age_max_ms=3e3 * period_s, command_timeout_ms=100.0)
    return replace(robot, period_s=period_s, volumes=(box,), timing=timing), box


def excursion(limits: Limits, box: Volume, rig: Rig) -> float:
    """How far [m] the hand was out of the box, at instants of some 400 ticks; < 0: inside."""
    T, worst = limits.period_s, -np.inf
    center, half = np.asarray(box.center), np.asarray(box.half_extents)
    rows = [d.setpoint for d in rig.decisions]
    hand = [k for k, c in enumerate(limits.capsules) if c.name not in box.exempt]
    radius = np.array([limits.capsules[k].radius for k in hand])[:, None, None]
    step = max(1, len(rows) // 400)
    for before, after in list(itertools.pairwise(rows))[::step]:
        jerk = (after.ddq - before.ddq) / T
        for t in np.linspace(0.0, T, 8 if T > 0.01 else 3):
            q: Array = before.q + t * (before.dq + t * (before.ddq / 2.0 + t * jerk / 6.0))
            out = np.abs(capsule_axes(limits, q)[hand] - center) - half + radius
            worst = max(worst, float(out.max()))
    return worst


@pytest.mark.parametrize("period_s", [0.001, 0.02])
def test_trap_18_the_closed_loop_stays_in_its_box(period_s: float) -> None:
    """At 1 kHz the peer's own example left its box by 8 to 13 cm, at 50 Hz by 35 cm."""
    limits, box = boxed(period_s)
    rig, rng = Rig(limits).arm(), np.random.default_rng(18)
    low, high = column(limits, "min_position"), column(limits, "max_position")
    spell = int(0.4 / period_s)
    for k in range(8):
        towards = rng.choice([-1.0, 1.0], 7)
        for _ in range(spell):
            if k % 2:
                rig.tick(rig.velocity(3.0 * towards))
            else:
                rig.tick(rig.command("joint_position", np.where(towards > 0.0, high, low)))
    out = excursion(limits, box, rig)
    assert out <= -limits.standoff
    assert out >= -0.03  # it was pressed against the wall
    assert sum(f.limit == "workspace" for d in rig.decisions for f in d.findings) > 50
    assert_all_limits(rig, every=max(7, len(rig.decisions) // 60))

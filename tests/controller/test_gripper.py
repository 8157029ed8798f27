"""The gripper beside the joints: held by every stop, bounded whenever it moves (trap 15)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drive import Rig
from tests.gripping import DECLARED, Hand, assert_gripped_within, gripping, towards
from tests.robots import turntable
from tests.seeing import names

from checkrein.controller import BatchFilter, Outcome
from checkrein.controller.errors import ArmError
from checkrein.controller.gripper import Grip, Wanted, follow
from checkrein.limits import (
    Command,
    Executed,
    GripperSetpoint,
    GripperState,
    LooserLimitsError,
    OnViolation,
)

T = turntable().period_s
REACH = DECLARED.max_speed * T
WEIRD = st.one_of(st.floats(), st.floats(-1.0, 1.0))


def hand(**changes: Any) -> Hand:
    return Hand(gripping(turntable(), **changes))


# when it moves -----------------------------------------------------------------------------------


def test_it_goes_where_it_is_told_with_the_arm_and_passes_inside_its_limits() -> None:
    robot = hand()
    for k in range(1, 60):
        command = robot.rig.velocity(0.0, gripper=towards(0.05 - 0.9 * k * REACH, max_effort=20.0))
        assert robot.tick(command).outcome is Outcome.PASS
    assert robot.told[-1] == GripperSetpoint(0.05 - 0.9 * 59 * REACH, 20.0)
    assert_gripped_within(robot.limits, robot.told, 0.05)


def test_a_far_width_is_reached_at_the_declared_speed() -> None:
    robot = hand()
    decision = robot.ask(0.01, 1)
    assert decision.outcome is Outcome.CLAMP
    assert names(decision) == {"gripper_speed"}
    found = decision.findings[0]
    assert (found.bound, found.unit) == (0.1, "m/s")
    assert found.value == pytest.approx(0.04 / T)
    robot.ask(0.01, math.ceil(0.04 / REACH))
    assert robot.told[-1] == GripperSetpoint(0.01, 40.0)
    assert_gripped_within(robot.limits, robot.told, 0.05)


@pytest.mark.parametrize(("width", "bound"), [(-0.01, 0.0), (0.2, 0.08)])
def test_a_width_beyond_the_range_ends_at_its_bound(width: float, bound: float) -> None:
    robot = hand()
    decision = robot.ask(width, 200)
    assert names(decision) == {"gripper_width"}
    assert decision.findings[0].margin == pytest.approx(-abs(width - bound))
    assert robot.told[-1] == GripperSetpoint(bound, 40.0)
    assert_gripped_within(robot.limits, robot.told, 0.05)


def test_a_force_beyond_the_bound_is_the_bound() -> None:
    decision = hand().ask(0.05, 1, max_effort=200.0)
    assert names(decision) == {"gripper_force"}
    assert decision.setpoint.gripper == GripperSetpoint(0.05, 40.0)


@pytest.mark.parametrize(
    ("kind", "position", "effort"),
    [("gripper_width", 0.2, None), ("gripper_speed", 0.01, None), ("gripper_force", 0.05, 41.0)],
)
def test_a_limit_that_refuses_stops_the_arm_and_holds_the_gripper(
    kind: str, position: float, effort: float | None
) -> None:
    robot = hand(on_violation=OnViolation.REFUSE)
    robot.tick(robot.rig.velocity(0.1, gripper=towards(0.05, 10.0)))
    decision = robot.tick(robot.rig.velocity(0.1, gripper=towards(position, effort)))
    assert decision.outcome is Outcome.REFUSE
    assert kind in names(decision)
    assert decision.stop_tick == 1
    assert decision.setpoint.gripper == GripperSetpoint(0.05, 10.0)


def test_open_and_closed_are_the_ends_of_the_range_at_the_declared_speed() -> None:
    robot = hand(command="open_close", min_width=0.005)
    assert robot.ask(0.0, 200).outcome is Outcome.PASS  # the speed is ours, nothing is violated
    assert robot.told[-1] == GripperSetpoint(0.005, 40.0)
    robot.ask(1.0, 400)
    assert robot.told[-1] == GripperSetpoint(0.08, 40.0)
    assert_gripped_within(robot.limits, robot.told, 0.05)
    decision = robot.ask(0.5, 1)
    assert names(decision) == {"gripper_command"}
    assert decision.outcome is Outcome.REFUSE


def test_a_chunk_leads_it_from_row_to_row() -> None:
    robot = hand()
    rows, period_ms = np.zeros((2, 1)), 40.0
    chunk = robot.rig.command(
        "joint_velocity", rows, period_ms=period_ms, gripper=towards([0.052, 0.05])
    )
    widths = []
    for k in range(20):
        decision = robot.tick(chunk if k == 0 else None)
        assert decision.outcome is Outcome.PASS
        assert decision.setpoint.gripper is not None
        widths.append(decision.setpoint.gripper.position)
    up = 0.05 + 0.002 * np.arange(1, 11) / 10.0
    assert np.allclose(widths, [*up, *up[-2::-1], 0.05], atol=1e-12)
    assert names(robot.tick()) == {"command_expired"}
    assert robot.told[-1] == robot.told[-2]


def test_a_chunk_of_open_and_close_switches_with_its_rows() -> None:
    robot = hand(command="open_close")
    chunk = robot.rig.command(
        "joint_velocity", np.zeros((2, 1)), period_ms=40.0, gripper=towards([1.0, 0.0])
    )
    widths = [0.05]
    for k in range(20):
        robot.tick(chunk if k == 0 else None)
        widths.append(robot.width)
    assert np.allclose(np.diff(widths), [REACH] * 10 + [-REACH] * 10, atol=1e-12)


# when it holds -----------------------------------------------------------------------------------


def test_nothing_is_asked_of_it_before_the_first_command() -> None:
    robot = hand()
    for _ in range(5):
        robot.tick(robot.rig.velocity(0.1))
    assert robot.told == [None] * 5
    robot.tick()
    assert robot.told[-1] is None


def stopped_by(robot: Hand, fault: Callable[[Hand], Any]) -> None:
    """Closing on an object, then `fault` every tick to rest and beyond: nothing is asked anew."""
    robot.object_width = 0.03
    robot.ask(0.0, 60, max_effort=30.0, speed=0.5)
    before = robot.told[-1]
    assert before is not None
    while fault(robot).stop_tick == 0:  # a command is followed until it expires, gripper and all
        before = robot.told[-1]
    for _ in range(80):
        fault(robot)
    assert set(robot.told[-80:]) == {before}
    assert before is not None
    assert before.position < 0.03
    assert not robot.rig.dq.any()
    assert robot.width == 0.03


def open_up(robot: Hand, **changes: Any) -> Command:
    return robot.rig.velocity(0.5, gripper=towards(0.08), **changes)


STOPS: dict[str, Callable[[Hand], Any]] = {
    "silence": lambda robot: robot.tick(),
    "no measurement": lambda robot: robot.tick(open_up(robot), gripper=None),
    "width is not finite": lambda r: r.tick(open_up(r), gripper=GripperState(math.nan, 0.0)),
    "force is not finite": lambda r: r.tick(open_up(r), gripper=GripperState(0.03, math.inf)),
    "force beyond bounds": lambda r: r.tick(open_up(r), gripper=GripperState(0.03, -46.0)),
    "width beyond bounds": lambda r: r.tick(open_up(r), gripper=GripperState(0.082)),
    "width below bounds": lambda r: r.tick(open_up(r), gripper=GripperState(-0.002)),
    "stale state": lambda r: r.tick(open_up(r), stamp_ns=0),
    "arm is lost": lambda r: r.tick(open_up(r), q=r.rig.q + math.nan),
    "width not finite": lambda r: r.tick(r.rig.velocity(0.5, gripper=towards(math.nan))),
    "force not finite": lambda r: r.tick(r.rig.velocity(0.5, gripper=towards(0.08, math.nan))),
    "force negative": lambda r: r.tick(r.rig.velocity(0.5, gripper=towards(0.08, -1.0))),
    "two widths": lambda r: r.tick(r.rig.velocity(0.5, gripper=towards([0.08, 0.08]))),
    "no width": lambda r: r.tick(r.rig.velocity(0.5, gripper=towards([]))),
    "arm not finite": lambda r: r.tick(r.rig.velocity(math.nan, gripper=towards(0.08))),
    "stale command": lambda r: r.tick(open_up(r, stamp_ns=0)),
    "unknown setpoint": lambda r: r.tick(open_up(r), executed=Executed(10_000, 0)),
}


@pytest.mark.parametrize("why", STOPS)
def test_every_stop_holds_it(why: str) -> None:
    stopped_by(hand(), STOPS[why])


def test_an_internal_error_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    robot = hand()
    robot.ask(0.0, 10, max_effort=30.0)
    before = robot.told[-1]
    monkeypatch.setattr("checkrein.controller.gripper.follow", broken)
    decision = robot.ask(0.08, 1)
    assert decision.outcome is Outcome.STOP
    assert "broken" in str(decision.error)
    assert decision.setpoint.gripper == before


def test_a_command_without_a_gripper_part_holds_it() -> None:
    robot = hand()
    robot.ask(0.0, 10)
    before = robot.told[-1]
    robot.tick(robot.rig.velocity(0.1))
    assert robot.told[-1] == before


def test_timeline_of_a_grasp_a_latched_stop_and_a_release() -> None:
    """0 close on an object; then a fault: held, latched; reset: held; arm: held; then open."""
    robot = hand()
    robot.object_width = 0.03
    robot.ask(0.0, 200, max_effort=25.0)
    grasp = GripperSetpoint(0.0, 25.0)
    assert robot.told[-1] == grasp
    decision = robot.tick(open_up(robot), gripper=None)
    assert decision.outcome is Outcome.STOP
    assert decision.stop_state.latched
    assert decision.findings[0].subject == "state.gripper is missing"
    while robot.tick(open_up(robot)).stop_state.phase != "at_rest":
        pass
    robot.rig.guard.reset()
    for _ in range(3):
        assert robot.tick(open_up(robot)).stop_state.phase == "disarmed"
    robot.arm()
    robot.tick()
    robot.tick(robot.rig.velocity(0.0))
    assert set(robot.told[199:]) == {grasp}
    robot.ask(0.08, 1)
    assert robot.told[-1] == GripperSetpoint(REACH, 40.0)
    robot.ask(0.08, 250)
    assert robot.width == 0.08
    assert_gripped_within(robot.limits, robot.told, 0.05)


def test_fingers_that_somebody_moved_are_left_alone_when_armed_again() -> None:
    robot = hand()
    robot.ask(0.0, 200)
    robot.tick(None, gripper=None)
    while robot.tick().stop_state.rest_in_ticks > 0:
        pass
    robot.rig.guard.reset()
    robot.tick()
    robot.width = 0.06  # by hand
    robot.arm()
    robot.tick()
    assert robot.told[-1] is None
    robot.ask(0.0, 1)
    assert robot.told[-1] == GripperSetpoint(0.06 - REACH, 40.0)


def test_setpoints_that_the_robot_never_got_do_not_count() -> None:
    robot = hand()
    robot.ask(0.0, 10, speed=0.0)
    played = robot.rig.guard.memory
    assert played is not None
    there = robot.told[-1]
    robot.ask(0.0, 4, speed=0.0)
    state = {"executed": Executed(played.seq, 4), "q": robot.rig.q, "dq": robot.rig.dq}
    decision = robot.tick(robot.rig.velocity(0.0, gripper=towards(0.0)), **state)
    assert decision.outcome is Outcome.CLAMP
    assert there is not None
    assert decision.setpoint.gripper == GripperSetpoint(there.position - REACH, 40.0)


# what is not taken -------------------------------------------------------------------------------


def test_a_gripper_that_is_not_declared_is_not_commanded() -> None:
    rig = Rig(turntable()).arm()
    decision = rig.tick(rig.velocity(0.1, gripper=towards(0.0)))
    assert decision.outcome is Outcome.REFUSE
    assert names(decision) == {"undeclared"}
    assert decision.setpoint.gripper is None


@pytest.mark.parametrize("bad", [None, GripperState(math.nan), GripperState(0.2), GripperState(-1)])
def test_nothing_is_armed_without_a_good_measurement(bad: GripperState | None) -> None:
    with pytest.raises(ArmError, match=r"gripper"):
        Rig(gripping(turntable())).arm(gripper=bad)


def test_a_required_force_that_is_not_measured_stops() -> None:
    robot = hand(force_required=True)
    decision = robot.tick(None, gripper=GripperState(0.05))
    assert decision.outcome is Outcome.STOP
    assert decision.findings[0].subject == "state.gripper.effort is missing"


def test_a_batch_refuses_limits_with_a_gripper() -> None:
    with pytest.raises(ValueError, match="gripper: a batch takes no gripper commands"):
        BatchFilter(gripping(turntable()), 2)


def test_its_limits_cannot_be_changed_in_motion() -> None:
    robot = hand()
    limits = robot.limits
    assert limits.gripper is not None
    weaker = replace(limits, gripper=replace(limits.gripper, max_force=10.0))
    with pytest.raises(LooserLimitsError, match="gripper"):
        robot.rig.guard.tighten(weaker)


# whatever comes ----------------------------------------------------------------------------------


@given(
    start=st.floats(0.0, 0.08),
    rows=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=5),
    row_period_s=st.sampled_from((0.0, 0.003, 0.02)),
    effort=st.floats(0.0, 1e3),
    by_width=st.booleans(),
)
def test_whatever_is_wanted_what_is_told_is_within_the_limits(
    start: float, rows: list[float], row_period_s: float, effort: float, by_width: bool
) -> None:
    limits = gripping(turntable(), command="width" if by_width else "open_close", min_width=0.01)
    grip = Grip(None, start, ())
    asked = Wanted(tuple(rows), row_period_s, effort, start)
    told: list[GripperSetpoint | None] = []
    for k in range(30):
        setpoint, _ = follow(limits.gripper, grip, asked, k * T, T)
        told.append(setpoint)
        grip = grip._replace(setpoint=setpoint)
    assert_gripped_within(limits, told, max(start, 0.01))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("ask", "chunk", "silence", "no part", "bad state", "bad arm")),
            WEIRD, st.one_of(st.none(), WEIRD), st.integers(1, 8),
        ),
        max_size=12,
    ),
    st.sampled_from(tuple(OnViolation)),
)  # fmt: skip
def test_whatever_comes_the_stream_obeys_and_stops_hold(
    events: list[tuple[str, float, float | None, int]], on_violation: OnViolation
) -> None:
    robot = Hand(LIMITS[on_violation])
    for kind, position, effort, ticks in events:
        for k in range(ticks):
            before = robot.told[-1] if robot.told else None
            part = towards(position, effort)
            state: dict[str, Any] = {}
            proposal = robot.rig.velocity(0.3, gripper=part)
            if kind == "chunk":
                rows = towards([position, 0.02], effort)
                proposal = robot.rig.command(
                    "joint_velocity", [[0.3], [0.1]], period_ms=10.0, gripper=rows
                )
            elif kind == "no part":
                proposal = robot.rig.velocity(0.3)
            elif kind == "bad state":
                width = math.nan if 0.0 <= position <= 0.08 else position
                state = {"gripper": GripperState(width, effort)}
            elif kind == "bad arm":
                proposal = robot.rig.velocity(math.nan, gripper=part)
            is_silent = kind == "silence" or (kind == "chunk" and k > 0)
            decision = robot.tick(None if is_silent else proposal, **state)
            if decision.stop_tick > 0:
                assert decision.setpoint.gripper == before
    assert_gripped_within(robot.limits, robot.told, 0.05)


LIMITS = {choice: gripping(turntable(), on_violation=choice) for choice in OnViolation}

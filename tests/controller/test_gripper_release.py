"""What a gripper carries, where `gripper_release` is declared: letting go is a permission."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from tests.gripping import Hand, gripping
from tests.robots import turntable
from tests.seeing import names

from checkrein.controller import Outcome
from checkrein.limits import Limits, LooserLimitsError, OnViolation, Variant


def carrying(
    on_violation: OnViolation, command: Literal["width", "open_close"] = "width"
) -> Limits:
    """A gripper whose payload can be chosen, and is, and must not be let go."""
    limits = gripping(turntable(), command=command)
    bodies = (limits.kinematics, limits.capsules, limits.self_collision)
    variants = tuple(Variant(None, payload, *bodies) for payload in (None, "crate"))
    actions = {**limits.on_violation, "gripper_release": on_violation}
    return replace(limits, payload="crate", variants=variants, on_violation=actions)


def test_what_is_carried_is_let_go_only_once_it_is_not_carried() -> None:
    robot = Hand(carrying(OnViolation.REFUSE), object_width=0.04)
    robot.ask(0.0, 100, max_effort=20.0)
    grasp = robot.told[-1]
    assert grasp is not None
    for position, effort in ((0.08, 20.0), (grasp.position, 10.0)):
        decision = robot.ask(position, 3, max_effort=effort)
        assert decision.outcome is Outcome.REFUSE
        assert names(decision) >= {"gripper_release"}
        assert decision.setpoint.gripper == grasp
    robot.rig.guard.set_payload(None)
    assert robot.ask(0.08, 300).outcome is Outcome.PASS
    assert robot.width == 0.08


@pytest.mark.parametrize("command", ["width", "open_close"])
def test_where_that_is_clamped_the_arm_goes_on(command: Literal["width", "open_close"]) -> None:
    robot = Hand(carrying(OnViolation.CLAMP, command), object_width=0.04)
    robot.ask(0.0, 30, max_effort=20.0)
    grasp = robot.told[-1]
    decision = robot.ask(1.0 if command == "open_close" else 0.08, 5, max_effort=5.0)
    assert decision.outcome is Outcome.CLAMP
    assert decision.stop_tick == 0
    assert decision.setpoint.gripper == grasp
    bounds = [(f.unit, f.margin < 0.0) for f in decision.findings if f.limit == "gripper_release"]
    assert bounds == [("m", True), ("N", True)]
    robot.ask(0.0, 1, max_effort=30.0)
    assert robot.told[-1] is not None
    assert robot.told[-1].max_effort == 30.0


def test_the_permission_cannot_be_had_by_tightening() -> None:
    limits = carrying(OnViolation.CLAMP)
    robot = Hand(limits)
    bare = {k: v for k, v in limits.on_violation.items() if k != "gripper_release"}
    with pytest.raises(LooserLimitsError, match="gripper_release"):
        robot.rig.guard.tighten(replace(limits, on_violation=bare))

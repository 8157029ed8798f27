"""Speeds of links and of zones in a filter: clamped or refused as each declares, named in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.drive import Rig
from tests.limits.slow_links import ball
from tests.robots import panda, without_geometry, without_margins

from checkrein.controller import Outcome
from checkrein.controller.findings import refusal_of
from checkrein.limits import Limits, LinkLimits, OnViolation, Zone
from checkrein.limits.core import Core

SPIN = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def slowed(action: OnViolation) -> tuple[Limits, Zone]:
    robot = without_geometry(without_margins(panda()))
    zone = ball([0.45, 0.0, 0.35], 0.2, 0.1)
    return robot, replace(zone, volume=replace(zone.volume, on_violation=action))


@pytest.mark.parametrize("action", [OnViolation.CLAMP, OnViolation.REFUSE])
def test_a_zone_does_what_it_declares(action: OnViolation) -> None:
    robot, zone = slowed(action)
    rig = Rig(replace(robot, zones=(zone,))).arm()
    decision = rig.tick(rig.velocity(SPIN))
    assert decision.outcome is (Outcome.CLAMP if action is OnViolation.CLAMP else Outcome.REFUSE)
    (found,) = (item for item in decision.findings if item.limit == "zone_speed")
    assert found.subject.endswith("/cell")
    assert found.unit == "m/s"
    assert found.margin == found.bound - found.value < 0.0
    if action is OnViolation.REFUSE:
        assert not decision.setpoint.dq.any()


def test_zones_that_differ_refuse_only_where_they_say_so() -> None:
    robot, one = slowed(OnViolation.REFUSE)
    other = replace(one, volume=replace(one.volume, name="aisle", on_violation=OnViolation.CLAMP))
    assert refusal_of(Core(replace(robot, zones=(one,))), "zone_speed") is True
    assert refusal_of(Core(replace(robot, zones=(other,))), "zone_speed") is False
    assert refusal_of(Core(replace(robot, zones=(one, other))), "zone_speed") is None


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("link_speed", {"links": LinkLimits(0.2)}),
        ("tcp_acceleration", {"tcp": replace(panda().tcp, max_trans_acc=0.3)}),
        ("tcp_rotational_acceleration", {"tcp": replace(panda().tcp, max_rot_acc=0.3)}),
    ],
)
def test_the_others_do_what_their_kind_declares(kind: str, changes: dict[str, object]) -> None:
    robot = without_margins(replace(panda(), volumes=(), self_collision=None))
    for action, outcome in (
        (OnViolation.CLAMP, Outcome.CLAMP),
        (OnViolation.REFUSE, Outcome.REFUSE),
    ):
        declared = {**dict.fromkeys(robot.on_violation, OnViolation.CLAMP), kind: action}
        rig = Rig(replace(robot, on_violation=declared, **changes)).arm()  # type: ignore[arg-type]
        decision = rig.tick(rig.velocity(SPIN))
        assert kind in {finding.limit for finding in decision.findings}
        assert decision.outcome is outcome

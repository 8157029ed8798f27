"""Limits that are nowhere looser are taken; anything else is refused by name."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from tests.limits.slow_links import ball
from tests.robots import array, folding, half_space, panda, robots, slider, turntable, with_joint

from checkrein.limits import (
    JointLimits,
    Limits,
    LinkLimits,
    LooserLimitsError,
    OnViolation,
    Timing,
)
from checkrein.limits.narrowing import looser, require_nowhere_looser

BOUNDS = (
    "max_position", "max_velocity", "max_acceleration", "max_jerk", "max_effort",
    "recovery_velocity",
)  # fmt: skip
ERRORS = ("tracking_error", "velocity_error", "effort_error", "position_noise")


@pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())
def test_the_same_limits_are_not_looser(robot: Limits) -> None:
    assert list(looser(robot, robot)) == []
    renamed = replace(robot, name="other", sha256="1" * 64, provenance={"a": 1}, source={"b": 2})
    require_nowhere_looser(robot, renamed)


@pytest.mark.parametrize("field", [*BOUNDS, "min_position"])
def test_a_joint_bound_is_tightened_but_never_loosened(field: str) -> None:
    robot = panda()
    value = getattr(robot.joints[3], field)
    step = 0.01 if field == "min_position" else -0.01
    require_nowhere_looser(robot, with_joint(robot, 3, **{field: value + step}))
    for wrong in (value - step, math.nextafter(value, value - 100 * step), math.nan):
        with pytest.raises(LooserLimitsError, match=rf"joints\.panda_joint4\.{field}: .*looser"):
            require_nowhere_looser(robot, with_joint(robot, 3, **{field: wrong}))


def test_the_message_names_the_field_both_values_the_unit_and_the_way_out() -> None:
    robot = turntable()
    with pytest.raises(LooserLimitsError) as caught:
        require_nowhere_looser(robot, with_joint(robot, 0, max_velocity=2.5))
    message = str(caught.value)
    assert "joints.turn.max_velocity: 2.5 rad/s is looser than 2 rad/s" in message
    assert "reset() at rest, and arm a new filter with them" in message


@pytest.mark.parametrize("field", ERRORS)
@pytest.mark.parametrize("change", [-1e-6, 1e-6])
def test_what_is_declared_of_the_robot_stays(field: str, change: float) -> None:
    robot = panda()
    value = getattr(robot.joints[0], field) + change
    with pytest.raises(LooserLimitsError, match=field):
        require_nowhere_looser(robot, with_joint(robot, 0, **{field: value}))


def test_speeds_of_links_and_zones_are_tightened_but_never_loosened() -> None:
    robot = replace(panda(), links=LinkLimits(1.0), zones=(ball([0.5, 0.0, 0.5], 0.2, 0.3),))
    require_nowhere_looser(panda(), robot)
    require_nowhere_looser(robot, replace(robot, links=LinkLimits(0.9)))
    (zone,) = robot.zones
    larger = replace(zone.volume, radius=0.25)
    require_nowhere_looser(robot, replace(robot, zones=(replace(zone, volume=larger),)))
    require_nowhere_looser(robot, replace(robot, zones=(replace(zone, max_speed=0.2),)))
    for changes, what in (
        ({"links": LinkLimits(1.1)}, r"links\.max_speed"),
        ({"links": LinkLimits(None)}, r"links\.max_speed"),
        ({"zones": ()}, r"zones\.cell: absent"),
        ({"zones": (replace(zone, max_speed=0.31),)}, r"zones\.cell\.max_speed"),
        ({"zones": (replace(zone, max_speed=math.nan),)}, r"zones\.cell\.max_speed"),
        (
            {"zones": (replace(zone, volume=replace(zone.volume, radius=0.1)),)},
            r"zones\.cell\.radius",
        ),
    ):
        with pytest.raises(LooserLimitsError, match=what):
            require_nowhere_looser(robot, replace(robot, **changes))


@pytest.mark.parametrize("name", ["max_trans_acc", "max_rot_acc"])
def test_the_tools_acceleration_is_tightened_but_never_loosened(name: str) -> None:
    def with_bound(bound: float | None) -> Limits:
        changes: dict[str, Any] = {name: bound}
        return replace(panda(), tcp=replace(panda().tcp, **changes))

    robot = with_bound(2.0)
    require_nowhere_looser(panda(), robot)
    require_nowhere_looser(robot, with_bound(1.5))
    for wrong in (2.1, None, math.nan):
        with pytest.raises(LooserLimitsError, match=rf"tcp\.{name}"):
            require_nowhere_looser(robot, with_bound(wrong))


def test_no_field_of_a_joint_is_forgotten() -> None:
    """A field that is added to the record is compared, or this test says that it is not."""
    robot = panda()
    for field in fields(JointLimits):
        value = getattr(robot.joints[1], field.name)
        value = 1e9 if value is None else value  # any that is declared
        other: Any = f"{value}x" if isinstance(value, str) else value + 1.0
        down: Any = f"x{value}" if isinstance(value, str) else value - 1.0
        changes = [with_joint(robot, 1, **{field.name: v}) for v in (other, down)]
        assert any(list(looser(robot, changed)) for changed in changes), field.name


@pytest.mark.parametrize(
    "changes",
    [
        {"period_s": 0.002},
        {"period_s": 0.008},
        {"standoff": 0.001},
        {"stop_category": "cat2"},
        {"kinematics": turntable().kinematics},
        {"capsules": panda().capsules[1:]},
        {"volumes": panda().volumes[1:]},
        {"self_collision": None},
        {"timing": replace(panda().timing, watchdog_ms=1.0)},
        {"timing": replace(panda().timing, latency_ticks=2)},
        {"timing": replace(panda().timing, command_timeout_ms=1e4)},
        {"timing": replace(panda().timing, period_tolerance=0.9)},
        {"tcp": replace(panda().tcp, max_trans_vel=9.0)},
        {"tcp": replace(panda().tcp, max_rot_vel=None)},
        {"tcp": replace(panda().tcp, max_force=1e3)},
        {"classifier": replace(panda().classifier, none_reason="another")},
    ],
)
def test_looser_or_of_another_robot_is_refused(changes: dict[str, Any]) -> None:
    now = replace(panda(), stop_category="cat1")
    wanted = replace(now, **changes)
    with pytest.raises(LooserLimitsError):
        require_nowhere_looser(now, wanted)


def test_other_joints_are_another_robot() -> None:
    with pytest.raises(LooserLimitsError, match="joints: "):
        require_nowhere_looser(panda(), slider())


def test_tighter_in_other_places_is_taken() -> None:
    now = slider()
    timing = Timing(50.0, 6.0, 0.2, 100.0, 100.0)
    tcp = replace(now.tcp, max_trans_vel=0.5, max_rot_vel=1.0, max_force=10.0)
    more = (*now.volumes, half_space("shelf", [0.0, 0.0, 1.0], 0.0, "keep_out"))
    on = {**now.on_violation, "tcp_speed": OnViolation.REFUSE, "self_collision": OnViolation.CLAMP}
    wanted = replace(
        folding(now, standoff=0.01), timing=timing, tcp=tcp, volumes=more, on_violation=on,
        standoff=0.01, stop_category="cat1",
    )  # fmt: skip
    require_nowhere_looser(now, wanted)
    assert {found.field for found in looser(wanted, now)} >= {
        "tcp.max_trans_vel", "tcp.max_rot_vel", "timing.command_timeout_ms", "volumes.shelf",
        "self_collision.pairs", "on_violation.tcp_speed", "standoff", "stop_category",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["keep_in", "keep_out"])
def test_a_volume_leaves_less_room_but_never_more(kind: Any) -> None:
    """Of a keep-in volume a smaller one is tighter, of a keep-out volume a larger one."""
    robot = turntable()
    base = half_space("v", [0.0, 0.0, 1.0], 0.5, kind)
    box = replace(
        base, shape="box", normal=None, offset=None, center=array(np.zeros(3)),
        rotation=array(np.eye(3)), half_extents=array([1.0, 1.0, 1.0]),
    )  # fmt: skip
    ball = replace(box, shape="sphere", rotation=None, half_extents=None, radius=1.0)
    sign = 1.0 if kind == "keep_out" else -1.0
    larger = {"offset": 0.5 + 0.1 * sign, "radius": 1.0 + 0.1 * sign,
              "half_extents": array([1.0, 1.0, 1.0 + 0.1 * sign])}  # fmt: skip
    for volume, name in ((base, "offset"), (box, "half_extents"), (ball, "radius")):
        changed: dict[str, Any] = {name: larger[name]}
        now, then = (replace(robot, volumes=(v,)) for v in (volume, replace(volume, **changed)))
        require_nowhere_looser(now, then)
        with pytest.raises(LooserLimitsError, match=rf"volumes\.v\.{name}"):
            require_nowhere_looser(then, now)
    moved = replace(ball, center=array([0.0, 0.0, 1e-9]))
    with pytest.raises(LooserLimitsError, match=r"volumes\.v\.center"):
        require_nowhere_looser(*(replace(robot, volumes=(v,)) for v in (ball, moved)))
    exempt = replace(ball, exempt=("link0",))
    require_nowhere_looser(*(replace(robot, volumes=(v,)) for v in (exempt, ball)))
    with pytest.raises(LooserLimitsError, match="exempt"):
        require_nowhere_looser(*(replace(robot, volumes=(v,)) for v in (ball, exempt)))


def test_a_capsule_may_grow_but_not_shrink() -> None:
    robot = turntable()
    thick = replace(robot, capsules=(replace(robot.capsules[0], radius=0.05),))
    require_nowhere_looser(robot, thick)
    with pytest.raises(LooserLimitsError, match=r"capsules\.link0"):
        require_nowhere_looser(thick, robot)


def test_deceleration_is_compared_by_what_it_is_where_it_is_not_declared() -> None:
    robot = panda()
    bound = robot.joints[0].max_acceleration
    require_nowhere_looser(robot, with_joint(robot, 0, max_deceleration=bound))
    slower = with_joint(robot, 0, max_deceleration=0.5 * bound)
    require_nowhere_looser(robot, slower)
    for now, wanted in ((robot, 1.01 * bound), (slower, None), (slower, math.nan)):
        with pytest.raises(LooserLimitsError, match=r"joints\.panda_joint1\.max_deceleration"):
            require_nowhere_looser(now, with_joint(robot, 0, max_deceleration=wanted))


@pytest.mark.parametrize("way", [True, False])
def test_how_motion_is_held_back_is_no_bound(way: bool) -> None:
    """It may change both ways: what is certified is the same; and it loosens nothing beside it."""
    robot = replace(panda(), keeps_direction=way)
    other = replace(robot, keeps_direction=not way)
    require_nowhere_looser(robot, other)
    with pytest.raises(LooserLimitsError, match="standoff"):
        require_nowhere_looser(robot, replace(other, standoff=0.0))

"""The kernels that a decision calls: what they accept, and that no call can start a compiler."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.robots import panda, robots, slider

from checkrein.limits import Limits, RobotState
from checkrein.limits.core import Core
from checkrein.limits.kernels.reference import VELOCITY

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


def at_home(robot: Limits) -> RobotState:
    n = len(robot.joints)
    return RobotState(
        robot.home,
        np.zeros(n),
        0,
        tau=np.zeros(n),
        tau_ext=np.zeros(n),
        wrench_tcp=np.zeros(6),
    )


def changed(state: RobotState, field: str, values: np.ndarray) -> RobotState:
    fields: dict[str, Any] = {field: values}
    return replace(state, **fields)


@every_robot
def test_a_good_state_holds_with_or_without_what_is_optional(robot: Limits) -> None:
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    state = at_home(robot)
    assert core.state_holds(state, motion)
    assert core.state_holds(replace(state, tau=None, tau_ext=None), motion)
    assert core.state_holds(replace(state, wrench_tcp=None), motion)


def test_a_missing_wrench_does_not_hold_where_it_is_required() -> None:
    robot = replace(panda(), tcp=replace(panda().tcp, force_required=True))
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    assert core.state_holds(at_home(robot), motion)
    assert not core.state_holds(replace(at_home(robot), wrench_tcp=None), motion)


@every_robot
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["q", "dq", "tau", "tau_ext"])
def test_no_state_holds_with_an_element_that_is_not_finite(
    robot: Limits, field: str, bad: float
) -> None:
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    for joint in range(core.n):
        values = np.array(getattr(at_home(robot), field))
        values[joint] = bad
        assert not core.state_holds(changed(at_home(robot), field, values), motion)


@every_robot
@pytest.mark.parametrize("field", ["q", "dq", "tau", "tau_ext", "wrench_tcp"])
def test_no_state_holds_with_a_wrong_shape(robot: Limits, field: str) -> None:
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    for shape in ((0,), (core.n + 9,), (core.n, 1), ()):
        wrong = changed(at_home(robot), field, np.zeros(shape))
        assert not core.state_holds(wrong, motion)


def test_the_force_decides_at_its_bound() -> None:
    robot = slider()
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    for force, holds in ((robot.tcp.max_force, True), (math.nextafter(40.0, 41.0), False)):
        wrench = np.array([0.0, -force, 0.0, 9e9, 0.0, 0.0])
        assert core.state_holds(replace(at_home(robot), wrench_tcp=wrench), motion) is holds
    wrench = np.array([math.nan, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert not core.state_holds(replace(at_home(robot), wrench_tcp=wrench), motion)


@pytest.mark.parametrize("values", [[], [1.0], [[1.0, -2.0], [1e308, 0.0]]])
def test_finite_numbers_are_finite(values: list[float]) -> None:
    assert Core.is_finite(np.array(values))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_that_is_not_is_found_wherever_it_is(bad: float) -> None:
    for place in range(6):
        values = np.zeros((2, 3))
        values.flat[place] = bad
        assert not Core.is_finite(values)


def test_writable_copies_of_records_give_the_same_bits_and_compile_nothing() -> None:
    """Copying a record drops `read-only` from its arrays: another type to a compiler."""
    core = Core(panda())
    motion, _ = core.rest(panda().home)
    state = copy.deepcopy(at_home(panda()))
    assert state.q.flags.writeable
    assert core.state_holds(state, motion)
    rows = np.full((1, core.n), 0.1)
    anchor = np.zeros((2, core.n))
    one = core.follow(motion, VELOCITY, rows, 0.0, anchor, 0.0)[0]
    rows.setflags(write=False)
    two = core.follow(motion, VELOCITY, rows, 0.0, anchor, 0.0)[0]
    assert one.tobytes() == two.tobytes()


def test_a_layout_that_no_kernel_was_compiled_for_is_an_error_at_once() -> None:
    core = Core(panda())
    motion, _ = core.rest(panda().home)
    rows = np.zeros((core.n, 4)).T
    with pytest.raises(TypeError, match="No matching definition"):
        core.follow(motion, VELOCITY, rows, 0.004, np.zeros((2, core.n)), 0.0)

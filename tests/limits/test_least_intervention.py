"""Least intervention: along a wall, at a joint's bound and at the tool's top speed it goes on.

Held velocities on the shipped arm, tick by tick, judged by the oracle and by differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.kernels.test_pursuit import angle
from tests.limits.slow_chain import capsule_axes, jacobian, tcp
from tests.robots import array, column, half_space, panda, turntable, without_geometry

import checkrein.limits
from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.records import Array
from checkrein.limits.tick import PASSED
from checkrein.sim.oracle import Motion, judge_ticks, read_robot

ROBOTS = Path(str(checkrein.limits.__file__)).parent / "robots"
HOLDS = ("workspace", "self_collision", "joint_position")
Asked = Callable[[int, Array], Array]  # joint velocities (n,) of the command at a tick and place


class Run(NamedTuple):
    """What came out, tick by tick."""

    states: Array  # (ticks + 1, n, 3) q, dq, ddq
    codes: list[int]
    kinds: list[set[str]]
    bounds: list[set[tuple[str, str]]]  # kind and subject of volumes and bounds that hold it


def run(limits: Limits, asked: Asked, ticks: int) -> Run:
    core = Core(limits)
    motion, _ = core.rest(limits.home)
    states, codes, kinds = [np.array(motion[:-1, :3])], [], []
    bounds: list[set[tuple[str, str]]] = []
    for tick in range(ticks):
        reference = np.zeros((3, core.n))
        reference[1] = asked(tick, motion[:-1, 0])
        motion, code, found = core.advance(motion, VELOCITY, reference)
        states.append(np.array(motion[:-1, :3]))
        codes.append(code)
        kinds.append({item[0] for item in found})
        bounds.append({item[:2] for item in found if item[0] in HOLDS})
    return Run(np.array(states), codes, kinds, bounds)


def held(*values: float) -> Asked:
    return lambda _tick, _q: np.array(values)


def led(limits: Limits, velocity: Array) -> Asked:
    """The tool along a line, velocity (3,), or with a twist (6,): least squares."""
    rows = len(velocity)

    def asked(_tick: int, q: Array) -> Array:
        J = jacobian(limits, q, tcp(limits, q), len(q) - 1)[:rows]
        return np.asarray(J.T @ np.linalg.solve(J @ J.T + 1e-6 * np.eye(rows), velocity))

    return asked


def tool_speeds(limits: Limits, states: Array) -> Array:
    """Velocity (k, 3) of the tool's centre."""
    last = len(limits.joints) - 1
    return np.array([jacobian(limits, s[:, 0], tcp(limits, s[:, 0]), last)[:3] @ s[:, 1]
                     for s in states])  # fmt: skip


def swings(limits: Limits, states: Array) -> float:
    """Most sign changes a second of a jerk above a tenth of its bound, over all joints."""
    jerk = np.diff(states[:, :, 2], axis=0) / limits.period_s
    bound, worst = 0.1 * column(limits, "max_jerk"), 0
    for joint in range(jerk.shape[1]):
        large = jerk[np.abs(jerk[:, joint]) > bound[joint], joint]
        worst = max(worst, int(np.count_nonzero(np.diff(np.sign(large)))))
    return worst / (len(jerk) * limits.period_s)


def assert_no_violation(name: str, limits: Limits, states: Array) -> None:
    """By the oracle, also for a robot that is off its command by corners of the errors."""
    robot = read_robot((ROBOTS / f"{name}.json").read_bytes())
    before, after = (np.moveaxis(part, 2, 0) for part in (states[:-1], states[1:]))
    shape = before[0].shape
    off = np.random.default_rng(5).choice([-1.0, 1.0], shape) * column(limits, "position_error")
    one_run = np.zeros(shape[0], dtype=np.int64)
    motion = Motion(before[0], before[1], before[2], after[0], after[1], after[2], one_run)
    assert judge_ticks(robot, motion, deviation=off, thorough=False) == []


ALONG = {"left": [0.0, 0.15, -0.15], "right": [0.0, -0.15, -0.15]}


def tangential_share(velocity: list[float], wait: int = 100) -> float:
    """Of the commanded speed along the table, in a second that begins so long after the touch."""
    limits = panda()
    out = run(limits, led(limits, np.array(velocity)), 960)
    assert_no_violation("franka_panda", limits, out.states)
    touch = next(k for k, kinds in enumerate(out.kinds) if "workspace" in kinds)
    second = out.states[touch + wait : touch + wait + 250]
    assert len(second) == 250
    along = np.array(velocity) * [1.0, 1.0, 0.0]
    return float((tool_speeds(limits, second) @ along / (along @ along)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("way", sorted(ALONG))
def test_pressed_on_the_table_the_tool_goes_on_along_it(way: str) -> None:
    assert tangential_share(ALONG[way]) >= 0.95  # later it meets the bin and the post


def test_pressed_on_the_table_the_tool_goes_on_along_it_also_inwards() -> None:
    assert tangential_share([-0.1, 0.0, -0.2], wait=0) >= 0.95


def beside_a_wall(rng: np.random.Generator) -> tuple[Limits, Array, Array]:
    """The Panda alone, 3 cm from a wall that some link meets; a direction along it, and towards."""
    limits = replace(panda(), self_collision=None)
    towards = rng.normal(size=3)
    towards /= np.linalg.norm(towards)
    along = np.cross(towards, rng.normal(size=3))
    axes = capsule_axes(limits, np.array(limits.home))
    edge = max(
        float((axis @ towards).max()) + capsule.radius
        for axis, capsule in zip(axes, limits.capsules, strict=True)
        if capsule.joint > 0
    )
    base = limits.capsules[0].name
    wall = replace(half_space("wall", towards.tolist(), edge + 0.03, "keep_in"), exempt=(base,))
    return replace(limits, volumes=(wall,)), along / np.linalg.norm(along), towards


@pytest.mark.slow
def test_pressed_on_a_wall_by_any_link_the_tool_goes_on_along_it() -> None:
    """At the speed that is asked for along it, whichever link is in its way."""
    rng, shares = np.random.default_rng(1), []
    for _ in range(24):
        limits, along, towards = beside_a_wall(rng)
        speed, push = rng.uniform(0.05, 0.25), rng.uniform(0.3, 1.5)
        out = run(limits, led(limits, speed * (along + push * towards)), 400)
        touch = next((k for k, kinds in enumerate(out.kinds) if "workspace" in kinds), 400)
        second = out.states[touch + 50 : touch + 150]
        if len(second) < 100 or set().union(*out.kinds[touch + 50 : touch + 150]) != {"workspace"}:
            continue  # it did not get there, or something else is in its way as well
        shares.append(float((tool_speeds(limits, second) @ along).mean()) / speed)
    assert len(shares) >= 12
    assert min(shares) >= 0.94
    assert np.mean(np.array(shares) >= 0.95) >= 0.9


def test_pressed_straight_on_the_table_it_stands_before_it() -> None:
    """If it were to turn as well, it would: the tool has to rise so that its rim can sink."""
    limits = panda()
    out = run(limits, led(limits, np.array([0.0, 0.0, -0.2, 0.0, 0.0, 0.0])), 900)
    assert_no_violation("franka_panda", limits, out.states)
    assert float(np.linalg.norm(tool_speeds(limits, out.states[-250:]), axis=1).max()) <= 0.01


def test_pressed_on_the_table_it_does_not_chatter() -> None:
    limits = panda()
    for velocity in ([0.0, 0.0, -0.2], ALONG["left"]):
        out = run(limits, led(limits, np.array(velocity)), 900)
        assert swings(limits, out.states[-250:]) <= 4.0


@pytest.mark.parametrize(("pressed", "ticks"), [(0, 1150), (4, 1150), (6, 950)])
def test_one_joint_at_its_bound_does_not_stop_the_others(pressed: int, ticks: int) -> None:
    """They wait while it slows down, along the command, and then go on at full speed."""
    limits = panda()
    asked, other = np.zeros(7), 6 if pressed == 0 else 0
    asked[pressed], asked[other] = 1.0, 0.1
    out = run(limits, held(*asked.tolist()), ticks)
    assert_no_violation("franka_panda", limits, out.states)
    bound = column(limits, "max_position")[pressed] - column(limits, "position_error")[pressed]
    assert out.states[-1, pressed, 0] == pytest.approx(bound, abs=1e-3)
    assert out.states[-1, pressed, 0] <= bound + 1e-9
    share = out.states[:, other, 1] / asked[other]
    near = int(np.argmax(out.states[:, pressed, 0] > bound - 0.05))
    assert np.count_nonzero(share[near:] < 0.9) <= 60
    assert (share[-100:] >= 0.999).all()
    assert swings(limits, out.states[-250:]) <= 4.0


def test_a_single_joint_rests_at_its_bound() -> None:
    limits = turntable()
    out = run(limits, held(1.5), 900)
    assert out.states[-1, 0, 0] == pytest.approx(2.0, abs=1e-4)
    assert (out.states[:, 0, 0] <= 2.0 + 1e-9).all()
    assert swings(limits, out.states[-250:]) <= 4.0


@pytest.mark.parametrize("period_s", [0.001, 0.004, 0.02, 0.05])
@pytest.mark.parametrize("distance", [0.07, 0.1, 0.138])
def test_a_single_joint_pressed_on_a_wall_rests_before_it(distance: float, period_s: float) -> None:
    """Square to it, and nearly along it: it can hardly move its link away from there."""
    wall = half_space("wall", [0.0, -1.0, 0.0], -distance, "keep_out")
    limits = turntable(tracking_error=1e-4)
    limits = replace(limits, volumes=(wall,), standoff=1e-3, period_s=period_s)
    second = round(1.0 / period_s)
    out = run(limits, held(1.5), 4 * second)
    inside = math.asin((distance - 0.04 - 1e-3) / 0.1) - 1e-4
    gap = distance - 0.04 - 1e-3 - 0.1 * np.sin(out.states[-1, 0, 0] + 1e-4)  # of what it may use
    assert 0.0 <= gap <= 6e-4
    assert out.states[-1, 0, 0] <= inside
    assert "workspace" in out.kinds[-1]
    assert swings(limits, out.states[-2 * second :]) == 0.0
    assert float(np.abs(out.states[-second:, 0, 1]).max()) <= 1e-3


@pytest.mark.parametrize("period_s", [0.001, 0.004, 0.01, 0.05])
def test_each_joint_rests_a_second_after_it_came_to_its_bound(period_s: float) -> None:
    """Also while the others go on and come to theirs, one after the other."""
    limits, arrivals = replace(without_geometry(panda()), period_s=period_s), 0
    rng, second = np.random.default_rng(3), round(1.0 / period_s)
    for _ in range(3):
        asked = rng.uniform(-0.6, 0.6, 7) * column(limits, "max_velocity")
        states = run(limits, held(*asked.tolist()), 12 * second).states
        ends = np.where(asked > 0.0, states[:, :, 0].max(0), states[:, :, 0].min(0))
        for joint in range(7):
            there = int(np.argmax(np.abs(states[:, joint, 0] - ends[joint]) <= 1e-3))
            after = states[there + second : there + 3 * second, joint : joint + 1]
            if len(after) == 2 * second:
                arrivals += 1
                one = replace(limits, joints=limits.joints[joint : joint + 1])
                assert swings(one, after) <= 4.0
                assert float(np.abs(after[:, 0, 1]).max()) <= 1e-3
    assert arrivals >= 12


def test_along_a_wall_it_goes_on_also_with_a_joint_at_its_bound() -> None:
    """What that joint is asked for is not to be had: counted in, it pressed on, crept and swung."""
    limits = replace(panda(), period_s=0.001)
    asked = [0.6035, -0.3475, 0.1681, 0.4524, 0.4213, 0.81, 0.7028]
    out = run(limits, held(*asked), 5500)
    resting = out.states[1:, 5, 0] > column(limits, "max_position")[5] - 0.003
    pressed = resting & np.array(["workspace" in kinds for kinds in out.kinds])
    first = int(np.argmax(pressed))
    assert np.count_nonzero(pressed) >= 250
    assert resting[first:].all()
    assert float(np.abs(out.states[first + 1500, :, 0] - out.states[first, :, 0]).max()) >= 0.3


def swings_while_held(period_s: float, asked: Array) -> tuple[float, float]:
    """Changes of sign of a jerk above a tenth of its bound, of the joint with most of them.

    In 8 seconds, in ticks in which the same boundaries have held the arm for one; and how long [s]
    these are.
    """
    limits, second = replace(panda(), period_s=period_s), round(1.0 / period_s)
    bound = 0.1 * column(limits, "max_jerk")
    out = run(limits, held(*asked.tolist()), 8 * second)
    jerk = np.diff(out.states[:, :, 2], axis=0) / period_s
    changes, last, lasted, ticks = np.zeros(7), np.zeros(7), 0, 0
    for tick, rows in enumerate(out.bounds):
        lasted = lasted + 1 if tick and rows == out.bounds[tick - 1] else 0
        if lasted == 0:
            last[:] = 0.0
        if not rows or lasted < second:
            continue
        ticks += 1
        sign = np.where(np.abs(jerk[tick]) > bound, np.sign(jerk[tick]), 0.0)
        changes += sign * last < 0.0
        last = np.where(sign != 0.0, sign, last)
    return float(changes.max()), ticks * period_s


@pytest.mark.parametrize(
    ("period_s", "seed"),
    [
        (0.001, 9), (0.001, 18), (0.004, 13), (0.004, 22), (0.004, 23),
        (0.01, 13), (0.01, 22), (0.01, 26), (0.02, 26), (0.05, 26),
    ],
)  # fmt: skip
def test_an_arm_that_slides_for_a_second_slides_smoothly(period_s: float, seed: int) -> None:
    """In the whole cell, as long as the same boundaries hold it: up to a thousand changes of sign a
    second there were, where the way aside switched between two."""
    asked = np.random.default_rng(seed).uniform(-0.5, 0.5, 7) * column(panda(), "max_velocity")
    changes, seconds = swings_while_held(period_s, asked)
    assert seconds >= 0.5
    assert changes <= max(1.0, 4.0 * seconds)


@pytest.mark.parametrize(
    ("period_s", "seed"),
    [
        (0.001, 32), (0.001, 44), (0.001, 61), (0.001, 275), (0.001, 505), (0.004, 44),
        (0.004, 96), (0.004, 178), (0.004, 505), (0.01, 32), (0.01, 586), (0.02, 61),
        (0.02, 158), (0.02, 678),
        (0.05, 44), (0.05, 153), (0.05, 486), (0.05, 990),
    ],
)  # fmt: skip
def test_an_arm_slides_around_corners_and_rests_in_them_smoothly(
    period_s: float, seed: int
) -> None:
    """A stop that bends towards a wall was found out anew in every tick: up to 120 changes of sign
    a second there were, or the arm came to rest by jumping back and forth."""
    rng = np.random.default_rng(seed)
    asked = rng.uniform(-1.0, 1.0, 7) * column(panda(), "max_velocity") * rng.uniform(0.1, 1.0)
    changes, seconds = swings_while_held(period_s, asked)
    assert seconds >= 0.5
    assert changes <= 4.0 * seconds


def test_a_joint_at_its_top_speed_does_not_stall_a_slide() -> None:
    """The floor asks a little more of it than it may have: the arm is a bit slower, not at rest."""
    robot = panda()
    floor = replace(
        half_space("floor", [0.0, 0.0, 1.0], 0.3571, "keep_out"),
        exempt=tuple(capsule.name for capsule in robot.capsules[:6]),
    )
    limits = replace(
        robot,
        home=array([-0.0749, -0.4358, -0.1272, -1.7634, 0.143, 1.4234, 0.701]),
        volumes=(floor,),
        self_collision=None,
        on_violation={k: v for k, v in robot.on_violation.items() if k != "self_collision"},
        period_s=0.02,
    )
    asked = np.array([0.155917, 0.19425, -0.059174, -0.017943, 0.231584, -0.0589, 1.93])
    for share in (1.0, 0.95):
        out = run(limits, held(*(share * asked).tolist()), 52)
        assert sum("workspace" in kinds for kinds in out.kinds) >= 20
        assert float(np.linalg.norm(out.states[12:, :, 1], axis=1).min()) >= 1.7


def test_a_joint_at_its_bound_holds_up_no_others_at_50_ms() -> None:
    """It need not rest exactly: it swung, tick by tick, and they crept on for two seconds."""
    limits = replace(panda(), period_s=0.05)
    asked = np.array([-0.389, -0.328, 0.512, -0.665, 0.195, 0.446, -0.609])
    out = run(limits, held(*asked.tolist()), 74)
    end = column(limits, "min_position")[3]
    there = int(np.argmax(out.states[:, 3, 0] <= end + 5e-3))
    assert 40 <= there <= 50
    others = np.delete(out.states[there + 20 : 74, :, 1] / asked, 3, axis=1)
    assert float(others.min()) >= 0.95


def test_where_the_tool_is_too_fast_the_direction_is_kept() -> None:
    """Not in the first ticks from rest, whose steps are less than a share of the command."""
    limits, bound_by = panda(), 0
    rng = np.random.default_rng(6)
    for _ in range(6):
        asked = rng.uniform(-1.0, 1.0, 7)
        asked *= 1.5 * limits.tcp.max_trans_vel / np.linalg.norm(
            tool_speeds(limits, np.array([np.array([limits.home, asked, asked * 0.0]).T]))
        )  # fmt: skip
        out = run(limits, held(*asked.tolist()), 60)
        for state, kinds in zip(out.states[1:], out.kinds, strict=True):
            alone = kinds.isdisjoint({"workspace", "self_collision", "joint_position"})
            moving = np.linalg.norm(state[:, 1]) >= 0.02 * np.linalg.norm(asked)
            if "tcp_speed" in kinds and alone and moving:
                bound_by += 1
                assert angle(state[:, 1], asked) <= 1.0
        assert_no_violation("franka_panda", limits, out.states)
    assert bound_by >= 100


def test_a_smooth_command_passes_as_it_is() -> None:
    limits = without_geometry(panda())
    rate = 2.0 * math.pi * np.array([0.2, 0.3, 0.4, 0.25, 0.35, 0.45, 0.5]) * limits.period_s

    def asked(tick: int, _q: Array) -> Array:
        return np.asarray(0.3 * np.sin(rate * tick))

    out = run(limits, asked, 1000)
    assert np.count_nonzero(np.array(out.codes) == PASSED) >= 990
    assert swings(limits, out.states) <= 4.0
    wanted = np.array([asked(tick, array([0.0])) for tick in range(1000)])
    assert float(np.abs(out.states[1:, :, 1] - wanted).max()) <= 0.02


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_command_that_is_no_number_leads_nowhere_outside(bad: float) -> None:
    limits = panda()
    core = Core(limits)
    for row in range(3):
        motion, _ = core.rest(limits.home)
        states = [np.array(motion[:-1, :3])]
        for tick in range(20):
            reference = np.zeros((3, 7))
            reference[1] = 0.1
            reference[row, tick % 7] = bad
            motion, _, _ = core.advance(motion, VELOCITY, reference)
            states.append(np.array(motion[:-1, :3]))
        assert np.isfinite(np.array(states)).all()
        assert_no_violation("franka_panda", limits, np.array(states))

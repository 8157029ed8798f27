"""What a tick sends where its first proposal is refused: which trial, in which order, how bold.

Each trial is asked again in fresh memory, so that what is sent stands on its own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.limits.kinds.battery import bounds_of
from tests.robots import array, half_space, moves, slider, with_joints, without_geometry

from checkrein.limits import Limits, OnViolation, Volume
from checkrein.limits.certify import CERTIFIED, KINDS
from checkrein.limits.kernels.braking import next_of_stop, plan_stop
from checkrein.limits.kernels.packed import BOUNDS, WALLS, motion_shape, pack, work_for
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.project import FOUND_MAX, project, slid
from checkrein.limits.records import Array
from checkrein.limits.tick import ALTERED, STOP_TICK, advance, certify_stop
from checkrein.limits.trial import _attempt_slowly, attempt


@cache
def lifter(effort: float, keeps_direction: bool = True) -> Limits:
    """The slider lying on its side, in empty space: it carries its rail against gravity."""
    limits = without_geometry(slider())
    on_its_side = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    rotation = array([on_its_side, limits.kinematics.rotation[1]])
    limits = replace(limits, kinematics=replace(limits.kinematics, rotation=rotation))
    limits = replace(limits, keeps_direction=keeps_direction)
    return with_joints(limits, max_effort=effort, effort_error=0.0)


@cache
def beside(what: str, keeps_direction: bool = True) -> Limits:
    """The slider between a wall and another across it, or with a ball in its way."""
    ball = Volume(
        "ball", "keep_out", "sphere", OnViolation.CLAMP, (), center=array([0.5, 0.0, 0.5]),
        radius=0.1,
    )  # fmt: skip
    side = half_space("side", [0.0, 1.0, 0.0], -0.2, "keep_out")
    end = half_space("end", [1.0, 0.0, 0.0], 0.5, "keep_in")
    volumes = (ball,) if what == "ball" else (side, end)
    return replace(slider(), volumes=volumes, keeps_direction=keeps_direction)


@cache
def turning_gently(what: str, rad_s2: float) -> Limits:
    """Beside that, and its tool must not be turned harder than so."""
    limits = beside(what, keeps_direction=False)
    return replace(limits, tcp=replace(limits.tcp, max_rot_acc=rad_s2))


class Asked(NamedTuple):
    """A held velocity, or one of a row that goes on, in the middle of a motion with a stop."""

    limits: Limits
    start: Any  # (n, 3) q, dq, ddq
    velocity: tuple[float, float]
    held: bool = True

    @property
    def reference(self) -> Array:
        return np.array([np.zeros(2), self.velocity, np.zeros(2)])

    @property
    def stop(self) -> Array:
        """The shortest one, all joints together; it is certified."""
        packed, stop = pack(self.limits), np.zeros(motion_shape(2))
        stop[:-1, :3] = start = np.array(self.start)
        ticks, jerk = stop[-1, :-3], stop[:-1, 3:]
        assert plan_stop(packed, start[:, 1].copy(), start[:, 2].copy(), 1.0, ticks, jerk)
        assert certify_stop(packed, stop, work_for(packed), np.zeros(3)) == CERTIFIED
        return stop

    def kept(self) -> Array:
        out = np.full(motion_shape(2), math.nan)
        next_of_stop(pack(self.limits), np.array(self.start), self.stop, out)
        return out

    def proposed(self) -> tuple[Array, Array, Array]:
        """The motion that is wanted, the slowest one its way, and what was found on it."""
        packed, found, ddq = pack(self.limits), np.zeros((FOUND_MAX, 4)), np.zeros((2, 2))
        count = project(
            packed, np.array(self.start), VELOCITY, self.held, self.reference,
            bounds_of(self.limits), work_for(packed), found, ddq[0], ddq[1],
        )  # fmt: skip
        return ddq[0], ddq[1], found[:count]

    def tried(self, ddq: Array) -> tuple[int, Array, Array]:
        """Verdict, report and motion of an acceleration, in fresh memory."""
        packed, out, report = pack(self.limits), np.zeros(motion_shape(2)), np.zeros(3)
        code = attempt(
            packed, np.array(self.start), ddq, bounds_of(self.limits), work_for(packed), report, out
        )
        return code, report, out

    def progress(self, ddq: Array) -> float:
        """How much of the commanded velocity there is after the tick."""
        start = np.array(self.start)
        after = start[:, 1] + (start[:, 2] + ddq) * self.limits.period_s / 2.0
        return float(after @ self.velocity)

    def best_on_ray(self, slow: Array, bold: Array) -> float:
        """The most progress that is certified between two motions, of 65."""
        ways = (share * bold + (1.0 - share) * slow for share in np.linspace(0.0, 1.0, 65))
        return max(self.progress(way) for way in ways if self.tried(way)[0] == CERTIFIED)

    def tried_slowly(self, ddq: Array) -> tuple[bool, Array]:
        """Whether it is certified with a slow stop, and the motion."""
        packed, out = pack(self.limits), np.zeros(motion_shape(2))
        work = work_for(packed)
        work.triples[BOUNDS] = bounds_of(self.limits)
        return _attempt_slowly(packed, np.array(self.start), ddq, work, out), out

    def along(self, lift_m: float, walls: list[float]) -> Array:
        """The acceleration along volumes that were met, so far from them."""
        packed = pack(self.limits)
        work, found, ddq = work_for(packed), np.zeros((0, 4)), np.zeros((2, 2))
        start, bounds, asked = np.array(self.start), bounds_of(self.limits), self.reference
        project(packed, start, VELOCITY, True, asked, bounds, work, found, ddq[0], ddq[1])
        work.small[WALLS, : len(walls)] = walls
        assert slid(packed, start, bounds, asked, len(walls), lift_m, work, found, ddq[0], ddq[1])
        return np.asarray(ddq[0])

    def answer(self, memory: float = 0.0, rows: int = FOUND_MAX) -> tuple[int, Array, Array]:
        """What is sent: its code, what was found, the motion. memory: what it held before."""
        packed = pack(self.limits)
        work, found = work_for(packed), np.full((rows, 4), math.nan)
        for part in (work.small, work.triples, work.motions):
            part[...] = memory
        out = np.full(motion_shape(2), memory)
        code, count = advance(
            packed, np.array(self.start), self.stop, VELOCITY, self.held, self.reference, work,
            found, out,
        )  # fmt: skip
        assert np.isnan(found[count:]).all()
        return code, found[:count], out


RAY, STOP, SLOWLY, ALONG, KEPT_STOP = "ray", "stop", "slowly", "along", "kept"
# What the lifter bears at q = (-0.49, 0.694) [N·m], but for a billionth.
STRAINED = 29.994953583495075
# What it is that refuses, the way from the gentle to the bold motion, and the share of it.
CASES = {
    "most_of_the_way": (
        Asked(lifter(30.0), [[0.327, 0.0, 0.0], [0.463, 0.0, 0.0]], (-1.27, -0.37)),
        "joint_effort", RAY, 0.0,
    ),
    "much_of_the_way": (
        Asked(lifter(30.0), [[-0.427, 0.0, 0.0], [0.629, 0.0, 0.0]], (0.21, -0.71)),
        "joint_effort", RAY, 0.0,
    ),
    "a_part_of_the_way": (
        Asked(lifter(30.0), [[-0.029, 0.0, 0.0], [0.461, 0.0, 0.0]], (1.45, -0.53)),
        "joint_effort", RAY, 0.0,
    ),
    "little_of_the_way": (
        Asked(lifter(30.0), [[-0.397, 0.0, 0.0], [0.541, 0.0, 0.0]], (-1.11, 0.07)),
        "joint_effort", RAY, 0.0,
    ),
    "from_rest_downhill_with_a_slow_stop": (
        Asked(lifter(30.0), [[-0.427, 0.0, 0.0], [0.629, 0.0, 0.0]], (-1.44, 0.05)),
        "joint_effort", SLOWLY, 0.3125,
    ),
    "a_bit_towards_the_stop": (
        Asked(lifter(30.0), [[0.421, -0.05, -2.3], [0.419, -0.39, 2.0]], (-0.22, 0.31)),
        "joint_effort", STOP, 0.9375,
    ),
    "towards_the_stop_each_for_itself": (
        Asked(lifter(30.0, False), [[-0.428, 0.69, 0.0], [0.508, 0.37, 0.0]], (1.38, -0.42)),
        "joint_effort", STOP, 0.375,
    ),
    "a_row_that_goes_on_has_no_slower_way": (
        Asked(lifter(30.0), [[0.492, 0.0, 0.0], [0.562, 0.0, 0.0]], (-1.39, 0.38), False),
        "joint_effort", STOP, 0.3125,
    ),
    "more_and_bolder_steps_where_effort_is_short": (
        Asked(lifter(30.0, False), [[-0.137, 0.0, 0.0], [0.581, 0.0, 0.0]], (0.9, -0.55)),
        "joint_effort", SLOWLY, 0.015625,
    ),
    "downhill_from_where_it_only_just_holds": (
        Asked(lifter(30.0, False), [[-0.49, 0.0, 0.0], [0.694, 0.0, 0.0]], (-0.01, -0.18)),
        "joint_effort", SLOWLY, 0.6875,
    ),
    "down_to_a_sixteen_millionth_of_it": (
        Asked(lifter(STRAINED, False), [[-0.49, 0.0, 0.0], [0.694, 0.0, 0.0]], (0.0, -0.3)),
        "joint_effort", SLOWLY, 2.0**-24,
    ),
    "and_no_further": (
        Asked(lifter(STRAINED, False), [[-0.49, 0.0, 0.0], [0.694, 0.0, 0.0]], (0.5, 0.5)),
        "joint_effort", KEPT_STOP, 0.0,
    ),
    "with_a_speed_it_does_not_rest": (
        Asked(lifter(27.0), [[-0.178, -0.03, 0.0], [0.489, -0.39, 0.0]], (1.67, -0.12)),
        "joint_effort", KEPT_STOP, 0.0,
    ),
    "with_an_acceleration_it_does_not_rest": (
        Asked(lifter(30.0, False), [[0.181, 0.0, -1.0], [0.599, 0.0, -0.1]], (-1.82, -0.38)),
        "joint_effort", KEPT_STOP, 0.0,
    ),
    "with_as_much_of_both_it_does_not_rest": (
        Asked(lifter(30.0, False), [[-0.17, 0.0, 0.0], [0.568, 0.1, 0.1]], (1.62, 0.64)),
        "joint_effort", KEPT_STOP, 0.0,
    ),
    "along_a_wall_at_a_distance": (
        Asked(beside("walls", False), [[-0.338, -1.06, 4.1], [0.297, 0.16, -0.5]], (-1.79, -0.51)),
        "workspace", ALONG, 0.02,
    ),
    "along_a_ball_at_a_distance": (
        Asked(beside("ball", False), [[0.279, -0.23, -2.4], [0.514, -0.52, -1.2]], (-1.77, -0.39)),
        "workspace", ALONG, 0.02,
    ),
    "along_a_wall_at_less_of_a_distance": (
        Asked(beside("walls", False), [[0.361, 0.56, -2.4], [0.388, 0.11, 1.1]], (0.8, 0.2)),
        "workspace", ALONG, 0.005,
    ),
    "beside_a_ball_towards_the_stop": (
        Asked(beside("ball", False), [[-0.262, 0.94, 0.0], [0.53, 0.08, 0.0]], (1.42, -0.62)),
        "workspace", STOP, 0.25,
    ),
    "beside_a_wall_towards_the_stop": (
        Asked(beside("walls", False), [[-0.419, 0.29, -3.1], [0.274, 0.47, -2.1]], (-1.22, -0.5)),
        "workspace", STOP, 0.8125,
    ),
    "from_rest_beside_a_ball": (
        Asked(beside("ball", False), [[-0.253, 0.0, 0.0], [0.357, 0.0, 0.0]], (0.23, -0.55)),
        "workspace", STOP, 0.5,
    ),
    "a_row_that_goes_on_does_not_slide": (
        Asked(
            beside("ball", False), [[0.279, -0.23, -2.4], [0.514, -0.52, -1.2]], (-1.77, -0.39),
            False,
        ),
        "workspace", KEPT_STOP, 0.0,
    ),
    "along_a_ball_it_would_be_turned_too_hard": (
        Asked(
            turning_gently("ball", 5.6), [[-0.194, 0.02, 2.6], [0.554, -0.23, 1.9]], (0.38, -0.6)
        ),
        "workspace", KEPT_STOP, 0.0,
    ),
    "nothing_but_the_stop": (
        Asked(beside("ball", False), [[0.014, -0.08, 0.0], [0.608, -0.38, 0.0]], (-1.94, -0.79)),
        "workspace", KEPT_STOP, 0.0,
    ),
}  # fmt: skip

every_case = pytest.mark.parametrize(("asked", "why", "way", "share"), CASES.values(), ids=CASES)


@every_case
def test_the_first_trial_that_is_certified_is_sent(
    asked: Asked, why: str, way: str, share: float
) -> None:
    """The proposal; the fastest its way; along what is too near; towards the stop; the stop."""
    wanted, slow, _ = asked.proposed()
    assert KINDS[asked.tried(wanted)[0]] == why
    code, _, out = asked.answer()
    if way == KEPT_STOP:
        assert code == STOP_TICK
        np.testing.assert_array_equal(moves(out), moves(asked.kept()))
        return
    assert code == ALTERED
    if way == SLOWLY:
        certified, again = asked.tried_slowly(share * wanted)
        assert certified
        np.testing.assert_array_equal(moves(out), moves(again))
        assert out[-1, :3].tolist() == [250.0, 0.0, 250.0]  # a second each
        return
    if way == ALONG:
        expected = asked.along(share, [asked.tried(wanted)[1][0]])
    elif way == RAY:
        expected = out[:-1, 2].copy()
        best = asked.best_on_ray(slow, wanted)
        assert 0.98 * best <= asked.progress(expected) <= best + asked.progress(wanted) / 64.0
        np.testing.assert_array_equal(moves(asked.tried(expected)[2]), moves(out))
    else:
        gentle, bold = asked.kept()[:-1, 2], wanted
        if way == STOP and np.isfinite(slow[0]) and asked.tried(slow)[0] != CERTIFIED:
            bold = slow
        expected = share * bold + (1.0 - share) * gentle
    np.testing.assert_array_equal(out[:-1, 2], expected)
    assert asked.tried(expected)[0] == CERTIFIED


@every_case
def test_what_refused_the_proposal_is_found_last(
    asked: Asked, why: str, way: str, share: float
) -> None:
    """With whom, how much and against what. Where there is no room for it, the same is sent."""
    wanted, _, found = asked.proposed()
    _, report, _ = asked.tried(wanted)
    _, rows, _ = asked.answer()
    np.testing.assert_array_equal(rows, [*found, [KINDS.index(why), *report]])
    for count in range(len(found) + 1):
        _, full, out = asked.answer(rows=count)
        np.testing.assert_array_equal(full, found[:count])
        np.testing.assert_array_equal(out, asked.answer()[2])


@every_case
@pytest.mark.parametrize("memory", [math.nan, 1.0, 2.0, 7.0])
def test_what_memory_held_before_means_nothing(
    asked: Asked, why: str, way: str, share: float, memory: float
) -> None:
    fresh, again = asked.answer(), asked.answer(memory)
    assert fresh[0] == again[0]
    for one, other in zip(fresh[1:], again[1:], strict=True):
        np.testing.assert_array_equal(one, other)

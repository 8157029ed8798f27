"""The stop planner: exact rest, in bounds, whole ticks, and never needlessly long."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.robots import column, panda, slider, turntable, with_joints

from checkrein.limits import Limits
from checkrein.limits.kernels.braking import (
    plan_each,
    plan_joint,
    plan_slow,
    plan_stop,
    runs_of,
)
from checkrein.limits.kernels.jit import COMPILES
from checkrein.limits.kernels.packed import KEPT, motion_shape, pack, work_for
from checkrein.limits.records import Array

ROBOT = panda()
PACKED = pack(ROBOT)
A_MAX, J_MAX = column(ROBOT, "max_acceleration"), column(ROBOT, "max_jerk")
V_MAX, T = column(ROBOT, "max_velocity"), ROBOT.period_s

shares = st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7).map(np.array)


def plan(limits: Limits, dq: Array, ddq: Array, ease: float = 1.0) -> tuple[Array, Array] | None:
    """(ticks (3,), jerk (n, 3)), or None."""
    ticks, jerk = np.zeros(3), np.zeros((dq.size, 3))
    found = plan_stop(pack(limits), np.array(dq), np.array(ddq), ease, ticks, jerk)
    return (ticks, jerk) if found else None


def needed(dq: Array, ddq: Array, ease: float = 1.0) -> tuple[Array, Array]:
    found = plan(ROBOT, dq, ddq, ease)
    assert found is not None
    return found


@pytest.mark.slow
@given(speed=shares, acceleration=shares, ease=st.sampled_from([1.0, 0.5, 0.1]))
@settings(max_examples=300 if COMPILES else 60)
def test_it_ends_at_rest_within_bounds_in_whole_ticks(
    speed: Array, acceleration: Array, ease: float
) -> None:
    """The integral identity: what the three phases take off is exactly the speed there was."""
    dq, ddq = speed * V_MAX, acceleration * A_MAX
    ticks, jerk = needed(dq, ddq, ease)
    assert np.array_equal(ticks, np.floor(ticks))
    assert (ticks >= 0.0).all()
    assert (np.abs(jerk) <= J_MAX[:, None]).all()
    n1, n2, n3 = ticks * T
    plateau = ddq + jerk[:, 0] * n1
    np.testing.assert_allclose(plateau + jerk[:, 2] * n3, 0.0, atol=1e-9 * A_MAX.max())
    lost = (ddq + plateau) / 2.0 * n1 + plateau * n2 + plateau / 2.0 * n3
    np.testing.assert_allclose(dq + lost, 0.0, atol=1e-12)
    assert (np.abs(plateau) <= np.maximum(ease * A_MAX, 0.0)).all()
    assert not jerk[:, 1].any()


@given(speed=shares, acceleration=shares, lasts_s=st.floats(1e-3, 4.0))
@settings(max_examples=300 if COMPILES else 60)
def test_a_slow_stop_ends_at_rest_within_bounds_in_two_phases_as_long(
    speed: Array, acceleration: Array, lasts_s: float
) -> None:
    """Or is none, where a joint would have to brake harder than it may."""
    dq, ddq = 0.1 * speed * V_MAX, acceleration * A_MAX
    ticks, jerk = np.ones(3), np.ones((7, 3))
    n = math.ceil(lasts_s / T)
    plateau = -(dq + ddq * n * T / 2.0) / (n * T)
    harder = np.abs(plateau) / A_MAX, np.abs(plateau - ddq) / (J_MAX * n * T)
    hardest = max(np.max(harder), np.max(np.abs(plateau) / (J_MAX * n * T)))
    if not plan_slow(PACKED, dq, ddq, lasts_s, ticks, jerk):
        assert hardest > 1.0 - 1e-9
        return
    assert hardest <= 1.0
    assert ticks.tolist() == [n, 0.0, n]
    np.testing.assert_allclose(ddq + (jerk[:, 0] + jerk[:, 2]) * n * T, 0.0, atol=1e-9)
    lost = (ddq + plateau) / 2.0 * n * T + plateau / 2.0 * n * T
    np.testing.assert_allclose(dq + lost, 0.0, atol=1e-9)
    np.testing.assert_allclose(ddq + jerk[:, 0] * n * T, plateau, atol=1e-9)
    assert not jerk[:, 1].any()


@given(speed=shares, acceleration=shares)
@settings(max_examples=100 if COMPILES else 30)
def test_the_mirrored_state_stops_the_mirrored_way(speed: Array, acceleration: Array) -> None:
    dq, ddq = speed * V_MAX, acceleration * A_MAX
    ticks, jerk = needed(dq, ddq)
    back_ticks, back_jerk = needed(-dq, -ddq)
    assert np.array_equal(ticks, back_ticks)
    assert np.array_equal(jerk, -back_jerk)


@pytest.mark.slow
@given(speed=shares, shrink=st.floats(0.0, 1.0))
@settings(max_examples=200 if COMPILES else 40)
def test_a_slower_robot_stops_no_later(speed: Array, shrink: float) -> None:
    dq, still = speed * V_MAX, np.zeros(7)
    assert needed(shrink * dq, still)[0].sum() <= needed(dq, still)[0].sum()


@given(speed=shares, acceleration=shares)
@settings(max_examples=100 if COMPILES else 30)
def test_more_authority_stops_no_later(speed: Array, acceleration: Array) -> None:
    """Twice the jerk and acceleration: the plan may not get longer by more than its rounding."""
    dq, ddq = speed * V_MAX, acceleration * A_MAX
    joints = tuple(
        replace(j, max_acceleration=2.0 * j.max_acceleration, max_jerk=2.0 * j.max_jerk)
        for j in ROBOT.joints
    )
    strong = plan(replace(ROBOT, joints=joints), dq, ddq)
    assert strong is not None
    assert strong[0].sum() <= needed(dq, ddq)[0].sum()


def test_rest_needs_no_stop() -> None:
    ticks, jerk = needed(np.zeros(7), np.zeros(7))
    assert not ticks.any()
    assert not jerk.any()


def test_one_joint_from_full_speed_takes_what_physics_says() -> None:
    """v/a + a/j, up to the whole ticks: a = 10, v = 2, j = 2500 at 4 ms."""
    limits = turntable()
    found = plan(limits, np.array([2.0]), np.zeros(1))
    assert found is not None
    least = 2.0 / 10.0 + 10.0 / 2500.0
    assert least <= found[0].sum() * limits.period_s <= least + 2.0 * limits.period_s


def test_one_tick_of_jerk_is_enough_when_jerk_is_plenty() -> None:
    found = plan(with_joints(turntable(), max_jerk=1e6), np.array([0.001]), np.zeros(1))
    assert found is not None
    assert found[0].sum() <= 3.0


def test_all_joints_rest_at_the_same_tick_and_keep_their_proportions() -> None:
    """The synchronised family: from a common acceleration of zero the path keeps its direction."""
    dq = np.linspace(-0.5, 0.7, 7)
    _, jerk = needed(dq, np.zeros(7))
    np.testing.assert_allclose(jerk[:, 0] / dq, jerk[0, 0] / dq[0])


def test_an_eased_stop_is_gentler_and_longer() -> None:
    dq = 0.8 * V_MAX
    hard, soft = needed(dq, np.zeros(7)), needed(dq, np.zeros(7), ease=0.5)
    assert soft[0].sum() > hard[0].sum()
    assert (np.abs(soft[1][:, 0] * soft[0][0] * T) <= 0.5 * A_MAX).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_has_no_stop(bad: float) -> None:
    for which in range(2):
        for joint in range(7):
            state = np.zeros((2, 7))
            state[which, joint] = bad
            assert plan(ROBOT, state[0], state[1]) is None


def test_what_cannot_stop_in_a_million_ticks_has_no_stop() -> None:
    assert plan(slider(), np.array([1e9, 0.0]), np.zeros(2)) is None


def test_a_state_beyond_its_acceleration_bound_comes_back_into_it() -> None:
    """Not reachable from a certified stream, but the plan must not break its own bounds."""
    ddq = 1.5 * A_MAX
    found = plan(ROBOT, np.zeros(7), ddq)
    if found is not None:
        assert (np.abs(found[1]) <= J_MAX[:, None]).all()


class TestEachForItself:
    """The other family: joint by joint the fewest ticks, as phases that all of them share."""

    def planned(self, dq: Array, ddq: Array) -> Array:
        """A motion (n + 1, 3 + m)."""
        work, motion = work_for(PACKED), np.zeros(motion_shape(7))
        work.motions[KEPT] = np.nan  # nobody follows a stored stop
        motion[:7, 1], motion[:7, 2] = dq, ddq
        phases = motion.shape[1] - 3
        motion[7, :phases] = motion[:7, 3:] = 9.0  # of another stop
        assert plan_each(PACKED, motion[:7, :3], 1.0, work, motion[7, :phases], motion[:7, 3:])
        return motion

    @given(speed=shares, acceleration=shares)
    @settings(max_examples=150)
    def test_each_rests_in_the_ticks_it_takes_alone(
        self, speed: Array, acceleration: Array
    ) -> None:
        dq, ddq = speed * V_MAX, acceleration * A_MAX
        motion, row, own = self.planned(dq, ddq), np.zeros(6), np.zeros(6)
        together, longest = needed(dq, ddq)[0].sum(), 0.0
        for i in range(7):
            assert plan_joint(PACKED, dq, ddq, 1.0, i, own)
            assert runs_of(motion, i, row)
            lasting = own[:3] > 0.0
            moving = row[:3] > 0.0
            same = np.repeat(own[3:][lasting], own[:3][lasting].astype(int))
            np.testing.assert_array_equal(
                np.repeat(row[3:][moving], row[:3][moving].astype(int)), same
            )
            assert own[:3].sum() <= together
            longest = max(longest, float(own[:3].sum()))
        assert motion[7].sum() == longest

    @given(speed=shares, acceleration=shares)
    @settings(max_examples=150)
    def test_all_rest_at_the_end(self, speed: Array, acceleration: Array) -> None:
        motion = self.planned(speed * V_MAX, acceleration * A_MAX)
        dq, ddq = motion[:7, 1].copy(), motion[:7, 2].copy()
        for ticks, jerk in zip(motion[7], motion[:7, 3:].T, strict=False):
            t = ticks * T
            dq += ddq * t + jerk * t * t / 2.0
            ddq += jerk * t
        np.testing.assert_allclose(dq, 0.0, atol=1e-11)
        np.testing.assert_allclose(ddq, 0.0, atol=1e-9)
        assert (np.abs(motion[:7, 3:]) <= J_MAX[:, None]).all()

    def test_who_follows_the_stored_stop_goes_on_with_it(self) -> None:
        work, kept = work_for(PACKED), self.planned(0.7 * V_MAX, np.zeros(7))
        kept[7, 0] -= 1.0  # in the midst of it, where nobody would plan so
        work.motions[KEPT] = kept
        motion, phases = np.zeros_like(kept), kept.shape[1] - 3
        motion[:7, :3] = kept[:7, :3]
        motion[3:7, 2] *= 0.9
        motion[3:7, 1] *= 0.9
        assert plan_each(PACKED, motion[:7, :3], 1.0, work, motion[7, :phases], motion[:7, 3:])
        one, other = np.zeros(6), np.zeros(6)
        for i in range(7):
            assert runs_of(kept, i, one)
            assert runs_of(motion, i, other)
            assert np.array_equal(one, other) == (i < 3)

    def test_it_needs_room_for_three_phases_a_joint(self) -> None:
        work, end = work_for(PACKED), np.zeros((7, 3))
        end[:, 1] = 0.1
        assert not plan_each(PACKED, end, 1.0, work, np.zeros(20), np.zeros((7, 20)))

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_what_is_not_finite_has_no_stop(self, bad: float) -> None:
        for column_ in (1, 2):
            end = np.zeros((7, 3))
            end[4, column_] = bad
            assert not plan_each(
                PACKED, end, 1.0, work_for(PACKED), np.zeros(21), np.zeros((7, 21))
            )

    def test_more_than_three_phases_of_one_joint_are_none(self) -> None:
        motion, row = np.zeros(motion_shape(7)), np.zeros(6)
        motion[7, :4] = 1.0
        motion[0, 3:7] = 1.0, 2.0, 3.0, 4.0
        assert not runs_of(motion, 0, row)

    def test_a_joint_that_rests_does_not_set_out_again(self) -> None:
        """A fourth phase without jerk is waiting for the others; no stop jerks after that."""
        motion, row = np.zeros(motion_shape(7)), np.zeros(6)
        motion[7, :4] = 1.0, 2.0, 3.0, 4.0
        motion[0, 3:7] = -1.0, 0.0, 2.0, 0.0
        assert runs_of(motion, 0, row)
        np.testing.assert_array_equal(row, [1.0, 2.0, 3.0, -1.0, 0.0, 2.0])
        motion[7, 4] = 1.0
        motion[0, 7] = 2.0
        assert not runs_of(motion, 0, row)

    def test_every_phase_there_is_may_be_needed(self) -> None:
        """Two joints that never switch together: six phases, and each still rests in its own."""
        limits = slider()
        packed, motion = pack(limits), np.zeros(motion_shape(2))
        work = work_for(packed)
        work.motions[KEPT] = np.nan
        motion[:2, 1], motion[:2, 2] = (1.5, 0.31), (3.0, -2.0)
        dq, ddq = motion[:2, 1].copy(), motion[:2, 2].copy()
        assert plan_each(packed, motion[:2, :3], 1.0, work, motion[2, :6], motion[:2, 3:])
        assert (motion[2, :6] > 0.0).all()
        row, own = np.zeros(6), np.zeros(6)
        for i in range(2):
            assert runs_of(motion, i, row)
            assert plan_joint(packed, dq, ddq, 1.0, i, own)
            np.testing.assert_array_equal(row, own)

    def test_the_runs_of_a_joint_are_what_it_does_phase_by_phase(self) -> None:
        """Phases that others end are joined, those without length passed over; nothing is left."""
        waits = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        for ticks, jerk, expected in (
            ([], [], waits),
            ([1.0], [-2.0], [1.0, 0.0, 0.0, -2.0, 0.0, 0.0]),
            ([5.0], [0.0], waits),  # all that it does is to wait
            ([1.0, 5.0], [-2.0, 0.0], [1.0, 0.0, 0.0, -2.0, 0.0, 0.0]),
            ([1.0, 2.0, 3.0], [-2.0, -2.0, 4.0], [3.0, 3.0, 0.0, -2.0, 4.0, 0.0]),
            ([0.0, 2.0, 0.0, 3.0], [7.0, -2.0, 8.0, 4.0], [2.0, 3.0, 0.0, -2.0, 4.0, 0.0]),
            ([1.0, 2.0, 3.0, 1.0], [-2.0, 0.0, 4.0, 0.0], [1.0, 2.0, 3.0, -2.0, 0.0, 4.0]),
            (
                [1.0, 2.0, 3.0, 0.5, 0.5],
                [-2.0, 1.0, 4.0, 0.0, 0.0],
                [1.0, 2.0, 3.0, -2.0, 1.0, 4.0],
            ),
            ([1.0, 2.0, 3.0, 0.5, 1.0], [-2.0, 1.0, 4.0, 0.0, 4.0], None),
            ([1.0, 2.0, 3.0, 0.5, 1.0], [-2.0, 1.0, 4.0, 0.0, 5.0], None),
            ([1.0, 2.0, 3.0, 1.0], [-2.0, 1.0, 4.0, 5.0], None),
            ([0.0] * 20 + [2.0], [0.0] * 20 + [-3.0], [2.0, 0.0, 0.0, -3.0, 0.0, 0.0]),
        ):
            motion, row = np.zeros(motion_shape(7)), np.full(6, 9.0)
            motion[7, : len(ticks)], motion[3, 3 : 3 + len(jerk)] = ticks, jerk
            motion[4, 3:] = 17.0  # another joint's
            assert runs_of(motion, 3, row) == (expected is not None), ticks
            if expected is not None:
                np.testing.assert_array_equal(row, expected)

    def test_only_who_is_where_the_stored_stop_leads_goes_on_with_it(self) -> None:
        """To the twelfth digit of its position and of its bound on speed; the others plan anew."""
        kept = self.planned(0.7 * V_MAX, np.zeros(7))
        kept[:7, 0] = -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0
        kept[7, 0] -= 1.0
        bounds = 1e-12 * np.array([1.0 + np.abs(kept[:7, 0]), V_MAX, np.full(7, 1.0)])
        for column_, times, goes_on in (
            (0, 0.0, True), (0, 0.99, True), (0, 1.01, False),
            (1, 0.99, True), (1, 1.01, False),
            (2, 100.0, False),
        ):  # fmt: skip
            for i, side in itertools.product(range(7), (-1.0, 1.0)):
                work, motion = work_for(PACKED), np.full_like(kept, 9.0)
                work.motions[KEPT] = kept
                motion[:7, :3] = kept[:7, :3]
                motion[i, column_] += side * times * bounds[column_, i]
                phases = kept.shape[1] - 3
                assert plan_each(
                    PACKED, motion[:7, :3], 1.0, work, motion[7, :phases], motion[:7, 3:]
                )
                one, other = np.zeros(6), np.zeros(6)
                assert runs_of(kept, i, one)
                assert runs_of(motion, i, other)
                assert np.array_equal(one, other) == goes_on
                if goes_on:  # and is exactly there
                    np.testing.assert_array_equal(motion[i, :3], kept[i, :3])

    def test_who_rests_needs_no_stop_whatever_was_there(self) -> None:
        row, still_ = np.full(6, 9.0), np.zeros(7)
        assert plan_joint(PACKED, still_, still_, 1.0, 2, row)
        assert not row.any()


def test_a_stop_that_is_shared_takes_three_phases_of_however_many() -> None:
    for dq in (0.5 * V_MAX, np.zeros(7)):
        ticks, jerk = np.full(21, 9.0), np.full((7, 21), 9.0)
        assert plan_stop(PACKED, dq, np.zeros(7), 1.0, ticks, jerk)
        expected = needed(dq, np.zeros(7))
        np.testing.assert_array_equal(ticks[:3], expected[0])
        np.testing.assert_array_equal(jerk[:, :3], expected[1])
        assert not ticks[3:].any()
        assert not jerk[:, 3:].any()

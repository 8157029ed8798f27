"""One tick: what comes out is certified, or the next tick of what was certified before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kinds.battery import bounds_of
from tests.limits.slow_chain import jacobian, tcp
from tests.robots import (
    column,
    half_space,
    moves,
    panda,
    robots,
    slider,
    turntable,
    with_joint,
    without_geometry,
)

from checkrein.limits import Limits
from checkrein.limits.certify import CERTIFIED, KINDS, certify
from checkrein.limits.core import Core, ticks_left
from checkrein.limits.kernels.braking import next_of_stop
from checkrein.limits.kernels.jit import COMPILES
from checkrein.limits.kernels.packed import motion_shape, pack, work_for
from checkrein.limits.kernels.reference import MODE_CODES, POSITION, VELOCITY
from checkrein.limits.records import Array
from checkrein.limits.stops import setpoint_of
from checkrein.limits.tick import (
    ALTERED,
    PASSED,
    STOP_TICK,
    certify_rest,
    certify_stop,
    split,
)
from checkrein.limits.trial import attempt

# As plain Python, kernels are a hundred times slower: mutants are asked fewer questions.
TICKS = 1200 if COMPILES else 160

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


def follow(core: Core, seed: int, ticks: int) -> list[tuple[Array, Array, int]]:
    """(motion before, motion after, code) of a random, hostile reference."""
    rng, out = np.random.default_rng(seed), []
    motion, refused = core.rest(core.limits.home)
    assert refused is None
    v_max, modes = column(core.limits, "max_velocity"), list(MODE_CODES.values())
    mode, reference = VELOCITY, np.zeros((3, core.n))
    for tick in range(ticks):
        if tick % 40 == 0:
            mode = int(rng.choice(modes))
            reference[0] = motion[:-1, 0] + rng.normal(size=core.n) * 2.0
            reference[1] = rng.choice([-2.0, 0.3, 2.0], core.n) * v_max
            reference[2] = rng.normal(size=core.n) * 5.0
        after, code, _ = core.advance(motion, mode, reference)
        out.append((motion, after, code))
        motion = after
    return out


@every_robot
def test_what_comes_out_is_certified_or_the_stored_stop(robot: Limits) -> None:
    """Asked again, in fresh memory, with bounds from the declared limits alone."""
    packed, seen = pack(robot), {PASSED: 0, ALTERED: 0, STOP_TICK: 0}
    work, report = work_for(packed), np.zeros(3)
    for before, after, code in follow(Core(robot), seed=1, ticks=TICKS):
        seen[code] += 1
        if code == STOP_TICK:
            expected = np.zeros_like(after)
            next_of_stop(packed, before[:-1, :3].copy(), before.copy(), expected)
            np.testing.assert_array_equal(moves(after), moves(expected))
            continue
        bounds = bounds_of(robot)
        # Rounding: a joint that rests on its bound is not outside.
        bounds[0] = np.minimum(bounds[0], before[:-1, 0])
        bounds[1] = np.maximum(bounds[1], before[:-1, 0])
        verdict = certify(
            packed, before[:-1, :3].copy(), after[:-1, 2].copy(), after[-1, :-3].copy(),
            after[:-1, 3:].copy(), bounds, work, report,
        )  # fmt: skip
        assert verdict == CERTIFIED, KINDS[verdict]
    assert seen[PASSED] + seen[ALTERED] > TICKS / 4


@every_robot
def test_the_tick_is_the_cubic_of_constant_jerk(robot: Limits) -> None:
    T = robot.period_s
    for before, after, _ in follow(Core(robot), seed=2, ticks=TICKS // 4):
        q, dq, ddq = before[:-1, :3].T
        jerk = (after[:-1, 2] - ddq) / T
        np.testing.assert_allclose(
            after[:-1, 0], q + dq * T + ddq * T**2 / 2 + jerk * T**3 / 6, atol=1e-12
        )
        np.testing.assert_allclose(after[:-1, 1], dq + ddq * T + jerk * T**2 / 2, atol=1e-11)


def test_the_stored_stop_is_played_tick_by_tick_to_exact_rest() -> None:
    core = Core(panda())
    for _, motion, _ in follow(core, seed=3, ticks=TICKS // 3)[::23]:
        left = ticks_left(motion)
        for remaining in range(left - 1, -1, -1):
            motion = core.brake(motion)
            assert ticks_left(motion) == remaining
        assert not motion[:-1, 1:3].any()
        assert motion[:-1, 0].tobytes() == core.brake(motion)[:-1, 0].tobytes()


def test_nothing_better_than_the_stop_is_the_stop() -> None:
    """A reference that is not finite certifies nothing: the motion is the stored stop's."""
    core = Core(slider())
    motion = follow(core, seed=4, ticks=60)[-1][1]
    for row in range(3):
        reference = np.zeros((3, 2))
        reference[row] = np.nan
        for mode in MODE_CODES.values():
            after, code, found = core.advance(motion, mode, reference)
            assert np.isfinite(after).all()
            assert code in (ALTERED, STOP_TICK, PASSED)
            if code == PASSED:  # the row that is no number means nothing in this mode
                assert mode == VELOCITY
                assert row == 0
            else:
                assert found


def test_a_joint_slides_along_a_wall_instead_of_overshooting_it() -> None:
    """Bisection ends between the proposal and the stop: still moving, never beyond."""
    robot = slider()
    core = Core(robot)
    motion, _ = core.rest(robot.home)
    reference = np.zeros((3, 2))
    reference[0] = 0.0, 5.0
    for _ in range(1500):
        motion, _, _ = core.advance(motion, POSITION, reference)
    high = robot.joints[1].max_position - robot.joints[1].tracking_error
    assert high - 1e-3 < motion[1, 0] <= high + 1e-12


def test_a_stop_that_is_too_hard_for_a_joint_is_tried_more_gently() -> None:
    """At full deceleration it would need 1.45 N·m, of which there is one; at half it fits."""
    core = Core(turntable(max_effort=1.0))
    motion, _ = core.rest(np.zeros(1))
    reference = np.zeros((3, 1))
    reference[1] = 0.8
    for _ in range(150):
        motion, _, _ = core.advance(motion, VELOCITY, reference)
    assert motion[0, 1] > 0.75
    plateau = motion[0, 2] + motion[0, 3] * motion[-1, 0] * 0.004
    assert abs(plateau) <= 5.0


def test_resting_inside_a_wall_is_not_certified() -> None:
    robot = slider()
    packed = pack(replace(robot, volumes=(half_space("floor", [0, 0, 1.0], 1.0, "keep_out"),)))
    start, out = np.zeros((2, 3)), np.zeros((3, 6))
    start[:, 0] = robot.home
    assert KINDS[certify_rest(packed, start, work_for(packed), out)] == "workspace"
    assert certify_rest(pack(robot), start, work_for(pack(robot)), out) == CERTIFIED


def test_a_joint_outside_may_only_come_back() -> None:
    robot = turntable()
    core = Core(robot)
    motion, refused = core.rest(np.array([2.2]))
    assert refused is None  # it may rest there, and be led back
    outwards, inwards = np.zeros((3, 1)), np.zeros((3, 1))
    outwards[1], inwards[1] = 1.0, -1.0
    after, _, _ = core.advance(motion, VELOCITY, outwards)
    assert after[0, 0] <= 2.2
    positions = [2.2]
    for _ in range(800):
        motion, _, _ = core.advance(motion, VELOCITY, inwards)
        positions.append(float(motion[0, 0]))
    moved = np.diff(positions)
    outside = np.array(positions[1:]) > 2.0 + 1e-9
    assert (moved <= 0.0).all()
    assert (moved[outside] >= -robot.joints[0].recovery_velocity * robot.period_s - 1e-12).all()
    assert positions[-1] < 1.5  # inside it is a robot as any other


def test_joints_that_are_inside_are_slow_too_while_one_comes_back() -> None:
    robot = with_joint(panda(), 0, recovery_velocity=0.05)
    core, q = Core(robot), np.array(panda().home)
    q[0] = robot.joints[0].max_position + 0.01
    motion, refused = core.rest(q)
    if refused is not None:  # only volumes may speak against it
        core = Core(replace(robot, volumes=()))
        motion, refused = core.rest(q)
    assert refused is None
    reference = np.zeros((3, 7))
    reference[1] = 1.0
    reference[1, 0] = -1.0
    recovery = column(robot, "recovery_velocity")
    for _ in range(40):
        motion, _, _ = core.advance(motion, VELOCITY, reference)
        assert motion[0, 0] > robot.joints[0].max_position
        assert (np.abs(motion[:-1, 1]) <= recovery + 1e-12).all()


def test_pressed_hard_on_a_table_the_tool_goes_on_along_it() -> None:
    """Down with 0.3 m/s from 5 cm above: it neither freezes nor touches."""
    robot = panda()
    core, q = Core(robot), np.array(robot.home)

    def led(q: Array, velocity: list[float]) -> Array:
        J = jacobian(robot, q, tcp(robot, q), 6)[:3]
        return np.asarray(J.T @ np.linalg.solve(J @ J.T + 1e-6 * np.eye(3), velocity))

    while tcp(robot, q)[2] > 0.13:
        q += led(q, [0.0, 0.0, -0.004])
    motion, refused = core.rest(q)
    assert refused is None
    limits = []
    for _ in range(70):
        reference = np.zeros((3, 7))
        reference[1] = led(motion[:-1, 0], [0.1, 0.1, -0.3])
        motion, code, found = core.advance(motion, VELOCITY, reference)
        assert code != STOP_TICK
        limits += [item[0] for item in found]
    assert "workspace" in limits
    q, dq = motion[:-1, 0], motion[:-1, 1]
    velocity = jacobian(robot, q, tcp(robot, q), 6)[:3] @ dq
    assert (velocity[:2] >= 0.08).all()
    assert velocity[2] > -0.1


def test_what_is_left_of_a_stop_is_certified_on_its_own() -> None:
    """As long as the limits are what they were; under lower ones it is what they say."""
    robot = slider()
    packed, slow = pack(robot), pack(with_joint(robot, 0, max_velocity=0.05))
    work, report, fast = work_for(packed), np.zeros(3), 0
    for _, motion, _ in follow(Core(robot), seed=5, ticks=60)[::7]:
        given = motion.copy()
        assert certify_stop(packed, motion, work, report) == CERTIFIED
        if abs(motion[0, 1]) > 0.06:
            fast += 1
            assert KINDS[certify_stop(slow, motion, work, report)] == "joint_velocity"
            assert (report[0], report[2]) == (0.0, pytest.approx(0.05 - 0.01))
        assert np.array_equal(given, motion)
    assert fast >= 3


def test_what_has_no_stop_is_not_certified() -> None:
    packed, start, out = pack(slider()), np.zeros((2, 3)), np.zeros((3, 6))
    start[:, 0], start[0, 1] = slider().home, 1e9
    assert KINDS[certify_rest(packed, start, work_for(packed), out)] == "certified_stop"


def test_split_gives_columns_and_the_same_ticks_for_every_joint() -> None:
    motion = np.zeros(motion_shape(2))
    motion[:, :6] = np.arange(18.0).reshape(3, 6)
    motion[-1, 3:] = 0.0
    columns = np.zeros((3, 2))
    assert split(motion, columns) == (39, True, 12, 13, 14)
    np.testing.assert_array_equal(columns, motion[:2, :3].T)
    stop = setpoint_of(motion, 0.004).stop
    np.testing.assert_array_equal(stop.ticks, [[12, 13, 14], [12, 13, 14]])
    np.testing.assert_array_equal(stop.jerk, motion[:2, 3:6])
    assert not stop.ticks.flags.writeable


def test_split_gives_each_joint_its_own_ticks_where_they_do_not_switch_together() -> None:
    """Joint 0: 2 ticks, 3, 1, then it waits; joint 1: 4 ticks without a plateau, then 4."""
    motion = np.zeros(motion_shape(2))
    motion[-1, :5] = 2.0, 2.0, 1.0, 1.0, 2.0
    motion[0, 3:8] = -5.0, 0.0, 0.0, 9.0, 0.0
    motion[1, 3:8] = -7.0, -7.0, 7.0, 7.0, 7.0
    assert split(motion, np.zeros((3, 2)))[:2] == (8, False)
    stop = setpoint_of(motion, 0.004).stop
    np.testing.assert_array_equal(stop.ticks, [[2, 3, 1], [4, 4, 0]])
    np.testing.assert_array_equal(stop.jerk, [[-5.0, 0.0, 9.0], [-7.0, 7.0, 0.0]])


def tried(rail: float) -> tuple[int, Array, Array]:
    """The code, the motion and the report of going on while the column turns fast."""
    limits = replace(without_geometry(slider()), tcp=replace(slider().tcp, max_trans_vel=50.0))
    packed, out, report = pack(limits), np.zeros(motion_shape(2)), np.zeros(3)
    work, start = work_for(packed), np.array([[0.0, 1.8, 0.0], [rail, 0.3, 0.0]])
    code = attempt(packed, start, np.zeros(2), bounds_of(limits), work, report, out)
    return code, out, report


def test_a_joint_that_others_would_take_beyond_its_bound_brakes_for_itself() -> None:
    """The column needs 0.2 s to stop, the carriage a quarter of that."""
    code, out, _ = tried(0.4)
    assert code == CERTIFIED
    assert split(out, np.zeros((3, 2)))[1]  # together, where there is room for it
    code, out, _ = tried(0.780)
    assert code == CERTIFIED
    assert not split(out, np.zeros((3, 2)))[1]
    stop = setpoint_of(out, slider().period_s).stop
    column_ticks, rail_ticks = stop.ticks.sum(axis=1)
    assert rail_ticks < 0.5 * column_ticks
    assert stop.sample(stop.ticks_total)[0][1] <= 0.8 - slider().joints[1].position_error


def test_where_that_does_not_help_it_is_said_what_the_shared_stop_does() -> None:
    code, _, report = tried(0.796)
    assert KINDS[code] == "joint_position"
    assert report[0] == 1.0
    assert report[1] > 0.815  # each for itself it would be 0.803
    assert report[2] == pytest.approx(0.8 - slider().joints[1].position_error)

"""`motion: {keep_direction: false}`: each joint for itself, as much as its own limits allow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.limits.test_least_intervention import assert_no_violation, held
from tests.limits.test_least_intervention import run as played
from tests.robots import column, panda, shipped, slider, without_geometry, without_margins

import checkrein.limits
from checkrein.limits import Limits
from checkrein.limits.core import Core, is_at_rest
from checkrein.limits.kernels.reference import POSITION, VELOCITY
from checkrein.limits.records import Array
from checkrein.limits.stops import setpoint_of
from checkrein.limits.tick import STOP_TICK
from checkrein.sim.oracle import judge_stops, read_robot

ROBOTS = Path(str(checkrein.limits.__file__)).parent / "robots"
LOOSE = 1e9


def alone(limits: Limits) -> Limits:
    return replace(limits, keeps_direction=False)


def bare(limits: Limits) -> Limits:
    """Joint limits only: no body, no tool, no effort, no errors."""
    limits = without_geometry(without_margins(limits))
    joints = tuple(replace(joint, max_effort=LOOSE) for joint in limits.joints)
    tcp = replace(limits.tcp, max_trans_vel=LOOSE, max_rot_vel=None)
    return alone(replace(limits, joints=joints, tcp=tcp))


def hostile(limits: Limits, seed: int, ticks: int, hold: int = 30) -> Array:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(-1.2, 1.2, (ticks // hold + 1, len(limits.joints)))
    return np.repeat(rows * column(limits, "max_velocity"), hold, axis=0)[:ticks]


@pytest.mark.parametrize("name", ["franka_panda", "kuka_iiwa7", "xarm6"])
@pytest.mark.parametrize("period_s", [0.002, 0.02])
def test_a_joint_moves_as_if_there_were_no_other(name: str, period_s: float) -> None:
    """What the others are told does not show in it: not one bit, but where rounding decides."""
    limits = bare(replace(shipped(name), period_s=period_s))
    wanted = hostile(limits, seed=3, ticks=400, hold=max(4, int(0.3 / period_s)))
    other = wanted.copy()
    other[:, 1:] = hostile(limits, seed=4, ticks=400, hold=7)[:, 1:]
    one = played(limits, lambda k, _: wanted[k], 400)
    two = played(limits, lambda k, _: other[k], 400)
    assert STOP_TICK not in one.codes
    np.testing.assert_allclose(one.states[:, 0], two.states[:, 0], rtol=0.0, atol=1e-9)
    assert float(np.abs(one.states[:, 1] - two.states[:, 1]).max()) > 0.01


def test_a_joint_brakes_no_sooner_than_it_has_to() -> None:
    """At full deceleration it reaches the bound, up to the ticks that its profile is made of."""
    limits = bare(panda())
    T, joint = limits.period_s, limits.joints[0]
    asked = column(limits, "max_velocity")
    asked[1:] *= [-1.0, 1.0, -1.0, 1.0, 1.0, 1.0]
    states = played(limits, held(*asked.tolist()), 900).states[:, 0]
    v, a, j = joint.max_velocity, joint.max_acceleration, joint.max_jerk
    braking = int(np.flatnonzero(states[:, 1] >= v * (1.0 - 1e-6))[-1])
    room = joint.max_position - states[braking, 0]
    least = v * v / (2.0 * a) + v * a / (2.0 * j)
    assert least <= room <= least + 3.0 * v * T
    assert states[-1, 0] == pytest.approx(joint.max_position, abs=1e-5)
    assert float(states[:, 0].max()) <= joint.max_position


def test_with_the_direction_kept_the_others_wait_for_it() -> None:
    """The option is what makes the difference."""
    asked = 2.0 * column(panda(), "max_velocity") * [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3]
    moved = []
    for limits in (bare(panda()), replace(bare(panda()), keeps_direction=True)):
        states = played(limits, held(*asked.tolist()), 200).states
        moved.append(float(states[-1, 6, 0] - states[0, 6, 0]))
    assert moved[0] > 1.5 * moved[1]


@pytest.mark.parametrize("name", ["franka_panda", "kuka_iiwa7"])
def test_nothing_is_violated_and_every_stop_rests(name: str) -> None:
    """All limits, volumes included, by the oracle; stops of joints that switch on their own."""
    limits = alone(shipped(name))
    core, own = Core(limits), 0
    motion, _ = core.rest(limits.home)
    states, stops = [np.array(motion[:-1, :3])], []
    wanted = hostile(limits, seed=6, ticks=1500, hold=400)
    wanted[:, : core.n - 3] *= 0.02  # the wrist to its ends, the arm hardly at all
    wanted[:, core.n - 3 :] *= 1.5
    for k in range(1500):
        mode = POSITION if k % 200 > 170 else VELOCITY
        reference = np.zeros((3, core.n))
        reference[0], reference[1] = motion[:-1, 0] + 0.3 * np.sign(wanted[k]), wanted[k]
        motion, _, _ = core.advance(motion, mode, reference)
        states.append(np.array(motion[:-1, :3]))
        stop = setpoint_of(motion, limits.period_s).stop
        is_own = bool((stop.ticks != stop.ticks[0]).any())
        own += is_own
        if is_own and own % 9 == 1:
            stops.append(stop)
            assert_played_alike(core, motion)
    assert own > 20
    assert_no_violation(name, limits, np.array(states))
    robot = read_robot((ROBOTS / f"{name}.json").read_bytes())
    starts = tuple(np.array([getattr(stop, part) for stop in stops]) for part in ("q", "dq", "ddq"))
    found, ticks = judge_stops(robot, stops, (starts[0], starts[1], starts[2]))
    assert found == []
    assert ticks > 100


def assert_played_alike(core: Core, motion: Array) -> None:
    """The filter plays shared phases, the robot's side each joint's own: the same motion."""
    stop = setpoint_of(motion, core.limits.period_s).stop
    total = stop.ticks_total
    for tick in range(1, total + 1):
        motion = core.brake(motion)
        for mine, theirs in zip(motion[:-1, :3].T, stop.sample(tick), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0.0, atol=1e-9)
    assert not motion[:-1, 1:3].any()
    assert is_at_rest(motion)


def test_a_volume_still_stops_all_joints() -> None:
    """It is no joint's own limit: the certificate rejects, and the stop is what is left."""
    limits = alone(panda())
    out = played(limits, held(0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0), 600)
    assert_no_violation("franka_panda", limits, out.states)
    assert any("workspace" in kinds or "self_collision" in kinds for kinds in out.kinds)


def test_what_fits_passes_unchanged() -> None:
    limits, together = alone(slider()), slider()
    asked = 0.2 * column(limits, "max_velocity")
    one = played(limits, held(*asked.tolist()), 80)
    two = played(together, held(*asked.tolist()), 80)
    np.testing.assert_allclose(one.states[-1, :, 1], asked, atol=1e-9)
    np.testing.assert_allclose(two.states[-1, :, 1], asked, atol=1e-9)
    assert not one.kinds[-1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_speed_that_is_no_number_moves_nothing(bad: float) -> None:
    limits = alone(panda())
    core = Core(limits)
    motion, _ = core.rest(limits.home)
    reference = np.zeros((3, 7))
    reference[1] = bad
    after, _, _ = core.advance(motion, VELOCITY, reference)
    np.testing.assert_array_equal(after[:-1, :3], motion[:-1, :3])


def test_it_is_declared_frozen_and_shown(tmp_path: Path) -> None:
    pytest.importorskip("pinocchio")
    from tests.limits import small_arm

    from checkrein.limits import load_limits
    from checkrein.limits.freezing import freeze_yaml
    from checkrein.scripts.limits_tables import explained_rows

    plain = small_arm.write(tmp_path)
    assert load_limits(plain).keeps_direction
    assert "motion" not in json.loads(freeze_yaml(plain.read_bytes(), plain))
    for value, shown in (("false", "each alone"), ("true", "together")):
        text = small_arm.YAML.replace(
            "stop_category:", f"motion: {{keep_direction: {value}}}\nstop_category:"
        )
        path = small_arm.write(tmp_path, text)
        limits = load_limits(path)
        assert limits.keeps_direction is (value == "true")
        rows = {row["path"]: row["value"] for row in explained_rows(limits)}
        assert shown in str(rows["motion.keep_direction"])
        assert read_robot(freeze_yaml(path.read_bytes(), path)).n == len(limits.joints)
    for wrong in ('"no"', "0", "maybe"):
        text = small_arm.YAML.replace(
            "stop_category:", f"motion: {{keep_direction: {wrong}}}\nstop_category:"
        )
        with pytest.raises(ValueError, match=r"keep_direction"):
            load_limits(small_arm.write(tmp_path, text))

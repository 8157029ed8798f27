"""max_deceleration, larger and smaller than max_acceleration: kept at every instant, and used."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.drive import Rig
from tests.robots import column, panda, turntable, with_joints, without_geometry

from checkrein.limits import Limits
from checkrein.limits.canonical import canonical_bytes
from checkrein.limits.feasibility import stop_distance
from checkrein.limits.loading import robots_folder
from checkrein.sim.oracle import Motion, Robot, judge_stops, judge_ticks, read_robot

FACTORS = (0.3, 3.0)


def robot(factor: float) -> Limits:
    base = without_geometry(panda())
    joints = [replace(j, max_deceleration=factor * j.max_acceleration) for j in base.joints]
    return replace(base, joints=tuple(joints))


@cache
def judge(factor: float) -> Robot:
    """The oracle's idea of the same robot."""
    plain = json.loads((robots_folder() / "franka_panda.json").read_bytes())
    plain |= {"volumes": [], "classifier": {"none": "not under test"}}
    del plain["self_collision"], plain["tcp"]["max_rot_vel"]
    del plain["on_violation"]["tcp_rotational_speed"], plain["on_violation"]["self_collision"]
    plain["tcp"]["max_trans_vel"] = 1e3
    for joint in plain["joints"]:
        joint["max_deceleration"] = factor * joint["max_acceleration"]
    return read_robot(canonical_bytes(plain))


def driven(factor: float, period_s: float) -> Rig:
    """Bang-bang speeds of random joints, positions far away, and stops between them."""
    rig, rng = Rig(replace(robot(factor), period_s=period_s)).arm(), np.random.default_rng(5)
    for turn in range(6):
        wanted = rng.choice([-4.0, 0.0, 4.0], 7)
        for _ in range(int(0.2 / period_s) + 3):
            if turn % 3 == 2:
                rig.tick(rig.command("joint_position", rig.limits.home + 0.4 * wanted))
            else:
                rig.tick(rig.velocity(wanted))
        rig.brake()
    return rig


def stream(rig: Rig) -> Motion:
    rows = [(d.setpoint.q, d.setpoint.dq, d.setpoint.ddq) for d in rig.decisions]
    zero = np.zeros(7)
    ends = [np.array(column) for column in zip(*[(rig.stream[0], zero, zero), *rows], strict=True)]
    (q, dq, ddq), run = ends, np.zeros(len(rows), dtype=np.int64)
    return Motion(q[:-1], dq[:-1], ddq[:-1], q[1:], dq[1:], ddq[1:], run)


@pytest.mark.slow
@pytest.mark.parametrize("period_s", [0.002, 0.02])
@pytest.mark.parametrize("factor", FACTORS)
def test_the_oracle_finds_nothing_and_both_bounds_are_used(factor: float, period_s: float) -> None:
    rig = driven(factor, period_s)
    truth = replace(judge(factor), period_s=period_s)
    motion = stream(rig)
    assert judge_ticks(truth, motion, thorough=False) == []
    chosen = [d.setpoint.stop for d in rig.decisions[::7]]
    q, dq, ddq = (np.array([getattr(stop, f) for stop in chosen]) for f in ("q", "dq", "ddq"))
    assert judge_stops(truth, chosen, (q, dq, ddq))[0] == []
    slowing = motion.dq1 * motion.ddq1 < 0.0
    up = np.where(slowing, 0.0, np.abs(motion.ddq1)).max(axis=0)
    down = np.where(slowing, np.abs(motion.ddq1), 0.0).max(axis=0)
    assert (up > 0.9 * column(rig.limits, "max_acceleration")).any()
    assert (down > 0.9 * column(rig.limits, "deceleration")).any()


@pytest.mark.slow
@pytest.mark.parametrize("factor", FACTORS)
def test_the_oracle_would_see_it(factor: float) -> None:
    """The same stream against a bound that is a little tighter, each way."""
    motion = stream(driven(factor, 0.002))
    for field in ("max_acceleration", "max_deceleration"):
        truth = replace(judge(factor), period_s=0.002)
        truth = replace(truth, bounds={**truth.bounds, field: 0.8 * truth.bounds[field]})
        assert {v.kind for v in judge_ticks(truth, motion)} == {"joint_acceleration"}


def test_it_stops_sooner_or_later_accordingly() -> None:
    ticks = []
    for down in (3.0, None, 30.0):
        limits = turntable(max_acceleration=10.0, max_velocity=1.0, max_deceleration=down)
        rig = Rig(limits).arm()
        rig.run(0.9, int(0.4 / limits.period_s))
        ticks.append(rig.brake())
    assert ticks[0] > 1.5 * ticks[1]
    assert ticks[2] < 0.8 * ticks[1]


@pytest.mark.slow
def test_a_wall_is_approached_at_what_it_can_brake() -> None:
    """Towards a bound: it arrives close to it with either deceleration, and needs as long."""
    ticks = []
    for down in (3.0, 30.0):
        limits = turntable(max_velocity=1.0, max_deceleration=down, tracking_error=0.0)
        rig = Rig(limits).arm()
        for k in range(int(6.0 / limits.period_s)):
            rig.tick(rig.velocity(1.0))
            if rig.q[0] > limits.joints[0].max_position - 2e-3:
                ticks.append(k)
                break
    assert len(ticks) == 2
    assert ticks[1] < ticks[0]


def test_equal_is_as_if_it_were_not_declared() -> None:
    plain = without_geometry(panda())
    same = tuple(replace(j, max_deceleration=j.max_acceleration) for j in plain.joints)
    ends = []
    for limits in (plain, replace(plain, joints=same)):
        rig = Rig(limits).arm()
        rig.run([1.0, -2.0, 3.0, 0.0, 0.5, -4.0, 4.0], 60)
        rig.brake()
        ends.append(np.array(rig.stream))
    assert np.array_equal(ends[0], ends[1])


def test_feasibility_knows_how_long_a_stop_takes() -> None:
    joint = turntable().joints[0]
    one, other = (replace(joint, max_deceleration=d) for d in (1.0, 100.0))
    assert stop_distance(one, 0.004) > stop_distance(joint, 0.004) > stop_distance(other, 0.004)
    assert with_joints(turntable(), max_deceleration=1.0).joints[0].deceleration == 1.0

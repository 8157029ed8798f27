"""Motors follow the motion within the declared errors; raw targets are believed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from checkrein.sim.episode import RobotSide
from checkrein.sim.robot import Segment, SimulatedRobot, TickTrace
from checkrein.sim.world import SUBSTEP_S

pytest.importorskip("pybullet")


def column(frozen: dict[str, Any], key: str) -> np.ndarray:
    return np.array([joint[key] for joint in frozen["joints"]], dtype=float)


def restless(frozen: dict[str, Any], ticks: int, share: float) -> list[Segment]:
    """Motion near home that uses `share` of the acceleration and half the jerk, back and forth."""
    rng, period = np.random.default_rng(4), float(frozen["period_s"])
    home = np.array(frozen["home"], dtype=float)
    q, dq, ddq = home.copy(), np.zeros(len(home)), np.zeros(len(home))
    top, speed = share * column(frozen, "max_acceleration"), column(frozen, "max_velocity")
    step = 0.5 * column(frozen, "max_jerk") * period
    wanted, segments = np.zeros(len(home)), []
    for k in range(ticks):
        if k % 60 == 0:
            wanted = 0.4 * speed * rng.uniform(-1.0, 1.0, len(home))
        away = q - home
        goal = np.where(np.abs(away) > 0.3, -np.sign(away) * np.abs(wanted), wanted)
        target = np.clip(8.0 * (goal - dq), -top, top)
        segment = Segment.to(q, dq, ddq, ddq + np.clip(target - ddq, -step, step), period)
        segments.append(segment)
        q, dq, ddq = segment.end(period)
    return segments


def commanded(segment: Segment, substeps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(q, dq, ddq), each (substeps + 1, n), at every substep's boundary."""
    t = SUBSTEP_S * np.arange(substeps + 1)[:, None]
    j = segment.jerk
    q = segment.q + t * (segment.dq + t * (segment.ddq / 2.0 + t * j / 6.0))
    return q, segment.dq + t * (segment.ddq + t * j / 2.0), segment.ddq + t * j


def test_tracking_is_within_the_declared_errors_with_payload(
    side: RobotSide, panda: dict[str, Any]
) -> None:
    errors = {key: np.zeros(7) for key in ("tracking_error", "velocity_error", "effort_error")}
    world, robot = side.world, side.robot
    before: list[np.ndarray] = []
    for segment in restless(panda, 500, share=0.35):
        robot.step(segment)
        trace = robot.trace
        q, dq, ddq = commanded(segment, robot.substeps)
        needed = [
            np.array(
                world.p.calculateInverseDynamics(
                    world.robot, list(q[i]), list(dq[i]), list(ddq[i]), physicsClientId=world.client
                )
            )
            for i in range(len(q))
        ]
        # The motor's effort in a substep is a mean over it and the one before: compare with the
        # range of the commanded motion's efforts there.
        window = np.array([*(before or [needed[0], needed[0]]), *needed[1:]])
        for i in range(robot.substeps):
            near = window[i : i + 3]
            off = np.maximum(trace.tau[i] - near.max(axis=0), near.min(axis=0) - trace.tau[i])
            errors["effort_error"] = np.maximum(errors["effort_error"], off)
        before = needed[-2:]
        away, faster = np.abs(trace.q - q[1:]).max(axis=0), np.abs(trace.dq - dq[1:]).max(axis=0)
        errors["tracking_error"] = np.maximum(errors["tracking_error"], away)
        errors["velocity_error"] = np.maximum(errors["velocity_error"], faster)
    assert not world.object_lost()
    for key, measured in errors.items():
        assert (measured <= column(panda, key)).all(), (key, measured)
    assert errors["tracking_error"].max() < 1e-5


def test_motors_are_limited_to_the_data_sheet(side: RobotSide) -> None:
    robot = side.robot
    assert robot.motor_efforts == [87.0] * 4 + [12.0] * 3
    for _ in range(30):
        robot.step_raw(side.world.home + 1.0)
        assert (np.abs(robot.trace.tau) <= np.array(robot.motor_efforts) + 1e-9).all()
    # A jump by 1 rad is not followed within a tick: no joint was reset.
    assert (robot.trace.q[-1] < side.world.home + 0.99).any()


def test_nan_is_a_full_range_move(side: RobotSide) -> None:
    """Trap 8: `max(lo, min(hi, nan))` is `hi`."""
    robot, q = side.robot, side.world.home.copy()
    q[0] = math.nan
    robot.step_raw(q)
    high = side.world.p.getJointInfo(side.world.robot, 0, physicsClientId=side.world.client)[9]
    assert robot.told[0] == high
    assert robot.told[1:] == pytest.approx(side.world.home[1:])


def test_wrong_lengths_are_cut_by_zip(side: RobotSide) -> None:
    robot, home = side.robot, side.world.home
    robot.step_raw(home[:2] + 0.01)
    assert robot.told == pytest.approx([*(home[:2] + 0.01), *home[2:]])
    robot.step_raw([*home, 9.0, 9.0])
    assert robot.told == pytest.approx(home)
    robot.step_raw([])
    assert robot.told == pytest.approx(home)


def test_a_robot_that_lags_catches_up_without_swinging(side: RobotSide) -> None:
    robot, target = side.robot, side.world.home.copy()
    target[0] += 0.8
    path = []
    for _ in range(500):
        robot.step_raw(target)
        path.append(robot.measured().q[0])
    assert max(path) < target[0] + 0.02
    assert path[-1] == pytest.approx(target[0], abs=1e-3)


def test_contact_shows_up_in_the_wrench(side: RobotSide, panda: dict[str, Any]) -> None:
    from checkrein.sim.attackers import attack_script
    from checkrein.sim.chain import Chain
    from checkrein.sim.shots import Onset

    robot, chain = side.robot, Chain(panda)
    zero = np.zeros(7)
    onset = Onset(panda, chain, robot.told, zero, np.random.default_rng(0), ())
    assert robot.measured().wrench_tcp == pytest.approx(np.zeros(6))
    peak = 0.0
    for shot in attack_script("press", onset):
        assert shot is not None
        robot.step_raw(shot.values)
        peak = max(peak, robot.measured().wrench_tcp[2])
    assert peak > 40.0  # the table pushes upwards
    assert robot.trace.collisions


def test_a_period_that_is_no_multiple_of_the_substep_is_refused(side: RobotSide) -> None:
    world, frozen = side.world, side.world.frozen
    try:
        world.frozen = {**frozen, "period_s": 0.0033}
        with pytest.raises(ValueError, match="period_s"):
            SimulatedRobot(world)
    finally:
        world.frozen = frozen


def test_a_trace_has_every_substep(side: RobotSide) -> None:
    side.robot.step(Segment.rest(side.world.home))
    trace = side.robot.trace
    assert isinstance(trace, TickTrace)
    assert trace.q.shape == trace.dq.shape == trace.tau.shape == (4, 7)
    assert trace.tcp_speed_m_s.shape == trace.contact_force_n.shape == (4,)

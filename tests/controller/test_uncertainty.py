"""Declared noise and latency: with them the robot is guarded and not stopped, without them it is
stopped. The oracle judges where the robot really was, on bytes that it parses itself."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import numpy as np
import pytest
from tests.drive import Rig
from tests.robots import column

from checkrein.controller import Outcome
from checkrein.limits import Limits
from checkrein.limits.frozen import parse_frozen
from checkrein.limits.loading import robots_folder
from checkrein.limits.records import Array, Mode
from checkrein.sim.oracle import Motion, Robot, Violation, judge_ticks, read_robot

NOISE_RAD, LATENCY_TICKS = 1e-3, 5
# How the robot of these tests tracks, noise apart: it does exactly what it was told, but late.
TRACKING_RAD = 1e-4


def declared(
    noise: float | None, latency: int | None, *, in_a_cell: bool, **joints: float
) -> tuple[Limits, Robot]:
    """The Panda as the filter and as the oracle read it; in empty space its joints alone bind."""
    document = json.loads((robots_folder() / "franka_panda.json").read_text())
    document["classifier"] = {"none": "not under test"}
    for joint in document["joints"]:
        joint |= {"tracking_error": TRACKING_RAD, **joints}
        if noise is not None:
            joint["position_noise"] = noise
    if latency is not None:
        document["timing"]["latency_ticks"] = latency
    if not in_a_cell:
        document["volumes"], document["tcp"]["max_trans_vel"] = [], 100.0
        document["tcp"].pop("max_rot_vel", None)
        document.pop("self_collision", None)
        for optional in ("self_collision", "tcp_rotational_speed"):
            document["on_violation"].pop(optional, None)
    data = json.dumps(document).encode()
    return parse_frozen(data, "noisy.json", robots_folder()), read_robot(data)


class LateRobot:
    """Executes the stream `latency` ticks late, from where it really was when it was armed, and
    reports where it is with noise of up to `noise` (its corners, mostly)."""

    def __init__(self, limits: Limits, noise: float, latency: int, seed: int) -> None:
        self.rng, self.noise = np.random.default_rng(seed), noise
        self.rig = Rig(limits)
        at_arming = self._off()
        true = np.array(self.rig.q)
        self.rig.q = true + at_arming
        self.rig.arm()
        self._seeded = at_arming
        still = np.zeros_like(true)
        self._ahead = deque([(true, still, still)] * (latency + 1), maxlen=latency + 1)
        self.true = [self._ahead[0]]  # q, dq, ddq, tick by tick

    def _off(self) -> Array:
        off = self.rng.uniform(-1.0, 1.0, 7)
        return self.noise * (np.sign(off) if self.rng.random() < 0.7 else off)

    def tick(self, mode: Mode, values: Any) -> Outcome:
        q, dq, _ = self._ahead[0]
        rig = self.rig
        decision = rig.tick(rig.command(mode, values), q=q + self._off(), dq=dq)
        setpoint = decision.setpoint
        self._ahead.append((setpoint.q - self._seeded, setpoint.dq, setpoint.ddq))
        self.true.append(self._ahead[0])
        return decision.outcome

    def motion(self) -> Motion:
        q, dq, ddq = (np.array([row[k] for row in self.true]) for k in range(3))
        run = np.zeros(len(q) - 1, dtype=np.int64)
        return Motion(q[:-1], dq[:-1], ddq[:-1], q[1:], dq[1:], ddq[1:], run)


def attack(robot: LateRobot, ticks: int, seed: int) -> list[Outcome]:
    """Slams into joint limits in all corners, at full speed, then bang-bang, then far targets."""
    limits, rng = robot.rig.limits, np.random.default_rng(seed)
    outcomes: list[Outcome] = []
    low, high = column(limits, "min_position"), column(limits, "max_position")
    while len(outcomes) < ticks:
        towards = rng.choice([-1.0, 1.0], 7) * rng.choice([1.0, 1.0, 0.0], 7)
        kind = rng.integers(3)
        for k in range(120 if kind == 1 else 450):
            if kind == 0:
                outcomes.append(robot.tick("joint_velocity", 10.0 * towards))
            elif kind == 1:
                outcomes.append(robot.tick("joint_velocity", 5.0 * towards * (-1.0) ** (k // 3)))
            else:
                far = np.where(towards > 0.0, high + 1.0, low - 1.0)
                outcomes.append(robot.tick("joint_position", far))
    return outcomes


def violations(judge: Robot, robot: LateRobot) -> list[Violation]:
    return judge_ticks(judge, robot.motion(), thorough=False)


@pytest.mark.slow
@pytest.mark.parametrize("in_a_cell", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_declared_noise_and_latency_zero_violations_and_no_stop(seed: int, in_a_cell: bool) -> None:
    limits, judge = declared(NOISE_RAD, LATENCY_TICKS, in_a_cell=in_a_cell)
    robot = LateRobot(limits, NOISE_RAD, LATENCY_TICKS, seed)
    outcomes = attack(robot, 3000, seed)
    assert Outcome.STOP not in outcomes
    assert violations(judge, robot) == []
    if in_a_cell:
        assert any(f.limit == "workspace" for d in robot.rig.decisions for f in d.findings)
        return
    q = np.array([row[0] for row in robot.true])
    low, high = column(limits, "min_position"), column(limits, "max_position")
    nearest = float(np.minimum(q - low, high - q).min())
    # Not vacuous: it came to the bound, as near as the declared errors leave it.
    assert 0.0 <= nearest <= 2.0 * NOISE_RAD + TRACKING_RAD + 1e-3


@pytest.mark.parametrize(
    ("noise", "latency"), [(None, LATENCY_TICKS), (NOISE_RAD, None), (NOISE_RAD, 1), (2e-4, 5)]
)
def test_not_declared_the_robot_is_stopped(noise: float | None, latency: int | None) -> None:
    limits, judge = declared(noise, latency, in_a_cell=False)
    robot = LateRobot(limits, NOISE_RAD, LATENCY_TICKS, seed=0)
    outcomes = attack(robot, 400, seed=0)
    first = outcomes.index(Outcome.STOP)
    cause = robot.rig.decisions[first].stop_state.cause
    assert cause is not None
    assert cause.startswith("tracking_error")
    assert set(outcomes[first:]) == {Outcome.STOP}
    wrong = {v.kind for v in violations(judge, robot)}
    assert wrong <= {"joint_position"}  # nor does a false declaration break anything else


@pytest.mark.parametrize("noise", [None, NOISE_RAD])
def test_the_margin_is_what_the_seed_can_be_off(noise: float | None) -> None:
    """A robot that was further than it said when it was armed stays further for ever: without
    noise in the margins it ends up outside by that."""
    limits, judge = declared(noise, None, in_a_cell=False, tracking_error=0.0)
    robot = LateRobot(limits, NOISE_RAD, 0, seed=0)
    high = column(limits, "max_position")
    target = np.array(limits.home)
    target[6] = high[6] + 1.0
    for _ in range(1200):
        decision = robot.rig.tick(robot.rig.command("joint_position", target))
        assert decision.outcome is not Outcome.STOP
    further = robot.rig.q + NOISE_RAD
    over = float((further - high)[6])
    assert abs(over - (NOISE_RAD if noise is None else 0.0)) <= 1e-5
    assert float(judge.bounds["position_noise"].max()) == (noise or 0.0)

"""The oracle finds each violation planted just beyond a bound, and accepts what is just inside."""

from __future__ import annotations

import ast
import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkrein import sim
from checkrein.sim.oracle import (
    Motion,
    Robot,
    Violation,
    clearances,
    judge_configurations,
    judge_stops,
    judge_ticks,
    read_robot,
)
from checkrein.sim.oracle_file import FrozenFileError
from checkrein.sim.oracle_geometry import forward, tcp_rotation, tcp_velocity
from checkrein.sim.oracle_joints import within_tick
from checkrein.sim.oracle_stop import expand_stops

T = 0.004
SPIN = "tcp_rotational_speed"
EYE = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
TILT = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0]  # z of the joint along -y of its parent


def joint(name: str, kind: str = "revolute", **changes: float) -> dict[str, Any]:
    numbers = {
        "min_position": -2.0,
        "max_position": 2.5,
        "max_velocity": 2.0,
        "max_acceleration": 10.0,
        "max_jerk": 5000.0,
        "max_effort": 400.0,
        "tracking_error": 0.01,
        "velocity_error": 0.01,
        "effort_error": 1.0,
        "recovery_velocity": 0.1,
    }
    return {"name": name, "type": kind, **numbers, **changes}


def tcp(max_trans_vel: float, **changes: float) -> dict[str, Any]:
    bounds = {"max_trans_vel": max_trans_vel, "max_force": 40.0, **changes}
    return {**bounds, "force_required": False}


def document(**changes: Any) -> dict[str, Any]:
    """Two turning joints and a sliding one; one capsule each; no volume."""
    places = [(EYE, [0.0, 0.0, 0.3]), (TILT, [0.0, 0.05, 0.1]), (TILT, [0.4, 0.0, 0.02])]
    body = {"mass": 2.0, "com": [0.05, 0.02, 0.1], "inertia": [0.03, 0.001, 0.0, 0.02, 0.0, 0.01]}
    capsule = {"start": [0.0, 0.0, 0.0], "end": [0.3, 0.0, 0.05], "radius": 0.06}
    base = {
        "format": 1,
        "kind": "checkrein/frozen-limits",
        "name": "toy",
        "version": "1.0.0",
        "period_s": T,
        "joints": [joint("a"), joint("b"), joint("c", "prismatic")],
        "kinematics": {
            "joints": [{"rotation": r, "translation": t} for r, t in places],
            "tcp": {"rotation": EYE, "translation": [0.1, 0.0, 0.2]},
            "links": [body] * 3,
            "gravity": [0.0, 0.0, -9.81],
        },
        "capsules": [{"name": f"link{i}", "joint": i, **capsule} for i in range(3)],
        "volumes": [],
        "standoff": 0.003,
        "tcp": tcp(5.0),
        "timing": {"command_timeout_ms": 100.0, "period_tolerance": 0.5},
        "home": [0.0, 0.0, 0.0],
        "on_violation": {},
        "stop_category": "cat2",
        "classifier": {"none": "a toy"},
        "source": {},
        "provenance": {},
    }
    return {**base, **changes}


def robot_of(**changes: Any) -> Robot:
    return read_robot(json.dumps(document(**changes)).encode())


def volume(name: str, kind: str, shape: str, **fields: Any) -> dict[str, Any]:
    common = {"name": name, "kind": kind, "shape": shape, "on_violation": "clamp", "exempt": []}
    return {**common, **fields}


def motion_of(ddq: np.ndarray, q0: Any = 0.0, dq0: Any = 0.0) -> Motion:
    """A stream from its accelerations (K + 1, n), integrated tick by tick."""
    q, dq = [np.full(3, q0, float)], [np.full(3, dq0, float)]
    for before, after in itertools.pairwise(ddq):
        jerk = (after - before) / T
        q.append(q[-1] + dq[-1] * T + before * T**2 / 2 + jerk * T**3 / 6)
        dq.append(dq[-1] + before * T + jerk * T**2 / 2)
    a, b = np.array(q), np.array(dq)
    run = np.zeros(len(ddq) - 1, dtype=np.int64)
    return Motion(a[:-1], b[:-1], ddq[:-1], a[1:], b[1:], ddq[1:], run)


def kinds(violations: list[Violation]) -> set[str]:
    return {violation.kind for violation in violations}


def smooth(amplitude: float = 2.0) -> Motion:
    time = np.arange(300)[:, None] * T
    return motion_of(amplitude * np.sin(time * np.array([3.0, 5.0, 4.0])))


class TestJoints:
    def test_a_stream_inside_every_bound_passes(self) -> None:
        assert judge_ticks(robot_of(), smooth()) == []

    @pytest.mark.parametrize(("name", "order"), [("max_velocity", 1), ("max_acceleration", 2)])
    def test_the_largest_value_decides(self, name: str, order: int) -> None:
        motion = smooth()
        peak = np.abs(motion.dq1 if order == 1 else motion.ddq1)[:, 0].max()
        kind = "joint_velocity" if order == 1 else "joint_acceleration"
        for factor, expected in ((1.0 + 1e-4, set()), (1.0 - 1e-4, {kind})):
            joints = [joint("a", **{name: peak * factor}), joint("b"), joint("c", "prismatic")]
            assert kinds(judge_ticks(robot_of(joints=joints), motion)) == expected

    def test_jerk_is_judged_to_rounding(self) -> None:
        ddq = np.zeros((4, 3))
        ddq[1:, 0] = 5000.0 * T
        high = [joint("a", max_acceleration=50.0), joint("b"), joint("c", "prismatic")]
        robot = robot_of(joints=high)
        assert judge_ticks(robot, motion_of(ddq)) == []
        assert kinds(judge_ticks(robot, motion_of(ddq * (1 + 1e-8)))) == {"joint_jerk"}

    def test_position_peak_between_two_ticks_counts(self) -> None:
        # Turns round in the middle of a tick: both ends are inside, the extremum is not.
        ddq = np.full((2, 3), -8.0)
        for top, expected in ((2.0, {"joint_position"}), (2.0 + 1e-4, set())):
            joints = [joint("a", max_position=top), joint("b"), joint("c", "prismatic")]
            start = 2.0 - 0.1e-5
            motion = motion_of(ddq, q0=[start, 0, 0], dq0=[8.0 * T / 2, 0, 0])
            assert motion.q0[0, 0] < 2.0
            assert motion.q1[0, 0] < 2.0
            assert kinds(judge_ticks(robot_of(joints=joints), motion)) == expected

    def test_velocity_peak_between_two_ticks_counts(self) -> None:
        ddq = np.array([[8.0] * 3, [-8.0] * 3])
        motion = motion_of(ddq, dq0=1.0)
        peak = 1.0 + 8.0 * T / 4
        loose = robot_of(joints=[joint(k, max_velocity=peak + 1e-6) for k in "abc"])
        tight = robot_of(joints=[joint(k, max_velocity=peak - 1e-6) for k in "abc"])
        assert judge_ticks(loose, motion) == []
        assert kinds(judge_ticks(tight, motion)) == {"joint_velocity"}

    def test_extrema_against_dense_sampling(self) -> None:
        rng = np.random.default_rng(0)
        motion = motion_of(rng.uniform(-9, 9, (400, 3)), dq0=rng.uniform(-1, 1, 3))
        dense = [within_tick(motion, T, part * T) for part in np.linspace(0, 1, 2001)]
        high = max(float(q[:, 0].max()) for q, _, _ in dense)
        for top, expected in ((high + 1e-9, set()), (high - 1e-7, {"joint_position"})):
            joints = [joint(k, max_position=100.0, min_position=-100.0) for k in "abc"]
            joints[0]["max_position"] = top
            wide = robot_of(joints=joints, tcp=tcp(1e3))
            found = judge_ticks(wide, motion)
            assert {v.kind for v in found if v.subject == "a" and v.at == ""} == expected

    def test_a_setpoint_off_its_cubic_is_found(self) -> None:
        motion = smooth()
        for field in ("q1", "dq1"):
            moved = getattr(motion, field).copy()
            moved[7, 1] += 1e-9
            fields = {name: getattr(motion, name) for name in Motion.__slots__} | {field: moved}
            found = judge_ticks(robot_of(), Motion(**fields))
            assert ("continuity", 7) in {(v.kind, v.row) for v in found}

    def test_nan_is_a_violation(self) -> None:
        motion = smooth()
        motion.q1[3, 0] = np.nan
        found = kinds(judge_ticks(robot_of(volumes=[volume(**WALL)]), motion))
        assert {"non_finite", "joint_position", "tcp_speed", "joint_effort", "workspace"} <= found


BALL: dict[str, Any] = {"center": [0.1, -0.2, 0.3], "radius": 0.35}
WALL: dict[str, Any] = {
    "name": "wall",
    "kind": "keep_out",
    "shape": "half_space",
    "normal": [0.0, 0.0, 1.0],
    "offset": -5.0,
}


class TestInstant:
    def test_tcp_speed_is_the_derivative_of_the_position(self) -> None:
        rng = np.random.default_rng(1)
        robot = robot_of()
        q, dq = rng.uniform(-2, 2, (50, 3)), rng.uniform(-2, 2, (50, 3))
        h = 1e-6
        slope = (forward(robot, q + h * dq).tcp - forward(robot, q - h * dq).tcp) / (2 * h)
        assert np.abs(tcp_velocity(robot, forward(robot, q), dq) - slope).max() < 1e-8

    def test_tcp_rotation_is_the_derivative_of_the_rotation(self) -> None:
        rng = np.random.default_rng(1)
        robot, h = robot_of(), 1e-6
        q, dq = rng.uniform(-2, 2, (50, 3)), rng.uniform(-2, 2, (50, 3))
        ahead, back = (forward(robot, q + s * h * dq).axes[-1] for s in (1.0, -1.0))
        spin = tcp_rotation(robot, forward(robot, q), dq)
        for k in range(50):  # columns of R: dR Rᵀ = [ω]×
            now = forward(robot, q).axes[-1][:, :, k]
            skew = (ahead[:, :, k] - back[:, :, k]).T @ now / (2 * h)
            assert np.abs([skew[2, 1], skew[0, 2], skew[1, 0]] - spin[:, k]).max() < 1e-8

    def test_a_rotation_that_is_not_declared_is_not_judged(self) -> None:
        q, dq = np.zeros((1, 3)), np.full((1, 3), 1.5)
        for robot, judged in ((robot_of(), 0), (robot_of(tcp=tcp(9.0, max_rot_vel=1.0)), 1)):
            kinds = [excess.kind for excess in judge_configurations(robot, q, dq, None, q)]
            assert kinds.count("tcp_rotational_speed") == judged

    @pytest.mark.parametrize("kind", ["tcp_speed", SPIN, "joint_effort", "workspace"])
    def test_just_inside_passes_and_just_beyond_does_not(self, kind: str) -> None:
        rng = np.random.default_rng(2)
        q, dq, ddq = (rng.uniform(-1, 1, (1, 3)) for _ in range(3))
        robot = robot_of(volumes=[volume(**WALL)], tcp=tcp(2.0, max_rot_vel=9.0))
        value = {e.kind: e.value for e in judge_configurations(robot, q, dq, ddq, q)}[kind][0]
        for change, expected in ((1e-6, set()), (-1e-6, {kind})):
            changes: dict[str, Any] = {"volumes": [volume(**WALL)]}
            if kind == "tcp_speed":
                changes["tcp"] = tcp(float(value[0] + change))
            elif kind == SPIN:
                changes["tcp"] = tcp(2.0, max_rot_vel=float(value[0] + change))
            elif kind == "joint_effort":
                effort = value[1] + change
                joints = [joint("a"), joint("b", max_effort=effort), joint("c", "prismatic")]
                changes["joints"] = joints
            else:
                worst = -value.max()
                changes["volumes"] = [volume(**WALL | {"offset": -5.0 + worst - change})]
            excesses = judge_configurations(robot_of(**changes), q, dq, ddq, q)
            assert {e.kind for e in excesses if e.violated().any()} == expected

    def test_effort_at_rest_is_the_slope_of_the_potential_energy(self) -> None:
        robot = robot_of()
        q = np.array([[0.4, -0.7, 0.3]])
        zero = np.zeros((1, 3))
        (effort,) = (
            e.value
            for e in judge_configurations(robot, q, zero, zero, q)
            if e.kind == "joint_effort"
        )

        def energy(at: np.ndarray) -> float:
            frames = forward(robot, at[None])
            total = 0.0
            for i in range(3):
                com = frames.origin[i][:, 0] + robot.com[i] @ frames.axes[i][:, :, 0]
                total -= float(robot.mass[i] * robot.gravity @ com)
            return total

        step = 1e-6 * np.eye(3)
        slope = [(energy(q[0] + s) - energy(q[0] - s)) / 2e-6 for s in step]
        assert np.abs(effort[0] - np.abs(slope)).max() < 1e-6

    def test_agrees_with_pinocchio(self) -> None:
        pytest.importorskip("pinocchio")
        from checkrein.sim.oracle_pinocchio import SecondOpinion

        rng = np.random.default_rng(3)
        q, dq, ddq = (rng.uniform(-2, 2, (200, 3)) for _ in range(3))
        wide = [joint(k, max_effort=1e5) for k in "abc"]
        wide[2]["type"] = "prismatic"
        robot = robot_of(joints=wide, tcp=tcp(1e3, max_rot_vel=1e3))
        assert SecondOpinion(robot).judge(q, dq, ddq) == []
        slow = robot_of(joints=wide, tcp=tcp(1e3, max_rot_vel=1.0))
        assert kinds(SecondOpinion(slow).judge(q, dq, ddq)) == {"tcp_rotational_speed"}
        heavier = document(joints=wide, tcp=tcp(1e3))
        other = json.loads(json.dumps(heavier))
        other["kinematics"]["links"][2]["mass"] = 2.001
        opinion = SecondOpinion(read_robot(json.dumps(other).encode()))
        opinion._robot = robot
        assert kinds(opinion.judge(q, dq, ddq)) == {"oracle_disagrees"}


def test_exempt_capsules_are_not_judged() -> None:
    free = volume("v", "keep_out", "sphere", **BALL) | {"exempt": ["link1"]}
    assert clearances(robot_of(volumes=[free]), np.zeros((1, 3)))[1] == ("link0/v", "link2/v")


@dataclass
class Stop:
    """A stop as the filter stores it."""

    q: np.ndarray
    dq: np.ndarray
    ddq: np.ndarray
    ticks: np.ndarray
    jerk: np.ndarray
    period_s: float = T


def braking(dq: float) -> Stop:
    """From dq with ddq = 0: n ticks down, n ticks up; rests exactly."""
    n = 20
    jerk = -dq / (n * T) ** 2
    ticks = np.full((3, 2), n)
    return Stop(np.zeros(3), np.full(3, dq), np.zeros(3), ticks, np.tile([[jerk, -jerk]], (3, 1)))


def judged(stop: Stop, robot: Robot | None = None) -> set[str]:
    starts = (np.zeros((1, 3)), np.full((1, 3), 0.5), np.zeros((1, 3)))
    return kinds(judge_stops(robot or robot_of(), [stop], starts)[0])


class TestStop:
    def test_a_sound_stop_passes(self) -> None:
        assert judged(braking(0.5)) == set()

    def test_expansion_is_the_definition(self) -> None:
        motion, dq, ddq = expand_stops([braking(0.5), braking(-0.5)], T)
        assert motion.run.tolist() == [0] * 40 + [1] * 40
        assert max(np.abs(dq).max(), np.abs(ddq).max()) < 1e-14
        assert motion.q1[39, 0] == pytest.approx(0.5 * 20 * T)

    def test_one_that_moves_on_is_found(self) -> None:
        stop = braking(0.5)
        stop.jerk[1, 1] *= 1.0 - 1e-6
        assert judged(stop) == {"stop_rest"}

    def test_one_of_another_state_is_found(self) -> None:
        stop = braking(0.5)
        stop.q = stop.q + 1e-12
        assert judged(stop) == {"stop_start"}

    def test_malformed_ones_are_found(self) -> None:
        stop = braking(0.5)
        stop.ticks = stop.ticks.astype(float)
        assert judged(stop) == {"stop_malformed"}
        stop = braking(0.5)
        stop.ticks[0, 0] = -1
        assert judged(stop) == {"stop_malformed"}

    def test_leaving_a_bound_on_the_way_is_found(self) -> None:
        reach = 0.5 * 20 * T
        tight = [joint("a", max_position=reach - 1e-6), joint("b"), joint("c", "prismatic")]
        assert judged(braking(0.5), robot_of(joints=tight)) == {"joint_position"}


class TestFile:
    @pytest.mark.parametrize(
        "change",
        [
            {"format": 2},
            {"kind": "other"},
            {"surprise": 1},
            {"home": [0.0, 0.0]},
            {"joints": []},
            {"volumes": [volume("v", "keep_out", "cone")]},
            {"volumes": [volume("v", "near", "sphere", **BALL)]},
            {"joints": [joint("a"), joint("b"), joint("c", "ball")]},
            {"period_s": True},
            {"tcp": tcp(1.0, max_rot_vel=math.nan)},
            {"tcp": tcp(1.0, max_spin=1.0)},
        ],
    )
    def test_what_it_does_not_understand_it_refuses(self, change: dict[str, Any]) -> None:
        with pytest.raises(FrozenFileError):
            robot_of(**change)

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400"])
    def test_numbers_are_finite(self, text: str) -> None:
        raw = json.dumps(document()).replace('"standoff": 0.003', f'"standoff": {text}')
        raw = raw.replace('"period_s": 0.004', f'"period_s": {text}')
        with pytest.raises(FrozenFileError):
            read_robot(raw.encode())

    def test_duplicate_keys_are_refused(self) -> None:
        raw = json.dumps(document())[:-1] + ', "period_s": 1.0}'
        with pytest.raises(FrozenFileError, match="duplicate"):
            read_robot(raw.encode())


def test_the_oracle_shares_no_code_with_the_filter() -> None:
    for path in Path(*sim.__path__).glob("oracle*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [node.module or alias.name for alias in node.names]
                local = node.level == 1 and all(name.startswith("oracle") for name in names)
                free = {"__future__", "collections", "dataclasses", "numpy", "typing"}
                is_free = node.level == 0 and names[0].split(".")[0] in free
                assert local or is_free, (path.name, ast.unparse(node))
            elif isinstance(node, ast.Import):
                allowed = {"hashlib", "json", "math", "numpy", "numpy.typing", "pinocchio"}
                assert {alias.name for alias in node.names} <= allowed, path.name

"""A policy that pushes against everything for long: the robot can always be led somewhere else.

Found by killing the controller a hundred times: once, the arm had come so near to its own tray that
no motion at all could be certified from there, not even the one straight back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.drive import Rig, assert_within
from tests.limits.slow_chain import jacobian, tcp
from tests.robots import column, shipped, with_joints, without_geometry

from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.records import Array, Mode

# A new push every so many ticks; as many pushes in a row that move nothing are a robot that froze.
PUSH_TICKS, IN_A_ROW = 100, 8
MODES: tuple[Mode, ...] = ("joint_velocity", "joint_position", "joint_delta", "tcp_twist")


def unwatched(robot: str) -> Limits:
    """Without the classifier, which has no say in how a robot moves."""
    limits = shipped(robot)
    return replace(limits, classifier=replace(limits.classifier, file=None))


def weak() -> Limits:
    """A Panda that holds its arm up in a part of its reach only; nothing else is in its way."""
    limits, joints = unwatched("franka_panda"), list(shipped("franka_panda").joints)
    for index, bound in ((1, 33.0), (3, 30.0)):
        joints[index] = replace(joints[index], max_effort=bound)
    return replace(limits, joints=tuple(joints), volumes=(), self_collision=None)


def pushes(limits: Limits, seed: int, count: int, modes: tuple[Mode, ...]) -> list[bool]:
    """Whether each of `count` random pushes, of one joint or of the tool, moved the robot."""
    rig = Rig(limits).arm()
    rng, speed = np.random.default_rng(seed), column(limits, "max_velocity")
    period_s, moved = limits.period_s, []
    for k in range(count):
        one: Array = np.zeros(len(speed))
        pushed = int(rng.integers(len(one)))
        one[pushed] = float(rng.choice([-1.0, 1.0]))
        twist = rng.normal(size=6) * np.repeat([0.5, 1.0], 3)
        mode = modes[k // 10 % len(modes)]
        values = {
            "joint_velocity": one * speed,
            "joint_position": rig.q + one * float(rng.uniform(0.1, 2.0)),
            "joint_delta": one * speed * 25 * period_s,
            "tcp_twist": twist,
        }[mode]
        fastest = 0.0
        for tick in range(PUSH_TICKS):
            told = rig.command(mode, values, valid_ms=200.0) if tick % 25 == 0 else None
            rig.tick(told)
            fastest = max(fastest, float((np.abs(rig.dq) / speed).max()))
        moved.append(fastest > 1e-4)
    assert_within(limits, rig.stream)
    return moved


def longest_stand(moved: list[bool]) -> int:
    """Most pushes in a row that moved nothing."""
    return max(len(run) for run in "".join("x" if m else "." for m in moved).split("x"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("robot", "seed", "modes"),
    [
        ("franka_panda", 3, MODES[:1]),
        ("franka_panda", 8, MODES[:1]),
        ("franka_panda", 5, MODES),
        ("xarm6", 1, MODES),
        ("kuka_iiwa7", 2, MODES),
    ],
)
def test_a_robot_that_is_pushed_into_everything_never_freezes(
    robot: str, seed: int, modes: tuple[Mode, ...]
) -> None:
    moved = pushes(unwatched(robot), seed, 80, modes)
    assert longest_stand(moved) < IN_A_ROW, moved
    assert np.mean(moved) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 10, 22])
def test_one_that_only_just_holds_itself_up_never_freezes(seed: int) -> None:
    """Found by the fuzzer, on an arm at rest whose elbow bore not a millionth more."""
    moved = pushes(weak(), seed, 100, MODES[:1])
    assert longest_stand(moved) < IN_A_ROW, moved


def test_a_joint_a_hair_before_its_bound_is_not_counted_on_to_give_way() -> None:
    """What it could not do was not done at all: the arm stood still for good."""
    limits, reference = replace(shipped("franka_panda"), period_s=0.001), np.zeros((3, 7))
    q = np.array([1.702282, -1.663775, 0.431446, -1.190602, 1.217257, 3.7504845, 2.707535])
    reference[1] = 0.6035, -0.3475, 0.1681, 0.4524, 0.4213, 0.81, 0.7028
    core = Core(limits)
    motion, _ = core.rest(q)
    for _ in range(1000):
        motion, _, _ = core.advance(motion, VELOCITY, reference)
    assert np.abs(motion[:7, 0] - q).max() > 0.1


def short_of(limits: Limits, share: float) -> Array:
    """Where the shoulder bears all it may but this share, as the arm rests."""
    core, q, low, high = Core(limits), np.array(limits.home), -0.35, 0.0
    rests, joint = np.zeros_like(q), limits.joints[1]
    bound = (joint.max_effort - joint.effort_error) * (1.0 - share)
    for _ in range(60):
        q[1] = 0.5 * (low + high)
        low, high = (q[1], high) if abs(core.efforts(q, rests, rests)[1]) <= bound else (low, q[1])
    q[1] = low
    return q


@pytest.mark.parametrize("share", [1e-4, 1e-6, 1e-9, 1e-12])
def test_one_armed_where_it_only_just_holds_itself_up_leads_away_downhill(share: float) -> None:
    """Found by the fuzzer. Braking takes more effort than rest did, unless it is won on the way."""
    limits = weak()
    rig = Rig(limits, q=short_of(limits, share)).arm()
    core, start, elbow = Core(limits), rig.q, np.eye(len(rig.q))[3]
    strength = column(limits, "max_effort") - column(limits, "effort_error")
    for _ in range(800):
        setpoint = rig.tick(rig.velocity(-elbow * column(limits, "max_velocity"))).setpoint
        efforts = core.efforts(setpoint.q, setpoint.dq, setpoint.ddq)
        assert (np.abs(efforts) <= strength * (1.0 + 1e-9)).all()
    assert_within(limits, rig.stream)
    assert start[3] - rig.q[3] > 0.5


@pytest.mark.parametrize("share", [1e-5, 1e-6])
def test_what_is_left_of_its_effort_grows_from_stop_to_stop(share: float) -> None:
    """Raising the shoulder relieves it and takes effort at once: so little that it can be had."""
    limits = weak()
    rig = Rig(limits, q=short_of(limits, share)).arm()
    core, rests, left = Core(limits), np.zeros_like(rig.q), []
    bound = limits.joints[1].max_effort - limits.joints[1].effort_error
    asked = -np.eye(len(rig.q))[1] * column(limits, "max_velocity")
    for tick in range(2001):
        if tick % 1000 == 0:
            left.append(bound - abs(core.efforts(rig.q, rests, rests)[1]))
        rig.tick(rig.velocity(asked))
    assert_within(limits, rig.stream)
    assert left[1] > 1.1 * left[0]
    assert left[2] > 1.1 * left[1]


@pytest.mark.parametrize("joint", range(7))
def test_velocity_errors_are_charged_where_the_arm_is(joint: int) -> None:
    """Found by the fuzzer: at full stretch they were all that the tool may do, and none could move.

    Where it is, with the joints' distances from the tool, they are not.
    """
    free = without_geometry(unwatched("franka_panda"))
    errors = 0.05
    limits = with_joints(free, velocity_error=errors, max_effort=1e4)
    limits = replace(limits, tcp=replace(limits.tcp, max_trans_vel=0.2))
    pushed = np.eye(7)[joint] * column(limits, "max_velocity")
    rig = Rig(limits).arm()
    for _ in range(200):
        rig.tick(rig.velocity(pushed))
        q, dq = rig.q, rig.dq
        levers = jacobian(limits, q, tcp(limits, q), 6)[:3]
        charged = np.linalg.norm(levers @ dq) + errors * np.linalg.norm(levers, axis=0).sum()
        assert charged <= limits.tcp.max_trans_vel
    assert_within(limits, rig.stream)
    assert np.abs(rig.q - limits.home).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("limits", [unwatched("franka_panda"), weak()], ids=["panda", "weak"])
def test_back_the_way_it_came_is_always_certified(limits: Limits) -> None:
    """From where a push ended, whichever bound ended it."""
    speed, rng = column(limits, "max_velocity"), np.random.default_rng(4)
    for _ in range(12):
        rig = Rig(limits).arm()
        way = rng.choice([-1.0, 1.0], len(speed)) * (rng.uniform(size=len(speed)) < 0.4)
        for _ in range(500):
            rig.tick(rig.velocity(way * speed))
        rig.brake()
        ended = rig.q
        for _ in range(60):
            rig.tick(rig.velocity(-way * speed))
        assert np.abs(rig.q - ended).max() > 1e-3 or not way.any()

"""A policy that pushes against everything for long: the robot can always be led somewhere else.

Found by killing the controller a hundred times: once, the arm had come so near to its own tray that
no motion at all could be certified from there, not even the one straight back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.drive import Rig, assert_within
from tests.robots import column, shipped

from checkrein.limits import Limits
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

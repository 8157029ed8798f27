"""The oracle on speeds of links: against points of bodies; where zones count, and for whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.sim.test_oracle import BALL, joint, kinds, robot_of, smooth, tcp, volume

from checkrein.sim.oracle import FrozenFileError, Robot, judge_configurations, judge_ticks
from checkrein.sim.oracle_geometry import capsule_ends, forward, tcp_rotation, tcp_velocity
from checkrein.sim.oracle_speeds import capsule_speeds, tool_motion


def ends_of(robot: Robot, q: np.ndarray) -> list[np.ndarray]:
    frames = forward(robot, q)
    return [end for capsule in robot.capsules for end in capsule_ends(frames, capsule)]


def test_the_fastest_point_of_a_capsule_is_one_of_its_points() -> None:
    """By differences of places: each point of the body at two instants."""
    rng, robot, h = np.random.default_rng(4), robot_of(), 1e-6
    q, dq = rng.uniform(-2, 2, (20, 3)), rng.uniform(-2, 2, (20, 3))
    speeds = capsule_speeds(robot, forward(robot, q), dq)
    ways = rng.normal(size=(1500, 3))
    ways /= np.linalg.norm(ways, axis=1)[:, None]
    for k, capsule in enumerate(robot.capsules):
        share = rng.integers(0, 3, (1500, 1)) / 2.0
        local = capsule.start + share * (capsule.end - capsule.start)
        local = local + capsule.radius_m * ways
        places = []
        for side in (-1.0, 1.0):
            frames = forward(robot, q + side * h * dq)
            axes, origin = frames.axes[capsule.joint], frames.origin[capsule.joint]
            places.append(np.einsum("pc,cxb->bpx", local, axes) + origin.T[:, None])
        sampled = np.linalg.norm(places[1] - places[0], axis=2).max(axis=1) / (2.0 * h)
        assert (sampled <= speeds[:, k] + 1e-8).all()
        assert (sampled >= 0.97 * speeds[:, k]).all()


@pytest.mark.parametrize("rate", [1e-300, 1e-162, 3e-161, 1e-155, 1e-90, 1e-30])
def test_what_hardly_turns_is_as_fast_as_what_does_not(rate: float) -> None:
    """The squares of such rates have few digits left, or none: a direction by them is none."""
    robot = robot_of()  # its last joint slides
    q, fast = np.array([[0.3, 0.4, 0.1]]), np.array([[0.0, 0.0, 0.16]])
    slow = fast + np.array([rate, 0.3 * rate, 0.0])
    expected = capsule_speeds(robot, forward(robot, q), fast)
    np.testing.assert_allclose(
        capsule_speeds(robot, forward(robot, q), slow), expected, rtol=1e-12, atol=1e-29
    )
    assert expected.max() == pytest.approx(0.16)


@pytest.mark.parametrize("kind", ["link_speed", "zone_speed"])
def test_just_inside_passes_and_just_beyond_does_not(kind: str) -> None:
    motion = smooth()
    q, dq = motion.q1[100:101], motion.dq1[100:101]
    top = float(capsule_speeds(robot_of(), forward(robot_of(), q), dq).max())
    everywhere = volume("hall", "keep_out", "sphere", center=[0.0, 0.0, 0.0], radius=9.0)
    for change, expected in ((1e-6, set()), (-1e-6, {kind})):
        if kind == "link_speed":
            robot = robot_of(links={"max_speed": top + change})
        else:
            robot = robot_of(zones=[{"max_speed": top + change, "volume": everywhere}])
        excesses = judge_configurations(robot, q, dq, None, q)
        assert {e.kind for e in excesses if e.violated().any()} == expected


def test_a_zone_counts_for_those_in_it_that_are_not_exempt() -> None:
    q, dq = np.zeros((1, 3)), np.full((1, 3), 0.5)
    for radius, exempt, expected in (
        (0.05, [], {"link0/cell"}),
        (9.0, [], {"link0/cell", "link1/cell", "link2/cell"}),
        (9.0, ["link1"], {"link0/cell", "link2/cell"}),
    ):
        place = volume("cell", "keep_out", "sphere", center=[0.0, 0.0, 0.22], radius=radius)
        zone = {"max_speed": 1e-3, "volume": {**place, "exempt": exempt}}
        found = judge_configurations(robot_of(zones=[zone]), q, dq, None, q)
        (fast,) = (e for e in found if e.kind == "zone_speed")
        hits = np.flatnonzero(fast.violated()[0])
        assert {fast.subjects[k] for k in hits} == expected


def test_where_the_robot_may_be_decides() -> None:
    """The stream passes a zone by; a robot within its errors would be in it."""
    motion = smooth()
    away = np.full(motion.q1.shape, 0.01)
    height = float(max(e[2].max() for e in ends_of(robot_of(), motion.q1)))
    lifted = float(max(e[2].max() for e in ends_of(robot_of(), motion.q1 + away)))
    assert lifted > height
    above = volume("loft", "keep_out", "half_space", normal=[0.0, 0.0, -1.0],
                   offset=-(height + lifted) / 2.0 - 0.06)  # fmt: skip
    robot = robot_of(zones=[{"max_speed": 1e-6, "volume": above}])
    assert kinds(judge_ticks(robot, motion)) == set()
    assert kinds(judge_ticks(robot, motion, deviation=away)) == {"zone_speed"}


def test_nan_is_a_violation() -> None:
    place = volume("cell", "keep_out", "sphere", **BALL)
    zones = [{"max_speed": 1.0, "volume": place}]
    robot = robot_of(zones=zones, links={"max_speed": 1e3})
    q, dq = np.zeros((1, 3)), np.full((1, 3), 0.5)
    for bad in ("q", "dq"):
        values = {"q": q.copy(), "dq": dq.copy()}
        values[bad][0, 0] = np.nan
        found = judge_configurations(robot, values["q"], values["dq"], None, values["q"])
        names = {e.kind for e in found if e.violated().any()}
        assert {"link_speed", "zone_speed"} <= names


@pytest.mark.parametrize(
    "change",
    [
        {"links": {"max_speed": None}},
        {"links": {"speed": 1.0}},
        {"zones": [{"max_speed": 1.0, "volume": volume("z", "keep_in", "sphere", **BALL)}]},
        {"zones": [{"volume": volume("z", "keep_out", "sphere", **BALL)}]},
    ],
)
def test_what_it_does_not_understand_it_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(FrozenFileError):
        robot_of(**change)


def test_the_tools_accelerations_are_derivatives_of_its_velocities() -> None:
    rng, robot, h = np.random.default_rng(5), robot_of(), 1e-6
    q, dq, ddq = (rng.uniform(-2, 2, (40, 3)) for _ in range(3))

    def at(t: float) -> tuple[np.ndarray, np.ndarray]:
        rate = dq + t * ddq
        frames = forward(robot, q + t * dq + 0.5 * t * t * ddq)
        return tcp_velocity(robot, frames, rate), tcp_rotation(robot, frames, rate)

    push, turn = tool_motion(robot, forward(robot, q), dq, ddq)
    for found, ahead, back in zip((push, turn), at(h), at(-h), strict=True):
        assert np.abs((ahead - back) / (2.0 * h) - found).max() < 1e-7


@pytest.mark.parametrize("kind", ["tcp_acceleration", "tcp_rotational_acceleration"])
def test_an_acceleration_just_beyond_is_found(kind: str) -> None:
    motion = smooth()
    rows = (motion.q1[100:101], motion.dq1[100:101], motion.ddq1[100:101])
    which = 0 if kind == "tcp_acceleration" else 1
    vector = tool_motion(robot_of(), forward(robot_of(), rows[0]), *rows[1:])[which]
    top = float(np.linalg.norm(vector))
    name = ("max_trans_acc", "max_rot_acc")[which]
    for change, expected in ((1e-6, set()), (-1e-6, {kind})):
        robot = robot_of(tcp=tcp(5.0, **{name: top + change}))
        excesses = judge_configurations(robot, *rows, rows[0])
        assert {e.kind for e in excesses if e.violated().any()} == expected
        assert kind not in {e.kind for e in judge_configurations(robot, *rows[:2], None, rows[0])}


def test_pinocchio_agrees_on_the_tools_acceleration() -> None:
    pytest.importorskip("pinocchio")
    from checkrein.sim.oracle_pinocchio import SecondOpinion

    rng = np.random.default_rng(3)
    rows = tuple(rng.uniform(-2, 2, (50, 3)) for _ in range(3))
    strong = [joint("a", max_effort=1e5), joint("b", max_effort=1e5)]
    strong.append(joint("c", "prismatic", max_effort=1e5))
    for changes, expected in (
        ({"max_trans_acc": 1e3, "max_rot_acc": 1e3}, set()),
        ({"max_trans_acc": 1.0}, {"tcp_acceleration"}),
        ({"max_rot_acc": 1.0}, {"tcp_rotational_acceleration"}),
    ):
        robot = robot_of(joints=strong, tcp=tcp(1e3, **changes))
        assert kinds(SecondOpinion(robot).judge(*rows)) == expected

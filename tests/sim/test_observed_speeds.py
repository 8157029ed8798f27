"""The observer on speeds of links: a joint turns at a known rate, points are at known places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.sim.chain import Chain
from checkrein.sim.episode import RobotSide
from checkrein.sim.observed_geometry import read_hulls
from checkrein.sim.observed_speeds import LinkSpeeds
from checkrein.sim.observed_tool import ToolAcceleration
from checkrein.sim.observer import Observer

pytest.importorskip("pybullet")

RATE = 0.7


def turning(side: RobotSide, rate: float) -> dict[str, np.ndarray]:
    """Turn the first joint; distances of each link's vertices from its axis, the vertical."""
    world = side.world
    p, client = world.p, world.client
    for index, q in zip(world.joint_indices, world.home.tolist(), strict=True):
        speed = rate if index == world.joint_indices[0] else 0.0
        p.resetJointState(world.robot, index, q, speed, physicsClientId=client)
    out: dict[str, np.ndarray] = {}
    for hull in read_hulls(world.urdf, world.moving_links):
        state = p.getLinkState(
            world.robot, world.link_index[hull.link], computeForwardKinematics=1,
            physicsClientId=client,
        )  # fmt: skip
        turn = np.array(p.getMatrixFromQuaternion(state[5])).reshape(3, 3)
        points = hull.points @ turn.T + np.array(state[4])
        away = np.hypot(points[:, 0], points[:, 1])
        out[hull.link] = np.concatenate([out.get(hull.link, np.zeros(0)), away])
    return out


def declaring(side: RobotSide, **more: Any) -> LinkSpeeds:
    return LinkSpeeds({**side.world.frozen, **more}, side.world)


def test_who_declares_nothing_is_not_looked_at(side: RobotSide) -> None:
    turning(side, 50.0)
    assert declaring(side).look() == []


def test_the_fastest_vertex_of_each_link(side: RobotSide) -> None:
    away = turning(side, RATE)
    top = RATE * max(float(far.max()) for far in away.values())
    assert declaring(side, links={"max_speed": top * (1.0 + 1e-6)}).look() == []
    ((kind, _, speed, bound),) = declaring(side, links={"max_speed": top * 0.999}).look()
    assert (kind, bound) == ("link_speed", top * 0.999)
    assert speed == pytest.approx(top, rel=1e-6)
    everyone = declaring(side, links={"max_speed": 1e-6}).look()
    assert {link for _, link, _, _ in everyone} == set(away)
    for _, link, speed, _ in everyone:
        assert speed == pytest.approx(RATE * away[link].max(), rel=1e-5)


def test_a_zone_is_about_what_is_in_it(side: RobotSide) -> None:
    away = turning(side, RATE)
    beyond = 0.4  # [m] in front of the base
    place = {
        "name": "front", "kind": "keep_out", "shape": "half_space", "on_violation": "clamp",
        "exempt": [], "normal": [-1.0, 0.0, 0.0], "offset": -beyond,
    }  # fmt: skip
    found = declaring(side, zones=[{"max_speed": 1e-3, "volume": place}]).look()
    links = {link.removesuffix("/front") for kind, link, _, _ in found if kind == "zone_speed"}
    assert links
    assert links == {link for link, far in away.items() if link in links}
    assert not links & {link for link, far in away.items() if float(far.max()) < beyond}
    free = {**place, "exempt": sorted(links)}
    assert declaring(side, zones=[{"max_speed": 1e-3, "volume": free}]).look() == []
    turning(side, 0.0)
    assert declaring(side, zones=[{"max_speed": 1e-3, "volume": place}]).look() == []


def test_accelerations_of_the_tool_by_differences(side: RobotSide) -> None:
    """One joint turns the tool about a fixed axis: radius times its acceleration, and speed²."""
    chain, period = Chain(side.world.frozen), side.robot.period_s
    rate, gain, q = 0.5, 3.0, np.array(side.world.home)
    rows, tcp = [q, q.copy(), q.copy()], {}
    for k, row in enumerate(rows[1:], start=1):
        row[0] += rate * k * period + 0.5 * gain * (k * period) ** 2
    place = chain.tcp(rows[1])[1]
    radius = float(np.hypot(place[0], place[1]))
    linear = radius * float(np.hypot(gain, (rate + gain * period) ** 2))
    for share, broken in ((1.01, set()), (0.99, {"tcp_acceleration"})):
        tcp = {**side.world.frozen["tcp"], "max_trans_acc": share * linear}
        found = ToolAcceleration({**side.world.frozen, "tcp": tcp}).look(*rows)
        assert {kind for kind, _, _ in found} == broken
    for share, broken in ((1.01, set()), (0.99, {"tcp_rotational_acceleration"})):
        tcp = {**side.world.frozen["tcp"], "max_rot_acc": share * gain}
        found = ToolAcceleration({**side.world.frozen, "tcp": tcp}).look(*rows)
        assert {kind for kind, _, _ in found} == broken
    assert ToolAcceleration(side.world.frozen).look(*rows) == []
    bad = [*rows[:2], rows[2] * np.nan]
    assert ToolAcceleration({**side.world.frozen, "tcp": tcp}).look(*bad)


def test_the_observer_counts_them(side: RobotSide) -> None:
    frozen = {**side.world.frozen, "links": {"max_speed": 0.1}}
    observer = Observer(frozen, side.world, side.robot)
    turning(side, RATE)
    assert "link_speed" in observer.observe(side.robot.told)
    assert observer.first["link_speed"].bound == 0.1
    frozen = {**side.world.frozen, "tcp": {**side.world.frozen["tcp"], "max_trans_acc": 1.0}}
    observer = Observer(frozen, side.world, side.robot)
    moved = side.robot.told.copy()
    moved[0] += 1e-4
    side.robot._told = moved
    assert "tcp_acceleration" in observer.observe(moved)

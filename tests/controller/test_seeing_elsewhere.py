"""Obstacles beside the filter: vetted chunks, the wire, the audit and its replay."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.robots import slider
from tests.seeing import World, ahead, seeing

from checkrein.controller.audit import AuditLog, DecisionRecord, decode_record
from checkrein.controller.audit_replay import replay
from checkrein.controller.audit_writer import AuditFile
from checkrein.controller.decision_frame import encode_decision
from checkrein.controller.wire import pack_state, unpack_state
from checkrein.limits import Obstacles, RobotState


def test_a_chunk_is_vetted_against_what_was_seen() -> None:
    limits = seeing(slider())
    world = World(limits, ahead(limits, 0.2))
    world.run([0.0, 0.1], 5)
    rig = world.rig
    rows = limits.home + np.linspace(0.0, 1.0, 60)[:, None] * [0.0, 0.4]
    chunk = rig.command("joint_position", rows[1:], period_ms=20.0, stamp_ns=rig.now_ns)
    vetted = rig.guard.vet_chunk(rig.state(), chunk, now_ns=rig.now_ns)
    assert "obstacles" in {finding.limit for _, _, finding in vetted.findings}
    assert "obstacles_stale" not in {finding.limit for _, _, finding in vetted.findings}
    assert 0 < vetted.rows_certified < vetted.rows


@pytest.mark.parametrize(
    "cloud",
    [
        Obstacles(np.zeros((0, 3)), 0.1, 5),
        Obstacles(np.ones((3, 3)), [0.1, 0.2, 0.3], 2**60, [0.0, 1.0, 2.0]),
        Obstacles(np.full((2, 2), math.nan), 0.1, -1),
        Obstacles(np.ones((4, 3)), [0.1], 7, [1.0, 2.0]),
        Obstacles(np.ones((2, 4)), math.inf, 7),
        Obstacles(1.0, 0.1, 7),
    ],
)
def test_the_wire_carries_every_cloud_as_it_is(cloud: Obstacles) -> None:
    state = RobotState(np.zeros(2), np.zeros(2), 9, obstacles=cloud)
    again = unpack_state(pack_state(state), 2).obstacles
    assert again is not None
    assert (again.fault, again.stamp_ns) == (cloud.fault, cloud.stamp_ns)
    for name in ("points", "radius_m", "speed_m_s", "_nodes", "_balls"):
        before, after = getattr(cloud, name), getattr(again, name)
        assert (before is None) is (after is None)
        if before is not None:
            np.testing.assert_array_equal(before, after)
    bare = unpack_state(pack_state(state, with_obstacles=False), 2)
    assert bare.obstacles is None


def test_the_audit_holds_each_cloud_once_and_replays_all_of_it(tmp_path: Path) -> None:
    limits, records = seeing(slider()), list[bytes]()

    def submit(data: bytes, wait_ms: float) -> bool:
        records.append(data)
        return True

    log = AuditLog(submit)
    world, rng = World(limits, ahead(limits, 0.3)), np.random.default_rng(3)
    rig, clouds = world.rig, 0
    log.header(limits)
    log.start("s", now_ns=rig.now_ns)
    log.arm("s", 0, rig.state(obstacles=world.cloud), now_ns=rig.now_ns)
    for tick in range(240):
        if tick % 9 == 0:
            changes = {"points": [[math.nan] * 3]} if tick % 90 == 81 else {}
            world.cloud = world.seen(age_ms=-9.0 if tick == 135 else 0.0, **changes)
            world.points = world.points + rng.normal(size=(1, 3)) * 0.01
            clouds += 1
        proposal = rig.velocity([0.1 * math.sin(tick / 9.0), 0.4])
        q, dq = rig.q, rig.dq
        decision = rig.tick(proposal, obstacles=world.cloud)
        encoded = encode_decision("s", tick, decision)
        state = rig.state(q=q, dq=dq, obstacles=world.cloud)
        log.decision("s", tick, state, (proposal,), encoded, now_ns=rig.now_ns)
    log.close("over")
    decisions = [r for r in map(decode_record, records) if isinstance(r, DecisionRecord)]
    assert sum(r.state.cloud is not None for r in decisions) == clouds
    path = tmp_path / "seen.mcap"
    with AuditFile(path) as file:
        for data in records:
            file.append(data, decode_record(data).now_ns)
    replayed = replay(path, limits)
    assert replayed.decisions == 240
    assert replayed.is_exact, replayed.problems
    found = {finding.limit for d in rig.decisions for finding in d.findings}
    assert {"obstacles", "non_finite", "obstacles_stale"} <= found

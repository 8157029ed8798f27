"""Fuzzing of link and zone speeds and of the tool's acceleration: they bind, nothing is broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from checkrein.controller import SafetyFilter
from checkrein.limits import Limits, LinkLimits
from checkrein.limits.canonical import canonical_bytes
from checkrein.scripts.fuzz.campaign import open_bench, run_campaign
from checkrein.scripts.fuzz.limits_source import LimitsSource, find
from checkrein.scripts.fuzz.random_robots import random_robot
from checkrein.scripts.fuzz.report import required_binds, vacuous
from checkrein.scripts.fuzz.shard import Bench
from checkrein.sim.oracle import read_robot

# The whole way past the arm: a tenth of all seeds never led it into half of that.
AISLE = {
    "name": "aisle", "kind": "keep_out", "shape": "box", "on_violation": "clamp", "exempt": [],
    "center": [0.5, 0.0, 0.4], "rotation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    "half_extents": [0.2, 0.6, 0.3],
}  # fmt: skip
ACCELERATIONS = ("tcp_acceleration", "tcp_rotational_acceleration")
EXPECTED = ("link_speed", "zone_speed/aisle", *ACCELERATIONS)


def slowed(name: str) -> LimitsSource:
    document = json.loads(find(name).raw)
    document["links"] = {"max_speed": 0.9}
    document["on_violation"]["link_speed"] = "clamp"
    document["tcp"] |= {"max_trans_acc": 4.0, "max_rot_acc": 15.0}
    document["on_violation"] |= dict.fromkeys(ACCELERATIONS, "clamp")
    document["zones"] = [{"max_speed": 0.3, "volume": AISLE}]
    raw = canonical_bytes(document)
    return LimitsSource(f"slow {name}", find(name).path, raw, hashlib.sha256(raw).hexdigest())


@pytest.fixture(scope="module")
def source() -> LimitsSource:
    return slowed("franka_panda")


@pytest.fixture(scope="module")
def bench(source: LimitsSource) -> Bench:
    return open_bench(source, zero_margins=True)


def test_both_bind_and_nothing_is_broken(source: LimitsSource, bench: Bench) -> None:
    campaign = run_campaign(source, steps=6000, seed=1, bench=bench)
    assert not campaign.violations
    required, unreachable = required_binds(bench.robot, bench.poses)
    assert unreachable == ()
    assert set(EXPECTED) <= set(required)
    assert not vacuous(campaign, dict.fromkeys(EXPECTED, campaign.steps))
    assert vacuous(campaign, {"zone_speed/other": campaign.steps})
    for kind in ("link_speed", "zone_speed", *ACCELERATIONS):
        assert 0.0 <= campaign.margins[kind] < 0.2


@pytest.mark.parametrize(
    ("kind", "forget"),
    [
        (
            "tcp_acceleration",
            lambda limits: replace(limits, tcp=replace(limits.tcp, max_trans_acc=4.2)),
        ),
        (
            "tcp_rotational_acceleration",
            lambda limits: replace(limits, tcp=replace(limits.tcp, max_rot_acc=None)),
        ),
        ("link_speed", lambda limits: replace(limits, links=LinkLimits())),
        ("zone_speed", lambda limits: replace(limits, zones=())),
        (
            "zone_speed",
            lambda limits: replace(limits, zones=(replace(limits.zones[0], max_speed=0.33),)),
        ),
    ],
)
def test_who_forgets_one_is_found(
    source: LimitsSource, bench: Bench, kind: str, forget: Callable[[Limits], Limits]
) -> None:
    forgetful = replace(
        bench, make_filter=lambda limits, scorer: SafetyFilter(forget(limits), scorer=scorer)
    )
    campaign = run_campaign(source, steps=6000, seed=1, bench=forgetful)
    assert campaign.violations[kind] > 0


def test_some_random_robots_declare_them() -> None:
    robots = [read_robot(random_robot(0, index).raw) for index in range(12)]
    assert {robot.link_speed_m_s is None for robot in robots} == {False, True}
    assert {bool(robot.zones) for robot in robots} == {False, True}
    assert {robot.max_trans_acc_m_s2 is None for robot in robots} == {False, True}
    assert {robot.max_rot_acc_rad_s2 is None for robot in robots} == {False, True}

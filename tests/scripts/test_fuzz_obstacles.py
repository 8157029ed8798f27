"""The fuzzer's obstacles keep their word, and a filter that does not believe them is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checkrein.controller import Decision, SafetyFilter
from checkrein.limits import Limits, Obstacles, RobotState
from checkrein.limits.records import Candidates
from checkrein.scripts.fuzz.campaign import Campaign, open_bench, run_campaign
from checkrein.scripts.fuzz.doubles import ScorerDouble
from checkrein.scripts.fuzz.limits_source import find
from checkrein.scripts.fuzz.passers import Passers
from checkrein.scripts.fuzz.perception import with_perception
from checkrein.scripts.fuzz.poses import Poses
from checkrein.scripts.fuzz.random_robots import random_robot
from checkrein.scripts.fuzz.replay import read_violation, replay, write_violation
from checkrein.scripts.fuzz.report import required_binds
from checkrein.scripts.fuzz.shard import Bench
from checkrein.scripts.fuzz.view import View

SOURCE = with_perception(find("franka_panda"), 1)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return open_bench(SOURCE, zero_margins=True)


class Believing(SafetyFilter):
    """What it is told of obstacles is changed on the way."""

    told: Callable[[Obstacles], Obstacles]

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        if state.obstacles is not None and state.obstacles.fault is None:
            state = replace(state, obstacles=type(self).told(state.obstacles))
        return super().step(state, proposal, now_ns=now_ns)


class Fearless(Believing):
    """Obstacles are no larger than a point, and stand still."""

    @staticmethod
    def told(obstacles: Obstacles) -> Obstacles:
        return Obstacles(obstacles.points, 0.0, obstacles.stamp_ns, 0.0)


class Blind(Believing):
    """There are none."""

    @staticmethod
    def told(obstacles: Obstacles) -> Obstacles:
        return Obstacles(np.zeros((0, 3)), 0.0, obstacles.stamp_ns, 0.0)


def ran(
    bench: Bench, steps: int, kind: type[SafetyFilter] = SafetyFilter, seed: int = 1
) -> Campaign:
    def make(limits: Limits, scorer: ScorerDouble | None) -> SafetyFilter:
        return kind(limits, scorer=scorer)

    return run_campaign(SOURCE, steps=steps, seed=seed, bench=replace(bench, make_filter=make))


@pytest.mark.slow
def test_the_filter_touches_nothing_and_that_is_not_for_want_of_obstacles(bench: Bench) -> None:
    campaigns = [ran(bench, 6000, seed=seed) for seed in (4, 5)]  # of one seed in ten, 15 or less
    for campaign in campaigns:
        assert not campaign.violations
        assert campaign.beside > 2000
        assert campaign.margins["obstacles"] < 0.03
    assert sum(campaign.binds["obstacles"] for campaign in campaigns) > 30
    assert "obstacles" in required_binds(bench.robot, bench.poses)[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Blind, Fearless])
def test_a_filter_that_does_not_believe_them_is_found_and_replayed(
    kind: type[SafetyFilter], bench: Bench, tmp_path: Path
) -> None:
    campaign = ran(bench, 10_000, kind)
    assert campaign.violations["obstacles"] > 0
    assert campaign.failed is not None
    found = next(f for f in campaign.failed.found if f.violation.kind == "obstacles")
    path = tmp_path / "found.json"
    write_violation(path, found, source=SOURCE, seed=2, shard=0, zero_margins=True)
    again = replay(
        replace(bench, make_filter=lambda limits, scorer: kind(limits, scorer=scorer)),
        read_violation(path),
    )
    assert again.again
    sound = replay(bench, read_violation(path))
    assert not [v for v in sound.violations if v.kind == "obstacles"]


@pytest.mark.slow
def test_random_robots_look_around_too() -> None:
    """Three ticks of twenty beside something, of two robots: of one, it is a matter of chance."""
    beside = 0
    for index in range(2):
        bench = open_bench(with_perception(random_robot(index, 3), 3), zero_margins=False)
        campaign = run_campaign(SOURCE, steps=2000, seed=3, bench=bench)
        assert not campaign.violations
        beside += campaign.beside
    assert beside > 600


class TestPassers:
    def made(self, seed: int, bench: Bench) -> tuple[Passers, View]:
        poses: Poses = bench.poses
        view = View(bench.robot, poses, np.random.default_rng(seed))
        return Passers(bench.robot, view, bench.robot.home), view

    def test_they_are_never_faster_than_they_claim_and_in_every_good_cloud(
        self, bench: Bench
    ) -> None:
        """The growth that the filter assumes holds them, tick by tick, whatever is attacked."""
        seeing, T = bench.robot.perception, bench.robot.period_s
        assert seeing is not None
        clouds = moving = bad = 0
        for seed in range(30):
            passers, view = self.made(seed, bench)
            now_ns, before = 10**9, None
            for _ in range(200):
                late = view.rng.choice([0, 1, 10], p=[0.02, 0.97, 0.01])
                now_ns += round(T * 1e9) * int(late)
                passers.begin(now_ns)
                truth = passers.truth(is_fresh=False)
                assert (truth.speed_m_s <= seeing.max_speed_m_s).all()
                went = np.linalg.norm(truth.end - truth.start, axis=1)
                assert (went <= truth.speed_m_s * T).all()
                moving += bool(went.any())
                cloud, count = passers.cloud, len(truth.start)
                if cloud is None or cloud is before:
                    continue
                before = cloud
                is_bad = cloud.fault is not None or cloud.stamp_ns > now_ns
                is_bad |= cloud.fastest_m_s > seeing.max_speed_m_s
                if is_bad or len(cloud.points) > seeing.max_points:
                    bad += 1
                    continue
                clouds += 1
                grown_s = (now_ns - cloud.stamp_ns) * 1e-9 + seeing.latency_s
                speed = np.full(len(cloud.points), seeing.max_speed_m_s)
                if cloud.speed_m_s is not None:
                    speed = np.array(cloud.speed_m_s)
                grown = cloud.radius_m[:count] + speed[:count] * grown_s
                away = np.linalg.norm(cloud.points[:count] - truth.start, axis=1)
                assert (away + truth.radius_m <= grown + 1e-12).all()
        assert clouds > 1000
        assert moving > 500
        assert bad > 3

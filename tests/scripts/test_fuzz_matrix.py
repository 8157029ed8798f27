"""`checkrein fuzz matrix`: random robots, resuming, sharding, and one verdict over all of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from checkrein.limits import InputError, Limits
from checkrein.limits.core import Core
from checkrein.limits.loading import shipped_names, vetted
from checkrein.scripts.fuzz import matrix as matrix_module
from checkrein.scripts.fuzz import poses
from checkrein.scripts.fuzz.campaign import Campaign, open_bench, run_campaign
from checkrein.scripts.fuzz.command import command
from checkrein.scripts.fuzz.limits_source import find
from checkrein.scripts.fuzz.matrix import Matrix, merge, run_matrix
from checkrein.scripts.fuzz.matrix_plan import PERIODS_MS, Plan, plan_matrix, source_of
from checkrein.scripts.fuzz.random_robots import RIGHT_ANGLES, random_robot
from checkrein.scripts.fuzz.random_volumes import SHAPES, random_volume
from checkrein.scripts.fuzz.replay import (
    embedded,
    read_violation,
    replay,
    write_violation,
    write_violations,
)
from checkrein.sim.oracle import read_robot

ROBOTS = 24


@pytest.fixture(autouse=True)
def fewer_poses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poses, "SAMPLES", 500)
    monkeypatch.setattr(poses, "REFINEMENTS", 5)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


@pytest.fixture(scope="module")
def whole(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poses, "SAMPLES", 500)
        patch.setattr(poses, "REFINEMENTS", 5)
        folder = tmp_path_factory.mktemp("whole")
        return run_matrix(plan, folder=folder, out=folder)


def small_plan(steps: int = 300, seed: int = 0) -> Plan:
    return plan_matrix(seed=seed, steps=steps, random_robots=3, shipped=False, zero_margins=False)


class TestRandomRobots:
    def test_the_same_robot_from_the_same_seed(self) -> None:
        assert random_robot(5, 3) == random_robot(5, 3)
        assert random_robot(5, 3).sha256 != random_robot(5, 4).sha256
        assert random_robot(5, 3).sha256 != random_robot(6, 3).sha256

    def test_what_is_promised_is_among_them(self) -> None:
        robots = [read_robot(random_robot(0, i).raw) for i in range(ROBOTS)]
        assert {robot.n for robot in robots} == set(range(2, 10))
        assert {volume.shape for robot in robots for volume in robot.volumes} == set(SHAPES)
        assert {volume.keeps_in for robot in robots for volume in robot.volumes} == {False, True}
        kinds = np.concatenate([robot.prismatic for robot in robots])
        assert 0.1 < kinds.mean() < 0.5
        endless = np.concatenate([robot.continuous for robot in robots])
        assert 0.02 < endless.mean() < 0.3
        braking = [
            robot.bounds["max_deceleration"] / robot.bounds["max_acceleration"] for robot in robots
        ]
        share = np.concatenate(braking)
        assert share.min() < 0.5 < 0.9 < 2.0 < share.max()
        assert 0.2 < (share == 1.0).mean() < 0.8
        periods = [robot.period_s for robot in robots]
        assert min(periods) >= 0.001
        assert min(periods) < 0.003
        assert max(periods) <= 0.05
        assert max(periods) > 0.03
        latencies = {robot.timing_ms.get("latency_ticks") for robot in robots}
        assert latencies <= {None, *range(6)}
        assert len(latencies) > 3
        noise = np.concatenate([robot.bounds["position_noise"] for robot in robots])
        assert noise.min() == 0.0
        assert 0.004 < noise.max() <= 0.005
        assert {bool(robot.pairs) for robot in robots} == {False, True}
        assert {robot.max_rot_vel_rad_s is None for robot in robots} == {False, True}

    def test_home_is_certified_by_the_filter(self) -> None:
        source = random_robot(3, 1)
        limits = vetted(source.raw, Path("x.json"))
        assert limits.sha256 == source.sha256
        assert Core(limits).rest(limits.home)[1] is None

    def test_right_angles_are_all_rotations_about_them(self) -> None:
        assert len({tuple(turn.ravel()) for turn in RIGHT_ANGLES}) == 24
        for turn in RIGHT_ANGLES:
            assert np.array_equal(turn @ turn.T, np.eye(3))
            assert math.isclose(float(np.linalg.det(turn)), 1.0)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_both_readers_accept_every_volume(self, shape: str) -> None:
        document = json.loads(find("xarm6").raw)
        rng = np.random.default_rng(0)
        places = rng.normal(size=(50, 3))
        document["volumes"] = [
            random_volume(rng, f"v{i}", shape, places, 1.0, "link1") for i in range(20)
        ]
        assert len(read_robot(json.dumps(document).encode()).volumes) == 20


class TestPlan:
    def test_every_shipped_robot_at_every_period(self) -> None:
        plan = plan_matrix(seed=0, steps=1000, random_robots=5, shipped=True, zero_margins=False)
        assert sum(cell.steps for cell in plan.cells) == 1000
        for name in shipped_names():
            cells = [cell for cell in plan.cells if cell.robot == name]
            found = Counter((cell.period_ms, cell.is_uncertain) for cell in cells)
            assert found[None, False] == 1
            assert all(found[ms, late] == 1 for ms in PERIODS_MS for late in (False, True))
            assert found.total() == 1 + 2 * len(PERIODS_MS)
        assert [cell.number for cell in plan.cells if not cell.robot] == list(range(5))

    @pytest.mark.parametrize("name", shipped_names())
    def test_a_shipped_robot_is_feasible_at_every_period(self, name: str) -> None:
        plan = plan_matrix(seed=0, steps=1, random_robots=0, shipped=True, zero_margins=False)
        for cell in plan.cells:
            if cell.robot != name or cell.period_ms not in (None, min(PERIODS_MS), max(PERIODS_MS)):
                continue
            source = source_of(plan, cell)  # vetted there where it is uncertain
            robot = read_robot(source.raw)
            if not cell.is_uncertain:
                vetted(source.raw, Path(source.path))
            if cell.period_ms is None:
                assert source == find(name)
            else:
                assert robot.period_s == cell.period_ms / 1e3
            assert bool(robot.bounds["position_noise"].any()) is cell.is_uncertain
            assert ("latency_ticks" in robot.timing_ms) is cell.is_uncertain

    def test_another_plan_has_another_digest(self) -> None:
        plans = [small_plan(), small_plan(steps=301), small_plan(seed=1)]
        assert len({plan.sha256 for plan in plans}) == 3
        assert small_plan().sha256 == plans[0].sha256


def results(matrix: Matrix) -> list[Any]:
    return [
        {k: v for k, v in matrix.cells[i].items() if k != "seconds"} for i in sorted(matrix.cells)
    ]


class TestMatrix:
    def test_shards_together_are_the_whole(self, plan: Plan, whole: Matrix, tmp_path: Path) -> None:
        first, second = (
            run_matrix(plan, folder=tmp_path / "parts", out=tmp_path, shards=2, shard=shard)
            for shard in (0, 1)
        )
        assert sorted(first.cells) == [0, 2]
        assert results(second) == results(whole)
        assert merge(whole).document["steps"] == 300

    def test_a_run_that_was_cut_off_goes_on(
        self, plan: Plan, whole: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_cell, ran = matrix_module.run_cell, []

        def cut_off(plan: Plan, cell: Any, out: Path) -> dict[str, Any]:
            ran.append(cell.index)
            if len(ran) == 2:
                raise KeyboardInterrupt
            return run_cell(plan, cell, out)

        monkeypatch.setattr(matrix_module, "run_cell", cut_off)
        folder = tmp_path / "resumed"
        with pytest.raises(KeyboardInterrupt):
            run_matrix(plan, folder=folder, out=tmp_path)
        assert [path.name for path in folder.iterdir()] == ["cell-00000.json"]
        done: list[int] = []
        again = run_matrix(plan, folder=folder, out=tmp_path, progress=done.append)
        assert ran == [0, 1, 1, 2]
        assert done == [100, 100, 100]
        assert results(again) == results(whole)

    def test_results_of_another_plan_are_refused(self, plan: Plan, tmp_path: Path) -> None:
        path = tmp_path / "cell-00000.json"
        kind = {"kind": "checkrein/fuzz-cell", "format": 1, "cell": 0, "plan": "0" * 64}
        for document, message in (
            (kind, "another matrix"),
            ({}, "not a result"),
            ({**kind, "format": 2}, "not a result"),
        ):
            path.write_text(json.dumps(document), encoding="utf-8")
            with pytest.raises(InputError, match=message):
                run_matrix(plan, folder=tmp_path, out=tmp_path)
        path.write_text("{", encoding="utf-8")
        with pytest.raises(InputError, match="delete it"):
            run_matrix(plan, folder=tmp_path, out=tmp_path)

    def test_a_violation_in_one_cell_fails_the_matrix_and_replays(self, tmp_path: Path) -> None:
        """A filter that believes in stronger joints, on a random robot."""
        from checkrein.controller import SafetyFilter

        source = random_robot(0, 0)
        bench = open_bench(source, zero_margins=True)

        def stronger(limits: Limits) -> Limits:
            joints = [replace(j, max_jerk=1.01 * j.max_jerk) for j in limits.joints]
            return replace(limits, joints=tuple(joints))

        broken = replace(
            bench, make_filter=lambda limits, scorer: SafetyFilter(stronger(limits), scorer=scorer)
        )
        campaign = run_campaign(source, steps=2000, seed=0, bench=broken)
        assert campaign.failed is not None
        (found,) = [f for f in campaign.failed.found if f.violation.kind == "joint_jerk"]
        path = tmp_path / "found.json"
        write_violation(path, found, source=source, seed=0, shard=0, zero_margins=True)
        document = read_violation(path)
        inside = embedded(path, document)
        assert inside.raw == source.raw
        assert replay(broken, document).again
        assert replay(open_bench(inside, zero_margins=True), document).violations == []
        files = write_violations(tmp_path, campaign, source=source, zero_margins=True)
        assert len(files) == len(campaign.failed.found)
        with pytest.raises(typer.Exit) as stop:  # the file is enough; the real filter is clean
            command(replay_file=path)
        assert stop.value.exit_code == 0
        for wrong in ({**document, "frozen": "{}"}, {"limits": "x"}):
            with pytest.raises(InputError, match="holds"):
                embedded(path, wrong)


def cell(name: str, **changes: Any) -> dict[str, Any]:
    campaign = Campaign(0, steps=10_000, moving=9000, seconds=1.0)
    from checkrein.scripts.fuzz.campaign import COUNTS, TALLIES

    return {
        "error": None,
        "name": name,
        "seconds": 1.0,
        "processes": 2,
        "required": ["joint_effort"],
        "unreachable": 0,
        "files": [],
        "margins": {"joint_effort": 0.1},
        **{key: getattr(campaign, key) for key in COUNTS},
        **{key: {} for key in TALLIES},
        **changes,
    }


class TestMerge:
    def merged(self, plan: Plan, *cells: dict[str, Any]) -> Any:
        return merge(Matrix(plan, dict(enumerate(cells)), 1.0, 1))

    def test_vacuity_is_judged_over_all_cells_together(self, plan: Plan) -> None:
        idle = cell("idle", moving=2000)
        bound = cell("bound", binds={"joint_effort": 4}, margins={"joint_effort": 0.01})
        together = self.merged(plan, idle, bound)
        assert together.failures == ()
        assert together.document["passed"]
        assert together.document["closest"] == {"joint_effort": 0.01}
        assert self.merged(plan, bound, bound).document["steps"] == 20_000
        assert self.merged(plan, bound, bound).document["steps_per_s"] == 20_000
        alone = self.merged(plan, idle)
        assert "joint_effort bound 0 times" in " ".join(alone.failures)
        assert "in motion 20.0%" in " ".join(alone.failures)

    def test_what_violated_or_did_not_run_is_named(self, plan: Plan) -> None:
        good = cell("good", binds={"joint_effort": 9})
        bad = cell("bad", violations={"joint_jerk": 2}, files=["x.json"])
        summary = self.merged(plan, good, bad)
        assert summary.document["cells_violated"] == ["bad"]
        assert summary.document["violation_files"] == ["x.json"]
        assert not summary.document["passed"]
        summary = self.merged(
            plan,
            good,
            {"error": "RuntimeError: none", "name": "lost", "seconds": 1.0, "processes": 1},
        )
        assert not summary.document["passed"]
        assert summary.failures == ("not run: lost: RuntimeError: none",)


class TestCommand:
    def test_random_robots_alone(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        def run(**options: Any) -> dict[str, Any]:
            with pytest.raises(typer.Exit) as stop:  # too short to bind everything
                command(random_robots=2, steps=200, json_output=True, out=tmp_path, **options)
            assert stop.value.exit_code == 1
            document: dict[str, Any] = json.loads(capsys.readouterr().out)
            return document

        first = run(resume=tmp_path / "cells")
        again = run(resume=tmp_path / "cells")
        assert first["cells"] == first["cells_done"] == 2
        assert first["violations"] == {}
        assert {k: v for k, v in first.items() if k != "wall_s"} == {
            k: v for k, v in again.items() if k != "wall_s"
        }

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"limits": "matrix", "shards": 2, "shard": 2},
            {"limits": "xarm6", "random_robots": 3},
            {"limits": "xarm6", "resume": Path("x")},
        ],
    )
    def test_what_does_not_fit_together_is_bad_input(self, options: dict[str, Any]) -> None:
        with pytest.raises(InputError):
            command(steps=1, **options)

"""`checkrein fuzz`: finds planted defects, replays them, and fails a run that shows nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import typer

from checkrein.controller import Decision, SafetyFilter
from checkrein.limits import InputError, Limits, RobotState
from checkrein.limits.records import Array, Candidates, Command
from checkrein.scripts.fuzz import campaign as campaign_module
from checkrein.scripts.fuzz.campaign import Campaign, open_bench, run_campaign
from checkrein.scripts.fuzz.command import command
from checkrein.scripts.fuzz.doubles import ScorerDouble
from checkrein.scripts.fuzz.limits_source import find
from checkrein.scripts.fuzz.poses import TOUCHING, find_poses
from checkrein.scripts.fuzz.replay import embedded, read_violation, replay, write_violation
from checkrein.scripts.fuzz.report import required_binds, summarize
from checkrein.scripts.fuzz.shard import Bench, Found, MakeFilter
from checkrein.scripts.fuzz.streams import STREAMS, rubbish
from checkrein.scripts.fuzz.view import View
from checkrein.sim.oracle import clearances, link_clearances

SOURCE = find("franka_panda")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return open_bench(SOURCE, zero_margins=True)


def run(bench: Bench, steps: int, make_filter: MakeFilter | None = None, seed: int = 0) -> Campaign:
    chosen = bench if make_filter is None else replace(bench, make_filter=make_filter)
    return run_campaign(SOURCE, steps=steps, seed=seed, bench=chosen)


def failures(campaign: Campaign, bench: Bench) -> tuple[str, ...]:
    summary = summarize(
        campaign,
        argument="franka_panda",
        robot=bench.robot,
        poses=bench.poses,
        zero_margins=True,
        files=[],
    )
    return summary.failures


class StopOfTheTickBefore(SafetyFilter):
    """Every setpoint carries the stop that belongs to the one before it."""

    _before: Any = None

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        decision = super().step(state, proposal, now_ns=now_ns)
        stop, self._before = self._before, decision.setpoint.stop
        return replace(decision, setpoint=replace(decision.setpoint, stop=stop or self._before))


class StopThatStopsShort(SafetyFilter):
    """The stop's last segment is lost on the way."""

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        decision = super().step(state, proposal, now_ns=now_ns)
        ticks = decision.setpoint.stop.ticks.copy()
        ticks[:, -1] = 0
        stop = replace(decision.setpoint.stop, ticks=ticks)
        return replace(decision, setpoint=replace(decision.setpoint, stop=stop))


class Raises(SafetyFilter):
    """Does what the filter promises never to do."""

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        decision = super().step(state, proposal, now_ns=now_ns)
        if np.abs(decision.setpoint.dq).max() > 0.5:
            raise ZeroDivisionError("planted")
        return decision


class Motionless(SafetyFilter):
    """Drops every proposal."""

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        return super().step(state, None, now_ns=now_ns)


class Forgetful(SafetyFilter):
    """Takes every command for a new one: replayed ones are accepted."""

    _count = 0

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        self._count += 1
        if isinstance(proposal, Command):
            proposal = replace(proposal, seq=proposal.seq * 10**6 + self._count)
        decision = super().step(state, proposal, now_ns=now_ns)
        seq = decision.command_seq
        return decision if seq is None else replace(decision, command_seq=seq // 10**6)


class Unrebased(SafetyFilter):
    """Does not hear what the robot executed: after lost frames it goes on from elsewhere."""

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        return super().step(replace(state, executed=None), proposal, now_ns=now_ns)


class DeafScorer(ScorerDouble):
    """The veto is dropped: the double says no, the filter hears yes."""

    def __init__(self, double: ScorerDouble) -> None:
        self._double = double
        self.sha256, self.threshold = double.sha256, double.threshold

    def risk(
        self,
        start: Array,
        mode: int,
        rows: Array,
        row_period_s: float,
        anchor: Array,
        elapsed_s: float,
    ) -> float:
        with contextlib.suppress(RuntimeError):
            self._double.risk(start, mode, rows, row_period_s, anchor, elapsed_s)
        return 0.0


def without_veto(limits: Limits, scorer: ScorerDouble | None) -> SafetyFilter:
    return SafetyFilter(limits, scorer=None if scorer is None else DeafScorer(scorer))


def believing(change: Callable[[Limits], Limits]) -> MakeFilter:
    """A filter that believes in other limits than those declared."""
    return lambda limits, scorer: SafetyFilter(change(limits), scorer=scorer)


def stronger(limits: Limits, **factors: float) -> Limits:
    joints = tuple(
        replace(joint, **{name: getattr(joint, name) * by for name, by in factors.items()})
        for joint in limits.joints
    )
    return replace(limits, joints=joints)


PLANTED: dict[str, tuple[str, MakeFilter]] = {
    "the stop of the tick before": (
        "stop_start",
        lambda limits, scorer: StopOfTheTickBefore(limits, scorer=scorer),
    ),
    "a stop that does not rest": (
        "stop_rest",
        lambda limits, scorer: StopThatStopsShort(limits, scorer=scorer),
    ),
    "an exception": ("exception", lambda limits, scorer: Raises(limits, scorer=scorer)),
    "replayed commands": (
        "rubbish_accepted",
        lambda limits, scorer: Forgetful(limits, scorer=scorer),
    ),
    "lost frames ignored": (
        "continuity",
        lambda limits, scorer: Unrebased(limits, scorer=scorer),
    ),
    "the veto dropped": ("vetoed_executed", without_veto),
    "links left out": (
        "workspace",
        believing(lambda limits: replace(limits, capsules=limits.capsules[:3])),
    ),
    "a volume left out": (
        "workspace",
        believing(lambda limits: replace(limits, volumes=limits.volumes[1:])),
    ),
    "links that may touch": (
        "self_collision",
        believing(lambda limits: replace(limits, self_collision=None)),
    ),
    "velocity": ("joint_velocity", believing(lambda limits: stronger(limits, max_velocity=1.001))),
    "acceleration": (
        "joint_acceleration",
        believing(lambda limits: stronger(limits, max_acceleration=1.001)),
    ),
    "jerk": ("joint_jerk", believing(lambda limits: stronger(limits, max_jerk=1.001))),
    "position": (
        "joint_position",
        believing(lambda limits: stronger(limits, max_position=1.001, min_position=1.001)),
    ),
    "effort": ("joint_effort", believing(lambda limits: stronger(limits, max_effort=3.0))),
    "tool speed": (
        "tcp_speed",
        believing(
            lambda limits: replace(limits, tcp=replace(limits.tcp, max_trans_vel=1.05)),
        ),
    ),
    "tool rotation": (
        "tcp_rotational_speed",
        believing(lambda limits: replace(limits, tcp=replace(limits.tcp, max_rot_vel=2.3))),
    ),
    "force": (
        "contact_force",
        believing(lambda limits: replace(limits, tcp=replace(limits.tcp, max_force=1e9))),
    ),
    "other limits": ("limits_identity", believing(lambda limits: replace(limits, sha256="0" * 64))),
}


def found_by(campaign: Campaign) -> dict[str, Found]:
    """What the shard that failed found, by kind; a defect may show in more than one way."""
    failed = campaign.failed
    return {} if failed is None else {item.violation.kind: item for item in failed.found}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_found_and_replays(name: str, bench: Bench, tmp_path: Path) -> None:
    kind, make_filter = PLANTED[name]
    # 0.1 % of a velocity shows in few ticks: which shard has one is a matter of the seed.
    campaigns = (run(bench, 20_000, make_filter, seed=seed) for seed in range(3))
    campaign, found = next(
        (campaign, kinds) for campaign in campaigns if kind in (kinds := found_by(campaign))
    )
    assert failures(campaign, bench)
    path = tmp_path / "violation.json"
    write_violation(path, found[kind], source=SOURCE, seed=0, shard=0, zero_margins=True)
    document = read_violation(path)
    assert embedded(path, document).raw == SOURCE.raw
    assert "NaN" not in path.read_text(encoding="utf-8")
    broken = replace(bench, make_filter=make_filter)
    assert replay(broken, document).again
    assert replay(bench, document).violations == []


def test_the_filter_passes_and_the_same_seed_is_the_same_run(bench: Bench) -> None:
    first, again, other = run(bench, 1500), run(bench, 1500), run(bench, 1500, seed=1)
    assert first.violations == {}
    assert (first.binds, first.outcomes) == (again.binds, again.outcomes)
    assert first.binds != other.binds
    assert first.forks > 0.01 * first.steps


def test_states_are_as_late_and_as_noisy_as_declared(bench: Bench) -> None:
    """A filter that knows it is not stopped by it; one that does not is, all the time."""
    noise, latency = np.full(7, 0.002), 4
    bounds = {**bench.robot.bounds, "position_noise": noise}
    timing_ms = {**bench.robot.timing_ms, "latency_ticks": float(latency)}
    joints = tuple(replace(joint, position_noise=0.002) for joint in bench.limits.joints)
    timing = replace(bench.limits.timing, latency_ticks=latency)
    told = replace(
        bench,
        robot=replace(bench.robot, bounds=bounds, timing_ms=timing_ms),
        limits=replace(bench.limits, joints=joints, timing=timing),
    )
    campaign = run(told, 2000)
    assert campaign.violations == {}
    ignorant = run(told, 2000, lambda _, scorer: SafetyFilter(bench.limits, scorer=scorer))
    assert ignorant.binds["tracking_error"] > 10 * campaign.binds["tracking_error"] + 10


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_module, "SHARD_STEPS", 300)
    one, two = (run_campaign(SOURCE, steps=900, seed=3, processes=count) for count in (1, 2))
    assert (one.binds, one.outcomes, one.streams) == (two.binds, two.outcomes, two.streams)
    assert one.steps == two.steps == 900


def test_a_run_that_shows_nothing_fails(bench: Bench) -> None:
    campaign = run(bench, 1000, lambda limits, scorer: Motionless(limits, scorer=scorer))
    assert campaign.violations == {}
    reasons = " ".join(failures(campaign, bench))
    assert "vacuous: in motion 0.0%" in reasons
    required, unreachable = required_binds(bench.robot, bench.poses)
    assert unreachable == ()
    for name in required:
        if name != "contact_force":
            assert f"vacuous: {name} bound 0 times" in reasons


def test_every_volume_has_poses_inside_and_beside(bench: Bench) -> None:
    poses = find_poses(bench.robot)
    for volume in bench.robot.volumes:
        values, names = clearances(bench.robot, poses.pressed[volume.name])
        columns = [i for i, name in enumerate(names) if name.endswith(f"/{volume.name}")]
        assert (values[:, columns].min(axis=1) < 0.0).all()
        assert clearances(bench.robot, poses.beside[volume.name])[0].min() > 0.0
    assert (link_clearances(bench.robot, poses.pressed[TOUCHING])[0].min(axis=1) < 0.0).all()
    assert link_clearances(bench.robot, poses.beside[TOUCHING])[0].min() > 0.0


@pytest.mark.parametrize("stream", [stream for stream, _ in STREAMS])
def test_a_stream_ends_and_repeats_from_its_seed(
    stream: Callable[[View], Any], bench: Bench
) -> None:
    def play() -> list[Any]:
        view = View(bench.robot, bench.poses, np.random.default_rng(5))
        view.q = np.array(bench.robot.home)
        sent = list(stream(view))
        rows = [c if isinstance(c, list | tuple) else [c] for c in sent]
        return [None if c is None else (c.mode, c.values.tolist()) for row in rows for c in row]

    first, again = play(), play()
    assert 0 < len(first) < 5000
    assert repr(first) == repr(again)


def test_rubbish_is_marked(bench: Bench) -> None:
    view = View(bench.robot, bench.poses, np.random.default_rng(0))
    view.now_ns = 10**10
    for _ in range(200):
        offer = rubbish(view)
        assert offer == () or any(offer is item for item in view.rubbish)


class TestCommand:
    def test_a_short_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        junit = tmp_path / "junit.xml"
        with pytest.raises(typer.Exit) as stop:  # too short to bind everything
            command("franka_panda", steps=300, json_output=True, junit=junit, out=tmp_path)
        assert stop.value.exit_code == 1
        summary = json.loads(capsys.readouterr().out)
        assert summary["steps"] == 300
        assert summary["violations"] == {}
        assert summary["vacuous"]
        suite = ElementTree.parse(junit).getroot()
        failed = [case.get("name") for case in suite if case.find("failure") is not None]
        assert failed == ["not vacuous"]

    @pytest.mark.parametrize("name", ["no_such_robot", "limits.yaml", "absent.json"])
    def test_unknown_limits_are_bad_input(self, name: str) -> None:
        with pytest.raises(InputError):
            command(name, steps=1)

    def test_a_replay_of_something_else_is_bad_input(self, tmp_path: Path, bench: Bench) -> None:
        path = tmp_path / "other.json"
        for text in ("not json", "{}", '{"kind": "checkrein/fuzz-violation", "format": 2}'):
            path.write_text(text, encoding="utf-8")
            with pytest.raises(InputError):
                command("franka_panda", replay_file=path)
        with pytest.raises(InputError, match="made with limits"):
            replay(bench, {"limits_sha256": "0" * 64})

    @pytest.mark.parametrize("option", ["steps", "seed", "changes", "gripper", "out"])
    def test_a_replay_refuses_what_it_would_ignore(self, option: str, tmp_path: Path) -> None:
        values: dict[str, Any] = {"steps": 7, "seed": 7, "out": tmp_path}
        with pytest.raises(InputError, match="--replay: takes LIMITS and --json"):
            command(
                "franka_panda",
                replay_file=tmp_path / "any.json",
                **{option: values.get(option, True)},
            )

"""`checkrein bench --peers`: contestants, their verdicts, and what is said of those not there.

No peer needs to be installed: fakes go through the same code.
"""

from __future__ import annotations

import json
import tomllib
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.robots import panda

from checkrein.limits.errors import InputError
from checkrein.limits.records import Array, Command
from checkrein.scripts.bench import command as command_module
from checkrein.scripts.bench import growth as growth_module
from checkrein.scripts.bench import peers as peers_module
from checkrein.scripts.bench.comparison import Compared, oracle_robot, quietest
from checkrein.scripts.bench.contest import Contestant, compete
from checkrein.scripts.bench.growth import growth
from checkrein.scripts.bench.measure import without_classifier
from checkrein.scripts.bench.peers import MISSING, Peer, chosen
from checkrein.scripts.bench.plots import write_plots
from checkrein.scripts.bench.streams import STREAMS
from checkrein.scripts.bench.verdict import KINDS, Verdict, judge
from checkrein.scripts.bench.wanted import CONTESTS, wanted_velocities
from checkrein.scripts.cli import main

ROOT = Path(__file__).resolve().parents[2]
LIMITS = panda()
HOME, PERIOD_S = np.array(LIMITS.home), LIMITS.period_s
ROBOT = oracle_robot("franka_panda")
TOP = ROBOT.bounds["max_velocity"]
HEADLINE = {"p50_us", "cpu_p99_us", "violations", "let_through", "direction_deg", "nan_command"}


class Fake:
    """Answers what it is told to, of the kind that it is told to be."""

    def __init__(self, answers: Any, decide: Any) -> None:
        self.answers = answers
        self._decide = decide

    def decide(self, q: Array, dq: Array, ddq: Array, wanted: Array, /) -> Any:
        return self._decide(q, dq, ddq, wanted)


def obedient() -> Contestant:
    return Fake("velocity", lambda q, dq, ddq, wanted: wanted)


def verdict(contestant: Contestant, wanted: Array) -> Verdict:
    return judge(ROBOT, compete(contestant, HOME, wanted, PERIOD_S))


def steady(speed: float, ticks: int = 20) -> Array:
    """Every joint at a share of its speed."""
    return np.tile(speed * TOP, (ticks, 1))


@pytest.mark.parametrize("contest", CONTESTS)
def test_all_contestants_get_the_same_finite_commands(contest: str) -> None:
    one = wanted_velocities(LIMITS, contest, steps=700, seed=4)
    assert one.shape == (700, 7)
    assert np.isfinite(one).all()
    assert np.abs(one).max() > 0.0
    assert one.tobytes() == wanted_velocities(LIMITS, contest, steps=700, seed=4).tobytes()
    assert one.tobytes() != wanted_velocities(LIMITS, contest, steps=700, seed=5).tobytes()
    beyond = bool((np.abs(one) > TOP * (1.0 + 1e-9)).any())
    assert beyond == (contest == "attacked")


def test_bad_commands_are_held_back_and_silence_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = round(LIMITS.timing.command_timeout_ms * 1e-3 / PERIOD_S)
    fine = np.full(7, 0.25)

    def stream(plant: Any) -> Any:
        yield plant.command("joint_velocity", fine)
        yield plant.command("joint_velocity", np.full(7, np.nan))
        yield plant.command("joint_velocity", np.full(8, 9.0))
        yield plant.command("joint_velocity", np.full(7, 9.0), age_ns=10**10)
        yield Command("joint_velocity", np.full(7, 9.0), 1, plant.now_ns)
        yield from [None] * (hold + 5)
        yield plant.command("joint_delta", np.full((2, 7), 0.001), period_ms=2.0)
        yield None
        yield plant.command("joint_position", HOME + 0.004)

    monkeypatch.setitem(STREAMS, "attacked", stream)
    found = wanted_velocities(LIMITS, "attacked", steps=hold + 13, seed=0)[:, 0]
    assert found[:hold].tolist() == [0.25] * hold
    assert not found[hold : hold + 10].any()
    np.testing.assert_allclose(found[-3:], [0.5, 0.5, 1.0])


def test_a_filter_that_obeys_lets_everything_through_and_steps() -> None:
    found = verdict(obedient(), steady(0.5))
    assert found.let_through == pytest.approx(1.0)
    assert found.direction_deg == pytest.approx(0.0, abs=1e-6)
    # 20 ticks of one velocity: no step is seen inside; from -0.5 to 0.5 of it one is.
    assert [found.violations[kind] for kind in KINDS[:4]] == [0, 0, 0, 0]
    both = np.concatenate([steady(0.5), steady(-0.5)])
    stepped = verdict(obedient(), both)
    assert stepped.violations["joint_acceleration"] >= 1
    assert stepped.violations["joint_jerk"] >= 1
    assert stepped.worst["joint_acceleration"] > 100.0
    assert stepped.violations["joint_velocity"] == 0
    assert verdict(obedient(), steady(1.5)).violations["joint_velocity"] == 20


def test_the_other_way_is_180_degrees_and_less_than_nothing() -> None:
    found = verdict(Fake("velocity", lambda q, dq, ddq, wanted: -wanted), steady(0.2))
    assert found.direction_deg == pytest.approx(180.0)
    assert found.let_through == pytest.approx(-1.0)
    still = verdict(Fake("velocity", lambda q, dq, ddq, wanted: 0.0 * wanted), steady(0.2))
    assert (still.direction_deg, still.let_through) == (None, 0.0)
    assert verdict(obedient(), np.zeros((5, 7))).let_through is None


@pytest.mark.parametrize("answers", ["ramp", "acceleration", "state"])
def test_each_kind_of_answer_is_executed_as_it_is_meant(answers: str) -> None:
    push = 0.2 * ROBOT.bounds["max_acceleration"]

    def decide(q: Array, dq: Array, ddq: Array, wanted: Array) -> Any:
        if answers != "state":
            return push
        return q + dq * PERIOD_S + push * PERIOD_S**2 / 2.0, dq + push * PERIOD_S, push

    run = compete(Fake(answers, decide), HOME, steady(0.1, 10), PERIOD_S)
    lost = PERIOD_S / 2.0 if answers == "ramp" else 0.0  # the first tick ramps up to it
    np.testing.assert_allclose(run.motion.dq1[-1], push * (10 * PERIOD_S - lost), rtol=1e-12)
    assert judge(ROBOT, run).violations["joint_acceleration"] == 0


def test_no_answer_is_counted_and_the_robot_stands() -> None:
    def decide(q: Array, dq: Array, ddq: Array, wanted: Array) -> Array:
        if wanted[0] > 0.3:
            raise ArithmeticError("no solution\nin two lines")
        return wanted * (np.nan if wanted[0] < 0.0 else 1.0)

    commands = np.concatenate([steady(0.1, 5), steady(0.5, 3), steady(-0.1, 2), steady(0.1, 5)])
    run = compete(Fake("velocity", decide), HOME, commands, PERIOD_S)
    assert run.no_answer == 5
    assert run.first_error == "ArithmeticError: no solution"
    assert (run.motion.q1[5:10] == run.motion.q1[4]).all()
    assert not run.motion.dq1[5:10].any()
    # Its stop is not held against it, and neither is what follows.
    assert judge(ROBOT, run).violations["joint_acceleration"] == 0


def fake_peers() -> tuple[Peer, ...]:
    def broken(limits: Any) -> Contestant:
        raise ValueError("seven joints are too many")

    covers = ("joint_velocity",)
    return (
        Peer("obedient", "no-such-distribution", ("json",), covers, lambda limits: obedient()),
        Peer("absent", "no-such-distribution", ("no_such_module",), covers, broken),
        Peer("broken", "no-such-distribution", ("json",), covers, broken),
    )


def test_peers_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_module, "PEERS", fake_peers())
    assert [peer.name for peer in chosen(None)] == ["obedient", "broken"]
    assert [peer.name for peer in chosen("all")] == ["obedient", "absent", "broken"]
    assert chosen("none") == ()
    assert [peer.name for peer in chosen("absent, absent")] == ["absent"]
    for wrong in ("klimit", "", ","):
        with pytest.raises(InputError, match="obedient, absent, broken"):
            chosen(wrong)


def test_each_peer_is_in_the_extra_and_pinned() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extra = tomllib.load(file)["project"]["optional-dependencies"]["bench"]
    declared = {line.partition(">=")[0] for line in extra}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    assert {peer.distribution for peer in peers_module.PEERS} <= declared <= pinned
    assert all(set(peer.covers) <= set(KINDS) for peer in peers_module.PEERS)


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(peers_module, "PEERS", fake_peers())
    monkeypatch.setattr(
        command_module, "arming", lambda limits, is_cold: {"import_s": 0.5, "compile_s": 1.0}
    )
    monkeypatch.setattr(command_module, "load_limits", lambda name: LIMITS)
    return main(["bench", "--steps", "40", "--peer-steps", "120", *arguments])


def test_the_json_has_peers_and_what_was_there_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command(monkeypatch, "--json", "--peers", "all", "--plots", str(tmp_path)) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["ours"]) == {"nominal", "chunked", "attacked"}
    assert set(document["peers"]) == {"obedient", "absent", "broken"}
    assert set(document["comparison"]) == {"ours", "ours_joints"}
    for one in (*document["comparison"].values(), document["peers"]["obedient"]):
        assert set(one) >= HEADLINE
        assert set(one["violations"]) == set(KINDS)
        assert set(one["streams"]) == set(CONTESTS)
    ours, fake = document["comparison"]["ours"], document["peers"]["obedient"]
    assert sum(ours["violations"].values()) == 0
    assert fake["violations"]["joint_jerk"] > 0
    assert fake["p50_over_ours"] > 0.0
    assert (ours["nan_command"], fake["nan_command"]) == ("finite answer", "NaN answer")
    assert document["peers"]["absent"] == {"missing": MISSING}
    assert "seven joints are too many" in document["peers"]["broken"]["missing"]
    assert document["not_installed"] == ["absent"]
    assert (document["peer_steps"], document["growth"]) == (120, None)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == ["bench_latency.svg", "bench_let_through.svg"]
    for path in tmp_path.iterdir():
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert "obedient" in path.read_text(encoding="utf-8")
        assert "absent" not in path.read_text(encoding="utf-8")


def test_of_each_contest_the_quietest_round_counts() -> None:
    """The machine was busy in the first round, and for one contest of the last."""
    found = verdict(obedient(), steady(0.5))
    rounds = [
        Compared(
            "sleepy", KINDS, None,
            {name: replace(found, wall_us={**found.wall_us, "p50": p50})
             for name, p50 in zip(CONTESTS, medians, strict=True)},
        )
        for medians in ((30.0, 40.0, 50.0), (10.0, 22.0, 21.0), (11.0, 20.0, 60.0))
    ]  # fmt: skip
    best = quietest(rounds)
    assert [best.verdicts[name].wall_us["p50"] for name in CONTESTS] == [10.0, 20.0, 21.0]
    assert quietest(rounds[:1]) == rounds[0]
    gone = Compared("sleepy", KINDS, None, {}, missing=MISSING)
    assert quietest([*rounds, gone]) == gone


def test_the_table_says_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verdict(obedient(), steady(0.5))
    ran = Compared("ours_joints", KINDS, None, dict.fromkeys(CONTESTS, found))
    monkeypatch.setattr(command_module, "compare", lambda *given, **named: [ran])
    assert run_command(monkeypatch) == 0
    text = capsys.readouterr().out
    assert f"absent: {MISSING}" in text
    assert "ours_joints" in text
    assert "…" not in text


def test_none_compares_nothing_and_an_unknown_peer_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, "--peers", "none", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["peers"], document["comparison"]) == ({}, {})
    assert run_command(monkeypatch, "--peers", "klimit") == 2
    assert "obedient" in capsys.readouterr().err


class FakeBatch:
    """As fast as a BatchFilter that decides nothing."""

    def __init__(self, limits: Any, count: int) -> None:
        self.count = count

    def arm(self, q: Array, dq: Array, *, now_ns: int) -> None:
        assert q.shape == dq.shape == (self.count, 7)

    def step(self, q: Array, dq: Array, values: Array, *, now_ns: int) -> Any:
        self.q, self.dq = q, dq
        return self


@pytest.mark.slow
def test_growth_measures_sizes_and_says_which_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import checkrein.controller as controller

    bare = without_classifier(LIMITS)
    monkeypatch.setattr(controller, "BatchFilter", FakeBatch, raising=False)
    grown = growth(
        bare, ROBOT, steps=120, seed=0, joints=(2, 9), spheres=(3, 30), batches=(2, 8), rounds=2
    )
    assert all(one["index_ms"] > 0.0 for one in grown["points"].values())
    every = (("joints", {"2", "9"}), ("volumes", {"3", "30"}), ("points", {"3", "30"}))
    for key, sizes in every:
        assert set(grown[key]) == sizes
        for one in grown[key].values():
            assert one["nominal"]["pass_share"] >= 0.9
            assert one["attacked"]["cpu_p99_us"] >= 0.0
    for stream in ("nominal", "attacked"):
        rates = grown["batch"]["8"][f"rounds_{stream}_per_s"]
        assert len(rates) == 2
        assert grown["batch"]["8"][f"{stream}_per_s"] == max(rates) >= min(rates) > 0
    files = write_plots({"growth": grown}, tmp_path / "new")
    drawn = [path.stem.removeprefix("bench_growth_") for path in files]
    assert drawn == ["joints", "volumes", "points"]
    assert growth_module.growth_table(grown).row_count == 8

    def too_large() -> Any:
        raise ValueError("at most 64 joints")

    assert "at most 64" in growth_module._measured(too_large, 10, 0)["failed"]


def test_without_a_batch_filter_no_rate_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import checkrein.controller as controller

    monkeypatch.delattr(controller, "BatchFilter", raising=False)
    grown = growth(LIMITS, ROBOT, steps=10, seed=0, joints=(), spheres=(), batches=(1,))
    assert grown == {"joints": {}, "volumes": {}, "points": {}, "batch": None}

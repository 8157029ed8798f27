"""`checkrein bench`: what it reports, and that its streams are what they say. No test is timed."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.robots import panda, slider

from checkrein.controller import Outcome, SafetyFilter
from checkrein.limits import Command, LimitsFileError, load_limits
from checkrein.scripts.bench import command as command_module
from checkrein.scripts.bench import measure as measure_module
from checkrein.scripts.bench.measure import machine, measure, without_classifier
from checkrein.scripts.bench.streams import STREAMS, Plant
from checkrein.scripts.cli import main

TIMES = {"p50_us", "p99_us", "p999_us", "mean_us", "max_us"}
TIMES |= {f"cpu_{name}" for name in TIMES}


def run(stream: str, steps: int) -> tuple[list[Any], list[Any]]:
    """(proposals, decisions) of a stream's first ticks."""
    limits = without_classifier(load_limits("franka_panda"))
    guard, plant = SafetyFilter(limits), Plant(limits, 3)
    guard.arm(plant.state(), now_ns=plant.now_ns)
    plant.now_ns += plant.period_ns
    proposals, decisions = [], []
    stream_of = STREAMS[stream](plant)
    for _ in range(steps):
        proposals.append(next(stream_of))
        decisions.append(guard.step(plant.state(), proposals[-1], now_ns=plant.now_ns))
        plant.move(decisions[-1])
    return proposals, decisions


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["nominal", "chunked"])
@pytest.mark.parametrize("limits", [panda(), slider()], ids=lambda limits: limits.name)
def test_a_nominal_stream_is_let_through(stream: str, limits: Any) -> None:
    latency = measure(without_classifier(limits), stream, steps=400, seed=1)
    assert latency.pass_share >= 0.9
    assert sum(latency.outcomes.values()) == latency.steps == 400


def test_the_nominal_robot_moves() -> None:
    _, decisions = run("nominal", 400)
    assert all(np.abs(decision.setpoint.dq).max() > 0.01 for decision in decisions[50:])


def test_an_attacked_stream_clamps_refuses_and_never_latches() -> None:
    proposals, decisions = run("attacked", 3000)
    outcomes = {decision.outcome for decision in decisions}
    assert {Outcome.CLAMP, Outcome.REFUSE} <= outcomes
    assert not any(decision.stop_state.latched for decision in decisions)
    found = {finding.limit for decision in decisions for finding in decision.findings}
    wanted = {"non_finite", "wrong_length", "stale", "replayed", "command_expired"}
    wanted |= {"joint_position", "joint_velocity", "joint_acceleration", "joint_jerk"}
    assert wanted <= found
    assert None in proposals


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS)
def test_the_same_seed_gives_the_same_stream(stream: str) -> None:
    (one, ours), (two, theirs) = run(stream, 300), run(stream, 300)
    for a, b in zip(one, two, strict=True):
        assert (a is None) == (b is None)
        if isinstance(a, Command):
            assert a.values.tobytes() == b.values.tobytes()
            assert (a.mode, a.seq, a.stamp_ns) == (b.mode, b.seq, b.stamp_ns)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.setpoint.q.tobytes() == other.setpoint.q.tobytes()


def test_a_measurement_has_all_figures_in_order() -> None:
    document = measure(without_classifier(panda()), "nominal", steps=200, seed=0).document()
    assert set(document) == TIMES | {"pass_share", "outcomes", "steps"}
    for clock in ("", "cpu_"):
        times = [document[f"{clock}{name}_us"] for name in ("p50", "p99", "p999", "max")]
        assert times == sorted(times)  # type: ignore[type-var]


def test_the_collector_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    class BrokenFilter(SafetyFilter):
        def step(self, *arguments: Any, **named: Any) -> Any:
            raise ZeroDivisionError("planted")

    monkeypatch.setattr(measure_module, "SafetyFilter", BrokenFilter)
    with pytest.raises(ZeroDivisionError):
        measure(without_classifier(panda()), "nominal", steps=10, seed=0)
    assert gc.get_freeze_count() == 0


def test_the_json_has_its_stable_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def arming(limits: str, *, is_cold: bool) -> dict[str, float]:
        asked.append(is_cold)
        return {"import_s": 0.5, "compile_s": 1.0}

    monkeypatch.setattr(command_module, "arming", arming)
    monkeypatch.setattr(
        command_module, "load_limits", lambda name: without_classifier(load_limits(name))
    )
    options = ["--steps", "60", "--seed", "5", "--rounds", "3", "--peers", "none"]
    assert main(["bench", "franka_panda", "--json", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["ours"]) == {"nominal", "chunked", "attacked"}
    for kinds in document["ours"].values():
        assert kinds["with_classifier"] is None
        assert set(kinds["without_classifier"]) >= TIMES
        rounds = kinds["without_classifier"]["rounds_p50_us"]
        assert len(rounds) == 3
        assert kinds["without_classifier"]["p50_us"] == min(rounds)
    assert document["limits_sha256"] == load_limits("franka_panda").sha256
    assert (document["steps"], document["seed"], document["rounds"]) == (60, 5, 3)
    assert document["arming"] == {"warm": {"import_s": 0.5, "compile_s": 1.0}, "cold": None}
    assert set(document["machine"]) >= {"cpu", "cores", "load_1min", "is_busy"}
    assert asked == [False]


def test_the_table_says_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        command_module, "arming", lambda limits, is_cold: {"import_s": 0.5, "compile_s": 60.0}
    )
    busy = replace(machine(), load_1min=64.0)
    monkeypatch.setattr(command_module, "machine", lambda: busy)
    monkeypatch.setattr(
        command_module, "load_limits", lambda name: without_classifier(load_limits(name))
    )
    assert main(["bench", "--steps", "60", "--cold", "--peers", "none"]) == 0
    text = capsys.readouterr().out
    for word in ("nominal", "chunked", "attacked", "p99.9", "PASS", "cold", "left out"):
        assert word in text
    assert "Others are using this machine" in text


def test_unknown_limits_are_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "no_such_robot", "--json"]) == 2
    assert "no_such_robot" in capsys.readouterr().err
    with pytest.raises(LimitsFileError):
        load_limits("no_such_robot")


def test_arming_is_measured_in_a_process_of_its_own() -> None:
    from checkrein.scripts.bench.arming import arming

    measured = arming("franka_panda", is_cold=False)
    assert set(measured) == {"import_s", "compile_s"}
    assert all(value > 0.0 for value in measured.values())
    with pytest.raises(RuntimeError, match="no_such_robot"):
        arming("no_such_robot", is_cold=False)

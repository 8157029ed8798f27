"""`checkrein fuzz --changes`: limits tightened at random find planted defects, and pass without."""

from __future__ import annotations

import json

import pytest

from checkrein.controller import SafetyFilter
from checkrein.limits import InputError, Limits
from checkrein.scripts.cli import main
from checkrein.scripts.fuzz.changing import Changing, run_changing
from checkrein.scripts.fuzz.limits_source import find

SOURCE = find("xarm6")


def run(steps: int = 1500, seed: int = 0) -> Changing:
    return run_changing(SOURCE, steps=steps, seed=seed)


@pytest.mark.parametrize(("robot", "seed"), [("xarm6", "0"), ("franka_panda", "1")])
def test_the_filter_passes_and_the_run_shows_something(
    robot: str, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fuzz", robot, "--changes", "--steps", "1500", "--seed", seed, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"]
    assert document["steps"] == 1500
    assert document["changes"] >= 5
    assert document["interrupted"] > 20
    assert document["recovering"] > 20
    assert document["stops"] > 10
    assert document["outcomes"]["clamp"] > 500


def test_limits_are_named() -> None:
    for argument in (["matrix"], []):
        assert main(["fuzz", *argument, "--changes"]) == 2
    with pytest.raises(InputError):
        find("nobody")


@pytest.mark.parametrize(
    "options",
    [["--gripper"], ["--obstacles"], ["--zero-margins"], ["--shards", "2"], ["--out", "elsewhere"]],
)
def test_options_that_it_would_ignore_are_refused(options: list[str]) -> None:
    assert main(["fuzz", "xarm6", "--changes", "--steps", "10", *options]) == 2


def test_a_filter_that_goes_on_under_the_limits_of_before_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deaf(self: SafetyFilter, limits: Limits) -> None:
        """Nothing."""

    monkeypatch.setattr(SafetyFilter, "tighten", deaf)
    found = run()
    assert not found.document["passed"]
    assert any(item.startswith("in force: joint_acceleration") for item in found.violations)
    assert "vacuous: interrupted is 0" in found.failures


def test_a_filter_that_does_not_certify_the_stored_stop_again_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It considers what is new at once: the ticks of the old stop count as its own."""
    from checkrein.limits.core import Core

    monkeypatch.setattr(Core, "recertify", lambda *_, **__: None)
    found = run()
    assert not found.document["passed"]
    assert any("in force" in item for item in found.violations)


@pytest.mark.slow
def test_a_way_back_that_gets_worse_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from checkrein.controller import recovery

    monkeypatch.setattr(recovery, "ADDED_M", 0.05)
    monkeypatch.setattr("checkrein.controller.decide.shrinks", lambda *_: True)
    # Few runs of this length have a way back at all.
    found = (item for seed in range(8) for item in run(seed=seed).violations)
    assert any(item.startswith("way back: ") for item in found)

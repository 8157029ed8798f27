"""The command line: lazy commands, exit codes, errors that name the way out."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib import import_module

import pytest
import typer

from checkrein.limits.errors import InputError
from checkrein.scripts import cli


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command `probe` whose behaviour the test decides; the only one besides `group`."""
    module = types.ModuleType("checkrein.scripts.probe")
    module.__spec__ = types.SimpleNamespace(name=module.__name__)  # type: ignore[assignment]
    group = types.ModuleType("checkrein.scripts.group")
    group.__spec__ = types.SimpleNamespace(name=group.__name__)  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, group.__name__, group)
    commands = (
        cli.CommandModule("probe", ".probe", "A probe."),
        cli.CommandModule("group", ".group", "A group."),
        cli.CommandModule("absent", ".absent_folder.command", "Not in this release."),
    )
    monkeypatch.setattr(cli, "COMMANDS", commands)
    return module


def test_help_lists_what_exists_and_exits_0(
    planted: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "A probe." in shown
    assert "absent" not in shown


def test_unknown_command_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["no-such-command"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no-such-command" in captured.err


def test_command_gets_its_options(planted: types.ModuleType) -> None:
    seen: list[int] = []

    def command(seed: int = 0) -> None:
        seen.append(seed)

    planted.command = command  # type: ignore[attr-defined]
    assert cli.main(["probe", "--seed", "7"]) == 0
    assert seen == [7]


def test_group_has_subcommands(planted: types.ModuleType) -> None:
    app = typer.Typer()
    seen: list[str] = []

    @app.callback()
    def group() -> None:
        pass

    @app.command()
    def show(name: str) -> None:
        seen.append(name)

    sys.modules["checkrein.scripts.group"].app = app  # type: ignore[attr-defined]
    assert cli.main(["group", "show", "panda"]) == 0
    assert seen == ["panda"]


def test_failed_check_exits_1(planted: types.ModuleType) -> None:
    def command() -> None:
        raise typer.Exit(1)

    planted.command = command  # type: ignore[attr-defined]
    assert cli.main(["probe"]) == 1


def test_bad_input_is_one_message_and_exits_2(
    planted: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise InputError("joint 'elbow': max_velocity is nan")

    planted.command = command  # type: ignore[attr-defined]
    assert cli.main(["probe"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: joint 'elbow': max_velocity is nan\n"


def test_missing_extra_is_named(
    planted: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'pybullet'", name="pybullet")

    planted.command = command  # type: ignore[attr-defined]
    assert cli.main(["probe"]) == 2
    assert "checkrein[sim]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("ours"), ModuleNotFoundError("typo", name="checkrein.typo")]
)
def test_our_own_bug_keeps_its_traceback(planted: types.ModuleType, error: Exception) -> None:
    def command() -> None:
        raise error

    planted.command = command  # type: ignore[attr-defined]
    with pytest.raises(type(error)):
        cli.main(["probe"])


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_each_command_shows_its_help(command: cli.CommandModule) -> None:
    module = f"checkrein.scripts{command.module}"
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] in cli.EXTRA_OF_IMPORT:
            pytest.skip(f"{command.name} needs an extra that is absent: {missing}")
        if not module.startswith(missing):
            raise
        pytest.skip(f"{command.name} is not in this release")
    run = [sys.executable, "-m", "checkrein.scripts.cli", command.name, "--help"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert command.name in done.stdout

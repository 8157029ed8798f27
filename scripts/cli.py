"""The `checkrein` command line.

Guarantees:
- Exit code 0: good; 1: a violation or a failed check; 2: bad usage or input, with one message on
  standard error that says what to do.
- A command's module is imported only when that command runs, so `checkrein --help` needs no extra.
- A missing extra is an error that names it. With `--json`, standard output carries one JSON object
  and nothing else (each command sees to it; errors go to standard error here).

A command module has either `app`, a `typer.Typer` (a group), or a function `command`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer

__all__ = ["COMMANDS", "EXIT_BAD_INPUT", "CommandModule", "main"]

EXIT_BAD_INPUT = 2


@dataclass(frozen=True, slots=True)
class CommandModule:
    """Where one command lives, and its line in `checkrein --help`."""

    name: str
    module: str  # relative to checkrein.scripts
    summary: str


COMMANDS = (
    CommandModule("demo", ".demonstration.command", "Run a hostile policy, unguarded and guarded."),
    CommandModule("limits", ".limits", "List, make, check, explain and freeze limits files."),
    CommandModule("audit", ".audit", "Verify and replay audit files."),
    CommandModule("fuzz", ".fuzz.command", "Attack the filter; an independent oracle judges."),
    CommandModule("bench", ".bench.command", "Measure the latency of one decision."),
    CommandModule("train", ".train.command", "Train what the limits files refer to."),
)

# Which extra brings which import; pyproject.toml has the distributions.
EXTRA_OF_IMPORT = {
    "coal": "authoring",
    "gymnasium": "sim",
    "hypothesis": "fuzz",
    "onnx": "train",
    "pinocchio": "authoring",
    "plotly": "ui",
    "pybullet": "sim",
    "pybullet_data": "sim",
    "scipy": "authoring",
    "torch": "train",
}


def _exists(command: CommandModule) -> bool:
    try:
        return find_spec(command.module, __package__) is not None
    except ModuleNotFoundError:  # the package that would hold it
        return False


def _listed_only(context: typer.Context) -> None:
    """Stands in `--help` for a command that was not asked for; never runs."""
    raise RuntimeError(f"command {context.info_name!r} was listed but not loaded")


def _register(app: typer.Typer, command: CommandModule, *, load: bool) -> None:
    """Add one command to `app`: its own code if it is asked for, else its line in the help."""
    if not load:
        app.command(command.name, help=command.summary)(_listed_only)
        return
    module = import_module(command.module, __package__)
    group: typer.Typer | None = getattr(module, "app", None)
    if group is not None:
        app.add_typer(group, name=command.name, help=command.summary, no_args_is_help=True)
        return
    function: Callable[..., Any] = module.command
    app.command(command.name)(function)


def _build(arguments: Sequence[str]) -> typer.Typer:
    app = typer.Typer(
        name="checkrein",
        help="Holds a learned robot policy inside declared limits.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    # With a callback, one single command stays a sub-command.
    @app.callback()
    def checkrein() -> None:
        pass

    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for command in COMMANDS:
        if _exists(command):
            _register(app, command, load=command.name == wanted)
    return app


def _message(error: Exception) -> str | None:
    """What a user can act on in `error`, or None if it is our bug and deserves its traceback."""
    from ..limits.errors import InputError, MissingExtraError  # here: it loads all of limits

    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        extra = EXTRA_OF_IMPORT.get(missing)
        if extra is None:
            return None
        return str(MissingExtraError("this command", extra, missing))
    return str(error) if isinstance(error, InputError) else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the process's exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        _build(arguments)(args=arguments, prog_name="checkrein")
    except SystemExit as stop:  # how typer ends, also when all is well
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`checkrein demo`: a hostile policy on a simulated arm, unguarded and guarded, from one seed.

Guarantees:
- Three processes a run (policy, controller, robot; two without a controller) and the audit writer;
  none is left behind on success, failure, Ctrl-C or when this process is killed.
- Exit code 0: the guarded run violated nothing; 1: it did, or a process failed; 2: bad input.
- With `--json`, standard output carries the summary and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ...limits.errors import InputError
from ..report import build_report
from .children import ChildFailedError, Children
from .controller_process import run_audit, run_controller
from .live import LiveTable
from .notes import note_sockets
from .policy_process import run_policy
from .robot_process import run_guarded_robot, run_unguarded_robot
from .settings import RUNS, Meeting, RunName, Settings, frozen_path, read_frozen
from .summary import is_good, make_summary, merge_traces, print_summary

__all__ = ["command", "run_demo"]

POLL_S = 0.1
EXIT_INTERRUPTED = 130


def command(
    seconds: Annotated[float, typer.Option(help="Length of an episode, simulated [s].")] = 60.0,
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn.")] = 0,
    episodes: Annotated[int, typer.Option(help="How often the whole script is played.")] = 1,
    gui: Annotated[
        bool, typer.Option("--gui/--headless", help="Show the guarded run in PyBullet's window.")
    ] = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Pace to this machine's clock, with deadlines.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("runs/demo"),
    limits: Annotated[
        str, typer.Option(help="A shipped robot, or a frozen limits file (.json).")
    ] = "franka_panda",
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as one JSON object on standard output.")
    ] = False,
) -> None:
    """Run a hostile policy on a simulated arm, unguarded and guarded, and compare."""
    if not (seconds > 0.0 and seconds <= 3600.0):
        raise InputError(f"--seconds: {seconds} is not within (0, 3600]")
    if not 1 <= episodes <= 1000:
        raise InputError(f"--episodes: {episodes} is not within [1, 1000]")
    if seed < 0:
        raise InputError(f"--seed: {seed} is negative")
    settings = Settings(
        frozen=frozen_path(limits),
        seed=seed,
        episodes=episodes,
        seconds=seconds,
        gui=gui,
        realtime=realtime,
        out=str(out.resolve()),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a job in the background of a shell
            signal.signal(number, _interrupt)
    console = Console(stderr=as_json)
    try:
        summary = run_demo(settings, console)
    except ChildFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted; every process has been ended", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        print(json.dumps(summary))
    else:
        print_summary(summary, console)
        console.print(f"results: {out}", soft_wrap=True)
    raise typer.Exit(0 if is_good(summary) else 1)


_interrupted = threading.Event()


def _interrupt(number: int, frame: object) -> None:
    _interrupted.set()  # what is raised within a callback, Python may lose
    raise KeyboardInterrupt


def run_demo(settings: Settings, console: Console) -> dict[str, Any]:
    """Run both runs, write everything into `settings.out`, and return the summary."""
    out = Path(settings.out)
    shutil.rmtree(out / "frames", ignore_errors=True)
    (out / "frames").mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        meetings: dict[RunName, Meeting] = {}
        for run in RUNS:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="checkrein-"))
            meetings[run] = Meeting(run, folder, os.getpid())
        children = stack.enter_context(Children(settings))
        joints = len(read_frozen(settings.frozen)["joints"])
        with LiveTable(meetings, joints, console) as live:
            # One run after the other where a run must not be disturbed; else one on each core.
            together = not settings.realtime and (os.cpu_count() or 1) >= 2
            for runs in [RUNS] if together else [[run] for run in RUNS]:
                cores = _own_cores() if together else dict.fromkeys(RUNS)
                for run in runs:
                    _start(children, meetings[run], cores)
                while not children.has_ended("robot"):
                    if _interrupted.is_set():
                        raise KeyboardInterrupt
                    children.is_finished()
                    live.update()
                    time.sleep(POLL_S)
                children.finish()
        summary = make_summary(settings, meetings)
        merge_traces(settings, meetings)
    text = json.dumps(summary, indent=1, sort_keys=True, allow_nan=False)
    (out / "summary.json").write_text(text + "\n", encoding="utf-8")
    build_report(out, read_frozen(settings.frozen))
    return summary


def _own_cores() -> dict[RunName, int | None]:
    """A core for each run, where there are just two; None: let the system choose.

    In lock-step the processes of a run take turns, and to wake another core costs more than two
    that think at once bring: measured on two cores, 7 and 16 % of a tick, guarded and unguarded.
    """
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if len(cores) != len(RUNS):
        return dict.fromkeys(RUNS)
    return dict(zip(RUNS, cores, strict=True))


def _start(children: Children, meeting: Meeting, cores: Mapping[RunName, int | None]) -> None:
    core = cores[meeting.run]
    hear, tell = note_sockets()
    with hear, tell:  # each child has its own copy
        if meeting.run == "guarded":
            # The audit does not take turns with the others, and the other run ends earlier.
            children.start("audit", run_audit, meeting, core=cores["unguarded"])
            children.start("controller", run_controller, meeting, core=core)
            children.start("robot", run_guarded_robot, meeting, hear, core=core)
        else:
            children.start("robot", run_unguarded_robot, meeting, hear, core=core)
        children.start("policy", run_policy, meeting, tell, core=core)

"""`checkrein fuzz LIMITS`: attack the filter, and let the independent oracle judge.

Exit code 0: nothing found; 1: a violation, or a run that shows nothing; 2: bad input.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...limits.errors import InputError
from ...sim.oracle import read_robot
from .campaign import Campaign, open_bench, run_campaign
from .limits_source import LimitsSource, find
from .poses import find_poses
from .replay import read_violation, replay, write_violation
from .report import summarize, table, write_junit

__all__ = ["command"]

PROCESSES_MAX = 2
STEPS_FOR_PROCESSES = 20_000  # below, starting a process costs more than it saves


def command(
    limits: Annotated[str, typer.Argument(help="Shipped limits by name, or a frozen file.")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Ticks to run.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same run.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    out: Annotated[Path, typer.Option("--out", help="For violation files.")] = Path("runs/fuzz"),
    replay_file: Annotated[
        Path | None, typer.Option("--replay", help="Run a violation file again.")
    ] = None,
    zero_margins: Annotated[
        bool, typer.Option("--zero-margins", help="Without tracking errors and standoff.")
    ] = False,
) -> None:
    """Attack the filter with hostile streams; an independent oracle judges every tick."""
    source = find(limits)
    if replay_file is not None:
        raise typer.Exit(_replay(source, replay_file, json_output))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    processes = min(PROCESSES_MAX, cores) if steps >= STEPS_FOR_PROCESSES else 1
    campaign = _run(source, steps, seed, zero_margins, processes, json_output)
    files = _save(campaign, source, out, zero_margins)
    robot = read_robot(source.raw)
    summary = summarize(
        campaign,
        argument=limits,
        robot=robot,
        poses=find_poses(robot),
        zero_margins=zero_margins,
        files=files,
    )
    if junit is not None:
        write_junit(junit, summary)
    if json_output:
        print(json.dumps(summary.document, allow_nan=False))
    else:
        Console().print(table(summary))
    if not summary.document["passed"]:
        raise typer.Exit(1)


def _run(
    source: LimitsSource, steps: int, seed: int, zero_margins: bool, processes: int, quiet: bool
) -> Campaign:
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("fuzz", total=steps)
        return run_campaign(
            source,
            steps=steps,
            seed=seed,
            zero_margins=zero_margins,
            processes=processes,
            progress=lambda done: bar.advance(task, done),
        )


def _save(campaign: Campaign, source: LimitsSource, out: Path, zero_margins: bool) -> list[str]:
    """One file for the first violation of each kind."""
    shard = campaign.failed
    files: list[str] = []
    for found in [] if shard is None else shard.found:
        name = f"{campaign.seed}-{shard.index if shard else 0}-{found.violation.kind}.json"
        path = out / name
        write_violation(
            path,
            found,
            limits=source.argument,
            sha256=source.sha256,
            seed=campaign.seed,
            shard=shard.index if shard else 0,
            zero_margins=zero_margins,
        )
        files.append(str(path))
    return files


def _replay(source: LimitsSource, path: Path, json_output: bool) -> int:
    document = read_violation(path)
    zero_margins = document.get("zero_margins")
    if not isinstance(zero_margins, bool):
        raise InputError(f"--replay {path}: zero_margins is neither true nor false")
    result = replay(open_bench(source, zero_margins=zero_margins), document)
    first = [str(item) for item in result.violations[:10]]
    if json_output:
        report = {"ticks": result.ticks, "again": result.again, "violations": first}
        print(json.dumps(report))
    else:
        console = Console()
        console.print(f"{result.ticks} ticks replayed, {len(result.violations)} violation(s)")
        for line in first:
            console.print(f"  {line}")
        verdict = "the recorded violation is here again" if result.again else "not the recorded one"
        console.print(verdict if result.violations else "no violation any more")
    return 1 if result.violations else 0

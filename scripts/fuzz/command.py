"""`checkrein fuzz LIMITS`: attack the filter, and let the independent oracle judge.

`checkrein fuzz matrix` does so to every shipped robot at many periods and to random robots.

Exit code 0: nothing found; 1: a violation, or a run that shows nothing; 2: bad input.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...limits.errors import InputError
from ...sim.oracle import read_robot
from .campaign import Campaign, open_bench, run_campaign
from .changing import run_changing
from .fingers import with_gripper
from .limits_source import LimitsSource, find
from .matrix import merge, run_matrix
from .matrix_plan import plan_matrix
from .perception import with_perception
from .poses import find_poses
from .replay import embedded, read_violation, replay, write_violations
from .report import Summary, summarize, table, write_junit

__all__ = ["command"]

MATRIX = "matrix"
OUT = Path("runs/fuzz")
STEPS = 100_000
RANDOM_ROBOTS = 200  # of a matrix
PROCESSES_MAX = 2
STEPS_FOR_PROCESSES = 20_000  # below, starting a process costs more than it saves


def command(
    limits: Annotated[
        str | None,
        typer.Argument(help="Shipped limits by name, a frozen file, or 'matrix': many robots."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, help="Ticks to run; default: 100000; of a matrix: 3000 a robot."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same run.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="For violations (runs/fuzz).")] = None,
    replay_file: Annotated[
        Path | None, typer.Option("--replay", help="Run a violation file again.")
    ] = None,
    zero_margins: Annotated[
        bool, typer.Option("--zero-margins", help="Without tracking errors and standoff.")
    ] = False,
    obstacles: Annotated[
        bool,
        typer.Option("--obstacles", help="Declare perception; obstacles move about the robot."),
    ] = False,
    gripper: Annotated[
        bool, typer.Option("--gripper", help="Declare a gripper; it is attacked, too.")
    ] = False,
    random_robots: Annotated[
        int | None, typer.Option("--random-robots", min=0, help="Of a matrix; alone: only these.")
    ] = None,
    shards: Annotated[int, typer.Option("--shards", min=1, help="Parts of a matrix.")] = 1,
    shard: Annotated[int, typer.Option("--shard", min=0, help="Which part to run.")] = 0,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Keep a matrix's finished cells here.")
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Tighten the limits at random on the way.")
    ] = False,
) -> None:
    """Attack the filter with hostile streams; an independent oracle judges every tick."""
    matrix_only = random_robots is not None or resume is not None or (shards, shard) != (1, 0)
    other = zero_margins or obstacles or gripper or matrix_only or (junit or out) is not None
    if replay_file is not None:
        _require_none("--replay", "LIMITS", other or changes or steps is not None or seed != 0)
        raise typer.Exit(_replay(limits, replay_file, json_output))
    if changes:
        _require_none("--changes", "--steps, --seed", other)
        raise typer.Exit(_changing(limits, steps or STEPS, seed, json_output))
    if limits == MATRIX or (limits is None and random_robots):
        summary = _matrix(
            limits == MATRIX, random_robots, steps, seed, zero_margins, shards, shard,
            resume, out or OUT, json_output,
        )  # fmt: skip
    elif limits is None:
        raise InputError("fuzz: name limits, or 'matrix', or give --random-robots")
    elif matrix_only:
        raise InputError("--random-robots, --resume, --shards, --shard: of `checkrein fuzz matrix`")
    else:
        source = with_perception(find(limits), seed) if obstacles else find(limits)
        source = with_gripper(source, seed) if gripper else source
        summary = _single(source, steps or STEPS, seed, zero_margins, out or OUT, json_output)
    if junit is not None:
        write_junit(junit, summary)
    if json_output:
        print(json.dumps(summary.document, allow_nan=False))
    else:
        Console().print(table(summary))
    if not summary.document["passed"]:
        raise typer.Exit(1)


def _require_none(option: str, takes: str, others: bool) -> None:
    """Raise InputError for options that would be ignored."""
    if others:
        raise InputError(f"fuzz {option}: takes {takes} and --json beside it, no more")


def _changing(limits: str | None, steps: int, seed: int, json_output: bool) -> int:
    if limits is None or limits == MATRIX:
        raise InputError("fuzz --changes: name limits, e.g. checkrein fuzz xarm6 --changes")
    source = find(limits)
    if read_robot(source.raw).gripper is not None:
        raise InputError("fuzz --changes: these limits declare a gripper, which it does not drive")
    document = run_changing(source, steps=steps, seed=seed).document
    if json_output:
        print(json.dumps(document, allow_nan=False))
    else:
        for name, value in document.items():
            Console().print(f"{name}: {value}", soft_wrap=True)
    return 0 if document["passed"] else 1


def _processes(steps: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return min(PROCESSES_MAX, cores) if steps >= STEPS_FOR_PROCESSES else 1


def _matrix(
    shipped: bool,
    random_robots: int | None,
    steps: int | None,
    seed: int,
    zero_margins: bool,
    shards: int,
    shard: int,
    resume: Path | None,
    out: Path,
    quiet: bool,
) -> Summary:
    if not shard < shards:
        raise InputError(f"--shard {shard}: from 0 to {shards - 1}, with --shards {shards}")
    many = RANDOM_ROBOTS if random_robots is None else random_robots
    plan = plan_matrix(
        seed=seed, steps=steps, random_robots=many, shipped=shipped, zero_margins=zero_margins
    )
    total = sum(cell.steps for cell in plan.cells)
    with _bar(quiet) as bar, TemporaryDirectory(prefix="checkrein-") as passing:
        task = bar.add_task("fuzz", total=total)
        matrix = run_matrix(
            plan,
            folder=Path(passing) if resume is None else resume,
            out=out,
            shards=shards,
            shard=shard,
            processes=_processes(total),
            progress=lambda done: bar.advance(task, done),
        )
    return merge(matrix)


def _single(
    source: LimitsSource, steps: int, seed: int, zero_margins: bool, out: Path, quiet: bool
) -> Summary:
    campaign = _run(source, steps, seed, zero_margins, _processes(steps), quiet)
    files = write_violations(out, campaign, source=source, zero_margins=zero_margins)
    robot = read_robot(source.raw)
    return summarize(
        campaign,
        argument=source.argument,
        robot=robot,
        poses=find_poses(robot),
        zero_margins=zero_margins,
        files=files,
    )


def _bar(quiet: bool) -> Progress:
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True)


def _run(
    source: LimitsSource, steps: int, seed: int, zero_margins: bool, processes: int, quiet: bool
) -> Campaign:
    with _bar(quiet) as bar:
        task = bar.add_task("fuzz", total=steps)
        return run_campaign(
            source,
            steps=steps,
            seed=seed,
            zero_margins=zero_margins,
            processes=processes,
            progress=lambda done: bar.advance(task, done),
        )


def _replay(limits: str | None, path: Path, json_output: bool) -> int:
    document = read_violation(path)
    source = embedded(path, document) if limits is None else find(limits)
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

"""`checkrein bench LIMITS`: how long one decision takes on this machine, and beside other filters.

Exit code 0 once it has been measured, whatever comes out: what is fast enough is the reader's to
say. Bad input: 2.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ...limits import Limits, load_limits
from ...sim.oracle import Robot
from .arming import arming
from .comparison import (
    Compared,
    compare,
    comparison_document,
    comparison_table,
    joints_only,
    oracle_robot,
)
from .executed import PEER, Executed, compare_executed, executed_document, executed_table
from .growth import growth as measure_growth
from .growth import growth_table
from .measure import Latency, Machine, machine, measure, quietest, without_classifier
from .peers import MISSING, Peer, chosen, not_installed
from .plots import write_plots
from .streams import STREAMS

__all__ = ["command"]

Results = dict[str, dict[str, Latency | None]]

GROWTH_STEPS = 2_000
WITHOUT, WITH = "without_classifier", "with_classifier"


def command(
    limits: Annotated[
        str, typer.Argument(help="Shipped limits by name, or a limits file.")
    ] = "franka_panda",
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=10_000_000, help="Ticks of each stream.")
    ] = 20_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same streams.")] = 0,
    cold: Annotated[
        bool, typer.Option("--cold", help="Also compile every kernel anew; takes a minute.")
    ] = False,
    peers: Annotated[
        str | None,
        typer.Option("--peers", help="all, none, or names by comma; default: those installed."),
    ] = None,
    peer_steps: Annotated[
        int, typer.Option("--peer-steps", min=10, max=1_000_000, help="Ticks of each contest.")
    ] = 5_000,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=100, help="How often; the quietest counts.")
    ] = 1,
    growth: Annotated[
        bool, typer.Option("--growth", help="Also joints, spheres, points, batches.")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option("--plots", help="Write the figures into this folder, as SVG.")
    ] = None,
) -> None:
    """Measure the latency of one decision, beside other filters on the same commands."""
    selected = chosen(peers)
    declared = load_limits(limits)
    robot = oracle_robot(limits) if growth or peers != "none" else None
    host = machine()
    results = _measure_all(declared, steps, seed, rounds, json_output)
    compared: list[Compared] = []
    if robot is not None and peers != "none":
        compared = _compare_all(declared, robot, selected, peer_steps, seed, rounds, json_output)
    executed: list[Executed] = []
    like_us = next((one for one in selected if one.name == PEER and one.is_installed), None)
    if like_us is not None:
        joints = joints_only(declared)
        executed = compare_executed(joints, like_us.make, steps=peer_steps, seed=seed)
    grown = (
        measure_growth(declared, robot, steps=min(steps, GROWTH_STEPS), seed=seed, rounds=rounds)
        if growth and robot is not None
        else None
    )
    times = {"warm": arming(limits, is_cold=False)}
    if cold:
        times["cold"] = arming(limits, is_cold=True)
    document = _document(declared, host, steps, seed, rounds, results, times)
    document |= {**comparison_document(compared), "peer_steps": peer_steps, "growth": grown}
    document |= {"slow_down_off": executed_document(executed), "not_installed": [*not_installed()]}
    written = [] if plots is None else write_plots(document, plots)
    if json_output:
        print(json.dumps(document))
        return
    console = Console()
    console.print(_table(declared, results))
    if compared:
        console.print(comparison_table(compared))
        _print_missing(console, compared, peers)
    if executed:
        console.print(executed_table(executed))
    if grown is not None:
        console.print(growth_table(grown))
    _print_notes(console, declared, host, times)
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True, highlight=False, markup=False)


def _compare_all(
    limits: Limits,
    robot: Robot,
    peers: tuple[Peer, ...],
    steps: int,
    seed: int,
    rounds: int,
    quiet: bool,
) -> list[Compared]:
    """With the name of the one that is running, on standard error."""
    console = Console(stderr=True)
    with console.status("comparing") if not quiet else nullcontext() as status:

        def say(name: str) -> None:
            if status is not None:
                status.update(f"comparing: {name}")

        return compare(limits, robot, peers, steps=steps, seed=seed, rounds=rounds, progress=say)


def _print_missing(console: Console, compared: list[Compared], asked: str | None) -> None:
    missing = {one.name: one.missing for one in compared if one.missing is not None}
    if asked is None:
        missing |= dict.fromkeys(not_installed(), MISSING)
    for name, reason in missing.items():
        console.print(f"{name}: {reason}", soft_wrap=True, highlight=False, markup=False)


def _measure_all(limits: Limits, steps: int, seed: int, rounds: int, quiet: bool) -> Results:
    """All streams, one after the other, `rounds` times."""
    kinds: dict[str, Limits] = {WITHOUT: without_classifier(limits)}
    if limits.classifier.file is not None:
        kinds[WITH] = limits
    found: dict[tuple[str, str], list[Latency]] = {}
    columns = (TextColumn("bench"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("bench", total=steps * len(STREAMS) * len(kinds) * rounds)
        for _, stream, (name, kind) in product(range(rounds), STREAMS, kinds.items()):
            one = measure(
                kind, stream, steps=steps, seed=seed, progress=lambda done: bar.advance(task, done)
            )
            found.setdefault((stream, name), []).append(one)
    return {
        stream: {
            name: quietest(found[stream, name]) if name in kinds else None
            for name in (WITHOUT, WITH)
        }
        for stream in STREAMS
    }


def _document(
    limits: Limits,
    host: Machine,
    steps: int,
    seed: int,
    rounds: int,
    results: Results,
    times: dict[str, dict[str, float]],
) -> dict[str, Any]:
    ours = {
        stream: {name: None if one is None else one.document() for name, one in kinds.items()}
        for stream, kinds in results.items()
    }
    return {
        "format": 1,
        "limits": limits.name,
        "limits_sha256": limits.sha256,
        "classifier_sha256": limits.classifier.sha256,
        "steps": steps,
        "seed": seed,
        "rounds": rounds,
        "garbage_collector": "on, frozen before",
        "machine": {**asdict(host), "is_busy": host.is_busy},
        "ours": ours,
        "arming": {"warm": times["warm"], "cold": times.get("cold")},
    }


def _table(limits: Limits, results: Results) -> Table:
    table = Table(title=f"one decision for {limits.name} [µs]")
    table.add_column("stream", no_wrap=True)
    table.add_column("scored", no_wrap=True)
    for clock in ("wall", "CPU"):
        for name in ("p50", "p99", "p99.9"):
            table.add_column(f"{clock}\n{name}", justify="right", no_wrap=True)
    table.add_column("PASS", justify="right", no_wrap=True)
    for stream, kinds in results.items():
        for kind, one in kinds.items():
            if one is None:
                continue
            cells = [
                f"{times[name]:.{0 if name == 'p999' else 1}f}"
                for times in (one.wall_us, one.cpu_us)
                for name in ("p50", "p99", "p999")
            ]
            label = "yes" if kind == WITH else "no"
            table.add_row(stream, label, *cells, f"{one.pass_share:.0%}")
        table.add_section()
    return table


def _print_notes(
    console: Console, limits: Limits, host: Machine, times: dict[str, dict[str, float]]
) -> None:
    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    say(f"{host.cpu}, {host.cores} cores, load {host.load_1min}; {host.system}")
    say(f"Python {host.python}, numba {host.numba}, NumPy {host.numpy}; garbage collector frozen")
    if host.is_busy:
        say("Others are using this machine: read the CPU columns, and the medians.")
    if limits.classifier.file is None:
        say(f"No classifier is declared: {limits.classifier.none_reason}")
    for name, measured in times.items():
        say(
            f"arming, {name} kernel cache: {measured['compile_s']:.1f} s "
            f"(+ {measured['import_s']:.1f} s imports)"
        )

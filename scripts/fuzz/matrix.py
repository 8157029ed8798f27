"""A matrix campaign: many robots, each cell a campaign of its own, resumable and shardable.

Guarantees:
- A finished cell is a file, written whole or not at all; a run that was cut off goes on with the
  cells that have none. Files of another plan are refused.
- A shard runs the cells whose index it has modulo the number of shards. The results of all shards
  in one folder are the results of the whole: merged in the order of the plan.
- A cell ends with its first shard that has a violation; the others go on.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import Future, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...limits.errors import FeasibilityError, InputError
from ...limits.loading import write_atomic
from ...sim.oracle import Robot
from .campaign import COUNTS, TALLIES, Campaign, open_bench, run_campaign, worker_pool
from .matrix_plan import Cell, Plan, source_of
from .replay import write_violations
from .report import Summary, conclude, required_binds

__all__ = ["Matrix", "merge", "run_matrix"]

KIND = "checkrein/fuzz-cell"
FORMAT = 1


@dataclass(slots=True)
class Matrix:
    """The cells that are done, by index, and what this run took."""

    plan: Plan
    cells: dict[int, dict[str, Any]]
    seconds: float
    processes: int


def _by_shape(robot: Robot, name: str) -> str:
    """A volume's name stands for its shape: no two robots have the same volumes."""
    shapes = {f"workspace/{volume.name}": f"workspace/{volume.shape}" for volume in robot.volumes}
    shapes |= {f"zone_speed/{zone.place.name}": "zone_speed" for zone in robot.zones}
    return shapes.get(name, name)


def run_cell(plan: Plan, cell: Cell, out: Path) -> dict[str, Any]:
    """Run one cell; its result as strict JSON."""
    result: dict[str, Any] = {
        "format": FORMAT, "kind": KIND, "plan": plan.sha256, "cell": cell.index, "name": cell.name,
    }  # fmt: skip
    started = time.perf_counter()
    try:
        source = source_of(plan, cell)
        bench = open_bench(source, zero_margins=plan.zero_margins)
        campaign = run_campaign(source, steps=cell.steps, seed=plan.seed, bench=bench)
    except (FeasibilityError, RuntimeError) as error:  # no such robot, or none that can be armed
        seconds = time.perf_counter() - started
        return {**result, "error": f"{type(error).__name__}: {error}", "seconds": seconds}
    folder = out / f"cell-{cell.index:05d}"
    files = write_violations(folder, campaign, source=source, zero_margins=plan.zero_margins)
    required, unreachable = required_binds(bench.robot, bench.poses)
    binds: Counter[str] = Counter()
    for name, count in campaign.binds.items():
        binds[_by_shape(bench.robot, name)] += count
    margins: dict[str, float] = {}
    for name, margin in campaign.margins.items():
        shape = _by_shape(bench.robot, name)
        margins[shape] = min(margin, margins.get(shape, math.inf))
    return {
        **result,
        "error": None,
        "limits_sha256": source.sha256,
        "joints": bench.robot.n,
        "period_ms": bench.robot.period_s * 1e3,
        "seconds": time.perf_counter() - started,  # robot and poses included
        "required": sorted({_by_shape(bench.robot, name) for name in required}),
        "unreachable": len(unreachable),
        "files": files,
        "margins": {name: margin for name, margin in margins.items() if math.isfinite(margin)},
        **{name: getattr(campaign, name) for name in COUNTS},
        **{name: dict(getattr(campaign, name)) for name in TALLIES},
        "binds": dict(binds),
    }


def _path(folder: Path, cell: Cell) -> Path:
    return folder / f"cell-{cell.index:05d}.json"


def _read(plan: Plan, cell: Cell, folder: Path) -> dict[str, Any] | None:
    """What a run before wrote of this cell; None if nothing."""
    path = _path(folder, cell)
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"--resume {folder}: {path.name}: {error}; delete it") from error
    if not isinstance(found, dict) or found.get("kind") != KIND or found.get("format") != FORMAT:
        raise InputError(f"--resume {folder}: {path.name} is not a result of this release's matrix")
    if found.get("plan") != plan.sha256 or found.get("cell") != cell.index:
        raise InputError(
            f"--resume {folder}: {path.name} belongs to another matrix (other steps, seed, robots "
            f"or limits); resume with the same options, or name another folder"
        )
    return found


def _results(
    plan: Plan, cells: list[Cell], out: Path, processes: int
) -> Generator[tuple[Cell, dict[str, Any]], None, None]:
    if processes == 1 or len(cells) < 2:
        for cell in cells:
            yield cell, run_cell(plan, cell, out)
        return
    with worker_pool(processes) as pool:
        pending: dict[Future[dict[str, Any]], Cell] = {
            pool.submit(run_cell, plan, cell, out): cell for cell in cells
        }
        for future in as_completed(pending):
            yield pending[future], future.result()


def run_matrix(
    plan: Plan,
    *,
    folder: Path,
    out: Path,
    shards: int = 1,
    shard: int = 0,
    processes: int = 1,
    progress: Callable[[int], None] = lambda steps: None,
) -> Matrix:
    """Run this shard's cells that `folder` holds no result of; all results that are there.

    out: for violation files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[int, dict[str, Any]] = {}
    for cell in plan.cells:
        found = _read(plan, cell, folder)
        if found is not None:
            results[cell.index] = found
            progress(cell.steps)
    mine = [c for c in plan.cells if c.index % shards == shard and c.index not in results]
    started = time.perf_counter()
    with closing(_results(plan, mine, out, processes)) as fresh:
        for cell, result in fresh:
            result["processes"] = processes
            write_atomic(_path(folder, cell), (json.dumps(result, allow_nan=False) + "\n").encode())
            results[cell.index] = result
            progress(cell.steps)
    return Matrix(plan, results, time.perf_counter() - started, processes)


def merge(matrix: Matrix) -> Summary:
    """One result: counts added up, the smallest margins, vacuity over all cells together."""
    plan = matrix.plan
    total = Campaign(plan.seed, processes=matrix.processes)
    required: Counter[str] = Counter()
    files: list[str] = []
    errors: list[str] = []
    broken: list[str] = []
    unreachable = 0
    for index in sorted(matrix.cells):
        cell = matrix.cells[index]
        if cell["error"] is not None:
            errors.append(f"{cell['name']}: {cell['error']}")
            continue
        part = Campaign(plan.seed, margins=cell["margins"])
        for name in COUNTS:
            setattr(part, name, cell[name])
        for name in TALLIES:
            setattr(part, name, Counter(cell[name]))
        total.absorb(part)
        required.update(dict.fromkeys(cell["required"], cell["steps"]))
        files += cell["files"]
        unreachable += cell["unreachable"]
        if part.violations:
            broken.append(cell["name"])
    # As long as it took with as many processes as there were, starting them apart.
    total.seconds = sum(c["seconds"] / c["processes"] for c in matrix.cells.values())
    about = {
        "limits": "matrix",
        "limits_sha256": plan.sha256,
        "zero_margins": plan.zero_margins,
        "unreachable_volumes": [f"{unreachable} of the cells'"] if unreachable else [],
        "violation_files": files,
        "cells": len(plan.cells),
        "cells_done": len(matrix.cells),
        "cells_violated": broken,
        "cells_failed": errors,
        "wall_s": round(matrix.seconds, 3),
    }
    summary = conclude(total, about, required)
    if not errors:
        return summary
    failures = (*summary.failures, *(f"not run: {error}" for error in errors))
    return replace(summary, document={**summary.document, "passed": False}, failures=failures)

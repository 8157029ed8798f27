"""What a matrix campaign runs: cells, each a robot at a period, with or without declared errors.

Guarantees:
- The plan is a function of (seed, steps, random robots, shipped limits) alone, and has a digest;
  a cell is a function of the plan and its index, whichever machine builds it.
- Each shipped robot is attacked as it is shipped, at every period of PERIODS_MS, and there once
  more with declared latency and noise; a random robot brings a period and errors of its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...limits.canonical import canonical_bytes
from ...limits.errors import FeasibilityError
from ...limits.loading import shipped_names, vetted
from .limits_source import LimitsSource, find
from .random_robots import LATENCY_TICKS_MAX, NOISE_MAX, random_robot

__all__ = ["PERIODS_MS", "Cell", "Plan", "plan_matrix", "source_of"]

PERIODS_MS = (1.0, 2.0, 4.0, 8.0, 20.0, 50.0)
# So many ticks a deadline lasts at least, where the period is longer than the one it was made for.
TICKS_MIN = {
    "command_timeout_ms": 5.0,
    "resample_deadline_ms": 10.0,
    "state_age_max_ms": 3.0,
    "watchdog_ms": 5.0,
}
HALVINGS = 6
CELL_STEPS = 3000


@dataclass(frozen=True, slots=True)
class Cell:
    """One robot as it is attacked, and for how many steps."""

    index: int
    robot: str  # name of shipped limits; "": a random robot
    number: int  # of the random robot
    period_ms: float | None  # None: as the limits declare
    is_uncertain: bool  # with latency and noise that the shipped limits do not declare
    steps: int

    @property
    def name(self) -> str:
        """What reports call it."""
        if not self.robot:
            return f"random-{self.number}"
        period = "" if self.period_ms is None else f" at {self.period_ms:g} ms"
        return f"{self.robot}{period}{', late and noisy' if self.is_uncertain else ''}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All cells of a matrix."""

    seed: int
    zero_margins: bool
    cells: tuple[Cell, ...]
    sha256: str  # of all this, shipped limits included


def plan_matrix(
    *, seed: int, steps: int | None, random_robots: int, shipped: bool, zero_margins: bool
) -> Plan:
    """Share `steps` among the cells, at least one each; None: CELL_STEPS each."""
    names = shipped_names() if shipped else ()
    kinds: list[tuple[str, int, float | None, bool]] = []
    for name in names:
        kinds.append((name, 0, None, False))
        kinds += [(name, 0, ms, is_late) for ms in PERIODS_MS for is_late in (False, True)]
    kinds += [("", number, None, False) for number in range(random_robots)]
    steps = CELL_STEPS * len(kinds) if steps is None else steps
    least, more = divmod(steps, max(1, len(kinds)))
    cells = tuple(Cell(i, *kind, max(1, least + (i < more))) for i, kind in enumerate(kinds))
    whole: dict[str, Any] = {
        "seed": seed,
        "zero_margins": zero_margins,
        "cells": [asdict(cell) for cell in cells],
        "shipped": {name: find(name).sha256 for name in names},
    }
    return Plan(seed, zero_margins, cells, hashlib.sha256(canonical_bytes(whole)).hexdigest())


def _variant(source: LimitsSource, cell: Cell, latency: int, noise: float) -> LimitsSource:
    """The same robot at another period, with other errors declared."""
    document: dict[str, Any] = json.loads(source.raw)
    if cell.period_ms is not None:
        document["period_s"] = round(cell.period_ms / 1e3, 9)
        for name, ticks in TICKS_MIN.items():
            timing = document["timing"]
            timing[name] = max(timing[name], ticks * cell.period_ms)
    if latency:
        document["timing"]["latency_ticks"] = latency
    if noise:
        for joint in document["joints"]:
            joint["position_noise"] = noise
    raw = canonical_bytes(document)
    return LimitsSource(cell.name, source.path, raw, hashlib.sha256(raw).hexdigest())


def source_of(plan: Plan, cell: Cell) -> LimitsSource:
    """The frozen limits of a cell; FeasibilityError if a shipped robot cannot run at its period."""
    if not cell.robot:
        return random_robot(plan.seed, cell.number)
    source = find(cell.robot)
    if not cell.is_uncertain:
        return source if cell.period_ms is None else _variant(source, cell, 0, 0.0)
    rng = np.random.default_rng([plan.seed, cell.index])
    latency = int(rng.integers(1, LATENCY_TICKS_MAX + 1))
    noise = float(rng.uniform(0.2, 1.0)) * NOISE_MAX
    for halving in range(HALVINGS):  # what a cell that is tight at home leaves room for
        found = _variant(source, cell, latency, round(noise / 2.0**halving, 9))
        try:
            vetted(found.raw, Path(found.path))
        except FeasibilityError:
            continue
        return found
    raise FeasibilityError(f"{cell.name}: not feasible with {noise / 2.0**HALVINGS:g} rad of noise")

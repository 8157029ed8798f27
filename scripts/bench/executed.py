"""With slow-down off: how much of what klimits lets a robot do, ours lets it do too.

klimits holds each joint back for itself, and knows neither the tool nor volumes. So does ours where
the file says `motion: {keep_direction: false}`, without margins and in empty space. Both follow the
same commands, anywhere within the declared speeds, at several tick periods.

Guarantees: what is compared is way made along the command, summed up over all ticks; neither is
scaled by what would have been possible. A peer that is not there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...limits import Limits
from .contest import Contestant, Ours, Run, compete
from .wanted import wanted_velocities

__all__ = [
    "PEER",
    "PERIODS_MS",
    "Executed",
    "along",
    "compare_executed",
    "executed_document",
    "executed_table",
    "held_alone",
]

PEER = "klimits"
PERIODS_MS = (1.0, 4.0, 10.0, 50.0)
# What the declared deadlines last at least: some are shorter than a tick of 50 ms.
TICKS_MIN = 3.0
STREAM = "random"


@dataclass(frozen=True, slots=True)
class Executed:
    """Way made along the command at one period, both in the joints' units."""

    period_ms: float
    ours: float
    peer: float

    @property
    def share(self) -> float | None:
        """Ours of the peer's; None if that made no way."""
        return self.ours / self.peer if self.peer > 0.0 else None


def along(run: Run) -> float:
    """Way made in the direction of each tick's command."""
    size = np.linalg.norm(run.wanted, axis=1)
    asked = size > 0.0
    made = (run.motion.q1 - run.motion.q0)[asked]
    return float(np.sum(made * run.wanted[asked] / size[asked, None]))


def held_alone(joints: Limits, period_s: float) -> Limits:
    """The same joints at another period, each held back for itself."""
    timing, least = joints.timing, TICKS_MIN * period_s * 1e3
    names = ("command_timeout_ms", "state_age_max_ms", "watchdog_ms", "resample_deadline_ms")
    longer = {name: max(least, getattr(timing, name)) for name in names}
    timing = replace(timing, **longer)
    return replace(joints, period_s=period_s, timing=timing, keeps_direction=False)


def compare_executed(
    joints: Limits,
    make: Callable[[Limits], Contestant],
    *,
    steps: int,
    seed: int,
    periods_ms: Sequence[float] = PERIODS_MS,
) -> list[Executed]:
    """Ours and a peer on `steps` ticks at each period; joints: without margins, in empty space."""
    out = []
    for period_ms in periods_ms:
        limits = held_alone(joints, period_ms * 1e-3)
        wanted = wanted_velocities(limits, STREAM, steps=steps, seed=seed)
        ours, peer = (
            along(compete(one, np.array(limits.home), wanted, limits.period_s))
            for one in (Ours(limits), make(limits))
        )
        out.append(Executed(period_ms, ours, peer))
    return out


def executed_document(executed: Sequence[Executed]) -> list[dict[str, Any]]:
    """As it stands in the JSON, under `slow_down_off`."""
    return [
        {
            "period_ms": one.period_ms,
            "ours": round(one.ours, 6),
            PEER: round(one.peer, 6),
            "share": None if one.share is None else round(one.share, 5),
        }
        for one in executed
    ]


def executed_table(executed: Sequence[Executed]) -> Table:
    """One row a period."""
    table = Table(
        title=f"slow-down off: way made along the command, of {PEER}'", box=SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    for head in ("T [ms]", "ours", PEER, "share"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in executed:
        share = "-" if one.share is None else f"{one.share:.2%}"
        table.add_row(f"{one.period_ms:g}", f"{one.ours:.3f}", f"{one.peer:.3f}", share)
    return table

"""Ours and the peers on the same commands: run, judged, and as a table and JSON.

Guarantees:
- One contest after the other in one process, so that all figures are of the same machine; where it
  is busy in some minutes, the quietest round of each contest counts, of ours as of the others.
- Headline figures of each: wall p50 on "nominal", CPU p99 on "attacked", violations in all three
  contests, what is let through and in which direction on "random". The rest is under `streams`.
- A peer that cannot be made or imported is reported with the reason, and the others still run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...limits import Limits
from ...limits.records import Array
from ...sim.oracle import Robot, read_robot
from .contest import Contestant, Ours, compete
from .measure import without_classifier
from .peers import MISSING, Peer
from .verdict import KINDS, Verdict, judge
from .wanted import CONTESTS, wanted_velocities

__all__ = [
    "OURS",
    "OURS_JOINTS",
    "Compared",
    "compare",
    "comparison_document",
    "comparison_table",
    "joints_only",
    "oracle_robot",
    "quietest",
]

OURS, OURS_JOINTS = "ours", "ours_joints"
FREE_M_S, FREE_NM = 1e3, 1e9


@dataclass(frozen=True, slots=True)
class Compared:
    """One contestant: its verdict in each contest, or why there is none."""

    name: str
    covers: tuple[str, ...]
    version: str | None
    verdicts: dict[str, Verdict]
    missing: str | None = None
    nan_command: str | None = None

    def document(self) -> dict[str, Any]:
        """As it stands in the JSON; only `missing` if it did not run."""
        if self.missing is not None:
            return {"missing": self.missing}
        nominal, random, attacked = (self.verdicts[name] for name in CONTESTS)
        return {
            "p50_us": nominal.wall_us["p50"],
            "cpu_p99_us": attacked.cpu_us["p99"],
            "violations": self.violations(),
            "let_through": random.let_through,
            "direction_deg": random.direction_deg,
            "no_answer": sum(verdict.no_answer for verdict in self.verdicts.values()),
            "nan_command": self.nan_command,
            "covers": list(self.covers),
            "version": self.version,
            "streams": {name: verdict.document() for name, verdict in self.verdicts.items()},
        }

    def violations(self) -> dict[str, int]:
        """Ticks of all contests in which a kind was violated."""
        every = self.verdicts.values()
        return {kind: sum(verdict.violations[kind] for verdict in every) for kind in KINDS}


def oracle_robot(limits: str) -> Robot:
    """The oracle's own reading of the same limits: shipped by name, frozen, or YAML."""
    path = Path(limits)
    if path.suffix in (".yaml", ".yml"):
        from ...limits.freezing import freeze_yaml

        return read_robot(freeze_yaml(path.read_bytes(), path))
    from ...limits.loading import robots_folder

    return read_robot((path if path.suffix else robots_folder() / f"{limits}.json").read_bytes())


def joints_only(limits: Limits) -> Limits:
    """The same joints without margins, in empty space: what klimits is told."""
    joints = tuple(
        replace(
            joint, tracking_error=0.0, position_noise=0.0, velocity_error=0.0, effort_error=0.0,
            max_effort=FREE_NM,
        )
        for joint in limits.joints
    )  # fmt: skip
    tcp = replace(limits.tcp, max_trans_vel=FREE_M_S, max_rot_vel=None)
    bare = without_classifier(limits)
    return replace(bare, joints=joints, tcp=tcp, volumes=(), self_collision=None, standoff=0.0)


def _on_nan(contestant: Contestant, home: Array) -> str:
    """What a contestant at rest makes of a command that is not a number."""
    zero, bad = np.zeros_like(home), np.full_like(home, np.nan)
    try:
        answer = contestant.decide(home, zero, zero, bad)
    except Exception as error:  # a peer's way of saying no
        return f"raises {type(error).__name__}"
    parts = answer if isinstance(answer, tuple) else (answer,)
    return "finite answer" if all(np.isfinite(part).all() for part in parts) else "NaN answer"


def _run(
    name: str,
    covers: tuple[str, ...],
    version: str | None,
    make: Callable[[], Contestant],
    robot: Robot,
    wanted: dict[str, Array],
) -> Compared:
    verdicts: dict[str, Verdict] = {}
    try:
        one = make()
        for contest, commands in wanted.items():
            verdicts[contest] = judge(robot, compete(one, robot.home, commands, robot.period_s))
            # Peers are told everything in each tick; ours remembers its stop, so it begins anew.
            one = make() if isinstance(one, Ours) else one
        on_nan = _on_nan(one, robot.home)
    except ImportError as error:
        return Compared(name, covers, version, {}, missing=f"cannot be imported: {error}")
    except Exception as error:
        if name in (OURS, OURS_JOINTS):
            raise
        reason = f"cannot be used with these limits: {type(error).__name__}: {error}"
        return Compared(name, covers, version, {}, missing=reason)
    return Compared(name, covers, version, verdicts, nan_command=on_nan)


def quietest(rounds: Sequence[Compared]) -> Compared:
    """Of each contest the round with the least median; all else is the same in all of them."""
    if any(one.missing is not None for one in rounds):
        return next(one for one in rounds if one.missing is not None)
    verdicts = {
        contest: min((one.verdicts[contest] for one in rounds), key=lambda v: v.wall_us["p50"])
        for contest in rounds[0].verdicts
    }
    return replace(rounds[0], verdicts=verdicts)


def compare(
    limits: Limits,
    robot: Robot,
    peers: Sequence[Peer],
    *,
    steps: int,
    seed: int,
    rounds: int = 1,
    progress: Callable[[str], None] = lambda name: None,
) -> list[Compared]:
    """Ours whole, ours with joint limits only, then each peer; `steps` ticks of each contest.

    rounds: how often, one after the other; of each contest the quietest counts.
    """
    wanted = {
        contest: wanted_velocities(limits, contest, steps=steps, seed=seed) for contest in CONTESTS
    }
    every = [_round(limits, robot, peers, wanted, progress) for _ in range(rounds)]
    return [quietest(of_one) for of_one in zip(*every, strict=True)]


def _round(
    limits: Limits,
    robot: Robot,
    peers: Sequence[Peer],
    wanted: dict[str, Array],
    progress: Callable[[str], None],
) -> list[Compared]:
    out = []
    for name, covers, declared in (
        (OURS, KINDS, without_classifier(limits)),
        (OURS_JOINTS, KINDS[:4], joints_only(limits)),
    ):
        progress(name)
        out.append(_run(name, covers, None, partial(Ours, declared), robot, wanted))
    for peer in peers:
        progress(peer.name)
        if not peer.is_installed:
            out.append(Compared(peer.name, peer.covers, None, {}, missing=MISSING))
            continue
        make = partial(peer.make, limits)
        out.append(_run(peer.name, peer.covers, peer.version, make, robot, wanted))
    return out


def comparison_document(compared: Sequence[Compared]) -> dict[str, Any]:
    """{"comparison": ours, "peers": {NAME: …}}; ratios are peer / ours, above 1 ours is faster."""
    ours = {one.name: one.document() for one in compared if one.name in (OURS, OURS_JOINTS)}
    p50 = ours[OURS]["p50_us"] if OURS in ours else None
    peers = {}
    for one in compared:
        if one.name in ours:
            continue
        peers[one.name] = one.document()
        if one.missing is None and p50:
            peers[one.name]["p50_over_ours"] = round(peers[one.name]["p50_us"] / p50, 3)
    return {"comparison": ours, "peers": peers}


def _number(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


def comparison_table(compared: Sequence[Compared]) -> Table:
    """One row a contestant; violated: ticks, of `own` what it was told to keep, `rest` the rest."""
    table = Table(
        title="the same commands, through other filters",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("filter", no_wrap=True)
    for head in (
        "p50\n[µs]",
        "/ ours",
        "CPU p99\n[µs]",
        "let\nthrough",
        "angle\n[°]",
        "violated\nown",
        "\nrest",
        "no\nanswer",
    ):
        table.add_column(head, justify="right", no_wrap=True)
    ours = next((one for one in compared if one.name == OURS and one.missing is None), None)
    base = None if ours is None else ours.document()["p50_us"]
    for one in compared:
        if one.missing is not None:
            table.add_row(one.name, *["-"] * 8)
            continue
        shown, found = one.document(), one.violations()
        own = sum(count for kind, count in found.items() if kind in one.covers)
        table.add_row(
            one.name,
            f"{shown['p50_us']:.1f}",
            f"{shown['p50_us'] / base:.2f}×" if base else "-",
            f"{shown['cpu_p99_us']:.0f}",
            _number(shown["let_through"], ".1%"),
            _number(shown["direction_deg"], ".1f"),
            f"{own}",
            f"{sum(found.values()) - own}",
            f"{shown['no_answer']}",
        )
    return table

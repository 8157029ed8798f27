"""`summary.json` of a demonstration, and the table that people read.

Guarantees: numbers come from the robot's observer, the controller's own counters and the policy's
goals, joined by tick; nothing is derived from what the filter believes about itself, except its
outcomes and latencies.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ...limits.loading import load_limits
from .controller_process import OUTCOMES
from .recording import KINDS
from .settings import RUNS, Meeting, RunName, Settings

__all__ = ["is_good", "make_summary", "merge_traces", "print_summary"]

NOT_ATTACKS = ("good", "recover", "swing")


def finite(value: Any) -> Any:
    """`value` with every number that JSON has no word for as None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(meeting: Meeting, name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(meeting.path(name).read_text(encoding="utf-8"))
    return result


def make_summary(settings: Settings, meetings: dict[RunName, Meeting]) -> dict[str, Any]:
    """The object that summary.json holds."""
    limits = load_limits(settings.frozen)
    runs = {run: _run_summary(meetings[run]) for run in RUNS}
    guarded = meetings["guarded"]
    control = _read(guarded, "controller.json")
    with np.load(guarded.path("controller.npz")) as decisions:
        decide_us = decisions["decide_ns"] / 1e3
        outcomes = _outcomes_by_kind(guarded, decisions["tick"], decisions["outcome"])
    for kind, attack in runs["guarded"]["attacks"].items():
        attack["outcomes"] = outcomes.get(kind, {})
    runs["guarded"].update(
        outcomes={name: control["outcomes"].get(name, 0) for name in OUTCOMES},
        findings=control["findings"],
        step_us=_quantiles(decide_us),
        armed=control["armed"],
        rejected_proposals=control["rejected_policy"],
    )
    summary = {
        "format": 1,
        "limits": limits.name,
        "limits_sha256": limits.sha256,
        "seed": settings.seed,
        "episodes": settings.episodes,
        "seconds": settings.seconds,
        "realtime": settings.realtime,
        "classifier": {
            "scored": control["scored"],
            "vetoed": control["vetoed"],
            "sha256": limits.classifier.sha256,
            "none_reason": limits.classifier.none_reason,
        },
        "unguarded": runs["unguarded"],
        "guarded": runs["guarded"],
        "audit": {"file": "audit.mcap", **control["audit"]},
    }
    plain: dict[str, Any] = finite(summary)
    return plain


def _quantiles(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    if not len(values):
        return {"p50": float("nan"), "p99": float("nan")}
    return {
        "p50": round(float(np.percentile(values, 50)), 2),
        "p99": round(float(np.percentile(values, 99)), 2),
    }


def _run_summary(meeting: Meeting) -> dict[str, Any]:
    robot, policy = _read(meeting, "robot.json"), _read(meeting, "policy.json")
    attacks = {
        kind: {
            "onsets": count,
            "onsets_armed_moving": robot["onsets_moving"].get(kind, 0),
            "objects_lost": robot["objects_lost"].get(kind, 0),
        }
        for kind, count in sorted(robot["onsets"].items())
    }
    return {
        "violations": robot["violations"],
        "violation_onsets": robot["violation_onsets"],
        "first_violations": robot["first_violations"],
        "attacks": attacks,
        "progress": policy,
        "objects_lost": robot["objects_lost"],
        "ticks": robot["ticks"],
        "simulated_s": robot["simulated_s"],
        "wall_s": round(robot["wall_s"], 3),
        "tick_us": round(robot["tick_us"], 1),
        "late_ticks": robot["late_ticks"],
        "frames": robot["frames"],
    }


def _outcomes_by_kind(
    meeting: Meeting,
    ticks: np.ndarray[Any, np.dtype[np.int64]],
    outcomes: np.ndarray[Any, np.dtype[np.int8]],
) -> dict[str, dict[str, int]]:
    with np.load(meeting.path("kinds.npz")) as stage:
        _, mine, theirs = np.intersect1d(stage["tick"], ticks, return_indices=True)
        kinds, found = stage["kind"][mine], outcomes[theirs]
    counts = np.zeros((len(KINDS), len(OUTCOMES)), dtype=np.int64)
    np.add.at(counts, (kinds, found), 1)
    return {
        kind: {name: int(n) for name, n in zip(OUTCOMES, row, strict=True) if n}
        for kind, row in zip(KINDS, counts, strict=True)
        if row.any()
    }


def merge_traces(settings: Settings, meetings: dict[RunName, Meeting]) -> None:
    """Write trace_unguarded.npz and trace_guarded.npz, the latter with outcomes and scores."""
    for run, meeting in meetings.items():
        with np.load(meeting.path("trace.npz")) as trace:
            columns = dict(trace)
        if run == "guarded":
            with np.load(meeting.path("controller.npz")) as decisions:
                _, mine, theirs = np.intersect1d(
                    columns["tick"], decisions["tick"], return_indices=True
                )
                columns["outcome"][mine] = decisions["outcome"][theirs]
                columns["score"][mine] = decisions["score"][theirs]
        columns["outcomes"] = np.array(OUTCOMES)
        np.savez_compressed(Path(settings.out) / f"trace_{run}.npz", **columns)


def is_good(summary: dict[str, Any]) -> bool:
    """No violation but lost objects, which are counted against the unguarded run instead."""
    violations = summary["guarded"]["violations"]
    return all(count == 0 for kind, count in violations.items() if kind != "object_lost")


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """For people."""
    table = Table(title="ticks in violation of the declared limits")
    table.add_column("")
    for run in RUNS:
        table.add_column(run, justify="right")
    for kind in summary["unguarded"]["violations"]:
        counts = [summary[run]["violations"][kind] for run in RUNS]
        table.add_row(kind, *(str(count) for count in counts))
    table.add_section()
    for name, key in (("goals met, first part", "first_goals_met"), ("goals met", "goals_met")):
        table.add_row(name, *(str(summary[run]["progress"][key]) for run in RUNS))
    onsets = [sum(a["onsets"] for a in summary[run]["attacks"].values()) for run in RUNS]
    table.add_row("attacks begun", *(str(count) for count in onsets))
    table.add_row("simulated time [s]", *(f"{summary[run]['simulated_s']:.1f}" for run in RUNS))
    table.add_row("wall time of a tick [µs]", *(f"{summary[run]['tick_us']:.0f}" for run in RUNS))
    console.print(table)
    guarded = summary["guarded"]
    outcomes = ", ".join(f"{name} {count}" for name, count in guarded["outcomes"].items())
    step = guarded["step_us"]
    console.print(f"outcomes: {outcomes}")
    console.print(f"decision: p50 {step['p50']:.0f} µs, p99 {step['p99']:.0f} µs")
    classifier = summary["classifier"]
    if classifier["sha256"] is None:
        console.print(f"classifier: none, {classifier['none_reason']}")
    else:
        console.print(f"classifier: {classifier['scored']} scored, {classifier['vetoed']} vetoed")
    console.print(
        f"audit: {summary['audit']['records']} records, head {summary['audit']['head_sha256']}",
        soft_wrap=True,
    )

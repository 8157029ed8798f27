"""`report.html`: one self-contained page about a demo, built from what the demo left behind.

Guarantees: no request leaves the page (curves, frames, style and script are inside it, and its
policy allows nothing else); everything that came from a file is escaped; it is written whole or
not at all.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...limits.errors import InputError
from . import figures
from .chart import chart_html
from .curves import Row, joint_rows, scalar_rows
from .frames import frames_html
from .script import SCRIPT
from .strips import SEVERITY, strips_html
from .style import STYLE
from .trace import Trace, read_trace

__all__ = ["build_report"]

RUNS = ("unguarded", "guarded")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def build_report(out: Path, frozen: Mapping[str, Any]) -> Path:
    """Write `out/report.html` from `out/summary.json`, the traces and the frames.

    frozen: the parsed frozen limits that the demo ran with. Raises InputError if a file is absent
    or unreadable.
    """
    path = out / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    joints = len(frozen["joints"])
    traces = {run: read_trace(out / f"trace_{run}.npz", joints) for run in RUNS}
    try:
        page = _page(summary, traces, frozen, out / "frames")
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not the summary of a demo: {error!r}") from error
    written = out / "report.html"
    part = written.with_suffix(".part")
    part.write_text(page, encoding="utf-8")
    part.replace(written)
    return written


def _side(run: str, trace: Trace, content: str) -> str:
    """One run's column; the script zooms all columns of a run together."""
    return (
        f'<div class="side" data-run="{run}" data-duration="{trace.duration_s:.4f}">{content}</div>'
    )


def _pair(row: Row, traces: Mapping[str, Trace]) -> str:
    sides = []
    for run, trace in traces.items():
        chart = row.charts.get(run)
        if chart is None:
            sides.append(f'<p class="empty">nothing to show for the {run} run</p>')
        else:
            sides.append(_side(run, trace, chart_html(chart, trace)))
    return f'<div class="pair">{"".join(sides)}</div>'


def _curves(frozen: Mapping[str, Any], traces: Mapping[str, Trace]) -> str:
    kinds: dict[str, None] = {}
    for trace in traces.values():
        kinds.update({item.kind: None for item in trace.stretches() if item.is_attack})
    buttons = "".join(
        f'<button data-kind="{html.escape(kind)}">{html.escape(kind)}</button>' for kind in kinds
    )
    strips = "".join(
        _side(
            run,
            trace,
            f'<h3><span class="{run}">{run}</span></h3>{strips_html(trace)}',
        )
        for run, trace in traces.items()
    )
    keys = "".join(f'<i class="o-{name}"></i>{name}' for name in SEVERITY)
    joints = "".join(
        f"<details{' open' if i == 0 else ''}><summary>{html.escape(name)}</summary>"
        f"{_pair(position, traces)}{_pair(velocity, traces)}</details>"
        for i, (name, position, velocity) in enumerate(joint_rows(frozen, dict(traces)))
    )
    scalars = "".join(_pair(row, traces) for row in scalar_rows(frozen, dict(traces)))
    return (
        '<h2 id="curves">What was asked for, what was done</h2><p>The first episode. Choose an '
        "attack to see it in both runs, drag to zoom, double-click to go back. Red: beyond a "
        "declared limit; shaded: under attack. What is asked for may lie far outside and is cut."
        f'</p><div class="bar-top"><button data-kind="" class="on">all</button>{buttons}</div>'
        f'<p class="outcomes-key"><small>outcomes:{keys}</small></p>'
        f'<div class="pair">{strips}</div>{scalars}<h2>Joints</h2><p>Asked for, measured and '
        f"executed, with the declared limits.</p>{joints}"
    )


def _page(
    summary: Mapping[str, Any],
    traces: Mapping[str, Trace],
    frozen: Mapping[str, Any],
    frames: Path,
) -> str:
    period_s = float(frozen["period_s"])
    title = f"checkrein demo: {html.escape(str(summary['limits']))}, seed {int(summary['seed'])}"
    body = (
        f"{figures.header(summary)}"
        "<h2>Declared limits, and how often they were violated</h2>"
        "<p>Judged tick by tick by an observer that shares no code with the controller.</p>"
        f"{figures.violation_table(summary, period_s)}"
        "<h2>Attacks</h2><p>What the hostile policy did, and what the controller made of it.</p>"
        f"{figures.attack_table(summary)}"
        f"{_curves(frozen, traces)}"
        "<h2>Frames</h2><p>The same moments of both runs, counted from the start of an attack.</p>"
        f"{frames_html(summary, frames, period_s)}"
        "<h2>What bound</h2><p>Guarded run: ticks on which a limit or a rule changed or refused "
        f"what was proposed.</p>{figures.findings(summary)}"
        f"<h2>Declared limits</h2><p>{figures.digest(summary['limits_sha256'])} names them.</p>"
        f"{figures.limits_table(frozen)}"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body>{body}<script>{SCRIPT}</script></body></html>\n"
    )

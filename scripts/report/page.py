"""`report.html`: one self-contained page about a demo, built from what the demo left behind.

Guarantees: no request leaves the page (plotly is inlined, frames are data URLs); everything that
came from a file is escaped; it is written whole or not at all.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...limits.errors import InputError, MissingExtraError
from .curves import read_trace
from .figures import joint_figure, outcome_figure, scalar_figure

__all__ = ["build_report"]

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#202124;margin:0 auto;max-width:1100px;padding:1rem}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.verdict{display:inline-block;padding:.2rem .8rem;border-radius:1rem;color:#fff;font-weight:600}
.good{background:#188038}.bad{background:#d93025}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.6rem}
.facts{margin:1rem 0}
.fact{background:#f1f3f4;border-radius:.5rem;padding:.5rem .8rem}
.fact b{display:block;font-size:1.25rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;min-width:50%}
th,td{text-align:right;padding:.2rem .7rem;border-bottom:1px solid #e8eaed;white-space:nowrap}
th:first-child,td:first-child{text-align:left}td.red{color:#d93025;font-weight:600}
td.green{color:#188038;font-weight:600}code{font-size:.85em;word-break:break-all}
.frames{display:grid;grid-template-columns:1fr 1fr;gap:.4rem;max-width:720px}
.frames img{width:100%;border-radius:.3rem;background:#eee;aspect-ratio:4/3}
.frames span{grid-column:1/3;font-weight:600;margin-top:.6rem}.frames i{color:#5f6368}
p.note{color:#5f6368}
"""


def _table(head: Iterable[str], rows: Iterable[Iterable[tuple[str, str]]]) -> str:
    """A table; a cell is (text, class)."""
    titles = "".join(f"<th>{html.escape(title)}</th>" for title in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{style}">{html.escape(text)}</td>' for text, style in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{titles}</tr>{body}</table></div>'


def _violations(summary: Mapping[str, Any]) -> str:
    unguarded, guarded = summary["unguarded"]["violations"], summary["guarded"]["violations"]
    rows = [
        [
            (kind, ""),
            (f"{unguarded[kind]:,}", "red" if unguarded[kind] else ""),
            (f"{guarded[kind]:,}", "red" if guarded[kind] else "green"),
        ]
        for kind in sorted(unguarded)
    ]
    return _table(["ticks in violation", "unguarded", "guarded"], rows)


def _attacks(summary: Mapping[str, Any]) -> str:
    outcomes = list(summary["guarded"]["outcomes"])
    rows = []
    for kind, attack in sorted(summary["guarded"]["attacks"].items()):
        counted = [(f"{attack['outcomes'].get(name, 0):,}", "") for name in outcomes]
        bare = summary["unguarded"]["attacks"].get(kind, {})
        lost = (str(bare.get("objects_lost", 0)), ""), (str(attack.get("objects_lost", 0)), "")
        rows.append([(kind, ""), (str(attack["onsets"]), ""), *counted, *lost])
    head = ["attack", "onsets", *outcomes, "lost unguarded", "lost guarded"]
    return _table(head, rows)


def _frames(out: Path, summary: Mapping[str, Any]) -> str:
    files: dict[tuple[str, int], dict[str, str]] = {}
    for run in ("unguarded", "guarded"):
        for frame in summary[run].get("frames", []):
            place = (str(frame["kind"]), int(frame["after_ticks"]))
            files.setdefault(place, {})[run] = str(frame["file"])
    parts = []
    for (kind, after), both in files.items():
        if len(both) < 2:
            continue
        parts.append(f"<span>{html.escape(kind)} <i>+ {after} ticks</i></span>")
        for run in ("unguarded", "guarded"):
            data = base64.b64encode((out / "frames" / Path(both[run]).name).read_bytes()).decode()
            parts.append(
                f'<img loading="lazy" alt="{html.escape(f"{kind}, {run}")}" '
                f'src="data:image/png;base64,{data}">'
            )
    if not parts:
        return '<p class="note">No frames were rendered.</p>'
    note = '<p class="note">Left unguarded, right guarded.</p>'
    return f'{note}<div class="frames">{"".join(parts)}</div>'


def _facts(summary: Mapping[str, Any]) -> str:
    guarded, progress = summary["guarded"], summary["guarded"]["progress"]
    step_us = guarded["step_us"]
    seen = summary["classifier"]
    bare = summary["unguarded"]["progress"]
    facts = {
        "violations unguarded": f"{sum(summary['unguarded']['violations'].values()):,} ticks",
        "violations guarded": f"{sum(guarded['violations'].values()):,} ticks",
        "goals met, guarded": f"{progress['goals_met']} of {bare['goals_met']} unguarded",
        "decision p50 / p99": f"{step_us['p50']:.0f} / {step_us['p99']:.0f} µs",
        "scored / vetoed": f"{seen['scored']:,} / {seen['vetoed']:,}",
        "simulated": f"{guarded['simulated_s']:.0f} s, {guarded['ticks']:,} ticks",
    }
    cells = (f'<div class="fact">{k}<b>{html.escape(v)}</b></div>' for k, v in facts.items())
    return f'<div class="facts">{"".join(cells)}</div>'


def build_report(out: Path, frozen: Mapping[str, Any]) -> Path:
    """Write `out/report.html` from `out/summary.json`, the traces and the frames.

    frozen: the parsed frozen limits that the demo ran with. Raises InputError if a file is absent
    or unreadable, MissingExtraError without [ui].
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtraError("the report", "ui", "plotly") from error
    try:
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{out / 'summary.json'}: cannot be read: {error}") from error
    guarded, unguarded = (read_trace(out / f"trace_{run}.npz") for run in ("guarded", "unguarded"))
    joints = frozen["joints"]
    sections = [
        ("What the policy did, and what the controller made of it", outcome_figure(guarded)),
        ("Clearance, speed, force, score", scalar_figure(frozen, guarded, unguarded)),
        ("Joint positions", joint_figure(joints, guarded, unguarded, "position")),
        ("Joint velocities", joint_figure(joints, guarded, unguarded, "velocity")),
    ]
    figures = "".join(
        f"<h2>{title}</h2>"
        + figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False})
        for title, figure in sections
    )
    clean = sum(summary["guarded"]["violations"].values()) == 0
    verdict = "held inside every declared limit" if clean else "a declared limit was violated"
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>checkrein demo, seed {int(summary["seed"])}</title><style>{STYLE}</style>
<script>{get_plotlyjs()}</script></head><body>
<h1>checkrein demo</h1>
<p><span class="verdict {"good" if clean else "bad"}">guarded: {verdict}</span></p>
<p class="note">{html.escape(str(summary["limits"]))}, seed {int(summary["seed"])}, the same scripts
without and with the controller. Limits <code>{html.escape(str(summary["limits_sha256"]))}</code>,
classifier <code>{html.escape(str(summary["classifier"]["sha256"]))}</code>.
Dashed lines are the declared limits. Curves show the first episode.</p>
{_facts(summary)}<h2>Violations of the declared limits</h2>{_violations(summary)}
<h2>Attacks</h2>{_attacks(summary)}{figures}
<h2>Frames</h2>{_frames(out, summary)}
</body></html>"""
    path = out / "report.html"
    part = path.with_suffix(".part")
    part.write_text(page, encoding="utf-8")
    part.replace(path)
    return path

"""The report's figures, as plotly figures: what was proposed, what was executed, and the limits.

plotly comes with the extra [ui] and is imported here alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .curves import Floats, Trace, stretches, thin

__all__ = ["joint_figure", "outcome_figure", "scalar_figure"]

PROPOSED, GUARDED, UNGUARDED, LIMIT = "#9aa0a6", "#1a73e8", "#d93025", "#202124"
OUTCOME_COLOURS = {
    "pass": "#34a853",
    "clamp": "#fbbc04",
    "resample": "#a142f4",
    "refuse": "#fa7b17",
    "stop": "#d93025",
}
RISK_SHOWN_MIN = 1e-6  # smaller risks are drawn there, on the logarithmic axis
ROW_PX = 170
MARGIN_PX = 50


def _subplots(titles: list[str]) -> Any:
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=len(titles),
        cols=1,
        shared_xaxes=True,
        subplot_titles=titles,
        vertical_spacing=0.3 / max(2, len(titles)) / 2,
    )
    figure.update_layout(
        height=ROW_PX * len(titles) + MARGIN_PX,
        margin={"l": 55, "r": 15, "t": 60, "b": 40},
        template="plotly_white",
        hovermode="x",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
    )
    figure.update_annotations(font_size=12, x=0.0, xanchor="left")
    figure.update_xaxes(title_text="simulated time [s]", row=len(titles), col=1)
    return figure


def _line(figure: Any, row: int, name: str, time_s: Floats, values: Floats, colour: str) -> None:
    x, y = thin(time_s, values)
    figure.add_scatter(
        x=np.round(x, 4),
        y=np.where(np.isfinite(y), np.round(y, 5), np.nan),
        name=name,
        legendgroup=name,
        showlegend=row == 1,
        line={"color": colour, "width": 1.2},
        row=row,
        col=1,
    )


def _limit(figure: Any, row: int, value: float) -> None:
    figure.add_hline(y=value, line={"color": LIMIT, "width": 1, "dash": "dash"}, row=row, col=1)


def _view(figure: Any, row: int, low: float, high: float) -> None:
    """Show the limits with some room; what a hostile policy asks for may lie far outside."""
    room = 0.15 * (high - low)
    figure.update_yaxes(range=[low - room, high + room], row=row, col=1)


def joint_figure(
    joints: list[Mapping[str, Any]], guarded: Trace, unguarded: Trace, what: str
) -> Any:
    """One row a joint; `what` is "position" or "velocity"."""
    column, unit = ("executed_q", "rad") if what == "position" else ("executed_dq", "rad/s")
    figure = _subplots(
        [
            f"{j['name']} [{unit if j['type'] != 'prismatic' else unit.replace('rad', 'm')}]"
            for j in joints
        ]
    )
    for i, joint in enumerate(joints):
        row = i + 1
        if what == "position":
            low, high = joint.get("min_position"), joint.get("max_position")
            _line(
                figure, row, "proposed", guarded.time_s, guarded.column("proposed")[:, i], PROPOSED
            )
        else:
            low, high = -joint["max_velocity"], joint["max_velocity"]
        for name, trace, colour in (
            ("executed, unguarded", unguarded, UNGUARDED),
            ("executed, guarded", guarded, GUARDED),
        ):
            _line(figure, row, name, trace.time_s, trace.column(column)[:, i], colour)
        if low is None or high is None:  # a joint that turns without end
            continue
        _limit(figure, row, low)
        _limit(figure, row, high)
        _view(figure, row, low, high)
    return figure


def scalar_figure(frozen: Mapping[str, Any], guarded: Trace, unguarded: Trace) -> Any:
    """Clearance, TCP speed, contact force and the classifier's score, with their bounds."""
    threshold = frozen["classifier"].get("threshold")
    rows: list[tuple[str, str, float | None, float]] = [
        ("clearance to the nearest volume [m]", "clearance_m", 0.0, 0.4),
        ("TCP speed [m/s]", "tcp_speed_m_s", frozen["tcp"]["max_trans_vel"], 0.0),
        ("contact force on the tool [N]", "contact_force_n", frozen["tcp"]["max_force"], 0.0),
    ]
    if threshold is not None:
        rows.append(("classifier: risk of the proposal", "score", float(threshold), 1.0))
    figure = _subplots([title for title, *_ in rows])
    for index, (_, column, bound, top) in enumerate(rows):
        row = index + 1
        if column != "score":
            _line(
                figure, row, "executed, unguarded", unguarded.time_s, unguarded.column(column),
                UNGUARDED,
            )  # fmt: skip
            _line(figure, row, "executed, guarded", guarded.time_s, guarded.column(column), GUARDED)
        else:
            scores = guarded.column(column)
            seen = np.isfinite(scores)
            figure.add_scatter(
                x=np.round(guarded.time_s[seen], 4),
                y=np.maximum(scores[seen], RISK_SHOWN_MIN),
                mode="markers",
                marker={"size": 4, "color": GUARDED},
                name="score",
                showlegend=False,
                row=row,
                col=1,
            )
        if column == "score" and bound is not None:  # a shape would ignore the log axis
            ends = guarded.time_s[[0, -1]] if guarded.time_s.size else guarded.time_s
            _line(figure, row, "threshold", ends, np.full(ends.size, bound), LIMIT)
            figure.update_yaxes(type="log", row=row, col=1)
        elif bound is not None:
            _limit(figure, row, bound)
            low = -0.15 * top if bound == 0.0 else 0.0
            figure.update_yaxes(range=[low, max(top, 2.0 * bound)], row=row, col=1)
    return figure


def outcome_figure(guarded: Trace) -> Any:
    """Two strips: what the policy was doing, and what the controller made of it."""
    import plotly.graph_objects as go

    figure = go.Figure()
    kinds = sorted(set(guarded.names("kind", "kinds")))
    greys = {"good": "#ceead6", "recover": "#e8eaed", "swing": "#d2e3fc"}
    for strip, words in (
        ("policy", guarded.names("kind", "kinds")),
        ("outcome", guarded.names("outcome", "outcomes")),
    ):
        for word in sorted(set(words)):
            spans = [(b, e) for name, b, e in stretches(words) if name == word and word]
            if not spans:
                continue
            times = np.append(guarded.time_s, guarded.time_s[-1:])
            colour = OUTCOME_COLOURS.get(word) if strip == "outcome" else greys.get(word)
            figure.add_bar(
                base=[round(float(times[b]), 4) for b, _ in spans],
                x=[round(float(times[e] - times[b]), 4) for b, e in spans],
                y=[strip] * len(spans),
                orientation="h",
                name=word,
                marker={"color": colour or f"hsl({37 * kinds.index(word) % 360},55%,60%)"},
                hovertemplate=f"{word}<br>%{{base:.2f}} s<extra></extra>",
                marker_line_width=0,
            )
    figure.update_layout(
        barmode="overlay",
        height=230,
        margin={"l": 70, "r": 15, "t": 10, "b": 40},
        template="plotly_white",
        legend={"orientation": "h", "y": -0.35},
        xaxis={"title": "simulated time [s]"},
        yaxis={"autorange": "reversed"},
    )
    return figure

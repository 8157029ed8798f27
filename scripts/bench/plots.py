"""The comparison and the growth as SVG files, for documents: no extra is needed to draw them.

Guarantees: the same figures give the same bytes; what was not measured is not drawn; a latency's
axis is logarithmic and says so.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_plots"]

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 720, 26, 170, 90, 44, 34
OURS, PEER, HOSTILE, GRID, TEXT = "#1a73e8", "#9aa0a6", "#d93025", "#e0e0e0", "#202124"
HEIGHT = 340
STYLE = f'font-family="sans-serif" font-size="12" fill="{TEXT}"'

Points = Sequence[tuple[float, float]]


def _page(height: float, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" {STYLE}>\n'
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>\n'
        f'<text x="12" y="22" font-size="14">{html.escape(title)}</text>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{GRID}"/>'


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _bars(title: str, rows: Mapping[str, float], *, is_log: bool, form: str) -> str:
    """Horizontal bars; rows whose name begins with "ours" are coloured as such."""
    low, high = _decades(list(rows.values())) if is_log else (0, max(1.0, *rows.values()))
    room, bottom = WIDTH - LEFT - RIGHT, TOP + ROW * len(rows)

    def at(value: float) -> float:
        place = math.log10(value) if is_log else value
        return LEFT + room * (max(place, low) - low) / (high - low)

    ticks = [10.0**k for k in range(low, int(high) + 1)] if is_log else [0.0, 0.25, 0.5, 0.75, 1.0]
    body = []
    for tick in ticks:
        body.append(_line(at(tick), TOP - 4, at(tick), bottom))
        body.append(_text(at(tick), bottom + 18, f"{tick:g}", "middle"))
    for k, (name, value) in enumerate(rows.items()):
        y = TOP + ROW * k
        colour = OURS if name.startswith("ours") else PEER
        body.append(_text(LEFT - 8, y + 15, name, "end"))
        body.append(
            f'<rect x="{LEFT}" y="{y + 3}" width="{at(value) - LEFT:.1f}" height="{ROW - 8}" '
            f'fill="{colour}"/>'
        )
        body.append(_text(at(value) + 6, y + 15, format(value, form)))
    return _page(bottom + BOTTOM, title, body)


def _curves(title: str, unit: str, curves: Mapping[str, Points]) -> str:
    """Lines over two logarithmic axes; the second curve is the hostile one."""
    every = [point for points in curves.values() for point in points]
    (x0, x1), (y0, y1) = (_decades([point[k] for point in every]) for k in (0, 1))
    left, right, bottom = 60, WIDTH - 130, HEIGHT - 40

    def x(value: float) -> float:
        return left + (right - left) * (math.log10(value) - x0) / (x1 - x0)

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * (math.log10(value) - y0) / (y1 - y0)

    body = []
    for k in range(x0, x1 + 1):
        body += [_line(x(10.0**k), TOP, x(10.0**k), bottom)]
        body += [_text(x(10.0**k), bottom + 18, f"{10.0**k:g}", "middle")]
    for k in range(y0, y1 + 1):
        body += [_line(left, y(10.0**k), right, y(10.0**k))]
        body += [_text(left - 6, y(10.0**k) + 4, f"{10.0**k:g}", "end")]
    body.append(_text(right, bottom + 32, unit, "end"))
    for (name, points), colour in zip(curves.items(), (OURS, HOSTILE), strict=False):
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)
        body.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [
            f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in points
        ]
        body.append(_text(x(points[-1][0]) + 8, y(points[-1][1]) + 4, name))
    return _page(HEIGHT, title, body)


def _growth_curves(sizes: Mapping[str, Any], figures: Mapping[str, str]) -> dict[str, Points]:
    out: dict[str, Points] = {}
    for stream, figure in figures.items():
        points = [
            (float(size), float(one[stream][figure]))
            for size, one in sizes.items()
            if stream in one and one[stream][figure] > 0.0
        ]
        if points:
            label = f"{stream}, {figure.removesuffix('_us').replace('_', ' ')}"
            out[label] = points
    return out


def _drawn(document: Mapping[str, Any]) -> dict[str, str]:
    out: dict[str, str] = {}
    ran = {**document.get("comparison", {}), **document.get("peers", {})}
    ran = {name: one for name, one in ran.items() if "missing" not in one}
    if ran:
        latency = {name: one["p50_us"] for name, one in ran.items()}
        out["latency"] = _bars(
            "one decision, wall median on nominal commands [µs, log]", latency,
            is_log=True, form=".1f",
        )  # fmt: skip
        through = {
            name: one["let_through"] for name, one in ran.items() if one["let_through"] is not None
        }
        if through:
            out["let_through"] = _bars(
                "share of random commands let through", through, is_log=False, form=".1%"
            )
    grown = document.get("growth") or {}
    for key, unit in (("joints", "joints"), ("volumes", "spheres"), ("points", "points")):
        figures = {"nominal": "p50_us", "attacked": "cpu_p99_us"}
        curves = _growth_curves(grown.get(key, {}), figures)
        if curves:
            out[f"growth_{key}"] = _curves(
                f"one decision [µs, log] over {unit} [log]", unit, curves
            )
    return out


def write_plots(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what `--json` reports into `folder`, made if absent; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in _drawn(document).items():
        path = folder / f"bench_{name}.svg"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written

"""The strips above the curves: what the policy did, what the controller answered, what was broken.

Guarantees: a tick of the worst outcome in a cell colours all of it, so that none is hidden.
"""

from __future__ import annotations

import html

import numpy as np
import numpy.typing as npt

from .chart import bands
from .thin import runs_of
from .trace import Trace

__all__ = ["strips_html"]

ROW = 100  # units of height
# From harmless to grave; the worst of a cell is shown.
SEVERITY = ("pass", "clamp", "resample", "refuse", "stop")


def _blocks(trace: Trace, codes: npt.NDArray[np.int64], styles: list[str]) -> str:
    """Rectangles of the codes that have a style; code 0 has none."""
    time_ms = np.rint(1e3 * np.r_[trace.time_s, trace.duration_s]).astype(np.int64)
    return "".join(
        f'<rect class="{html.escape(styles[code])}" x="{time_ms[first]}" y="0" '
        f'width="{max(1, time_ms[last] - time_ms[first])}" height="{ROW}"/>'
        for code, first, last in runs_of(codes)
        if code > 0
    )


def _strip(trace: Trace, title: str, content: str, labels: str = "") -> str:
    width = max(1, round(1e3 * trace.duration_s))
    return (
        f'<div class="plot strip"><span class="name">{html.escape(title)}</span>'
        f'<div class="inner"><svg viewBox="0 0 {width} {ROW}" preserveAspectRatio="none">'
        f"{content}</svg>{labels}</div></div>"
    )


def strips_html(trace: Trace) -> str:
    """Attacks, outcomes where there are any, violations; then the axis of time."""
    duration_s = max(trace.duration_s, 1e-9)
    labels = "".join(
        f'<span class="label" data-kind="{html.escape(item.kind)}" '
        f'data-first="{trace.time_s[item.first]:.3f}" '
        f'data-last="{trace.time_s[item.last - 1]:.3f}" '
        f'style="left:{100.0 * trace.time_s[item.first] / duration_s:.3f}%">'
        f"{html.escape(item.kind)}</span>"
        for item in trace.stretches()
        if item.is_attack
    )
    parts = [_strip(trace, "attacks", bands(trace, ROW), labels)]
    if bool((trace.outcome >= 0).any()):
        rank = [SEVERITY.index(name) + 1 if name in SEVERITY else 0 for name in trace.outcomes]
        codes = np.array([*rank, 0], dtype=np.int64)[trace.outcome]  # -1 is the 0 at the end
        styles = ["", *(f"o-{name}" for name in SEVERITY)]
        parts.append(_strip(trace, "outcomes", _blocks(trace, codes, styles)))
    broken = trace.in_violation.astype(np.int64)
    parts.append(_strip(trace, "in violation", _blocks(trace, broken, ["", "broken"])))
    ticks = "".join(
        f'<span style="left:{20 * k}%">{duration_s * k / 5.0:.1f} s</span>' for k in range(6)
    )
    return f'{"".join(parts)}<div class="plot time"><div class="inner">{ticks}</div></div>'

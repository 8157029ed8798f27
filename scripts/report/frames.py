"""The rendered frames of both runs, inlined, side by side, attack by attack.

Guarantees: only PNG files directly inside `frames/` are read, each and all of bounded size; a file
that is absent or something else leaves an empty place.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["frames_html"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
FRAME_BYTES_MAX = 512 << 10
ALL_BYTES_MAX = 3 << 20
RUNS = ("unguarded", "guarded")


def _image(folder: Path, name: object, left: int) -> bytes | None:
    """The bytes of one frame, None if there is none that fits."""
    if not isinstance(name, str) or Path(name).name != name:
        return None
    try:
        with (folder / name).open("rb") as stream:
            data = stream.read(min(FRAME_BYTES_MAX, left) + 1)
    except OSError:
        return None
    is_whole = len(data) <= min(FRAME_BYTES_MAX, left)
    return data if is_whole and data.startswith(PNG_SIGNATURE) else None


def frames_html(summary: Mapping[str, Any], folder: Path, period_s: float) -> str:
    """A figure for each kind of attack: a row a run, a column a moment."""
    found: dict[str, dict[int, dict[str, bytes]]] = {}
    left = ALL_BYTES_MAX
    for run in RUNS:
        for frame in summary[run].get("frames", ()):
            data = _image(folder, frame.get("file"), left)
            if data is not None:
                left -= len(data)
                moments = found.setdefault(str(frame["kind"]), {})
                moments.setdefault(int(frame["after_ticks"]), {})[run] = data
    if not found:
        return "<p>No frames were rendered.</p>"
    return "".join(_figure(kind, moments, period_s) for kind, moments in found.items())


def _figure(kind: str, moments: Mapping[int, Mapping[str, bytes]], period_s: float) -> str:
    cells = []
    for run in RUNS:
        cells.append(f'<span class="run {run}">{run}</span>')
        for after in sorted(moments):
            data = moments[after].get(run)
            caption = f"{html.escape(kind)}, {run}, {after * period_s:.2f} s after it began"
            if data is None:
                cells.append('<span class="no-frame">no frame</span>')
                continue
            source = base64.b64encode(data).decode("ascii")
            cells.append(
                f'<img loading="lazy" alt="{caption}" title="{caption}" '
                f'src="data:image/png;base64,{source}">'
            )
    heads = "".join(f"<small>+{after * period_s:.2f} s</small>" for after in sorted(moments))
    return (
        f'<figure class="frames"><figcaption><button data-kind="{html.escape(kind)}">'
        f"{html.escape(kind)}</button></figcaption>"
        f'<div class="grid" style="--moments:{len(moments)}"><span></span>{heads}{"".join(cells)}'
        "</div></figure>"
    )

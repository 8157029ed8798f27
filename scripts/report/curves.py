"""Traces of a demo, thinned for plotting without hiding a peak.

Guarantees: a thinned curve keeps the smallest and the largest value of every stretch that it
merges, at their own times; a stretch with a gap (NaN) keeps a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...limits.errors import InputError

__all__ = ["POINTS_MAX", "Trace", "read_trace", "stretches", "thin"]

POINTS_MAX = 1600  # of one curve
FIELDS = (
    "clearance_m",
    "contact_force_n",
    "executed_dq",
    "executed_q",
    "kind",
    "kinds",
    "outcome",
    "outcomes",
    "proposed",
    "score",
    "tcp_speed_m_s",
    "time_s",
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One run's first episode; see scripts/demonstration/recording.py for the columns."""

    time_s: Floats  # (t,)
    columns: dict[str, npt.NDArray[Any]]

    def column(self, name: str) -> Floats:
        """A column as float64, (t,) or (t, n)."""
        return np.asarray(self.columns[name], dtype=np.float64)

    def names(self, codes: str, table: str) -> list[str]:
        """A column of indices as the words they stand for; an index below 0 is ''."""
        words = [str(word) for word in self.columns[table]]
        return [words[code] if code >= 0 else "" for code in self.columns[codes].tolist()]


def read_trace(path: Path) -> Trace:
    """Read `trace_RUN.npz`; InputError if it is absent or lacks a column."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a trace of a demo: {error}") from error
    missing = [name for name in FIELDS if name not in columns]
    if missing:
        raise InputError(f"{path}: the trace has no column {', '.join(missing)}")
    return Trace(np.asarray(columns["time_s"], dtype=np.float64), columns)


def thin(time_s: Floats, values: Floats, points_max: int = POINTS_MAX) -> tuple[Floats, Floats]:
    """(time, value) of at most points_max points, extremes kept; values (t,)."""
    count = values.size
    if count <= points_max:
        return time_s, values
    width = -(-count // (points_max // 2))
    chosen: list[int] = []
    for begin in range(0, count, width):
        part = values[begin : begin + width]
        if bool(np.isnan(part).all()):
            chosen.append(begin)
            continue
        chosen.extend(sorted({begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))}))
    return time_s[chosen], values[chosen]


def stretches(words: list[str]) -> list[tuple[str, int, int]]:
    """Runs of equal words: (word, first index, index after the last)."""
    found: list[tuple[str, int, int]] = []
    begin = 0
    for i in range(1, len(words) + 1):
        if i == len(words) or words[i] != words[begin]:
            found.append((words[begin], begin, i))
            begin = i
    return found

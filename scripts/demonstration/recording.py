"""What a run leaves behind for the report: a trace of its first episode, and rendered frames.

Guarantees: memory is bounded by one episode (later ones only leave one small number a tick); the
frames of both runs are taken at the same moments, counted from the onset of the same attacks.

`trace_RUN.npz`, one row a tick: tick, time_s, kind (index into kinds), proposed (n) [rad or m],
executed_q, executed_dq (n), measured_q (n), tcp_speed_m_s, clearance_m, contact_force_n (peaks of
the tick; a clearance above 0.05 m is a lower bound), in_violation, and, guarded, score and outcome
(index into outcomes; -1: none).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...limits.records import Array
from ...sim.attackers import ATTACKS

__all__ = ["KINDS", "Recorder", "Row", "write_png"]

KINDS = ("good", "recover", "swing", *ATTACKS)
FRAME_AFTER_TICKS = (0, 60, 150)  # after the first onset of each attack
LARGEST = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One tick of the first episode."""

    tick: int
    time_s: float
    proposed: Array
    executed_q: Array
    executed_dq: Array
    measured_q: Array
    tcp_speed_m_s: float
    clearance_m: float
    contact_force_n: float
    in_violation: bool


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write an RGB image (height, width, 3)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, _ = image.shape
    lines = np.concatenate(
        (np.zeros((height, 1), np.uint8), image.reshape(height, width * 3)), axis=1
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6))
        + chunk(b"IEND", b"")
    )


@dataclass(slots=True)
class Recorder:
    """Collects one run."""

    run: str
    joints: int
    rows: list[Row] = field(default_factory=list)
    row_kinds: list[int] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    frames: list[dict[str, object]] = field(default_factory=list)
    _due: dict[int, tuple[str, int]] = field(default_factory=dict)  # countdown -> (kind, after)
    _seen: set[str] = field(default_factory=set)

    def add(self, kind: str, tick: int, row: Row | None) -> None:
        """Note one tick; `row` in the first episode only."""
        code = KINDS.index(kind)
        self.ticks.append(tick)
        self.kinds.append(code)
        if row is not None:
            self.rows.append(row)
            self.row_kinds.append(code)

    def begin_attack(self, kind: str, tick: int) -> None:
        """The first onset of a kind asks for frames."""
        if kind not in self._seen:
            self._seen.add(kind)
            for after in FRAME_AFTER_TICKS:
                self._due[tick + after] = (kind, after)

    def wants_frame(self, tick: int) -> bool:
        """Whether a frame is due at this tick."""
        return tick in self._due

    def add_frame(self, tick: int, image: npt.NDArray[np.uint8], folder: Path) -> None:
        """Keep a frame as PNG."""
        kind, after = self._due.pop(tick)
        name = f"{kind}_{after:03d}_{self.run}.png"
        write_png(folder / name, image)
        self.frames.append({"kind": kind, "after_ticks": after, "tick": tick, "file": name})

    def save(self, path: Path) -> None:
        """Write the trace; outcomes and scores are the controller's, and filled in later."""
        rows, n = self.rows, self.joints

        def column(name: str) -> npt.NDArray[np.float32]:
            # What a hostile policy proposes may be too large for 32 bits.
            exact = np.array([getattr(row, name) for row in rows], dtype=np.float64)
            values = np.clip(exact, -LARGEST, LARGEST).astype(np.float32)
            return values.reshape((len(rows), n)) if values.ndim == 2 else values

        np.savez_compressed(
            path,
            tick=np.array([row.tick for row in rows], dtype=np.int64),
            kind=np.array(self.row_kinds, dtype=np.int8),
            kinds=np.array(KINDS),
            outcome=np.full(len(rows), -1, dtype=np.int8),
            score=np.full(len(rows), np.nan, dtype=np.float32),
            in_violation=np.array([row.in_violation for row in rows], dtype=bool),
            time_s=np.array([row.time_s for row in rows]),
            proposed=column("proposed"),
            executed_q=column("executed_q"),
            executed_dq=column("executed_dq"),
            measured_q=column("measured_q"),
            tcp_speed_m_s=column("tcp_speed_m_s"),
            clearance_m=column("clearance_m"),
            contact_force_n=column("contact_force_n"),
        )

"""The live table: both runs side by side, redrawn a few times a second.

Guarantees: it only listens (PUB/SUB, the newest message), in the parent's process, so that drawing
never delays a tick (trap 23).
"""

from __future__ import annotations

import json
import math
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ...controller.bus import Subscriber
from ...controller.decision_frame import decode_decision
from ...controller.errors import RemoteError
from .settings import RUNS, Meeting, RunName

__all__ = ["LiveTable"]

REDRAWS_PER_S = 4.0


class LiveTable:
    """Listens to the robots' progress and to the controller's decisions."""

    def __init__(self, meetings: dict[RunName, Meeting], joints: int, console: Console) -> None:
        self._joints = joints
        self._progress = {
            run: Subscriber(meeting.address("progress")) for run, meeting in meetings.items()
        }
        self._decisions = Subscriber(meetings["guarded"].address("decisions"))
        self._state: dict[RunName, dict[str, Any]] = {run: {} for run in RUNS}
        self._filter: dict[str, str] = {}
        self._live = Live(
            self._table(), console=console, refresh_per_second=REDRAWS_PER_S, transient=True
        )

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for subscriber in (*self._progress.values(), self._decisions):
            subscriber.close()

    def update(self) -> None:
        """Take what is new and redraw."""
        for run, subscriber in self._progress.items():
            data = subscriber.newest(0.0)
            if data is not None:
                self._state[run] = json.loads(data)
        data = self._decisions.newest(0.0)
        if data is not None:
            self._read_decision(data)
        self._live.update(self._table())

    def _read_decision(self, data: bytes) -> None:
        try:
            decision = decode_decision(data, joints=self._joints).decision
        except RemoteError:
            return
        stop = decision.stop_state
        bound = ", ".join(dict.fromkeys(finding.limit for finding in decision.findings))
        self._filter = {
            "outcome": decision.outcome.value,
            "limits that bind": bound or "-",
            "stop": f"{stop.phase}, {stop.rest_in_ticks} ticks to rest"
            + (f", latched: {stop.cause}" if stop.latched else ""),
            "score": f"{decision.scores[-1]:.3f}" if decision.scores else "-",
        }

    def _table(self) -> Table:
        table = Table(title="checkrein demo", min_width=78)
        table.add_column("", width=18)
        for run in RUNS:
            table.add_column(run, width=34)
        states = [self._state[run] for run in RUNS]

        def row(name: str, key: str, unit: str, digits: int) -> None:
            table.add_row(name, *(_shown(state.get(key), unit, digits) for state in states))

        row("episode", "episode", "", 0)
        row("simulated time", "time_s", "s", 1)
        table.add_row("the policy", *(str(state.get("kind", "starting")) for state in states))
        row("TCP speed", "tcp_speed_m_s", "m/s", 2)
        row("clearance", "clearance_m", "m", 3)
        row("contact force", "contact_force_n", "N", 1)
        table.add_row("ticks in violation", *(_violations(state) for state in states))
        for name, value in self._filter.items():
            table.add_row(name, "", value)
        return table


def _shown(value: float | None, unit: str, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f} {unit}".strip()


def _violations(state: dict[str, Any]) -> str:
    counts: dict[str, int] = state.get("violations", {})
    found = [f"{kind} {count}" for kind, count in counts.items() if count]
    return "\n".join(found) or ("none" if counts else "-")

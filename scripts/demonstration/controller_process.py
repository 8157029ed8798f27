"""The controller's process, and the one that writes its audit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import zmq

from ...controller.audit import AuditLog
from ...controller.audit_writer import AuditQueue, write_audit
from ...controller.bus import Endpoints
from ...controller.decision import Decision
from ...controller.errors import PeerLostError
from ...controller.service import ControllerService, ServiceReport
from ...limits.declared import ClassifierLimits
from ...limits.loading import load_limits
from .children import is_wanted
from .settings import Meeting, Settings

__all__ = ["OUTCOMES", "run_audit", "run_bare_controller", "run_controller"]

OUTCOMES = ("pass", "clamp", "resample", "refuse", "stop")
AUDIT_CONNECT_MS = 30_000.0
PUBLISH_EVERY_TICKS = 25  # the table is redrawn a few times a second


class _Log:
    """One row a decision, for the summary and the report."""

    def __init__(self) -> None:
        self._ticks: list[int] = []
        self._outcomes: list[int] = []
        self._scores: list[float] = []
        self._decide_ns: list[int] = []

    def note(self, tick: int, decision: Decision, decide_ns: int) -> None:
        self._ticks.append(tick)
        self._outcomes.append(OUTCOMES.index(decision.outcome.value))
        self._scores.append(decision.scores[-1] if decision.scores else np.nan)
        self._decide_ns.append(decide_ns)

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            tick=np.array(self._ticks, dtype=np.int64),
            outcome=np.array(self._outcomes, dtype=np.int8),
            score=np.array(self._scores, dtype=np.float32),
            decide_ns=np.array(self._decide_ns, dtype=np.int64),
        )


def run_audit(settings: Settings, meeting: Meeting) -> None:
    """Write what the controller records until it closes the chain."""
    path = Path(settings.out) / "audit.mcap"
    write_audit(meeting.address("audit"), path, lambda: is_wanted(meeting))


def run_controller(settings: Settings, meeting: Meeting) -> None:
    """Serve until the robot says goodbye."""
    limits = load_limits(settings.frozen)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    queue = AuditQueue(context, meeting.address("audit"))
    try:
        if not queue.wait_connected(AUDIT_CONNECT_MS):
            raise PeerLostError("the audit writer is not there")
        audit, log = AuditLog(queue.submit), _Log()
        if settings.realtime:
            audit = AuditLog(queue.submit, wait_ms=0.0)
        service = ControllerService(
            limits,
            Endpoints.in_folder(Path(meeting.folder)),
            audit=audit,
            lockstep=not settings.realtime,
            publish_every_ticks=PUBLISH_EVERY_TICKS,
            watch=log.note,
        )
        report = service.run(lambda: is_wanted(meeting))
        service.close()
    finally:
        queue.close()
        context.term()
    log.save(meeting.path("controller.npz"))
    data = json.dumps(_summary(report, audit))
    meeting.path("controller.json").write_text(data, encoding="utf-8")
    if report.halted is not None:
        raise PeerLostError(f"nothing left the controller any more: {report.halted}")


def _summary(report: ServiceReport, audit: AuditLog) -> dict[str, object]:
    return {
        "ticks": report.ticks,
        "sessions": report.sessions,
        "armed": report.armed,
        "ended": report.ended,
        "outcomes": dict(report.outcomes),
        "findings": dict(report.findings),
        "rejected_policy": dict(report.rejected_policy),
        "rejected_robot": dict(report.rejected_robot),
        "unreadable": report.unreadable,
        "scored": report.scored,
        "vetoed": report.vetoed,
        "audit": {"records": audit.records, "head_sha256": audit.head_sha256},
    }


def run_bare_controller(settings: Settings, meeting: Meeting) -> None:
    """The controller alone, for the tests that kill it: no audit, and no classifier, which would
    veto being fast with an object on the tool."""
    none = ClassifierLimits(None, None, None, None, "left out, so that the arm may be fast")
    limits = replace(load_limits(settings.frozen), classifier=none)
    service = ControllerService(limits, Endpoints.in_folder(Path(meeting.folder)))
    service.run(lambda: is_wanted(meeting))
    service.close()

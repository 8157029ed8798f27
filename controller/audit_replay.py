"""Replays an audit file: every decision is derived again from its logged inputs, bit by bit.

Guarantees:
- The decisions compared are whole: setpoint, stop, outcome, findings, scores, stop state, digests.
- Nothing of the logged decision is used to derive the new one; only what the filter was given is.
- Exact for the versions that the header names, on the same CPU family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..limits.declared import Limits
from .audit import (
    AnyRecord,
    ArmRecord,
    ChangeRecord,
    DecisionRecord,
    HeaderRecord,
    ResetRecord,
    StartRecord,
)
from .audit_reader import Problem, read_records
from .decide import Scorer
from .decision_frame import encode_decision
from .errors import ArmError, RemoteError
from .filter import SafetyFilter
from .wire import unpack_command, unpack_state

__all__ = ["Replay", "replay"]

PROBLEMS_MAX = 20


@dataclass(slots=True)
class Replay:
    """The result: how many decisions were derived again, and which came out differently."""

    decisions: int = 0
    different: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Every decision came out the same."""
        return not self.problems


def replay(
    path: Path, limits: Limits, *, scorer: Scorer | None = None, changed: Sequence[Limits] = ()
) -> Replay:
    """Derive every decision of `path` again under `limits`.

    changed: what the limits were tightened to on the way, in any order; digests tell them apart.
    """
    found = Replay()
    known = {one.sha256: one for one in (limits, *changed)}
    guard = SafetyFilter(limits, scorer=scorer)
    for record in read_records(path):
        try:
            what, guard = _apply(record, known, limits, scorer, guard, found)
        except (ArmError, RemoteError, ValueError) as error:
            what = f"cannot be replayed: {error}"
        if what is not None:
            found.problems.append(Problem(record.index, what))
        if len(found.problems) >= PROBLEMS_MAX:
            break
    return found


def _apply(
    record: AnyRecord,
    known: dict[str, Limits],
    limits: Limits,
    scorer: Scorer | None,
    guard: SafetyFilter,
    found: Replay,
) -> tuple[str | None, SafetyFilter]:
    """Give one record to the filter; what is wrong with it, and the filter to go on with."""
    if isinstance(record, HeaderRecord) and record.limits_sha256 != limits.sha256:
        return f"it was made under limits {record.limits_sha256}, not {limits.sha256}", guard
    if isinstance(record, StartRecord):
        return None, SafetyFilter(guard.limits, scorer=scorer)
    if isinstance(record, ChangeRecord):
        wanted = known.get(record.limits_sha256)
        if wanted is None:
            return f"the limits were changed to {record.limits_sha256}: give them, too", guard
        if wanted.sha256 != guard.limits.sha256:
            guard.tighten(wanted)
        if record.tool != guard.limits.tool:
            guard.set_tool(record.tool)
        if record.payload != guard.limits.payload:
            guard.set_payload(record.payload)
    elif isinstance(record, ArmRecord):
        state = unpack_state(record.state, len(limits.joints))
        guard.arm(state, now_ns=record.now_ns, recover=record.recover)
    elif isinstance(record, ResetRecord):
        guard.reset()
    elif isinstance(record, DecisionRecord):
        return _decide_again(record, limits, guard, found), guard
    return None, guard


def _decide_again(
    record: DecisionRecord, limits: Limits, guard: SafetyFilter, found: Replay
) -> str | None:
    wires = record.candidates
    decision = guard.step(
        unpack_state(record.state, len(limits.joints)),
        None if wires is None else tuple(unpack_command(wire) for wire in wires),
        now_ns=record.now_ns,
    )
    found.decisions += 1
    again = encode_decision(record.session, record.tick, decision)
    if again == record.decision:
        return None
    found.different += 1
    return f"the decision comes out differently: {_difference(record.decision, again)}"


def _difference(logged: bytes, again: bytes) -> str:
    """The first field that differs."""
    try:
        before: dict[str, Any] = msgspec.msgpack.decode(logged)
        after: dict[str, Any] = msgspec.msgpack.decode(again)
    except msgspec.MsgspecError:
        return "the logged one cannot be read"
    for name, value in after.items():
        if before.get(name) != value:
            if isinstance(value, dict):
                return f"{name}"
            return f"{name} was {before.get(name)!r}, is {value!r}"
    return "the order of its fields"

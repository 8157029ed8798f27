"""The decisions of a batch in one tick: arrays, and each row's full record when it is asked for.

Guarantees: `decision(k)` is the record that a filter of its own would have returned for row k, bit
for bit; the arrays are its numbers, read-only. Words are only made for the rows that are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..limits import batch_calls, tick
from ..limits.core import Core
from ..limits.records import Array, Command, Mode, frozen_array
from ..limits.stops import setpoint_of
from .admission import command_fault
from .batch_memory import PHASES, Flags, Whole
from .conclusion import status_of
from .decision import Decision, Finding, Outcome
from .findings import expired, findings_of
from .stop_state import Phase

__all__ = ["NOT_STEPPED", "OUTCOMES", "BatchDecision", "Given", "Reasons"]

OUTCOMES = tuple(Outcome)
NOT_STEPPED = -1


class Given(NamedTuple):
    """What a batch was asked to decide on; b rows."""

    q: Array  # (b, n)
    dq: Array  # (b, n)
    wrench_tcp: Array | None  # (b, 6)
    values: Array  # (b, w)
    mode: Mode
    seq: Whole  # (b,)
    valid_ms: Array | None  # (b,)
    now_ns: Whole  # (b,)
    state_ns: Whole  # (b,) when it was measured
    command_ns: Whole  # (b,) when it was proposed
    where: Flags  # (b,) rows that are stepped
    proposed: Flags  # (b,) rows with a new command

    def command(self, k: int) -> Command:
        """What row k proposes."""
        valid_ms = None if self.valid_ms is None else float(self.valid_ms[k])
        stamp_ns = int(self.command_ns[k])
        return Command(self.mode, self.values[k], int(self.seq[k]), stamp_ns, valid_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Reasons:
    """What the words of a decision are made of."""

    core: Core
    given: Given
    result: Whole  # (b,) see limits.batch_calls
    counts: Whole  # (b,)
    found: Array  # (b, f, 4)
    phase: Whole  # (b,) index into PHASES
    before_seq: Whole  # (b,) of the command admitted last before this tick, where has_before
    has_before: Flags
    plan_seq: Whole  # (b,) of the plan that was followed last
    plan_over: Whole  # (b,) by how many ticks it is over, for the expired
    continues: Whole  # (b, 2)
    cause: dict[int, str]
    single: dict[int, Decision]  # rows that were decided one by one


@dataclass(frozen=True, slots=True, eq=False)
class BatchDecision:
    """One tick of b environments, n joints. Rows that were not stepped: outcome NOT_STEPPED.

    Where a row was not stepped, its motion is still where it was sent last.
    """

    outcome: Whole  # (b,) index into OUTCOMES, in order of severity
    motion: Array  # (b, n + 1, 3 + m) setpoints with their stops, see limits.core
    stop_tick: Whole  # (b,) ticks of the certified stop played in a row; 0: fresh motion
    seq: Whole  # (b,) number of the setpoint
    now_ns: Whole  # (b,)
    latched: Flags  # (b,) needs reset and arm
    at_rest: Flags  # (b,) nothing is left to brake
    rest_in_ticks: Whole  # (b,) of the stop behind the setpoint
    reasons: Reasons

    @property
    def q(self) -> Array:
        """(b, n) [rad or m] at the end of the tick."""
        return self.motion[:, :-1, 0]

    @property
    def dq(self) -> Array:
        """(b, n) [rad/s or m/s]."""
        return self.motion[:, :-1, 1]

    @property
    def ddq(self) -> Array:
        """(b, n) [rad/s² or m/s²]."""
        return self.motion[:, :-1, 2]

    def outcomes(self) -> tuple[str, ...]:
        """The outcomes by name; "" for a row that was not stepped."""
        names = (*(outcome.value for outcome in OUTCOMES), "")
        return tuple(names[code] for code in self.outcome.tolist())

    def findings(self, k: int) -> tuple[Finding, ...]:
        """What bound row k, or was wrong with what it was given."""
        why = self.reasons
        if k in why.single:
            return why.single[k].findings
        core, result = why.core, int(why.result[k])
        if result == batch_calls.EXPIRED:
            return (expired(core, int(why.plan_seq[k]), int(why.plan_over[k])),)
        if result == batch_calls.NOT_FINITE:
            before = int(why.before_seq[k]) if why.has_before[k] else None
            fault = command_fault(core, why.given.command(k), before, int(self.now_ns[k]))
            return () if fault is None else (fault,)
        return tuple(findings_of(core, core.described(why.found[k, : int(why.counts[k])])))

    def decision(self, k: int) -> Decision:
        """Row k's decision in full; IndexError if the row was not stepped."""
        why = self.reasons
        if self.outcome[k] == NOT_STEPPED:
            raise IndexError(f"environment {k} was not stepped in this tick (where is False there)")
        if k in why.single:
            return why.single[k]
        core, result = why.core, int(why.result[k])
        is_followed = result in (tick.PASSED, tick.ALTERED, tick.STOP_TICK)
        is_accepted = is_followed or result == batch_calls.REFUSED
        phase: Phase = PHASES[why.phase[k]]
        motion = frozen_array(self.motion[k], "motion")
        return Decision(
            outcome=OUTCOMES[self.outcome[k]],
            setpoint=setpoint_of(motion, core.limits.period_s),
            findings=self.findings(k),
            scores=(),
            stop_state=status_of(
                phase, why.cause.get(k), int(self.rest_in_ticks[k]), core.limits.stop_category
            ),
            seq=int(self.seq[k]),
            continues=(int(why.continues[k, 0]), int(why.continues[k, 1])),
            stop_tick=int(self.stop_tick[k]),
            accepted=0 if is_accepted and bool(why.given.proposed[k]) else None,
            command_seq=int(why.plan_seq[k]) if is_followed else None,
            resample=False,
            now_ns=int(self.now_ns[k]),
            limits_sha256=core.limits.sha256,
            classifier_sha256=None,
            error=None,
        )

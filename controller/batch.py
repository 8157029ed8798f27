"""BatchFilter: as many filters as there are environments, decided in one call on all processors.

Guarantees:
- Row k's decisions are those of a `SafetyFilter` of its own, bit for bit, whatever the others do.
  The common ticks go through the same kernels; all others as a filter's own (`failsafe`).
- A row is armed, stopped, reset and begun anew by itself (trap 25).
- Limits with a gripper are refused when it is made: a batch takes no gripper commands.
- What one row is given, numbers that are not finite included, never raises; arrays of a wrong shape
  do: they are no row's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..limits.batch_calls import (
    COMMAND,
    CONTINUE,
    ELAPSED,
    NOT_FINITE,
    SKIP,
    STAY_STOPPED,
    UNJUDGED,
)
from ..limits.batch_core import BatchCore, cores_available
from ..limits.certify import KINDS
from ..limits.core import Core
from ..limits.declared import Limits
from ..limits.kernels.reference import MODE_CODES
from ..limits.records import Array, Mode, RobotState
from ..limits.tick import ALTERED, PASSED
from .admission import NS_PER_MS, command_fault, command_ticks, is_fresh_state, period_fault
from .arming import armed, held, retired, scorer_for
from .batch_decision import NOT_STEPPED, OUTCOMES, BatchDecision, Given, Reasons
from .batch_memory import EVENTS, IS_LATCHED, NEXT_PHASE, PHASES, BatchMemory, Flags, Whole
from .decide import Scorer
from .decision import Decision, Outcome
from .errors import ArmError, NotArmedError
from .failsafe import decide_or_stop
from .findings import refusal_of
from .stop_state import Event, Phase

__all__ = ["BatchFilter"]

Numbers = npt.ArrayLike
_MOVED, _BRAKED, _RESTED = (EVENTS.index(e) for e in (Event.MOVED, Event.BRAKED, Event.RESTED))
# Outcome of each result of the kernel (limits.batch_calls), in its order.
_OUTCOME = np.array(
    [OUTCOMES.index(Outcome.PASS), OUTCOMES.index(Outcome.CLAMP), OUTCOMES.index(Outcome.CLAMP)]
    + [OUTCOMES.index(Outcome.REFUSE)] * 4
    + [OUTCOMES.index(Outcome.STOP), NOT_STEPPED, NOT_STEPPED]
)


def _per_value(values: npt.NDArray[np.generic], judge: Callable[[int], int]) -> Whole:
    """judge(k) of the first row k with each value (b, …), for all rows with that value: (b,)."""
    if values.shape[0] == 1 or bool((values == values[:1]).all()):
        return np.full(values.shape[0], judge(0))
    _, first, inverse = np.unique(values, axis=0, return_index=True, return_inverse=True)
    answers: Whole = np.array([judge(int(k)) for k in first])
    every: Whole = answers[inverse.reshape(-1)]
    return every


def _ticks_left(motion: Array) -> Whole:
    """Ticks until the stops of motions (b, n + 1, 3 + m) rest: (b,)."""
    ticks: Whole = motion[:, -1, :-3].sum(axis=1).astype(np.int64)
    return ticks


class BatchFilter:
    """`count` filters of one robot's limits. Not thread-safe; it uses its own threads."""

    def __init__(
        self,
        limits: Limits,
        count: int,
        *,
        scorer: Scorer | None = None,
        threads: int | None = None,
    ) -> None:
        """Compile the kernels and load the declared classifier; threads: all processors if None.

        A classifier scores row by row, so with one (declared, or `scorer`) the rows are decided in
        a loop: the same decisions, at the speed of single filters. So are they for limits that
        declare a latency or a ramp. `scorer` as in SafetyFilter.
        """
        if not (count >= 1 and (threads is None or threads >= 1)):
            raise ValueError(f"count and threads: expected at least 1, got {count} and {threads}")
        if limits.perception is not None and limits.perception.required:
            raise ValueError(
                f"limits '{limits.name}': perception.required: a batch takes no obstacles; use one "
                "SafetyFilter for each robot, or limits that do not require them"
            )
        if limits.gripper is not None:
            raise ValueError(
                f"limits '{limits.name}': gripper: a batch takes no gripper commands; use one "
                "SafetyFilter for each robot, or limits without the section `gripper`"
            )
        self.limits, self.count = limits, count
        self._scorer = scorer_for(limits, scorer)
        core = self._core = Core(limits)
        refusals = {kind: refusal_of(core, kind) for kind in KINDS[1:]}
        self._batch = BatchCore(core, refusals, threads or cores_available())
        self._memory = BatchMemory(count, core.n)
        self._retired: Whole = np.zeros(count, np.int64)
        self._seen: dict[int, Array] = {}  # last finite q of rows that are not armed
        self._still = np.zeros((count, 6))

    def arm(
        self, q: Numbers, dq: Numbers, *, now_ns: Numbers, where: npt.ArrayLike | None = None
    ) -> None:
        """Seed rows from measured q, dq (b, n), at rest, as SafetyFilter.arm; all of them or none.

        where (b,): which rows, all if None. Raises ArmError that names the environment.
        """
        q, dq = self._table("q", q, self._core.n), self._table("dq", dq, self._core.n)
        times, memory, made = self._whole("now_ns", now_ns), self._memory, {}
        for k in np.flatnonzero(self._mask("where", where)).tolist():
            state = RobotState(q[k], dq[k], int(times[k]))
            before = memory.take(k) if memory.armed[k] else None
            try:
                made[k] = armed(self._core, before, int(self._retired[k]), state, int(times[k]))
            except ArmError as error:
                raise ArmError(f"environment {k}: {error}") from error
        memory.motion = memory.motion.copy()  # earlier decisions show the old one
        for k, fresh in made.items():
            memory.put(k, fresh)

    def reset(self, where: npt.ArrayLike | None = None) -> None:
        """Leave latched stops, as SafetyFilter.reset: rows that moved must have come to rest."""
        numbers = {}
        for k in np.flatnonzero(self._mask("where", where) & self._memory.armed).tolist():
            try:
                numbers[k] = retired(self._core, self._memory.take(k))
            except ArmError as error:
                raise ArmError(f"environment {k}: {error}") from error
        for k, seq in numbers.items():
            self._retired[k], self._memory.armed[k] = seq, False

    def renew(self, where: npt.ArrayLike | None = None) -> None:
        """Forget rows, as if their filters were new: for environments that were begun anew."""
        chosen = self._mask("where", where)
        self._memory.armed[chosen] = False
        self._retired[chosen] = 0
        for k in np.flatnonzero(chosen).tolist():
            self._seen.pop(k, None)

    def step(
        self,
        q: Numbers,
        dq: Numbers,
        values: Numbers | None,
        *,
        mode: Mode = "joint_velocity",
        now_ns: Numbers,
        seq: Numbers | None = None,
        valid_ms: Numbers | None = None,
        where: npt.ArrayLike | None = None,
        proposed: npt.ArrayLike | None = None,
        wrench_tcp: Numbers | None = None,
        state_ns: Numbers | None = None,
        command_ns: Numbers | None = None,
    ) -> BatchDecision:
        """Decide one tick of all rows, or of those where `where` (b,) says so.

        q, dq (b, n) and wrench_tcp (b, 6) as measured at state_ns; values (b, w): one command row
        each, all of one mode, made at command_ns; None, or False in `proposed` (b,): nothing new.
        seq: as Command.seq, else one more than the last that was admitted. Times [ns] and valid_ms
        are one for all rows or (b,); state_ns and command_ns are now_ns if None.
        Raises NotArmedError for rows that are not armed and have never been seen finite.
        """
        given = self._given(
            q, dq, values, mode, (now_ns, state_ns, command_ns), seq, valid_ms, (where, proposed),
            wrench_tcp,
        )  # fmt: skip
        return self._decide(given)

    def _decide(self, given: Given) -> BatchDecision:
        self._require_seen(given)
        memory = self._memory
        todo, ticks = self._todo(given)
        wrench = self._still if given.wrench_tcp is None else given.wrench_tcp
        mode, values = MODE_CODES.get(given.mode, 0), given.values
        if values.shape[1] == self._core.n:  # row by row: each from where it is
            values = self._core.batch_targets(mode, values, memory.motion[:, :-1, 0])
        before_seq, has_before = memory.command_seq.copy(), memory.has_commanded.copy()
        continues = memory.continues.copy()
        result, counts, left, found, motion = self._batch.advance(
            todo, given.q, given.dq, wrench, values, mode, ticks,
            memory.motion, memory.plan, memory.rows, memory.anchor,
        )  # fmt: skip
        by_kernel = (todo != SKIP) & (result != UNJUDGED)
        others = np.flatnonzero(~by_kernel)
        motion[others] = memory.motion[others]
        left[others] = _ticks_left(motion[others])
        memory.motion = motion  # a new array: what earlier decisions show does not change
        admitted = by_kernel & (todo == COMMAND) & (result != NOT_FINITE)
        memory.command_seq[admitted] = memory.plan_seq[admitted] = given.seq[admitted]
        memory.has_commanded |= admitted
        self._conclude(given, by_kernel, (result == PASSED) | (result == ALTERED), left == 0)
        outcome, seq, single = _OUTCOME[result], memory.seq.copy(), {}
        for k in np.flatnonzero(given.where & ~by_kernel).tolist():
            single[k], motion[k] = self._one(given, k)
            outcome[k], seq[k] = OUTCOMES.index(single[k].outcome), single[k].seq
            left[k] = single[k].stop_state.rest_in_ticks
        shown = motion.view()
        shown.setflags(write=False)
        phase = np.where(memory.armed, memory.phase, PHASES.index(Phase.DISARMED))
        reasons = Reasons(
            self._core, given, result, counts, found, phase, before_seq, has_before,
            memory.plan_seq.copy(), memory.plan[:, ELAPSED].copy(), continues, dict(memory.cause),
            single,
        )  # fmt: skip
        stop_tick = np.where(memory.armed, memory.stop_tick, 0)
        return BatchDecision(
            outcome, shown, stop_tick, seq, given.now_ns, IS_LATCHED[phase], left == 0, left,
            reasons,
        )  # fmt: skip

    def _conclude(self, given: Given, rows: Flags, moved: Flags, rested: Flags) -> None:
        """Take the rows of the kernel to the next tick; as `conclusion.conclude`."""
        memory = self._memory
        event = np.where(moved, _MOVED, np.where(rested, _RESTED, _BRAKED))
        memory.phase = np.where(rows, NEXT_PHASE[memory.phase, event], memory.phase)
        memory.stop_tick = np.where(
            rows, np.where(moved, 0, memory.stop_tick + 1), memory.stop_tick
        )
        memory.seq[rows] += 1
        memory.continues[rows, 0], memory.continues[rows, 1] = memory.seq[rows], 0
        memory.now_ns[rows] = given.now_ns[rows]
        memory.has_stepped |= rows

    def _todo(self, given: Given) -> tuple[Whole, Whole]:
        """What the kernel is to do with each row, and how long a command drives it, both (b,).

        SKIP: nothing, because there is nothing to do, or because `decide` has to look at it.
        """
        core, memory, timing = self._core, self._memory, self.limits.timing
        todo: Whole = np.full(self.count, SKIP)
        if self._scorer is not None or timing.latency_ticks > 0 or self.limits.ramp_s > 0.0:
            return todo, todo
        latched = IS_LATCHED[memory.phase]
        todo[given.where & memory.armed & latched] = STAY_STOPPED
        if given.wrench_tcp is None and self.limits.tcp.force_required:
            return todo, todo
        aged, last_ns = given.now_ns - given.state_ns, given.now_ns - memory.now_ns
        last_ns[~memory.has_stepped] = round(self.limits.period_s * 1e9)
        fresh = _per_value(aged, lambda k: is_fresh_state(core, int(aged[k]) / NS_PER_MS))
        on_time = _per_value(last_ns, lambda k: period_fault(core, 0, int(last_ns[k])) is None)
        ready = given.where & memory.armed & ~latched & (fresh > 0) & (on_time > 0)
        todo[ready & ~given.proposed] = CONTINUE
        if not bool(given.proposed.any()):
            return todo, todo
        ages = given.now_ns - given.command_ns
        if given.valid_ms is None:
            ticks = _per_value(ages, lambda k: self._ticks_driven(given, k))
        else:
            pairs = np.column_stack((ages.astype(np.float64), given.valid_ms))
            ticks = _per_value(pairs, lambda k: self._ticks_driven(given, k))
        is_new = ~memory.has_commanded | (given.seq > memory.command_seq)
        todo[ready & given.proposed & is_new & (ticks > 0)] = COMMAND
        return todo, ticks

    def _ticks_driven(self, given: Given, k: int) -> int:
        """For how many ticks row k's command is good, as far as its time and shape go; else 0."""
        now_ns, row = int(given.now_ns[k]), np.zeros(given.values.shape[1])
        command = replace(given.command(k), values=row)
        if command_fault(self._core, command, None, now_ns) is not None:
            return 0
        return command_ticks(self._core, command, now_ns)

    def _one(self, given: Given, k: int) -> tuple[Decision, Array]:
        """Row k by itself: its decision, and its motion (n + 1, 3 + m)."""
        memory, now_ns = self._memory, int(given.now_ns[k])
        if not memory.armed[k]:
            seen, seq = self._seen.get(k), int(self._retired[k])
            decision, seen = held(self._core, seen, seq, given.q[k], now_ns, self._scorer)
            self._seen[k] = np.array(seen)
            return decision, self._core.rest(seen)[0]
        wrench = None if given.wrench_tcp is None else given.wrench_tcp[k]
        state = RobotState(given.q[k], given.dq[k], int(given.state_ns[k]), wrench_tcp=wrench)
        proposal = given.command(k) if given.proposed[k] else None
        decision, after = decide_or_stop(
            self._core, memory.take(k), state, proposal, now_ns, self._scorer
        )
        memory.put(k, after)
        return decision, after.motion

    def _require_seen(self, given: Given) -> None:
        unarmed = np.flatnonzero(given.where & ~self._memory.armed)
        unknown = unarmed[~np.isfinite(given.q[unarmed]).all(axis=1)]
        never = [k for k in unknown.tolist() if k not in self._seen]
        if never:
            raise NotArmedError(
                f"environments {never}: no finite state has been seen yet: call arm(q, dq, …) first"
            )

    def _given(
        self,
        q: Numbers,
        dq: Numbers,
        values: Numbers | None,
        mode: Mode,
        times: tuple[Numbers, Numbers | None, Numbers | None],
        seq: Numbers | None,
        valid_ms: Numbers | None,
        masks: tuple[npt.ArrayLike | None, npt.ArrayLike | None],
        wrench_tcp: Numbers | None,
    ) -> Given:
        """Everything copied, as arrays with one row per environment."""
        memory, n = self._memory, self._core.n
        now_ns = self._whole("now_ns", times[0])
        state_ns, command_ns = (
            now_ns if time is None else self._whole(name, time)
            for name, time in (("state_ns", times[1]), ("command_ns", times[2]))
        )
        where, proposed = self._mask("where", masks[0]), self._mask("proposed", masks[1])
        if values is None:
            values, proposed = np.zeros((self.count, n)), np.zeros(self.count, np.bool_)
        if seq is None:
            numbers: Whole = np.where(memory.has_commanded, memory.command_seq, 0) + 1
        else:
            numbers = self._whole("seq", seq)
        valid = None
        if valid_ms is not None:
            valid = np.array(np.broadcast_to(np.asarray(valid_ms, np.float64), (self.count,)))
        return Given(
            q=self._table("q", q, n), dq=self._table("dq", dq, n),
            wrench_tcp=None if wrench_tcp is None else self._table("wrench_tcp", wrench_tcp, 6),
            values=self._table("values", values, None), mode=mode, seq=numbers, valid_ms=valid,
            now_ns=now_ns, state_ns=state_ns, command_ns=command_ns, where=where,
            proposed=proposed & where,
        )  # fmt: skip

    def _table(self, name: str, values: Numbers, width: int | None) -> Array:
        table = np.array(values, np.float64, order="C")
        if table.ndim != 2 or table.shape[0] != self.count or width not in (None, table.shape[1]):
            wanted = f"({self.count}, {'numbers of a command' if width is None else width})"
            raise ValueError(f"{name}: expected shape {wanted}, got {table.shape}")
        return table

    def _whole(self, name: str, values: Numbers) -> Whole:
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "iu" or numbers.shape not in ((), (self.count,)):
            raise ValueError(
                f"{name}: expected a whole number, or {self.count} of them, got {numbers.dtype} "
                f"of shape {numbers.shape}"
            )
        return np.array(np.broadcast_to(numbers, (self.count,)), np.int64)

    def _mask(self, name: str, values: npt.ArrayLike | None) -> Flags:
        if values is None:
            return np.ones(self.count, np.bool_)
        mask = np.array(values)
        if mask.dtype != np.bool_ or mask.shape != (self.count,):
            raise ValueError(
                f"{name}: expected {self.count} booleans, got {mask.dtype} of shape {mask.shape}"
            )
        return mask

"""BatchFilter: as many filters as there are environments, decided in one call on all processors.

Guarantees:
- Row k's decisions are those of a `SafetyFilter` of its own, bit for bit, whatever the other rows do.
  The common ticks go through the same kernels; all others through `decide` itself.
- A row is armed, stopped, reset and begun anew by itself (TRAPS 25).
- What one row is given, numbers that are not finite included, never raises; arrays of a wrong shape
  do: they are no row's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..limits.batch_calls import (
    ALTERED,
    COMMAND,
    CONTINUE,
    ELAPSED,
    LATCHED,
    PASSED,
    SKIP,
    STAY_STOPPED,
    TICKS,
    UNJUDGED,
)
from ..limits.batch_core import BatchCore, cores_available
from ..limits.certify import KINDS
from ..limits.core import Core
from ..limits.declared import Limits
from ..limits.kernels.reference import MODE_CODES
from ..limits.records import Array, Command, Mode, RobotState, frozen_array
from .admission import NS_PER_MS, command_fault, command_ticks, is_fresh_state, period_fault
from .arming import armed, held, retired, scorer_for
from .batch_decision import NOT_STEPPED, OUTCOMES, BatchDecision, Given, Reasons
from .batch_memory import EVENTS, IS_LATCHED, NEXT_PHASE, PHASES, BatchMemory, Flags, Whole
from .decide import Scorer, refusal_of
from .decision import Decision, Outcome
from .errors import ArmError, NotArmedError
from .failsafe import decide_or_stop
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
    return answers[inverse.reshape(-1)]


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
        a loop: the same decisions, at the speed of single filters. `scorer` as in SafetyFilter.
        """
        if not (count >= 1 and (threads is None or threads >= 1)):
            raise ValueError(f"count and threads: expected at least 1, got {count} and {threads}")
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
        for k, fresh in made.items():
            memory.put(k, fresh)

    def reset(self, where: npt.ArrayLike | None = None) -> None:
        """Leave latched stops, as SafetyFilter.reset: rows that moved must have come to rest."""
        numbers = {}
        for k in np.flatnonzero(self._mask("where", where) & self._memory.armed).tolist():
            try:
                numbers[k] = retired(self._memory.take(k))
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
            q, dq, values, mode, now_ns, seq, valid_ms, where, proposed, wrench_tcp, state_ns,
            command_ns,
        )  # fmt: skip
        return self._decide(given)

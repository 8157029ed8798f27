"""One filter, one stream of commanded joint velocities, one ideal robot: what was executed, and how
long each decision took.

Guarantees:
- Every contestant gets the same arrays (where the robot is, what is commanded) and is timed from
  them to its answer, ours included; moving the robot is outside the clocks.
- The robot does exactly what the answer means: a state, an acceleration that is reached by the end
  of the tick, one that is held, or a velocity that is held.
- An answer that is not finite, or an exception, is `no_answer`: the robot stands there and then,
  and differences are not taken across it. The run goes on.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from ...controller import SafetyFilter
from ...limits import Limits
from ...limits.records import Array, Command, Executed, RobotState
from ...sim.oracle_joints import Motion
from .measure import Nanoseconds, clock_cost_ns

__all__ = ["Answers", "Contestant", "Ours", "Run", "compete"]

# What a contestant's answer is: (q, dq, ddq) at the end of the tick; the acceleration at its end,
# reached at constant jerk; the acceleration throughout; the velocity throughout.
Answers = Literal["state", "ramp", "acceleration", "velocity"]
Answer = Array | tuple[Array, Array, Array]
WARM_UP_TICKS = 50


class Contestant(Protocol):
    """A filter for one robot."""

    answers: Answers

    def decide(self, q: Array, dq: Array, ddq: Array, wanted: Array, /) -> Answer:
        """Its answer, (n,) or three of them, for the coming tick."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one contestant made of one stream."""

    wanted: Array  # (K, n)
    motion: Motion
    wall_ns: Nanoseconds  # (K,)
    cpu_ns: Nanoseconds
    no_answer: int
    first_error: str | None


class Ours:
    """checkrein's filter, as a contestant."""

    answers: Answers = "state"

    def __init__(self, limits: Limits) -> None:
        self._guard = SafetyFilter(limits)
        self._period_ns = round(limits.period_s * 1e9)
        self._now_ns, self._seq = 1_000_000_000, 0
        self._executed: Executed | None = None
        self._still, self._wrench = np.zeros(len(limits.joints)), np.zeros(6)

    def decide(self, q: Array, dq: Array, ddq: Array, wanted: Array, /) -> Answer:
        """One `SafetyFilter.step`, and the records that it takes; arms at the first."""
        now_ns = self._now_ns
        state = RobotState(
            q, dq, now_ns, tau=self._still, wrench_tcp=self._wrench, executed=self._executed
        )
        if self._seq == 0:
            self._guard.arm(state, now_ns=now_ns)
        self._seq += 1
        command = Command("joint_velocity", wanted, self._seq, now_ns)
        decision = self._guard.step(state, command, now_ns=now_ns)
        self._executed = Executed(decision.seq, 0)
        self._now_ns = now_ns + self._period_ns
        setpoint = decision.setpoint
        return setpoint.q, setpoint.dq, setpoint.ddq


def _moved(
    answers: Answers, answer: Answer, q: Array, dq: Array, ddq: Array, period_s: float
) -> tuple[Array, ...]:
    """(q0, dq0, ddq0, q1, dq1, ddq1) of the tick that executes an answer."""
    if isinstance(answer, tuple):
        return q, dq, ddq, *answer
    if answers == "velocity":
        still = np.zeros_like(q)
        return q, answer, still, q + answer * period_s, answer, still
    start = ddq if answers == "ramp" else answer
    dq1 = dq + (start + answer) * (period_s / 2.0)
    q1 = q + dq * period_s + (2.0 * start + answer) * (period_s * period_s / 6.0)
    return q, dq, start, q1, dq1, answer


def _timed(
    contestant: Contestant, q: Array, dq: Array, ddq: Array, wanted: Array
) -> tuple[Answer | None, str | None, int, int]:
    """(answer, error, wall [ns], CPU [ns])."""
    answer, error = None, None
    cpu_before = time.process_time_ns()
    before = time.perf_counter_ns()
    try:
        answer = contestant.decide(q, dq, ddq, wanted)
    except Exception as caught:  # a peer's way of saying no
        error = f"{type(caught).__name__}: {caught}".strip().splitlines()[0]
    after = time.perf_counter_ns()
    return answer, error, after - before, time.process_time_ns() - cpu_before


def compete(contestant: Contestant, home: Array, wanted: Array, period_s: float) -> Run:
    """Run a stream (K, n) from rest at home (n,)."""
    (ticks, n), zero = wanted.shape, np.zeros_like(home)
    rows, run = np.zeros((6, ticks, n)), np.zeros(ticks, np.int64)
    wall, cpu = np.zeros(ticks, np.int64), np.zeros(ticks, np.int64)
    q, dq, ddq = np.array(home), zero, zero
    clock_ns, failures, first_error, stretch = clock_cost_ns(), 0, None, 0
    for _ in range(WARM_UP_TICKS):
        _timed(contestant, q, dq, ddq, zero)
    gc.collect()
    gc.freeze()
    try:
        for k in range(ticks):
            answer, error, wall[k], spent = _timed(contestant, q, dq, ddq, wanted[k])
            cpu[k] = max(0, spent - clock_ns)
            if answer is not None and not np.isfinite(answer).all():
                answer = None
            if answer is None:
                failures, stretch = failures + 1, stretch + 2
                first_error = first_error or error or "the answer is not finite"
                row: tuple[Array, ...] = (q, zero, zero, q, zero, zero)
            else:
                row = _moved(contestant.answers, answer, q, dq, ddq, period_s)
            for part in range(6):
                rows[part, k] = row[part]
            run[k] = stretch - 1 if answer is None else stretch
            q, dq, ddq = row[3:]
    finally:
        gc.unfreeze()
    q0, dq0, ddq0, q1, dq1, ddq1 = rows
    motion = Motion(q0, dq0, ddq0, q1, dq1, ddq1, run)
    return Run(wanted, motion, wall, cpu, failures, first_error)

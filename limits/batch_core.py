"""`Core` for a batch: the kernel of `batch_calls` on all processors.

Guarantees: a row's result does not depend on the batch, on the number of threads or on which of
them computes it: each has scratch memory of its own, and each row's kernel starts from its inputs.

Threads of Python, which a kernel leaves running beside it (`nogil`), and not numba's: its layers
end the process when two threads use them at once (workqueue) or after a fork (OpenMP), and a vector
environment of subprocesses forks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from .batch_calls import ALWAYS, DEPENDS, NEVER, PLAN_COLUMNS, SKIP, SKIPPED, Whole, advance_rows
from .certify import KINDS
from .core import Core
from .kernels.jit import seal
from .project import FOUND_MAX
from .records import Array

__all__ = ["BatchCore", "cores_available"]

# Rows that a thread takes at a time: few enough to share them evenly, enough to forget the call.
ROWS_AT_ONCE = 64


def cores_available() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class BatchCore:
    """The batch kernel for one set of limits. Not thread-safe: one batch at a time."""

    def __init__(self, core: Core, refusals: dict[str, bool | None], threads: int) -> None:
        """Compile; refusals: for each limit kind, whether it refuses (None: it depends)."""
        self.core = core
        self._refuses: Whole = np.array(
            [
                {True: ALWAYS, False: NEVER, None: DEPENDS}[refusals.get(kind, False)]
                for kind in KINDS
            ]
        )
        self._threads = threads
        n = self._n = self.core.n
        self._absent = np.zeros(n)
        self._own = [(self.core.scratch(), np.zeros((3, n))) for _ in range(threads)]
        self._pool: ThreadPoolExecutor | None = None
        self._pool_pid = 0
        self._compile()

    def advance(
        self,
        todo: Whole,
        q: Array,
        dq: Array,
        wrench: Array,
        values: Array,
        mode: int,
        ticks: Whole,
        motion: Array,
        plan: Whole,
        rows: Array,
        anchor: Array,
    ) -> tuple[Whole, Whole, Whole, Array, Array]:
        """Result (b,), counts (b,), ticks left (b,), found (b, f, 4), motions (b, n + 1, 3 + m).

        See `advance_rows`; of a row that was not decided, only the result means anything.
        """
        count, limits = todo.shape[0], self.core.limits
        result = np.full(count, SKIPPED)
        counts, left = np.zeros(count, np.int64), np.zeros(count, np.int64)
        found, out = np.empty((count, FOUND_MAX, 4)), np.empty_like(motion)
        if not bool((todo != SKIP).any()):
            return result, counts, left, found, out
        shared = (
            todo, limits.tcp.max_force, limits.period_s, self._refuses, q, dq, wrench, values, mode,
            ticks, motion, plan, rows, anchor, result, counts, left, found, out,
        )  # fmt: skip
        parts = iter(range(0, count, ROWS_AT_ONCE))  # `next` on it is atomic
        more = min(self._threads, -(-count // ROWS_AT_ONCE)) - 1  # threads beside this one
        begun = [
            self._workers().submit(self._work, own, parts, count, shared)
            for own in self._own[1 : 1 + more]
        ]
        try:
            self._work(self._own[0], parts, count, shared)
        finally:
            wait(begun)
        for future in begun:
            future.result()
        return result, counts, left, found, out

    def _work(
        self,
        own: tuple[Array, Array],
        parts: Iterator[int],
        count: int,
        shared: tuple[Any, ...],
    ) -> None:
        model, (scratch, wanted) = self.core.model, own
        for first in parts:
            last = min(first + ROWS_AT_ONCE, count)
            advance_rows(model, scratch, wanted, self._absent, first, last, *shared)

    def _workers(self) -> ThreadPoolExecutor:
        """The pool; a new one after a fork, which leaves the threads behind."""
        if self._pool is None or self._pool_pid != os.getpid():
            self._pool = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="checkrein")
            self._pool_pid = os.getpid()
        return self._pool

    def _compile(self) -> None:
        n, home = self._n, self.core.limits.home
        motion, _ = self.core.rest(home)
        one: Whole = np.ones(1, np.int64)
        self.advance(
            3 * one, np.array(home[None]), np.zeros((1, n)), np.zeros((1, 6)), np.zeros((1, n)), 0,
            one, np.array(motion[None]), np.zeros((1, PLAN_COLUMNS), np.int64), np.zeros((1, n)),
            np.zeros((1, 2, n)),
        )  # fmt: skip
        seal(advance_rows)

"""`calls` for many robots of one kind: a tick of each row of a batch, one after the other.

Guarantees: each row is decided by the very kernels that decide a single robot, from its own row of
every array and from nothing that another row has left, so neither its place in the batch nor who
computes it matters. What is not the common case is left alone and reported as UNJUDGED.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .calls import brake, follow, is_finite, state_holds
from .kernels.jit import entry, kernel
from .kernels.packed import Floats
from .tick import ALTERED, PASSED, STOP_TICK, ticks_left

__all__ = [
    "EXPIRED",
    "IDLE",
    "LATCHED",
    "NOT_FINITE",
    "REFUSED",
    "SKIPPED",
    "UNJUDGED",
    "advance_rows",
]

Whole = npt.NDArray[np.int64]

# What is to be done with a row.
SKIP, STAY_STOPPED, CONTINUE, COMMAND = 0, 1, 2, 3
# What came of it, beside PASSED, ALTERED and STOP_TICK: a tick of the stop for REFUSED (a limit
# that is declared so), IDLE (nothing to follow), EXPIRED, NOT_FINITE (the command) and LATCHED.
REFUSED, IDLE, EXPIRED, NOT_FINITE, LATCHED, UNJUDGED, SKIPPED = 3, 4, 5, 6, 7, 8, 9
# Columns of `plan`: mode, numbers in a row, ticks that it drives the robot (0: none), ticks done
# (once expired: ticks beyond).
MODE, WIDTH, TICKS, ELAPSED = 0, 1, 2, 3
PLAN_COLUMNS = 4
# Whether a kind of limit refuses when it binds.
NEVER, ALWAYS, DEPENDS = 0, 1, 2


@kernel
def _take(
    motion: Floats, values: Floats, mode: int, ticks: int, plan: Whole, row: Floats, anchor: Floats
) -> None:
    """Make a command of one row the plan: values (w,), row (w or more,), anchor (2, n)."""
    for p in range(values.shape[0]):
        row[p] = values[p]
    for i in range(anchor.shape[1]):
        anchor[0, i], anchor[1, i] = motion[i, 0], motion[i, 1]
    plan[MODE], plan[WIDTH], plan[TICKS], plan[ELAPSED] = mode, values.shape[0], ticks, 0


@kernel
def _refusal(refuses: Whole, found: Floats, count: int) -> int:
    """Whether what bound refuses the proposal."""
    worst = NEVER
    for f in range(count):
        answer = refuses[int(found[f, 0])]
        if answer == ALWAYS:
            return ALWAYS
        worst = max(worst, answer)
    return worst


@entry
# tidy: kernel
def advance_rows(
    model: Floats,
    scratch: Floats,
    wanted: Floats,
    absent: Floats,
    first: int,
    last: int,
    todo: Whole,
    force_max_n: float,
    period_s: float,
    refuses: Whole,
    q: Floats,
    dq: Floats,
    wrench: Floats,
    values: Floats,
    mode: int,
    ticks: Whole,
    motion: Floats,
    plan: Whole,
    rows: Floats,
    anchor: Floats,
    result: Whole,
    counts: Whole,
    left: Whole,
    found: Floats,
    out: Floats,
) -> None:
    """Decide rows first..last-1 of a batch of b; the others' memory is not touched.

    scratch and wanted (3, n) are the caller's own; absent (n,) zeros. todo (b,) see above; q, dq
    (b, n) and wrench (b, 6) as measured; values (b, w) commands of one mode, each good for
    ticks (b,); motion (b, n + 1, 3 + m), plan (b, 4), rows (b, w or more) and anchor (b, 2, n) are
    the memory, of which all but motion is updated. Writes result (b,), found (b, f, 4) with its
    counts (b,), the next motions, out, and how many ticks are left of their stops (b,).
    """
    for k in range(first, last):
        counts[k] = 0
        if todo[k] == SKIP:
            result[k] = SKIPPED
            continue
        now, next_ = motion[k], out[k]
        if todo[k] == STAY_STOPPED:
            brake(model, scratch, now, next_)
            result[k], left[k] = LATCHED, ticks_left(next_)
            continue
        if not state_holds(
            model, scratch, now, q[k], dq[k], absent, absent, wrench[k], force_max_n
        ):
            result[k] = UNJUDGED
            continue
        what = IDLE
        if todo[k] == COMMAND:
            if is_finite(values[k]):
                _take(now, values[k], mode, ticks[k], plan[k], rows[k], anchor[k])
            else:
                what = NOT_FINITE
                plan[k, TICKS] = 0
        if plan[k, TICKS] > 0 and plan[k, ELAPSED] >= plan[k, TICKS]:
            what = EXPIRED
            plan[k, ELAPSED], plan[k, TICKS] = plan[k, ELAPSED] - plan[k, TICKS], 0
        if plan[k, TICKS] > 0:
            row = rows[k][: plan[k, WIDTH]].reshape((1, plan[k, WIDTH]))
            what, counts[k] = follow(
                model, scratch, now, plan[k, MODE], row, 0.0, anchor[k],
                plan[k, ELAPSED] * period_s, wanted, found[k], next_,
            )  # fmt: skip
            refusal = NEVER if what == PASSED else _refusal(refuses, found[k], counts[k])
            if refusal == DEPENDS:
                result[k] = UNJUDGED
                continue
            if refusal == ALWAYS:
                what = REFUSED
                plan[k, TICKS] = 0
            else:
                plan[k, ELAPSED] += 1
        if what not in (PASSED, ALTERED, STOP_TICK):
            brake(model, scratch, now, next_)
        result[k], left[k] = what, ticks_left(next_)

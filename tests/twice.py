"""The usual tick beside `decide`, which it must equal."""

from __future__ import annotations

import numpy as np
from tests.sameness import same, same_memory

from checkrein.controller import Decision
from checkrein.controller.decide import decide
from checkrein.controller.memory import Memory
from checkrein.controller.usual import usual
from checkrein.limits import RobotState
from checkrein.limits.core import Core
from checkrein.limits.kernels.packed import UNMOVED
from checkrein.limits.records import Candidates


class NotTheSameError(BaseException):
    """No Exception: the filter would make a stop of it."""


def forget(core: Core) -> None:
    """Spoil all scratch memory, so that nobody goes on from what somebody else has left there."""
    for name, values in core._work.fields().items():
        values[: UNMOVED if name == "vector" else None] = np.nan


def twice(
    core: Core, memory: Memory, state: RobotState, proposal: Candidates, now_ns: int
) -> tuple[Decision, Memory] | None:
    """What `usual` answers, if `decide` answers the same; where it fails, `decide` has to, too."""
    forget(core)
    try:
        quick = usual(core, memory, state, proposal, now_ns)
    except Exception as error:
        forget(core)
        try:
            decide(core, memory, state, proposal, now_ns, None)
        except Exception:
            return None
        raise NotTheSameError(f"only one fails: {type(error).__name__}: {error}") from error
    if quick is None:
        return None
    forget(core)
    try:
        slow = decide(core, memory, state, proposal, now_ns, None)
    except Exception as error:
        raise NotTheSameError(f"only one fails: {type(error).__name__}: {error}") from error
    if not (same(quick[0], slow[0]) and same_memory(quick[1], slow[1])):
        raise NotTheSameError(f"{quick[0]} is not {slow[0]}, or {quick[1]} not {slow[1]}")
    return quick

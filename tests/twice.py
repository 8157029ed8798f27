"""The usual tick beside `decide`, which it must equal."""

from __future__ import annotations

from tests.sameness import same, same_memory

from checkrein.controller import Decision
from checkrein.controller.decide import decide
from checkrein.controller.memory import Memory
from checkrein.controller.usual import usual
from checkrein.limits import RobotState
from checkrein.limits.core import Core
from checkrein.limits.records import Candidates


class NotTheSameError(BaseException):
    """No Exception: the filter would make a stop of it."""


def twice(
    core: Core, memory: Memory, state: RobotState, proposal: Candidates, now_ns: int
) -> tuple[Decision, Memory] | None:
    """What `usual` answers, if `decide` answers the same."""
    quick = usual(core, memory, state, proposal, now_ns)
    if quick is not None:
        slow = decide(core, memory, state, proposal, now_ns, None)
        if not (same(quick[0], slow[0]) and same_memory(quick[1], slow[1])):
            raise NotTheSameError(f"{quick[0]} is not {slow[0]}, or {quick[1]} not {slow[1]}")
    return quick

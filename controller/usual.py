"""The usual tick, in one kernel call: what `decide` does where there is nothing else to look at.

Guarantees:
- What it answers is what `decide` answers, bit for bit, by the same rules; what is not usual (rest,
  a running stop, a fault, several candidates, a chunk that is new, …) is left to it, and so is
  every tick with a classifier, a gripper, perception or latency.
- It lets nothing through that `decide` would not: every condition is one of its, or of
  `admission`'s, or narrower, and written so that NaN fails.
"""

from __future__ import annotations

from functools import lru_cache

from ..limits.building import builder_of, new
from ..limits.core import Core, is_at_rest
from ..limits.kernels.reference import MODE_CODES
from ..limits.records import TCP_MODES, TCP_WIDTH, Candidates, Command, RobotState
from ..limits.stops import shown
from ..limits.tick import PASSED
from .admission import NS_PER_MS, is_fresh_state, period_fault
from .conclusion import BRAKED, HISTORY, MOVED, PASS, RESTED, Draft, conclude, status_of
from .decide import followed, plan_for, taken
from .decision import Decision, StopStatus
from .memory import Memory
from .seeing import BLIND
from .stop_state import Phase

__all__ = ["usual"]

_decision = builder_of(Decision)
RUNNING = Phase.RUNNING  # by name, once: see conclusion


@lru_cache(maxsize=1024)  # as `status_of`, whose key has a phase in it: that costs as much again
def _running(ticks_left: int, stop_category: str) -> StopStatus:
    return status_of(RUNNING, None, ticks_left, stop_category)


def _is_proper(core: Core, memory: Memory, command: Command, now_ns: int) -> bool:
    """Whether a command is one row, new and fresh, of the right width, for the arm alone."""
    if command.mode not in MODE_CODES:
        return False
    width, last = TCP_WIDTH if command.mode in TCP_MODES else core.n, memory.command_seq
    return (
        command.values.shape == (width,)
        and command.period_ms is None
        and command.valid_ms is None
        and command.gripper is None
        and (last is None or command.seq > last)
        and 0.0 <= (now_ns - command.stamp_ns) / NS_PER_MS <= core.limits.timing.command_timeout_ms
    )


def usual(
    core: Core, memory: Memory, state: RobotState, proposal: Candidates, now_ns: int
) -> tuple[Decision, Memory] | None:
    """As `decide`, for limits without a scorer; None if it has to look."""
    # All fields at once: each of them by its name takes longer.
    (
        seq, motion, phase, then_ns, _, plan, command_seq, since_ns, _, history, continues, trail,
        changed_seq, seen, back, ramp_ticks, grip, _,
    ) = memory  # fmt: skip
    executed, accepted = state.executed, None
    # The robot moves, as it was told, under limits that hold as they are declared.
    if not (
        type(state) is RobotState  # its arrays are as the kernel takes them
        and phase is RUNNING
        and (executed is None or (executed.seq == seq and executed.stop_tick == 0))
        and continues[0] > changed_seq
        and since_ns is None
        and back is None
        and grip is None
        and ramp_ticks == 0
        and not trail
        and seen is BLIND
        and state.obstacles is None
        and core.is_arm_alone
        and is_fresh_state(core, (now_ns - state.stamp_ns) / NS_PER_MS)
        and then_ns is not None
        and period_fault(core, then_ns, now_ns) is None
    ):
        return None
    if proposal is not None:
        command = proposal
        if isinstance(proposal, (tuple, list)) and len(proposal) == 1:
            command = proposal[0]  # the bus and the wrapper hand on a tuple
        if type(command) is not Command or not _is_proper(core, memory, command, now_ns):
            return None
        plan, command_seq, accepted = plan_for(core, memory, command, now_ns), command.seq, 0
    if plan is None or plan.elapsed >= plan.ticks:
        return None
    period_s = core.limits.period_s
    tick = core.usual(
        state, motion, plan.mode, plan.rows, plan.row_period_s, plan.anchor,
        plan.elapsed * period_s,
    )  # fmt: skip
    if tick is None:
        return None
    motion, code, found, wanted, ends, split = tick
    if code != PASSED:
        draft = Draft(plan, PASS, [], [], command_seq, None, accepted)
        motion, is_stop = taken(core, memory, draft, plan, motion, code, found, wanted)
        event = MOVED if not is_stop else RESTED if is_at_rest(motion) else BRAKED
        return conclude(core, memory, draft, motion, event, now_ns, None)
    seq += 1
    decision = _decision(
        PASS, shown(motion, ends, split, period_s), (), (),
        _running(split[0], core.limits.stop_category), seq, continues, 0,
        accepted, plan.command_seq, False, now_ns, core.limits.sha256, None, None,
    )  # fmt: skip
    history = (*history[1 - HISTORY :], (seq, motion))
    return decision, new(Memory, (
        seq, motion, RUNNING, now_ns, 0, followed(core, plan, wanted, motion), command_seq,
        None, None, history, (seq, 0), (), changed_seq, BLIND, None, 0, None, ends,
    ))  # fmt: skip

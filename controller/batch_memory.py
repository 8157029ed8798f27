"""The memories of many filters, one row each: arrays for the kernel, `decide.Memory` for the rest.

Guarantees: a row that is taken out and put back is the same memory, but for what only matters to a
robot that reports what it executed (`Memory.history`); plans are of one row each, and held.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..limits.batch_calls import ELAPSED, MODE, PLAN_COLUMNS, TICKS, WIDTH
from ..limits.kernels.packed import motion_shape
from ..limits.records import Array, frozen_array
from .decide import Memory, Plan
from .stop_state import TRANSITIONS, Event, Phase, is_latched

__all__ = ["EVENTS", "IS_LATCHED", "NEXT_PHASE", "PHASES", "BatchMemory", "Flags", "Whole"]

Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PHASES, EVENTS = tuple(Phase), tuple(Event)
NONE = -1  # no number: seqs and times that there are none of have a flag, this is never read
# The state machine as a table: [phase, event] -> phase.
NEXT_PHASE = np.array(
    [
        [PHASES.index(TRANSITIONS[phase].get(event, Phase.DISARMED)) for event in EVENTS]
        for phase in PHASES
    ]
)
IS_LATCHED = np.array([is_latched(phase) for phase in PHASES])
ROW_MAX = 6  # a command has a number per joint, or the six of a tool's motion


class BatchMemory:
    """Rows of `Memory`, some of them absent (disarmed). `count` rows for n joints."""

    def __init__(self, count: int, n: int) -> None:
        self.armed: Flags = np.zeros(count, np.bool_)
        self.motion: Array = np.zeros((count, *motion_shape(n)))
        self.phase: Whole = np.zeros(count, np.int64)  # index into PHASES
        self.seq: Whole = np.zeros(count, np.int64)
        self.continues: Whole = np.zeros((count, 2), np.int64)
        self.stop_tick: Whole = np.zeros(count, np.int64)
        self.now_ns: Whole = np.full(count, NONE)
        self.has_stepped: Flags = np.zeros(count, np.bool_)  # whether now_ns is a time
        self.command_seq: Whole = np.full(count, NONE)
        self.has_commanded: Flags = np.zeros(count, np.bool_)
        self.plan: Whole = np.zeros((count, PLAN_COLUMNS), np.int64)  # see limits.batch_calls
        self.plan_seq: Whole = np.full(count, NONE)
        self.rows: Array = np.zeros((count, max(n, ROW_MAX)))
        self.anchor: Array = np.zeros((count, 2, n))
        # Rare: why a row is latched, and memories that hold more than the arrays do (what a
        # classifier has to do with it, a trail); good for as long as their number is the row's.
        self.cause: dict[int, str] = {}
        self.whole: dict[int, Memory] = {}

    def take(self, k: int) -> Memory:
        """Row k as one filter's memory; it must be armed."""
        whole = self.whole.get(k)
        if whole is not None and whole.seq == self.seq[k]:
            return whole
        plan, (mode, width, ticks, elapsed) = None, self.plan[k].tolist()
        if ticks > 0:
            row = frozen_array(self.rows[k, :width][None, :], "plan")
            anchor = frozen_array(self.anchor[k], "plan")
            plan = Plan(int(self.plan_seq[k]), mode, row, 0.0, anchor, ticks, elapsed, None)
        seq, stop_tick = int(self.seq[k]), int(self.stop_tick[k])
        continues = (int(self.continues[k, 0]), int(self.continues[k, 1]))
        return Memory(
            seq=seq,
            motion=frozen_array(self.motion[k], "motion"),
            phase=PHASES[self.phase[k]],
            now_ns=int(self.now_ns[k]) if self.has_stepped[k] else None,
            stop_tick=stop_tick,
            plan=plan,
            command_seq=int(self.command_seq[k]) if self.has_commanded[k] else None,
            cause=self.cause.get(k),
            continues=continues,
        )

    def put(self, k: int, memory: Memory) -> None:
        """Make one filter's memory row k."""
        self.armed[k] = True
        self.motion[k] = memory.motion
        self.phase[k] = PHASES.index(memory.phase)
        self.seq[k], self.stop_tick[k] = memory.seq, memory.stop_tick
        self.continues[k] = memory.continues
        self.has_stepped[k] = memory.now_ns is not None
        self.now_ns[k] = NONE if memory.now_ns is None else memory.now_ns
        self.has_commanded[k] = memory.command_seq is not None
        self.command_seq[k] = NONE if memory.command_seq is None else memory.command_seq
        self.cause.pop(k, None)
        if memory.cause is not None:
            self.cause[k] = memory.cause
        plan, drift = memory.plan, None
        self.plan[k, TICKS] = 0
        if plan is not None:
            width, drift = plan.rows.shape[1], plan.drift
            self.plan_seq[k], self.rows[k, :width] = plan.command_seq, plan.rows[0]
            self.anchor[k] = plan.anchor
            self.plan[k, MODE], self.plan[k, WIDTH] = plan.mode, width
            self.plan[k, TICKS], self.plan[k, ELAPSED] = plan.ticks, plan.elapsed
        self.whole.pop(k, None)
        is_rare = memory.back is not None or memory.ramp_ticks > 0 or memory.changed_seq >= 0
        if memory.trail or drift is not None or memory.resample_since_ns is not None or is_rare:
            self.whole[k] = memory

"""The pure core: one tick's decision from (limits, memory, state, proposal, time, classifier).

Rules that this file guarantees:
1. The motion returned was certified this tick, or is the next tick of the stop certified with the
   motion before it. There is no third source.
2. The classifier can only veto: a candidate runs iff its risk is finite and <= threshold.
3. Limits are declared `clamp` or `refuse`; a refused proposal is dropped and the stop runs.
4. A fault of the state latches: nothing but the stop until reset() and arm().
5. Where perception is declared, nothing moves without a cloud that can be trusted, and the stored
   stop is certified again where it was certified for another one (see seeing).
6. After a change of the limits nothing new is considered before the stored stop is certified again,
   under those that hold now; where it cannot be, it is played, to rest if need be. From rest too
   near to something, the way back (see recovery).
7. The gripper moves only in a tick in which the arm follows a command: else it holds (gripper.py).
8. No clock, no I/O, no randomness: the same arguments give the same bits (the audit replays them).
"""

from __future__ import annotations

import math

import numpy as np

from ..limits import tick
from ..limits.building import new
from ..limits.core import Core, Found, is_at_rest, ticks_left
from ..limits.kernels.reference import MODE_CODES, TWIST, VELOCITY
from ..limits.records import Array, Candidates, Command, RobotState, frozen_array
from . import gripper, stop_state
from .admission import command_fault, command_ticks, period_fault, state_fault
from .conclusion import (
    BRAKED,
    CLAMP,
    HISTORY,
    MOVED,
    PASS,
    REFUSE,
    RESAMPLE,
    RESTED,
    Draft,
    conclude,
    stop_decision,
)
from .decision import Decision, Finding
from .findings import changed, expired, findings_of, refuses
from .memory import Memory, Plan
from .recovery import begun, shrinks, violated
from .scoring import Scorer, allows, risk_of
from .seeing import BLIND, looked, sight_of
from .trail import passed, rebased

__all__ = [
    "Memory",
    "Plan",
    "Scorer",
    "decide",
    "resumed",
]

REBASE_TICKS_MAX = 100_000


def resumed(core: Core, memory: Memory, state: RobotState) -> Memory | None:
    """Memory as of what the robot says it executed; None if that cannot be continued."""
    executed = state.executed
    if executed is None or (executed.seq == memory.seq and executed.stop_tick == 0):
        return memory
    motion = next((m for seq, m in memory.history if seq == executed.seq), None)
    if motion is None or not 0 <= executed.stop_tick <= REBASE_TICKS_MAX:
        return None
    played = [motion]
    for _ in range(min(executed.stop_tick, ticks_left(motion) + 1)):
        played.append(core.brake(played[-1]))
    rests = min(executed.stop_tick - len(played) + 1, HISTORY)
    return memory._replace(
        motion=played[-1], ends=None, continues=(executed.seq, executed.stop_tick),
        seen=BLIND if memory.seen is BLIND else memory.seen._replace(certified=None),
        trail=rebased(memory.trail, executed.seq, [*played, *[played[-1]] * rests]),
        grip=gripper.executed(memory.grip, executed.seq),
    )  # fmt: skip


def plan_for(core: Core, memory: Memory, command: Command, now_ns: int) -> Plan:
    mode, rows, period_s = (
        MODE_CODES[command.mode],
        command.values,
        (command.period_ms or 0.0) / 1e3,
    )
    if rows.ndim == 1:
        rows, period_s = rows[None], 0.0
    ends = memory.ends
    anchor = frozen_array(memory.motion[:-1, :2].T, "anchor") if ends is None else ends[:2]
    rows = core.targets(mode, rows, anchor)
    asked = None
    if command.gripper is not None:
        asked = gripper.wanted(core.limits.gripper, memory.grip, command)
    return new(Plan, (
        command.seq, mode, rows, period_s, anchor,
        command_ticks(core, command, now_ns), 0, None, asked,
    ))  # fmt: skip


def _veto(core: Core, draft: Draft, risk: float, threshold: float, now_ns: int) -> None:
    """Ask again while the last vetted plan runs; after the deadline refuse."""
    since = now_ns if draft.resample_since_ns is None else draft.resample_since_ns
    draft.findings.append(
        Finding("classifier", "proposal", risk, threshold, "risk", threshold - risk)
    )
    if (now_ns - since) / 1e6 <= core.limits.timing.resample_deadline_ms:
        draft.outcome, draft.resample_since_ns = RESAMPLE, since
    else:
        draft.outcome, draft.plan, draft.resample_since_ns = REFUSE, None, since


def _consider(
    core: Core,
    memory: Memory,
    proposal: Candidates,
    now_ns: int,
    scorer: Scorer | None,
    draft: Draft,
) -> None:
    """Admit and appraise the candidates; the first that passes both becomes the plan."""
    candidates = (proposal,) if isinstance(proposal, Command) else tuple(proposal or ())
    admitted: list[tuple[int, Command]] = []
    for index, command in enumerate(candidates):
        fault = command_fault(core, command, memory.command_seq, now_ns)
        if fault is None:
            admitted.append((index, command))
            if draft.command_seq is None or command.seq > draft.command_seq:
                draft.command_seq = command.seq
        else:
            draft.findings.append(fault)
    if not admitted:
        draft.outcome, draft.plan = REFUSE, None
        return
    worst = math.nan
    for index, command in admitted:
        plan = plan_for(core, memory, command, now_ns)
        if scorer is not None:
            worst = risk_of(scorer, memory.motion, plan, core.limits.period_s)
            draft.scores.append(worst)
            if not allows(scorer, worst):
                continue
        draft.plan, draft.accepted, draft.resample_since_ns = plan, index, None
        draft.outcome = PASS
        return
    _veto(core, draft, worst, scorer.threshold if scorer is not None else math.nan, now_ns)


def _rescore(core: Core, memory: Memory, now_ns: int, scorer: Scorer, draft: Draft) -> None:
    """Score what remains of the plan again once the executed motion has left the scored one."""
    plan, allowed = draft.plan, core.limits.classifier.rescore_deviation
    if plan is None or plan.drift is None or allowed is None:
        return
    if float(np.abs(plan.drift).max()) <= allowed:
        return
    risk = risk_of(scorer, memory.motion, plan, core.limits.period_s)
    draft.scores.append(risk)
    if allows(scorer, risk):
        draft.plan = plan._replace(drift=None)
    else:
        draft.plan = None
        _veto(core, draft, risk, scorer.threshold, now_ns)


def _follow(core: Core, memory: Memory, draft: Draft, now_ns: int) -> tuple[Array, bool]:
    """The motion of this tick, and whether it is a tick of the stored stop."""
    plan = draft.plan
    if plan is not None and plan.elapsed >= plan.ticks:
        draft.findings.append(expired(core, plan.command_seq, plan.elapsed - plan.ticks))
        plan = draft.plan = None
    if plan is None:
        if draft.outcome in (PASS, CLAMP):
            draft.outcome = REFUSE
        return core.brake(memory.motion), True
    motion, code, found, wanted = core.follow(
        memory.motion, plan.mode, plan.rows, plan.row_period_s, plan.anchor,
        plan.elapsed * core.limits.period_s,
        None if memory.seen is BLIND else sight_of(core, memory.seen, now_ns), eased=memory.eased,
        share=core.ramp_share(memory.ramp_ticks),
    )  # fmt: skip
    return taken(core, memory, draft, plan, motion, code, found, wanted)


def taken(
    core: Core,
    memory: Memory,
    draft: Draft,
    plan: Plan,
    motion: Array,
    code: int,
    found: list[Found],
    wanted: Array,
) -> tuple[Array, bool]:
    """What is made of a motion towards what a plan asks for, with what was found: see `_follow`."""
    back, is_new = memory.back, code != tick.STOP_TICK
    if back is not None and is_new and not shrinks(core, back, memory.motion, motion):
        draft.findings += violated(core, back, memory.motion[:-1, 0])
        motion, code = core.brake(memory.motion), tick.STOP_TICK
    if code == tick.PASSED:
        draft.plan = followed(core, plan, wanted, motion)
        return motion, False
    draft.findings += findings_of(core, found)
    if refuses(core, draft.findings):
        draft.outcome, draft.plan = REFUSE, None
        return core.brake(memory.motion), True
    if draft.outcome is PASS:
        draft.outcome = CLAMP
    draft.plan = followed(core, plan, wanted, motion)
    return motion, code == tick.STOP_TICK


def followed(core: Core, plan: Plan, wanted: Array, motion: Array) -> Plan:
    """The plan one tick on, with how far the executed motion is from what was scored."""
    drift = None
    if core.limits.classifier.rescore_deviation is not None:
        if plan.mode in (VELOCITY, TWIST):
            step = (motion[:-1, 1] - wanted[1]) * core.limits.period_s
            drift = step if plan.drift is None else plan.drift + step
        else:
            drift = motion[:-1, 0] - wanted[0]
    return new(Plan, (
        plan.command_seq, plan.mode, plan.rows, plan.row_period_s, plan.anchor, plan.ticks,
        plan.elapsed + 1, drift, plan.gripper,
    ))  # fmt: skip


def _grasp(core: Core, grip: gripper.Grip, draft: Draft) -> None:
    """What the gripper is asked for if the arm follows the plan; a refusal drops the plan."""
    plan, period_s = draft.plan, core.limits.period_s
    if plan is None or plan.gripper is None or plan.elapsed >= plan.ticks:
        return
    limits, elapsed_s = core.limits, plan.elapsed * period_s
    carried = limits.payload if "gripper_release" in limits.on_violation else None
    draft.gripper, found = gripper.follow(
        limits.gripper, grip, plan.gripper, elapsed_s, period_s, carried
    )
    draft.findings += found
    if refuses(core, found):
        draft.outcome, draft.plan = REFUSE, None
    elif found and draft.outcome is PASS:
        draft.outcome = CLAMP


def decide(
    core: Core,
    memory: Memory,
    state: RobotState,
    proposal: Candidates,
    now_ns: int,
    scorer: Scorer | None,
) -> tuple[Decision, Memory]:
    """One tick. `memory` must be armed; see the module's rules."""
    unseen = None
    if core.limits.perception is not None or state.obstacles is not None:
        seen, unseen = looked(core, memory.seen, state.obstacles, now_ns)
        memory = memory._replace(seen=seen)
    known = resumed(core, memory, state)
    if stop_state.is_latched(memory.phase):
        return stop_decision(core, known or memory, now_ns, scorer, memory.cause or "", ())
    if known is None:
        return stop_decision(core, memory, now_ns, scorer, "executed setpoint is unknown", ())
    memory = known
    fault = state_fault(core, state, memory.motion, now_ns, passed(core, memory.trail))
    if fault is not None:
        return stop_decision(core, memory, now_ns, scorer, str(fault), (fault,))
    if memory.continues[0] <= memory.changed_seq:
        against = core.recertify(memory.motion, eased=memory.eased)
        if against is not None and is_at_rest(memory.motion):
            back, _ = begun(core, memory.motion[:-1, 0])
            memory = memory._replace(back=back)
            against = None if back is not None else against
        if against is not None:
            return _changed(core, memory, against, now_ns, scorer)
    if memory.grip is not None:
        memory = memory._replace(grip=gripper.seen(memory.grip, state.gripper))
    waiting = memory.resample_since_ns is not None
    draft = Draft(
        memory.plan, RESAMPLE if waiting else PASS, [], [], memory.command_seq,
        memory.resample_since_ns,
    )  # fmt: skip
    late = None if memory.now_ns is None else period_fault(core, memory.now_ns, now_ns)
    if late is not None:
        draft.findings.append(late)
    if unseen is not None:
        draft.findings.append(unseen)
    if late is not None or unseen is not None:
        draft.plan, draft.outcome = None, REFUSE
    elif proposal is not None:
        _consider(core, memory, proposal, now_ns, scorer, draft)
    elif waiting and scorer is not None:
        _veto(core, draft, math.nan, scorer.threshold, now_ns)
    if scorer is not None and draft.accepted is None:
        _rescore(core, memory, now_ns, scorer, draft)
    if memory.grip is not None:
        _grasp(core, memory.grip, draft)
    motion, is_stop = _follow(core, memory, draft, now_ns)
    if is_stop:
        draft.gripper = None
        event = RESTED if is_at_rest(motion) else BRAKED
    else:
        event = MOVED
    return conclude(core, memory, draft, motion, event, now_ns, scorer)


def _changed(
    core: Core, memory: Memory, against: Found, now_ns: int, scorer: Scorer | None
) -> tuple[Decision, Memory]:
    """Play the stop that only the limits of before have certified; what it continues is as old."""
    motion = core.brake(memory.motion)
    found = [changed(core, against)]
    draft = Draft(None, REFUSE, found, [], memory.command_seq, None)
    event = RESTED if is_at_rest(motion) else BRAKED
    before = memory._replace(changed_seq=memory.seq + 1)
    return conclude(core, before, draft, motion, event, now_ns, scorer)

"""What would come of a chunk: the motion that `decide` would make of it, ahead of time.

Guarantees:
- The filter's memory is only read. The simulated ticks are decided as all others, so proposing the
  chunk at the coming tick, and tracking it, gives the same motion bit for bit.
- It begins where the filter is, in motion or at rest, rebased on what the robot says it executed.
- Bad numbers are findings; certified is only what is followed exactly (PASS).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..limits.core import Core, duration_ticks
from ..limits.declared import JointLimits
from ..limits.kernels.reference import MODE_CODES
from ..limits.records import Array, Command, RobotState, frozen_array
from .admission import command_fault, command_ticks
from .decide import Memory, Scorer, resumed
from .decision import Decision, Finding, Outcome
from .failsafe import decide_or_stop

__all__ = ["VettedChunk", "vet"]

SEVERITY = tuple(Outcome)
# What rounding may add to a step that is exactly as large as the limits allow.
ROUNDING = 1.0 + 1e-9
# Beyond this nothing is simulated, and so nothing is certified: a minute and more of motion.
SIMULATED_TICKS_MAX = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class VettedChunk:
    """What would be executed of a chunk that is proposed at the coming tick.

    A row counts as certified when every tick up to its end is followed exactly; a chunk that
    `valid_ms` cuts short has no certified rows beyond the cut.
    """

    rows: int  # of the chunk; 1 for a single row
    rows_certified: int  # the longest prefix of whole rows that is followed exactly
    ticks: int  # simulated: until the chunk ends or is given up
    ticks_certified: int
    first_sample: Finding | None  # the chunk does not begin where the robot is; chunks only
    findings: tuple[tuple[int, int, Finding], ...]  # (tick, row, what bound first there)
    outcome: Outcome  # the most severe one
    q: Array  # (ticks, n) [rad or m] executed positions at the ends of the ticks
    scores: tuple[float, ...]  # classifier risks, in the order in which they were asked for


def _reach_in(
    joint: JointLimits, dq: float, ddq: float, duration_s: float, period_s: float
) -> tuple[float, float]:
    """How much further, and faster, upwards a joint can be after duration_s: never too little.

    Full jerk, then full acceleration, then full speed; tick by tick, as motion is made.
    """
    speed, rate, moved, left_s = dq, ddq, 0.0, duration_s
    fastest = max(joint.max_acceleration, joint.deceleration)
    while left_s > 0.0 and speed < joint.max_velocity:
        t = min(period_s, left_s)
        faster = min(fastest, rate + joint.max_jerk * t)
        jerk = (faster - rate) / t
        moved += speed * t + rate * t * t / 2.0 + jerk * t * t * t / 6.0
        speed += rate * t + jerk * t * t / 2.0
        rate, left_s = faster, left_s - t
    moved += max(0.0, left_s) * speed
    return moved, min(speed, max(dq, joint.max_velocity)) - dq


def _first_sample(core: Core, motion: Array, chunk: Command) -> Finding | None:
    """Whether row 0 asks for more, within its period, than the limits let any joint do.

    Compared with the *commanded* position and velocity, which the motion continues.
    """
    if not chunk.mode.startswith("joint_") or chunk.values.ndim != 2 or chunk.period_ms is None:
        return None  # a single row says where to, not by when; a tool's start is the robot's
    worst, finding = 0.0, None
    first = core.targets(MODE_CODES[chunk.mode], chunk.values[:1], motion[:-1, :1].T)[0]
    for i, joint in enumerate(core.limits.joints):
        q, dq, ddq = (float(value) for value in motion[i, :3])
        jump = float(first[i])
        unit = "m" if joint.type == "prismatic" else "rad"
        is_speed = chunk.mode == "joint_velocity"
        if is_speed:
            jump, unit = jump - dq, f"{unit}/s"
        elif chunk.mode == "joint_position":
            jump -= q
        side = math.copysign(1.0, jump)
        duration_s, period_s = chunk.period_ms / 1e3, core.limits.period_s
        moved, faster = _reach_in(joint, side * dq, side * ddq, duration_s, period_s)
        bound = faster if is_speed else moved
        beyond = (abs(jump) - bound) / joint.max_velocity
        if not abs(jump) <= bound * ROUNDING and not beyond <= worst:
            worst = beyond
            finding = Finding("first_sample", joint.name, abs(jump), bound, unit, bound - abs(jump))
    return finding


def _simulated(
    core: Core, memory: Memory, state: RobotState, chunk: Command, at_ns: int, scorer: Scorer | None
) -> Iterator[tuple[Decision, bool]]:
    """The decisions of the ticks from at_ns on, the robot tracking, until the chunk is over.

    With each: whether the chunk was followed in that tick.
    """
    period_ns = round(core.limits.period_s * 1e9)
    proposal: Command | None = chunk
    for _ in range(SIMULATED_TICKS_MAX):
        decision, memory = decide_or_stop(core, memory, state, proposal, at_ns, scorer)
        plan = memory.plan
        is_followed = plan is not None and (proposal is None or decision.accepted is not None)
        yield decision, is_followed
        if plan is None or not is_followed or plan.elapsed >= plan.ticks:
            return
        at_ns, proposal = at_ns + period_ns, None
        setpoint, cloud = decision.setpoint, state.obstacles
        if cloud is not None:
            cloud = cloud.renewed(cloud.stamp_ns + period_ns)
        state = replace(
            state, q=setpoint.q, dq=setpoint.dq, stamp_ns=at_ns, executed=None, obstacles=cloud
        )


def _rows_certified(core: Core, chunk: Command, certified: int, driven: int) -> int:
    """How many rows end within the certified ticks; driven: how many the chunk has."""
    if chunk.values.ndim != 2 or chunk.period_ms is None:
        return int(certified >= driven)
    tick_s, period_s = core.limits.period_s, chunk.period_ms / 1e3
    rows = chunk.values.shape[0]
    whole = max(1, duration_ticks(rows * period_s, tick_s))
    ends = (math.ceil((row + 1) * period_s / tick_s - 1e-9) for row in range(rows))
    return sum(min(whole, end) <= certified for end in ends)


def _findings(
    core: Core, chunk: Command, decisions: list[Decision]
) -> Iterator[tuple[int, int, Finding]]:
    """What bound, each limit and subject once: where it first did."""
    seen: set[tuple[str, str]] = set()
    is_chunk = chunk.values.ndim == 2 and chunk.period_ms is not None and chunk.period_ms > 0.0
    for tick, decision in enumerate(decisions):
        row = 0
        if is_chunk and tick > 0:
            begun = tick * core.limits.period_s * 1e3 / float(chunk.period_ms or math.inf)
            row = min(chunk.values.shape[0] - 1, int(begun + 1e-9))
        for finding in decision.findings:
            if (finding.limit, finding.subject) not in seen:
                seen.add((finding.limit, finding.subject))
                yield tick, row, finding


def vet(
    core: Core,
    memory: Memory,
    state: RobotState,
    chunk: Command,
    now_ns: int,
    scorer: Scorer | None,
) -> VettedChunk:
    """Simulate `chunk`, proposed at the coming tick, from an armed filter's memory.

    The coming tick is taken to be on time, one period after the last one; the state and the chunk
    are then as old as they are at now_ns. Obstacles stay where they are, and as old as they are.
    """
    at_ns = now_ns
    if memory.now_ns is not None:
        at_ns = memory.now_ns + round(core.limits.period_s * 1e9)
    cloud = memory.seen.trusted if state.obstacles is None else state.obstacles
    if cloud is not None:
        cloud = cloud.renewed(cloud.stamp_ns + at_ns - now_ns)
    state = replace(state, stamp_ns=state.stamp_ns + at_ns - now_ns, obstacles=cloud)
    chunk = replace(chunk, stamp_ns=chunk.stamp_ns + at_ns - now_ns)
    start = resumed(core, memory, state) or memory
    is_admitted = command_fault(core, chunk, memory.command_seq, at_ns) is None
    played = list(_simulated(core, memory, state, chunk, at_ns, scorer))
    decisions = [decision for decision, _ in played]
    exact = [is_followed and d.outcome is Outcome.PASS for d, is_followed in played]
    certified = exact.index(False) if False in exact else len(exact)
    rows = 0
    if is_admitted and certified > 0:
        driven = command_ticks(core, chunk, at_ns)
        rows = _rows_certified(core, chunk, certified, driven)
    return VettedChunk(
        rows=chunk.values.shape[0] if chunk.values.ndim == 2 else 1,
        rows_certified=rows,
        ticks=len(decisions),
        ticks_certified=certified,
        first_sample=_first_sample(core, start.motion, chunk) if is_admitted else None,
        findings=tuple(_findings(core, chunk, decisions)),
        outcome=max((decision.outcome for decision in decisions), key=SEVERITY.index),
        q=frozen_array([decision.setpoint.q for decision in decisions], "q"),
        scores=tuple(score for decision in decisions for score in decision.scores),
    )

"""From a measured state to a memory that `decide` can start from, and what is said until then.

Guarantees: nothing is armed that does not rest, inside every limit, where it was just measured, but
for a way back that was asked for (recovery.py); a latched stop stays one until reset, and a reset
needs rest. Setpoint numbers never repeat.
"""

from __future__ import annotations

import math

import numpy as np

from ..limits.core import Core, Found, duration_ticks, ticks_left
from ..limits.declared import Limits
from ..limits.records import Array, RobotState
from ..limits.stops import setpoint_of
from . import gripper, stop_state
from .admission import NS_PER_MS, is_fresh_state
from .decide import Memory, Scorer
from .decision import Decision, Outcome, StopCategory, StopStatus
from .errors import ArmError, NotArmedError, ScorerError
from .recovery import begun
from .seeing import BLIND, Seen, looked
from .stop_state import Event, Phase
from .trail import settling_ticks, started

__all__ = ["armed", "held", "retired", "scorer_for"]


def scorer_for(limits: Limits, given: Scorer | None) -> Scorer | None:
    """The classifier that the limits declare, loaded unless it is given; None if they declare none.

    Raises ScorerError if the given one is not the declared one.
    """
    declared = limits.classifier
    if given is not None and declared.sha256 is not None and given.sha256 != declared.sha256:
        raise ScorerError(
            f"classifier.sha256: the limits declare {declared.sha256}, the scorer is {given.sha256}"
        )
    if given is not None or declared.file is None:
        return given
    from ..models import Classifier  # onnxruntime is only loaded where a classifier is declared

    loaded: Scorer = Classifier.load(limits)
    return loaded


def _require_settled(core: Core, memory: Memory) -> None:
    """Where a latency is declared: the stream must have rested for that long."""
    left = settling_ticks(core, memory.trail)
    if left > 0:
        latency = core.limits.timing.latency_ticks
        raise ArmError(
            f"timing.latency_ticks: the robot may lag {latency} ticks behind the stream, which "
            f"has only just come to rest: call step() for {left} more ticks first"
        )


def _way_back(core: Core, q: Array, refused: Found, recover: bool) -> Array:
    """The way back (2, items) from where nothing can be certified as declared; ArmError."""
    back, against = begun(core, q) if recover else (None, refused)
    if back is not None:
        return back
    kind, subject, value, bound, unit = against or refused
    is_deep = recover and kind in ("workspace", "self_collision")
    ways = ", or arm with recover=True and drive it out slowly" if not recover else ""
    raise ArmError(
        f"{kind} of {subject}: {value:.6g} {unit} against a bound of {bound:.6g} {unit} even at "
        + ("rest, so deep that its depth is not known: " if is_deep else "rest: ")
        + f"move the robot inside its limits by hand{ways}, then arm"
    )


def _required_view(core: Core, state: RobotState, now_ns: int) -> Seen:
    """What perception says at arming, if anything; ArmError where that is not enough."""
    if state.obstacles is not None and core.limits.perception is None:
        raise ArmError(
            "state.obstacles: these limits declare no perception, so nothing says how late and how "
            "fast obstacles may be: declare `perception`, or leave them out"
        )
    seen, fault = looked(core, BLIND, state.obstacles, now_ns)
    if fault is not None:
        raise ArmError(
            f"state.obstacles: {fault}; perception.required, max_points, max_speed and max_age say "
            "what the limits ask of them"
        )
    return seen


def _gripped(
    core: Core, before: gripper.Grip | None, state: RobotState, seq: int
) -> gripper.Grip | None:
    """What is known of the gripper at arming; ArmError where it is not where it can be."""
    declared = core.limits.gripper
    if declared is None:
        return None
    fault = gripper.state_fault(declared, state.gripper)
    if fault is not None or state.gripper is None:
        raise ArmError(
            f"{fault}: the limits declare a gripper; give its measured width as state.gripper, "
            "and bring it into its declared range by hand"
        )
    return gripper.begun(declared, before, state.gripper, seq)


def armed(
    core: Core,
    memory: Memory | None,
    retired_seq: int,
    state: RobotState,
    now_ns: int,
    recover: bool = False,
    grip: gripper.Grip | None = None,
) -> Memory:
    """The memory of a filter that begins at rest where the robot is; ArmError with the reason.

    retired_seq: the last setpoint's number before the last reset, 0 if there was none. recover:
    also where links are too near to something, if they can be led away from there. grip: of the
    gripper, from before the last reset.
    """
    limits = core.limits
    if memory is not None and stop_state.is_latched(memory.phase):
        raise ArmError(f"a stop is latched ({memory.cause}): call reset() first, then arm()")
    if memory is not None and memory.phase is not Phase.AT_REST:
        raise ArmError(f"the robot is {memory.phase.value}: it can only be armed at rest")
    if memory is not None:
        _require_settled(core, memory)
    for name, values in (("q", state.q), ("dq", state.dq)):
        if values.shape != (core.n,) or not bool(np.isfinite(values).all()):
            raise ArmError(f"state.{name}: expected {core.n} finite numbers, got {values.tolist()}")
    age_ms = (now_ns - state.stamp_ns) / NS_PER_MS
    if not is_fresh_state(core, age_ms):
        raise ArmError(
            f"state.stamp_ns: {age_ms:.6g} ms old, bound {limits.timing.state_age_max_ms} ms"
        )
    for joint, speed in zip(limits.joints, np.abs(state.dq).tolist(), strict=True):
        if not speed <= joint.velocity_error:
            raise ArmError(
                f"joint '{joint.name}' moves at {speed:.6g}, at rest is below "
                f"{joint.velocity_error:.6g} (velocity_error): bring the robot to rest"
            )
    seen = _required_view(core, state, now_ns)
    before = grip if memory is None else memory.grip
    motion, refused = core.rest(state.q)
    back = None if refused is None else _way_back(core, state.q, refused, recover)
    seq = max(0 if memory is None else memory.seq, retired_seq)
    phase = stop_state.step(Phase.DISARMED, Event.ARMED)
    return Memory(
        seq, motion, phase, None, history=((seq, motion),), continues=(seq, 0),
        trail=started(core, seq, motion), seen=seen, back=back,
        ramp_ticks=duration_ticks(limits.ramp_s, limits.period_s),
        grip=_gripped(core, before, state, seq),
    )  # fmt: skip


def retired(core: Core, memory: Memory) -> int:
    """The setpoint number that a reset leaves behind; ArmError while the robot moves."""
    if memory.phase not in (Phase.LATCHED_AT_REST, Phase.AT_REST):
        raise ArmError(
            f"the robot is {memory.phase.value}: reset() is possible once it is at rest "
            f"({ticks_left(memory.motion)} ticks of its stop are left)"
        )
    _require_settled(core, memory)
    stop_state.step(memory.phase, Event.RESET)
    return memory.seq


def held(
    core: Core,
    seen: Array | None,
    retired_seq: int,
    q: Array,
    now_ns: int,
    scorer: Scorer | None,
    grip: gripper.Grip | None = None,
) -> tuple[Decision, Array]:
    """While disarmed: stay where the robot was last seen, and that place (n,).

    seen: the last finite q before; grip: of the gripper, before the last reset. Raises
    NotArmedError while nothing has been seen.
    """
    if q.shape == (core.n,) and bool(np.isfinite(q).all()):
        seen = q
    if seen is None:
        raise NotArmedError("no finite state has been seen yet: call arm(state, now_ns=…) first")
    motion, _ = core.rest(seen)
    decision = Decision(
        outcome=Outcome.STOP,
        setpoint=setpoint_of(motion, core.limits.period_s, None if grip is None else grip.setpoint),
        findings=(),
        scores=(),
        stop_state=StopStatus(
            Phase.DISARMED.value, False, StopCategory.CAT2, "not armed: call arm()", 0
        ),
        seq=retired_seq,
        continues=(0, 0),
        stop_tick=0,
        accepted=None,
        command_seq=None,
        resample=False,
        now_ns=now_ns,
        limits_sha256=core.limits.sha256,
        classifier_sha256=None if scorer is None else scorer.sha256,
        error=None if math.isfinite(float(q.sum())) else "the state is not finite",
    )
    return decision, seen

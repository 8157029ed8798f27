"""SafetyFilter: the shell around `decide`. It holds the memory and fails closed.

Guarantees: kernels are compiled and the classifier's digest is verified before it can be armed;
`step` never raises once armed: an internal error becomes a latched STOP that plays the stored stop
to rest, tick by tick, with the error attached.
"""

from __future__ import annotations

import math

import numpy as np

from ..limits.core import Core, setpoint_of, ticks_left
from ..limits.declared import Limits
from ..limits.records import Array, Candidates, RobotState
from . import stop_state
from .admission import NS_PER_MS
from .decide import Memory, Scorer, decide, stop_decision
from .decision import Decision, Outcome, StopCategory, StopStatus
from .errors import ArmError, NotArmedError, ScorerError
from .stop_state import Event, Phase
from .trail import settling_ticks, started

__all__ = ["SafetyFilter"]


def _declared_scorer(limits: Limits) -> Scorer | None:
    if limits.classifier.file is None:
        return None
    from ..models import Classifier  # onnxruntime is only loaded where a classifier is declared

    scorer: Scorer = Classifier.load(limits)
    return scorer


class SafetyFilter:
    """Stands between a policy and the actuators of one robot. Not thread-safe."""

    def __init__(self, limits: Limits, *, scorer: Scorer | None = None) -> None:
        """Compile the kernels and load the declared classifier.

        `scorer` replaces loading, for tests and fuzzing; its digest must be the declared one,
        unless the limits declare none. Raises ScorerError otherwise.
        """
        declared = limits.classifier.sha256
        if scorer is not None and declared is not None and scorer.sha256 != declared:
            raise ScorerError(
                f"classifier.sha256: the limits declare {declared}, the scorer is {scorer.sha256}"
            )
        self.limits = limits
        self._scorer = scorer if scorer is not None else _declared_scorer(limits)
        self._core = Core(limits)
        self._memory: Memory | None = None
        self._seen: Array | None = None  # last finite measured q, for the hold while disarmed

    @property
    def memory(self) -> Memory | None:
        """What the next decision will start from; None while disarmed."""
        return self._memory

    def arm(self, state: RobotState, *, now_ns: int) -> None:
        """Seed from the measured state, which must be at rest; raises ArmError with the reason."""
        memory, limits = self._memory, self.limits
        if memory is not None and stop_state.is_latched(memory.phase):
            raise ArmError(f"a stop is latched ({memory.cause}): call reset() first, then arm()")
        if memory is not None and memory.phase is not Phase.AT_REST:
            raise ArmError(f"the robot is {memory.phase.value}: it can only be armed at rest")
        if memory is not None:
            self._require_settled(memory)
        for name, values in (("q", state.q), ("dq", state.dq)):
            if values.shape != (self._core.n,) or not bool(np.isfinite(values).all()):
                raise ArmError(
                    f"state.{name}: expected {self._core.n} finite numbers, got {values.tolist()}"
                )
        age_ms = (now_ns - state.stamp_ns) / NS_PER_MS
        if not (0.0 <= age_ms <= limits.timing.state_age_max_ms):
            raise ArmError(
                f"state.stamp_ns: {age_ms:.6g} ms old, bound {limits.timing.state_age_max_ms} ms"
            )
        for joint, speed in zip(limits.joints, np.abs(state.dq).tolist(), strict=True):
            if not speed <= joint.velocity_error:
                raise ArmError(
                    f"joint '{joint.name}' moves at {speed:.6g}, at rest is below "
                    f"{joint.velocity_error:.6g} (velocity_error): bring the robot to rest"
                )
        motion, refused = self._core.rest(state.q)
        if refused is not None:
            kind, subject, value, bound, unit = refused
            raise ArmError(
                f"{kind} of {subject}: {value:.6g} {unit} against a bound of {bound:.6g} {unit} "
                "even at rest: move the robot inside its limits by hand, then arm"
            )
        seq = 0 if memory is None else memory.seq
        if self._retired is not None:
            seq = max(seq, self._retired)
        phase = stop_state.step(Phase.DISARMED, Event.ARMED)
        self._memory = Memory(
            seq, motion, phase, None, history=((seq, motion),), continues=(seq, 0),
            trail=started(self._core, seq, motion),
        )  # fmt: skip

    _retired: int | None = None

    def reset(self) -> None:
        """Leave a latched stop, once at rest; arm() must follow. Raises ArmError while moving."""
        if self._memory is None:
            return
        if self._memory.phase not in (Phase.LATCHED_AT_REST, Phase.AT_REST):
            raise ArmError(
                f"the robot is {self._memory.phase.value}: reset() is possible once it is at rest "
                f"({ticks_left(self._memory.motion)} ticks of its stop are left)"
            )
        self._require_settled(self._memory)
        stop_state.step(self._memory.phase, Event.RESET)
        self._retired = self._memory.seq
        self._memory = None

    def _require_settled(self, memory: Memory) -> None:
        """Where a latency is declared: the stream must have rested for that long."""
        left = settling_ticks(self._core, memory.trail)
        if left > 0:
            latency = self.limits.timing.latency_ticks
            raise ArmError(
                f"timing.latency_ticks: the robot may lag {latency} ticks behind the stream, which "
                f"has only just come to rest: call step() for {left} more ticks first"
            )

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        """Decide one tick. Never raises once armed; before arming it holds where the robot is."""
        memory = self._memory
        if memory is None:
            return self._hold(state, now_ns)
        try:
            decision, self._memory = decide(
                self._core, memory, state, proposal, now_ns, self._scorer
            )
        except Exception as error:  # fail closed: whatever went wrong, the stop runs
            cause = f"internal error: {type(error).__name__}: {error}"
            decision, self._memory = stop_decision(
                self._core, memory, now_ns, self._scorer, cause, (), error=cause
            )
        return decision

    def _hold(self, state: RobotState, now_ns: int) -> Decision:
        q = state.q
        if q.shape == (self._core.n,) and bool(np.isfinite(q).all()):
            self._seen = q
        if self._seen is None:
            raise NotArmedError(
                "no finite state has been seen yet: call arm(state, now_ns=…) first"
            )
        motion, _ = self._core.rest(self._seen)
        scorer = self._scorer
        return Decision(
            outcome=Outcome.STOP,
            setpoint=setpoint_of(motion, self.limits.period_s),
            findings=(),
            scores=(),
            stop_state=StopStatus(
                Phase.DISARMED.value, False, StopCategory.CAT2, "not armed: call arm()", 0
            ),
            seq=0 if self._retired is None else self._retired,
            continues=(0, 0),
            stop_tick=0,
            accepted=None,
            command_seq=None,
            resample=False,
            now_ns=now_ns,
            limits_sha256=self.limits.sha256,
            classifier_sha256=None if scorer is None else scorer.sha256,
            error=None if math.isfinite(float(q.sum())) else "the state is not finite",
        )

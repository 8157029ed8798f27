"""SafetyFilter: the shell around `decide`. It holds the memory and fails closed.

Guarantees: kernels are compiled and the classifier's digest is verified before it can be armed;
`step` never raises once armed: an internal error becomes a latched STOP that plays the stored stop
to rest, tick by tick, with the error attached; limits in force are replaced by tighter ones alone.
"""

from __future__ import annotations

from ..limits.carrying import carrying
from ..limits.core import Core
from ..limits.declared import Limits
from ..limits.narrowing import require_nowhere_looser
from ..limits.records import Array, Candidates, Command, RobotState
from .arming import armed, held, retired, scorer_for
from .decide import Memory, Scorer
from .decision import Decision, Finding
from .errors import NotArmedError
from .failsafe import decide_or_stop
from .gripper import Grip
from .recovery import violated
from .vetting import VettedChunk, vet

__all__ = ["SafetyFilter"]


class SafetyFilter:
    """Stands between a policy and the actuators of one robot. Not thread-safe.

    `limits` are those in force: what it was made with, or what they were tightened to since.
    """

    def __init__(self, limits: Limits, *, scorer: Scorer | None = None) -> None:
        """Compile the kernels and load the declared classifier.

        `scorer` replaces loading, for tests and fuzzing; its digest must be the declared one,
        unless the limits declare none. Raises ScorerError otherwise.
        """
        self.limits = limits
        self._scorer = scorer_for(limits, scorer)
        self._core = Core(limits)
        self._memory: Memory | None = None
        self._retired = 0  # the number of the last setpoint before a reset
        self._grip: Grip | None = None  # what the gripper was asked for before it, and still holds
        self._seen: Array | None = None  # last finite measured q, for the hold while disarmed

    @property
    def memory(self) -> Memory | None:
        """What the next decision will start from; None while disarmed."""
        return self._memory

    def arm(self, state: RobotState, *, now_ns: int, recover: bool = False) -> tuple[Finding, ...]:
        """Seed from the measured state, which must be at rest; raises ArmError with the reason.

        recover: also arm where links are too near to a volume or to each other. Until they are not,
        they can only be led away from there, at recovery velocity. Returns what is too near.
        """
        self._memory = armed(
            self._core, self._memory, self._retired, state, now_ns, recover, self._grip
        )
        return self.recovering

    @property
    def recovering(self) -> tuple[Finding, ...]:
        """What is too near and on its way back; empty once nothing is, and while disarmed."""
        memory = self._memory
        if memory is None or memory.back is None:
            return ()
        return violated(self._core, memory.back, memory.motion[:-1, 0])

    def reset(self) -> None:
        """Leave a latched stop, once at rest; arm() must follow. Raises ArmError while moving."""
        if self._memory is not None:
            self._retired = retired(self._core, self._memory)
            self._grip, self._memory = self._memory.grip, None

    def tighten(self, limits: Limits) -> None:
        """Enforce these limits from the next step on; they must be nowhere looser than `limits`.

        The stored stop is certified again then. Where it cannot be, it is played, and proposals are
        refused (finding `environment_changed`) until what is left of it can be, at rest at last.
        Takes milliseconds: not for a tick's time. Raises LooserLimitsError, changing nothing.
        """
        limits = carrying(limits, self.limits.tool, self.limits.payload)  # as the robot is now
        require_nowhere_looser(self.limits, limits)
        self._enforce(limits)

    def set_payload(self, name: str | None) -> None:
        """What the tool carries from the next step on: a payload that the limits name, or None.

        Effort and geometry are then those of this payload. Where the stored stop, which holds with
        what was carried before, cannot be certified with it, it is played first, as in `tighten`.
        Raises UnknownChoiceError, changing nothing, with what can be chosen.
        """
        self._enforce(carrying(self.limits, self.limits.tool, name))

    def set_tool(self, name: str | None) -> None:
        """Which tool the robot has from the next step on; as `set_payload`.

        The tool centre is another one: a command that is being followed is not followed any more.
        """
        self._enforce(carrying(self.limits, name, self.limits.payload))
        if self._memory is not None:
            self._memory = self._memory._replace(plan=None)

    def _enforce(self, limits: Limits) -> None:
        core = Core(limits)
        self.limits, self._core = limits, core
        if self._memory is not None:
            # A way back was one of the limits of before: it is looked at anew, from rest.
            self._memory = self._memory._replace(changed_seq=self._memory.seq, back=None)

    def vet_chunk(
        self, state: RobotState, chunk: Command, *, now_ns: int | None = None
    ) -> VettedChunk:
        """What would come of `chunk` if it were proposed at the coming tick; see `vetting.vet`.

        Changes nothing. now_ns (default: state.stamp_ns) is what the ages of the state and of the
        chunk are counted to. Raises NotArmedError before arming; bad numbers are findings.
        """
        if self._memory is None:
            raise NotArmedError("there is nothing to vet from: call arm(state, now_ns=…) first")
        now_ns = state.stamp_ns if now_ns is None else now_ns
        return vet(self._core, self._memory, state, chunk, now_ns, self._scorer)

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        """Decide one tick. Never raises once armed; before arming it holds where the robot is."""
        memory = self._memory
        if memory is None:
            return self._hold(state, now_ns)
        decision, self._memory = decide_or_stop(
            self._core, memory, state, proposal, now_ns, self._scorer
        )
        return decision

    def _hold(self, state: RobotState, now_ns: int) -> Decision:
        decision, self._seen = held(
            self._core, self._seen, self._retired, state.q, now_ns, self._scorer, self._grip
        )
        return decision

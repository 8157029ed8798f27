"""The controller process: frames in, `SafetyFilter`, frames out. It composes; it decides nothing.

Guarantees:
- No setpoint leaves before the audit queue has taken its record. Once it has not, nothing leaves
  any more: the robot-side agent plays the stop that it has.
- A proposal that cannot be read reaches the filter as one without values: REFUSE, with a finding.
- In lock-step the robot's simulated time is the only clock, and the policy is asked every tick and
  waited for. In real time it is this process's monotonic clock, and the newest proposal counts.
- Every receive has a deadline, after which `is_wanted` is asked whether to go on.
- After arming no garbage collection runs within a tick (trap 23).

A session begins when a robot says hello, with a filter that remembers nothing. It is armed only
after a reset frame from the robot's side, where the operator stands, and only at rest.
`changes` takes tighter limits, another tool or payload, for this session and those after it.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import zmq

from ..limits.declared import Limits
from ..limits.records import Executed, RobotState
from .audit import AuditLog
from .bus import Endpoints, Publisher, Server
from .changes import Changes
from .decide import Scorer
from .decision import Decision
from .decision_frame import encode_decision
from .errors import ArmError, RemoteError
from .filter import SafetyFilter
from .frames import (
    ArmFrame,
    ByeFrame,
    HelloFrame,
    NothingFrame,
    ResetFrame,
    SetpointFrame,
    StateFrame,
    WelcomeFrame,
    decode,
    encode,
    encode_setpoint,
    new_token,
)
from .policy_desk import Answer, PolicyDesk
from .wire import pack_setpoint

__all__ = ["ControllerService", "ServiceReport", "quiet_garbage_collection"]

SLICE_MS = 250.0
ROBOT_KINDS = frozenset({"hello", "state", "reset", "bye"})


@dataclass(slots=True)
class ServiceReport:
    """What the service has seen; `step_ns` holds the latency of every decision."""

    ticks: int = 0
    sessions: int = 0
    armed: int = 0
    halted: str | None = None  # why nothing leaves any more
    ended: str = ""
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    rejected_policy: Counter[str] = field(default_factory=Counter)
    rejected_robot: Counter[str] = field(default_factory=Counter)
    superseded: int = 0  # proposals that a newer one replaced before they were looked at
    unreadable: int = 0  # frames of the policy that were no proposals: refused, with a finding
    scored: int = 0
    vetoed: int = 0
    step_ns: list[int] = field(default_factory=list)


def quiet_garbage_collection() -> None:
    """Collect once, then never look at what exists now again, and collect no more (trap 23)."""
    gc.collect()
    gc.freeze()
    gc.disable()


class ControllerService:
    """One controller between one policy and one robot."""

    def __init__(
        self,
        limits: Limits,
        endpoints: Endpoints,
        *,
        audit: AuditLog | None = None,
        scorer: Scorer | None = None,
        lockstep: bool = True,
        policy_patience_ms: float = 2000.0,
        publish_every_ticks: int = 1,
        watch: Callable[[int, Decision, int], None] | None = None,
    ) -> None:
        """Open the sockets; kernels are compiled and the classifier is loaded here.

        `watch` is called after each decision has left, with its tick and its latency [ns].
        """
        self.limits = limits
        self.report = ServiceReport()
        self._audit, self._scorer = audit, scorer
        self._lockstep, self._watch = lockstep, watch
        self._publish_every_ticks = publish_every_ticks
        self._guard = SafetyFilter(limits, scorer=scorer)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._policy = PolicyDesk(
            self._context,
            endpoints.policy,
            joints=len(limits.joints),
            lockstep=lockstep,
            patience_ms=policy_patience_ms,
        )
        self._robot = Server(self._context, "controller.robot", endpoints.robot)
        self._publisher = Publisher(self._context, endpoints.decisions)
        self._period_ns = round(limits.period_s * 1e9)
        self._joints = len(limits.joints)
        self._welcome: WelcomeFrame | None = None
        self._declared_sha256 = limits.sha256  # what a robot may have been set up for
        self.changes = Changes(limits)
        self._begin_session()

    def _begin_session(self) -> None:
        self._state_seq = -1
        self._is_armed = False
        self._may_arm = self._may_recover = False
        self._is_latched_at_rest = False
        self._now_ns = 0

    def _adopt_changes(self, now_ns: int) -> None:
        for limits in self.changes.adopted(self._guard):
            self.limits = limits
            if self._audit is not None:
                self._recorded(self._audit.change(limits, now_ns=now_ns))

    def run(self, is_wanted: Callable[[], bool]) -> ServiceReport:
        """Serve until the robot says goodbye, or `is_wanted` says no."""
        if self._audit is not None and not self._audit.header(self.limits):
            self.report.halted = self._audit.failed
        while self._serve_once(is_wanted):
            pass
        if self._audit is not None:
            self._audit.close(self.report.ended)
        self.report.rejected_policy = self._policy.rejected
        self.report.superseded = self._policy.superseded
        self.report.unreadable = self._policy.unreadable
        return self.report

    def close(self) -> None:
        """Say goodbye and let go of the sockets."""
        reason = self.report.ended or "the controller goes"
        self._robot.send(encode(ByeFrame(reason=reason)))
        self._policy.close(reason)
        self._robot.close()
        self._publisher.close()
        self._context.term()

    def _serve_once(self, is_wanted: Callable[[], bool]) -> bool:
        """One frame of the robot, or one slice of silence; False: the end."""
        received = self._robot.receive(SLICE_MS)
        if self._welcome is None or received is None:
            self._policy.newest()
        if received is None:
            if not is_wanted():
                self.report.ended = "not wanted any more"
                return False
            return True
        who, data = received
        try:
            frame = decode(data, joints=self._joints, kinds=ROBOT_KINDS)
        except RemoteError as error:
            self.report.rejected_robot[str(error)] += 1
            return True
        if isinstance(frame, HelloFrame):
            self._greet_robot(who, frame)
        elif isinstance(frame, ByeFrame) and who == self._robot.peer:
            self.report.ended = frame.reason
            return False
        elif isinstance(frame, ResetFrame) and who == self._robot.peer:
            self._on_reset(frame)
        elif isinstance(frame, StateFrame):
            self._on_state(frame, data)
        return True

    # sessions -------------------------------------------------------------------------------------

    def _greet_robot(self, who: bytes, hello: HelloFrame) -> None:
        self._robot.peer = who
        if self._lockstep and not self._policy.is_present:
            self._policy.newest()  # in lock-step nothing begins without a policy; hello is repeated
            if not self._policy.is_present:
                return
        if self._welcome is not None and self._welcome.greeting == hello.greeting:
            self._robot.send(encode(self._welcome))
            return
        why_not = self._why_not(hello)
        if why_not is not None:
            self.report.rejected_robot[why_not] += 1
            self._robot.send(encode(ByeFrame(reason=why_not)))
            return
        self._guard = SafetyFilter(self.limits, scorer=self._scorer)
        gc.collect()  # of the session before; none is collected within a tick
        self._begin_session()
        self.report.sessions += 1
        self._welcome = WelcomeFrame(
            greeting=hello.greeting,
            session=new_token(),
            run=self.report.sessions,
            limits_name=self.limits.name,
            limits_sha256=self.limits.sha256,
            joints=self._joints,
            period_s=self.limits.period_s,
            watchdog_ms=self.limits.timing.watchdog_ms,
            lockstep=self._lockstep,
        )
        if self._audit is not None:
            now_ns = 0 if self._lockstep else time.monotonic_ns()
            self._recorded(self._audit.start(self._welcome.session, now_ns=now_ns))
        self._policy.open_session(self._welcome)
        self._robot.send(encode(self._welcome))

    def _why_not(self, hello: HelloFrame) -> str | None:
        if hello.role != "robot" or hello.joints != self._joints:
            return f"joints: the robot has {hello.joints}, the limits are for {self._joints}"
        if hello.limits_sha256 not in (None, self._declared_sha256, self.limits.sha256):
            return (
                f"limits_sha256: the robot was set up for {hello.limits_sha256}, "
                f"the controller enforces {self.limits.sha256}"
            )
        return None

    # one tick -------------------------------------------------------------------------------------

    def _on_state(self, frame: StateFrame, data: bytes) -> None:
        welcome = self._welcome
        if welcome is None or frame.session != welcome.session or not frame.seq > self._state_seq:
            self.report.rejected_robot["another session, or not in order"] += 1
            return
        self._state_seq = frame.seq
        now_ns, state = frame.now_ns, frame.state
        if not self._lockstep:  # trap 20: ages are measured on the clock of the receiver
            now_ns = time.monotonic_ns()
            state = replace(state, stamp_ns=now_ns)
            frame = replace(frame, now_ns=now_ns, state=state)
            data = encode(frame)
        self.report.ticks += 1
        self._adopt_changes(now_ns)
        if self.report.halted is not None:
            self._nothing(frame)
            return
        answer = self._policy.ask(frame.tick, data)  # its time goes on while nothing is armed
        if self._is_armed:
            self._decide(frame, state, answer, now_ns)
        else:
            self._arm(frame, state, now_ns)

    def _arm(self, frame: StateFrame, state: RobotState, now_ns: int) -> None:
        """Arm if that is wanted and possible; motion begins with the tick after this one."""
        if not self._may_arm:
            self._nothing(frame)
            return
        self._may_arm = False  # once: an operator who was refused has to ask again
        armed_ns = now_ns + self._period_ns
        try:
            self._guard.arm(state, now_ns=armed_ns, recover=self._may_recover)
        except ArmError as error:
            self.report.rejected_robot[f"arm: {error}"] += 1
            self._nothing(frame)
            return
        memory = self._guard.memory
        seq = 0 if memory is None else memory.seq
        if self._audit is not None and not self._recorded(
            self._audit.arm(
                frame.session, frame.tick, state, now_ns=armed_ns, recover=self._may_recover
            )
        ):
            self._nothing(frame)
            return
        self._is_armed = True
        self.report.armed += 1
        if self.report.armed == 1:
            quiet_garbage_collection()
        self._robot.send(
            encode(ArmFrame(session=frame.session, seq=seq, tick=frame.tick, q=state.q))
        )

    def _decide(
        self,
        frame: StateFrame,
        state: RobotState,
        answer: Answer,
        now_ns: int,
    ) -> None:
        before_ns = time.perf_counter_ns()
        decision = self._guard.step(state, answer.candidates, now_ns=now_ns)
        decide_ns = time.perf_counter_ns() - before_ns
        packed = pack_setpoint(decision.setpoint)
        encoded = encode_decision(frame.session, frame.tick, decision, packed)
        if self._audit is not None and not self._recorded(
            self._audit.decision(
                frame.session,
                frame.tick,
                state,
                answer.candidates,
                encoded,
                now_ns=now_ns,
                rejected=answer.rejected,
                decide_ns=decide_ns,
            )
        ):
            self._nothing(frame)
            return
        self._robot.send(encode_setpoint(self._setpoint_frame(frame, decision), packed))
        self._policy.tell(encoded)
        if frame.tick % self._publish_every_ticks == 0:
            self._publisher.send(encoded)
        self._count(decision, decide_ns)
        if self._watch is not None:
            self._watch(frame.tick, decision, decide_ns)
        stop = decision.stop_state
        self._is_latched_at_rest = stop.latched and stop.phase == "at_rest"
        self._now_ns = now_ns

    def _setpoint_frame(self, frame: StateFrame, decision: Decision) -> SetpointFrame:
        seq, stop_tick = decision.continues
        stop = decision.stop_state
        return SetpointFrame(
            session=frame.session,
            seq=decision.seq,
            tick=frame.tick,
            valid_ticks=1,
            continues_from=Executed(seq=seq, stop_tick=stop_tick),
            setpoint=decision.setpoint,
            category=stop.category.value,
            latched=stop.latched,
        )

    def _on_reset(self, frame: ResetFrame) -> None:
        """The operator allows motion: clear a latched stop at rest, and arm with the next state."""
        if self._welcome is None or frame.session != self._welcome.session:
            self.report.rejected_robot["reset of another session"] += 1
            return
        if self._is_armed and not self._is_latched_at_rest:
            self.report.rejected_robot["reset while nothing is latched at rest"] += 1
            return
        if self._is_armed:
            try:
                self._guard.reset()
            except ArmError as error:  # what is measured may still lag behind the rest
                self.report.rejected_robot[f"reset: {error}"] += 1
                return
            self._is_armed = self._is_latched_at_rest = False
            if self._audit is not None:
                self._recorded(self._audit.reset("operator", now_ns=self._now_ns))
        self._may_arm, self._may_recover = True, frame.recover

    def _count(self, decision: Decision, decide_ns: int) -> None:
        report = self.report
        report.outcomes[decision.outcome.value] += 1
        report.step_ns.append(decide_ns)
        report.scored += len(decision.scores)
        for limit in {finding.limit for finding in decision.findings}:
            report.findings[limit] += 1
        if any(finding.limit == "classifier" for finding in decision.findings):
            report.vetoed += len(decision.scores)
        elif decision.accepted is not None:
            report.vetoed += max(0, len(decision.scores) - 1)

    def _nothing(self, frame: StateFrame) -> None:
        self._robot.send(encode(NothingFrame(session=frame.session, tick=frame.tick)))

    def _recorded(self, taken: bool) -> bool:
        if not taken and self._audit is not None:
            self.report.halted = self._audit.failed
        return taken

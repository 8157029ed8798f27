"""SafetyWrapper: the filter between a policy and any Gymnasium environment.

Guarantees:
- What reaches `env.step` is made from a decision's setpoint, and from nothing else; it is handed
  back as `info["executed_action"]` (trap 24): learn from that one, not from what was proposed.
- Nothing is guessed: how an observation becomes a `RobotState`, an action a `Command` and a
  setpoint an action is given by the caller, or construction fails.
- Every reset begins with a fresh filter, armed from the observed state. One wrapper guards one
  environment: in a vector environment each sub-environment has its own (trap 25).
- Time is simulated: ticks of `limits.period_s` since the reset. No clock is read.

Ticks, steps, actions. One `env.step` takes `ticks_per_step` ticks; one action of the policy is held
for `steps_per_action` calls of `env.step`. With `ticks_per_step=1` every tick is measured, and the
limits hold at every tick. With more, the setpoints of all ticks of a step are decided in advance,
from the assumption that the robot follows them within the declared tracking error (the next
observation is checked against it), and `from_setpoint` gets the last one: for environments that
interpolate by themselves. A single-row command is held no longer than the limits'
`command_timeout_ms`; a policy slower than that proposes chunks.

A policy that thinks of the tool needs no kinematics of its own: `to_command` returns a `Command` of
mode `tcp_twist` (velocity [m/s] and angular velocity [rad/s]) or `tcp_delta` (displacement [m] and
rotation vector [rad]), base frame; the setpoints are those of the joints all the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import gymnasium
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from ..controller import Decision, Outcome, SafetyFilter
from ..limits import Command, Limits, RobotState, Setpoint

if TYPE_CHECKING:
    from ..models import Classifier

__all__ = ["SafetyWrapper"]

ObsT = TypeVar("ObsT")
ActT = TypeVar("ActT")

ToState = Callable[[ObsT, dict[str, Any]], RobotState]
ToCommand = Callable[[ActT], Command | Sequence[Command] | None]
FromSetpoint = Callable[[Setpoint], ActT]

RETURNS = {
    "to_state": "to_state(obs, info) must return a RobotState: measured q, dq, each (n,), SI units",
    "to_command": "to_command(action) must return a Command (or several, preferred first, or None)",
    "from_setpoint": "from_setpoint(setpoint) must return the env's action that goes to setpoint.q",
}
SEVERITY = tuple(Outcome)


def _declared_classifier(limits: Limits) -> Classifier | None:
    if limits.classifier.file is None:
        return None
    from ..models import Classifier  # onnxruntime is only loaded where a classifier is declared

    return Classifier.load(limits)


def _missing(*_: Any) -> Any:
    """Stands for a callable that was not given; never called."""
    raise TypeError("; ".join(RETURNS.values()))


def _required(given: dict[str, Any]) -> None:
    missing = [name for name, f in given.items() if f is _missing or not callable(f)]
    if missing:
        raise TypeError(
            f"SafetyWrapper: {', '.join(missing)} missing, and nothing is guessed. "
            + "; ".join(RETURNS[name] for name in missing)
        )


def _whole(name: str, count: int) -> int:
    if not (count >= 1 and count % 1 == 0):
        raise ValueError(f"{name}: {count!r} is not a whole number of at least 1")
    return int(count)


class SafetyWrapper(
    gymnasium.Wrapper[ObsT, ActT, ObsT, ActT],
    RecordConstructorArgs,
):
    """Guards `env` by `limits`. `info` gains decision, decisions, executed_action and safety.

    to_state(obs, info) -> RobotState: its `stamp_ns` is ignored, an observation is of now.
    to_command(action) -> Command, candidates or None: `seq` and `stamp_ns` are set here.
    from_setpoint(setpoint) -> action: what makes the robot be at the setpoint after the step.
    on_stop: what a latched stop does to the episode. "hold": it goes on, the robot stays at rest,
    and `info["safety"]["latched"]` says so; "truncate": it is truncated once the robot rests.

    The Command's values are judged here, not by `env.action_space`: NaN is refused, not raised.
    """

    def __init__(
        self,
        env: gymnasium.Env[ObsT, ActT],
        limits: Limits,
        *,
        to_state: ToState[ObsT] = _missing,
        to_command: ToCommand[ActT] = _missing,
        from_setpoint: FromSetpoint[ActT] = _missing,
        ticks_per_step: int = 1,
        steps_per_action: int = 1,
        on_stop: Literal["hold", "truncate"] = "hold",
    ) -> None:
        """Compile the kernels and load the declared classifier; the robot is armed by reset()."""
        RecordConstructorArgs.__init__(
            self,
            limits=limits,
            to_state=to_state,
            to_command=to_command,
            from_setpoint=from_setpoint,
            ticks_per_step=ticks_per_step,
            steps_per_action=steps_per_action,
            on_stop=on_stop,
            _disable_deepcopy=True,
        )
        anything: object = env
        if isinstance(anything, VectorEnv):
            raise TypeError(
                "env: a vector environment resets its parts one by one, so each needs a filter of "
                "its own: wrap them, then vectorise: SyncVectorEnv([lambda: SafetyWrapper(…), …])"
            )
        _required({"to_state": to_state, "to_command": to_command, "from_setpoint": from_setpoint})
        gymnasium.Wrapper.__init__(self, env)
        if on_stop not in ("hold", "truncate"):
            raise ValueError(f"on_stop: {on_stop!r} is neither 'hold' nor 'truncate'")
        self.limits = limits
        self._to_state, self._to_command, self._from_setpoint = to_state, to_command, from_setpoint
        self._ticks_per_step = _whole("ticks_per_step", ticks_per_step)
        self._steps_per_action = _whole("steps_per_action", steps_per_action)
        self._on_stop = on_stop
        self._period_ns = round(limits.period_s * 1e9)
        self._check_step_length(env)
        # Loaded once: it has no memory, so every fresh filter may share it.
        self._scorer = _declared_classifier(limits)
        self._fresh_filter()  # compiles and verifies now, so that no first reset waits or fails
        self._filter: SafetyFilter | None = None
        self._state: RobotState | None = None
        self._forget()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsT, dict[str, Any]]:
        """Reset the environment and arm a fresh filter; ArmError says why it cannot be armed."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._forget()
        fresh = self._fresh_filter()
        state = self._observed(obs, info)
        fresh.arm(state, now_ns=self._now_ns)
        self._filter, self._state = fresh, state
        return obs, info

    def step(self, action: ActT) -> tuple[ObsT, float, bool, bool, dict[str, Any]]:
        """Propose `action`, execute what the filter decides, for one action's worth of steps."""
        proposal = self._proposed(action)
        decisions: list[Decision] = []
        reward_sum, steps = 0.0, 0
        while True:
            decisions += self._decide(proposal)
            executed = self._from_setpoint(decisions[-1].setpoint)
            obs, reward, terminated, truncated, info = self.env.step(executed)
            reward_sum, steps, proposal = reward_sum + float(reward), steps + 1, None
            self._state = self._observed(obs, info)
            stop = decisions[-1].stop_state
            if self._on_stop == "truncate" and stop.latched and stop.rest_in_ticks == 0:
                truncated = True
            if terminated or truncated or steps == self._steps_per_action:
                break
        info = {
            **info,
            "decision": decisions[-1],
            "decisions": tuple(decisions),
            "executed_action": executed,
            "safety": self._summary(decisions),
        }
        return obs, reward_sum, terminated, truncated, info

    def _fresh_filter(self) -> SafetyFilter:
        return SafetyFilter(self.limits, scorer=self._scorer)

    def _forget(self) -> None:
        self._filter = None
        self._state = None
        self._now_ns, self._seq = 0, 0
        self._ticks, self._interventions = 0, 0

    def _check_step_length(self, env: gymnasium.Env[ObsT, ActT]) -> None:
        """An environment that says how long its step is (`dt`, as Gymnasium's own) is believed."""
        dt_s = getattr(env.unwrapped, "dt", None)
        step_s = self._ticks_per_step * self.limits.period_s
        if isinstance(dt_s, float) and not math.isclose(dt_s, step_s, rel_tol=1e-6):
            raise ValueError(
                f"ticks_per_step: env.dt is {dt_s} s, but {self._ticks_per_step} ticks of "
                f"{self.limits.period_s} s (limits '{self.limits.name}') are {step_s} s"
            )

    def _observed(self, obs: ObsT, info: dict[str, Any]) -> RobotState:
        state = self._to_state(obs, info)
        if not isinstance(state, RobotState):
            raise TypeError(f"{RETURNS['to_state']}, not {type(state).__name__}")
        return replace(state, stamp_ns=self._now_ns)

    def _proposed(self, action: ActT) -> tuple[Command, ...] | None:
        if self._filter is None:
            raise gymnasium.error.ResetNeeded("call reset() before step(): nothing is armed yet")
        made = self._to_command(action)
        if made is None:
            return None
        candidates = (made,) if isinstance(made, Command) else tuple(made)
        if not candidates or not all(isinstance(command, Command) for command in candidates):
            raise TypeError(f"{RETURNS['to_command']}, not {made!r}")
        self._seq += 1
        return tuple(
            replace(command, seq=self._seq, stamp_ns=self._now_ns) for command in candidates
        )

    def _decide(self, proposal: tuple[Command, ...] | None) -> list[Decision]:
        """One decision for each tick of the coming `env.step`."""
        if self._filter is None or self._state is None:
            raise gymnasium.error.ResetNeeded("call reset() before step(): nothing is armed yet")
        decisions: list[Decision] = []
        state = self._state
        for _ in range(self._ticks_per_step):
            decision = self._filter.step(state, proposal, now_ns=self._now_ns)
            decisions.append(decision)
            self._now_ns += self._period_ns
            self._ticks += 1
            self._interventions += decision.outcome is not Outcome.PASS
            proposal = None
            # Nothing is measured within a step: the robot is taken to be where it was sent.
            setpoint = decision.setpoint
            state = replace(
                state, q=setpoint.q, dq=setpoint.dq, stamp_ns=self._now_ns, executed=None
            )
        return decisions

    def _summary(self, decisions: list[Decision]) -> dict[str, Any]:
        """Plain values, for logging; counts are of the episode, the rest of this step."""
        stop = decisions[-1].stop_state
        worst = max((decision.outcome for decision in decisions), key=SEVERITY.index)
        found = {finding.limit for decision in decisions for finding in decision.findings}
        return {
            "outcome": worst.value,
            "findings": tuple(sorted(found)),
            "phase": stop.phase,
            "latched": stop.latched,
            "cause": stop.cause,
            "rest_in_ticks": stop.rest_in_ticks,
            "ticks": self._ticks,
            "interventions": self._interventions,
        }

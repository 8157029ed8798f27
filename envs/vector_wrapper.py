"""SafetyVectorWrapper: the filter between a policy and a Gymnasium vector environment.

Guarantees:
- As `SafetyWrapper`, for all sub-environments in one call: what reaches `env.step` is made from
  decisions, nothing is guessed, time is simulated. Each sub-environment's decisions are those of
  a `SafetyWrapper` of its own, bit for bit.
- A filter belongs to its sub-environment (trap 25): when one is reset, in whichever of Gymnasium's
  autoreset modes, its filter begins anew and is armed from the observation of that reset; the
  others do not notice.

NEXT_STEP: the step after an end is a reset; that sub-environment's action does nothing and nothing
is decided for it (outcome NOT_STEPPED). SAME_STEP: the observation of an end is already the next
episode's. DISABLED: reset what ended with `reset(options={"reset_mask": …})`.
A latched stop holds its robot at rest until its sub-environment is reset.
Limits with a gripper are refused: a batch takes no gripper commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from ..controller import BatchDecision, BatchFilter
from ..limits import Limits
from ..limits.records import Array, Mode

__all__ = ["BatchCommand", "BatchState", "SafetyVectorWrapper"]

Flags = npt.NDArray[np.bool_]
Step = tuple[Any, Any, Any, Any, dict[str, Any]]

RETURNS = {
    "to_state": "to_state(obs, info) must return (q, dq) as measured, each (num_envs, n), SI units,"
    " or a BatchState",
    "to_command": "to_command(actions) must return (mode, values (num_envs, w)), a BatchCommand,"
    " or None",
    "from_setpoint": "from_setpoint(decision) must return the env's actions that go to decision.q",
}


class BatchState(NamedTuple):
    """What was measured in all sub-environments; SI units."""

    q: Array  # (b, n)
    dq: Array  # (b, n)
    wrench_tcp: Array | None = None  # (b, 6) force and moment on the TCP, base frame


class BatchCommand(NamedTuple):
    """One command row for each sub-environment, all of one mode; see limits.records.Command."""

    mode: Mode
    values: Array  # (b, w)
    valid_ms: Array | float | None = None
    proposed: Flags | None = None  # (b,) False: nothing new there; None: new everywhere


ToState = Callable[[Any, dict[str, Any]], BatchState | tuple[Array, Array]]
ToCommand = Callable[[Any], BatchCommand | tuple[Mode, Array] | None]
FromSetpoint = Callable[[BatchDecision], Any]


def _missing(*_: Any) -> Any:
    """Stands for a callable that was not given; never called."""
    raise TypeError("; ".join(RETURNS.values()))


def _autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    declared = env.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(declared)
    except ValueError:
        raise ValueError(
            f"env.metadata['autoreset_mode']: {declared!r} does not say when a sub-environment is "
            f"reset, so its filter cannot be; expected one of {[str(m) for m in AutoresetMode]}"
        ) from None


class SafetyVectorWrapper(VectorWrapper[Any, Any, Any, Any, Any]):
    """Guards all sub-environments of `env` by `limits`.

    to_state(obs, info) -> BatchState or (q, dq): obs is of the whole batch, of now.
    to_command(actions) -> BatchCommand, (mode, values), or None for nothing new.
    from_setpoint(decision) -> actions: what makes the robots be at decision.q (b, n), .dq, .ddq.
    ticks_per_step as in SafetyWrapper. `info` gains decision and decisions (BatchDecision, one a
    tick), executed_action, and safety: arrays (b,) of plain values, of this step and the episode.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        limits: Limits,
        *,
        to_state: ToState = _missing,
        to_command: ToCommand = _missing,
        from_setpoint: FromSetpoint = _missing,
        ticks_per_step: int = 1,
    ) -> None:
        """Compile the kernels and load the declared classifier; the robots are armed by reset()."""
        given = {"to_state": to_state, "to_command": to_command, "from_setpoint": from_setpoint}
        missing = [name for name, f in given.items() if f is _missing or not callable(f)]
        if missing:
            raise TypeError(
                f"SafetyVectorWrapper: {', '.join(missing)} missing, and nothing is guessed. "
                + "; ".join(RETURNS[name] for name in missing)
            )
        super().__init__(env)
        if not (ticks_per_step >= 1 and ticks_per_step % 1 == 0):
            raise ValueError(f"ticks_per_step: {ticks_per_step!r} is not a whole number above 0")
        self.limits = limits
        self._to_state, self._to_command, self._from_setpoint = to_state, to_command, from_setpoint
        self._ticks_per_step = int(ticks_per_step)
        self._autoreset = _autoreset_mode(env)
        self._period_ns = round(limits.period_s * 1e9)
        self._filter = BatchFilter(limits, env.num_envs)
        count = env.num_envs
        self._now_ns = np.zeros(count, np.int64)
        self._seq = np.zeros(count, np.int64)
        self._ticks, self._interventions = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._is_begun: Flags = np.zeros(count, np.bool_)
        self._is_over: Flags = np.zeros(count, np.bool_)
        self._state: BatchState | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all, or those in options["reset_mask"], and arm their filters anew.

        ArmError names the sub-environment that cannot be armed, and says why.
        """
        mask = None if options is None else options.get("reset_mask")
        begun = np.ones(self.num_envs, np.bool_) if mask is None else np.array(mask, np.bool_)
        obs, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        self._is_over = self._is_over & ~begun
        self._begin(begun, self._observed(obs, info))
        return obs, info

    def step(self, actions: Any) -> Step:
        """Propose `actions`, execute what the filters decide."""
        if not bool(self._is_begun.all()):
            raise gymnasium.error.ResetNeeded("call reset() before step(): nothing is armed yet")
        is_reset: Flags = np.zeros(self.num_envs, np.bool_)
        if self._autoreset is AutoresetMode.NEXT_STEP:
            is_reset = self._is_over
        decisions = self._decide(self._proposed(actions), ~is_reset)
        executed = self._from_setpoint(decisions[-1])
        obs, rewards, terminated, truncated, info = self.env.step(executed)
        self._is_over = np.logical_or(terminated, truncated)
        if self._autoreset is AutoresetMode.SAME_STEP:
            is_reset = self._is_over
        safety = self._summary(decisions)
        self._begin(is_reset, self._observed(obs, info))
        info = {
            **info,
            "decision": decisions[-1],
            "decisions": decisions,
            "executed_action": executed,
            "safety": safety,
        }
        return obs, rewards, terminated, truncated, info

    def _begin(self, rows: Flags, state: BatchState) -> None:
        """A new episode for these rows: a fresh filter each, armed where the robot is."""
        self._state = state
        if not bool(rows.any()):
            return
        for counter in (self._now_ns, self._seq, self._ticks, self._interventions):
            counter[rows] = 0
        self._is_begun[rows] = False
        self._filter.renew(rows)
        self._filter.arm(state.q, state.dq, now_ns=self._now_ns, where=rows)
        self._is_begun[rows] = True

    def _decide(self, command: BatchCommand | None, where: Flags) -> tuple[BatchDecision, ...]:
        """One decision for each tick of the coming `env.step`."""
        state, decisions = self._state, []
        if state is None:
            raise gymnasium.error.ResetNeeded("call reset() before step(): nothing is armed yet")
        for _ in range(self._ticks_per_step):
            decision = self._filter.step(
                state.q,
                state.dq,
                None if command is None else command.values,
                mode="joint_velocity" if command is None else command.mode,
                now_ns=self._now_ns,
                seq=self._seq,
                valid_ms=None if command is None else command.valid_ms,
                where=where,
                proposed=None if command is None else command.proposed,
                wrench_tcp=state.wrench_tcp,
            )
            decisions.append(decision)
            self._now_ns[where] += self._period_ns
            self._ticks[where] += 1
            self._interventions += where & (decision.outcome != 0)
            # Nothing is measured within a step: the robot is taken to be where it was sent.
            command, state = None, BatchState(decision.q, decision.dq, state.wrench_tcp)
        return tuple(decisions)

    def _observed(self, obs: Any, info: dict[str, Any]) -> BatchState:
        made: Any = self._to_state(obs, info)
        if not (isinstance(made, tuple) and 2 <= len(made) <= 3):
            raise TypeError(f"{RETURNS['to_state']}, not {type(made).__name__}")
        return BatchState(*made)

    def _proposed(self, actions: Any) -> BatchCommand | None:
        made: Any = self._to_command(actions)
        if made is None:
            return None
        if not (isinstance(made, tuple) and 2 <= len(made) <= 4 and isinstance(made[0], str)):
            raise TypeError(f"{RETURNS['to_command']}, not {type(made).__name__}")
        self._seq += 1
        return BatchCommand(*made)

    def _summary(self, decisions: tuple[BatchDecision, ...]) -> dict[str, Any]:
        """Plain arrays (b,), for logging; counts are of the episode, the rest of this step."""
        last = decisions[-1]
        worst = np.max([decision.outcome for decision in decisions], axis=0)
        return {
            "outcome": worst,
            "latched": last.latched,
            "at_rest": last.at_rest,
            "rest_in_ticks": last.rest_in_ticks,
            "ticks": self._ticks.copy(),
            "interventions": self._interventions.copy(),
        }

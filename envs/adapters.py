"""How checkrein's own environments are guarded: their three callables, spelled out.

Not a default of `SafetyWrapper`, which guesses nothing: these are for `ArmEnv` and its kind only,
where an action is a joint velocity in shares of the declared `max_velocity`, reached at the end of
the step, and `info["state"]` holds what the robot measures.
"""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

from ..limits import Command, Limits, RobotState, Setpoint, TrackedObject, load_limits
from .wrapper import SafetyWrapper

__all__ = ["JointVelocityAdapter", "guard", "make_guarded"]

Observation = npt.NDArray[np.float32]
Action = npt.NDArray[np.float32]


class JointVelocityAdapter:
    """The callables for `limits`, whose `max_velocity` an action of 1 stands for.

    `steps_per_action` is that of the wrapper: how many ticks the policy's action ramps over.
    """

    def __init__(self, limits: Limits, steps_per_action: int) -> None:
        self._action_ms = 1e3 * steps_per_action * limits.period_s
        self._max_velocity = np.array([joint.max_velocity for joint in limits.joints])

    def to_state(self, obs: Observation, info: dict[str, Any]) -> RobotState:
        """What was measured, in float64; the observation is the same, rounded and cut."""
        seen = info["state"]
        objects: tuple[TrackedObject, ...] = ()
        if "object_pose" in seen:
            objects = (TrackedObject("object", seen["object_pose"]),)
        return RobotState(
            q=seen["q"],
            dq=seen["dq"],
            stamp_ns=0,
            tau=seen["tau"],
            wrench_tcp=seen["wrench_tcp"],
            objects=objects,
        )

    def to_command(self, action: Action) -> Command:
        """A chunk of one row: velocities [rad/s or m/s] at the end of the action, linearly.

        The filter judges it, whatever it is: not finite, too long, too fast.
        """
        values = np.atleast_1d(np.asarray(action, dtype=np.float64))
        if values.shape == self._max_velocity.shape:
            values = values * self._max_velocity
        return Command(
            mode="joint_velocity",
            values=values[None, :],
            seq=0,
            stamp_ns=0,
            period_ms=self._action_ms,
        )

    def from_setpoint(self, setpoint: Setpoint) -> Action:
        """The velocity at the end of the tick; the environment ramps to it linearly."""
        return np.asarray(setpoint.dq / self._max_velocity, dtype=np.float32)


def guard(
    env: gymnasium.Env[Observation, Action],
    limits: Limits,
    *,
    steps_per_action: int = 5,
    on_stop: Literal["hold", "truncate"] = "hold",
) -> SafetyWrapper[Observation, Action]:
    """Guard one of checkrein's own environments, made with `ticks_per_step=1`."""
    adapter = JointVelocityAdapter(limits, steps_per_action)
    return SafetyWrapper(
        env,
        limits,
        to_state=adapter.to_state,
        to_command=adapter.to_command,
        from_setpoint=adapter.from_setpoint,
        steps_per_action=steps_per_action,
        on_stop=on_stop,
    )


def make_guarded(
    name: str,
    *,
    limits: str = "franka_panda",
    steps_per_action: int = 5,
    on_stop: Literal["hold", "truncate"] = "hold",
    **options: Any,
) -> SafetyWrapper[Observation, Action]:
    """`gymnasium.make(name)` guarded at every tick; the policy acts every `steps_per_action`.

    Its actions, observations and their rate are those of the unguarded environment.
    """
    env = gymnasium.make(name, limits=limits, ticks_per_step=1, **options)
    return guard(env, load_limits(limits), steps_per_action=steps_per_action, on_stop=on_stop)

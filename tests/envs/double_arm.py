"""A Gymnasium environment that knows nothing of checkrein: joints as double integrators."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from checkrein.envs import SafetyWrapper
from checkrein.limits import Command, Limits, RobotState, Setpoint

Array = npt.NDArray[np.float64]


class DoubleArm(gymnasium.Env[Array, Array]):
    """The action is the acceleration at the end of the step, reached linearly; cost: |q|."""

    def __init__(self, joints: int, step_s: float, steps_max: int = 10_000) -> None:
        self.n, self.step_s, self.steps_max = joints, step_s, steps_max
        self.observation_space = gymnasium.spaces.Box(-100.0, 100.0, (2 * joints,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1e3, 1e3, (joints,), np.float64)
        self.received: list[Array] = []
        self.jump_rad = 0.0  # where the robot is not where it should be: added once

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        start = self.np_random.uniform(-0.1, 0.1, self.n)
        self.q, self.dq, self.ddq = start, np.zeros(self.n), np.zeros(self.n)
        self.steps, self.received = 0, []
        return self._observation(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.received.append(np.array(action))
        t, jerk = self.step_s, (action - self.ddq) / self.step_s
        self.q = self.q + t * (self.dq + t * (self.ddq / 2.0 + t * jerk / 6.0)) + self.jump_rad
        self.dq = self.dq + t * (self.ddq + t * jerk / 2.0)
        self.ddq, self.jump_rad = np.array(action), 0.0
        self.steps += 1
        truncated = self.steps >= self.steps_max
        return self._observation(), -float(np.abs(self.q).sum()), False, truncated, {}

    def _observation(self) -> Array:
        return np.concatenate((self.q, self.dq))


class ServoArm(DoubleArm):
    """Its servo interpolates by itself: the action is where to be at the end of the step."""

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.received.append(np.array(action))
        self.q, self.dq = np.array(action[: self.n]), np.array(action[self.n :])
        return self._observation(), 0.0, False, False, {}


def seen(obs: Array, info: dict[str, Any]) -> RobotState:
    q, dq = np.split(obs, 2)
    return RobotState(q=q, dq=dq, stamp_ns=0)


def velocity(action: Array) -> Command:
    return Command(mode="joint_velocity", values=action, seq=0, stamp_ns=0)


def acceleration(setpoint: Setpoint) -> Array:
    return setpoint.ddq


def guarded(env: DoubleArm, limits: Limits, **options: Any) -> SafetyWrapper[Array, Array]:
    """The policy proposes velocities."""
    return SafetyWrapper(
        env, limits, to_state=seen, to_command=velocity, from_setpoint=acceleration, **options
    )

"""A well-behaved policy for checkrein's own environments: straight to the goal, tool level."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from checkrein.limits.loading import robots_folder
from checkrein.sim.chain import Chain, rotation_vector

SPEED_M_S = 0.3
GAIN_1_S = 2.0
CHANGE_MAX = 0.02  # of full speed, from one action to the next


class Steering:
    """Closed loop on the observation: `step` after every one, `restart` after a reset."""

    def __init__(self, limits: str = "franka_panda") -> None:
        frozen = json.loads((robots_folder() / f"{limits}.json").read_bytes())
        self._chain = Chain(frozen)
        self._speed = np.array([joint["max_velocity"] for joint in frozen["joints"]])
        self._level = self._chain.tcp(np.array(frozen["home"]))[0]
        self.restart()

    def restart(self) -> None:
        self._last = np.zeros(len(self._speed))

    def step(self, obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        n = len(self._speed)
        q = obs[:n].astype(np.float64)
        tcp, goal = obs[2 * n : 2 * n + 3], obs[2 * n + 3 : 2 * n + 6]
        rotation, _, jacobian = self._chain.tcp(q)
        wanted = GAIN_1_S * (goal - tcp)
        wanted *= min(1.0, SPEED_M_S / max(float(np.linalg.norm(wanted)), 1e-9))
        level = GAIN_1_S * rotation_vector(self._level @ rotation.T)
        rates = self._chain.rates(jacobian, np.concatenate((wanted, level)), 0.05)
        change = np.clip(rates / self._speed - self._last, -CHANGE_MAX, CHANGE_MAX)
        self._last = self._last + change
        return self._last.astype(np.float32)


def episode(env: Any, steering: Steering, seed: int) -> tuple[int, dict[str, Any]]:
    """(steps taken, the last info) of one episode."""
    obs, info = env.reset(seed=seed)
    steering.restart()
    for steps in range(1, 100_000):
        obs, _, terminated, truncated, info = env.step(steering.step(obs))
        if terminated or truncated:
            return steps, info
    return 0, info

"""checkrein/Reach-v0: bring the tool centre point to a goal, and come to rest there.

Reward: -2 per metre of distance and second, -0.1 per second at full speed in all joints, +10 when
the TCP rests within 15 mm of the goal, which ends the episode. It is truncated after `episode_s`.
The tool is on the robot, the payload is not.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .arm import ArmEnv, Array

__all__ = ["ReachEnv"]

DISTANCE_COST_1_M_S = 2.0
ARRIVAL_REWARD = 10.0
# How far the goal's joint positions may be from home; in the shipped cells, clear of everything.
OFFSET_MAX_RAD = 0.3
OFFSET_MAX_M = 0.1
OFFSET_MIN = 0.3  # of the above, for at least one joint: a goal is not where the robot starts


class ReachEnv(ArmEnv):
    """The goal is where the TCP is at joint positions near home: it can always be reached."""

    has_object: ClassVar[bool] = False

    def _sample_goal(self) -> Array:
        share = self.np_random.uniform(-1.0, 1.0, self._home.size)
        largest = float(np.abs(share).max())
        share *= max(1.0, OFFSET_MIN / max(largest, 1e-9))
        offset = share * np.where(self._prismatic, OFFSET_MAX_M, OFFSET_MAX_RAD)
        q = np.clip(self._home + offset, self._chain.low, self._chain.high)
        return self._chain.tcp(q)[1]

    def _judge(self) -> tuple[float, bool]:
        arrived = self._has_arrived
        reward = -DISTANCE_COST_1_M_S * self.dt * self._distance_m
        return reward + (ARRIVAL_REWARD if arrived else 0.0), arrived

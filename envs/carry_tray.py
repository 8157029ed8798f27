"""checkrein/CarryTray-v0: carry a loose object on a tray to a goal, and come to rest there.

Reward: -2 per metre of distance and second, -0.5 per radian of the tray's tilt and second, -0.1 per
second at full speed in all joints; +10 when the tray rests within 15 mm of the goal with the object
on it, -20 when the object is lost: both end the episode. It is truncated after `episode_s`.

The observation ends with the object's pose relative to the tray: xyz [m], quaternion xyzw, w >= 0.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .arm import ArmEnv, Array

__all__ = ["CarryTrayEnv"]

DISTANCE_COST_1_M_S = 2.0
TILT_COST_1_RAD_S = 0.5
ARRIVAL_REWARD = 10.0
LOSS_COST = 20.0
GOAL_BOX_M = np.array([0.12, 0.16, 0.08])  # half extents around where home has the tray
GOAL_ERROR_MAX = 1e-3  # m plus rad that inverse kinematics may leave
GOAL_ATTEMPTS_MAX = 50
OBJECT_SEEN_M = 1.0  # a lost object is shown at most so far away


class CarryTrayEnv(ArmEnv):
    """Needs limits with a tool (the tray) and a payload (the object)."""

    has_object: ClassVar[bool] = True

    def __init__(self, limits: str = "franka_panda", **options: Any) -> None:
        super().__init__(limits, **options)
        if self._world.object_id is None:
            self.close()
            raise ValueError(f"limits: {limits!r} declare no tool with a payload to be carried")
        self._level, self._center, _ = self._chain.tcp(self._home)
        self._up = self._world.tool_up()

    def _sample_goal(self) -> Array:
        """Within the box, where the arm can hold the tray level; else where it is."""
        for _ in range(GOAL_ATTEMPTS_MAX):
            goal: Array = self._center + GOAL_BOX_M * self.np_random.uniform(-1.0, 1.0, 3)
            _, error = self._chain.solve(self._home, self._level, goal)
            if error <= GOAL_ERROR_MAX:
                return goal
        return self._center

    def _judge(self) -> tuple[float, bool]:
        lost, arrived = self._world.object_lost(), self._has_arrived
        tilt_rad = float(np.arccos(np.clip(self._up @ self._world.tool_up(), -1.0, 1.0)))
        reward = -self.dt * (DISTANCE_COST_1_M_S * self._distance_m + TILT_COST_1_RAD_S * tilt_rad)
        if lost:
            return reward - LOSS_COST, True
        return reward + (ARRIVAL_REWARD if arrived else 0.0), arrived

    def _extra_bounds(self) -> Array:
        return np.concatenate((np.full(3, OBJECT_SEEN_M), np.ones(4)))

    def _extra(self) -> Array:
        p = self._world.p
        pose = self._world.object_pose()
        inverse = p.invertTransform(*self._world.tool_pose())
        position, turn = p.multiplyTransforms(*inverse, list(pose[:3]), list(pose[3:]))
        quaternion = np.array(turn) * (-1.0 if turn[3] < 0.0 else 1.0)
        return np.concatenate((np.array(position), quaternion))

    def _info(self) -> dict[str, Any]:
        info, lost = super()._info(), self._world.object_lost()
        info["object_lost"] = lost
        info["is_success"] = info["is_success"] and not lost
        return info

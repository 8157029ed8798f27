"""What checkrein's environments share: one simulated arm, moved by joint velocities.

Guarantees:
- An action is a velocity for each joint, in shares of its declared `max_velocity`. The arm reaches
  it at the end of the step, linearly. Nothing else limits it: guarding is `SafetyWrapper`'s part.
- The robot moves through its motors only; one step is `ticks_per_step` ticks of the limits' period.
- The same `reset(seed=…)` and the same actions give the same bits.
- `info["state"]` holds what was measured, unrounded: q, dq, tau (n,), wrench_tcp (6,) of the tick
  with the largest force, and object_pose (7,) where there is an object.

Observation, float32: q, dq (n,) [rad, rad/s or m, m/s], TCP and goal (3,) [m, base frame], then
what the task adds. Values are cut at the bounds of the space, which lie far outside the limits.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt

from ..limits.errors import LimitsFileError
from ..limits.loading import read_bounded, robots_folder, shipped_names
from ..sim.chain import Chain
from ..sim.robot import Measured, Segment, SimulatedRobot
from ..sim.world import World

__all__ = ["ArmEnv"]

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

TICKS_PER_STEP = 5
RANGE_EXTRA = 0.5  # rad or m beyond the declared range that an observation still shows
SPEED_FACTOR = 4.0  # of the declared speed, likewise
# A drive that cannot follow stops pulling ahead, as real ones do.
LAG_MAX = 0.05  # rad or m
REACHED_M = 0.015
AT_REST = 0.1  # rad/s or m/s
CONTROL_COST_1_S = 0.1  # per second, at full speed in all joints
FRAME_PIXELS = (320, 240)


def read_frozen(limits: str) -> dict[str, Any]:
    """The frozen limits of a shipped robot, by name, or of a .json file, as plain data."""
    path = robots_folder() / f"{limits}.json" if limits in shipped_names() else Path(limits)
    if path.suffix != ".json":
        raise LimitsFileError(
            f"limits: {limits!r} is neither a shipped robot ({', '.join(shipped_names())}) nor a "
            "frozen file; `checkrein limits freeze` makes one"
        )
    frozen: dict[str, Any] = json.loads(read_bounded(path))
    return frozen


class ArmEnv(gymnasium.Env[Floats, Floats]):
    """Base of the environments; a task says where the goal is, and what a step is worth."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 (as Gymnasium's)
    has_object: ClassVar[bool]  # whether the limits' payload is there as a loose object

    def __init__(
        self,
        limits: str = "franka_panda",
        *,
        ticks_per_step: int = TICKS_PER_STEP,
        episode_s: float = 8.0,
        render_mode: str | None = None,
    ) -> None:
        """`limits`: a shipped robot, or the path of a frozen file (.json)."""
        if not (ticks_per_step >= 1 and ticks_per_step % 1 == 0):
            raise ValueError(f"ticks_per_step: {ticks_per_step!r} is not a whole number >= 1")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode: {render_mode!r} is none of {self.metadata['render_modes']} or None"
            )
        self.render_mode = render_mode
        frozen = read_frozen(limits)
        if not self.has_object:
            frozen = {**frozen, "source": {**frozen["source"], "payload": None}}
        self._ticks_per_step = int(ticks_per_step)
        self.dt = self._ticks_per_step * float(frozen["period_s"])  # s, one step
        if not (episode_s >= self.dt):
            raise ValueError(f"episode_s: {episode_s} s is less than one step of {self.dt} s")
        self._chain = Chain(frozen)
        self._world = World(frozen)
        try:
            self._robot = SimulatedRobot(self._world)
        except ValueError:
            self._world.close()
            raise
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.dt)}
        self._steps_max = round(episode_s / self.dt)
        joints = frozen["joints"]
        self._home: Array = self._world.home
        self._goal: Array = np.zeros(3)
        self._prismatic = np.array([joint["type"] == "prismatic" for joint in joints])
        self._max_velocity = np.array([float(joint["max_velocity"]) for joint in joints])
        self._spaces(frozen)
        self._begin(self._home)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Home, at rest, with a new goal (and a fresh object). There are no options."""
        super().reset(seed=seed)
        self._world.reset(self._home, self.np_random)
        self._robot.placed()
        self._begin(self._home)
        self._goal = self._sample_goal()
        return self._observation(), self._info()

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Ramp to the velocities of `action`; it is cut to [-1, 1], and must be finite."""
        shares = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        if shares.shape != self._home.shape or not bool(np.isfinite(shares).all()):
            raise ValueError(
                f"action: expected {self._home.size} finite numbers, got {action!r}; "
                "a SafetyWrapper would have refused it"
            )
        self._move(shares * self._max_velocity)
        self._steps += 1
        reward, terminated = self._judge()
        reward -= CONTROL_COST_1_S * self.dt * float(np.mean(shares * shares))
        truncated = self._steps >= self._steps_max
        return self._observation(), reward, terminated, truncated, self._info()

    def render(self) -> npt.NDArray[np.uint8] | None:
        """A camera frame (height, width, 3), if `render_mode` is "rgb_array"."""
        return self._world.render(*FRAME_PIXELS) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Give the physics client back. Closing twice does nothing."""
        self._world.close()

    # what a task adds -----------------------------------------------------------------------------

    @abstractmethod
    def _sample_goal(self) -> Array:
        """A goal (3,) [m], base frame, drawn from `self.np_random`."""

    @abstractmethod
    def _judge(self) -> tuple[float, bool]:
        """(reward of the step just made, whether the episode is over)."""

    def _extra_bounds(self) -> Array:
        """Largest magnitudes of what the task adds to the observation."""
        return np.zeros(0)

    def _extra(self) -> Array:
        """What the task adds to the observation."""
        return np.zeros(0)

    # for the tasks --------------------------------------------------------------------------------

    @property
    def _distance_m(self) -> float:
        return float(np.linalg.norm(self._tcp - self._goal))

    @property
    def _has_arrived(self) -> bool:
        """At the goal, and at rest."""
        return self._distance_m <= REACHED_M and float(np.abs(self._seen.dq).max()) <= AT_REST

    # motion ---------------------------------------------------------------------------------------

    def _begin(self, q: Array) -> None:
        self._q, self._dq = q.copy(), np.zeros_like(q)  # what the motors are told
        self._steps = 0
        self._goal = np.zeros(3)
        self._look(self._robot.measured(), np.zeros(6))

    def _move(self, wanted: Array) -> None:
        """One step with constant acceleration to the velocities `wanted` (n,)."""
        ahead = self._q - self._seen.q
        wanted = np.where(np.sign(wanted) * ahead > LAG_MAX, 0.0, wanted)
        ddq, still = (wanted - self._dq) / self.dt, np.zeros_like(wanted)
        measured, wrench = self._seen, np.zeros(6)
        for tick in range(self._ticks_per_step):
            segment = Segment(self._q, self._dq, ddq, still)
            measured = self._robot.step(segment)
            self._q, dq, _ = segment.end(self._robot.period_s)
            # Exactly, so that rounding does not add up over an episode.
            self._dq = wanted if tick == self._ticks_per_step - 1 else dq
            if np.linalg.norm(measured.wrench_tcp[:3]) >= np.linalg.norm(wrench[:3]):
                wrench = measured.wrench_tcp
        self._look(measured, wrench)

    def _look(self, measured: Measured, wrench: Array) -> None:
        self._seen, self._wrench = measured, wrench
        self._tcp: Array = self._chain.tcp(measured.q)[1]

    # what is shown --------------------------------------------------------------------------------

    def _spaces(self, frozen: dict[str, Any]) -> None:
        low, high = self._chain.low - RANGE_EXTRA, self._chain.high + RANGE_EXTRA
        speed = SPEED_FACTOR * self._max_velocity
        kinematics = frozen["kinematics"]
        links = [*kinematics["joints"], kinematics["tcp"]]
        reach = sum(float(np.linalg.norm(link["translation"])) for link in links)
        # Half a metre more: a prismatic joint adds its travel.
        points = np.full(6, reach + 0.5 + float(np.abs(high[self._prismatic]).sum()))
        extra = self._extra_bounds()
        self.observation_space = gymnasium.spaces.Box(
            np.concatenate((low, -speed, -points, -extra)).astype(np.float32),
            np.concatenate((high, speed, points, extra)).astype(np.float32),
            dtype=np.float32,
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, self._home.shape, np.float32)

    def _observation(self) -> Floats:
        seen = self._seen
        values = np.concatenate((seen.q, seen.dq, self._tcp, self._goal, self._extra()))
        space = self.observation_space
        if not isinstance(space, gymnasium.spaces.Box):
            raise TypeError("observation_space was replaced by something that is no Box")
        return np.clip(values.astype(np.float32), space.low, space.high)

    def _info(self) -> dict[str, Any]:
        seen = self._seen
        state = {
            "q": seen.q.copy(),
            "dq": seen.dq.copy(),
            "tau": seen.tau.copy(),
            "wrench_tcp": self._wrench.copy(),
        }
        if self._world.object_id is not None:
            state["object_pose"] = self._world.object_pose()
        return {"state": state, "distance_m": self._distance_m, "is_success": self._has_arrived}

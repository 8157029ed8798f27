"""The ideal plant, and what the filter is told of it.

Guarantees:
- A setpoint that arrives is executed exactly. When frames are lost, the plant plays the stop that
  it holds, tick by tick, and reports so (`executed`), as the robot-side agent does.
- The measured state is off by no more than the declared tracking and velocity errors and noise, and
  no later than the declared latency, except where the state itself is the attack.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ...controller.decision import Decision
from ...limits.records import Array, Executed, RobotState, StopMotion
from ...sim.oracle import Robot
from ...sim.oracle_stop import expand_one
from .view import View

__all__ = ["Plant", "Senses"]

COLLISION_SHARE = 0.003  # of ticks; the force is over the bound, or not a number
LOSS_SHARE = 0.003
LOST_MAX = 8  # frames in a row; the filter remembers more setpoints than that


class Plant:
    """Where the robot is, and which stop it holds."""

    def __init__(self, q: Array) -> None:
        self.q, self.dq, self.ddq = q, np.zeros_like(q), np.zeros_like(q)
        self.stop: StopMotion | None = None
        self.executed: Executed | None = None
        self._ahead: tuple[Array, Array, Array] | None = None  # the stop that it holds, by ticks

    def take(self, decision: Decision) -> None:
        """The frame arrived: execute its setpoint."""
        setpoint = decision.setpoint
        self.q, self.dq, self.ddq = setpoint.q, setpoint.dq, setpoint.ddq
        self.stop, self._ahead = setpoint.stop, None
        self.executed = Executed(decision.seq, 0)

    def miss(self) -> None:
        """No frame: play the next tick of the stop that came with the last one."""
        if self.stop is None or self.executed is None:
            raise RuntimeError("the plant holds no stop yet")
        if self._ahead is None:
            self._ahead = expand_one(self.stop, self.stop.period_s)
        tick = self.executed.stop_tick + 1
        at = min(tick, self._ahead[0].shape[0] - 1)
        self.q, self.dq, self.ddq = (part[at] for part in self._ahead)
        if tick >= self._ahead[0].shape[0] - 1:  # at rest: what is left is rounding
            self.dq, self.ddq = np.zeros_like(self.q), np.zeros_like(self.q)
        self.executed = Executed(self.executed.seq, tick)


class Senses:
    """Measures the plant, with noise and with faults; one per armed run."""

    def __init__(self, robot: Robot, view: View) -> None:
        self._robot, self._view = robot, view
        bounds = robot.bounds
        # A hair less than declared: the bound itself is a matter of rounding.
        self._q_error = (bounds["tracking_error"] + bounds["position_noise"]) * (1.0 - 1e-9)
        latency = int(robot.timing_ms.get("latency_ticks", 0.0))
        lag = int(view.rng.integers(0, latency + 1)) if latency > 0 else 0
        self._passed: deque[Array] = deque(maxlen=lag + 1)  # where the plant was, oldest first
        self._dq_error = bounds["velocity_error"] * (1.0 - 1e-9)
        self._noise = view.pick(0.0, 1.0, 1.0, 1.0)
        self._age_ns = round(robot.period_s * 1e9) // 4  # of a state that is not measured just now
        self._reports = view.chance(0.5)  # whether the robot says what it executed
        # Whether it reports angles of joints that turn without end within one turn.
        self._wraps = robot.continuous & (bool(robot.continuous.any()) and view.chance(0.7))
        self._is_wrapped = bool(self._wraps.any())
        self._lost = 0  # frames still to be lost
        self._has_arrived = True  # the last one

    def loses(self, plant: Plant) -> bool:
        """Whether the coming frame is lost."""
        if self._lost > 0:
            self._lost -= 1
            return True
        # Not once more in the same gap: no filter remembers for ever, and an agent would not play
        # what does not continue where it is.
        may_lose = self._reports and plant.stop is not None and self._has_arrived
        if may_lose and self._view.chance(LOSS_SHARE):
            self._lost = int(self._view.rng.integers(0, LOST_MAX))
            self._has_arrived = False
            return True
        self._has_arrived = True
        return False

    def _wrench(self) -> tuple[Array, bool]:
        """Measured force and torque; whether anything else may be wrong this tick."""
        view, wrench = self._view, np.zeros(6)
        drawn = float(view.rng.random())
        if drawn < COLLISION_SHARE:
            way = view.rng.normal(size=3)
            size = view.pick(1.0 + 1e-6, 1.5, 20.0, np.nan)
            wrench[:3] = way * (size * self._robot.max_force_n / float(np.linalg.norm(way)))
        elif drawn < 0.03:  # touches something, within the bound
            wrench[:3] = view.rng.uniform(-0.5, 0.5, 3) * self._robot.max_force_n
        return wrench, drawn > 0.999

    def measure(self, plant: Plant, now_ns: int) -> RobotState:
        """What the filter is told at the start of a tick."""
        view, robot = self._view, self._robot
        off = (2.0 * view.rng.random((2, robot.n)) - 1.0) * self._noise
        if view.chance(0.2):
            off = np.sign(off)
        self._passed.append(plant.q)
        q, dq = self._passed[0] + off[0] * self._q_error, plant.dq + off[1] * self._dq_error
        age_ns = self._age_ns if view.chance(0.5) else 0
        executed = plant.executed if self._reports else None
        wrench, faulty = self._wrench()
        if faulty:
            fault = int(view.rng.integers(4))
            if fault == 0:
                q[int(view.rng.integers(robot.n))] = view.pick(np.nan, np.inf, 1e6)
            elif fault == 1:  # pushed away from where it was commanded to be
                q += 2.0 * robot.bounds["tracking_error"] + 0.01
            elif fault == 2:
                age_ns = int((robot.timing_ms["state_age_max_ms"] + 1.0) * 1e6)
            elif executed is not None and executed.stop_tick == 0:
                # A setpoint that never was. (In a loss the plant is elsewhere than the filter's
                # memory: a robot that lies then is beyond what any filter can know.)
                executed = Executed(executed.seq + int(view.pick(-1000, 5)), 0)
        if self._is_wrapped:
            turns = np.floor(q[self._wraps] / (2.0 * np.pi) + 0.5)
            q[self._wraps] -= 2.0 * np.pi * np.where(np.isfinite(turns), turns, 0.0)
        return RobotState(q, dq, now_ns - age_ns, wrench_tcp=wrench, executed=executed)

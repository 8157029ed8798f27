"""The simulated robot: motors with data-sheet efforts that follow a motion, substep by substep.

Guarantees:
- Joints move only through motors of limited effort; nothing here resets a joint.
- `step` follows a `Segment`, the cubic of constant jerk, at every substep; `step_raw` is a driver
  that trusts its caller: straight lines between targets, whatever they are.
- What was measured during the last tick is kept for every substep (`trace`), so that a peak
  between ticks is not missed.

In one substep of h seconds PyBullet's position motor reaches, if its effort allows, the velocity
(q_target - q) / h. So at every substep's end q is on the cubic, and the measured dq is the mean
velocity of the cubic over the substep, which its extrema bound. A joint whose effort did not allow
it catches up no faster than it can brake, as real drives do; else it would swing about the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .world import SUBSTEP_S, Array, World

__all__ = ["Measured", "Motion", "Segment", "SimulatedRobot", "TickTrace"]

Vector = tuple[float, float, float]
# Of the declared limits: how hard a joint that lags brakes, how fast the drives go at most.
CATCH_UP_SHARE = 0.5
OVERSPEED = 2.0


class Motion(Protocol):
    """One tick of motion: q, dq, ddq (n,) at its start, and the constant jerk (n,) within it."""

    @property
    def q(self) -> Array: ...
    @property
    def dq(self) -> Array: ...
    @property
    def ddq(self) -> Array: ...
    @property
    def jerk(self) -> Array: ...


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A `Motion` as a plain record."""

    q: Array
    dq: Array
    ddq: Array
    jerk: Array

    @staticmethod
    def to(q: Array, dq: Array, ddq: Array, ddq_end: Array, period_s: float) -> Segment:
        """The segment that starts at (q, dq, ddq) and ends with acceleration `ddq_end`."""
        return Segment(q, dq, ddq, (ddq_end - ddq) / period_s)

    @staticmethod
    def rest(q: Array) -> Segment:
        """Stay at q."""
        zero = np.zeros_like(q)
        return Segment(q, zero, zero, zero)

    def end(self, period_s: float) -> tuple[Array, Array, Array]:
        """(q, dq, ddq) after `period_s`."""
        t, j = period_s, self.jerk
        return (
            self.q + t * (self.dq + t * (self.ddq / 2.0 + t * (j / 6.0))),
            self.dq + t * (self.ddq + t * (j / 2.0)),
            self.ddq + t * j,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The state at the end of the last tick: q, dq, tau (n,); wrench_tcp (6,) as in RobotState.

    The wrench is the one of that substep of the tick in which its force was largest; the carried
    object's weight is payload, not environment, and left out.
    """

    q: Array
    dq: Array
    tau: Array
    wrench_tcp: Array


@dataclass(frozen=True, slots=True, eq=False)
class TickTrace:
    """All substeps of the last tick: (m, n) joints, (m,) TCP speeds and contact force.

    collisions: (link index, other body, other link) that touched in any substep.
    """

    q: Array
    dq: Array
    tau: Array
    tcp_speed_m_s: Array
    tcp_rotation_rad_s: Array
    contact_force_n: Array
    collisions: tuple[tuple[int, int, int], ...]


def _motor_efforts(world: World) -> list[float]:
    """Per joint, the data-sheet effort [N·m or N]: the largest value that anybody states."""
    provenance = world.frozen.get("provenance") or {}
    efforts = []
    for joint, index in zip(world.frozen["joints"], world.joint_indices, strict=True):
        entry = provenance.get(f"joints.{joint['name']}.max_effort") or {}
        stated = [float(entry_from["value"]) for entry_from in entry.get("tightened_from") or ()]
        info = world.p.getJointInfo(world.robot, index, physicsClientId=world.client)
        efforts.append(max([float(joint["max_effort"]), float(info[10]), *stated]))
    return efforts


class SimulatedRobot:
    """Moves the robot of a world, one tick of the declared period at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.period_s = float(world.frozen["period_s"])
        self.substeps = round(self.period_s / SUBSTEP_S)
        if self.substeps < 1 or not math.isclose(self.substeps * SUBSTEP_S, self.period_s):
            raise ValueError(
                f"period_s: {self.period_s} s is no multiple of the simulated {SUBSTEP_S} s substep"
            )
        self.motor_efforts = _motor_efforts(world)
        self._times_s: Array = SUBSTEP_S * np.arange(1, self.substeps + 1, dtype=np.float64)
        joints = world.frozen["joints"]
        self._brake: Array = CATCH_UP_SHARE * np.array([j["max_acceleration"] for j in joints])
        self._lag_max: list[float] = (self._brake * SUBSTEP_S * SUBSTEP_S).tolist()
        self._speed_max: Array = OVERSPEED * np.array([j["max_velocity"] for j in joints])
        self._ones = [1.0] * len(world.joint_indices)
        self._zeros = [0.0] * len(world.joint_indices)
        source = world.frozen["source"]
        self._tcp_link = world.link_index[str(source["tcp_link"])]
        self._tcp_origin = list((source.get("tcp_origin") or {}).get("xyz", (0.0, 0.0, 0.0)))
        self._range: list[tuple[float, float]] = []
        for index, joint in zip(world.joint_indices, world.frozen["joints"], strict=True):
            info = world.p.getJointInfo(world.robot, index, physicsClientId=world.client)
            low, high = float(info[8]), float(info[9])
            if not low < high:  # a continuous joint: the URDF gives no stops
                low, high = (
                    joint.get("min_position", -math.inf),
                    joint.get("max_position", math.inf),
                )
            self._range.append((low, high))
        self.placed()

    def placed(self) -> None:
        """To be called after `World.reset`: forget what was told and measured before."""
        q, dq, tau = self._joints()
        self._told, self._q_now = q.copy(), q
        rest = np.zeros(1)
        self.trace = TickTrace(q[None], dq[None], tau[None], rest, rest, rest, ())
        self._measured = Measured(q, dq, tau, np.zeros(6))

    def measured(self) -> Measured:
        """What the robot's sensors say at the end of the last tick."""
        return self._measured

    def step(self, motion: Motion) -> Measured:
        """Follow the cubic of `motion` for one tick."""
        t = self._times_s[:, None]
        inner = motion.dq + t * (motion.ddq / 2.0 + t * (motion.jerk / 6.0))
        return self._play(motion.q + t * inner)

    def step_raw(self, q_target: Sequence[float] | Array) -> Measured:
        """Believe the caller: a straight line from the last target to this one within the tick.

        As drivers in the field do it: `zip` drops what is too long and leaves joints that are
        missing where they are; `max(low, min(high, nan))` is `high` (trap 8).
        """
        start = self._told
        target = start.copy()
        values = zip(q_target, self._range, strict=False)
        for i, (value, (low, high)) in enumerate(values):
            target[i] = max(low, min(high, float(value)))
        share = (self._times_s / self.period_s)[:, None]
        return self._play(start + share * (target - start))

    @property
    def told(self) -> Array:  # (n,)
        """The position that the motors were last told: the applied setpoint."""
        return self._told

    def _play(self, q_path: Array) -> Measured:
        """Drive the motors along q_path (substeps, n), and note every substep."""
        world, p, client = self.world, self.world.p, self.world.client
        q, dq, tau, speeds, turns, wrenches = [], [], [], [], [], []
        touched: dict[tuple[int, int, int], None] = {}
        before, now = self._told.tolist(), self._q_now.tolist()
        for target in q_path.tolist():
            row = target
            if not self._keeps_up(before, now):
                parts = (np.array(part) for part in (before, target, now))
                row = self._reachable(*parts).tolist()
            before = target
            p.setJointMotorControlArray(
                world.robot,
                world.joint_indices,
                p.POSITION_CONTROL,
                targetPositions=row,
                targetVelocities=self._zeros,
                forces=self.motor_efforts,
                positionGains=self._ones,
                velocityGains=self._ones,
                physicsClientId=client,
            )
            p.stepSimulation(physicsClientId=client)
            states = p.getJointStates(world.robot, world.joint_indices, physicsClientId=client)
            now, speed, _, effort = zip(*states, strict=True)
            q.append(now)
            dq.append(speed)
            tau.append(effort)
            position, speed_m_s, rotation_rad_s = self._tcp()
            speeds.append(speed_m_s)
            turns.append(rotation_rad_s)
            wrenches.append(self._wrench(position, touched))
        self._told, self._q_now = q_path[-1].copy(), np.array(now)
        forces = [math.hypot(*wrench[:3]) for wrench in wrenches]
        self.trace = TickTrace(
            np.array(q),
            np.array(dq),
            np.array(tau),
            np.array(speeds),
            np.array(turns),
            np.array(forces),
            tuple(touched),
        )
        largest = np.array(wrenches[forces.index(max(forces))])
        self._measured = Measured(self.trace.q[-1], self.trace.dq[-1], self.trace.tau[-1], largest)
        return self._measured

    def _keeps_up(self, before: Sequence[float], now: Sequence[float]) -> bool:
        """Whether no joint lags behind its last target more than it can brake within a substep."""
        return all(
            abs(old - q) <= most for old, q, most in zip(before, now, self._lag_max, strict=True)
        )

    def _reachable(self, before: Array, target: Array, now: Array) -> Array:  # (n,)
        """The target for one substep of joints at `now` that lag behind `before`."""
        lag = before - now
        h, brake = SUBSTEP_S, self._brake
        # The lag closes with a speed from which the joint can still stop: v² = 2 a |lag|.
        closing = np.minimum(np.abs(lag) / h, np.sqrt(2.0 * brake * np.abs(lag)))
        speed = (target - before) / h + np.sign(lag) * closing
        return np.asarray(now + h * np.clip(speed, -self._speed_max, self._speed_max))

    def _joints(self) -> tuple[Array, Array, Array]:
        world = self.world
        states = world.p.getJointStates(
            world.robot, world.joint_indices, physicsClientId=world.client
        )
        q, dq, _, tau = zip(*states, strict=True)
        return np.array(q), np.array(dq), np.array(tau)

    def _tcp(self) -> tuple[Vector, float, float]:
        """Position [m], speed [m/s] and rotational speed [rad/s] of the tool centre point.

        Plain numbers: a tick has many of them.
        """
        world, p = self.world, self.world.p
        state = p.getLinkState(
            world.robot,
            self._tcp_link,
            computeLinkVelocity=1,
            computeForwardKinematics=1,
            physicsClientId=world.client,
        )
        tcp, _ = p.multiplyTransforms(state[4], state[5], self._tcp_origin, (0.0, 0.0, 0.0, 1.0))
        x, y, z = state[0]  # PyBullet's velocity is that of the link's COM
        tx, ty, tz = _cross(state[7], (tcp[0] - x, tcp[1] - y, tcp[2] - z))
        vx, vy, vz = state[6]
        return tcp, math.hypot(vx + tx, vy + ty, vz + tz), math.hypot(*state[7])

    def _wrench(
        self, tcp: Vector, touched: dict[tuple[int, int, int], None]
    ) -> tuple[float, float, float, float, float, float]:
        """Force and torque of the surroundings on the TCP; notes in `touched` who touched."""
        world = self.world
        fx = fy = fz = mx = my = mz = 0.0
        for point in world.p.getContactPoints(bodyA=world.robot, physicsClientId=world.client):
            if point[2] == world.object_id:
                continue
            if point[8] > 0.0 and point[9] <= 0.0:
                continue  # close, not touching
            touched[(point[3], point[2], point[4])] = None
            # The normal force, and both directions of friction.
            parts = ((point[9], point[7]), (point[10], point[11]), (point[12], point[13]))
            force = tuple(sum(size * way[i] for size, way in parts) for i in range(3))
            arm = (point[5][0] - tcp[0], point[5][1] - tcp[1], point[5][2] - tcp[2])
            moment = _cross(arm, force)
            fx, fy, fz = fx + force[0], fy + force[1], fz + force[2]
            mx, my, mz = mx + moment[0], my + moment[1], mz + moment[2]
        return fx, fy, fz, mx, my, mz


def _cross(a: Sequence[float], b: Sequence[float]) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )

"""pink as a contestant: differential inverse kinematics whose task is the commanded joint velocity.

Limits on configuration, velocity and acceleration (which brakes for the position's ends); with a
TCP box also a barrier that keeps the tool's point inside the declared keep-in box that is aligned
with the axes, or, without one, inside the arm's reach. The solver is daqp; the rest are defaults.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...limits import Limits
from ...limits.records import Array
from .contest import Answers

__all__ = ["make"]

TCP = "tcp"
# Of the barrier: how fast the tool may approach the box, per metre that is left [1/s].
BARRIER_GAIN = 10.0


def _model(limits: Limits) -> Any:
    import pinocchio as pin

    chain, model, parent = limits.kinematics, pin.Model(), 0
    for i, joint in enumerate(limits.joints):
        kind = pin.JointModelRZ() if joint.type == "revolute" else pin.JointModelPZ()
        place = pin.SE3(np.array(chain.rotation[i]), np.array(chain.translation[i]))
        parent = model.addJoint(parent, kind, place, joint.name)
    tip = pin.SE3(np.array(chain.tcp_rotation), np.array(chain.tcp_translation))
    model.addFrame(pin.Frame(TCP, parent, tip, pin.FrameType.OP_FRAME))
    model.lowerPositionLimit[:] = [joint.min_position for joint in limits.joints]
    model.upperPositionLimit[:] = [joint.max_position for joint in limits.joints]
    model.velocityLimit[:] = [joint.max_velocity for joint in limits.joints]
    return model


def _box(limits: Limits) -> tuple[Array, Array]:
    for volume in limits.volumes:
        center, half, turn = volume.center, volume.half_extents, volume.rotation
        if center is None or half is None or turn is None:
            continue
        if volume.kind == "keep_in" and np.allclose(turn, np.eye(3)):
            return center - half, center + half
    chain = limits.kinematics
    reach = float(np.linalg.norm(chain.translation, axis=1).sum())
    reach += float(np.linalg.norm(chain.tcp_translation))
    reach += sum(j.max_position for j in limits.joints if j.type == "prismatic")
    return np.full(3, -reach), np.full(3, reach)


class _Pink:
    answers: Answers = "velocity"

    def __init__(self, limits: Limits, tcp_box: bool) -> None:
        import pink
        from pink.barriers import PositionBarrier
        from pink.limits import AccelerationLimit, ConfigurationLimit, VelocityLimit
        from pink.tasks import JointVelocityTask

        model = _model(limits)
        self._solve: Any = pink.solve_ik
        self._period_s = limits.period_s
        self._at: Any = pink.Configuration(model, model.createData(), np.array(limits.home))
        self._task: Any = JointVelocityTask(cost=1.0)
        push = np.array([joint.max_acceleration for joint in limits.joints])
        self._push: Any = AccelerationLimit(model, push)
        self._limits = [ConfigurationLimit(model), VelocityLimit(model), self._push]
        self._barriers: list[Any] = []
        if tcp_box:
            low, high = _box(limits)
            barrier = PositionBarrier(TCP, p_min=low, p_max=high, gain=BARRIER_GAIN)
            self._barriers.append(barrier)
        self._sign = self._sign_of_target(len(limits.joints))

    def _sign_of_target(self, n: int) -> float:
        """pink 4.4.0's task moves against its target; ask, so that a later one is used rightly."""
        self._task.set_target(np.full(n, 1e-3), self._period_s)
        found = self._solve(self._at, [self._task], self._period_s, solver="daqp", limits=[])
        return float(np.sign(found[0]))

    def decide(self, q: Array, dq: Array, ddq: Array, wanted: Array, /) -> Array:
        """Velocity (n,) throughout the tick."""
        self._at.update(q)
        self._push.set_last_integration(dq, self._period_s)
        self._task.set_target(self._sign * wanted, self._period_s)
        answer: Array = self._solve(
            self._at,
            [self._task],
            self._period_s,
            solver="daqp",
            limits=self._limits,
            barriers=self._barriers,
        )
        return answer


def make(limits: Limits, *, tcp_box: bool) -> _Pink:
    """pink with the declared joint limits, and the box for the tool's point."""
    return _Pink(limits, tcp_box)

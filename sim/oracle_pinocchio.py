"""Pinocchio's second opinion on the oracle's own kinematics and dynamics.

Guarantees:
- The model is built from the frozen file's numbers alone; Pinocchio is imported when it is asked.
- Disagreement is a violation (`oracle_disagrees`): then neither of the two may be trusted.
- TCP speeds, accelerations and effort by Pinocchio's numbers are judged against the limits too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .oracle import Violation
from .oracle_dynamics import joint_effort
from .oracle_file import Array, Robot
from .oracle_geometry import forward, tcp_rotation, tcp_velocity
from .oracle_speeds import tool_motion

__all__ = ["SecondOpinion"]

AGREEMENT = 1e-9  # relative to 1 m, 1 m/s, 1 rad/s, and to the joint's max_effort


class SecondOpinion:
    """One Pinocchio model of one robot."""

    def __init__(self, robot: Robot) -> None:
        """Build the model; needs the [fuzz] extra."""
        import pinocchio as pin

        self._robot = robot
        self._pin: Any = pin
        model = pin.Model()
        parent = 0
        for i, name in enumerate(robot.joint_names):
            kind = pin.JointModelPZ() if robot.prismatic[i] else pin.JointModelRZ()
            place = pin.SE3(robot.rotation[i], robot.translation[i])
            parent = model.addJoint(parent, kind, place, name)
            body = pin.Inertia(float(robot.mass[i]), robot.com[i], robot.inertia[i])
            model.appendBodyToJoint(parent, body, pin.SE3.Identity())
        model.gravity.linear = robot.gravity
        tip = pin.SE3(np.eye(3), robot.tcp_translation)
        self._tcp = model.addFrame(pin.Frame("tcp", parent, tip, pin.FrameType.OP_FRAME))
        self._model, self._data = model, model.createData()

    def accelerations(self, q: Array, dq: Array, ddq: Array) -> Array:
        """Of the TCP (6,) [m/s², rad/s²]: of the point itself, base frame."""
        pin, model, data = self._pin, self._model, self._data
        pin.forwardKinematics(model, data, q, dq, ddq)
        pin.updateFramePlacements(model, data)
        frame = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        return np.array(pin.getFrameClassicalAcceleration(model, data, self._tcp, frame).vector)

    def evaluate(self, q: Array, dq: Array, ddq: Array) -> tuple[Array, Array, Array]:
        """(joint origins then TCP (n + 1, 3) [m], TCP twist (6,) [m/s, rad/s], effort (n,))."""
        pin, model, data = self._pin, self._model, self._data
        effort = np.array(pin.rnea(model, data, q, dq, ddq))
        pin.forwardKinematics(model, data, q, dq)
        pin.updateFramePlacements(model, data)
        points = [data.oMi[i + 1].translation for i in range(self._robot.n)]
        points.append(data.oMf[self._tcp].translation)
        frame = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        speed = pin.getFrameVelocity(model, data, self._tcp, frame).vector
        return np.array(points), np.array(speed), effort

    def judge(self, q: Array, dq: Array, ddq: Array) -> list[Violation]:
        """Compare and judge the instants (B, n); the row of a violation is its instant."""
        robot = self._robot
        frames = forward(robot, q)
        points = np.concatenate([frames.origin, frames.tcp[None]])
        speeds = np.vstack([tcp_velocity(robot, frames, dq), tcp_rotation(robot, frames, dq)])
        efforts = joint_effort(robot, frames, dq, ddq)
        pushes = np.vstack(tool_motion(robot, frames, dq, ddq))
        bound = robot.bounds["max_effort"]
        out: list[Violation] = []
        for k in range(q.shape[0]):
            place, speed, effort = self.evaluate(q[k], dq[k], ddq[k])
            push = self.accelerations(q[k], dq[k], ddq[k])
            scale = 1.0 + float(np.abs(push).max())
            gaps = (
                ("TCP acceleration", float(np.abs(push - pushes[:, k]).max()) / scale, "of it"),
                ("positions", float(np.abs(place - points[:, :, k]).max()), "m"),
                ("TCP twist", float(np.abs(speed - speeds[:, k]).max()), "m/s or rad/s"),
                ("effort", float((np.abs(effort - efforts[k]) / bound).max()), "of max_effort"),
            )
            for subject, gap, unit in gaps:
                if not gap <= AGREEMENT:
                    out.append(Violation(k, "oracle_disagrees", subject, gap, AGREEMENT, unit))
            for kind, part, top, unit in (
                ("tcp_speed", speed[:3], robot.max_trans_vel_m_s, "m/s"),
                ("tcp_rotational_speed", speed[3:], robot.max_rot_vel_rad_s, "rad/s"),
                ("tcp_acceleration", push[:3], robot.max_trans_acc_m_s2, "m/s²"),
                ("tcp_rotational_acceleration", push[3:], robot.max_rot_acc_rad_s2, "rad/s²"),
            ):
                norm = float(np.linalg.norm(part))
                if top is not None and not norm <= top * (1.0 + 1e-9):
                    out.append(Violation(k, kind, "tcp", norm, top, unit, "by Pinocchio"))
            for i in np.flatnonzero(~(np.abs(effort) <= bound * (1.0 + 1e-9))):
                name, value = robot.joint_names[i], float(abs(effort[i]))
                most = float(bound[i])
                out.append(
                    Violation(k, "joint_effort", name, value, most, "N·m or N", "by Pinocchio")
                )
        return out

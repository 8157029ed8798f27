"""The loose object on the tool: where it stands, how it is drawn, and when it is lost.

Guarantees: mass never exceeds the declared payload, which is the worst case; the same generator
state gives the same object. Lost means that its centre has left the tool, or that it has tipped.

Positions are in the tool's frame; "up" is the tool's axis on whose side the object stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .model import Frozen

__all__ = ["CarriedObject", "Pose", "ToolMotion"]

Array = npt.NDArray[np.float64]
Pose = tuple[tuple[float, ...], tuple[float, ...]]  # position (3,) [m], quaternion xyzw (4,)

MASS_SHARE = (0.6, 1.0)  # of the declared payload
FRICTION = (0.45, 0.7)
OFFSET_M = 0.01
TILT_COSINE = math.cos(math.radians(30.0))  # tilted more, it has tipped over
HEIGHT_MAX = 3.0  # above the tool's middle, in units of where it stands: higher is flight
GAP_M = 1e-6  # the object is set down from this height
# Rubber feet: a rigid object that lands would load the joints with a spike of one substep.
STIFFNESS_N_M = 2000.0
DAMPING_N_S_M = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class ToolMotion:
    """Pose of the tool, and how it moves: velocities at its centre of mass, world frame."""

    pose: Pose
    com: Array  # (3,) [m]
    linear: tuple[float, float, float]  # m/s
    angular: tuple[float, float, float]  # rad/s


class CarriedObject:
    """A box of the declared payload's size and inertia on the declared tool."""

    def __init__(self, p: Any, client: int, source: Frozen) -> None:
        self._p, self._client = p, client
        payload, tool = source["payload"], source["tool"]
        if payload["parent"] != tool["parent"]:
            raise ValueError("source.payload.parent must be source.tool.parent: it stands on it")
        self.name = str(payload["name"])
        self.size: Array = np.array(payload["size"], dtype=np.float64)
        self._declared_mass_kg = float(payload["mass"])
        self.mass_kg, self.friction = self._declared_mass_kg, FRICTION[0]
        self.body = self._load()
        self._stand(tool, payload)

    def _load(self) -> int:
        p, client, half = self._p, self._client, list(self.size / 2.0)
        collision = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=client)
        visual = p.createVisualShape(
            p.GEOM_BOX, halfExtents=half, rgbaColor=[0.1, 0.4, 0.9, 1.0], physicsClientId=client
        )
        above = [0.0, 0.0, 5.0]
        body = int(
            p.createMultiBody(self.mass_kg, collision, visual, above, physicsClientId=client)
        )
        p.changeDynamics(
            body,
            -1,
            linearDamping=0.0,
            angularDamping=0.0,
            contactStiffness=STIFFNESS_N_M,
            contactDamping=DAMPING_N_S_M,
            activationState=p.ACTIVATION_STATE_DISABLE_SLEEPING,
            physicsClientId=client,
        )
        return body

    def _stand(self, tool: Frozen, payload: Frozen) -> None:
        """Where the object stands in the tool's frame, and how far it may go before it is lost."""
        p = self._p
        position, turn = p.invertTransform(
            list(tool["xyz"]), p.getQuaternionFromEuler(list(tool["rpy"]))
        )
        home, turned = p.multiplyTransforms(
            position, turn, list(payload["xyz"]), [0.0, 0.0, 0.0, 1.0]
        )
        self._home: Array = np.array(home)
        self._turn = list(turned)
        corners: list[Array] = []
        for shape in tool["shapes"]:
            center: Array = np.array(shape["xyz"], dtype=np.float64)
            half: Array = np.array(shape["size"], dtype=np.float64) / 2.0
            corners += [center - half, center + half]
        self._low, self._high = np.min(corners, axis=0), np.max(corners, axis=0)
        outside = np.maximum(self._home - self._high, self._low - self._home)
        self._axis = int(np.argmax(outside))
        self._sign = 1.0 if self._home[self._axis] > self._high[self._axis] else -1.0
        self._middle = float((self._low + self._high)[self._axis]) / 2.0
        self._range = list(zip(self._low.tolist(), self._high.tolist(), strict=True))
        self._height_max = HEIGHT_MAX * self._sign * (float(self._home[self._axis]) - self._middle)
        start = p.getMatrixFromQuaternion(self._turn)
        self._start = start[3 * self._axis : 3 * self._axis + 3]

    def set_properties(self, mass_kg: float, friction: float) -> None:
        """Give the object this mass and friction, inertia to match."""
        squares = self.size * self.size
        inertia = mass_kg / 12.0 * (squares.sum() - squares)
        self.mass_kg, self.friction = mass_kg, friction
        self._p.changeDynamics(
            self.body,
            -1,
            mass=mass_kg,
            localInertiaDiagonal=list(inertia),
            lateralFriction=friction,
            physicsClientId=self._client,
        )

    def replace(self, tool: ToolMotion, rng: np.random.Generator | None) -> None:
        """Put it onto the tool, moving with it; `rng` draws mass, friction and place anew."""
        p, client = self._p, self._client
        offset, share, friction = np.zeros(3), MASS_SHARE[1], sum(FRICTION) / 2.0
        if rng is not None:
            share, friction = float(rng.uniform(*MASS_SHARE)), float(rng.uniform(*FRICTION))
            offset = rng.uniform(-OFFSET_M, OFFSET_M, 3)
        offset[self._axis] = self._sign * GAP_M
        self.set_properties(self._declared_mass_kg * share, friction)
        position, turn = p.multiplyTransforms(*tool.pose, list(self._home + offset), self._turn)
        p.resetBasePositionAndOrientation(self.body, position, turn, physicsClientId=client)
        linear = np.array(tool.linear) + np.cross(tool.angular, np.array(position) - tool.com)
        p.resetBaseVelocity(self.body, list(linear), tool.angular, physicsClientId=client)

    def up(self, tool: Pose) -> Array:  # (3,)
        """The tool's "up", world frame."""
        matrix = self._p.getMatrixFromQuaternion(tool[1])
        return np.asarray(self._sign * np.array(matrix).reshape(3, 3)[:, self._axis])

    def pose(self) -> Array:  # (7,)
        """xyz [m] and quaternion xyzw, world frame."""
        position, turn = self._p.getBasePositionAndOrientation(
            self.body, physicsClientId=self._client
        )
        return np.array([*position, *turn])

    def on_tool(self, tool: Pose) -> tuple[Array, float]:
        """Position (3,) [m] in the tool's frame, and tilt against the tool [rad]."""
        position, cosine = self._seen_from(tool)
        return np.array(position), math.acos(max(-1.0, min(1.0, cosine)))

    def is_lost(self, tool: Pose) -> bool:
        """Its centre has left the tool, or it has tipped over. NaN is lost."""
        position, cosine = self._seen_from(tool)  # twice a tick: plain numbers
        height = self._sign * (position[self._axis] - self._middle)
        inside = 0.0 < height <= self._height_max
        for i, (low, high) in enumerate(self._range):
            inside = inside and (i == self._axis or low <= position[i] <= high)
        return not (inside and cosine >= TILT_COSINE)

    def _seen_from(self, tool: Pose) -> tuple[tuple[float, ...], float]:
        """Position [m] in the tool's frame, and the cosine of the tilt against it."""
        p = self._p
        pose = p.getBasePositionAndOrientation(self.body, physicsClientId=self._client)
        position, turn = p.multiplyTransforms(*p.invertTransform(*tool), *pose)
        row = p.getMatrixFromQuaternion(turn)[3 * self._axis : 3 * self._axis + 3]
        return position, sum(a * b for a, b in zip(row, self._start, strict=True))

"""A PyBullet world built from a frozen limits file: robot, tool, carried object, keep-out bodies.

Guarantees:
- Deterministic: the same frozen limits, seed and calls give the same bits. Nothing reads a clock.
- One physics client of its own; every call names it, so worlds never disturb each other.
- Every keep-out volume is a real static body that an unguarded robot collides with (the table is
  the keep-out half-space below); links that a volume exempts pass through it.
- No damping that PyBullet adds by default and no joint friction: the motors do all the work.

Frames: poses are (position [m], quaternion xyzw) in the base frame of the limits, which is the
world frame. The object pose is relative to the tool.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from .bodies import add_static_volume
from .carried import CarriedObject, Pose, ToolMotion
from .engine import load_pybullet
from .model import Frozen, write_simulation_urdf

__all__ = ["SUBSTEP_S", "Array", "SavedWorld", "World"]

Array = npt.NDArray[np.float64]

SUBSTEP_S = 0.001
SOLVER_ITERATIONS = 100
TRAY_FRICTION = 1.0  # PyBullet multiplies the two bodies' coefficients: the object's one counts


@dataclass(frozen=True, slots=True)
class SavedWorld:
    """A handle on a state of one world; `World.forget` frees it."""

    state_id: int
    carried: tuple[float, float] | None  # mass [kg] and friction of the object


class World:
    """One simulated robot with its surroundings. `advance` is one substep of SUBSTEP_S."""

    def __init__(
        self, frozen: Frozen, seed: int = 0, gui: bool = False, self_collision: bool = False
    ) -> None:
        self.frozen = frozen
        self.seed = seed
        self.p = load_pybullet()
        self.client = int(self.p.connect(self.p.GUI if gui else self.p.DIRECT))
        if self.client < 0:
            raise RuntimeError("PyBullet gave no physics client (GUI without a display?)")
        self._folder = tempfile.TemporaryDirectory(prefix="checkrein-sim-")
        self.joint_names = tuple(str(joint["name"]) for joint in frozen["joints"])
        self.home: Array = np.array(frozen["home"], dtype=np.float64)
        self._configure()
        self._load_robot(self_collision)
        self.volumes: dict[str, int] = {}  # name -> body of every keep-out volume
        for volume in frozen["volumes"]:
            if volume["kind"] == "keep_out":
                self._add_volume(volume)
        self.carried: CarriedObject | None = None
        if self.tool_link is not None and frozen["source"].get("payload") is not None:
            self.carried = CarriedObject(self.p, self.client, frozen["source"])
        self.object_id = None if self.carried is None else self.carried.body
        self._pristine = int(self.p.saveState(physicsClientId=self.client))
        self.reset(self.home)

    # construction ---------------------------------------------------------------------------------

    def _configure(self) -> None:
        p = self.p
        p.resetSimulation(physicsClientId=self.client)
        p.setPhysicsEngineParameter(
            fixedTimeStep=SUBSTEP_S,
            numSolverIterations=SOLVER_ITERATIONS,
            numSubSteps=0,
            deterministicOverlappingPairs=1,
            enableFileCaching=0,
            physicsClientId=self.client,
        )
        gravity = self.frozen["kinematics"]["gravity"] if "kinematics" in self.frozen else None
        p.setGravity(*(gravity or (0.0, 0.0, -9.81)), physicsClientId=self.client)

    def _load_robot(self, self_collision: bool) -> None:
        p, client = self.p, self.client
        flags = p.URDF_USE_INERTIA_FROM_FILE
        if self_collision:
            flags |= p.URDF_USE_SELF_COLLISION
        self.urdf = write_simulation_urdf(self.frozen, Path(self._folder.name))
        self.robot = int(
            p.loadURDF(str(self.urdf), useFixedBase=True, flags=flags, physicsClientId=client)
        )
        self.link_index: dict[str, int] = {}  # link name -> PyBullet link, -1 for the base
        joint_index: dict[str, int] = {}
        base = p.getBodyInfo(self.robot, physicsClientId=client)[0].decode()
        self.link_index[base] = -1
        for i in range(p.getNumJoints(self.robot, physicsClientId=client)):
            info = p.getJointInfo(self.robot, i, physicsClientId=client)
            joint_index[info[1].decode()] = i
            self.link_index[info[12].decode()] = i
            if info[2] != p.JOINT_FIXED and info[1].decode() not in self.joint_names:
                raise ValueError(
                    f"joint {info[1].decode()!r} moves, but the limits neither name nor lock it"
                )
        missing = [name for name in self.joint_names if name not in joint_index]
        if missing:
            raise ValueError(f"the URDF has no joint {', '.join(missing)}")
        self.joint_indices = [joint_index[name] for name in self.joint_names]
        for i in range(-1, len(joint_index)):
            p.changeDynamics(
                self.robot,
                i,
                linearDamping=0.0,
                angularDamping=0.0,
                jointDamping=0.0,
                activationState=p.ACTIVATION_STATE_DISABLE_SLEEPING,
                physicsClientId=client,
            )
        for i in self.joint_indices:  # switches PyBullet's default holding motor off
            p.setJointMotorControl2(
                self.robot, i, p.VELOCITY_CONTROL, force=0.0, physicsClientId=client
            )
        tool = self.frozen["source"].get("tool")
        self.tool_link: int | None = None if tool is None else self.link_index[str(tool["name"])]
        if self.tool_link is not None:
            p.changeDynamics(
                self.robot, self.tool_link, lateralFriction=TRAY_FRICTION, physicsClientId=client
            )

    def _add_volume(self, volume: Frozen) -> None:
        body = add_static_volume(self.p, self.client, volume)
        self.volumes[str(volume["name"])] = body
        for name in volume["exempt"]:
            if name in self.link_index:
                self.p.setCollisionFilterPair(
                    self.robot, body, self.link_index[name], -1, 0, physicsClientId=self.client
                )

    # life -----------------------------------------------------------------------------------------

    def reset(self, q: Array, rng: np.random.Generator | None = None) -> None:
        """Place the robot at q (n,) at rest and a fresh object on the tool: a new episode."""
        p, client = self.p, self.client
        p.restoreState(stateId=self._pristine, physicsClientId=client)
        for index, value in zip(self.joint_indices, q, strict=True):
            p.resetJointState(self.robot, index, float(value), 0.0, physicsClientId=client)
        self.replace_object(rng)

    def replace_object(self, rng: np.random.Generator | None = None) -> None:
        """Put the object back onto the tool; `rng` draws its mass, friction and place anew."""
        if self.carried is not None:
            self.carried.replace(self._tool_motion(), rng)

    def _tool_motion(self) -> ToolMotion:
        state = self.p.getLinkState(
            self.robot,
            self.tool_link,
            computeLinkVelocity=1,
            computeForwardKinematics=1,
            physicsClientId=self.client,
        )
        return ToolMotion((state[4], state[5]), np.array(state[0]), state[6], state[7])

    def advance(self) -> None:
        """One substep."""
        self.p.stepSimulation(physicsClientId=self.client)

    def save(self) -> SavedWorld:
        """Remember the whole state, contacts included, for roll-outs that branch from it."""
        state_id = int(self.p.saveState(physicsClientId=self.client))
        carried = self.carried
        return SavedWorld(
            state_id, None if carried is None else (carried.mass_kg, carried.friction)
        )

    def restore(self, saved: SavedWorld) -> None:
        """Back to what `save` remembered, as often as wanted."""
        self.p.restoreState(stateId=saved.state_id, physicsClientId=self.client)
        if self.carried is not None and saved.carried is not None:
            self.carried.set_properties(*saved.carried)

    def forget(self, saved: SavedWorld) -> None:
        """Free a saved state."""
        self.p.removeState(saved.state_id, physicsClientId=self.client)

    # what can be seen -----------------------------------------------------------------------------

    def tool_pose(self) -> Pose:
        """Pose of the tool's frame: position (3,) [m], quaternion xyzw (4,)."""
        state = self.p.getLinkState(
            self.robot, self.tool_link, computeForwardKinematics=1, physicsClientId=self.client
        )
        return state[4], state[5]

    def tool_up(self) -> Array:  # (3,)
        """The direction in which the object stands on the tool, world frame; level: upwards."""
        return self._carried().up(self.tool_pose())

    def object_pose(self) -> Array:  # (7,)
        """Pose of the carried object, world frame: xyz [m], quaternion xyzw."""
        return self._carried().pose()

    def object_pose_on_tool(self) -> tuple[Array, float]:
        """Object position (3,) [m] in the tool's frame, and its tilt against the tool [rad]."""
        return self._carried().on_tool(self.tool_pose())

    def object_lost(self) -> bool:
        """True once the object's centre has left the tool, or it has tipped over."""
        return self.carried is not None and self.carried.is_lost(self.tool_pose())

    def _carried(self) -> CarriedObject:
        if self.carried is None:
            raise ValueError("these limits declare no tool with a payload: nothing is carried")
        return self.carried

    def render(self, width: int = 320, height: int = 240) -> npt.NDArray[np.uint8]:
        """A camera frame (height, width, 3), drawn on the CPU, the same on every machine."""
        p = self.p
        view = p.computeViewMatrixFromYawPitchRoll([0.3, 0.0, 0.35], 1.9, 50.0, -25.0, 0.0, 2)
        projection = p.computeProjectionMatrixFOV(50.0, width / height, 0.05, 8.0)
        image = p.getCameraImage(
            width,
            height,
            view,
            projection,
            renderer=p.ER_TINY_RENDERER,
            physicsClientId=self.client,
        )[2]
        return np.asarray(image, dtype=np.uint8).reshape(height, width, 4)[:, :, :3].copy()

    def close(self) -> None:
        """Give the physics client and the temporary files back. Closing twice does nothing."""
        if self.client >= 0:
            self.p.disconnect(physicsClientId=self.client)
            self.client = -1
            self._folder.cleanup()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

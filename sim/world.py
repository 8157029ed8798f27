"""A PyBullet world built from a frozen limits file: robot, tool, carried object, keep-out bodies.

Guarantees:
- Deterministic: the same frozen limits, seed and calls give the same bits. Nothing reads a clock.
- One physics client of its own; every call names it, so worlds never disturb each other.
- Every keep-out volume is a real static body that an unguarded robot collides with (the table is
  the keep-out half-space below); links that a volume exempts, and links that are bolted down,
  pass through it.
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
from .engine import load_pybullet, stdout_kept
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
        if self_collision:
            self._place(self.home)
            self._pass_through_itself()
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
        with stdout_kept():  # its warnings about inertias
            self.robot = int(
                p.loadURDF(str(self.urdf), useFixedBase=True, flags=flags, physicsClientId=client)
            )
        joint_index = self._name_links()
        missing = [name for name in self.joint_names if name not in joint_index]
        if missing:
            raise ValueError(f"the URDF has no joint {', '.join(missing)}")
        self.joint_indices = [joint_index[name] for name in self.joint_names]
        for i in self.link_index.values():
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

    def _name_links(self) -> dict[str, int]:
        """Fill `link_index` and `moving_links`; returns the PyBullet index of every joint."""
        p, client = self.p, self.client
        base = p.getBodyInfo(self.robot, physicsClientId=client)[0].decode()
        self.link_index: dict[str, int] = {base: -1}  # link name -> PyBullet link
        joint_index: dict[str, int] = {}
        moving: dict[int, str] = {}
        for i in range(p.getNumJoints(self.robot, physicsClientId=client)):
            info = p.getJointInfo(self.robot, i, physicsClientId=client)
            joint, link, parent = info[1].decode(), info[12].decode(), info[16]
            joint_index[joint] = i
            self.link_index[link] = i
            if joint in self.joint_names or parent in moving:
                moving[i] = link
            if info[2] != p.JOINT_FIXED and joint not in self.joint_names:
                raise ValueError(f"joint {joint!r} moves, but the limits neither name nor lock it")
        self.moving_links = frozenset(moving.values())
        return joint_index

    def _pass_through_itself(self) -> None:
        """Links that already touch at home never collide: the hulls of neighbours overlap."""
        p, client = self.p, self.client
        self.p.performCollisionDetection(physicsClientId=client)
        for point in p.getContactPoints(self.robot, self.robot, physicsClientId=client):
            p.setCollisionFilterPair(
                self.robot, self.robot, point[3], point[4], 0, physicsClientId=client
            )

    def _add_volume(self, volume: Frozen) -> None:
        body = add_static_volume(self.p, self.client, volume)
        self.volumes[str(volume["name"])] = body
        for name, link in self.link_index.items():
            if name in volume["exempt"] or name not in self.moving_links:
                self.p.setCollisionFilterPair(
                    self.robot, body, link, -1, 0, physicsClientId=self.client
                )

    # life -----------------------------------------------------------------------------------------

    def reset(self, q: Array, rng: np.random.Generator | None = None) -> None:
        """Place the robot at q (n,) at rest and a fresh object on the tool: a new episode."""
        self.p.restoreState(stateId=self._pristine, physicsClientId=self.client)
        self._place(q)
        self.replace_object(rng)

    def _place(self, q: Array) -> None:
        for index, value in zip(self.joint_indices, q, strict=True):
            self.p.resetJointState(
                self.robot, index, float(value), 0.0, physicsClientId=self.client
            )

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

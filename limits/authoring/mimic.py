"""Joints that mimic another: q = multiplier · q_leader + offset; they have no command of their own.

Guarantees:
- What a mimic joint may do bounds its leader exactly: its range is mapped back, its rates are
  divided by |multiplier|.
- A leader that is locked locks it; so does a multiplier of 0. It may mimic one that mimics.
- Where the leader moves, the links that it carries are covered over the leader's whole range: of
  every triangle the places at two samples together, and `swell` for the way between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import RobotError
from ..records import Array
from .urdf_joints import UrdfJoint

__all__ = ["Dependent", "Sweep", "leader_fields", "resolved", "sweeps", "swept"]

STEP_RAD = 0.1  # of a mimic joint between two samples
STEPS_MAX = 128
MOVED = 1e-9  # m, and of a rotation: what differs by less is in one place


@dataclass(frozen=True, slots=True)
class Dependent:
    """A mimic joint whose leader moves; by its first leader, which mimics nothing."""

    name: str
    type: str
    leader: str
    multiplier: float
    offset: float

    def at(self, leader: float) -> float:
        """Its position where the leader is there."""
        return self.multiplier * leader + self.offset


@dataclass(frozen=True, slots=True)
class Sweep:
    """All that follows one leader, and where the leader is sampled."""

    dependents: tuple[Dependent, ...]
    leader: Array  # (k,) its positions, from end to end


def _first(joints: dict[str, UrdfJoint], joint: UrdfJoint) -> tuple[str, float, float]:
    """The joint at the end of the line of leaders; multiplier and offset from there."""
    multiplier, offset, seen = 1.0, 0.0, [joint.name]
    while joint.mimics is not None:
        multiplier, offset = multiplier * joint.multiplier, multiplier * joint.offset + offset
        if joint.mimics not in joints or joint.mimics in seen:
            known = "itself" if joint.mimics in seen else "no joint that moves"
            raise RobotError(f"joint {seen[0]!r} mimics {joint.mimics!r}: {known}")
        joint = joints[joint.mimics]
        seen.append(joint.name)
    return joint.name, multiplier, offset


def resolved(
    joints: dict[str, UrdfJoint], locked: dict[str, float]
) -> tuple[dict[str, float], tuple[Dependent, ...]]:
    """(locked joints with those that are locked by it, the mimic joints that move)."""
    all_locked, moving = dict(locked), []
    for joint in joints.values():
        if joint.mimics is None:
            continue
        leader, multiplier, offset = _first(joints, joint)
        if leader in locked or multiplier == 0.0:
            value = multiplier * locked.get(leader, 0.0) + offset
            all_locked.setdefault(joint.name, value)
        elif joint.name in locked:
            raise RobotError(
                f"joint {joint.name!r} mimics {leader!r}, which moves: remove it from "
                f"robot.locked_joints, or lock {leader} too (init: --lock {leader}=POSITION)"
            )
        else:
            moving.append(Dependent(joint.name, joint.type, leader, multiplier, offset))
    return all_locked, tuple(moving)


def leader_fields(dependent: Dependent, own: dict[str, float]) -> dict[str, float]:
    """What a mimic joint's own bounds (as in JointLimits, any of them) mean for its leader."""
    out, k = {}, dependent.multiplier
    for field, value in own.items():
        if field in ("min_position", "max_position"):
            other = "min_position" if field == "max_position" else "max_position"
            out[field if k > 0.0 else other] = (value - dependent.offset) / k
        elif field != "max_effort":  # what the coupling transmits, no URDF says
            out[field] = value / abs(k)
    return out


def _ends(joints: dict[str, UrdfJoint], dependents: tuple[Dependent, ...]) -> tuple[float, float]:
    """A range that holds wherever the leader may be, by all that the URDF says."""
    leader = joints[dependents[0].leader]
    known = [leader.limit, leader.soft]
    for one in dependents:
        own = joints[one.name]
        known += [leader_fields(one, source) for source in (own.limit, own.soft)]
    lows = [source["min_position"] for source in known if "min_position" in source]
    highs = [source["max_position"] for source in known if "max_position" in source]
    if lows and highs and max(lows) < min(highs):
        return max(lows), min(highs)
    turns = (one.type != "prismatic" and one.multiplier.is_integer() for one in dependents)
    if leader.type != "prismatic" and not (lows and highs) and all(turns):
        return -math.pi, math.pi  # after a turn of the leader all is where it was
    raise RobotError(
        f"joint {dependents[0].name!r} mimics {leader.name!r}: the URDF leaves no range between "
        f"their positions, or gives neither one; correct its <limit>, or lock {leader.name} "
        f"(init: --lock {leader.name}=POSITION)"
    )


def _rates(dependents: tuple[Dependent, ...]) -> tuple[float, float]:
    """How fast all of them together turn and slide, per unit of their leader."""
    turning = sum(abs(one.multiplier) for one in dependents if one.type != "prismatic")
    return turning, sum(abs(one.multiplier) for one in dependents if one.type == "prismatic")


def sweeps(joints: dict[str, UrdfJoint], moving: tuple[Dependent, ...]) -> list[Sweep]:
    """One for each leader."""
    out = []
    for leader in dict.fromkeys(one.leader for one in moving):
        dependents = tuple(one for one in moving if one.leader == leader)
        low, high = _ends(joints, dependents)
        fastest = _rates(dependents)[0]
        steps = max(1, math.ceil(fastest * (high - low) / STEP_RAD))
        if steps > STEPS_MAX:
            raise RobotError(
                f"joint {leader!r}: what mimics it turns by {fastest * (high - low):g} rad, more "
                f"than {STEPS_MAX * STEP_RAD:g} rad; bound it, or lock it"
            )
        out.append(Sweep(dependents, np.linspace(low, high, steps + 1)))
    return out


def _curving_m(sweep: Sweep, places: Array) -> float:
    """How far a point can be from its chord between two samples: h²/8 · sup|p''|.

    places (…, 3): all points that move, and a point of each axis, at all samples. With the sum W of
    the rates of turning and V of sliding, and no point further than R from any axis, |p'| is at
    most W·R + V, |p''| at most W²·R + 2·W·V. Between samples R grows by half a step of that.
    """
    turning, sliding = _rates(sweep.dependents)
    step = float(sweep.leader[1] - sweep.leader[0])
    corners = places.reshape(-1, 3)
    between = float(np.linalg.norm(corners.max(axis=0) - corners.min(axis=0)))
    reach = (between + step * sliding) / (1.0 - step * turning)
    return step * step / 8.0 * turning * (turning * reach + 2.0 * sliding)


def swept(
    sweep: Sweep,
    poses: Callable[[dict[str, float]], dict[str, tuple[Array, Array]]],
    held: dict[str, float],
    triangles: dict[str, Array],
) -> dict[str, tuple[Array, float]]:
    """(m, 6, 3) triangles at both ends of each step, and swell [m], of each link that it moves.

    poses: of the positions of all mimic joints, each link's rotation (3, 3) and translation (3,) in
    the frame of the joint that carries it. held: those positions in the middle of their ranges.
    triangles: each link's (m, 3, 3) in its own frame.
    """
    samples = [
        poses({**held, **{one.name: one.at(q) for one in sweep.dependents}})
        for q in sweep.leader.tolist()
    ]
    rotations, shifts = (
        {link: np.array([sample[link][part] for sample in samples]) for link in samples[0]}
        for part in (0, 1)
    )
    carried = [
        link
        for link in samples[0]
        if max(np.ptp(rotations[link], axis=0).max(), np.ptp(shifts[link], axis=0).max()) > MOVED
    ]
    # The frame of a link that a joint carries lies on the joint's axis.
    origins = np.concatenate([shifts[link] for link in carried]) if carried else np.zeros((0, 3))
    moved = {}
    for link in carried:
        turned = np.einsum("krc,mec->kmer", rotations[link], triangles[link])
        corners = turned + shifts[link][:, None, None]  # (k, m, 3, 3)
        prisms = np.concatenate([corners[:-1], corners[1:]], axis=2).reshape(-1, 6, 3)
        moved[link] = prisms, _curving_m(sweep, np.concatenate([corners.reshape(-1, 3), origins]))
    return moved

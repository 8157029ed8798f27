"""How often the capsules of two links overlap, before anybody has declared anything.

For `limits init`: a pair that overlaps nearly everywhere does so because capsules are wider than
links, and no robot could move if it were kept apart. What the URDF does not bound is sampled over
a whole turn or a metre.
"""

from __future__ import annotations

import math

import numpy as np

from ..declared import Kinematics
from ..frozen_pairs import candidate_pairs
from ..polyhedra import segment_gaps
from ..posture import joint_frames
from ..records import Array
from .capsules import Segment
from .urdf import Chain, UrdfJoint

__all__ = ["overlap_shares"]

SAMPLES = 400


def _kinematics(chain: Chain) -> Kinematics:
    """The chain's frames; bodies without mass, since only places are asked for."""
    n = len(chain.placements)
    return Kinematics(
        rotation=np.array([rotation for rotation, _ in chain.placements]),
        translation=np.array([shift for _, shift in chain.placements]),
        tcp_rotation=np.eye(3),
        tcp_translation=np.zeros(3),
        mass=np.zeros(n),
        com=np.zeros((n, 3)),
        inertia=np.zeros((n, 3, 3)),
        gravity=np.zeros(3),
    )


def _range(joint: UrdfJoint) -> tuple[float, float]:
    wide = 1.0 if joint.type == "prismatic" else math.pi
    low = max(source.get("min_position", -wide) for source in (joint.limit, joint.soft))
    high = min(source.get("max_position", wide) for source in (joint.limit, joint.soft))
    return (low, high) if low < high else (-wide, wide)


def overlap_shares(
    chain: Chain, joints: dict[str, UrdfJoint], fitted: dict[str, list[Segment]]
) -> dict[tuple[str, str], float]:
    """Share of sampled configurations in which two links overlap, for each candidate pair.

    fitted: the capsules of each moving link, in the link's frame.
    """
    low, high = np.array([_range(joints[name]) for name in chain.joint_names]).T
    q = np.random.default_rng(0).uniform(low, high, (SAMPLES, len(low)))
    slides = np.array([float(kind == "prismatic") for kind in chain.joint_types])
    rotations, origins = joint_frames(_kinematics(chain), slides, q)

    def placed(link: str, point: tuple[float, float, float]) -> Array:
        rotation, shift = chain.link_pose[link]
        joint = chain.link_joint[link]
        local = rotation @ np.array(point) + shift
        return np.asarray(rotations[:, joint] @ local + origins[:, joint])

    shares = {}
    for one, other in candidate_pairs((link, chain.link_joint[link]) for link in fitted):
        touching = np.zeros(SAMPLES, dtype=bool)
        for a in fitted[one]:
            for b in fitted[other]:
                first, second = placed(other, b.start)[:, None], placed(other, b.end)[:, None]
                gap = segment_gaps(placed(one, a.start), placed(one, a.end), first, second)[:, 0]
                touching |= gap <= a.radius + b.radius
        shares[one, other] = float(touching.mean())
    return shares

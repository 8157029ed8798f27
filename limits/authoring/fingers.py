"""What a URDF knows of a parallel gripper: how far, how fast and how hard two fingers slide.

Guarantees: hints, not limits. Where the fingers are when their joints are at 0 no URDF says, so the
width is left to be measured; what it does not know of a pair of fingers is an example, and says so.
"""

from __future__ import annotations

from collections.abc import Collection

from .urdf_joints import UrdfJoint

__all__ = ["finger_hints", "fingers_of"]

EXAMPLES = {
    "min_width": "0 mm         # between the fingers, e.g.",
    "max_width": "80 mm        # e.g.",
    "max_speed": "100 mm/s     # of the commanded width, e.g.",
    "max_force": "40 N         # that it is asked for, e.g.",
}


def fingers_of(
    joints: dict[str, UrdfJoint], locked: Collection[str]
) -> tuple[UrdfJoint, UrdfJoint] | None:
    """The two locked joints that slide within limits, if there are two; else None."""
    ends = {"min_position", "max_position"}
    sliding = [
        joint
        for name, joint in joints.items()
        if name in locked and joint.type == "prismatic" and ends <= joint.limit.keys()
    ]
    return (sliding[0], sliding[1]) if len(sliding) == 2 else None


def finger_hints(joints: dict[str, UrdfJoint], locked: Collection[str]) -> dict[str, str]:
    """What to write for min_width, max_width, max_speed, max_force, each with a comment."""
    hints, fingers = dict(EXAMPLES), fingers_of(joints, locked)
    if fingers is None:
        return hints
    one, other = (joint.limit for joint in fingers)
    names = f"{fingers[0].name} and {fingers[1].name}"
    stroke = sum(limit["max_position"] - limit["min_position"] for limit in (one, other))
    hints["max_width"] = f"{stroke:.6g}  # m: so far {names} move apart, by the URDF; measure it"
    if "max_velocity" in one and "max_velocity" in other:
        speed = one["max_velocity"] + other["max_velocity"]
        hints["max_speed"] = f"{speed:.6g}  # m/s: both fingers at their largest, by the URDF"
    if "max_effort" in one and "max_effort" in other:
        force = min(one["max_effort"], other["max_effort"])
        hints["max_force"] = f"{force:.6g}  # N: the largest effort of a finger, by the URDF"
    return hints

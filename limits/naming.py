"""Who and what the number is that a kernel reports as the subject of a limit, as people read it."""

from __future__ import annotations

from .declared import Limits
from .obstacles import Obstacles
from .records import Array

__all__ = ["named", "obstacle_named"]


def obstacle_named(limits: Limits, seen: Obstacles | None, subject: int) -> str:
    """Link and number of the point, as the record has them."""
    place, capsule = divmod(subject, len(limits.capsules))
    name, first = limits.capsules[capsule].name, len(limits.volumes) + len(limits.zones)
    return name if seen is None else f"{name}/{seen.number_at(place - first)}"


def named(limits: Limits, pair: Array, kind: str, subject: int) -> tuple[str, str, str]:
    """Limit, subject and unit; pair (p, columns of kernels.packed): who must not touch whom."""
    if kind == "workspace":
        capsules = limits.capsules
        volume, capsule = divmod(subject, len(capsules))
        name = f"{capsules[capsule].name}/{limits.volumes[volume].name}"
        return kind, name, "m"
    if kind == "link_speed":
        return kind, limits.capsules[subject].name, "m/s"
    if kind == "zone_speed":
        zone, capsule = divmod(subject, len(limits.capsules))
        name = f"{limits.capsules[capsule].name}/{limits.zones[zone].volume.name}"
        return kind, name, "m/s"
    if kind == "self_collision":
        first, second = pair[subject, :2].astype(int).tolist()
        capsules = limits.capsules
        return kind, f"{capsules[first].name}/{capsules[second].name}", "m"
    if kind == "tcp_speed":
        return kind, "tcp", "m/s"
    if kind == "tcp_rotational_speed":
        return kind, "tcp", "rad/s"
    if kind == "tcp_acceleration":
        return kind, "tcp", "m/s²"
    if kind == "tcp_rotational_acceleration":
        return kind, "tcp", "rad/s²"
    if kind == "singularity":
        return kind, "tcp", "of the twist"
    joint = limits.joints[subject]
    length = "m" if joint.type == "prismatic" else "rad"
    unit = {
        "joint_position": length,
        "joint_velocity": f"{length}/s",
        "joint_acceleration": f"{length}/s²",
        "joint_jerk": f"{length}/s³",
        "joint_effort": "N" if joint.type == "prismatic" else "N·m",
    }.get(kind, "")
    return kind, joint.name, unit

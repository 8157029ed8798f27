"""How far a point of a link can be from each joint's axis, and so how far a joint can carry it.

Guarantees: holds in every configuration, and is read from the same URDF as the world; shares no
code with the filter. If joint j turns by d, no point of the hull moves farther than `arms[j]` d;
joints that turn one after the other add up. So no clearance changes by more than the sum.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .observed_geometry import Hull

__all__ = ["hull_arms"]

Array = npt.NDArray[np.float64]


def hull_arms(urdf: Path, hulls: Sequence[Hull], extensions_m: Mapping[str, float]) -> Array:
    """Metres that a point of a hull moves at most for each radian, or metre, of each joint: (k, n).

    extensions_m: every moving joint in order, and how far a sliding one is out at most [m].
    """
    robot = ElementTree.fromstring(urdf.read_bytes())
    above: dict[str, ElementTree.Element] = {}
    for joint in robot.findall("joint"):
        child = joint.find("child")
        if child is not None:
            above[str(child.get("link"))] = joint
    arms = np.zeros((len(hulls), len(extensions_m)))
    order = {name: j for j, name in enumerate(extensions_m)}
    for row, hull in zip(arms, hulls, strict=True):
        # From the origin of the link's frame, which lies on the axis of the joint above it.
        reach = float(np.sqrt((hull.points**2).sum(axis=1)).max()) + hull.radius
        joint_above = above.get(hull.link)
        while joint_above is not None:
            name, slides = str(joint_above.get("name")), joint_above.get("type") == "prismatic"
            if name in order:
                row[order[name]] = 1.0 if slides else reach
                reach += extensions_m[name] if slides else 0.0
            reach += _offset(joint_above)
            parent = joint_above.find("parent")
            joint_above = None if parent is None else above.get(str(parent.get("link")))
    return arms


def _offset(joint: ElementTree.Element) -> float:
    """How far the joint's frame is from its parent's [m]."""
    origin = joint.find("origin")
    xyz = "0 0 0" if origin is None else origin.get("xyz", "0 0 0")
    return math.hypot(*(float(word) for word in xyz.split()))

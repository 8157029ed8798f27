"""How far apart places of a robot can be, in any configuration: what interval bounds are made of.

Guarantees: functions of the declared kinematics alone; no configuration puts two places farther
apart than this.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..declared import Limits

__all__ = ["reach_of", "span_of"]

Floats = npt.NDArray[np.float64]


def _steps(limits: Limits) -> Floats:
    """Largest distance (n,) [m] of each joint's origin from that of the joint before it."""
    step = np.linalg.norm(limits.kinematics.translation, axis=1)
    for i, joint in enumerate(limits.joints):
        if joint.type == "prismatic":  # the origin of a prismatic joint's frame moves along z
            step[i] += max(abs(joint.min_position), abs(joint.max_position))
    return step


def reach_of(limits: Limits) -> Floats:
    """Chain lengths: no configuration puts a point further from a joint's origin than these."""
    kinematics, n = limits.kinematics, len(limits.joints)
    step = _steps(limits)
    ends = np.vstack([kinematics.com, kinematics.tcp_translation[None, :]])
    slides = any(joint.type == "prismatic" for joint in limits.joints)
    reach = np.zeros((n + 1, n))
    for row in range(n + 1):
        last = min(row, n - 1)
        for j in range(last + 1):
            reach[row, j] = step[j + 1 : last + 1].sum() + np.linalg.norm(ends[row])
            if slides:  # by its own travel: a lever of one metre per metre, also at the origin
                reach[row, j] = max(reach[row, j], 1.0)
    return reach


def span_of(limits: Limits) -> Floats:
    """As `reach_of`, of the points of each capsule (k, n)."""
    step, span = _steps(limits), np.zeros((len(limits.capsules), len(limits.joints)))
    slides = any(joint.type == "prismatic" for joint in limits.joints)
    for row, capsule in zip(span, limits.capsules, strict=True):
        far = max(float(np.linalg.norm(end)) for end in (capsule.start, capsule.end))
        for j in range(capsule.joint + 1):
            row[j] = step[j + 1 : capsule.joint + 1].sum() + far + capsule.radius
            row[j] = max(row[j], 1.0) if slides else row[j]
    return span

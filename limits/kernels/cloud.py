"""A cloud of moving balls against one capsule over an interval of time: a tree of boxes, no scan.

Balls are taken where they can be at the interval's end: radius + speed · (age + stretch · t). A box
of the tree that is farther from the capsule than it can sweep holds nothing that matters; the balls
that are left are judged like declared volumes: clear beyond the sweep, or beyond a plane to first
order in the motion (kernels.separation). The tree is complete and is walked without a stack.
"""

from __future__ import annotations

import math

from .clearance import nearest_share
from .cloud_layout import (
    AGE,
    BALL_COLUMNS,
    BALL_RADIUS,
    BALL_SPEED,
    CLOUD_STANDOFF,
    COUNT,
    HEAD,
    LEAVES,
    NODE_COLUMNS,
    NODE_SPEED,
    STRETCH,
)
from .jit import apart, kernel
from .packed import (
    NUMBER,
    PACKED,
    PLANE,
    RADIUS,
    ROW,
    STILL,
    SWEEP,
    WHOLE,
    WORK,
    Floats,
    Packed,
    Work,
)
from .separation import bend, lowest

__all__ = ["cloud_judged", "is_cloudy"]

ROUNDING_M = 1e-9
# The base frame, as the link that a motion is seen from.
BASE = -1


@kernel
def is_cloudy(packed: Packed) -> bool:
    """Whether there is any ball at all; also where their number is none."""
    return not packed.cloud[COUNT] <= 0.0


@kernel
def _gap(low: float, high: float, box_low: float, box_high: float) -> float:
    """How far two intervals are apart."""
    return max(0.0, box_low - high, low - box_high)


@kernel
def _is_beyond(cloud: Floats, node: int, axis: Floats, reach: float) -> bool:
    """Whether the box of a node is surely farther than `reach` [m] from the segment axis (6,)."""
    x = _gap(min(axis[0], axis[3]), max(axis[0], axis[3]), cloud[node], cloud[node + 3])
    y = _gap(min(axis[1], axis[4]), max(axis[1], axis[4]), cloud[node + 1], cloud[node + 4])
    z = _gap(min(axis[2], axis[5]), max(axis[2], axis[5]), cloud[node + 2], cloud[node + 5])
    return x * x + y * y + z * z > reach * reach


@kernel
def _is_apart(
    packed: Packed, work: Work, k: int, ball: int, grown: float, bent: float, t0: float, t1: float
) -> bool:
    """Whether capsule k stays beyond a plane that bounds a ball, grown by `grown` [m]."""
    cloud, axis, n = packed.cloud, work.segment[k], work.small[PLANE]
    x, y, z = cloud[ball], cloud[ball + 1], cloud[ball + 2]
    share = nearest_share(axis, x, y, z)
    n[0] = axis[0] + share * (axis[3] - axis[0]) - x
    n[1] = axis[1] + share * (axis[4] - axis[1]) - y
    n[2] = axis[2] + share * (axis[5] - axis[2]) - z
    apart = math.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
    margins = packed.capsule[k, RADIUS] + cloud[CLOUD_STANDOFF] + bent + ROUNDING_M
    size = cloud[ball + BALL_RADIUS] + grown
    if not (apart - size > margins and apart < math.inf):
        return False
    n[0], n[1], n[2] = n[0] / apart, n[1] / apart, n[2] / apart
    height = n[0] * x + n[1] * y + n[2] * z + size
    return lowest(packed, work, k, BASE, n, t0, t1) > margins + height


@kernel
def _ball_judged(
    packed: Packed,
    work: Work,
    k: int,
    place: int,
    moved: Floats,
    first: float,
    last: float,
    report: Floats,
) -> int:
    """As `cloud_judged`, for one ball, by its place in the order of the tree."""
    cloud, axis, joint = packed.cloud, work.segment[k], int(packed.capsule[k, 0])
    nodes = HEAD + packed.capsule.shape[0]
    ball = nodes + (2 * int(cloud[LEAVES]) - 1) * NODE_COLUMNS + place * BALL_COLUMNS
    x, y, z = cloud[ball], cloud[ball + 1], cloud[ball + 2]
    share = nearest_share(axis, x, y, z)
    x -= axis[0] + share * (axis[3] - axis[0])
    y -= axis[1] + share * (axis[4] - axis[1])
    z -= axis[2] + share * (axis[5] - axis[2])
    size = packed.capsule[k, RADIUS] + cloud[ball + BALL_RADIUS]
    clear = math.sqrt(x * x + y * y + z * z) - size
    speed, stretch = cloud[ball + BALL_SPEED], cloud[STRETCH]
    at_end = speed * (cloud[AGE] + stretch * last)
    still = work.swept[STILL, k, joint] + cloud[CLOUD_STANDOFF]
    needed = still + work.swept[SWEEP, k, joint] + at_end
    if clear > needed:
        return 1
    bent = bend(packed, work, k, BASE, moved)
    if _is_apart(packed, work, k, ball, at_end, bent, first, last):
        return 1
    number = packed.volume.shape[0] + place
    report[0], report[1], report[2] = number * packed.capsule.shape[0] + k, clear, needed
    at_middle = still + speed * (cloud[AGE] + stretch * 0.5 * (first + last))
    if not (clear > at_middle):
        report[2] = at_middle
        return -1
    return 0


@apart(PACKED, WORK, WHOLE, ROW, NUMBER, NUMBER, ROW)
def cloud_judged(
    packed: Packed, work: Work, k: int, moved: Floats, first: float, last: float, report: Floats
) -> int:
    """1 if capsule k stays clear of all balls within [first, last], 0 not decided, -1 too near.

    The configuration of work.segment is that of the middle, kernels.separation.sweeps has been
    there, moved (n,) is how far each joint gets from it. report (3,): subject (number of volumes
    plus the ball's place, times the number of capsules, plus k), clearance, what is needed.
    """
    cloud, axis, joint = packed.cloud, work.segment[k], int(packed.capsule[k, 0])
    capsules = packed.capsule.shape[0]
    if cloud[HEAD + k] == 0.0:
        return 1
    count, leaves = int(cloud[COUNT]), int(cloud[LEAVES])
    nodes = HEAD + capsules
    reach = packed.capsule[k, RADIUS] + work.swept[STILL, k, joint] + work.swept[SWEEP, k, joint]
    reach += cloud[CLOUD_STANDOFF] + ROUNDING_M
    elapsed = cloud[AGE] + cloud[STRETCH] * last
    total = reach + elapsed
    for r in range(6):
        total += axis[r]
    if not (math.isfinite(total) and elapsed >= 0.0):
        report[0], report[1], report[2] = packed.volume.shape[0] * capsules + k, -math.inf, 0.0
        return -1
    verdict, i = 1, 1  # the root is 1, the children of i are 2·i and 2·i + 1
    while True:
        node = nodes + (i - 1) * NODE_COLUMNS
        if not _is_beyond(cloud, node, axis, reach + cloud[node + NODE_SPEED] * elapsed):
            if i < leaves:
                i *= 2
                continue
            leaf = i - leaves
            for b in range(leaf * count // leaves, (leaf + 1) * count // leaves):
                judged = _ball_judged(packed, work, k, b, moved, first, last, report)
                if judged < 0:
                    return -1
                verdict = min(verdict, judged)
        while i % 2 == 1 and i > 1:  # back up, as long as this was a right child
            i //= 2
        if i == 1:
            return verdict
        i += 1

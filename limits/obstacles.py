"""What perception sees: points with radii and bounds on their speeds, and an index over them.

Guarantees:
- A record never aliases memory of its creator, and carries *what came*, non-finite values included
  (ADR 2): `fault` says what is wrong with it, and the filter acts on that.
- The index is built once, when the record is made, outside of any tick: a binary tree of boxes over
  points in Morton order. Every point is in exactly one leaf; each box holds all balls below it.
- Deterministic: the same points in the same order give the same tree, bit by bit.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .kernels.cloud_layout import (
    BALL_COLUMNS,
    BALL_NUMBER,
    BALL_RADIUS,
    BALL_SPEED,
    NODE_COLUMNS,
    NODE_SPEED,
)
from .records import Array, frozen_array

__all__ = ["LEAF_POINTS", "POINTS_MAX", "Obstacles", "flat_cloud"]

LEAF_POINTS = 8
# What a record can hold at all; how many are trusted is declared.
POINTS_MAX = 16_384
# Farther away, or faster, is no measurement.
COORDINATE_MAX = 1e6
MORTON_BITS = 10


def _spread(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Two zero bits between each two of the lowest ten."""
    out = values
    for shift, mask in ((16, 0x30000FF), (8, 0x300F00F), (4, 0x30C30C3), (2, 0x9249249)):
        out = (out | (out << shift)) & mask
    return out


def _order(points: Array) -> npt.NDArray[np.int64]:
    """Of points (m, 3), so that what is near in space is near in the order."""
    low = points.min(axis=0)
    span = max(float((points.max(axis=0) - low).max()), 1e-9)
    cells = ((points - low) * ((2**MORTON_BITS - 1) / span)).astype(np.int64)
    code = _spread(cells[:, 0]) | _spread(cells[:, 1]) << 1 | _spread(cells[:, 2]) << 2
    return np.argsort(code, kind="stable")


def _nodes(balls: Array, leaves: int) -> Array:
    """Boxes (2·leaves - 1, 7) of a complete binary tree over balls (m, 6), m >= leaves; the root
    first, the children of node i at 2i + 1 and 2i + 2, leaf i over balls i·m//leaves and on."""
    nodes = np.empty((2 * leaves - 1, NODE_COLUMNS))
    begins = np.arange(leaves) * len(balls) // leaves
    radius = balls[:, BALL_RADIUS : BALL_RADIUS + 1]
    bottom = nodes[leaves - 1 :]
    bottom[:, :3] = np.minimum.reduceat(balls[:, :3] - radius, begins)
    bottom[:, 3:6] = np.maximum.reduceat(balls[:, :3] + radius, begins)
    bottom[:, NODE_SPEED] = np.maximum.reduceat(balls[:, BALL_SPEED], begins)
    width = leaves
    while width > 1:
        below, width = nodes[width - 1 : 2 * width - 1], width // 2
        level = nodes[width - 1 : 2 * width - 1]
        level[:, :3] = np.minimum(below[0::2, :3], below[1::2, :3])
        level[:, 3:] = np.maximum(below[0::2, 3:], below[1::2, 3:])
    return nodes


def _index(points: Array, radius_m: Array, speed_m_s: Array | None) -> tuple[Array, Array]:
    """Nodes and balls of a cloud that has no fault; without speeds, they are left at 0."""
    count = len(points)
    if count == 0:
        return np.zeros((0, NODE_COLUMNS)), np.zeros((0, BALL_COLUMNS))
    order = _order(points)
    balls = np.zeros((count, BALL_COLUMNS))
    balls[:, :3], balls[:, BALL_RADIUS] = points[order], radius_m[order]
    balls[:, BALL_NUMBER] = order
    if speed_m_s is not None:
        balls[:, BALL_SPEED] = speed_m_s[order]
    leaves = 1
    while leaves * LEAF_POINTS < count:
        leaves *= 2
    return _nodes(balls, leaves), balls


def _per_point(values: object, count: int, name: str) -> Array:
    """One number for all, or one for each."""
    array = frozen_array(values, name)
    return frozen_array(np.full(count, float(array)), name) if array.ndim == 0 else array


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Obstacles:
    """All that perception sees at one time; whatever is not in it is taken to be absent.

    Obstacle i was within radius_m[i] [m] of points[i] (base frame) when it was measured, which is
    stamp_ns, on the monotonic clock of the receiver, less the declared latency at most; since then
    it has moved no faster than speed_m_s[i] [m/s] (None: than the declared max_speed). Points of
    the robot itself must have been taken out. One radius or speed may stand for all points.
    """

    points: Array  # (m, 3)
    radius_m: Array  # (m,)
    stamp_ns: int
    speed_m_s: Array | None  # (m,)
    fault: str | None = field(init=False)  # what is wrong with the numbers
    _nodes: Array = field(init=False, repr=False)  # (2 · leaves - 1, 7)
    _balls: Array = field(init=False, repr=False)  # (m, 6)

    def __init__(
        self,
        points: npt.ArrayLike,
        radius_m: npt.ArrayLike,
        stamp_ns: int,
        speed_m_s: npt.ArrayLike | None = None,
    ) -> None:
        """Copy and index; takes milliseconds for ten thousand points. ValueError: no numbers."""
        put = object.__setattr__
        put(self, "points", frozen_array(points, "obstacles.points"))
        count = len(self.points) if self.points.ndim > 0 else 0
        put(self, "radius_m", _per_point(radius_m, count, "obstacles.radius_m"))
        speed = None if speed_m_s is None else _per_point(speed_m_s, count, "obstacles.speed_m_s")
        put(self, "speed_m_s", speed)
        put(self, "stamp_ns", stamp_ns)
        put(self, "fault", self._wrong())
        nodes, balls = np.zeros((0, NODE_COLUMNS)), np.zeros((0, BALL_COLUMNS))
        if self.fault is None:
            nodes, balls = _index(self.points, self.radius_m, self.speed_m_s)
        put(self, "_nodes", frozen_array(nodes, "nodes"))
        put(self, "_balls", frozen_array(balls, "balls"))

    def _wrong(self) -> str | None:
        """The field that cannot be used, or None; written so that NaN is wrong."""
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            return "points: their shape"
        if not len(self.points) <= POINTS_MAX:
            return "points: their number"
        if not bool((np.abs(self.points) <= COORDINATE_MAX).all()):
            return "points"
        for name, values in (("radius_m", self.radius_m), ("speed_m_s", self.speed_m_s)):
            if values is None:
                continue
            if values.shape != (len(self.points),):
                return f"{name}: its shape"
            if not bool(((values >= 0.0) & (values <= COORDINATE_MAX)).all()):
                return name
        return None

    def renewed(self, stamp_ns: int) -> Obstacles:
        """The same obstacles where they are, measured at another time; nothing is indexed again."""
        same = copy(self)
        object.__setattr__(same, "stamp_ns", stamp_ns)
        return same

    def number_at(self, place: int) -> int:
        """Which point is at this place in the order of the tree."""
        return int(self._balls[place, BALL_NUMBER])

    @property
    def fastest_m_s(self) -> float:
        """The largest speed that it claims [m/s]; 0 without any claim."""
        return 0.0 if self.speed_m_s is None else float(self.speed_m_s.max(initial=0.0))


def flat_cloud(
    obstacles: Obstacles, max_speed_m_s: float, checked: Array, stretch: float, standoff_m: float
) -> Array:
    """All that the kernels read of a cloud without fault, as one array; its AGE is left at 0.

    checked (k,): 1 where a capsule is kept away from it. stretch: how much longer than declared a
    tick may take. standoff_m: distance that is kept beside all else.
    """
    nodes, balls = obstacles._nodes, obstacles._balls
    if obstacles.speed_m_s is None and len(balls) > 0:
        nodes, balls = nodes.copy(), balls.copy()
        nodes[:, NODE_SPEED], balls[:, BALL_SPEED] = max_speed_m_s, max_speed_m_s
    head = np.array([len(balls), (len(nodes) + 1) // 2, 0.0, stretch, standoff_m])
    return np.concatenate([head, checked, nodes.ravel(), balls.ravel()])

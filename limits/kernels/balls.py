"""A ball of the cloud as a volume of its own, where it can be by the end of the last motion tried.

What slides along volumes (kernels.sliding) so slides along obstacles, too. They are counted on from
the declared volumes, in the order of the tree.
"""

from __future__ import annotations

from .cloud_layout import (
    AGE,
    BALL_COLUMNS,
    BALL_RADIUS,
    BALL_SPEED,
    CLOUD_STANDOFF,
    HEAD,
    LEAVES,
    NODE_COLUMNS,
    STRETCH,
)
from .jit import inlined, kernel
from .motion import pieces_in
from .packed import (
    BALL,
    DATA,
    ENDS,
    KEEP_OUT,
    KIND,
    SHAPE,
    SPHERE,
    STANDOFF,
    Floats,
    Packed,
    Work,
)

__all__ = ["volume_row"]


@kernel
def _fill(packed: Packed, work: Work, place: int) -> None:
    """Write the row of the ball at a place in the order of the tree.

    Its radius has grown by its motion, and by as much as it is kept away from beyond a volume.
    """
    cloud, row = packed.cloud, work.small[BALL]
    ball = HEAD + packed.capsule.shape[0] + (2 * int(cloud[LEAVES]) - 1) * NODE_COLUMNS
    ball += place * BALL_COLUMNS
    grown_s = cloud[AGE] + cloud[STRETCH] * work.small[ENDS, pieces_in(work.small[ENDS])]
    row[SHAPE], row[KIND] = SPHERE, KEEP_OUT
    for i in range(3):
        row[DATA + i] = cloud[ball + i]
    row[DATA + 3] = cloud[ball + BALL_RADIUS] + cloud[ball + BALL_SPEED] * grown_s
    row[DATA + 3] += cloud[CLOUD_STANDOFF] - packed.scalar[STANDOFF]


@inlined
def volume_row(packed: Packed, work: Work, v: int) -> Floats:
    """The packed row of volume v, or of the ball that is meant: the next one overwrites it."""
    if v >= packed.volume.shape[0]:
        _fill(packed, work, v - packed.volume.shape[0])
    return packed.volume[v] if v < packed.volume.shape[0] else work.small[BALL]

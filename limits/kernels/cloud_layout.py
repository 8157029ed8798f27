"""Where everything is in a flat cloud: see limits.obstacles, which makes it, and kernels.cloud.

A head, one flag for each capsule, the nodes of the tree, the balls.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "AGE",
    "BALL_COLUMNS",
    "BALL_NUMBER",
    "BALL_RADIUS",
    "BALL_SPEED",
    "CLOUD_STANDOFF",
    "COUNT",
    "HEAD",
    "LEAVES",
    "NODE_COLUMNS",
    "NODE_SPEED",
    "STRETCH",
    "no_cloud",
]

# Entries of the head: balls, leaves of the tree, [s] age when the motion begins, how much longer
# than declared a tick may take, [m] distance that is kept beside all else.
COUNT, LEAVES, AGE, STRETCH, CLOUD_STANDOFF = 0, 1, 2, 3, 4
HEAD = 5
# Columns of a node: the corners of its box [m] and the largest speed in it [m/s].
NODE_SPEED, NODE_COLUMNS = 6, 7
# Columns of a ball: its middle [m], its radius [m], its speed [m/s], its place in the record.
BALL_RADIUS, BALL_SPEED, BALL_NUMBER, BALL_COLUMNS = 3, 4, 5, 6


def no_cloud(capsules: int) -> npt.NDArray[np.float64]:
    """A flat cloud without a ball, for a robot of so many capsules."""
    return np.zeros(HEAD + capsules)

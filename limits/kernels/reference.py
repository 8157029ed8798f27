"""What a command asks for at a given time: the one definition of rows, periods and interpolation.

`joint_velocity` rows and `joint_position` rows are reached at the end of their period and
interpolated linearly; `joint_delta` rows are displacements at constant speed. A single row
(row_period 0) is held. Times are seconds since the command was accepted. Rows of the two TCP modes
are six numbers, whatever the robot; `twist` translates them, with the same rows and periods.
"""

from __future__ import annotations

from .jit import kernel
from .packed import Floats

__all__ = ["DELTA", "MODE_CODES", "POSITION", "TCP_DELTA", "TWIST", "VELOCITY", "reference"]

POSITION, VELOCITY, DELTA, TWIST, TCP_DELTA = 0, 1, 2, 3, 4
MODE_CODES = {
    "joint_position": POSITION,
    "joint_velocity": VELOCITY,
    "joint_delta": DELTA,
    "tcp_twist": TWIST,
    "tcp_delta": TCP_DELTA,
}


@kernel
def reference(
    mode: int, rows: Floats, row_period: float, anchor: Floats, t: float, out: Floats
) -> None:
    """Write the reference at time t [s] into out (3, n): position, velocity, acceleration.

    rows (r, n); anchor (2, n): commanded position and velocity when the command was accepted.
    In `joint_velocity` the position row is the anchor's and means nothing. At a corner the slope
    is that of the row that begins there. Past the last row a velocity is held at zero.
    """
    count, n = rows.shape
    for i in range(n):
        out[0, i] = anchor[0, i]
        out[1, i] = 0.0
        out[2, i] = 0.0
    if row_period <= 0.0:
        for i in range(n):
            if mode == VELOCITY:
                out[1, i] = rows[0, i]
            elif mode == POSITION:
                out[0, i] = rows[0, i]
            else:
                out[0, i] = anchor[0, i] + rows[0, i]
        return
    # Rounding must not put a tick that begins a row into the row before. A ratio beyond the rows,
    # or NaN, is never turned into an index.
    ratio = t / row_period
    done = not (0.0 <= ratio + 1e-9 < count)
    k = count if done else int(ratio + 1e-9)
    share = min(1.0, max(0.0, ratio - k))
    for i in range(n):
        if mode == DELTA:
            position = anchor[0, i]
            for row in range(min(k, count)):
                position += rows[row, i]
            out[0, i] = position if done else position + share * rows[k, i]
            out[1, i] = 0.0 if done else rows[k, i] / row_period
            continue
        if done:
            out[0, i] = rows[count - 1, i] if mode == POSITION else anchor[0, i]
            continue
        begin = rows[k - 1, i] if k > 0 else anchor[0 if mode == POSITION else 1, i]
        slope = (rows[k, i] - begin) / row_period
        if mode == POSITION:
            out[0, i] = begin + share * row_period * slope
            out[1, i] = slope
        else:
            out[1, i] = begin + share * row_period * slope
            out[2, i] = slope

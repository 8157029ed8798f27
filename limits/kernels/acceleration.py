"""What a joint's acceleration may be: one bound where it speeds up, another where it slows down.

Guarantees: `within` is exact. In a piece ddq is linear and dq quadratic, so dq changes its sign at
two roots at most; between them the joint only moves one way, and ddq is largest at the ends of that
span. At an instant at which dq is zero both its neighbours count.
`most` and `least` only propose (limits.project): what follows from them is judged by `within`.
"""

from __future__ import annotations

import math

from .jit import kernel
from .motion import velocity_roots
from .packed import ACCELERATION, DECELERATION, JERK, Floats

__all__ = ["least", "most", "within"]


@kernel
def _span(piece: Floats, begin: float, end: float, up: float, down: float) -> tuple[float, float]:
    """(|ddq|, bound) of what is over its bound in a span without a root of dq; else (0, up)."""
    middle = 0.5 * (begin + end)
    speed = piece[1] + middle * (piece[2] + middle * piece[3] / 2.0)
    if not math.isfinite(speed):
        return math.inf, up
    for t in (begin, end):
        push = piece[2] + t * piece[3]
        bound = up if (push >= 0.0) == (speed >= 0.0) else down
        if not (abs(push) <= bound):
            return abs(push), bound
    return 0.0, up


@kernel
def within(piece: Floats, length: float, up: float, down: float) -> tuple[float, float]:
    """(value, bound): value <= bound iff |ddq| <= up where the joint speeds up and <= down where it
    slows down, throughout. piece (4,): q, dq, ddq, jerk; length >= 0 [s].
    """
    if not (0.0 <= length < math.inf):
        return math.inf, up
    if up == down:
        for value in (abs(piece[2]), abs(piece[2] + piece[3] * length)):
            if not (value <= up):
                return value, up
        return 0.0, up
    one, two = velocity_roots(piece)
    first = min(length, max(0.0, min(one, two)))
    second = min(length, max(0.0, one, two))
    value, bound = _span(piece, 0.0, first, up, down) if first > 0.0 else (0.0, up)
    if value <= bound and (second > first or length == 0.0):
        value, bound = _span(piece, first, second, up, down)
    if value <= bound and length > second:
        value, bound = _span(piece, second, length, up, down)
    return value, bound


@kernel
def _slowing(speed: float, joint: Floats, period: float) -> float:
    """Largest |ddq| at the end of a tick that would end at `speed` > 0 if its ddq were zero there.

    A larger one than for speeding up has to be given back before dq is zero, in whole ticks:
    x²/(2j) + x·T = speed + a²/(2j), solved for x.
    """
    up, down, step = joint[ACCELERATION], joint[DECELERATION], joint[JERK] * period
    if down <= up:
        return down
    left = step * step + 2.0 * joint[JERK] * speed + up * up
    return max(up, min(down, math.sqrt(left) - step))


@kernel
def most(dq: float, ddq: float, joint: Floats, period: float) -> float:
    """Largest ddq that is worth a try at the end of a tick that begins at dq and ddq."""
    up, down = joint[ACCELERATION], joint[DECELERATION]
    if up == down:
        return up
    coasting = dq + ddq * period / 2.0
    if coasting >= 0.0:  # any positive one ends the tick forwards, speeding up
        return up if dq >= 0.0 else min(up, down)
    return _slowing(-coasting, joint, period)


@kernel
def least(dq: float, ddq: float, joint: Floats, period: float) -> float:
    """As `most`, the other way: the least, below zero."""
    return -most(-dq, -ddq, joint, period)

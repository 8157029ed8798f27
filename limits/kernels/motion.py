"""The motion that is judged: a tick of constant jerk, then the phases of its stop.

Pieces are cubics per joint, (q, dq, ddq, jerk) at their start. A stop has three phases where all
joints switch together, and up to three a joint where each has its own: a phase ends wherever one of
them switches, so that one table of times serves them all. Extrema are taken at the roots of dq and
ddq, so a bound that holds at them holds at every instant.
"""

from __future__ import annotations

import math

from .jit import kernel
from .packed import ENDS, Floats, Work

__all__ = [
    "build",
    "departures",
    "note_speeds",
    "pieces_in",
    "place",
    "position_range",
    "speed_in",
    "speed_sup",
    "speeds_hull",
    "velocity_roots",
]


@kernel
def build(
    start: Floats,
    ddq_next: Floats,
    period: float,
    ticks: Floats,
    jerk: Floats,
    pieces: Floats,
    ends: Floats,
) -> None:
    """Write tick + stop into pieces (m + 1, n, 4) and ends (m + 2 or more,).

    start (n, 3): q, dq, ddq now; ddq_next (n,) at the end of the tick; ticks (m,) and jerk (n, m)
    of the stop that follows, m >= 3. The first three phases are always there, of the others those
    that last: `pieces_in` counts them.
    """
    phases, last = ticks.shape[0], 1
    ends[0] = 0.0
    ends[1] = period
    for p in range(phases):
        if p < 3 or ticks[p] > 0.0:  # one that is no number is refused with the stop itself
            ends[last + 1] = ends[last] + ticks[p] * period
            last += 1
    if last + 1 < ends.shape[0]:
        ends[last + 1] = ends[last]
    for i in range(start.shape[0]):
        q, dq, ddq, last = start[i, 0], start[i, 1], start[i, 2], 0
        for p in range(-1, phases):  # the tick itself, and the phases behind it
            if p < 3 or ticks[p] > 0.0:
                t = period if p < 0 else ticks[p] * period
                j = (ddq_next[i] - ddq) / period if p < 0 else jerk[i, p]
                piece = pieces[last, i]
                piece[0], piece[1], piece[2], piece[3] = q, dq, ddq, j
                q += dq * t + ddq * t * t / 2.0 + j * t * t * t / 6.0
                dq += ddq * t + j * t * t / 2.0
                ddq = ddq_next[i] if p < 0 else ddq + j * t
                last += 1


@kernel
def pieces_in(ends: Floats) -> int:
    """How many pieces there are: ends[pieces_in(ends)] is when the last one is over."""
    count = 4
    while count + 1 < ends.shape[0] and ends[count + 1] > ends[count]:
        count += 1
    return count


@kernel
def place(pieces: Floats, ends: Floats, t: float, q: Floats) -> None:
    """Write every joint's position at time t [s] into q (n,)."""
    p, last = 0, pieces_in(ends) - 1
    while p < last and t > ends[p + 1]:
        p += 1
    h = t - ends[p]
    for i in range(q.shape[0]):
        q[i] = pieces[p, i, 0] + h * (
            pieces[p, i, 1] + h * (pieces[p, i, 2] / 2.0 + h * pieces[p, i, 3] / 6.0)
        )


@kernel
def _cubic(piece: Floats, h: float) -> float:
    return piece[0] + h * (piece[1] + h * (piece[2] / 2.0 + h * piece[3] / 6.0))


@kernel
def velocity_roots(piece: Floats) -> tuple[float, float]:
    """Times at which dq is zero, or -1: there the position is extremal."""
    a, b, c = piece[3] / 2.0, piece[2], piece[1]
    if a == 0.0:
        return (-c / b if b != 0.0 else -1.0), -1.0
    inner = b * b - 4.0 * a * c
    if not inner >= 0.0:
        return -1.0, -1.0
    # The numerically stable pair: no cancellation when b² >> 4ac.
    half = -0.5 * (b + math.copysign(math.sqrt(inner), b))
    return half / a, (c / half if half != 0.0 else -1.0)


@kernel
def position_range(
    pieces: Floats, ends: Floats, i: int, first: float, last: float
) -> tuple[float, float]:
    """Smallest and largest position of joint i within the times [first, last].

    Everything, (-inf, inf), where that is not known: a NaN among the times or the pieces.
    """
    low, high = math.inf, -math.inf
    for p in range(pieces_in(ends)):
        begin, end = max(first, ends[p]), min(last, ends[p + 1])
        if not begin <= end:
            continue
        piece = pieces[p, i]
        at_begin, at_end = _cubic(piece, begin - ends[p]), _cubic(piece, end - ends[p])
        # min and max drop a NaN that is their second argument (trap 8).
        if not (math.isfinite(at_begin) and math.isfinite(at_end)):
            return -math.inf, math.inf
        low, high = min(low, at_begin, at_end), max(high, at_begin, at_end)
        one, two = velocity_roots(piece)
        for root in (one, two):
            if begin - ends[p] < root < end - ends[p]:
                value = _cubic(piece, root)
                low, high = min(low, value), max(high, value)
    if not low <= high:  # no piece at all within the times
        return -math.inf, math.inf
    return low, high


@kernel
def speed_sup(piece: Floats, first: float, last: float) -> float:
    """Largest |dq| of one joint's piece within its own times [first, last]; inf if not known."""
    if not first <= last:
        return math.inf
    sup = 0.0
    for t in (first, last, -piece[2] / piece[3] if piece[3] != 0.0 else first):
        if first <= t <= last:
            speed = abs(piece[1] + t * (piece[2] + t * piece[3] / 2.0))
            if not math.isfinite(speed):
                return math.inf
            sup = max(sup, speed)
    return sup


@kernel
def note_speeds(pieces: Floats, ends: Floats, fastest: Floats) -> None:
    """Write the largest |dq| of every joint in every piece (m + 1, n), which many limits ask."""
    for p in range(pieces_in(ends)):
        for i in range(fastest.shape[1]):
            fastest[p, i] = speed_sup(pieces[p, i], 0.0, ends[p + 1] - ends[p])


@kernel
def speed_in(work: Work, p: int, i: int, first: float, last: float) -> float:
    """As `speed_sup` of joint i's piece p, after `note_speeds`."""
    if first == 0.0 and last == work.small[ENDS, p + 1] - work.small[ENDS, p]:
        return work.fastest[p, i]
    return speed_sup(work.pieces[p, i], first, last)


@kernel
def departures(
    pieces: Floats, ends: Floats, first: float, last: float, q: Floats, moved: Floats
) -> None:
    """Write how far each joint gets from q (n,) within the times [first, last] into moved (n,)."""
    for j in range(q.shape[0]):
        low, high = position_range(pieces, ends, j, first, last)
        moved[j] = max(high - q[j], q[j] - low)


@kernel
def speeds_hull(pieces: Floats, p: int, first: float, last: float, which: int, dq: Floats) -> None:
    """Write one of the three Bernstein coefficients of piece p's dq over its own [first, last].

    dq(t) is quadratic, so that it lies in their hull.
    """
    t = last if which == 2 else first
    for i in range(dq.shape[0]):
        piece = pieces[p, i]
        dq[i] = piece[1] + t * (piece[2] + t * piece[3] / 2.0)
        if which == 1:
            dq[i] += (piece[2] + t * piece[3]) * (last - first) / 2.0

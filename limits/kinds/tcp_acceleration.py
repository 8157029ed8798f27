"""TCP acceleration, translational and rotational: of the tool centre point, in continuous time.

What is limited is the commanded motion, as with the acceleration of joints: |J ddq + dJ/dt dq| and
|dω/dt|. No error is declared for how far a servo's acceleration may be off, so that no margin is
taken; tcp.max_trans_vel and tcp.max_rot_vel have theirs.

Over an interval of one piece both are norms of vectors that are twice differentiable: between two
samples h apart they are within h²/8 · sup|a''| of the chord, and so no larger than the larger
sample plus that. The chain's links turn at rates whose suprema follow from those of |dq|, |ddq| and
the jerk in the interval: with V, A, J of a joint, link by link from the base,
    w' = w + V,   e' = e + A + V·w,   f' = f + J + 2A·w + V·(e + w²),
    h' = h + 3J·w + 3A·(e + w²) + V·(f + 3ew + w³)
(product rule, |dz/dt| <= w, …), and a vector of length r that is fixed to a link has derivatives of
at most r·(e + w²) and r·(h + 4fw + 3e² + 6ew² + w⁴) of second and fourth order. Summed over the
chain to the TCP that bounds a and a''; e and h of the last link bound dω/dt and its second
derivative. A prismatic joint turns nothing; for translation it counts like a revolute one of lever
1 (see packed._reach, and kinds/joint_effort.py, which sums the same).
Where that does not decide, the interval is halved; what is slow enough anyway costs no kinematics.
"""

from __future__ import annotations

import math

from ..kernels.jit import apart, kernel
from ..kernels.motion import pieces_in, speed_sup
from ..kernels.packed import (
    ENDS,
    PACKED,
    PRISMATIC,
    ROW,
    TCP_ACCELERATION,
    TCP_ROTATIONAL_ACCELERATION,
    WORK,
    Floats,
    Packed,
    Work,
)
from ..kernels.tool_motion import is_held, tool_accelerations

__all__ = ["ROTATIONAL", "TRANSLATIONAL", "violated"]

# Codes of `certify.KINDS`.
TRANSLATIONAL, ROTATIONAL = 15, 16
EVALUATIONS_MAX = 24


@kernel
def _suprema(
    packed: Packed, work: Work, p: int, first: float, last: float, turning: bool
) -> tuple[float, float]:
    """Bounds on the tool's acceleration and its second derivative in [first, last] of piece p.

    turning: on those of the angular acceleration.
    """
    n = packed.joint.shape[0]
    w = e = f = h = second = fourth = 0.0
    for j in range(n):
        piece = work.pieces[p, j]
        if not turning or not packed.joint[j, PRISMATIC] > 0.0:
            fast = speed_sup(piece, first, last)
            hard = max(abs(piece[2] + first * piece[3]), abs(piece[2] + last * piece[3]))
            jerk = abs(piece[3])
            w, e, f, h = (
                w + fast,
                e + hard + fast * w,
                f + jerk + 2.0 * hard * w + fast * (e + w * w),
                h + 3.0 * jerk * w + 3.0 * hard * (e + w * w)
                + fast * (f + 3.0 * e * w + w * w * w),
            )  # fmt: skip
        length = packed.reach[n, j] - (packed.reach[n, j + 1] if j + 1 < n else 0.0)
        second += length * (e + w * w)
        fourth += length * (h + 4.0 * f * w + 3.0 * e * e + 6.0 * e * w * w + w * w * w * w)
    return (e, h) if turning else (second, fourth)


@kernel
def _at(packed: Packed, work: Work, p: int, t: float) -> tuple[float, float]:
    """The tool's accelerations at time t of piece p."""
    q, dq, ddq = work.vector[7], work.vector[8], work.vector[9]
    for j in range(q.shape[0]):
        piece = work.pieces[p, j]
        q[j] = piece[0] + t * (piece[1] + t * (piece[2] / 2.0 + t * piece[3] / 6.0))
        dq[j] = piece[1] + t * (piece[2] + t * piece[3] / 2.0)
        ddq[j] = piece[2] + t * piece[3]
    return tool_accelerations(packed, q, dq, ddq)


@kernel
def _judge(
    packed: Packed, work: Work, p: int, first: float, last: float, report: Floats
) -> tuple[int, int]:
    """Over one interval of piece p: 1 it holds, 0 not decided, -1 broken at an end; the code."""
    linear, angular = (
        packed.scalar[TCP_ACCELERATION],
        packed.scalar[TCP_ROTATIONAL_ACCELERATION],
    )
    most, curved = _suprema(packed, work, p, first, last, False)
    most_turned, curved_turn = _suprema(packed, work, p, first, last, True)
    if most <= linear and most_turned <= angular:
        return 1, TRANSLATIONAL
    one, one_turned = _at(packed, work, p, first)
    two, two_turned = _at(packed, work, p, last)
    bulge = (last - first) * (last - first) / 8.0
    moved, turned = max(one, two), max(one_turned, two_turned)
    if not math.isfinite(one + two + one_turned + two_turned):  # max drops a NaN (trap 8)
        moved = turned = math.inf
    if not (moved + bulge * curved <= linear) and not most <= linear:
        report[0], report[1], report[2] = 0.0, moved, linear
        return (0 if moved <= linear else -1), TRANSLATIONAL
    if not (turned + bulge * curved_turn <= angular) and not most_turned <= angular:
        report[0], report[1], report[2] = 0.0, turned, angular
        return (0 if turned <= angular else -1), ROTATIONAL
    return 1, TRANSLATIONAL


@apart(PACKED, WORK, ROW)
def violated(packed: Packed, work: Work, report: Floats) -> int:
    """0 if the tool keeps to both bounds during the tick and its stop, else the one it breaks.

    report gets subject (0), value and bound.
    """
    if not is_held(packed):
        return 0
    for p in range(pieces_in(work.small[ENDS])):
        stack, count, evaluations = work.stack, 1, 0
        stack[0, 0], stack[0, 1] = 0.0, work.small[ENDS, p + 1] - work.small[ENDS, p]
        if p > 0 and stack[0, 1] == 0.0:  # that instant is the end of the piece before it
            continue
        while count > 0:
            count -= 1
            first, last = stack[count, 0], stack[count, 1]
            verdict, code = _judge(packed, work, p, first, last, report)
            if verdict > 0:
                continue
            evaluations += 1
            if verdict < 0 or evaluations >= EVALUATIONS_MAX or count + 2 > stack.shape[0]:
                return code
            middle = 0.5 * (first + last)
            stack[count, 0], stack[count, 1] = middle, last
            stack[count + 1, 0], stack[count + 1, 1] = first, middle
            count += 2
    return 0

"""TCP rotation: the angular velocity of the tool, in continuous time.

For an interval of one piece with middle m, and z_j the axis of revolute joint j:
    |ω(t)| <= |sum_j z_j(m)·dq_j(t)| + sum_j sup|dq_j| · sum_{l<j} sup|q_l(t) - q_l(m)|
since the joints before it turn axis j by no more than they move. dq(t) is quadratic, so it lies in
the hull of its Bernstein coefficients: the norm is largest at one of them. Prismatic joints add
nothing. The measured rotation differs by what the declared position and velocity errors can add.
Most motions are slower than the bound even with all axes parallel: those cost no kinematics.
"""

from __future__ import annotations

import math

from ..kernels.angles import COS, SIN, cos_sin
from ..kernels.jit import apart, kernel
from ..kernels.motion import departures, pieces_in, place, speed_in, speeds_hull
from ..kernels.packed import (
    ENDS,
    PACKED,
    POSITION_ERROR,
    PRISMATIC,
    ROW,
    TCP_ROTATION,
    VELOCITY_ERROR,
    WORK,
    Floats,
    Packed,
    Work,
)

__all__ = ["holds", "rotational_speed", "rotational_speed_and_bound"]

EVALUATIONS_MAX = 16


@kernel
def rotational_speed(packed: Packed, work: Work, dq: Floats) -> float:
    """Norm [rad/s] of the TCP's angular velocity for the frames in `work` (after `forward`)."""
    wx = wy = wz = 0.0
    for j in range(dq.shape[0]):
        if not packed.joint[j, PRISMATIC] > 0.0:
            wx += dq[j] * work.rotation[j, 2]
            wy += dq[j] * work.rotation[j, 5]
            wz += dq[j] * work.rotation[j, 8]
    return math.sqrt(wx * wx + wy * wy + wz * wz)


@kernel
def rotational_speed_and_bound(packed: Packed, work: Work, dq: Floats) -> tuple[float, float]:
    """That, and what the certificate will hold a steady motion to: the bound less servo errors."""
    errors = 0.0
    for j in range(dq.shape[0]):
        if not packed.joint[j, PRISMATIC] > 0.0:
            errors += packed.joint[j, VELOCITY_ERROR]
    return rotational_speed(packed, work, dq), packed.scalar[TCP_ROTATION] - errors


@kernel
def _turn(packed: Packed, q: Floats, work: Work) -> None:
    """Write the joints' rotations at q (n,) into `work`: a third of what `forward` does."""
    turn = work.turn
    cos_sin(q, turn)
    x0 = y1 = z2 = 1.0
    x1 = x2 = y0 = y2 = z0 = z1 = 0.0  # rows x, y, z of the rotation so far
    for i in range(q.shape[0]):
        cos, sin = turn[COS, i], turn[SIN, i]
        if packed.joint[i, PRISMATIC] > 0.0:
            cos, sin = 1.0, 0.0
        chain, out = packed.chain[i], work.rotation[i]
        for r in range(3):
            one, two, three = (x0, x1, x2) if r == 0 else (y0, y1, y2) if r == 1 else (z0, z1, z2)
            a = one * chain[0] + two * chain[3] + three * chain[6]
            b = one * chain[1] + two * chain[4] + three * chain[7]
            out[3 * r], out[3 * r + 1] = a * cos + b * sin, b * cos - a * sin
            out[3 * r + 2] = one * chain[2] + two * chain[5] + three * chain[8]
        x0, x1, x2, y0, y1, y2 = out[0], out[1], out[2], out[3], out[4], out[5]
        z0, z1, z2 = out[6], out[7], out[8]


@kernel
def _bent(packed: Packed, sup: Floats, moved: Floats) -> float:
    """How much |ω| can change [rad/s] when joints with speeds `sup` move by `moved`, both (n,)."""
    total = turned = 0.0
    for j in range(sup.shape[0]):
        share = 0.0 if packed.joint[j, PRISMATIC] > 0.0 else 1.0
        total += share * sup[j] * turned
        turned += share * moved[j]
    return total


@kernel
def _fastest(packed: Packed, work: Work, p: int, first: float, last: float) -> float:
    """Largest |ω| over the Bernstein coefficients of dq in the interval, axes as in `work`."""
    fastest, dq = 0.0, work.vector[3]
    for which in range(3):
        speeds_hull(work.pieces, p, first, last, which, dq)
        speed = rotational_speed(packed, work, dq)
        fastest = speed if not (speed <= fastest) else fastest  # NaN stays, and fails below
    return fastest


@kernel
def _sups(
    packed: Packed, work: Work, p: int, first: float, last: float, sup: Floats
) -> tuple[float, float]:
    """Write sup|dq_j|, error included (n,); return the sums of them and of errors, if revolute."""
    coarse = errors = 0.0
    for j in range(sup.shape[0]):
        share = 0.0 if packed.joint[j, PRISMATIC] > 0.0 else 1.0
        sup[j] = speed_in(work, p, j, first, last) + packed.joint[j, VELOCITY_ERROR]
        coarse += share * sup[j]  # 0·inf is NaN: what is not known of a slide refuses as well
        errors += share * packed.joint[j, VELOCITY_ERROR]
    return coarse, errors


@apart(PACKED, WORK, ROW)
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether the TCP turns no faster than max_rot_vel during tick and stop; else report it."""
    n, declared = packed.joint.shape[0], packed.scalar[TCP_ROTATION]
    sup, moved, middle_q = work.vector[5], work.vector[4], work.vector[3]
    for p in range(pieces_in(work.small[ENDS])):
        stack, count, evaluations = work.stack, 1, 0
        stack[0, 0], stack[0, 1] = 0.0, work.small[ENDS, p + 1] - work.small[ENDS, p]
        while count > 0:
            count -= 1
            first, last = stack[count, 0], stack[count, 1]
            coarse, errors = _sups(packed, work, p, first, last, sup)
            if coarse <= declared:  # even if all axes were parallel
                continue
            for j in range(n):
                moved[j] = packed.joint[j, POSITION_ERROR]
            bound = declared - errors - _bent(packed, sup, moved)
            middle = 0.5 * (first + last)
            place(work.pieces, work.small[ENDS], work.small[ENDS, p] + middle, middle_q)
            _turn(packed, middle_q, work)
            begin, end = work.small[ENDS, p] + first, work.small[ENDS, p] + last
            departures(work.pieces, work.small[ENDS], begin, end, middle_q, moved)
            fastest = _fastest(packed, work, p, first, last)
            evaluations += 1
            if fastest + _bent(packed, sup, moved) <= bound:
                continue
            report[0], report[1], report[2] = 0, fastest, bound
            out_of_reach = not (fastest <= bound) or evaluations >= EVALUATIONS_MAX
            if out_of_reach or count + 2 > stack.shape[0]:
                return False
            stack[count, 0], stack[count, 1] = middle, last
            stack[count + 1, 0], stack[count + 1, 1] = first, middle
            count += 2
    return True

"""TCP speed: the translational velocity of the tool centre point, in continuous time.

For an interval of one piece with middle m, h its length and J(m) the TCP's Jacobian:
    |v(t)| <= |J(m) dq(t)| + sum_j sup|dq_j| · sum_l rho_max(j,l) · sup|q_l(t) - q_l(m)|
dq(t) is quadratic, so it lies in the hull of its Bernstein coefficients dq(a), dq(a) + ddq(a)·h/2,
dq(b): the norm is largest at one of them. rho are chain lengths, no configuration exceeds them.
The measured speed differs by what the declared position and velocity errors can add.
"""

from __future__ import annotations

from ..kernels.chain import forward, tcp_velocity
from ..kernels.jit import kernel
from ..kernels.motion import place, position_range, speed_sup
from ..kernels.packed import (
    POSITION_ERROR,
    TCP_SPEED,
    VELOCITY_ERROR,
    Floats,
    Packed,
    Work,
)

__all__ = ["holds"]

EVALUATIONS_MAX = 16


@kernel
def _bent(packed: Packed, sup: Floats, moved: Floats) -> float:
    """How much |J dq| can change [m/s] when joints with speeds `sup` move by `moved`, both (n,)."""
    n = sup.shape[0]
    total = 0.0
    for j in range(n):
        for other in range(n):
            total += sup[j] * moved[other] * packed.reach[n, max(j, other)]
    return total


@kernel
def _fastest(packed: Packed, work: Work, p: int, first: float, last: float) -> float:
    """Largest |J(m) dq| over the Bernstein coefficients of dq in the interval."""
    n, h, fastest = packed.joint.shape[0], last - first, 0.0
    dq = work.vector[3]
    for which in range(3):
        t = last if which == 2 else first
        for i in range(n):
            piece = work.pieces[p, i]
            dq[i] = piece[1] + t * (piece[2] + t * piece[3] / 2.0)
            if which == 1:
                dq[i] += (piece[2] + t * piece[3]) * h / 2.0
        speed = tcp_velocity(packed, work, dq)
        fastest = speed if not (speed <= fastest) else fastest  # NaN stays, and fails below
    return fastest


@kernel
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether the TCP keeps below max_trans_vel during tick and stop; else report it."""
    n = packed.joint.shape[0]
    sup, moved = work.vector[5], work.vector[4]
    for p in range(4):
        stack, count, evaluations = work.stack, 1, 0
        stack[0, 0], stack[0, 1] = 0.0, work.ends[p + 1] - work.ends[p]
        while count > 0:
            count -= 1
            first, last = stack[count, 0], stack[count, 1]
            coarse = errors = 0.0
            for j in range(n):
                sup[j] = speed_sup(work.pieces[p, j], first, last) + packed.joint[j, VELOCITY_ERROR]
                coarse += sup[j] * packed.reach[n, j]
                errors += packed.joint[j, VELOCITY_ERROR] * packed.reach[n, j]
                moved[j] = packed.joint[j, POSITION_ERROR]
            bound = packed.scalar[TCP_SPEED] - errors
            if coarse <= packed.scalar[TCP_SPEED]:  # slower even with the arm at full stretch
                continue
            bound -= _bent(packed, sup, moved)
            middle = 0.5 * (first + last)
            place(work.pieces, work.ends, work.ends[p] + middle, work.vector[3])
            forward(packed, work.vector[3], work)
            for j in range(n):
                low, high = position_range(
                    work.pieces, work.ends, j, work.ends[p] + first, work.ends[p] + last
                )
                moved[j] = max(high - work.vector[3, j], work.vector[3, j] - low)
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

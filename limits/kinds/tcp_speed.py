"""TCP speed: the translational velocity of the tool centre point, in continuous time.

For an interval of one piece with middle m, d_l = sup|q_l(t) - q_l(m)| + e_l and J(m) the TCP's
Jacobian, by the mean value theorem
    |v(t)| <= |J(m) dq(t)| + sum_j sup|dq_j| · sum_l r_max(j,l) · d_l,
where |dJ_j/dq_l| is at most the TCP's distance from the outer one of the axes j and l. In any
configuration of the interval r_l is at most r_l(m) + sum_{i>l} r_i(m)·d_i, joints moved in order
from the base (1 for a prismatic one).
dq(t) is quadratic, so it lies in the hull of its Bernstein coefficients dq(a), dq(a) + ddq(a)·h/2,
dq(b): the norm is largest at one of them.
e_l is the declared position error; a velocity error adds r_j times itself. So the bound holds for
the measured robot.
"""

from __future__ import annotations

from ..kernels.chain import frames, tcp_levers, tcp_velocity
from ..kernels.jit import apart, kernel
from ..kernels.motion import departures, pieces_in, place, speed_in, speeds_hull
from ..kernels.packed import (
    ENDS,
    PACKED,
    POSITION_ERROR,
    PRISMATIC,
    ROW,
    TCP_SPEED,
    VELOCITY_ERROR,
    WORK,
    Floats,
    Packed,
    Work,
)

__all__ = ["holds"]

EVALUATIONS_MAX = 16


@kernel
def _bent(packed: Packed, work: Work, sup: Floats, moved: Floats) -> float:
    """How much |J dq| can differ [m/s] from that at m: joints with speeds `sup` move by `moved`.

    Both (n,), the declared errors included; adds what velocity errors do by themselves.
    """
    n = sup.shape[0]
    levers = work.vector[6]
    tcp_levers(packed, work, levers)
    before = 0.0  # sum of `moved` over the joints nearer to the base
    for j in range(n):
        before += moved[j]
    speeds = 0.0
    for j in range(n):
        speeds += sup[j]
    total = outer = 0.0
    for i in range(n):
        j = n - 1 - i
        before, speeds = before - moved[j], speeds - sup[j]
        slides = packed.joint[j, PRISMATIC] > 0.0
        lever = 1.0 if slides else levers[j] + outer
        outer += levers[j] * moved[j]
        total += lever * (
            sup[j] * (before + moved[j]) + moved[j] * speeds + packed.joint[j, VELOCITY_ERROR]
        )
    return total


@kernel
def _fastest(packed: Packed, work: Work, p: int, first: float, last: float) -> float:
    """Largest |J(m) dq| over the Bernstein coefficients of dq in the interval."""
    fastest, dq = 0.0, work.vector[3]
    for which in range(3):
        speeds_hull(work.pieces, p, first, last, which, dq)
        speed = tcp_velocity(packed, work, dq)
        fastest = speed if not (speed <= fastest) else fastest  # NaN stays, and fails below
    return fastest


@apart(PACKED, WORK, ROW)
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether the TCP keeps below max_trans_vel during tick and stop; else report it."""
    n = packed.joint.shape[0]
    sup, moved = work.vector[5], work.vector[4]
    for p in range(pieces_in(work.small[ENDS])):
        stack, count, evaluations = work.stack, 1, 0
        stack[0, 0], stack[0, 1] = 0.0, work.small[ENDS, p + 1] - work.small[ENDS, p]
        while count > 0:
            count -= 1
            first, last = stack[count, 0], stack[count, 1]
            coarse = 0.0
            for j in range(n):
                sup[j] = speed_in(work, p, j, first, last) + packed.joint[j, VELOCITY_ERROR]
                coarse += sup[j] * packed.reach[n, j]
            if coarse <= packed.scalar[TCP_SPEED]:  # slower even with the arm at full stretch
                continue
            middle = 0.5 * (first + last)
            place(work.pieces, work.small[ENDS], work.small[ENDS, p] + middle, work.vector[3])
            frames(packed, work.vector[3], work)
            begin, end = work.small[ENDS, p] + first, work.small[ENDS, p] + last
            departures(work.pieces, work.small[ENDS], begin, end, work.vector[3], moved)
            for j in range(n):
                moved[j] += packed.joint[j, POSITION_ERROR]
            bent = _bent(packed, work, sup, moved)
            fastest, bound = _fastest(packed, work, p, first, last), packed.scalar[TCP_SPEED]
            evaluations += 1
            if fastest + bent <= bound:
                continue
            report[0], report[1], report[2] = 0, fastest, bound
            out_of_reach = not (fastest <= bound) or evaluations >= EVALUATIONS_MAX
            if out_of_reach or count + 2 > stack.shape[0]:
                return False
            stack[count, 0], stack[count, 1] = middle, last
            stack[count + 1, 0], stack[count + 1, 1] = first, middle
            count += 2
    return True

"""Joint effort: inverse dynamics of the tick and of its stop within max_effort, in continuous time.

Within one piece effort is twice differentiable, so between two samples a and b that are h apart
it is no farther from their chord than c·s·(1 - s), c = h²/2 · sup|tau''| and 0 <= s <= 1. So it is
above the larger one by (c - |b - a|)²/4c at most, and not at all if |b - a| >= c (see the tests).
Where that is too much, the interval is halved. The bound on tau'' needs no configuration, only
chain lengths rho_ik (COM of link k from joint i's origin), masses m, largest principal inertias l.
With V, A, J the largest |dq|, |ddq|, |jerk| of a joint in the interval, link k turns with at most
    w = sum V,  and its derivatives with e, f, h as in `_rates` (product rule, |z'| <= w, …)
and a vector of length r that is fixed to it has derivatives of at most
    r·w,  r·(e + w²),  r·(f + 3ew + w³),  r·(h + 4fw + 3e² + 6ew² + w⁴).
D2, D3, D4 sum those of the second to fourth order over the chain to the COM. Then, by the product
rule on tau_i = sum_k m L_ik·(a_k + g) + z_i·d(I w)/dt with |L| <= rho, |L'| <= 2w·rho,
|L''| <= (2e + 4w²)·rho and |I'| <= 2wl, |I''| <= (2e + 4w²)l, |I'''| <= (2f + 12ew + 8w³)l:
    |tau_i''| <= sum_k m rho_ik ((2e + 4w²)(D2 + g) + 4w·D3 + D4)
               + l (h + 10fw + 39ew² + 18w⁴ + 7e²)
A prismatic joint counts like a revolute one of lever 1 (see packed._reach).
The bound is max_effort less the declared effort error.
"""

from __future__ import annotations

import math

from ..kernels.chain import inverse_dynamics
from ..kernels.jit import apart, kernel
from ..kernels.motion import pieces_in
from ..kernels.packed import (
    EFFORT,
    EFFORT_ERROR,
    ENDS,
    GRAVITY,
    PACKED,
    ROW,
    WORK,
    Floats,
    Packed,
    Work,
)

__all__ = ["JOINT_EFFORT", "at_rest", "bulge", "effort_bound", "holds"]

JOINT_EFFORT = 7  # its code in certify.KINDS

# A piece is cut into so many parts at most; what is not proven then is not certified.
PARTS_MAX = 16


@kernel
def _rates(
    work: Work, begin: int, end: int, j: int, w: float, e: float, f: float, h: float
) -> tuple[float, float, float, float]:
    """Largest turning rate of link j and its first three derivatives, given those of link j - 1.

    In any of the pieces from begin to before end. What is no number may be lost here: it makes the
    efforts at the end of its piece none.
    """
    fast = hard = jerk = 0.0
    for p in range(begin, end):
        piece, last = work.pieces[p, j], work.small[ENDS, p + 1] - work.small[ENDS, p]
        fast = max(fast, work.fastest[p, j])
        hard = max(hard, abs(piece[2]), abs(piece[2] + last * piece[3]))
        jerk = max(jerk, abs(piece[3]))
    return (
        w + fast,
        e + hard + fast * w,
        f + jerk + 2.0 * hard * w + fast * (e + w * w),
        h + 3.0 * jerk * w + 3.0 * hard * (e + w * w) + fast * (f + 3.0 * e * w + w * w * w),
    )


@kernel
def _curvature(packed: Packed, work: Work, begin: int, end: int, curvature: Floats) -> None:
    """Write a bound on |tau''| (n,) that holds within each piece from begin to before end."""
    n = packed.joint.shape[0]
    g = math.sqrt(
        packed.scalar[GRAVITY] ** 2
        + packed.scalar[GRAVITY + 1] ** 2
        + packed.scalar[GRAVITY + 2] ** 2
    )
    second, third, fourth = work.vector[4], work.vector[5], work.vector[6]
    w = e = f = h = 0.0
    for k in range(n):
        w, e, f, h = _rates(work, begin, end, k, w, e, f, h)
        curvature[k] = 0.0
        second[k] = e + w * w
        third[k] = f + 3.0 * e * w + w * w * w
        fourth[k] = h + 4.0 * f * w + 3.0 * e * e + 6.0 * e * w * w + w * w * w * w
        d2 = d3 = d4 = 0.0
        for r in range(k + 1):  # the part of the chain that is fixed to link r
            length = packed.reach[k, r] - (packed.reach[k, r + 1] if r < k else 0.0)
            d2 += length * second[r]
            d3 += length * third[r]
            d4 += length * fourth[r]
        linear = (2.0 * e + 4.0 * w * w) * (d2 + g) + 4.0 * w * d3 + d4
        angular = packed.body[k, 10] * (
            h + 10.0 * f * w + 39.0 * e * w * w + 18.0 * w * w * w * w + 7.0 * e * e
        )
        for i in range(k + 1):
            curvature[i] += packed.body[k, 0] * packed.reach[k, i] * linear + angular


@kernel
def _efforts_at(packed: Packed, work: Work, p: int, t: float, tau: Floats) -> None:
    """Write the efforts (n,) at time t of piece p."""
    q, dq, ddq = work.vector[7], work.vector[8], work.vector[9]
    for j in range(q.shape[0]):
        piece = work.pieces[p, j]
        q[j] = piece[0] + t * (piece[1] + t * (piece[2] / 2.0 + t * piece[3] / 6.0))
        dq[j] = piece[1] + t * (piece[2] + t * piece[3] / 2.0)
        ddq[j] = piece[2] + t * piece[3]
    inverse_dynamics(packed, q, dq, ddq, work, tau)


@kernel
def at_rest(packed: Packed, work: Work, tau: Floats) -> None:
    """Write the efforts (n,) that hold the robot where the motion begins."""
    q, dq, ddq = work.vector[7], work.vector[8], work.vector[9]
    for j in range(q.shape[0]):
        q[j], dq[j], ddq[j] = work.pieces[0, j, 0], 0.0, 0.0
    inverse_dynamics(packed, q, dq, ddq, work, tau)


@kernel
def effort_bound(packed: Packed, i: int) -> float:
    """What joint i may bear [N m or N]: its max_effort less the declared error of efforts."""
    return packed.joint[i, EFFORT] - packed.joint[i, EFFORT_ERROR]


@kernel
def _within(packed: Packed, tau: Floats, report: Floats) -> bool:
    """Whether every effort (n,) is within its bound; else a report."""
    for i in range(tau.shape[0]):
        bound = effort_bound(packed, i)
        if not (abs(tau[i]) <= bound):
            report[0], report[1], report[2] = i, abs(tau[i]), bound
            return False
    return True


@kernel
def bulge(first: float, last: float, curve: float) -> float:
    """By how much a function may exceed the larger of its values at two ends, whatever their signs.

    curve: h²/2 times a bound on its second derivative in between. No number, if that is none.
    """
    rise = curve - abs(last - first)
    return 0.0 if rise <= 0.0 else rise * rise / (4.0 * curve)


@kernel
def _between(
    packed: Packed, first: Floats, last: Floats, h: float, curvature: Floats, report: Floats
) -> bool:
    """Whether no effort can exceed its bound between two samples (n,) that are h apart."""
    for i in range(first.shape[0]):
        bound = effort_bound(packed, i)
        larger = max(abs(first[i]), abs(last[i]))
        if not (larger + bulge(first[i], last[i], 0.5 * h * h * curvature[i]) <= bound):
            report[0], report[1], report[2] = i, larger, bound
            return False
    return True


@kernel
def _piece_holds(packed: Packed, work: Work, p: int, length: float, report: Floats) -> bool:
    """Whether every effort is within its bound throughout piece p.

    work.efforts[0] holds those at its start, and then those at its end; work.vector[2] a bound on
    |tau''| in all pieces, which is asked first.
    """
    tau, curvature, ends = work.efforts, work.vector[1], work.stack
    _efforts_at(packed, work, p, length, tau[1])
    if not _within(packed, tau[1], report):
        return False
    if _between(packed, tau[0], tau[1], length, work.vector[2], report):
        for i in range(tau.shape[1]):
            tau[0, i] = tau[1, i]
        return True
    _curvature(packed, work, p, p + 1, curvature)
    count, start, finest = 1, 0.0, 1.5 * length / PARTS_MAX
    ends[0, 0] = length
    while count > 0:
        h = ends[count - 1, 0] - start
        if _between(packed, tau[0], tau[count], h, curvature, report):
            for i in range(tau.shape[1]):
                tau[0, i] = tau[count, i]
            count -= 1
            start = ends[count, 0]
            continue
        if not h > finest:
            return False
        ends[count, 0] = start + 0.5 * h
        count += 1
        _efforts_at(packed, work, p, ends[count - 1, 0], tau[count])
        if not _within(packed, tau[count], report):
            return False
    return True


@apart(PACKED, WORK, ROW)
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether every effort is within its bound during tick and stop; else report it.

    work.efforts[0] then holds those at its end.
    """
    _efforts_at(packed, work, 0, 0.0, work.efforts[0])
    if not _within(packed, work.efforts[0], report):
        return False
    _curvature(packed, work, 0, pieces_in(work.small[ENDS]), work.vector[2])
    for p in range(pieces_in(work.small[ENDS])):
        length = work.small[ENDS, p + 1] - work.small[ENDS, p]
        if not (length > 0.0) and p > 0:
            continue
        # The piece begins where the last one ended.
        if not _piece_holds(packed, work, p, length, report):
            return False
    return True

"""Joint effort: inverse dynamics of the tick and of its stop within max_effort, in continuous time.

Within one piece effort is twice differentiable, so between two samples h apart it is no further
from the larger of them than h²/8 · sup|tau''|. The bound on tau'' needs no configuration, only
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
from ..kernels.motion import pieces_in, speed_sup
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

__all__ = ["holds"]

SAMPLES_MAX = 16


@kernel
def _rates(
    work: Work, p: int, last: float, j: int, w: float, e: float, f: float, h: float
) -> tuple[float, float, float, float]:
    """Largest turning rate of link j and its first three derivatives, given those of link j - 1."""
    piece = work.pieces[p, j]
    fast = speed_sup(piece, 0.0, last)
    hard = max(abs(piece[2]), abs(piece[2] + last * piece[3]))
    jerk = abs(piece[3])
    return (
        w + fast,
        e + hard + fast * w,
        f + jerk + 2.0 * hard * w + fast * (e + w * w),
        h + 3.0 * jerk * w + 3.0 * hard * (e + w * w) + fast * (f + 3.0 * e * w + w * w * w),
    )


@kernel
def _curvature(packed: Packed, work: Work, p: int, last: float, curvature: Floats) -> None:
    """Write a bound on |tau''| (n,) that holds throughout the piece."""
    n = packed.joint.shape[0]
    g = math.sqrt(
        packed.scalar[GRAVITY] ** 2
        + packed.scalar[GRAVITY + 1] ** 2
        + packed.scalar[GRAVITY + 2] ** 2
    )
    second, third, fourth = work.vector[4], work.vector[5], work.vector[6]
    w = e = f = h = 0.0
    for k in range(n):
        w, e, f, h = _rates(work, p, last, k, w, e, f, h)
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
def _gather(packed: Packed, tau: Floats, largest: Floats, report: Floats) -> bool:
    """Keep the larger efforts; False and a report if one is beyond its bound itself."""
    for i in range(tau.shape[0]):
        largest[i] = max(largest[i], abs(tau[i]))
        bound = packed.joint[i, EFFORT] - packed.joint[i, EFFORT_ERROR]
        if not (abs(tau[i]) <= bound):
            report[0], report[1], report[2] = i, abs(tau[i]), bound
            return False
    return True


@kernel
def _samples_needed(packed: Packed, largest: Floats, curvature: Floats, length: float) -> int:
    """Into how many equal parts the piece must be cut so that no effort can exceed its bound."""
    need = 1.0
    for i in range(largest.shape[0]):
        slack = packed.joint[i, EFFORT] - packed.joint[i, EFFORT_ERROR] - largest[i]
        bulge = length * length / 8.0 * curvature[i]
        if not (bulge <= slack):
            # Samples in between may be larger still: aim at half of the slack.
            parts = math.sqrt(2.0 * bulge / slack) if slack > 0.0 else math.inf
            need = max(need, parts if parts < SAMPLES_MAX else SAMPLES_MAX + 1.0)
    return math.ceil(need)


@apart(PACKED, WORK, ROW)
def holds(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether every effort is within its bound during tick and stop; else report it."""
    n = packed.joint.shape[0]
    tau, largest, curvature = work.vector[2], work.vector[3], work.vector[1]
    at_end = work.vector[0]
    _efforts_at(packed, work, 0, 0.0, tau)
    for i in range(n):
        largest[i] = 0.0
    if not _gather(packed, tau, largest, report):
        return False
    for p in range(pieces_in(work.small[ENDS])):
        length = work.small[ENDS, p + 1] - work.small[ENDS, p]
        if not (length > 0.0) and p > 0:
            continue
        # The piece begins where the last one ended; that sample is in `tau`.
        for i in range(n):
            largest[i] = abs(tau[i])
        _efforts_at(packed, work, p, length, tau)
        if not _gather(packed, tau, largest, report):
            return False
        for i in range(n):
            at_end[i] = tau[i]
        _curvature(packed, work, p, length, curvature)
        parts = _samples_needed(packed, largest, curvature, length)
        if parts > SAMPLES_MAX:  # not to be proven at a reasonable price: certified is what is
            parts = 1
        for cut in range(1, parts):
            _efforts_at(packed, work, p, length * cut / parts, tau)
            if not _gather(packed, tau, largest, report):
                return False
        if parts > 1:  # the next piece begins where this one ends
            for i in range(n):
                tau[i] = at_end[i]
        part = length / parts
        for i in range(n):
            bound = packed.joint[i, EFFORT] - packed.joint[i, EFFORT_ERROR]
            if not (largest[i] + part * part / 8.0 * curvature[i] <= bound):
                report[0], report[1], report[2] = i, largest[i], bound
                return False
    return True

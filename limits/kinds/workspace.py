"""Whole-body workspace: every link capsule clear of every volume, in continuous time (DESIGN §4).

For an interval I of time with middle m it is enough that
    clearance(m) - standoff > sum_j r_j · (sup_I |q_j(t) - q_j(m)| + e_j)
with r_j the largest distance of the capsule's axis from joint j's axis at m (joints moved in order
from the base, each rotation leaves the distal chain rigid; 1 for a prismatic joint) and e_j the
declared tracking error. Otherwise the interval is halved; too many evaluations: not certified.

Self-collision (kinds.self_collision) asks its own question of the same intervals, so that forward
kinematics is computed once for both.
"""

from __future__ import annotations

import math

from ..kernels.chain import forward
from ..kernels.clearance import clearance, is_beyond
from ..kernels.jit import kernel
from ..kernels.motion import place, position_range
from ..kernels.packed import POSITION_ERROR, PRISMATIC, STANDOFF, Floats, Packed, Work
from . import self_collision

__all__ = ["SELF_COLLISION", "WORKSPACE", "least_clearance", "violated"]

# Codes of `certify.KINDS`.
WORKSPACE, SELF_COLLISION = 5, 9
EVALUATIONS_MAX = 24
ROUNDING, ROUNDING_M = 1.0 + 1e-9, 1e-9

_pairs_judged = self_collision.judge


@kernel
def _from_axis(work: Work, j: int, k: int) -> float:
    """Largest distance [m] of capsule k's axis from joint j's axis (convex: at an end)."""
    zx, zy, zz = work.rotation[j, 2], work.rotation[j, 5], work.rotation[j, 8]
    largest = 0.0
    for end in range(2):
        x = work.segment[k, 3 * end] - work.origin[j, 0]
        y = work.segment[k, 3 * end + 1] - work.origin[j, 1]
        z = work.segment[k, 3 * end + 2] - work.origin[j, 2]
        along = x * zx + y * zy + z * zz
        largest = max(largest, x * x + y * y + z * z - along * along)
    return math.sqrt(largest)


@kernel
def _judge(packed: Packed, work: Work, moved: Floats, report: Floats) -> int:
    """At one configuration: 1 all clear beyond the sweep, 0 not decided, -1 too near even at rest.

    moved (n,): sup |q_j(t) - q_j(m)| over the interval, without the tracking error. Writes
    still, sweep and middle of every capsule into work.
    """
    verdict, volumes = 1, packed.volume.shape[0]
    for k in range(packed.capsule.shape[0]):
        sweep = still = 0.0
        for j in range(int(packed.capsule[k, 0]) + 1):
            lever = 1.0 if packed.joint[j, PRISMATIC] > 0.0 else _from_axis(work, j, k)
            still += lever * packed.joint[j, POSITION_ERROR]
            sweep += lever * moved[j]
            work.still[k, j], work.sweep[k, j] = still, sweep
        still += packed.scalar[STANDOFF]
        axis = work.segment[k]
        x, y, z = 0.5 * (axis[0] + axis[3]), 0.5 * (axis[1] + axis[4]), 0.5 * (axis[2] + axis[5])
        work.middle[k, 0], work.middle[k, 1], work.middle[k, 2] = x, y, z
        # The capsule lies within a ball about its middle; more than rounding is added.
        far = packed.capsule[k, 7] + math.sqrt(
            (axis[0] - x) ** 2 + (axis[1] - y) ** 2 + (axis[2] - z) ** 2
        )
        far = (far + still + sweep) * ROUNDING + ROUNDING_M
        for v in range(volumes):
            if packed.checked[v, k] == 0:
                continue
            if is_beyond(packed.volume[v], packed.mesh, x, y, z, far):
                continue
            clear = clearance(
                packed.volume[v], packed.mesh, axis, packed.capsule[k, 7], work.simplex
            )
            if not (clear > still):
                report[0], report[1], report[2] = v * packed.capsule.shape[0] + k, clear, still
                return -1
            if not (clear > still + sweep) and verdict > 0:
                report[0], report[1] = v * packed.capsule.shape[0] + k, clear
                report[2] = still + sweep
                verdict = 0
    return verdict


@kernel
def violated(packed: Packed, work: Work, report: Floats) -> int:
    """0 if all links stay clear of volumes and of each other during the tick and its stop.

    Else WORKSPACE or SELF_COLLISION, and report gets subject, value, bound: the subject is
    volume · (number of capsules) + capsule, or the pair.
    """
    if packed.volume.shape[0] == 0 and packed.pair.shape[0] == 0:
        return 0
    q, moved = work.vector[3], work.vector[4]
    stack, count, evaluations = work.stack, 1, 0
    stack[0, 0], stack[0, 1] = 0.0, work.ends[4]
    while count > 0:
        count -= 1
        first, last = stack[count, 0], stack[count, 1]
        middle = 0.5 * (first + last)
        place(work.pieces, work.ends, middle, q)
        forward(packed, q, work)
        total = 0.0
        for j in range(q.shape[0]):
            low, high = position_range(work.pieces, work.ends, j, first, last)
            moved[j] = max(high - q[j], q[j] - low)
            total += moved[j]
        if not math.isfinite(total):  # also where the joint moves nothing that is asked about
            report[0], report[1], report[2] = 0.0, -math.inf, 0.0
            return WORKSPACE if packed.volume.shape[0] > 0 else SELF_COLLISION
        evaluations += 1
        verdict, code = _judge(packed, work, moved, report), WORKSPACE
        if verdict >= 0:
            paired = _pairs_judged(packed, work, report, verdict > 0)
            if paired < verdict:
                verdict, code = paired, SELF_COLLISION
        if verdict > 0:
            continue
        if verdict < 0 or evaluations >= EVALUATIONS_MAX or count + 2 > stack.shape[0]:
            return code
        stack[count, 0], stack[count, 1] = middle, last
        stack[count + 1, 0], stack[count + 1, 1] = first, middle
        count += 2
    return 0


@kernel
def least_clearance(packed: Packed, q: Floats, work: Work) -> float:
    """Smallest clearance [m] of any checked pair at q, without margins; inf without volumes."""
    forward(packed, q, work)
    least = math.inf
    for v in range(packed.volume.shape[0]):
        for k in range(packed.capsule.shape[0]):
            if packed.checked[v, k] != 0:
                radius, axis = packed.capsule[k, 7], work.segment[k]
                clear = clearance(packed.volume[v], packed.mesh, axis, radius, work.simplex)
                # Written so that a NaN clearance counts as none.
                least = clear if not (clear >= least) else least
    return least

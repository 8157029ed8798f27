"""Whole-body workspace: every link capsule clear of every volume, in continuous time.

For an interval I of time with middle m it is enough that
    clearance(m) - standoff > sum_j r_j · (sup_I |q_j(t) - q_j(m)| + e_j)
with r_j the largest distance of the capsule's axis from joint j's axis at m (joints moved in order
from the base, each rotation leaves the distal chain rigid; 1 for a prismatic joint) and e_j the
declared position error. Where that is not so, it is enough that the capsule stays beyond a plane
that separates it from the volume, to first order in the motion (kernels.separation): that is what
lets a link move along a wall. Otherwise the interval is halved, for the capsules that are still
open; too many evaluations: not certified.

Self-collision (kinds.self_collision) and what perception sees (kernels.cloud) ask their own
questions of the same intervals, so that forward kinematics is computed once for all.
"""

from __future__ import annotations

import math

from ..kernels.broad_phase import write_afar
from ..kernels.chain import forward
from ..kernels.clearance import clearance, is_beyond, segment_segment
from ..kernels.cloud import cloud_judged, is_cloudy
from ..kernels.jit import apart, kernel
from ..kernels.motion import departures, pieces_in, place
from ..kernels.packed import (
    ENDS,
    FIRST,
    HALF,
    HINT,
    NEAR,
    PACKED,
    RADII,
    RADIUS,
    ROW,
    SECOND,
    STANDOFF,
    STILL,
    SWEEP,
    UNMOVED,
    WORK,
    Floats,
    Packed,
    Work,
)
from ..kernels.planes import first_order_room
from ..kernels.separation import rough_sweeps, sweeps
from .self_collision import judge as pairs_judged

__all__ = [
    "OBSTACLES",
    "SELF_COLLISION",
    "SETTLED_M",
    "WORKSPACE",
    "gaps",
    "least_clearance",
    "look_at",
    "room",
    "violated",
]

# Codes of `certify.KINDS`.
WORKSPACE, SELF_COLLISION, OBSTACLES = 5, 9, 12
EVALUATIONS_MAX = 24
ROUNDING, ROUNDING_M = 1.0 + 1e-9, 1e-9
# For so few capsules it is not worth while to look how far all of them are.
FEW = 2
# What ends with less room than this is looked at by kinds.resting.
SETTLED_M = 1e-5


@kernel
def room(packed: Packed, work: Work, k: int, at: float) -> tuple[float, float, int]:
    """How much nearer [m] capsule k might be to a volume at a time [s] of the motion.

    Of the volume that leaves it the least; and the clearance [m] from it, and which it is.
    `work` has the frames of that time. Infinite where no volume constrains the capsule.
    """
    unmoved, joint = work.vector[UNMOVED], int(packed.capsule[k, 0])
    least, distance, nearest = math.inf, math.inf, 0
    sweeps(packed, work, k, unmoved)
    still = work.swept[STILL, k, joint] + packed.scalar[STANDOFF]
    for v in range(packed.volume.shape[0]):
        if packed.checked[v, k] == 0.0:
            continue
        clear = clearance(
            packed.volume[v], packed.mesh, work.segment[k], packed.capsule[k, RADIUS], work.simplex
        )
        left = clear - still + packed.eased[v, k]
        if left > least:
            continue
        sharper = first_order_room(packed, work, v, k, clear, unmoved, at, at)
        left = sharper if sharper > left else left
        if not left > -math.inf:  # no number is no room, whatever comes next
            return -math.inf, clear, v
        if left < least:
            least, distance, nearest = left, clear, v
    return least, distance, nearest


@kernel
def _volume_judged(
    packed: Packed,
    work: Work,
    v: int,
    k: int,
    clear: float,
    moved: Floats,
    near: Floats,
    spare: float,
    first: float,
    last: float,
    report: Floats,
) -> int:
    """Verdict of `_judge` for one capsule, whose clearance [m] from one volume is known at m."""
    sweeps(packed, work, k, moved)
    joint, unmoved = int(packed.capsule[k, 0]), work.vector[UNMOVED]
    still = work.swept[STILL, k, joint] + packed.scalar[STANDOFF] - packed.eased[v, k]
    sweep, middle = work.swept[SWEEP, k, joint], 0.5 * (first + last)
    left = clear - (still + sweep)
    if left > spare:
        return 1
    if left > 0.0 or first_order_room(packed, work, v, k, clear, moved, first, last) > 0.0:
        near[k] = max(near[k], spare)
        return 1
    report[0], report[1] = v * packed.capsule.shape[0] + k, clear
    if not (
        clear > still or first_order_room(packed, work, v, k, clear, unmoved, middle, middle) > 0.0
    ):
        report[2] = still
        return -1
    report[2] = still + sweep
    return 0


@kernel
def _judge(
    packed: Packed,
    work: Work,
    moved: Floats,
    opened: Floats,
    near: Floats,
    spare: float,
    first: float,
    last: float,
    report: Floats,
) -> tuple[int, int]:
    """At one configuration: 1 all clear beyond the sweep, 0 not decided, -1 too near even at rest.

    And the code of what the report is about.
    moved (n,): sup |q_j(t) - q_j(m)| over the interval, without the position error. opened (k + p,)
    says which capsules are looked at, and comes back with those that are not decided. near (k + p,)
    gets spare [m] where it is only a plane, or less than spare, that keeps something clear.
    """
    verdict, code, cloudy, count = 1, WORKSPACE, is_cloudy(packed), 0
    for k in range(packed.capsule.shape[0]):
        count += 1 if opened[k] > 0.0 else 0
    if count > FEW:
        write_afar(packed, work)
    for k in range(packed.capsule.shape[0]):
        if opened[k] == 0.0:
            continue
        opened[k] = 0.0
        rough_sweeps(packed, work, k, moved)
        joint, axis = int(packed.capsule[k, 0]), work.segment[k]
        still, sweep = (
            work.swept[STILL, k, joint] + packed.scalar[STANDOFF],
            work.swept[SWEEP, k, joint],
        )
        # The capsule lies within a ball about its middle; more than rounding is added. What is
        # infinite is far from nothing: it makes this no number.
        x, y, z = work.middle[0, k], work.middle[1, k], work.middle[2, k]
        far = packed.capsule[k, RADIUS] + packed.capsule[k, HALF] + 0.0 * (x + y + z)
        far = (far + still + sweep + spare) * ROUNDING + ROUNDING_M
        for v in range(packed.volume.shape[0]):
            if packed.checked[v, k] == 0:
                continue
            if count > FEW:
                if work.afar[v, k] > far:
                    continue
            elif is_beyond(packed.volume[v], packed.mesh, x, y, z, far):
                continue
            clear = clearance(
                packed.volume[v], packed.mesh, axis, packed.capsule[k, RADIUS], work.simplex
            )
            if clear - (still + sweep - packed.eased[v, k]) > spare:
                continue
            fits = _volume_judged(
                packed, work, v, k, clear, moved, near, spare, first, last, report
            )
            if fits > 0:
                continue
            if fits < 0:
                return -1, WORKSPACE
            opened[k] = 1.0
            verdict, code = 0, WORKSPACE
        if not cloudy:
            continue
        sweeps(packed, work, k, moved)
        judged = cloud_judged(packed, work, k, moved, first, last, report)
        if judged < 1:
            verdict, code, opened[k] = judged, OBSTACLES, 1.0
        if judged < 0:
            return -1, OBSTACLES
    return verdict, code


@kernel
def look_at(packed: Packed, work: Work, at: float) -> None:
    """Bring `work` to the configuration at a time [s] of the motion: work.vector[3] and frames."""
    place(work.pieces, work.small[ENDS], at, work.vector[3])
    forward(packed, work.vector[3], work)
    for k in range(packed.capsule.shape[0]):
        work.known[k] = 0.0


@kernel
def _look(
    packed: Packed,
    work: Work,
    opened: Floats,
    spare: float,
    first: float,
    last: float,
    report: Floats,
) -> tuple[int, int]:
    """Verdict of `_judge` for volumes and pairs over one interval, and the code it would have."""
    q, moved, near = work.vector[3], work.vector[4], work.open[NEAR]
    look_at(packed, work, 0.5 * (first + last))
    departures(work.pieces, work.small[ENDS], first, last, q, moved)
    total = 0.0
    for j in range(q.shape[0]):
        total += moved[j]
    if not math.isfinite(total):  # also where the joint moves nothing that is asked about
        report[0], report[1], report[2] = 0.0, -math.inf, 0.0
        return -1, WORKSPACE if packed.volume.shape[0] > 0 else SELF_COLLISION
    verdict, code = _judge(packed, work, moved, opened, near, spare, first, last, report)
    if verdict < 0:
        return verdict, code
    pairs, near = opened[packed.capsule.shape[0] :], near[packed.capsule.shape[0] :]
    paired = pairs_judged(packed, work, moved, pairs, near, spare, first, last, report, verdict > 0)
    return (paired, SELF_COLLISION) if paired < verdict else (verdict, code)


@apart(PACKED, WORK, ROW)
def violated(packed: Packed, work: Work, report: Floats) -> int:
    """0 if all links stay clear of volumes and of each other during the tick and its stop.

    Else WORKSPACE, OBSTACLES or SELF_COLLISION, and report gets subject, value, bound: the subject
    is volume · (number of capsules) + capsule, obstacles counting on from the volumes; or the pair.
    Where another motion was certainly too near, this one is looked at first: work.small[HINT] holds
    the share of its time, or a negative number, and the capsule or pair.
    work.open[NEAR] is above 0 for the capsules and pairs that kinds.resting has to look at.
    """
    if packed.volume.shape[0] == 0 and packed.pair.shape[0] == 0 and not is_cloudy(packed):
        return 0
    stack, count, evaluations = work.stack, 1, 0
    items, end_s = work.open.shape[1], work.small[ENDS, pieces_in(work.small[ENDS])]
    if work.small[HINT, 0] >= 0.0:
        at = work.small[HINT, 0] * end_s
        for i in range(items):
            work.open[1, i] = 1.0 if i == work.small[HINT, 2] else 0.0
        verdict, code = _look(packed, work, work.open[1], 0.0, at, at, report)
        if verdict < 0:
            return code
    for i in range(items):
        work.open[0, i], work.open[NEAR, i] = 1.0, 0.0
    stack[0, 0], stack[0, 1] = 0.0, end_s
    while count > 0:
        count -= 1
        first, last, opened = stack[count, 0], stack[count, 1], work.open[count]
        spare = SETTLED_M if last >= end_s else 0.0
        verdict, code = _look(packed, work, opened, spare, first, last, report)
        if verdict > 0:
            continue
        middle = 0.5 * (first + last)
        evaluations += 1
        if verdict < 0 or evaluations >= EVALUATIONS_MAX or count + 2 > NEAR:
            work.small[HINT, 0] = middle / end_s if verdict < 0 else -1.0
            capsules, item = packed.capsule.shape[0], int(report[0])
            pair = code == SELF_COLLISION
            work.small[HINT, 2] = capsules + item if pair else item % max(1, capsules)
            return code
        stack[count, 0], stack[count, 1] = middle, last
        stack[count + 1, 0], stack[count + 1, 1] = first, middle
        for i in range(items):
            work.open[count + 1, i] = opened[i]
        count += 2
    return 0


@kernel
def gaps(packed: Packed, q: Floats, work: Work, out: Floats) -> None:
    """Write the clearance [m] of each volume from each capsule, then of each pair: (v·k + p,).

    Without margins; inf where the volume does not constrain the capsule.
    """
    forward(packed, q, work)
    capsules = packed.capsule.shape[0]
    for v in range(packed.volume.shape[0]):
        for k in range(capsules):
            out[v * capsules + k] = math.inf
            if packed.checked[v, k] != 0:
                radius, axis = packed.capsule[k, RADIUS], work.segment[k]
                out[v * capsules + k] = clearance(
                    packed.volume[v], packed.mesh, axis, radius, work.simplex
                )
    first = packed.volume.shape[0] * capsules
    for p in range(packed.pair.shape[0]):
        one, other = int(packed.pair[p, FIRST]), int(packed.pair[p, SECOND])
        apart = segment_segment(work.segment[one], work.segment[other])
        out[first + p] = apart - packed.pair[p, RADII]


@kernel
def least_clearance(packed: Packed, q: Floats, work: Work) -> float:
    """Smallest clearance [m] of any checked pair at q, without margins; inf without volumes."""
    forward(packed, q, work)
    least = math.inf
    for v in range(packed.volume.shape[0]):
        for k in range(packed.capsule.shape[0]):
            if packed.checked[v, k] != 0:
                radius, axis = packed.capsule[k, RADIUS], work.segment[k]
                clear = clearance(packed.volume[v], packed.mesh, axis, radius, work.simplex)
                # Written so that a NaN clearance counts as none.
                least = clear if not (clear >= least) else least
    return least

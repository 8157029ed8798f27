"""Link speed: how fast any point of a link may be, everywhere and in zones, in continuous time.

Everywhere: `links.max_speed`. In a zone: while any point of a capsule is in it, no point of that
capsule is faster than the zone's max_speed. For an interval of one piece with middle m, a point x
that is fixed to the capsule, and d_l = sup|q_l(t) - q_l(m)| + e_l, by the mean value theorem
    |v_x(t)| <= |J_x(m) dq(t)| + sum_j sup|dq_j| · sum_l R_max(j,l) · d_l,
as for the TCP (kinds/tcp_speed.py), but with the levers of all the capsule: R_l is at most
r_l(m) + radius + sum_{i>l} r_i(m)·d_i, where r_l is the largest distance of the capsule's axis from
joint l's (1 for a prismatic one), since distance from a line changes by no more than one moves.
dq(t) is in the hull of its three Bernstein coefficients, so that |J_x(m) dq(t)| is at most the
speed of the capsule's fastest point at one of them (kernels.link_motion: exact, at one dq).

A zone does not count in an interval where the capsule is surely outside it: clearance(m) is more
than what the joints, position errors included, can move it (kinds/workspace.py), or it stays beyond
a plane with the zone behind it (kernels.separation). Else the speed has to be within; or the
interval is halved, for the capsules that are still open.

e_l is the declared position error; a velocity error adds its lever times itself. So both hold for
the measured robot: where it may be, it is slow. A file that declares neither pays for one test.
"""

from __future__ import annotations

from ..kernels.chain import forward
from ..kernels.clearance import clearance, is_beyond
from ..kernels.jit import apart, kernel
from ..kernels.link_motion import TWISTS, capsule_speed, is_limited, link_twists
from ..kernels.motion import departures, pieces_in, place, speed_sup, speeds_hull
from ..kernels.packed import (
    ENDS,
    HALF,
    LEVER,
    LINK_SPEED,
    PACKED,
    POSITION_ERROR,
    PRISMATIC,
    RADIUS,
    ROW,
    STILL,
    SWEEP,
    VELOCITY_ERROR,
    WORK,
    ZONE_SPEED,
    ZONED,
    Floats,
    Packed,
    Work,
)
from ..kernels.planes import BASE, room_outside
from ..kernels.separation import bend, sweeps

__all__ = ["LINK", "ZONE", "violated"]

# Codes of `certify.KINDS`.
LINK, ZONE = 13, 14
EVALUATIONS_MAX = 16
ROUNDING, ROUNDING_M = 1.0 + 1e-9, 1e-9


@kernel
def _open(packed: Packed, work: Work, p: int, sup: Floats, opened: Floats) -> bool:
    """Mark (k,) the capsules that piece p could make too fast somewhere; False if none.

    Not those that are slow enough even with the arm at full stretch.
    """
    any_open = False
    for j in range(sup.shape[0]):
        sup[j] = work.fastest[p, j] + packed.joint[j, VELOCITY_ERROR]
    for k in range(packed.capsule.shape[0]):
        coarse, bound = 0.0, packed.scalar[LINK_SPEED]
        for j in range(int(packed.capsule[k, 0]) + 1):
            coarse += sup[j] * packed.span[k, j]
        opened[k] = 0.0 if coarse <= bound else 1.0
        for z in range(packed.zone.shape[0]):
            if packed.zone[z, ZONED + k] != 0.0 and not (coarse <= packed.zone[z, ZONE_SPEED]):
                opened[k] = 1.0
        any_open = any_open or opened[k] != 0.0
    return any_open


@kernel
def _bent(packed: Packed, work: Work, k: int, sup: Floats, moved: Floats, errors: bool) -> float:
    """How much faster [m/s] capsule k's points can be than at m: joints with speeds `sup` move by
    `moved`, both (n,) and with the declared errors. errors: what velocity errors do by themselves.

    The levers in work.swept are those of m.
    """
    last, radius = int(packed.capsule[k, 0]), packed.capsule[k, RADIUS]
    before = speeds = total = outer = 0.0  # sums over the joints nearer to the base
    for j in range(last + 1):
        before += moved[j]
        speeds += sup[j]
    for i in range(last + 1):
        j = last - i
        before, speeds = before - moved[j], speeds - sup[j]
        lever, slides = work.swept[LEVER, k, j], packed.joint[j, PRISMATIC] > 0.0
        change = packed.joint[j, VELOCITY_ERROR]
        if not errors:
            change += sup[j] * (before + moved[j]) + moved[j] * speeds
        total += (1.0 if slides else lever + radius + outer) * change
        outer += lever * (packed.joint[j, POSITION_ERROR] if errors else moved[j])
    return total


@kernel
def _fastest(packed: Packed, work: Work, k: int) -> float:
    """Fastest point of capsule k [m/s] over the three sets of joint velocities."""
    fastest = 0.0
    for which in range(TWISTS):
        speed = capsule_speed(packed, work, k, which)
        fastest = speed if not (speed <= fastest) else fastest  # NaN stays, and fails
    return fastest


@kernel
def _outside(
    packed: Packed, work: Work, v: int, k: int, moved: Floats, begin: float, end: float
) -> tuple[bool, bool]:
    """Whether capsule k is surely outside volume v from begin to end; else whether it surely may
    be inside at their middle, the declared errors at their worst."""
    joint, axis, radius = int(packed.capsule[k, 0]), work.segment[k], packed.capsule[k, RADIUS]
    still, sweep = work.swept[STILL, k, joint], work.swept[SWEEP, k, joint]
    x, y, z = work.middle[0, k], work.middle[1, k], work.middle[2, k]
    far = (radius + packed.capsule[k, HALF] + still + sweep) * ROUNDING + ROUNDING_M
    if is_beyond(packed.volume[v], packed.mesh, x, y, z, far):
        return True, False
    clear = clearance(packed.volume[v], packed.mesh, axis, radius, work.simplex)
    if clear > still + sweep:
        return True, False
    bent = bend(packed, work, k, BASE, moved)
    is_out = room_outside(packed, work, v, k, clear, bent, begin, end) > 0.0
    return is_out, not is_out and not (clear > still)


@kernel
# tidy: kernel
def _judge(
    packed: Packed,
    work: Work,
    sup: Floats,
    moved: Floats,
    opened: Floats,
    begin: float,
    end: float,
    report: Floats,
) -> tuple[int, int]:
    """At one configuration: 1 all slow enough, 0 not decided, -1 too fast at m itself; the code.

    sup (n,) as in `_bent`; moved (n,): without the position error; of the times begin to end.
    opened (k,) comes back with the capsules that are not decided.
    """
    verdict, code, charged = 1, LINK, work.vector[7]
    first_zone = packed.volume.shape[0] - packed.zone.shape[0]
    for j in range(moved.shape[0]):
        charged[j] = moved[j] + packed.joint[j, POSITION_ERROR]
    for k in range(packed.capsule.shape[0]):
        if opened[k] == 0.0:
            continue
        opened[k] = 0.0
        sweeps(packed, work, k, moved)
        fast = _fastest(packed, work, k) + _bent(packed, work, k, sup, charged, False)
        at_m = capsule_speed(packed, work, k, TWISTS) + _bent(packed, work, k, sup, charged, True)
        bound = packed.scalar[LINK_SPEED]
        if not (fast <= bound):
            report[0], report[1], report[2] = k, at_m, bound
            if not (at_m <= bound):
                return -1, LINK
            opened[k], verdict, code = 1.0, 0, LINK
            continue
        for z in range(packed.zone.shape[0]):
            bound = packed.zone[z, ZONE_SPEED]
            if packed.zone[z, ZONED + k] == 0.0 or fast <= bound:
                continue
            is_out, is_in = _outside(packed, work, first_zone + z, k, moved, begin, end)
            if is_out:
                continue
            report[0], report[1], report[2] = z * packed.capsule.shape[0] + k, at_m, bound
            if is_in and not (at_m <= bound):
                return -1, ZONE
            opened[k], verdict, code = 1.0, 0, ZONE
    return verdict, code


@kernel
def _look(
    packed: Packed, work: Work, p: int, first: float, last: float, opened: Floats, report: Floats
) -> tuple[int, int]:
    """Verdict and code of `_judge` over one interval of piece p, in its own time."""
    q, moved, sup, dq = work.vector[3], work.vector[4], work.vector[5], work.vector[6]
    n = q.shape[0]
    begin, end = work.small[ENDS, p] + first, work.small[ENDS, p] + last
    place(work.pieces, work.small[ENDS], 0.5 * (begin + end), q)
    forward(packed, q, work)
    departures(work.pieces, work.small[ENDS], begin, end, q, moved)
    for k in range(packed.capsule.shape[0]):
        work.known[k] = 0.0
    for j in range(n):
        sup[j] = speed_sup(work.pieces[p, j], first, last) + packed.joint[j, VELOCITY_ERROR]
    middle = 0.5 * (first + last)
    for j in range(n):
        piece = work.pieces[p, j]
        dq[j] = piece[1] + middle * (piece[2] + middle * piece[3] / 2.0)
    link_twists(packed, work, dq, TWISTS)
    for which in range(TWISTS):
        speeds_hull(work.pieces, p, first, last, which, dq)
        link_twists(packed, work, dq, which)
    return _judge(packed, work, sup, moved, opened, begin, end, report)


@apart(PACKED, WORK, ROW)
def violated(packed: Packed, work: Work, report: Floats) -> int:
    """0 if all links are slow enough during the tick and its stop, else LINK or ZONE.

    report gets subject, value, bound: the capsule, or zone · (number of capsules) + capsule.
    """
    if not is_limited(packed):
        return 0
    for p in range(pieces_in(work.small[ENDS])):
        length = work.small[ENDS, p + 1] - work.small[ENDS, p]
        if p > 0 and length == 0.0:  # that instant is the end of the piece before it
            continue
        if not _open(packed, work, p, work.vector[5], work.open[0]):
            continue
        stack, count, evaluations = work.stack, 1, 0
        stack[0, 0], stack[0, 1] = 0.0, length
        while count > 0:
            count -= 1
            first, last, opened = stack[count, 0], stack[count, 1], work.open[count]
            verdict, code = _look(packed, work, p, first, last, opened, report)
            if verdict > 0:
                continue
            evaluations += 1
            if verdict < 0 or evaluations >= EVALUATIONS_MAX or count + 2 > stack.shape[0]:
                return code
            middle = 0.5 * (first + last)
            stack[count, 0], stack[count, 1] = middle, last
            stack[count + 1, 0], stack[count + 1, 1] = first, middle
            for k in range(packed.capsule.shape[0]):
                work.open[count + 1, k] = opened[k]
            count += 2
    return 0

"""One tick: project, certify, bisect towards the stored stop; else the stored stop itself.

Guarantees: what it writes is either certified in this call, or the next tick of a stop that was
certified before. The last tick of a stop ends at dq = 0 and ddq = 0, exactly.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .certify import CERTIFIED, EFFORT, certify
from .kernels.braking import next_of_stop, runs_of
from .kernels.jit import entry, kernel
from .kernels.packed import (
    BOUNDS,
    HINT,
    KEEPS_DIRECTION,
    KEPT,
    MAX,
    MEASURED,
    MIN,
    POSITION_ERROR,
    RECOVERY,
    REPORT,
    VELOCITY,
    VELOCITY_ERROR,
    WALLS,
    WALLS_MAX,
    WANTED,
    Floats,
    Packed,
    Work,
)
from .kernels.restless import recall, remember
from .kinds.workspace import OBSTACLES, WORKSPACE
from .project import project, slid
from .trial import FROM_REST, IN_VAIN, ON_RAY, TOWARDS_STOP, attempt, copied, on_ray, towards

__all__ = [
    "ALTERED",
    "PASSED",
    "STOP_TICK",
    "advance",
    "certify_rest",
    "certify_stop",
    "split",
    "split_each",
    "ticks_left",
]

PASSED, ALTERED, STOP_TICK = 0, 1, 2
# Sliding along a volume is tried at these distances from it, beside its standoff: a stop in joint
# space bends the way along a wall.
LIFTS_M = (0.005, 0.01, 0.02, 0.02)
# A joint that rests on its bound is not "outside" because of rounding.
OUTSIDE = 1e-9


@kernel
def _bounds(packed: Packed, start: Floats, bounds: Floats) -> None:
    """Write least and largest position and largest speed (3, n); inwards only from outside."""
    outside = False
    for i in range(start.shape[0]):
        joint, q = packed.joint[i], start[i, 0]
        low, high = joint[MIN] + joint[POSITION_ERROR], joint[MAX] - joint[POSITION_ERROR]
        outside = outside or not (low - OUTSIDE <= q <= high + OUTSIDE)
        bounds[0, i], bounds[1, i] = min(low, q), max(high, q)
        bounds[2, i] = joint[VELOCITY] - joint[VELOCITY_ERROR]
    if outside:
        for i in range(start.shape[0]):
            bounds[2, i] = min(bounds[2, i], packed.joint[i, RECOVERY])


@kernel
def _forget(work: Work) -> None:
    """Nothing is known yet of the motions that this tick tries."""
    work.small[HINT, 0], work.small[HINT, 1], work.small[HINT, 3] = -1.0, 0.0, 0.0
    for i in range(work.start.shape[0]):
        work.motions[KEPT, i, 2] = math.nan  # nobody follows it


@kernel
def _rests(start: Floats) -> bool:
    moving = 0.0
    for i in range(start.shape[0]):
        moving += abs(start[i, 1]) + abs(start[i, 2])
    return moving == 0.0


@kernel
def _slides(
    packed: Packed,
    start: Floats,
    reference: Floats,
    ddq: Floats,
    slow: Floats,
    work: Work,
    wall: float,
    found: Floats,
    out: Floats,
) -> bool:
    """Write a certified motion along the volume that was too near, and those met on the way.

    wall: volume · (number of capsules) + capsule. False, ddq (n,) being the last one tried.
    """
    walls = 0
    for lift in LIFTS_M:
        is_new = walls < WALLS_MAX
        for w in range(walls):
            is_new = is_new and work.small[WALLS, w] != wall
        if is_new:
            work.small[WALLS, walls] = wall
            walls += 1
        if not slid(
            packed, start, work.triples[BOUNDS], reference, walls, lift, work, found, ddq, slow
        ):
            return False
        code = attempt(packed, start, ddq, work.triples[BOUNDS], work, work.small[REPORT], out)
        if code == CERTIFIED:
            return True
        if code in (WORKSPACE, OBSTACLES):
            wall = work.small[REPORT, 0]
    return False


@kernel
def _decided(
    packed: Packed,
    start: Floats,
    stop: Floats,
    mode: int,
    held: bool,
    reference: Floats,
    work: Work,
    found: Floats,
    out: Floats,
) -> tuple[int, int]:
    """As `advance`, but for what is remembered."""
    bounds, wanted, slow, report = (
        work.triples[BOUNDS],
        work.triples[WANTED, 0],
        work.triples[WANTED, 2],
        work.small[REPORT],
    )
    _forget(work)
    _bounds(packed, start, bounds)
    alone = not packed.scalar[KEEPS_DIRECTION] > 0.0
    if alone:
        next_of_stop(packed, start, stop, work.motions[KEPT])
    count = project(packed, start, mode, held, reference, bounds, work, found, wanted, slow)
    code = attempt(packed, start, wanted, bounds, work, report, out)
    subject = report[0]  # the trials to come write their own
    if code == CERTIFIED:
        return (PASSED if count == 0 else ALTERED), count
    if count < found.shape[0]:
        found[count, 0], found[count, 1] = code, subject
        found[count, 2], found[count, 3] = report[1], report[2]
        count += 1
    if not alone:
        next_of_stop(packed, start, stop, work.motions[KEPT])
    is_short = code == EFFORT and _rests(start)
    if math.isfinite(slow[0]):  # slower, in the commanded direction, before anything else
        times = IN_VAIN if code in (WORKSPACE, OBSTACLES) else ON_RAY
        if on_ray(packed, start, slow, wanted, times, work, out):
            return ALTERED, count
        wanted = wanted if is_short else slow
    if held and code in (WORKSPACE, OBSTACLES):
        wanted = work.triples[WANTED, 0]
        if _slides(packed, start, reference, wanted, slow, work, subject, found, out):
            return ALTERED, count
    for i in range(start.shape[0]):
        work.triples[MEASURED, 1, i] = work.motions[KEPT, i, 2]
    times = FROM_REST if is_short else TOWARDS_STOP
    if towards(packed, start, work.triples[MEASURED, 1], wanted, times, work, out):
        return ALTERED, count
    copied(work.motions[KEPT], out)
    return STOP_TICK, count


@kernel
def advance(
    packed: Packed,
    start: Floats,
    stop: Floats,
    mode: int,
    held: bool,
    reference: Floats,
    work: Work,
    found: Floats,
    out: Floats,
) -> tuple[int, int]:
    """Plan one tick towards the reference; return what it is and how many rows `found` has.

    start (n, 3); stop (n + 1, 3 + m) the stored stop, see `next_of_stop`; reference (3, n); found
    (f, 4) kind, subject, value, bound; out (n + 1, 3 + m) the setpoint and its stop.
    """
    recall(packed, stop, work)
    code, count = _decided(packed, start, stop, mode, held, reference, work, found, out)
    remember(packed, start, work, out)
    return code, count


@kernel
def certify_rest(packed: Packed, start: Floats, work: Work, out: Floats) -> int:
    """Certify staying where the robot is: what arming needs. Code as `certify`; out as above."""
    for i in range(start.shape[0]):
        work.triples[WANTED, 0, i] = start[i, 2]
    _forget(work)
    _bounds(packed, start, work.triples[BOUNDS])
    return attempt(
        packed, start, work.triples[WANTED, 0], work.triples[BOUNDS], work, work.small[REPORT], out
    )


@kernel
def certify_stop(packed: Packed, motion: Floats, work: Work, report: Floats) -> int:
    """Certify what is left of the stop that a motion (n + 1, 3 + m) carries, as `certify` does.

    Its next tick, and the ticks behind that one. A joint that is outside its range is on its way
    back in, at recovery speed; whoever asks decides what else may follow.
    """
    n, kept, ddq = work.start.shape[0], work.motions[KEPT], work.triples[WANTED, 0]
    phases = kept.shape[1] - 3
    for i in range(n):
        for p in range(3):
            work.start[i, p] = motion[i, p]
    next_of_stop(packed, work.start, motion, kept)
    for i in range(n):
        ddq[i] = kept[i, 2]
    _forget(work)
    _bounds(packed, work.start, work.triples[BOUNDS])
    return certify(
        packed, work.start, ddq, kept[n, :phases], kept[:n, 3:], work.triples[BOUNDS], work, report
    )


@kernel
def _left(motion: Floats) -> float:
    """Ticks of all phases of the stop of a motion (n + 1, 3 + m)."""
    n, left = motion.shape[0] - 1, 0.0
    for p in range(motion.shape[1] - 3):
        left += motion[n, p]
    return left


@entry
def split(motion: Floats, columns: Floats) -> tuple[int, bool, int, int, int]:
    """Write q, dq, ddq (3, n) of a motion.

    Ticks until it rests; whether all joints switch together, so that its first three phases are all
    there are; and the ticks of these.
    """
    n, left = columns.shape[1], _left(motion)
    first, second, third = motion[n, 0], motion[n, 1], motion[n, 2]
    for i in range(n):
        for r in range(3):
            columns[r, i] = motion[i, r]
    together = left == first + second + third
    return int(left), together, int(first), int(second), int(third)


@entry
def split_each(motion: Floats, ticks: npt.NDArray[np.int64], jerk: Floats, row: Floats) -> None:
    """Write the ticks and jerks (n, 3) of the stop that each joint of a motion has for itself.

    row (6,): scratch.
    """
    for i in range(jerk.shape[0]):
        runs_of(motion, i, row)
        for r in range(3):
            ticks[i, r], jerk[i, r] = int(row[r]), row[3 + r]


@entry
def ticks_left(motion: Floats) -> float:
    """Ticks until the stop of a motion (n + 1, 3 + m) rests."""
    return _left(motion)

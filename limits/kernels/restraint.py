"""How the commanded motion is held back for the tool's acceleration and the speed of links.

What `project` proposes is to be worth certifying: a motion that asks for too much is slowed down as
a whole, in its own direction, before the certificate would have to refuse it. Where a file declares
none of these limits, `project` asks once and goes on.
"""

from __future__ import annotations

from .jit import apart, kernel
from .link_motion import is_limited
from .pace import pace
from .packed import (
    PACE,
    PACKED,
    ROW,
    TABLE,
    TCP_ACCELERATION,
    TCP_ROTATIONAL_ACCELERATION,
    WHOLE,
    WORK,
    Floats,
    Packed,
    Work,
)
from .tool_motion import is_held, tool_pace

__all__ = ["GENTLE", "asks_too_much", "brakes_with", "note", "restrain"]

# Codes of `certify.KINDS`.
_ACCELERATION, _LINK_SPEED, _ZONE_SPEED = 2.0, 13.0, 14.0
_TCP_ACCELERATION, _TCP_TURNING = 15.0, 16.0
# Stay this far inside, against rounding.
INSIDE = 1.0 - 1e-11
# Entries of work.small[PACE] after those of kernels.pace: which share of the joints' accelerations
# the tool's leave, and the code of the bound that leaves the least.
GENTLE, HELD_BY = 6, 7


@kernel
def note(found: Floats, count: int, kind: float, subject: int, value: float, bound: float) -> int:
    if count >= found.shape[0]:
        return count
    found[count, 0], found[count, 1], found[count, 2], found[count, 3] = kind, subject, value, bound
    return count + 1


@kernel
def _paced(packed: Packed, work: Work, speeds: Floats, found: Floats, count: int) -> int:
    """Scale speeds (n,) by what the links' own limits leave; return the number of findings."""
    what = work.small[PACE]
    share, is_linked, is_zoned = pace(packed, work, speeds, what[GENTLE], what)
    if is_linked:
        count = note(found, count, _LINK_SPEED, int(what[0]), what[1], what[2])
    if is_zoned:
        count = note(found, count, _ZONE_SPEED, int(what[3]), what[4], what[5])
    if is_linked or is_zoned:
        for i in range(speeds.shape[0]):
            speeds[i] *= share * INSIDE
    return count


@kernel
def brakes_with(packed: Packed, start: Floats, work: Work) -> float:
    """Which share of the joints' accelerations the tool's leave for braking from now."""
    if not is_held(packed):
        return 1.0
    q, now = work.vector[1], work.vector[9]
    for i in range(start.shape[0]):
        q[i], now[i] = start[i, 0], start[i, 1]
    return tool_pace(packed, work, q, now, now)[1]


@kernel
def _held(
    packed: Packed, start: Floats, work: Work, speeds: Floats, found: Floats, count: int
) -> int:
    """Scale speeds (n,) so that the tool's way may bend as they ask for; return as `note`.

    And write how hard joints may speed up and slow down for its sake, on the way to these speeds
    and from those of now.
    """
    q, now, what = work.vector[1], work.vector[9], work.small[PACE]
    for i in range(speeds.shape[0]):
        now[i] = start[i, 1]
    share, gentle, turning = tool_pace(packed, work, q, speeds, now)
    what[GENTLE], what[HELD_BY] = gentle, _TCP_TURNING if turning else _TCP_ACCELERATION
    if share < 1.0:
        bound = packed.scalar[TCP_ROTATIONAL_ACCELERATION if turning else TCP_ACCELERATION]
        count = note(found, count, what[HELD_BY], 0, bound / (share * share), bound)
        for i in range(speeds.shape[0]):
            speeds[i] *= share
    return count


@kernel
def asks_too_much(
    packed: Packed,
    work: Work,
    wanted: float,
    low: float,
    high: float,
    i: int,
    found: Floats,
    count: int,
) -> int:
    """Find the acceleration that joint i would need to be too much for it, or for the tool.

    low < 0 and high > 0 are what it may have.
    """
    bound, what = -low if wanted < 0.0 else high, work.small[PACE]
    if not low <= wanted <= high:
        return note(found, count, _ACCELERATION, i, abs(wanted), bound)
    hard = abs(wanted) / (what[GENTLE] * bound)
    if hard <= 1.0 or (count > 0 and found[count - 1, 0] == what[HELD_BY]):
        return count
    turning = what[HELD_BY] == _TCP_TURNING
    bound = packed.scalar[TCP_ROTATIONAL_ACCELERATION if turning else TCP_ACCELERATION]
    return note(found, count, what[HELD_BY], 0, hard * bound, bound)


@apart(PACKED, TABLE, WORK, ROW, TABLE, WHOLE)
def restrain(
    packed: Packed, start: Floats, work: Work, speeds: Floats, found: Floats, count: int
) -> int:
    """Scale speeds (n,) by what these limits leave of them; return as `note`.

    The frames in `work` are those of now, work.vector[1] its q. work.small[PACE, GENTLE] becomes
    the share of the joints' accelerations that is left.
    """
    work.small[PACE, GENTLE] = 1.0
    if is_held(packed):
        count = _held(packed, start, work, speeds, found, count)
    if is_limited(packed):
        count = _paced(packed, work, speeds, found, count)
    return count

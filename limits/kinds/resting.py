"""Where a motion may come to rest: not so near to a bound that nothing can be certified from there.

The certificates of kinds.workspace and kinds.self_collision bound how a path bends, so a motion is
certified only if it begins with some room, however little. One that used up all of it would be the
last: not even a way straight back could be certified. So a motion ends with room of SETTLED_M at
least, or with no less than it began with, which is what leads away, along, or nowhere.

Room is by how much more than needed the first-order bound keeps a capsule clear while it rests.
What perception sees moves by itself, and is not asked.

Nor can an arm begin to move that only just holds itself up: to speed up and to slow down takes some
effort more. So of each joint's effort SETTLED_SHARE at least is left where a motion ends, or no
less than was where it began, at rest.

Nothing of this is for safety: what the planner tries has to hold it (limits.tick), a stop that was
stored need not.
"""

from __future__ import annotations

from ..kernels.jit import apart, kernel
from ..kernels.motion import pieces_in
from ..kernels.packed import (
    ENDS,
    NEAR,
    PACKED,
    ROOM,
    ROW,
    WORK,
    Floats,
    Packed,
    Work,
)
from .joint_effort import JOINT_EFFORT, effort_bound
from .joint_effort import at_rest as _efforts_at_rest
from .self_collision import room as _pair_room
from .workspace import SELF_COLLISION, SETTLED_M, WORKSPACE, look_at
from .workspace import room as _volume_room

__all__ = ["SETTLED_SHARE", "violated"]

# Of a room: what is no difference.
ROUNDING_M, ROUNDING = 1e-12, 1e-12
# Of each joint's bound: what is left of it where a motion ends.
SETTLED_SHARE = 1e-3


@kernel
def _room(packed: Packed, work: Work, item: int, at: float) -> tuple[float, float, int]:
    """How much nearer [m] a capsule or pair might be at a time [s] of the motion.

    Also its clearance [m], and the volume, or -1 of a pair. `work` has the frames of that time.
    """
    capsules = packed.capsule.shape[0]
    if item < capsules:
        return _volume_room(packed, work, item, at)
    room, clear = _pair_room(packed, work, item - capsules, at)
    return room, clear, -1


@kernel
def _strained(packed: Packed, work: Work, report: Floats) -> bool:
    """Whether a joint would bear more than it did at rest at the start, and too near to its bound.

    work.efforts[0] has what it bears at the end, as joint_effort.holds left it.
    """
    ends, begins, is_asked = work.efforts[0], work.efforts[1], False
    for i in range(ends.shape[0]):
        bound = effort_bound(packed, i)
        is_asked = is_asked or not abs(ends[i]) <= bound * (1.0 - SETTLED_SHARE)
    if not is_asked:
        return False
    _efforts_at_rest(packed, work, begins)
    for i in range(ends.shape[0]):
        bound = effort_bound(packed, i)
        allowed = max(bound * (1.0 - SETTLED_SHARE), abs(begins[i]) + bound * ROUNDING)
        if not abs(ends[i]) <= allowed:
            report[0], report[1], report[2] = i, abs(ends[i]), allowed
            return True
    return False


@kernel
def _too_near(packed: Packed, work: Work, report: Floats) -> int:
    """0, WORKSPACE or SELF_COLLISION: subject, clearance and what is needed [m] in the report.

    work.open[NEAR] says what to look at: see workspace.violated, which must have been there.
    """
    near, rooms, end_s = (
        work.open[NEAR],
        work.open[ROOM],
        work.small[ENDS, pieces_in(work.small[ENDS])],
    )
    is_near, capsules = False, packed.capsule.shape[0]
    for i in range(near.shape[0]):
        is_near = is_near or near[i] > 0.0
    if not is_near:
        return 0
    look_at(packed, work, end_s)
    is_near = False
    for i in range(near.shape[0]):
        if near[i] > 0.0:
            rooms[i], _, _ = _room(packed, work, i, end_s)
            near[i] = 0.0 if rooms[i] > SETTLED_M else 1.0
            is_near = is_near or near[i] > 0.0
    if not is_near:
        return 0
    look_at(packed, work, 0.0)
    for i in range(near.shape[0]):
        if near[i] > 0.0:
            room, _, _ = _room(packed, work, i, 0.0)
            # Written so that what is not finite is none, and no difference from it either.
            if rooms[i] - room >= -ROUNDING_M:
                continue
            look_at(packed, work, end_s)
            room, clear, volume = _room(packed, work, i, end_s)
            report[0], report[1], report[2] = i - capsules, clear, clear - room + SETTLED_M
            if volume < 0:
                return SELF_COLLISION
            report[0] = volume * capsules + i
            return WORKSPACE
    return 0


@apart(PACKED, WORK, ROW)
def violated(packed: Packed, work: Work, report: Floats) -> int:
    """0, or the code of what speaks against coming to rest there: subject, value and bound.

    Of a motion that is certified, and `work` is as its certificate left it.
    """
    if _strained(packed, work, report):
        return JOINT_EFFORT
    return _too_near(packed, work, report)

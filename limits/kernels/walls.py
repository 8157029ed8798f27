"""What volumes make of the speeds that are wanted: links slide along them, one after the other.

A stop is straight in joint space, so it bends the way of a place on a link: one that slides along
a wall at full speed would be stopped beyond it. So each keeps as much farther away as the stop from
the speeds that it is to have bends its way towards the wall. Known before, that is continuous; left
to the certificate, it would be found out tick by tick, by turning away and back.
Nothing here is trusted: the certificate judges the result.
"""

from __future__ import annotations

from .broad_phase import write_afar
from .chain import forward
from .clearance import clearance
from .jit import kernel
from .packed import (
    ARRIVED,
    ASKED,
    HALF,
    PERIOD,
    RADIUS,
    REPORT,
    STANDOFF,
    VELOCITY,
    WALLS,
    Floats,
    Packed,
    Work,
)
from .restraint import note
from .room import stopping_time
from .sliding import near_from, slide, slide_at

__all__ = ["held_off", "held_off_from"]

# Code of `certify.KINDS`.
_WORKSPACE = 5.0
# How much farther [m] from its margin a capsule slides, for what is not estimated.
LIFT_M, LIFT_ALONE_M = 2e-3, 5e-4
# See `_room_time`: no less, and no more.
SOON_S, ROOM_S = 0.1, 0.25
# What one volume changes may lead towards another: they take turns; the last time all slow down.
PASSES = 4
# Of their top speeds, [1]: twice as fast, and faster, joints go on in a corner.
CREEP = 0.01
# So many to know which speeds a stop has to be made from.
GUESSES = 2


@kernel
def _room_time(packed: Packed, start: Floats, work: Work) -> float:
    """In how many seconds a link may use up its clearance from a volume, while it slides along it.

    A stop leads as far as it goes in half the time that it takes, and a bit for jerk and the tick:
    sooner than that, it would lead beyond the clearance. Slow arms are rejected then: ROOM_S.
    """
    period, stop_s = packed.scalar[PERIOD], stopping_time(packed, start[:, 1], work)
    return min(ROOM_S, max(SOON_S, 0.5 * stop_s + period))


@kernel
def _write_bent(packed: Packed, start: Floats, speeds: Floats, work: Work) -> None:
    """Write work.bent (k, 6), see there, for a stop from speeds (n,); the frames are as they were.

    A stop takes half the way that its speeds would have made meanwhile. From the second difference
    along it: exact for a parabola.
    """
    n, q, way = start.shape[0], work.vector[1], 0.5 * stopping_time(packed, speeds, work)
    for k in range(packed.capsule.shape[0]):
        for i in range(6):
            work.bent[k, i] = 2.0 * work.segment[k, i]
    for step in range(2):
        for i in range(n):
            moves = 0.0 if work.vector[ARRIVED, i] > 0.0 else 0.5 * (step + 1.0) * way
            q[i] = start[i, 0] + moves * speeds[i]
        forward(packed, q, work)
        for k in range(packed.capsule.shape[0]):
            for i in range(6):
                work.bent[k, i] += (-4.0 if step == 0 else 2.0) * work.segment[k, i]
    for i in range(n):
        q[i] = start[i, 0]
    forward(packed, q, work)


@kernel
def _is_listed(work: Work, count: int, wall: int) -> bool:
    listed = False
    for w in range(count):
        listed = listed or work.small[WALLS, w] == wall
    return listed


@kernel
def _one_turn(
    packed: Packed,
    reach_s: float,
    room_s: float,
    margin: float,
    listed: int,
    slower: bool,
    speeds: Floats,
    work: Work,
    found: Floats,
    count: int,
) -> tuple[int, bool, bool]:
    """Let all capsules slide once along all volumes that are near, and not in work.small[WALLS].

    Near is what could be reached in reach_s. Returns the number of findings, whether any speed was
    changed, and whether anything was near at all.
    """
    capsules, is_changed, is_near = packed.capsule.shape[0], False, False
    for k in range(capsules):
        near, radius, axis = (
            near_from(packed, k, reach_s, margin, speeds),
            packed.capsule[k, RADIUS],
            work.segment[k],
        )
        for v in range(packed.volume.shape[0]):
            far, pair = packed.capsule[k, HALF] + radius + near, v * capsules + k
            if packed.checked[v, k] == 0.0 or work.afar[v, k] > far:
                continue
            if _is_listed(work, listed, pair):
                continue
            clear = clearance(packed.volume[v], packed.mesh, axis, radius, work.simplex)
            if not clear < near:
                continue
            is_near = True
            if slide_at(packed, work, v, k, clear, room_s, margin, slower, speeds):
                near = near_from(packed, k, reach_s, margin, speeds)
                is_changed = True
                count = note(found, count, _WORKSPACE, pair, work.small[REPORT, 1], margin)
    return count, is_changed, is_near


@kernel
def _lifted(packed: Packed) -> float:
    """How far [m] capsules are to be from volumes while they slide."""
    return packed.scalar[STANDOFF] + (LIFT_M if packed.joint.shape[0] > 1 else LIFT_ALONE_M)


@kernel
def _reach(packed: Packed, speeds: Floats, room_s: float, work: Work) -> float:
    """In how many seconds [s] what is near now could be too near, by speeds or by a stop's bend."""
    turned, way = 0.0, 0.5 * stopping_time(packed, speeds, work)
    for i in range(speeds.shape[0]):
        turned += abs(speeds[i]) * way
    return room_s + 0.5 * turned * way  # by half of this angle, and no more, a way bends


@kernel
def _rest_in_corner(packed: Packed, speeds: Floats) -> None:
    """Let speeds (n,) that are next to nothing be nothing, little by little.

    Where volumes leave no way that suits all of them, what is left would be a creep from one to the
    other, and back.
    """
    fastest = 0.0
    for i in range(speeds.shape[0]):
        fastest = max(fastest, abs(speeds[i]) / packed.joint[i, VELOCITY])
    share = min(1.0, max(0.0, fastest / CREEP - 1.0))
    for i in range(speeds.shape[0]):
        speeds[i] *= share


@kernel
def _by_turns(
    packed: Packed,
    reach_s: float,
    room_s: float,
    listed: int,
    margin: float,
    speeds: Floats,
    work: Work,
    found: Floats,
    count: int,
) -> tuple[int, bool, bool]:
    """Let all capsules slide, by turns, until no speed changes; in the last turn, slow down.

    Along what is near, and then, margin [m] off, along the pairs work.small[WALLS, :listed].
    Returns the number of findings, and whether what was near, and what was listed, changed a speed.
    """
    by_near = by_listed = False
    for again in range(PASSES):
        slower, full = again == PASSES - 1, found.shape[0]
        noted, changes, _ = _one_turn(
            packed,
            reach_s,
            room_s,
            _lifted(packed),
            listed,
            slower,
            speeds,
            work,
            found,
            count if again == 0 else full,
        )
        by_near = by_near or changes
        if again == 0:  # what the others find is the same
            count = noted
        for w in range(listed):
            v, k = divmod(int(work.small[WALLS, w]), packed.capsule.shape[0])
            if slide(packed, work, v, k, room_s, margin, slower, speeds):
                by_listed = changes = True
        if not changes:
            break
        if slower:
            _rest_in_corner(packed, speeds)
    return count, by_near, by_listed


@kernel
def held_off(
    packed: Packed, start: Floats, speeds: Floats, work: Work, found: Floats, count: int
) -> tuple[int, bool]:
    """Change speeds (n,) so that no capsule comes nearer to a volume too fast: it slides instead.

    Returns the number of findings and whether any speed was changed. The frames in `work` are those
    of now. What is left of a clearance may be used up in _room_time.
    """
    n, asked, room_s = speeds.shape[0], work.vector[ASKED], _room_time(packed, start, work)
    margin, reach_s, full = _lifted(packed), _reach(packed, speeds, room_s, work), found.shape[0]
    write_afar(packed, work)
    work.bent[...] = 0.0
    for i in range(n):
        asked[i] = speeds[i]
    for _ in range(GUESSES):
        _, changed, is_near = _one_turn(
            packed, reach_s, room_s, margin, 0, False, speeds, work, found, full
        )
        if not is_near:
            return count, False
        if not changed:
            break
    _write_bent(packed, start, speeds, work)
    for i in range(n):
        speeds[i] = asked[i]
    count, is_changed, _ = _by_turns(packed, reach_s, room_s, 0, margin, speeds, work, found, count)
    return count, is_changed


@kernel
def held_off_from(
    packed: Packed,
    start: Floats,
    count: int,
    lift: float,
    speeds: Floats,
    work: Work,
    found: Floats,
) -> bool:
    """Change speeds (n,) as `held_off` did, but also for the pairs work.small[WALLS, :count].

    These are to stay lift [m] from their margin, and what stops bend. False if none changed them.
    """
    margin, room_s = packed.scalar[STANDOFF] + lift, _room_time(packed, start, work)
    reach_s, full = _reach(packed, speeds, room_s, work), found.shape[0]
    _, _, is_changed = _by_turns(packed, reach_s, room_s, count, margin, speeds, work, found, full)
    return is_changed

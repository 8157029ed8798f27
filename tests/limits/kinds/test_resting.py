"""Where a motion may end: with room to leave from there, or no nearer than it began."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, plain_robot, still
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_motion import Motion
from tests.robots import array, folding, half_space, panda, with_joint

from checkrein.limits import Limits
from checkrein.limits.certify import CERTIFIED, EFFORT
from checkrein.limits.core import Core
from checkrein.limits.kernels.motion import build, note_speeds
from checkrein.limits.kernels.packed import EFFORT as EFFORT_BOUND
from checkrein.limits.kernels.packed import (
    EFFORT_ERROR,
    ENDS,
    NEAR,
    UNMOVED,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kinds import joint_effort, resting, workspace
from checkrein.limits.kinds.resting import SETTLED_SHARE
from checkrein.limits.kinds.workspace import SELF_COLLISION, SETTLED_M, WORKSPACE
from checkrein.limits.records import Array

WALL_M = 0.8


def walled(bound: float = WALL_M) -> Limits:
    """The carriage may not reach farther out along x than this."""
    wall = half_space("wall", [1.0, 0.0, 0.0], bound, "keep_in")
    return replace(plain_robot(), volumes=(wall,))


def moved(start: float, by: float) -> Motion:
    """The rail goes `by` [m] within the tick, at constant jerk; nothing is left to stop."""
    still_there = still((0.0, start))
    jerk = 6.0 * by / PERIOD_S**3
    return still_there._replace(ddq_next=array([0.0, jerk * PERIOD_S]), ticks=array([0.0] * 3))


def laid(limits: Limits, motion: Motion) -> tuple[Packed, Work]:
    """The limits, and scratch memory with the motion's pieces in it."""
    packed = pack(limits)
    work = work_for(packed)
    build(motion.start, motion.ddq_next, PERIOD_S, motion.ticks, motion.jerk, work.pieces,
          work.small[ENDS])  # fmt: skip
    note_speeds(work.pieces, work.small[ENDS], work.fastest)
    return packed, work


def asked(limits: Limits, motion: Motion) -> tuple[int, int, Array, Work]:
    """What workspace says, what resting says, and its report."""
    (packed, work), report = laid(limits, motion), np.full(3, math.nan)
    clear = int(workspace.violated(packed, work, report))
    return clear, int(resting.violated(packed, work, report)), report, work


def room_at(limits: Limits, rail: float) -> float:
    """How far [m] from there the rail may go at rest, by bisection."""
    low, high = 0.0, 1.0
    assert asked(limits, still((0.0, rail)))[0] == CERTIFIED
    for _ in range(60):
        middle = 0.5 * (low + high)
        fits = asked(limits, still((0.0, rail + middle)))[0] == CERTIFIED
        low, high = (middle, high) if fits else (low, middle)
    return low


EDGE = 0.3 + room_at(walled(), 0.3)


@pytest.mark.parametrize("room", [1e-3, 2.0 * SETTLED_M, 0.5 * SETTLED_M, 1e-8])
def test_rest_is_certified_wherever_there_is_room(room: float) -> None:
    clear, rests, _, _ = asked(walled(), still((0.0, EDGE - room)))
    assert (clear, rests) == (CERTIFIED, CERTIFIED)


@pytest.mark.parametrize(
    ("start", "end", "fine"),
    [
        (1e-3, 2.0 * SETTLED_M, True),  # nearer, and there is room left
        (1e-3, 0.5 * SETTLED_M, False),
        (0.5 * SETTLED_M, 0.4 * SETTLED_M, False),
        (0.5 * SETTLED_M, 0.5 * SETTLED_M, True),
        (0.5 * SETTLED_M, 0.6 * SETTLED_M, True),  # away
        (0.5 * SETTLED_M, 1e-3, True),
    ],
)
def test_a_motion_ends_with_room_or_no_nearer(start: float, end: float, fine: bool) -> None:
    clear, rests, report, _ = asked(walled(), moved(EDGE - start, start - end))
    assert clear == CERTIFIED  # all of them are clear all the time
    assert rests == (CERTIFIED if fine else WORKSPACE)
    if not fine:
        assert report[0] == 1  # the volume 0 and the capsule 1
        assert report[2] - report[1] == pytest.approx(SETTLED_M - end, abs=1e-8)


def leaning(bound: float) -> Limits:
    """The column bears the rail and its carriage sideways: the more, the farther out that is."""
    limits = with_joint(plain_robot(), 0, max_effort=bound)
    chain = replace(limits.kinematics, gravity=array([0.0, -9.81, 0.0]))
    return replace(limits, kinematics=chain, volumes=())


def led(start: float, by: float) -> Motion:
    """The rail goes `by` [m], from rest to rest, within a second."""
    motion, quarter = still((0.0, start)), 0.25
    jerk = by / (2.0 * quarter**3)
    motion.ticks[:] = array([1.0, 2.0, 1.0]) * (quarter / PERIOD_S)
    motion.jerk[1] = jerk, -jerk, jerk
    return motion


@pytest.mark.parametrize(
    ("start", "end", "fine"),
    [
        (5.0, 1.01, True),  # of SETTLED_SHARE: it bears more, and there is some left
        (5.0, 0.99, False),
        (0.5, 0.4, False),
        (0.5, 0.5, True),
        (0.5, 0.6, True),
        (0.5, 5.0, True),
    ],
)
def test_a_motion_ends_with_effort_left_or_bears_no_more(
    start: float, end: float, fine: bool
) -> None:
    bound = Core(leaning(200.0)).efforts(array([0.0, 0.5]), np.zeros(2), np.zeros(2))[0]
    metres = SETTLED_SHARE * bound / (3.0 * 9.81)  # the carriage has 3 kg
    motion = led(0.5 - start * metres, (start - end) * metres)
    (packed, work), report = laid(leaning(bound), motion), np.full(3, math.nan)
    assert joint_effort.holds(packed, work, report)
    rests = resting.violated(packed, work, report)
    assert rests == (CERTIFIED if fine else EFFORT)
    if not fine:
        assert report[0] == 0
        assert report[1] == pytest.approx(bound * (1.0 - SETTLED_SHARE * end), rel=1e-9)
        assert report[2] == pytest.approx(bound * (1.0 - SETTLED_SHARE * min(start, 1.0)), rel=1e-9)


@pytest.mark.parametrize("offset", [0.03, 2.0])
def test_with_so_little_left_it_can_be_led_away(offset: float) -> None:
    """The column has to bear each step of the carriage: the farther off that is, the more of it."""
    limits = replace(leaning(200.0), period_s=0.045)
    com = array([[0.1, 0.02, 0.05], [0.0, offset, 0.1]])
    limits = replace(limits, kinematics=replace(limits.kinematics, com=com))
    bound = Core(limits).efforts(array([0.0, 0.5]), np.zeros(2), np.zeros(2))[0]
    core = Core(with_joint(limits, 0, max_effort=bound / (1.0 - SETTLED_SHARE)))
    motion, found = core.rest(array([0.0, 0.5]))
    assert found is None
    inwards = np.array([motion[:2, 0], [0.0, -0.9], [0.0, 0.0]])
    ways = []
    for _ in range(3):
        begin = motion[1, 0]
        for _ in range(100):
            motion, _, _ = core.advance(motion, 1, inwards)
        ways.append(begin - motion[1, 0])
    assert ways[0] > 1e-4
    assert ways[2] > ways[0] or motion[1, 0] < 0.2  # the farther away, the faster it may go


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_effort_that_is_no_number_leaves_none(bad: float) -> None:
    """Whether it is the one at the end, or the one at the start too."""
    for of_arm in (False, True):
        (packed, work), report = laid(leaning(100.0), led(0.5, 0.0)), np.zeros(3)
        assert resting.violated(packed, work, report) == CERTIFIED
        work.efforts[0, 1] = bad
        packed.body[1, 0] = bad if of_arm else packed.body[1, 0]
        assert resting.violated(packed, work, report) == EFFORT


def test_it_is_said_what_the_end_is_too_near_to() -> None:
    """Not what was nearest at the start."""
    floor = half_space("floor", [0.0, 0.0, 1.0], 0.0, "keep_out")
    wall = walled().volumes[0]
    limits = replace(plain_robot(), volumes=(floor, wall))
    low = min(float(capsule_axes(limits, np.array([0.0, EDGE]))[1][:, 2].min()), 1.0)
    floor = replace(floor, offset=low - limits.capsules[1].radius - limits.standoff - 2e-3)
    limits = replace(limits, volumes=(floor, wall))
    clear, rests, report, _ = asked(limits, moved(EDGE - 5e-3, 5e-3 - 0.5 * SETTLED_M))
    assert (clear, rests) == (CERTIFIED, WORKSPACE)
    assert report[0] == len(limits.capsules) + 1  # the wall, and the carriage
    assert report[2] - report[1] == pytest.approx(0.5 * SETTLED_M, abs=1e-8)


def test_a_stop_that_was_stored_is_not_asked() -> None:
    """Neither safety nor whoever certifies it again depends on where it leads from."""
    core = Core(walled())
    motion, found = core.rest(array([0.0, EDGE - 0.4 * SETTLED_M]))
    assert found is None
    assert core.recertify(motion) is None
    motion, _ = core.rest(array([0.0, EDGE - 2e-3]))
    for _ in range(200):
        motion, _, _ = core.advance(motion, 1, np.array([motion[:2, 0], [0.0, 0.9], [0.0, 0.0]]))
    nearer = Core(walled(WALL_M - 0.5 * SETTLED_M))
    assert nearer.recertify(motion) is None


def test_what_is_far_from_everything_is_not_looked_at() -> None:
    _, rests, report, work = asked(walled(), moved(0.3, 1e-6))
    assert rests == CERTIFIED
    assert not work.open[NEAR].any()
    assert np.isnan(report).all()


def test_two_links_are_asked_as_a_volume_is() -> None:
    limits = folding(replace(plain_robot(), volumes=()))
    rest, inside = 0.8, 0.0
    assert asked(limits, still((0.0, rest)))[0] == CERTIFIED
    for _ in range(60):  # nearer to the column, until the two would touch
        middle = 0.5 * (rest + inside)
        fits = asked(limits, still((0.0, middle)))[0] == CERTIFIED
        rest, inside = (middle, inside) if fits else (rest, middle)
    for start, end, fine in ((1e-3, 0.5, False), (0.4 * SETTLED_M, 0.5, True)):
        motion = moved(rest + start, end * SETTLED_M - start)
        clear, rests, report, _ = asked(limits, motion)
        assert clear == CERTIFIED
        assert rests == (CERTIFIED if fine else SELF_COLLISION)
        assert fine or report[0] == 0.0


@pytest.mark.parametrize("part", ["segment", "volume"])
def test_what_is_not_a_number_is_no_room(part: str) -> None:
    """Neither more than enough, nor no less than at the start."""
    limits = walled()
    motion = still((0.0, EDGE - 0.5 * SETTLED_M))
    (packed, work), report = laid(limits, motion), np.zeros(3)
    assert workspace.violated(packed, work, report) == CERTIFIED
    assert resting.violated(packed, work, report) == CERTIFIED
    assert workspace.violated(packed, work, report) == CERTIFIED
    (packed.capsule if part == "segment" else packed.volume)[-1, 5] = math.nan
    assert resting.violated(packed, work, report) == WORKSPACE


def test_the_way_back_is_certified_from_any_rest_that_is() -> None:
    """Whichever way the arm came near: where rest is only just certified, one step back is, too.

    Up to a picometre before the very last number, where rounding has the say.
    """
    limits = replace(panda(), classifier=replace(panda().classifier, file=None))
    core, rng, looked = Core(limits), np.random.default_rng(0), 0
    home, n = np.array(limits.home), len(limits.joints)
    while looked < 25:
        way = rng.normal(size=n)
        near, far = 0.0, 3.0
        if core.rest(home + far * way)[1] is None:
            continue
        for _ in range(60):
            middle = 0.5 * (near + far)
            fits = core.rest(home + middle * way)[1] is None
            near, far = (middle, far) if fits else (near, middle)
        found = core.rest(home + far * way)[1]
        if found is None or found[0] not in ("workspace", "self_collision"):
            continue
        looked += 1
        motion, _ = core.rest(home + (near - 1e-12) * way)
        reference = np.array([motion[:n, 0], -way, np.zeros(n)])
        for _ in range(5):
            motion, _, _ = core.advance(motion, 1, reference)
        assert np.abs(motion[:n, 1]).max() > 0.0, (found, near)


@pytest.mark.parametrize(
    ("ends", "begins", "error", "joint"),
    [
        ((99.9, 0.0), 0.0, 0.0, None),  # a share is left, to the last bit
        ((99.95, 0.0), 0.0, 0.0, 0),
        ((99.95, 0.0), 99.95, 0.0, None),  # it bore as much before
        ((99.95, 0.0), 99.94, 0.0, 0),
        ((99.95, 49.95), 99.96, 0.0, None),
        ((99.95, 49.96), 99.96, 0.0, 1),  # the other one, then
        ((99.95, 49.96), 0.0, 0.0, 0),
        ((98.85, 0.0), 0.0, 1.0, None),  # what efforts may be off by is not there to bear
        ((98.95, 0.0), 0.0, 1.0, 0),
        ((98.95, 0.0), 98.95, 1.0, None),
        ((98.95, 0.0), 98.94, 1.0, 0),
    ],
)
def test_who_is_strained_by_the_end(
    ends: tuple[float, float], begins: float, error: float, joint: int | None
) -> None:
    (packed, work), report = laid(leaning(100.0), still((0.0, 0.5))), np.full(3, math.nan)
    packed.joint[:, EFFORT_BOUND], packed.joint[:, EFFORT_ERROR] = (100.0, 50.0), error
    joint_effort.at_rest(packed, work, work.efforts[1])
    packed.body[:, 0] *= begins / work.efforts[1, 0]  # the heavier, the more it bears at rest
    work.efforts[0] = ends
    assert resting._strained(packed, work, report) is (joint is not None)
    if joint is not None:
        bound = (100.0, 50.0)[joint] - error
        allowed = max(bound * (1.0 - SETTLED_SHARE), begins if joint == 0 else 0.0)
        assert report == pytest.approx([joint, ends[joint], allowed], rel=1e-9)


def crowded(start: float, end: float) -> tuple[Packed, Work]:
    """The carriage comes nearer to its wall; the column stays very near to one of its own."""
    side = half_space("behind", [-1.0, 0.0, 0.0], 0.3, "keep_in")
    limits = replace(plain_robot(), volumes=(*walled().volumes, side))
    packed, work = laid(limits, still((0.0, 0.3)))
    workspace.look_at(packed, work, 0.0)
    room, _, volume = workspace.room(packed, work, 0, 0.0)
    assert volume == 1
    side = replace(side, offset=0.3 - room + 0.5 * SETTLED_M)
    packed, work = laid(
        replace(limits, volumes=(limits.volumes[0], side)), moved(EDGE - start, start - end)
    )
    work.open[NEAR], work.vector[UNMOVED] = 1.0, 0.0
    return packed, work


@pytest.mark.slow
def test_every_link_that_came_near_is_asked() -> None:
    """One that stays where it was says nothing about another, whichever comes first."""
    report = np.full(3, math.nan)
    packed, work = crowded(1e-3, 2.0 * SETTLED_M)
    assert resting._too_near(packed, work, report) == CERTIFIED  # near, but there is room left
    packed, work = crowded(1e-3, 0.5 * SETTLED_M)
    assert resting._too_near(packed, work, report) == WORKSPACE
    assert report[0] == 1
    packed, work = crowded(1e-3, 0.5 * SETTLED_M)
    work.open[NEAR, 1] = 0.0  # was not near at any time
    assert resting._too_near(packed, work, report) == CERTIFIED

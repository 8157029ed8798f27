"""What a refusal by a volume or a pair leaves for the next motion of a tick, and for who rests.

Where a motion was certainly too near, and who was: that is looked at first. What ends within a
hundredth of a millimetre of something is marked, since kinds.resting has to look at it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.kernels.test_separation import built
from tests.limits.kinds.battery import still
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_geometry import axis_points, upper_clearance
from tests.limits.slow_motion import Motion, at, random_motions, total_s
from tests.robots import array, folding, half_space, slider, without_margins

from checkrein.limits import Limits, OnViolation, Volume
from checkrein.limits.certify import KINDS
from checkrein.limits.kernels.packed import (
    ENDS,
    FIRST,
    HINT,
    NEAR,
    SECOND,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kinds import workspace
from checkrein.limits.records import Array

SIDE = half_space("side", [0.0, 1.0, 0.0], -0.2, "keep_out")
END = half_space("end", [1.0, 0.0, 0.0], 0.5, "keep_in")
# A ball to stay in has no planes: what is not clear of its whole sweep is looked at in pieces.
BALL = Volume(
    "ball", "keep_in", "sphere", OnViolation.CLAMP, ("link0",), center=array([0.0, 0.0, 0.5]),
    radius=0.55,
)  # fmt: skip
OPEN = -1.0  # nothing was certainly too near


@cache
def walled(*volumes: Volume, standoff: float = 0.0) -> Limits:
    """The slider without margins between volumes; if asked to, its links keep so far apart."""
    limits = replace(without_margins(slider()), volumes=volumes, standoff=0.0)
    return folding(limits, standoff=standoff) if standoff > 0.0 else limits


class Asked(NamedTuple):
    """One motion that was asked about, and what that left."""

    limits: Limits
    motion: Motion
    packed: Packed
    work: Work
    kind: str
    report: Array

    @property
    def hint(self) -> tuple[float, float]:
        """Share of its time, and which item: a capsule, or a pair counted on from them."""
        return float(self.work.small[HINT, 0]), float(self.work.small[HINT, 2])

    @property
    def item(self) -> int:
        """Which item the report is about."""
        capsules, subject = len(self.limits.capsules), int(self.report[0])
        return capsules + subject if self.kind == "self_collision" else subject % capsules

    def gap(self, share: float) -> float:
        """Of what the report is about, at a share of the motion's time, by samples [m]."""
        t = share * total_s(self.motion, self.limits.period_s)
        axes = capsule_axes(self.limits, at(self.motion, self.limits.period_s, t)[0])
        if self.kind == "self_collision":
            pair = self.packed.pair[int(self.report[0])]
            links = [int(pair[FIRST]), int(pair[SECOND])]
            one, other = (axis_points(axes[k], 201) for k in links)
            apart = np.linalg.norm(one[:, None] - other[None], axis=-1).min()
            return float(apart) - sum(self.limits.capsules[k].radius for k in links)
        volume, k = divmod(int(self.report[0]), len(self.limits.capsules))
        return upper_clearance(
            self.limits.volumes[volume], axes[k], self.limits.capsules[k].radius, 201
        )


_packed: dict[int, tuple[Limits, Packed]] = {}


def packed_of(limits: Limits) -> Packed:
    """Packed once: it takes longer than a look."""
    return _packed.setdefault(id(limits), (limits, pack(limits)))[1]


def asked(limits: Limits, motion: Motion, hint: tuple[float, float] = (OPEN, 0.0)) -> Asked:
    packed, report = packed_of(limits), np.zeros(3)
    work = work_for(packed)
    built(packed, work, motion)
    work.small[HINT, 0], work.small[HINT, 2] = hint
    code = workspace.violated(packed, work, report)
    return Asked(limits, motion, packed, work, KINDS[code], report)


def three_links() -> Limits:
    """A ball beside the slider's column, too: two pairs, and the second is nearer."""
    limits = walled(standoff=0.2)
    column, carriage = limits.capsules
    ball = replace(column, name="ball", start=array([0.3, 0.2, 0.0]), end=array([0.3, 0.2, 0.0]))
    limits = replace(limits, capsules=(column, carriage, ball))
    return folding(limits, (column.name, carriage.name), (ball.name, carriage.name), standoff=0.2)


ROBOTS = {
    "two_walls": walled(SIDE, END),
    "links_that_keep_apart": walled(standoff=0.2),
    "both": walled(SIDE, END, standoff=0.2),
    "two_pairs": three_links(),
}


@pytest.mark.parametrize("name", ROBOTS)
def test_where_a_motion_was_certainly_too_near_is_remembered(name: str) -> None:
    limits, certain, uncertain = ROBOTS[name], 0, 0
    for motion in random_motions(limits, seed=3, count=50, speed=0.9):
        found = asked(limits, motion)
        share, item = found.hint
        if found.kind == "":
            assert share == OPEN
            continue
        standoff = 0.2 if found.kind == "self_collision" else 0.0
        if share < 0.0:
            uncertain += 1
            assert found.report[2] > standoff  # a sweep was charged
            continue
        certain += 1
        assert share <= 1.0
        assert item == found.item
        assert found.gap(share) <= standoff + 1e-3
        assert found.report[1] == pytest.approx(found.gap(share), abs=1e-3)
        # It is where the next one is looked at first, and this one is too near there again.
        again = asked(limits, motion, (share, item))
        assert (again.kind, again.hint) == (found.kind, (share, item))
        np.testing.assert_array_equal(again.report, found.report)
    assert certain >= 8, (certain, uncertain)


def test_what_is_not_decided_is_refused_and_not_remembered() -> None:
    """It keeps clear by a tenth of a millimetre all the way, which would take too many looks."""
    motion = turning_outwards(0.5, 0.0)
    reach = capsule_axes(walled(), np.array([0.0, 0.1]))[1] - [0.0, 0.0, 0.5]
    clear = float(np.linalg.norm(reach, axis=1).max()) + 0.04
    far, found = (
        asked(walled(replace(BALL, radius=clear + left_m)), motion) for left_m in (2e-2, 1e-4)
    )
    assert (far.kind, found.kind) == ("", "workspace")
    assert (far.hint[0], found.hint[0]) == (OPEN, OPEN)
    assert found.report[1] == pytest.approx(1e-4, abs=1e-9)
    assert found.report[2] > 1e-4


def test_a_volume_that_is_eased_is_kept_clear_of_by_so_much_less() -> None:
    limits = walled(replace(BALL, radius=0.45))
    clear = asked(limits, still((0.0, 0.3))).report[1]
    assert clear < 0.0
    for eased, code in ((-clear - 1e-6, workspace.WORKSPACE), (-clear + 1e-6, 0)):
        packed = pack(limits)
        work = work_for(packed)
        packed.eased[0, 1], work.small[HINT, 0] = eased, OPEN
        built(packed, work, still((0.0, 0.3)))
        assert workspace.violated(packed, work, np.zeros(3)) == code


def test_codes_are_those_of_the_arbiter() -> None:
    codes = (workspace.WORKSPACE, workspace.SELF_COLLISION, workspace.OBSTACLES)
    assert [KINDS[code] for code in codes] == ["workspace", "self_collision", "obstacles"]


def test_who_was_too_near_is_looked_at_before_who_else_is() -> None:
    """Two walls, two links: the one that is remembered is reported, though both are too near."""
    limits, changed = walled(SIDE, END, standoff=0.4), 0
    names = [capsule.name for capsule in limits.capsules]
    alone_with = [
        replace(
            limits,
            volumes=tuple(
                replace(v, exempt=tuple(name for k, name in enumerate(names) if k != item))
                for v in limits.volumes
            ),
            self_collision=limits.self_collision if item == 2 else None,
        )
        for item in range(3)
    ]
    for motion in random_motions(limits, seed=4, count=40, speed=0.6):
        first = asked(limits, motion)
        share, _ = first.hint
        if share < 0.0:
            continue
        there = still(at(motion, limits.period_s, share * total_s(motion, limits.period_s))[0])
        for item in range(3):
            found = asked(limits, motion, (share, float(item)))
            alone = asked(alone_with[item], there)
            if alone.kind == "":
                assert found.kind == first.kind
                np.testing.assert_array_equal(found.report, first.report)
                continue
            changed += item != first.item
            assert found.item == item
            assert found.kind == alone.kind
    assert changed >= 5


def test_an_item_is_remembered_of_a_robot_of_one_link() -> None:
    limits = walled(replace(SIDE, offset=-9.0), replace(END, offset=0.4))
    limits = replace(limits, capsules=limits.capsules[1:])
    found = asked(limits, still((0.0, 0.6)))
    assert found.report[0] == 1.0
    assert found.hint == (0.5, 0.0)


def turning_outwards(turn: float, out: float) -> Motion:
    """So far in half a second [rad, m], the carriage from 0.1 m on, and on without an end."""
    motion = still((0.0, 0.1))
    motion.start[:, 1] = 2.0 * turn, 2.0 * out
    motion.ticks[:] = 124.0, 0.0, 0.0
    return motion


def looked(found: Asked) -> tuple[int, str, float]:
    """The verdict of one look at all of a motion, and the kind and subject that it is about."""
    opened, end = np.ones(found.work.open.shape[1]), float(found.work.small[ENDS, 4])
    report = np.full(3, math.nan)
    verdict, code = workspace._look(found.packed, found.work, opened, 0.0, 0.0, end, report)
    return int(verdict), KINDS[code], float(report[0])


def test_a_pair_that_is_too_near_is_so_whatever_is_open_beside_it() -> None:
    """A certain no of a pair stands above a volume that is undecided, and the other way round."""
    motion, small = turning_outwards(0.5, 0.25), replace(BALL, radius=0.1)
    for volumes, standoff, expected in (
        ((BALL,), 0.0, (0, "workspace", 1.0)),
        ((), 0.15, (-1, "self_collision", 0.0)),
        ((BALL,), 0.15, (-1, "self_collision", 0.0)),
        ((), 0.05, (0, "self_collision", 0.0)),
        ((small,), 0.05, (-1, "workspace", 1.0)),
        ((BALL,), 0.05, (0, "workspace", 1.0)),
    ):
        found = asked(walled(*volumes, standoff=standoff), motion)
        assert looked(found) == expected, (volumes, standoff)


def rounded(limits: Limits, count: int) -> Limits:
    """With so many links, of which the last ones are balls: as near as a ball about them says."""
    link = limits.capsules[-1]
    balls = tuple(replace(link, name=f"ball{k}", end=link.start) for k in range(2, count))
    return replace(limits, capsules=(*limits.capsules, *balls))


@pytest.mark.parametrize("link", [0, 1, 2, 3])
@pytest.mark.parametrize(("left_m", "marks"), [(5e-6, True), (2e-5, False)])
def test_what_rests_almost_touching_is_marked(link: int, left_m: float, marks: bool) -> None:
    """In that link's name alone. What passes by on its way is not, however near."""
    limits = rounded(walled(END), max(2, link + 1))
    axis = capsule_axes(limits, np.array([0.0, 0.3]))[link]
    reach = float(axis[:, 0].max()) + limits.capsules[link].radius
    others = tuple(c.name for k, c in enumerate(limits.capsules) if k != link)
    wall = replace(END, offset=reach + left_m, exempt=others)
    found = asked(replace(limits, volumes=(wall,)), still((0.0, 0.3)))
    assert found.kind == ""
    expected = np.zeros(len(limits.capsules))
    expected[link] = workspace.SETTLED_M if marks else 0.0
    np.testing.assert_array_equal(found.work.open[NEAR], expected)


def test_what_is_near_only_on_its_way_is_not_marked() -> None:
    """Where the motion has to be looked at in pieces, only the last one can rest near anything."""
    motion, limits = turning_outwards(0.5, 0.0), walled(replace(BALL, radius=0.3))
    found = asked(limits, motion)
    assert found.kind == ""
    assert looked(found)[0] == 0
    np.testing.assert_array_equal(found.work.open[NEAR], np.zeros(2))


@pytest.mark.parametrize(("left_m", "marks"), [(5e-6, True), (2e-5, False)])
def test_a_pair_that_rests_almost_touching_is_marked(left_m: float, marks: bool) -> None:
    limits = walled(standoff=1.0)
    balls = tuple(replace(capsule, end=capsule.start) for capsule in limits.capsules)
    gap = float(asked(replace(limits, capsules=balls), still((0.0, 0.3))).report[1])
    near = replace(walled(standoff=gap - left_m), capsules=balls)
    found = asked(near, still((0.0, 0.3)))
    assert found.kind == ""
    expected = [0.0, 0.0, workspace.SETTLED_M if marks else 0.0]
    np.testing.assert_array_equal(found.work.open[NEAR], expected)


@pytest.mark.parametrize("links", [2, 4])
def test_a_volume_that_is_far_does_not_hide_the_next(links: int) -> None:
    """Of however many links, of whom some are exempt: whoever is too near is found."""
    limits, far = rounded(walled(), links), replace(SIDE, offset=-50.0)
    exempt = replace(END, name="exempt", offset=0.2, exempt=tuple(c.name for c in limits.capsules))
    near = replace(END, offset=0.3)
    for volumes in ((near,), (far, near), (exempt, near), (far, exempt, near), (near, far)):
        found = asked(replace(limits, volumes=volumes), still((0.0, 0.6)))
        assert found.kind == "workspace"
        assert found.report[0] == volumes.index(near) * links + 1


def test_no_time_is_no_place_to_look() -> None:
    """A share that is no number is none, and the whole motion is looked at."""
    limits = ROBOTS["both"]
    for motion in random_motions(limits, seed=7, count=20, speed=0.6):
        plain, odd = asked(limits, motion), asked(limits, motion, (math.nan, 1.0))
        assert odd.kind == plain.kind
        np.testing.assert_array_equal(odd.report, plain.report)

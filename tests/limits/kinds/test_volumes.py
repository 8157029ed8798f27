"""One link and volumes at one interval of a motion: its room, what is proven of it, the verdict.

Random chains (`Look`), with volumes of any shape near the link that is looked at.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kernels.test_clear_in_motion import moved_by, within
from tests.limits.kernels.test_clearance import SHAPES, Shape, random_volume
from tests.limits.kernels.test_planes import around
from tests.limits.kernels.test_separation import Look, built
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_geometry import axis_points, upper_clearance
from tests.robots import column, folding, slider, without_margins

from checkrein.limits import Limits, Volume
from checkrein.limits.certify import KINDS
from checkrein.limits.kernels.packed import (
    ENDS,
    HINT,
    NEAR,
    STANDOFF,
    STILL,
    SWEEP,
    UNMOVED,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kernels.planes import first_order_room
from checkrein.limits.kinds import workspace
from checkrein.limits.records import Array

SEEDS = range(6)


class Near:
    """The chain with volumes, at the middle of the look's interval."""

    def __init__(self, look: Look, *volumes: Volume, exact: bool = False) -> None:
        limits = without_margins(look.limits) if exact else look.limits
        self.limits: Limits = replace(limits, volumes=volumes, self_collision=None)
        self.look, self.packed = look, pack(self.limits)
        self.work: Work = work_for(self.packed)
        built(self.packed, self.work, look.motion)
        self.middle = 0.5 * (look.first + look.last)
        self.work.vector[UNMOVED] = 0.0
        workspace.look_at(self.packed, self.work, self.middle)

    def clear(self, volume: int) -> float:
        """Of the link that is looked at, by samples: at least the truth [m]."""
        axes, k = capsule_axes(self.limits, self.look.middle), self.look.k
        return upper_clearance(self.limits.volumes[volume], axes[k], 0.03, 501)

    def room(self) -> tuple[float, float, int]:
        return workspace.room(self.packed, self.work, self.look.k, self.middle)

    def judged(self, *, spare: float = 0.0) -> tuple[int, str, Array, Array, Array]:
        """Verdict, kind, opened, near and report; only that link is asked about."""
        items = self.work.open.shape[1]
        opened, near, report = np.zeros(items), np.zeros(items), np.full(3, math.nan)
        opened[self.look.k] = 1.0
        verdict, code = workspace._judge(
            self.packed, self.work, self.look.moved, opened, near, spare, self.look.first,
            self.look.last, report,
        )  # fmt: skip
        return int(verdict), KINDS[code], opened, near, report


def beside(look: Look, shape: Shape, gap: float) -> Volume:
    """A volume of that shape to be kept out of, about so far from the link [m]."""
    volume = random_volume(look.rng, shape, "keep_out")
    if volume.normal is not None:
        axis = look.ends_at(look.middle)
        low = float((axis @ volume.normal).min()) - 0.03
        return replace(volume, offset=low - gap)
    away = np.array([0.6, 0.0, 0.8])
    target = look.ends_at(look.middle).mean(axis=0)
    volume = moved_by(volume, target - within(volume) + 5.0 * away)
    axis = look.ends_at(look.middle)
    for _ in range(12):
        volume = moved_by(volume, (gap - upper_clearance(volume, axis, 0.03)) * away)
    return volume


@pytest.mark.parametrize("shape", SHAPES)
def test_the_room_to_a_volume_is_the_clearance_less_the_standoff(shape: Shape) -> None:
    """Where no position is off. What is eased adds to it; the volume with the least is named."""
    for seed in SEEDS:
        look = Look(seed)
        near, far = beside(look, shape, 0.05), beside(look, "sphere", 0.5)
        exempt = replace(beside(look, "sphere", 0.01), exempt=(f"link{look.k}",))
        nearer = beside(look, "sphere", 0.02)
        for volumes, which in (
            ((near,), 0),
            ((far, near), 1),
            ((exempt, near, far), 1),
            ((near, far, nearer), 2),
        ):
            at = Near(look, *volumes, exact=True)
            room, clear, volume = at.room()
            truth = at.clear(which)
            assert volume == which
            assert clear == pytest.approx(truth, abs=1e-3)
            assert clear <= truth + 1e-9
            assert room == pytest.approx(clear - 0.002, abs=2e-6)
            at.packed.eased[which, look.k] = 0.0015
            assert at.room()[0] == pytest.approx(clear - 0.0005, abs=2e-6)
        assert Near(look, exempt).room() == (math.inf, math.inf, 0)
        assert Near(look, near, replace(near, name="again")).room() == Near(look, near).room()


def test_the_room_to_a_volume_is_there_wherever_the_joints_are() -> None:
    """Each off by its position error either way: what was room is still there."""
    nearest = math.inf
    for seed in range(12):
        look = Look(seed)
        at = Near(look, beside(look, "sphere", 0.05))
        room, errors = at.room()[0], column(look.limits, "position_error")
        for signs in itertools.product((-1.0, 1.0), repeat=errors.size):
            axes = capsule_axes(at.limits, look.middle + errors * np.array(signs))
            left = upper_clearance(at.limits.volumes[0], axes[look.k], 0.03, 501) - 0.002
            assert left >= room - 1e-9
            nearest = min(nearest, left - room) if errors[look.k] > 0.0 else nearest
    assert nearest <= 1e-3  # and it is hardly less than it could be


@pytest.mark.parametrize("shape", ["box", "mesh"])
def test_the_room_inside_of_a_volume_is_the_depth_less_the_standoff(shape: Shape) -> None:
    for seed in SEEDS:
        look = Look(seed)
        at = Near(look, around(look, shape, 1.0), exact=True)
        room, clear, _ = at.room()
        assert clear == pytest.approx(at.clear(0), abs=1e-6)
        assert room == pytest.approx(clear - 0.002, abs=2e-9)
        at.packed.eased[0, look.k] = 0.0015
        assert at.room()[0] == pytest.approx(clear - 0.0005, abs=2e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_too_near_even_at_rest_is_what_is_too_near_then(shape: Shape) -> None:
    """Where no position is off: nothing but the clearance at the middle, whatever moves."""
    for seed in range(9):
        look = Look(seed)
        at = Near(look, beside(look, shape, 0.05), exact=True)
        truth = at.clear(0)
        for standoff, too_near in ((truth - 1e-3, False), (truth + 1e-6, True)):
            at.packed.scalar[STANDOFF] = standoff
            assert (at.judged()[0] < 0) == too_near


def test_a_volume_that_is_clear_does_not_hide_the_next() -> None:
    """Clear by a plane only, then too near: the second is what is said."""
    seen = 0
    for seed in SEEDS:
        look = Look(seed)
        for gap in (0.01, 0.02, 0.03, 0.05, 0.3, 3.0):
            first = beside(look, "box", gap)
            alone = Near(look, first).judged()
            at = Near(look, first, beside(look, "sphere", -0.02))
            verdict, kind, _, _, report = at.judged()
            assert (verdict, kind) == (-1, "workspace")
            assert report[0] == look.k + (alone[0] >= 0) * len(at.limits.capsules)
            swept = at.clear(0) < float(at.work.swept[SWEEP, look.k].max())
            seen += alone[0] == 1 and swept
        exempt = replace(beside(look, "box", -0.01), exempt=(f"link{look.k}",))
        assert Near(look, exempt, beside(look, "sphere", -0.02)).judged()[0] == -1
    assert seen >= 1


def test_a_volume_that_is_no_number_leaves_no_room_whatever_comes_next() -> None:
    look = Look(1)
    for order in ((0, 1), (1, 0)):
        volumes = [beside(look, "sphere", 0.05), beside(look, "capsule", 0.5)]
        at = Near(look, *(volumes[i] for i in order), exact=True)
        bad = order.index(1)
        at.packed.volume[bad, 5] = math.nan
        room, _, volume = at.room()
        assert not room > -math.inf
        assert volume == bad


@pytest.mark.parametrize("shape", SHAPES)
def test_a_verdict_on_a_volume_follows_what_is_proven(shape: Shape) -> None:
    """By its standoff: clear beyond the sweep, by a plane, not decided, too near even at rest."""
    seen = dict.fromkeys(("far", "plane", "open", "near"), 0)
    for seed in SEEDS:
        look = Look(seed)
        for others in ((), (beside(look, "sphere", 2.0),)):
            at = Near(look, *others, beside(look, shape, 0.05))
            index = len(others)
            low, high = 1e-4, 0.3
            verdicts = {}
            # Where each verdict ends, by bisection of the standoff.
            for verdict in (1, 0):
                a, b = low, high
                for _ in range(40):
                    middle = 0.5 * (a + b)
                    at.packed.scalar[STANDOFF] = middle
                    a, b = (middle, b) if at.judged()[0] >= verdict else (a, middle)
                verdicts[verdict] = a
            assert verdicts[1] <= verdicts[0] + 1e-12
            if not others:  # at rest it is as near as errors bring it, or a plane says
                at.packed.scalar[STANDOFF] = low
                charged = at.work.swept[STILL, look.k, at.limits.capsules[look.k].joint]
                clear = at.room()[1]
                plane = first_order_room(
                    at.packed, at.work, 0, look.k, clear, at.work.vector[UNMOVED], at.middle,
                    at.middle,
                )  # fmt: skip
                least = max(clear - charged, plane + low)
                assert verdicts[0] == pytest.approx(max(low, least), abs=1e-6)
            truth = at.clear(index)
            assert verdicts[0] <= truth + 1e-6
            bounds = [
                (verdicts[1] - 2e-6, "far"),
                (verdicts[1] + 2e-6, "open"),
                (verdicts[0] + 2e-6, "near"),
            ]
            for standoff, name in bounds:
                if standoff < 1e-3 or (name == "open" and standoff > verdicts[0] - 2e-6):
                    continue
                at.packed.scalar[STANDOFF] = standoff
                verdict, kind, opened, near, report = at.judged(spare=1e-7)
                assert (verdict, kind) == ({"far": 1, "open": 0, "near": -1}[name], "workspace")
                assert opened.any() == (name == "open")
                if name == "far":
                    seen["plane" if near.any() else "far"] += 1
                    assert np.isnan(report).all()
                    assert set(near) <= {0.0, 1e-7}
                    continue
                seen[name] += 1
                assert opened.sum() == opened[look.k]
                assert report[0] == index * len(at.limits.capsules) + look.k
                assert report[1] == pytest.approx(truth, abs=1e-3)
                assert report[2] >= standoff
                at.packed.eased[index, look.k] = 5e-6
                assert at.judged()[0] > verdict
                at.packed.scalar[STANDOFF] = standoff + 5e-6
                assert at.judged()[0] == verdict
                at.packed.eased[index, look.k] = 0.0
    assert min(seen["near"], seen["open"], seen["far"] + seen["plane"]) >= 2, seen


def test_links_that_are_not_asked_about_are_not_looked_at() -> None:
    look = Look(1)
    at = Near(look, beside(look, "sphere", -0.02))
    assert at.judged()[0] == -1
    items = at.work.open.shape[1]
    found = workspace._judge(
        at.packed, at.work, look.moved, np.zeros(items), np.zeros(items), 0.0, look.first,
        look.last, np.zeros(3),
    )  # fmt: skip
    assert found[0] == 1


@pytest.mark.parametrize("with_volume", [True, False])
def test_a_motion_to_nowhere_is_refused_in_the_name_of_what_is_declared(with_volume: bool) -> None:
    limits = folding(slider())
    limits = limits if with_volume else replace(limits, volumes=())
    packed: Packed = pack(limits)
    work, report = work_for(packed), np.full(3, 9.0)
    work.pieces[...], work.small[ENDS], work.vector[UNMOVED] = 0.0, 0.0, 0.0
    work.small[ENDS, 1:] = 0.004
    work.small[HINT, 0] = -1.0
    work.pieces[:, 1, 0] = 0.5
    work.pieces[:, 1, 3] = math.nan
    found = workspace.violated(packed, work, report)
    assert KINDS[found] == ("workspace" if with_volume else "self_collision")
    assert report.tolist() == [0.0, -math.inf, 0.0]
    assert work.open[NEAR].tolist() == [0.0] * work.open.shape[1]


def test_gaps_are_the_clearances_of_all_volumes_and_pairs() -> None:
    for seed in SEEDS:
        look = Look(seed)
        volumes = tuple(beside(look, shape, 0.1) for shape in ("box", "capsule"))
        volumes = (replace(volumes[0], exempt=("link0",)), volumes[1])
        limits = replace(look.limits, volumes=volumes)
        ends = [limits.capsules[k].name for k in (0, -1)]
        limits = folding(limits, (ends[0], ends[1]), (ends[1], ends[0]))
        packed, capsules = pack(limits), len(limits.capsules)
        out = np.full(len(volumes) * capsules + packed.pair.shape[0], math.nan)
        workspace.gaps(packed, look.middle, work_for(packed), out)
        axes = capsule_axes(limits, look.middle)
        expected = [
            math.inf if capsule.name in volume.exempt else upper_clearance(volume, axes[k], 0.03)
            for volume in volumes
            for k, capsule in enumerate(limits.capsules)
        ]
        # Inside of a box it says how deep the axis is at the most: that it touches is enough.
        found = out[: len(expected)]
        np.testing.assert_allclose(found[found > 0.0], np.array(expected)[found > 0.0], atol=5e-3)
        assert (np.array(expected)[found <= 0.0] < 5e-3).all()
        points = [axis_points(axis, 301) for axis in (axes[0], axes[-1])]  # of both pairs
        apart = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1).min() - 0.06
        assert out[len(expected) :] == pytest.approx([apart, apart], abs=5e-3)
        least = workspace.least_clearance(packed, look.middle, work_for(packed))
        assert least == out[: len(expected)].min()
        packed.volume[1, 5] = math.nan
        assert not workspace.least_clearance(packed, look.middle, work_for(packed)) > -math.inf

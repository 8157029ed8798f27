"""One pair of links at one interval of a motion: its room, what is proven of it, and the verdict.

Random chains (`Look`): the pair is the first capsule and another one; the joints between move it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.kernels.test_separation import Look, built
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_geometry import axis_points
from tests.robots import column, folding, without_margins

from checkrein.limits import Limits
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.clearance import segment_segment
from checkrein.limits.kernels.motion import place
from checkrein.limits.kernels.packed import (
    ENDS,
    PAIR_EASED,
    PAIR_STANDOFF,
    POSITION_ERROR,
    RADII,
    UNMOVED,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kernels.separation import sweeps
from checkrein.limits.kinds import self_collision
from checkrein.limits.records import Array

SEEDS = [seed for seed in range(40) if Look(seed).k > 0]


class Pair:
    """The first capsule, or another one, and `look.k`'s, at the middle of the look's interval."""

    def __init__(self, seed: int, *, exact: bool = False, a: int = 0) -> None:
        self.look = look = Look(seed)
        self.a = a
        limits = without_margins(look.limits) if exact else look.limits
        ends = limits.capsules[a].name, limits.capsules[look.k].name
        self.limits: Limits = folding(limits, ends, standoff=0.002)
        self.packed: Packed = pack(self.limits)
        self.work: Work = work_for(self.packed)
        built(self.packed, self.work, look.motion)
        self.first, self.last, self.moved = look.first, look.last, look.moved
        self.to(0.5 * (self.first + self.last))
        self.unmoved = self.work.vector[UNMOVED]
        self.unmoved[:] = 0.0

    def to(self, t: float) -> None:
        """Look at the configuration at that time [s]."""
        q = self.work.vector[3]
        place(self.work.pieces, self.work.small[ENDS], t, q)
        forward(self.packed, q, self.work)
        self.work.known[:] = 0.0

    @property
    def apart(self) -> float:
        """Without the standoff [m]."""
        a, b = self.a, self.look.k
        away = segment_segment(self.work.segment[a], self.work.segment[b])
        return float(away - self.packed.pair[0, RADII])

    def swept(self, moved: Array) -> tuple[float, float]:
        """What errors and standoff, and what the motion, are charged with [m]."""
        sweeps(self.packed, self.work, self.a, moved)
        sweeps(self.packed, self.work, self.look.k, moved)
        still, sweep = self_collision._between(self.packed, self.work, 0)
        return float(still), float(sweep)

    def charged(self, moved: Array) -> tuple[float, float]:
        """The same, of a motion that nothing is known of."""
        self.to(0.5 * (self.first + self.last))
        return self.swept(moved)

    def proven(self, moved: Array, first: float, last: float) -> float:
        self.swept(moved)
        return float(
            self_collision._first_order(self.packed, self.work, 0, moved, self.apart, first, last)
        )

    def sampled(self, count: int = 15) -> float:
        """The least distance [m] at the instants of the interval, off by corners; never too low."""
        self.look.base = -1  # all joints are off
        return min(self.at(q, count) for q in self.look.seen(9))

    def at(self, q: Array, count: int = 15) -> float:
        axes = capsule_axes(self.limits, q)
        one, other = axis_points(axes[self.a], count), axis_points(axes[self.look.k], count)
        gaps = np.linalg.norm(one[:, None] - other[None], axis=2)
        return float(gaps.min()) - float(self.packed.pair[0, RADII])

    def judged(self, decided: bool = True, spare: float = 0.0) -> tuple[int, float, float, Array]:
        """Verdict, opened, near and the report."""
        opened, near, report = np.ones(1), np.zeros(1), np.full(3, math.nan)
        verdict = self_collision.judge(
            self.packed, self.work, self.moved, opened, near, spare, self.first, self.last, report,
            decided,
        )  # fmt: skip
        return int(verdict), float(opened[0]), float(near[0]), report


def test_the_room_of_a_pair_is_how_far_it_is_less_what_it_needs() -> None:
    """Exactly, where no position is off; and what is eased adds to it."""
    for seed in SEEDS:
        pair = Pair(seed, exact=True)
        middle = 0.5 * (pair.first + pair.last)
        expected = pair.apart - 0.002
        if pair.apart < 0.0:  # no plane is between them: it is how deep their axes are
            room, apart = self_collision.room(pair.packed, pair.work, 0, middle)
            assert (room, apart) == pytest.approx((expected, pair.apart), abs=2e-9)
            pair.packed.pair[0, PAIR_EASED] = 0.0015
            room, _ = self_collision.room(pair.packed, pair.work, 0, middle)
            assert room == pytest.approx(expected + 0.0015, abs=2e-9)
        if pair.apart < 0.01:
            continue
        assert pair.at(pair.look.middle, 201) == pytest.approx(pair.apart, abs=2e-3)
        room, apart = self_collision.room(pair.packed, pair.work, 0, middle)
        assert (room, apart) == pytest.approx((expected, pair.apart), abs=2e-9)
        assert pair.proven(pair.unmoved, middle, middle) == pytest.approx(expected, abs=2e-9)
        pair.packed.pair[0, PAIR_EASED] = 0.0015
        assert pair.proven(pair.unmoved, middle, middle) == pytest.approx(
            expected + 0.0015, abs=2e-9
        )
        room, _ = self_collision.room(pair.packed, pair.work, 0, middle)
        assert room == pytest.approx(expected + 0.0015, abs=2e-9)


def test_what_is_proven_of_a_pair_is_never_more_than_the_truth_and_near_to_it() -> None:
    proven = 0
    for seed in SEEDS:
        pair = Pair(seed)
        found, truth = pair.proven(pair.moved, pair.first, pair.last), pair.sampled() - 0.002
        assert found <= truth + 1e-9
        proven += found > truth - 0.25 * max(pair.look.moved.sum(), 0.02)
        room, _ = self_collision.room(pair.packed, pair.work, 0, 0.5 * (pair.first + pair.last))
        errors = column(pair.limits, "tracking_error")
        assert room <= pair.apart - 0.002 + 1e-9
        assert room >= pair.apart - 0.002 - 3.0 * errors.sum() - 2e-9
    assert proven >= len(SEEDS) // 3


def test_a_verdict_on_a_pair_follows_what_is_proven_of_it() -> None:
    """By its standoff: apart beyond the sweep, by a plane, not decided, too near even at rest."""
    seen = dict.fromkeys(("far", "plane", "open", "near"), 0)
    for seed in SEEDS:
        pair = Pair(seed)
        middle, row = 0.5 * (pair.first + pair.last), pair.packed.pair[0]
        still, sweep = pair.swept(pair.moved)
        apart, still = pair.apart, still - 0.002
        best = max(apart - still - sweep, pair.proven(pair.moved, pair.first, pair.last) + 0.002)
        rest = max(apart - still, pair.proven(pair.unmoved, middle, middle) + 0.002)
        for standoff, name in (
            (apart - still - sweep - 1e-6, "far"),
            (best - 1e-6, "plane" if best > apart - still - sweep + 2e-6 else "far"),
            (best + 1e-6, "open" if rest > best + 2e-6 else "near"),
            (rest + 1e-6, "near"),
        ):
            row[PAIR_STANDOFF] = standoff
            if standoff <= 1e-3:  # a standoff is not negative
                continue
            seen[name] += 1
            verdict, opened, near, report = pair.judged(spare=1e-7)
            assert verdict == {"far": 1, "plane": 1, "open": 0, "near": -1}[name]
            assert opened == (name == "open")
            assert near == (1e-7 if name == "plane" else 0.0)
            if name == "open":
                assert report == pytest.approx([0.0, apart, still + standoff + sweep])
                assert np.isnan(pair.judged(decided=False)[3]).all()
            if name == "near":
                assert report == pytest.approx([0.0, apart, still + standoff])
            row[PAIR_EASED] = 2.5e-6  # a little more room than is needed
            assert pair.judged(spare=1e-7)[0] >= verdict
            if name in ("open", "near"):
                row[PAIR_STANDOFF] = standoff + 2.5e-6
                assert pair.judged(spare=1e-7)[0] == verdict
            row[PAIR_EASED] = 0.0
    assert min(seen.values()) >= 3, seen


def test_only_the_joints_between_the_two_are_charged() -> None:
    """Those that carry both move neither against the other, however far, or off by however much."""
    seen = 0
    for seed in [seed for seed in SEEDS if Look(seed).k > 1]:
        pair = Pair(seed, exact=True, a=1)
        moved = np.array(pair.moved)
        proven = []
        for both in (0.0, 0.7):
            moved[:2] = both
            pair.charged(moved)
            proven.append(pair.proven(moved, pair.first, pair.last))
        assert proven[0] == proven[1]
        moved[2:] = 0.0
        assert pair.charged(moved) == pytest.approx((0.002, 0.0), abs=1e-9)
        moved[2], pair.packed.joint[:2, POSITION_ERROR] = 0.1, 0.01
        still, sweep = pair.charged(moved)
        assert still == pytest.approx(0.002, abs=1e-9)
        seen += sweep > 0.0
        pair.packed.joint[2, POSITION_ERROR] = 0.01
        assert pair.charged(moved) == pytest.approx((0.002 + 0.1 * sweep, sweep), abs=1e-9)
    assert seen >= 3


@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_link_that_is_nowhere_is_too_near(row: int) -> None:
    for bad in (math.nan, math.inf, -math.inf):
        pair = Pair(SEEDS[0])
        pair.work.middle[row, pair.look.k] = bad
        verdict, _, _, report = pair.judged()
        assert verdict == -1
        assert report.tolist() == [0.0, -math.inf, 0.0]
        if math.isinf(bad):  # also where the sum of three of them would be a number
            pair.work.middle[(row + 1) % 3, pair.look.k] = -bad
            assert pair.judged()[0] == -1

"""First-order sweep: what it proves is never more than what a slow, dense look at the motion finds.

Chains are random, revolute and prismatic; motions are ticks with their stops; the truth is forward
kinematics by 4 × 4 matrices at many instants, off the command by sampled corners of the errors.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.limits.kernels.test_clearance import SHAPES, Shape, random_volume
from tests.limits.slow_chain import capsule_axes, jacobian
from tests.limits.slow_geometry import signed_distance
from tests.limits.slow_motion import Motion, at, random_motions, total_s
from tests.robots import array, column, joint, slider

from checkrein.limits import Capsule, Kinematics, Limits, Volume
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.clearance import clearance, segment_segment
from checkrein.limits.kernels.motion import build, place, position_range
from checkrein.limits.kernels.packed import ENDS, LEVER, Packed, Work, pack, work_for
from checkrein.limits.kernels.separation import (
    bend,
    extent,
    lowest,
    sweeps,
    uphill,
    widest_gap,
)
from checkrein.limits.records import Array

# What rounding of metres and of cubics may add.
EXACT_M = 1e-9
every_shape = pytest.mark.parametrize("shape", SHAPES)


def random_chain(rng: np.random.Generator) -> Limits:
    """Two to five joints, some of them slides, one capsule on each."""
    n = int(rng.integers(2, 6))
    turns = np.array([np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(n)])
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    arms = tuple(
        joint(
            f"joint{i}",
            type="prismatic" if rng.uniform() < 0.3 else "revolute",
            tracking_error=float(rng.choice([0.0, 0.004])),
        )
        for i in range(n)
    )
    capsules = tuple(
        Capsule(
            f"link{i}", i, array(rng.normal(size=3) * 0.1), array(rng.normal(size=3) * 0.3), 0.03
        )
        for i in range(n)
    )
    kinematics = Kinematics(
        rotation=array(turns),
        translation=array(rng.normal(size=(n, 3)) * 0.3),
        tcp_rotation=array(np.eye(3)),
        tcp_translation=array([0.0, 0.0, 0.1]),
        mass=array(np.ones(n)),
        com=array(np.zeros((n, 3))),
        inertia=array(np.tile(np.eye(3) * 0.01, (n, 1, 1))),
        gravity=array([0.0, 0.0, -9.81]),
    )
    return replace(
        slider(), joints=arms, kinematics=kinematics, capsules=capsules, volumes=(),
        standoff=0.002, home=array(np.zeros(n)),
    )  # fmt: skip


class Look:
    """One interval of one motion of a random chain, and the kernels' view of its middle."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.limits = random_chain(rng)
        self.n = len(self.limits.joints)
        self.packed, self.period_s = pack(self.limits), self.limits.period_s
        self.work: Work = work_for(self.packed)
        self.motion: Motion = random_motions(self.limits, seed, 1, speed=1.0)[0]
        built(self.packed, self.work, self.motion)
        ends = np.sort(rng.uniform(0.0, total_s(self.motion, self.period_s), 2))
        if seed % 3 == 0:  # as near to the whole of it as an interval can be
            ends[0] = 0.0
        self.first, self.last = map(float, ends)
        self.moved = np.zeros(self.n)
        q = self.work.vector[3]
        place(self.work.pieces, self.work.small[ENDS], 0.5 * (self.first + self.last), q)
        forward(self.packed, q, self.work)
        for j in range(self.n):
            low, high = position_range(self.work.pieces, self.work.small[ENDS], j, *ends)
            self.moved[j] = max(high - q[j], q[j] - low)
        self.k = self.n - 1 if seed % 4 else int(rng.integers(0, self.n))
        self.base = int(rng.integers(-1, self.k))
        self.middle = np.array(q)
        sweeps(self.packed, self.work, self.k, self.moved)
        self.n_unit = unit(rng.normal(size=3))
        self.rng = rng

    @property
    def bent(self) -> float:
        return float(bend(self.packed, self.work, self.k, self.base, self.moved))

    def beyond(self, needed: float, **changes: Any) -> bool:
        asked = {"n": self.n_unit, "first": self.first, "last": self.last, **changes}
        least = lowest(self.packed, self.work, self.k, self.base, asked["n"], asked["first"],
                       asked["last"])  # fmt: skip
        return bool(least > needed)

    def proven(self) -> float:
        """Largest height that is proven to first order; the bend is not taken off."""
        low, high = -50.0, 50.0
        assert self.beyond(low)
        assert not self.beyond(high)
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.beyond(middle) else (low, middle)
        return low

    def seen(self, count: int = 21) -> list[Array]:
        """Configurations within the interval, off by corners; joints up to the base stand still."""
        out, errors = [], column(self.limits, "position_error")
        for t in np.linspace(self.first, self.last, count):
            q, _, _ = at(self.motion, self.period_s, float(t))
            for _ in range(3):
                off = q + errors * self.rng.choice([-1.0, 1.0], self.n)
                off[: self.base + 1] = self.middle[: self.base + 1]
                out.append(off)
        return out

    def ends_at(self, q: Array) -> Array:
        """Ends (2, 3) of the capsule's axis."""
        return np.asarray(capsule_axes(self.limits, q)[self.k])


def built(packed: Packed, work: Work, motion: Motion) -> None:
    build(motion.start, motion.ddq_next, float(packed.scalar[0]), motion.ticks, motion.jerk,
          work.pieces, work.small[ENDS])  # fmt: skip


def unit(values: Array) -> Array:
    return np.asarray(values / np.linalg.norm(values))


def test_the_bend_bounds_what_the_first_order_leaves_out() -> None:
    """In every direction at once: the length of p(t) - p(m) - J·d."""
    shares = []
    for seed in range(20):
        look = Look(seed)
        middle, bent = look.ends_at(look.middle), look.bent
        for end in range(2):
            J = jacobian(look.limits, look.middle, middle[end], look.limits.capsules[look.k].joint)
            for q in look.seen():
                left = look.ends_at(q)[end] - middle[end] - J[:3] @ (q - look.middle)
                assert float(np.linalg.norm(left)) <= bent + EXACT_M
                shares.append(float(np.linalg.norm(left)) / (bent + EXACT_M))
    assert max(shares) >= 0.5  # and it is no more than a few times too large


def test_what_is_proven_is_never_more_than_the_truth() -> None:
    gaps = []
    for seed in range(60):
        look = Look(seed)
        proven = look.proven() - look.bent
        truth = min(float((look.ends_at(q) @ look.n_unit).min()) for q in look.seen())
        assert proven <= truth + EXACT_M
        gaps.append((truth - proven) / (look.bent + 1e-3))
    assert np.median(gaps) <= 3.0


def test_the_first_order_is_taken_in_full() -> None:
    """The least of n·p(m) + sum of c·d, less |c|·e, sampled with a Jacobian of its own."""
    for seed in range(24):
        look = Look(seed)
        errors, ends = column(look.limits, "position_error"), look.ends_at(look.middle)
        least = math.inf
        for end in range(2):
            J = jacobian(look.limits, look.middle, ends[end], look.limits.capsules[look.k].joint)
            c = look.n_unit @ J[:3]
            c[: look.base + 1] = 0.0
            for t in np.linspace(look.first, look.last, 150):
                q, _, _ = at(look.motion, look.period_s, float(t))
                linear = float(c @ (q - look.middle) - np.abs(c) @ errors)
                least = min(least, float(look.n_unit @ ends[end]) + linear)
        assert look.proven() == pytest.approx(least, abs=2e-4)
        assert look.proven() <= least + EXACT_M


def test_a_lever_reaches_as_far_as_any_point_of_the_axis() -> None:
    for seed in range(30):
        look = Look(seed)
        ends, last = look.ends_at(look.middle), look.limits.capsules[look.k].joint
        for share in np.linspace(0.0, 1.0, 9):
            p = ends[0] + share * (ends[1] - ends[0])
            speeds = np.linalg.norm(jacobian(look.limits, look.middle, p, last)[:3], axis=0)
            assert (
                look.work.swept[LEVER, look.k, : last + 1] >= speeds[: last + 1] - EXACT_M
            ).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_interval_that_is_none_has_no_height(bad: float) -> None:
    look = Look(1)
    assert look.beyond(-50.0)
    assert look.beyond(bad) == (bad == -math.inf)  # what anything is beyond
    # One that is longer than the motion is as long as that.
    assert look.beyond(-50.0, first=bad) == (bad == -math.inf)
    assert look.beyond(-50.0, last=bad) == (bad == math.inf)


def test_nothing_is_proven_with_a_number_that_is_none() -> None:
    """Each number that is read, one at a time."""
    look, bad = Look(1), math.nan
    for way in range(3):
        n = np.array(look.n_unit)
        n[way] = bad
        assert not look.beyond(-50.0, n=n)
    work, moving = look.work, range(look.base + 1, look.k + 1)
    read: list[tuple[Array, tuple[int, ...]]] = [(work.vector, (3, j)) for j in moving]
    read += [(work.segment, (look.k, r)) for r in range(6)]
    read += [(work.rotation, (j, r)) for j in moving for r in (2, 5, 8)]
    read += [(work.pieces, (0, j, r)) for j in moving for r in range(4)]
    for table, index in read:
        before = table[index]
        table[index] = bad
        whole = {"first": 0.0, "last": float(work.small[ENDS, 4])}
        assert not look.beyond(-50.0, **whole), (table.shape, index)
        table[index] = before
    look.moved[look.k] = bad
    assert not look.bent < math.inf


def solid_points(volume: Volume, n: Array) -> Array:
    """Points (m, 3) of the solid's surface, those that reach farthest along n among them."""

    def given(value: Array | None) -> Array:
        assert value is not None
        return value

    radius = volume.radius or 0.0
    if volume.shape == "half_space":
        return given(volume.normal)[None, :] * (volume.offset or 0.0)
    if volume.shape == "mesh":
        return given(volume.vertices)
    if volume.shape == "box":
        corners = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
        return given(volume.center) + (corners * given(volume.half_extents)) @ (
            given(volume.rotation).T
        )
    if volume.shape == "sphere":
        return (given(volume.center) + radius * n)[None, :]
    ends = np.array([given(volume.start), given(volume.end)])
    if volume.shape == "capsule":
        return np.asarray(ends + radius * n)
    along = unit(ends[1] - ends[0])
    one = unit(np.cross(along, [0.3, -0.7, 0.64]))
    other, turn = np.cross(along, one), np.linspace(0.0, 2.0 * np.pi, 4001)[:, None]
    rim = radius * (np.cos(turn) * one + np.sin(turn) * other)
    return np.concatenate([ends[0] + rim, ends[1] + rim])


@every_shape
def test_the_extent_is_how_far_the_solid_reaches(shape: Shape) -> None:
    rng = np.random.default_rng(11)
    for case in range(50):
        volume, n = random_volume(rng, shape, "keep_out"), unit(rng.normal(size=3))
        if shape == "half_space":
            assert volume.normal is not None
            n = np.array(volume.normal)
        if shape in ("cylinder", "capsule") and case % 10 == 0:  # straight along its axis
            assert volume.start is not None
            assert volume.end is not None
            n = unit(volume.end - volume.start)
        points = solid_points(volume, n)
        assert (signed_distance(volume, points) <= 1e-6).all()
        reach = float(extent(pack(replace(slider(), volumes=(volume,))), 0, n))
        assert reach == pytest.approx(float((points @ n).max()), abs=3e-6)
        assert reach >= float((points @ n).max()) - 1e-12


def test_a_cylinder_reaches_as_far_also_almost_along_its_axis() -> None:
    """The rim adds radius · sin(angle), however small the angle is: more than rounding allows."""
    rng = np.random.default_rng(14)
    for _ in range(200):
        volume = random_volume(rng, "cylinder", "keep_out")
        assert volume.start is not None
        assert volume.end is not None
        along, radius = unit(volume.end - volume.start), volume.radius or 0.0
        side, tilt = unit(np.cross(along, rng.normal(size=3))), 10.0 ** rng.uniform(-9.0, -6.0)
        n = unit(along + tilt * side)
        reach = float(volume.end @ n) + radius * tilt / math.hypot(1.0, tilt)
        packed = pack(replace(slider(), volumes=(volume,)))
        assert float(extent(packed, 0, n)) >= reach - 1e-9  # ROUNDING_M of the certificate


@every_shape
def test_a_direction_is_a_unit_vector_away_from_the_volume(shape: Shape) -> None:
    """It separates: the axis lies about as far beyond the volume's extent as it is clear of it."""
    rng, found = np.random.default_rng(12), 0
    robot = slider()
    for _ in range(40 if shape == "mesh" else 80):
        volume = random_volume(rng, shape, "keep_out")
        packed = pack(replace(robot, volumes=(volume,)))
        work, n = work_for(packed), np.full(3, math.nan)
        forward(packed, rng.uniform(-2.0, 2.0, 2), work)
        work.segment[1] += np.tile(rng.normal(size=3) * 1.5, 2)
        radius, ends = float(packed.capsule[1, 7]), work.segment[1].reshape(2, 3)
        clear = float(signed_distance(volume, ends[0] + np.linspace(0, 1, 100)[:, None]
                                      * (ends[1] - ends[0])).min()) - radius  # fmt: skip
        if clear < 0.01 or not uphill(packed, work, 0, 1, exact(packed, work), n):
            continue
        found += 1
        assert float(np.linalg.norm(n)) == pytest.approx(1.0, abs=1e-12)
        gap = float((ends @ n).min()) - float(extent(packed, 0, n)) - radius
        assert gap <= clear + 1e-7
        assert gap >= clear - 0.01
    assert found >= 10


def exact(packed: Packed, work: Work) -> float:
    """Clearance of capsule 1 from volume 0 as the kernel has it."""
    axis, radius = work.segment[1], packed.capsule[1, 7]
    return float(clearance(packed.volume[0], packed.mesh, axis, radius, work.simplex))


def test_the_widest_gap_is_a_unit_vector_from_one_link_to_the_other() -> None:
    rng, packed = np.random.default_rng(13), pack(slider())
    work, n = work_for(packed), np.full(3, math.nan)
    share = np.linspace(0.0, 1.0, 200)[:, None]
    for _ in range(100):
        work.segment[:] = rng.normal(size=(2, 6))
        assert widest_gap(work, 0, 1, n)
        assert float(np.linalg.norm(n)) == pytest.approx(1.0, abs=1e-12)
        one, other = (axis[:3] + share * (axis[3:] - axis[:3]) for axis in work.segment)
        apart = float(np.linalg.norm(one[:, None] - other[None, :], axis=2).min())
        gap = float((other @ n).min() - (one @ n).max())
        assert gap <= apart + 1e-9
        # No direction separates them by more than they are apart, and this one by no less.
        assert gap == pytest.approx(segment_segment(*work.segment), abs=1e-12)
    work.segment[1] = work.segment[0]
    assert not widest_gap(work, 0, 1, n) or float(np.linalg.norm(n)) == pytest.approx(1.0)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("length", [0.03, 0.3, 1.0])
def test_axes_that_are_nearly_parallel_have_a_gap_too(length: float, angle: float) -> None:
    rng, packed = np.random.default_rng(5), pack(slider())
    work, n = work_for(packed), np.zeros(3)
    for _ in range(50):
        way, across = np.linalg.qr(rng.normal(size=(3, 3)))[0][:2]
        middle = rng.normal(size=3)
        for axis, turned in enumerate((-angle / 2.0, angle / 2.0)):
            third = np.cross(way, across)
            along = length * (math.cos(turned) * way + math.sin(turned) * third)
            start = middle + 0.05 * axis * across + rng.uniform(-0.3, 0.3) * along - along / 2.0
            work.segment[axis, :3], work.segment[axis, 3:] = start, start + along
        one, other = work.segment.reshape(2, 2, 3)
        assert widest_gap(work, 0, 1, n)
        gap = float((other @ n).min() - (one @ n).max())
        assert gap >= segment_segment(*work.segment) - 1e-6 * length

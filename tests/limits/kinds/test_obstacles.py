"""What perception sees: certified means clear of every ball, wherever it may be by then."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.limits.kernels.test_clear_in_motion import instants
from tests.limits.kernels.test_separation import built, random_chain, unit
from tests.limits.kinds.battery import MotionBattery, Verdict, ask, plain_robot, still
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_motion import Motion, random_motions, sampled, total_s
from tests.robots import with_joint

from checkrein.limits import Limits, Obstacles
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.cloud import _ball_judged, cloud_judged
from checkrein.limits.kernels.cloud_layout import (
    AGE,
    CLOUD_STANDOFF,
    COUNT,
    STRETCH,
)
from checkrein.limits.kernels.motion import departures, place
from checkrein.limits.kernels.packed import ENDS, HINT, Packed, Work, pack, work_for
from checkrein.limits.kernels.separation import sweeps
from checkrein.limits.kinds import workspace
from checkrein.limits.obstacles import flat_cloud
from checkrein.limits.records import Array

# What rounding of metres and of cubics may add.
EXACT_M = 1e-9


def clouded(
    limits: Limits,
    points: Any,
    radius_m: Any = 0.0,
    speed_m_s: Any = 0.0,
    *,
    age_s: float = 0.0,
    stretch: float = 1.0,
    standoff_m: float = 0.0,
    checked: Any = None,
) -> Array:
    """A flat cloud for a robot."""
    flags = np.ones(len(limits.capsules)) if checked is None else np.array(checked, np.float64)
    obstacles = Obstacles(np.array(points, dtype=np.float64), radius_m, 0, speed_m_s)
    assert obstacles.fault is None
    cloud = flat_cloud(obstacles, 0.0, flags, stretch, standoff_m)
    cloud[AGE] = age_s
    return cloud


def holds(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
    return int(workspace.violated(packed, work, report)) == 0


class TestObstacles(MotionBattery):
    """Points on the rail's line, 1 m out and on; the bound is how far out they let the tip come."""

    bound = 0.8
    subject = 1
    slack = 1e-9  # the comparison is strict: a touch is not clear

    def declared(self, bound: float) -> Limits:
        # The bound travels in what a limits file has: the rest is put into the cloud by `judge`.
        return replace(plain_robot(), volumes=(), standoff=1.0 - bound)

    def tip(self, q: Array) -> Array:
        axis = capsule_axes(plain_robot(), q)[1]
        return np.asarray(axis[int(axis[:, 0].argmax())])

    def case(self, value: float) -> Motion:
        at_zero = self.truth(still((0.0, 0.0)))
        return still((0.0, value - at_zero))

    def truth(self, case: Motion) -> float:
        return float(self.tip(case.start[:, 0])[0]) + plain_robot().capsules[1].radius

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return holds(packed, work, bounds, report)

    def cloud(self, limits: Limits, **changes: Any) -> Array:
        points = np.tile(self.tip(np.zeros(2)), (16, 1))
        points[:, 0] = np.linspace(1.0, 3.25, 16)
        return clouded(limits, points, **{"standoff_m": limits.standoff, **changes})

    def judge(self, limits: Limits, case: Any, **changes: Any) -> Verdict:
        def asked(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
            cloud = self.cloud(limits, **changes)
            return self.holds(packed.with_last(cloud), work, bounds, report)

        with np.errstate(invalid="ignore"):  # compiled, there is no warning
            return ask(limits, case, asked)

    def test_a_rejection_says_who_how_much_and_against_what(self) -> None:
        verdict = self.judge(self.declared(self.bound), self.case(0.9))
        assert not verdict.ok
        assert verdict.subject == 0 * 2 + 1  # obstacle 0, counted on from no volume; capsule 1
        assert verdict.value == pytest.approx(0.1)
        assert verdict.bound == pytest.approx(0.2)

    def test_the_radius_and_the_tracking_error_are_charged(self) -> None:
        limits = with_joint(self.declared(self.bound), 1, tracking_error=0.005)
        for reach, ok in ((0.0151, True), (0.0149, False)):
            assert self.judge(limits, self.case(self.bound - reach), radius_m=0.01).ok is ok

    def test_what_it_may_have_moved_since_is_charged_to_the_end(self) -> None:
        """0.5 m/s for 20 ms of age and for a motion that takes as long as its ticks, stretched."""
        motion, limits = self.case(0.6), self.declared(self.bound)
        motion.ticks[:] = 9.0, 0.0, 0.0
        seconds = 0.02 + 1.5 * 10.0 * limits.period_s
        for speed, ok in ((0.199, True), (0.201, False)):
            changes = {"speed_m_s": speed / seconds, "age_s": 0.02, "stretch": 1.5}
            assert self.judge(limits, motion, **changes).ok is ok

    def test_an_exempt_link_is_not_held_to_it(self) -> None:
        limits = self.declared(self.bound)
        assert self.judge(limits, self.case(0.9), checked=[1.0, 0.0]).ok
        assert not self.judge(limits, self.case(0.9), checked=[0.0, 1.0]).ok

    @pytest.mark.parametrize("entry", [AGE, STRETCH, CLOUD_STANDOFF])
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_cloud_that_is_no_number_admits_nothing(self, entry: int, bad: float) -> None:
        limits = self.declared(self.bound)

        def asked(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
            cloud = self.cloud(limits)
            cloud[entry] = bad
            return self.holds(packed.with_last(cloud), work, bounds, report)

        with np.errstate(invalid="ignore"):  # compiled, there is no warning
            assert not ask(limits, self.case(0.1), asked).ok

    def test_a_cloud_from_the_future_admits_nothing(self) -> None:
        assert not self.judge(self.declared(self.bound), self.case(0.1), age_s=-0.1).ok

    def test_an_empty_cloud_keeps_nothing_away(self) -> None:
        limits = self.declared(self.bound)

        def asked(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
            cloud = clouded(limits, np.zeros((0, 3)))
            return self.holds(packed.with_last(cloud), work, bounds, report)

        assert ask(limits, self.case(9.0), asked).ok

    def test_a_dip_in_the_middle_of_a_tick_is_seen(self) -> None:
        """Both ends of the motion are clear, its turning point is not."""
        motion = self.case(0.788)
        motion.start[1, 1:] = 1.8, -120.0
        motion.ddq_next[1] = -120.0
        motion.ticks[:] = 7.0, 0.0, 0.0
        reach = [self.truth(still(q)) for q, _, _ in sampled(motion, plain_robot().period_s, 99)]
        assert max(reach[0], reach[-1]) < self.bound - 0.005
        assert max(reach) > self.bound
        assert not self.admitted(self.bound, motion)
        assert self.admitted(max(reach) + 0.003, motion)


class Scene:
    """A motion of a random chain and a cloud, of which the nearest ball is only just clear."""

    def __init__(self, seed: int, count: int = 60) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.limits = random_chain(rng)
        self.motion = random_motions(self.limits, seed, 1, speed=0.6)[0]
        self.seconds = total_s(self.motion, self.limits.period_s)
        self.age_s, self.stretch = float(rng.choice([0.0, 0.05])), float(rng.choice([1.0, 1.4]))
        self.speed = rng.choice([0.0, 0.2, 1.0], count) * (seed % 3 > 0)
        self.radius = rng.uniform(0.0, 0.05, count)
        self.standoff_m = 0.004
        axes = self.axes()
        along = rng.uniform(size=(count, 1))
        at = rng.integers(0, axes.shape[0], count), rng.integers(0, axes.shape[1], count)
        self.away = np.array([unit(row) for row in rng.normal(size=(count, 3))])
        self.points = along * axes[(*at, 0)] + (1.0 - along) * axes[(*at, 1)] + 6.0 * self.away
        target = rng.choice([0.002, 0.02, 0.3], (count, 1), p=[0.1, 0.1, 0.8])
        target[0] = rng.choice([-0.002, 0.0005, 0.002, 0.02])
        for _ in range(12):
            self.points += (target - self.room(axes).min(axis=(0, 1))[:, None]) * self.away

    def axes(self) -> Array:
        """(17, 3 · k, 2, 3): of each instant, all capsules, off by three corners."""
        every = instants(self.limits, self.motion, self.rng)
        return every.reshape(17, -1, *every.shape[2:])

    def room(self, axes: Array) -> Array:
        """(instants, capsules, balls) [m] beyond all margins, exactly, by projection."""
        start, way = axes[..., 0, :], axes[..., 1, :] - axes[..., 0, :]
        gap = self.points - start[..., None, :]
        share = (gap @ way[..., None])[..., 0] / np.maximum((way**2).sum(-1), 1e-12)[..., None]
        nearest = np.clip(share, 0.0, 1.0)[..., None] * way[..., None, :]
        grown_s = self.age_s + self.stretch * np.linspace(0.0, self.seconds, axes.shape[0])
        taken = self.radius + self.limits.capsules[0].radius + self.standoff_m
        grown = grown_s[:, None, None] * self.speed
        return np.asarray(np.linalg.norm(gap - nearest, axis=-1) - taken - grown)

    def cloud(self, **changes: Any) -> Array:
        values = {"points": self.points, "radius_m": self.radius, "speed_m_s": self.speed}
        return clouded(
            self.limits, **{**values, **changes}, age_s=self.age_s, stretch=self.stretch,
            standoff_m=self.standoff_m,
        )  # fmt: skip

    def accepted(self, **changes: Any) -> bool:
        packed, report = pack(self.limits).with_last(self.cloud(**changes)), np.zeros(3)
        work = work_for(packed)
        work.small[HINT, 0] = -1.0
        built(packed, work, self.motion)
        return int(workspace.violated(packed, work, report)) == 0


def test_what_is_accepted_is_clear_of_every_ball_at_every_sampled_instant() -> None:
    """Wherever a ball may have moved by then, and the robot be by its errors."""
    held = {True: 0, False: 0}
    for seed in range(40):
        scene = Scene(seed)
        certified = scene.accepted()
        held[certified] += 1
        if certified:
            assert float(scene.room(scene.axes()).min()) >= 0.0
    assert held[True] >= 12
    assert held[False] >= 5


def test_more_and_larger_and_faster_balls_never_admit_more() -> None:
    seen = 0
    for seed in range(16):
        scene = Scene(seed)
        if scene.accepted():
            seen += 1
            part = {"points": scene.points[::2], "radius_m": scene.radius[::2]}
            assert scene.accepted(**part, speed_m_s=scene.speed[::2])
            assert scene.accepted(radius_m=0.5 * scene.radius)
            assert scene.accepted(speed_m_s=0.5 * scene.speed)
    assert seen >= 4


def at_middle(scene: Scene, packed: Packed, first: float, last: float) -> tuple[Work, Array]:
    """Scratch memory that looks at the middle of an interval, and how far joints get from it."""
    work, moved = work_for(packed), np.zeros(len(scene.limits.joints))
    built(packed, work, scene.motion)
    q = work.vector[3]
    place(work.pieces, work.small[ENDS], 0.5 * (first + last), q)
    forward(packed, q, work)
    departures(work.pieces, work.small[ENDS], first, last, q, moved)
    for k in range(packed.capsule.shape[0]):
        sweeps(packed, work, k, moved)
    return work, moved


@pytest.mark.slow
def test_the_tree_says_what_a_scan_of_all_balls_says() -> None:
    seen: dict[int, int] = {}
    for seed in range(24):
        scene = Scene(seed)
        packed = pack(scene.limits).with_last(scene.cloud())
        cloud, capsules = packed.cloud, packed.capsule.shape[0]
        first, last = np.sort(scene.rng.uniform(0.0, scene.seconds, 2)).tolist()
        work, moved = at_middle(scene, packed, first, last)
        report = np.zeros(3)
        for k in range(capsules):
            scanned = min(
                int(_ball_judged(packed, work, k, place, moved, first, last, report))
                for place in range(int(cloud[COUNT]))
            )
            assert int(cloud_judged(packed, work, k, moved, first, last, report)) == scanned
            seen[scanned] = seen.get(scanned, 0) + 1
    assert min(seen.get(verdict, 0) for verdict in (-1, 0, 1)) >= 5


def test_a_link_glides_along_a_wall_of_points() -> None:
    """Where the sweep alone proves nothing: 60° of a turn that keeps the tip beside the points."""
    limits = replace(plain_robot(), volumes=())
    motion = still((0.0, 0.5))
    motion.start[0, 1:] = 0.5, 0.0
    motion.ticks[:] = 60.0, 0.0, 0.0
    motion.jerk[0, 0] = -2.0 * 0.5 / (60.0 * limits.period_s) ** 2
    ends = capsule_axes(limits, np.array([0.0, 0.5]))[1]
    far = float(np.linalg.norm(ends[:, :2], axis=1).max()) + limits.capsules[1].radius
    turned = np.linspace(-1.0, 1.0, 400)
    height = float(ends[np.linalg.norm(ends[:, :2], axis=1).argmax(), 2])

    def held(distance_m: float) -> bool:
        out = far + distance_m
        points = np.array([[out * np.cos(a), out * np.sin(a), height] for a in turned])

        def asked(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
            return holds(packed.with_last(clouded(limits, points)), work, bounds, report)

        return ask(limits, motion, asked).ok

    assert held(0.004)
    assert not held(-0.001)


def test_every_capsule_is_asked_for() -> None:
    """A ball inside any one link is found, and named."""
    limits = replace(plain_robot(), volumes=())
    for k, end in itertools.product(range(2), range(2)):
        point = capsule_axes(limits, np.array([0.3, 0.4]))[k][end]
        cloud = clouded(limits, [point + 9.0, point])

        def asked(
            packed: Packed, work: Work, bounds: Array, report: Array, cloud: Array = cloud
        ) -> bool:
            return holds(packed.with_last(cloud), work, bounds, report)

        verdict = ask(limits, still((0.3, 0.4)), asked)
        assert not verdict.ok
        place = verdict.subject // 2  # in the order of the tree
        assert Obstacles([point + 9.0, point], 0.0, 0).number_at(place) == 1

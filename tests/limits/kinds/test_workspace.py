"""Whole-body workspace: certified means clear at every sampled instant, for every link."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, ask, plain_robot, still
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_geometry import least_clearance, upper_clearance
from tests.limits.slow_motion import Motion, random_motions, sampled
from tests.robots import (
    array,
    column,
    half_space,
    panda,
    slider,
    with_joint,
    with_joints,
    without_margins,
)

from checkrein.limits import Limits, OnViolation
from checkrein.limits.core import Core
from checkrein.limits.kernels.packed import Packed, Work
from checkrein.limits.kinds import workspace
from checkrein.limits.records import Array

Ball = tuple[list[float], float, Literal["keep_in", "keep_out"]]  # center, radius, kind


class TestWorkspace(MotionBattery):
    """The bound is how far out along x a wall stands; the value how far the carriage reaches."""

    bound = 0.8
    subject = 1
    slack = 1e-9  # the comparison is strict: a touch is not clear

    def declared(self, bound: float) -> Limits:
        wall = half_space("wall", [1.0, 0.0, 0.0], bound, "keep_in")
        return replace(plain_robot(), volumes=(wall,))

    def case(self, value: float) -> Motion:
        at_zero = self.truth(still((0.0, 0.0)))
        return still((0.0, value - at_zero))

    def truth(self, case: Motion) -> float:
        limits = plain_robot()
        axis = capsule_axes(limits, case.start[:, 0])[1]
        return float(axis[:, 0].max()) + limits.capsules[1].radius

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return int(workspace.violated(packed, work, report)) == 0

    def test_a_rejection_says_who_how_much_and_against_what(self) -> None:
        verdict = self.judge(self.declared(self.bound), self.case(0.9))
        assert not verdict.ok
        assert verdict.subject == 0 * 2 + 1  # volume 0, capsule 1
        assert verdict.value == pytest.approx(-0.1)
        assert verdict.bound == 0.0

    def test_the_standoff_and_the_tracking_error_are_charged(self) -> None:
        limits = with_joint(
            replace(self.declared(self.bound), standoff=0.01), 1, tracking_error=0.005
        )
        assert self.judge(limits, self.case(self.bound - 0.0151)).ok
        assert not self.judge(limits, self.case(self.bound - 0.0149)).ok

    def test_an_exempt_link_is_not_held_to_a_volume(self) -> None:
        limits = self.declared(self.bound)
        wall = replace(limits.volumes[0], exempt=("link1",))
        assert self.judge(replace(limits, volumes=(wall,)), self.case(2.0 * self.bound)).ok

    def test_no_volumes_nothing_to_keep(self) -> None:
        assert self.judge(replace(plain_robot(), volumes=()), self.case(9.0)).ok

    def test_a_motion_towards_the_wall_is_charged_to_its_end(self) -> None:
        """One interval, its middle clear by half of the way: the sweep must count in full."""
        motion = self.case(0.5)
        motion.start[1, 1] = 0.5
        motion.ticks[:] = 125.0, 0.0, 0.0
        end = sampled(motion, plain_robot().period_s, 2)[-1][0]
        truth = self.truth(still(end))
        assert truth > 0.74
        assert truth <= self.critical(motion) <= truth + 0.005

    def test_what_has_no_side_to_stay_beyond_is_judged_by_halving(self) -> None:
        """A ball to stay in has no planes; of one as large as a planet, no difference tells any."""
        motion = self.case(0.5)
        motion.start[1, 1] = 0.5
        motion.ticks[:] = 125.0, 0.0, 0.0
        end = self.truth(still(sampled(motion, PERIOD_S, 2)[-1][0]))
        height, far = float(capsule_axes(plain_robot(), np.zeros(2))[1][0, 2]), 1e12
        wall = self.declared(1.0).volumes[0]
        for room, admitted in ((0.01, True), (-0.01, False)):
            inside: Ball = ([0.0, 0.0, height], end + room, "keep_in")
            outside: Ball = ([end + room + far, 0.0, height], far, "keep_out")
            for center, radius, kind in (inside, outside):
                ball = replace(
                    wall, kind=kind, shape="sphere", normal=None, offset=None,
                    center=array(center), radius=radius,
                )  # fmt: skip
                limits = replace(plain_robot(), volumes=(ball,))
                assert self.judge(limits, motion).ok is admitted, (kind, room)

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


@pytest.mark.parametrize("robot", [panda(), slider()])
def test_certified_means_clear_at_every_sampled_instant(robot: Limits) -> None:
    """Also for a robot that is off its command by up to the tracking errors."""
    rng, held = np.random.default_rng(8), 0
    error, n = column(robot, "tracking_error"), len(robot.joints)

    def holds(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return int(workspace.violated(packed, work, report)) == 0

    for motion in random_motions(robot, seed=9, count=60, speed=0.8):
        if not ask(robot, motion, holds).ok:
            continue
        held += 1
        for q, _, _ in sampled(motion, robot.period_s, 25):
            off = q + error * rng.choice([-1.0, 1.0], n)
            assert least_clearance(robot, off, 11) > robot.standoff
    assert held >= 8


@pytest.mark.parametrize("robot", [panda(), slider()])
def test_what_is_refused_at_rest_is_too_near(robot: Limits) -> None:
    """Not vacuous: without motion and margins the certificate is exact."""
    robot = replace(without_margins(robot), standoff=0.0)
    core, rng = Core(robot), np.random.default_rng(10)
    low, high = column(robot, "min_position"), column(robot, "max_position")
    seen = {True: 0, False: 0}
    for _ in range(200):
        q = rng.uniform(low, high)
        clear = least_clearance(robot, q, 201)
        refused = core.rest(q)[1]
        if abs(clear) > 2e-3:
            assert (refused is None or refused[0] != "workspace") == (clear > 0.0)
            seen[clear > 0.0] += 1
        # Inside a keep-out volume the kernel only says that it is inside.
        assert core.clearance(q) <= (clear + 1e-9 if clear > 0.0 else 2e-3)
    assert min(seen.values()) >= 10


def test_the_pair_is_named() -> None:
    robot = slider()
    refused = Core(robot).rest(np.array([-1.5, 0.6]))[1]
    assert refused is not None
    assert refused[0] == "workspace"
    assert refused[1] == "link1/wall"
    assert refused[4] == "m"
    axis = capsule_axes(robot, np.array([-1.5, 0.6]))[1]
    radius = robot.capsules[1].radius
    assert refused[2] == pytest.approx(upper_clearance(robot.volumes[0], axis, radius), abs=1e-9)


def test_more_volumes_never_admit_more() -> None:
    wide = panda()
    extra = half_space("extra", [0.0, 0.0, 1.0], 0.9, "keep_in")
    narrow = replace(wide, volumes=(*wide.volumes, replace(extra, on_violation=OnViolation.REFUSE)))

    def holds(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return int(workspace.violated(packed, work, report)) == 0

    for motion in random_motions(wide, seed=11, count=40, speed=0.5):
        assert ask(wide, motion, holds).ok or not ask(narrow, motion, holds).ok


def test_least_clearance_of_a_robot_in_empty_space_is_infinite() -> None:
    assert math.isinf(Core(replace(slider(), volumes=())).clearance(np.zeros(2)))


def test_larger_margins_never_admit_more() -> None:
    tight, loose = with_joints(slider(), tracking_error=0.01), with_joints(slider())

    def holds(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return int(workspace.violated(packed, work, report)) == 0

    for motion in random_motions(loose, seed=12, count=40):
        assert ask(loose, motion, holds).ok or not ask(tight, motion, holds).ok

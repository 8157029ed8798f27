"""Self-collision: certified means that no two links of a pair touch at any sampled instant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kinds.battery import MotionBattery, ask, plain_robot, still
from tests.limits.slow_chain import capsule_axes
from tests.limits.slow_geometry import axis_points, spacing
from tests.limits.slow_motion import Motion, random_motions, sampled
from tests.robots import (
    array,
    column,
    folding,
    panda,
    shipped,
    slider,
    with_joint,
    with_joints,
    without_geometry,
    without_margins,
)

from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.packed import Packed, Work, pack
from checkrein.limits.kinds import workspace
from checkrein.limits.records import Array


def holds(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
    return int(workspace.violated(packed, work, report)) == 0


def apart(limits: Limits, q: Array, count: int = 25) -> Array:
    """Distance (p,) of every pair of capsules at q, too large by half a spacing each at most."""
    axes, out = capsule_axes(limits, q), []
    for a, b, *_ in pack(limits).pair.astype(int).tolist():
        one, other = axis_points(axes[a], count), axis_points(axes[b], count)
        gaps = np.linalg.norm(one[:, None] - other[None], axis=2)
        slack = spacing(axes[a], count) + spacing(axes[b], count)
        radii = limits.capsules[a].radius + limits.capsules[b].radius
        out.append((float(gaps.min()) - radii, slack))
    return np.array(out)


class TestSelfCollision(MotionBattery):
    """The carriage and the column: what is limited is how much of ROOM is taken away from them."""

    ROOM = 0.7
    bound = 0.2
    subject = 0
    slack = 1e-9  # the comparison is strict: a touch is not clear

    def declared(self, bound: float) -> Limits:
        return folding(replace(plain_robot(), volumes=()), standoff=self.ROOM - bound)

    def case(self, value: float) -> Motion:
        low, high = 0.2, 9.0  # the value falls with the way out
        for _ in range(60):
            middle = 0.5 * (low + high)
            too_near = self.truth(still((0.0, middle))) > value
            low, high = (middle, high) if too_near else (low, middle)
        return still((0.0, high))

    def truth(self, case: Motion) -> float:
        """The carriage is farther out: its inner end is the nearer one, to the column's end."""
        limits = plain_robot()
        first, second = capsule_axes(limits, case.start[:, 0])
        share = np.linspace(0.0, 1.0, 401)[:, None]
        gap = np.linalg.norm(first[1] - (second[0] + share * (second[1] - second[0])), axis=1)
        return self.ROOM - (float(gap.min()) - 0.08)

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return holds(packed, work, bounds, report)

    def test_boundary_holds_to_one_ulp(self) -> None:
        case = self.case(self.bound)
        critical, truth = self.critical(case), self.truth(case)
        assert self.admitted(np.nextafter(critical, np.inf), case)
        assert critical == pytest.approx(truth, abs=1e-5)  # the truth is sampled

    def test_a_rejection_says_who_how_much_and_against_what(self) -> None:
        verdict = self.judge(self.declared(self.bound), self.case(0.3))
        assert not verdict.ok
        assert verdict.subject == 0
        assert verdict.value == pytest.approx(0.4, abs=1e-5)
        assert verdict.bound == pytest.approx(0.5)

    def test_the_tracking_error_of_the_joints_between_is_charged(self) -> None:
        case = self.case(self.bound - 0.0051)
        for joint, error, admitted in ((1, 0.005, True), (1, 0.0053, False), (0, 0.1, True)):
            limits = with_joint(self.declared(self.bound), joint, tracking_error=error)
            assert self.judge(limits, case).ok is admitted


@pytest.mark.slow
@pytest.mark.parametrize("name", ["franka_panda", "xarm6"])
def test_certified_means_apart_at_every_sampled_instant(name: str) -> None:
    """Also for a robot that is off its command by up to the tracking errors."""
    robot = replace(shipped(name), volumes=())
    rng, held, near = np.random.default_rng(1), 0, 0
    error, n = column(robot, "tracking_error"), len(robot.joints)
    for motion in random_motions(robot, seed=2, count=120, speed=0.7):
        if not ask(robot, motion, holds).ok:
            continue
        held += 1
        for q, _, _ in sampled(motion, robot.period_s, 7):
            gaps = apart(robot, q + error * rng.choice([-1.0, 1.0], n), 9)[:, 0]
            assert gaps.min() > 0.0
            near += int(gaps.min() < 0.03)
    assert held >= 20
    assert near >= 20


@pytest.mark.parametrize("name", ["franka_panda", "xarm6"])
def test_what_is_refused_at_rest_touches(name: str) -> None:
    """Not vacuous: without motion and margins the certificate is exact."""
    robot = without_margins(replace(shipped(name), volumes=()))
    assert robot.self_collision is not None
    robot = replace(robot, self_collision=replace(robot.self_collision, standoff=0.0))
    core, rng = Core(robot), np.random.default_rng(3)
    low, high = column(robot, "min_position"), column(robot, "max_position")
    seen = {True: 0, False: 0}
    for _ in range(150):
        q = rng.uniform(low, high)
        gaps, slack = apart(robot, q).T
        refused = core.rest(q)[1]
        found = refused is not None and refused[0] == "self_collision"
        if (gaps < 0.0).any():
            assert found
        elif (gaps > slack).all():
            assert not found
        seen[found] += 1
    assert min(seen.values()) >= 10


def test_joints_before_and_behind_the_pair_do_not_count() -> None:
    """Both links ride on the base joint: it may turn as fast as it likes, however near they are."""
    robot = without_geometry(without_margins(panda()))
    for pair, free, between in (
        (("panda_link2", "panda_link4"), (0, 1, 4, 6), ()),
        (("panda_link2", "panda_hand"), (0, 1), (3,)),
    ):
        near = folding(robot, pair)
        near = folding(near, pair, standoff=float(apart(near, robot.home)[0, 0]) - 1e-3)
        for joint in (*free, *between):
            answers = set()
            for speed in (1.2, -1.2):
                start = np.zeros((7, 3))
                start[:, 0], start[joint, 1] = robot.home, speed
                moving = Motion(start, np.zeros(7), np.array([20.0, 0.0, 20.0]), np.zeros((7, 3)))
                answers.add(ask(near, moving, holds).ok)
            # The elbow opens one way, and closes the other.
            assert answers == ({True} if joint in free else {True, False}), joint


def test_the_pair_is_named_and_the_robot_is_not_armed_there() -> None:
    robot = replace(panda(), volumes=())
    rng = np.random.default_rng(4)
    low, high = column(robot, "min_position"), column(robot, "max_position")
    core = Core(robot)
    assert core.rest(robot.home)[1] is None
    tried = (core.rest(rng.uniform(low, high))[1] for _ in range(200))
    refused = next(found for found in tried if found is not None and found[0] == "self_collision")
    assert robot.self_collision is not None
    assert tuple(refused[1].split("/")) in robot.self_collision.pairs
    assert refused[4] == "m"
    assert refused[2] < refused[3]


def test_more_pairs_and_larger_margins_never_admit_more() -> None:
    loose = replace(panda(), volumes=())
    assert loose.self_collision is not None
    few = replace(
        loose, self_collision=replace(loose.self_collision, pairs=loose.self_collision.pairs[::5])
    )
    tight = with_joints(loose, tracking_error=0.02)
    for motion in random_motions(loose, seed=5, count=60, speed=0.6):
        admitted = ask(loose, motion, holds).ok
        assert ask(few, motion, holds).ok or not admitted
        assert admitted or not ask(tight, motion, holds).ok


def test_every_capsule_of_a_link_counts() -> None:
    """The tray is three strips: each is a pair of its own."""
    robot = panda()
    strips = [k for k, capsule in enumerate(robot.capsules) if capsule.name == "tray"]
    pairs = pack(robot).pair.astype(int)
    for name in ("panda_link1", "panda_link4"):
        (other,) = (k for k, capsule in enumerate(robot.capsules) if capsule.name == name)
        assert set(pairs[pairs[:, 0] == other, 1]) >= set(strips)
    assert len(strips) > 1


def test_a_link_that_is_nowhere_is_not_apart() -> None:
    """A place that is no number is refused by the pair itself, not only by what comes before it."""
    robot = folding(replace(slider(), volumes=()))
    broken = replace(
        robot, kinematics=replace(robot.kinematics, translation=array(np.zeros((2, 3))))
    )
    for bad in (np.nan, np.inf, -np.inf):
        motion = still((0.0, 0.3))
        motion.start[1, 0] = bad
        assert not ask(broken, motion, holds).ok
        lost = replace(broken.kinematics, translation=array([[0.0, 0.0, 0.0], [bad, 0.0, 0.0]]))
        verdict = ask(replace(broken, kinematics=lost), still((0.0, 0.3)), holds)
        assert (verdict.ok, verdict.subject, verdict.value) == (False, 0, -np.inf)

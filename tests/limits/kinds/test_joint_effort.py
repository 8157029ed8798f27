"""Joint effort: inverse dynamics at samples, and a bound on what it does in between."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, ask, plain_robot, still
from tests.limits.slow_chain import efforts
from tests.limits.slow_motion import Motion, at, phases, random_motions, sampled
from tests.robots import array, column, panda, slider, with_joint, with_joints, without_margins

from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.motion import build, note_speeds, speed_sup
from checkrein.limits.kernels.packed import (
    EFFORT,
    EFFORT_ERROR,
    ENDS,
    PERIOD,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kinds import joint_effort
from checkrein.limits.records import Array


def weightless(limits: Limits) -> Limits:
    chain = limits.kinematics
    return replace(limits, kinematics=replace(chain, gravity=array(np.zeros(3))))


def largest(limits: Limits, motion: Motion, count: int) -> Array:
    """Largest |effort| of each joint (n,) over samples of the tick and its stop.

    By the kernel, which kernels/test_chain.py compares with the slow reference.
    """
    core, samples = Core(limits), sampled(motion, limits.period_s, count)
    return np.asarray(np.abs([core.efforts(*sample) for sample in samples]).max(axis=0))


class TestJointEffort(MotionBattery):
    """The carriage of 3 kg accelerates outwards on a column that stands still."""

    bound = 12.0
    subject = 1
    slack = 0.01

    def declared(self, bound: float) -> Limits:
        return with_joint(weightless(plain_robot()), 1, max_effort=bound)

    def case(self, value: float) -> Motion:
        motion = still()
        motion.start[1, 2] = motion.ddq_next[1] = value / 3.0
        return motion

    def truth(self, case: Motion) -> float:
        return float(largest(self.declared(1.0), case, 9)[1])

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return joint_effort.holds(packed, work, report)

    def pulled(self) -> tuple[Motion, Array]:
        """The carriage is pulled outwards where the column turns fastest, half-way of 64 ticks.

        And how hard: four samples a tick.
        """
        motion, length = still(), 64.0 * PERIOD_S
        fall = 0.7 * 2.0 / (0.5 * length) ** 2  # dq(t) = 2 - fall·(t - length/2)²
        motion.start[0, 1:] = 0.6 - fall * length * PERIOD_S, fall * length
        motion.ddq_next[0] = fall * length
        motion.ticks[:], motion.jerk[0, 0] = (64.0, 0.0, 0.0), -2.0 * fall
        samples = sampled(motion, PERIOD_S, 261)
        return motion, np.array([abs(efforts(self.declared(1.0), *s)[1]) for s in samples])

    def test_what_may_lie_between_the_samples_is_charged(self) -> None:
        """The tightest bound that is admitted leaves room for the bulge of the finest cut."""
        motion, tau = self.pulled()
        packed = pack(self.declared(self.bound))
        work, curvature = work_for(packed), np.zeros(2)
        build(
            motion.start, motion.ddq_next, PERIOD_S, motion.ticks, motion.jerk, work.pieces,
            work.small[ENDS],
        )  # fmt: skip
        note_speeds(work.pieces, work.small[ENDS], work.fastest)
        length = 64.0 * PERIOD_S
        joint_effort._curvature(packed, work, 1, 2, curvature)
        curve = 0.5 * (length / joint_effort.PARTS_MAX) ** 2 * curvature[1]
        parts = [(tau[k], tau[k + 16]) for k in range(4, 260, 16)]
        most = max(max(ends) + joint_effort.bulge(*ends, curve) for ends in parts)
        assert most > 1.1 * tau.max()
        assert self.critical(motion) == pytest.approx(most, rel=1e-9)

    def test_a_peak_between_two_ends_is_found(self) -> None:
        motion, tau = self.pulled()
        most, ends = float(tau.max()), (tau[0], tau[4], tau[-1])
        assert most > 2.0 * max(ends)
        limits = with_joint(self.declared(0.95 * most), 0, max_effort=1e6)
        verdict = self.judge(limits, motion)
        assert (verdict.ok, verdict.subject) == (False, 1)
        assert 0.95 * most < verdict.value <= most
        assert most <= self.critical(motion) <= 2.0 * most

    def test_the_effort_error_is_taken_off(self) -> None:
        limits = with_joint(self.declared(self.bound), 1, effort_error=2.0)
        assert self.judge(limits, self.case(9.9)).ok
        verdict = self.judge(limits, self.case(10.1))
        assert not verdict.ok
        assert verdict.bound == 10.0

    def test_at_rest_it_is_gravity_exactly(self) -> None:
        """At rest nothing can bulge between samples: the bound is met to rounding."""
        robot = without_margins(panda())
        q = np.array(robot.home)
        tau = np.abs(efforts(robot, q, np.zeros(7), np.zeros(7)))
        start = np.zeros((7, 3))
        start[:, 0] = q
        motion = Motion(start, np.zeros(7), np.ones(3), np.zeros((7, 3)))
        heavy = int(np.argmax(tau))
        for share, allowed in ((1.0 + 1e-9, True), (1.0 - 1e-9, False)):
            limits = with_joint(robot, heavy, max_effort=share * tau[heavy])
            assert ask(limits, motion, self.holds).ok is allowed

    @pytest.mark.parametrize("robot", [without_margins(panda()), without_margins(slider())])
    def test_what_holds_is_never_more_in_between(self, robot: Limits) -> None:
        held = refused = 0
        for motion in random_motions(robot, seed=13, count=20, speed=0.6):
            truth = largest(robot, motion, 250)
            for share in (0.6, 0.98, 1.1, 2.0):
                joints = tuple(
                    replace(joint, max_effort=share * float(bound))
                    for joint, bound in zip(robot.joints, truth, strict=True)
                )
                ok = ask(replace(robot, joints=joints), motion, self.holds).ok
                assert not (ok and share < 1.0)
                held, refused = held + ok, refused + (not ok)
        assert held >= 10
        assert refused >= 40


def bound_as_documented(robot: Limits, work: Work, length: float) -> Array:
    """The bound on |tau''| (n,), as the kind's docstring derives it, for the first piece."""
    chain, n, reach = robot.kinematics, len(robot.joints), pack(robot).reach
    ddq, jerk = np.abs(work.pieces[0, :, 2]), np.abs(work.pieces[0, :, 3])
    A = np.maximum(ddq, np.abs(work.pieces[0, :, 2] + length * work.pieces[0, :, 3]))
    V = [speed_sup(work.pieces[0, j], 0.0, length) for j in range(n)]
    w = e = f = h = 0.0
    second, third, fourth, tau = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for k in range(n):
        w, e, f, h = (
            w + V[k],
            e + A[k] + V[k] * w,
            f + jerk[k] + 2 * A[k] * w + V[k] * (e + w**2),
            h + 3 * jerk[k] * w + 3 * A[k] * (e + w**2) + V[k] * (f + 3 * e * w + w**3),
        )
        second[k], third[k] = e + w**2, f + 3 * e * w + w**3
        fourth[k] = h + 4 * f * w + 3 * e**2 + 6 * e * w**2 + w**4
        lengths = reach[k, : k + 1] - np.append(reach[k, 1 : k + 1], 0.0)
        D2, D3, D4 = (float(lengths @ rate[: k + 1]) for rate in (second, third, fourth))
        g = float(np.linalg.norm(chain.gravity))
        moved = (2 * e + 4 * w**2) * (D2 + g) + 4 * w * D3 + D4
        turned = h + 10 * f * w + 39 * e * w**2 + 18 * w**4 + 7 * e**2
        largest = float(np.linalg.eigvalsh(chain.inertia[k])[-1])
        tau[: k + 1] += chain.mass[k] * reach[k, : k + 1] * moved + largest * turned
    return tau


def curvature_ratios(robot: Limits, seed: int, count: int) -> Array:
    """(count, n) sampled sup |tau''| of random pieces against the bound that the limit uses."""
    packed, rng, out = pack(robot), np.random.default_rng(seed), []
    v, a, j = (column(robot, f"max_{name}") for name in ("velocity", "acceleration", "jerk"))
    low, high, n = column(robot, "min_position"), column(robot, "max_position"), len(robot.joints)
    work, tau, bound = work_for(packed), np.zeros((41, n)), np.zeros(n)
    for _ in range(count):
        length, scale = float(rng.choice([0.004, 0.012, 0.1])), float(rng.choice([0.1, 1.0]))
        boxes = (v * scale, a * scale, np.minimum(j, a / length) * scale)
        work.pieces[0] = np.array(
            [rng.uniform(low, high), *(rng.uniform(-1, 1, n) * box for box in boxes)]
        ).T
        work.small[ENDS, :2] = 0.0, length
        work.fastest[0] = [speed_sup(piece, 0.0, length) for piece in work.pieces[0]]
        joint_effort._curvature(packed, work, 0, 1, bound)
        np.testing.assert_allclose(bound, bound_as_documented(robot, work, length), rtol=1e-11)
        for k in range(41):
            joint_effort._efforts_at(packed, work, 0, k * length / 40, tau[k])
        sampled_second = np.abs(np.diff(tau, 2, axis=0)).max(axis=0) / (length / 40) ** 2
        noise = 1e-12 * np.abs(tau).max() / (length / 40) ** 2
        out.append((sampled_second - noise) / np.maximum(bound, 1e-300))
    return np.array(out)


def test_what_holds_in_all_pieces_holds_in_each() -> None:
    robot = panda()
    packed = pack(robot)
    work, own, every = work_for(packed), np.zeros(7), np.zeros(7)
    for motion in random_motions(robot, seed=5, count=40):
        build(
            motion.start, motion.ddq_next, robot.period_s, motion.ticks, motion.jerk, work.pieces,
            work.small[ENDS],
        )  # fmt: skip
        note_speeds(work.pieces, work.small[ENDS], work.fastest)
        joint_effort._curvature(packed, work, 0, 4, every)
        for p in range(4):
            joint_effort._curvature(packed, work, p, p + 1, own)
            assert (own <= every).all()


TILTED = replace(panda(), kinematics=replace(panda().kinematics, gravity=array([3.0, -5.0, -7.5])))
CENTRED = replace(
    slider(),
    kinematics=replace(slider().kinematics, com=array([[0.1, 0.02, 0.05], [0.0] * 3])),
)


def test_the_bound_asks_how_strong_gravity_is_and_not_where_it_points() -> None:
    strength = float(np.linalg.norm(TILTED.kinematics.gravity))
    motion, bounds = random_motions(panda(), seed=6, count=1)[0], []
    for gravity in (
        [3.0, -5.0, -7.5],
        [strength, 0.0, 0.0],
        [0.0, -strength, 0.0],
        [0.0, 0.0, 0.0],
    ):
        chain = replace(panda().kinematics, gravity=array(gravity))
        packed, bound = pack(replace(panda(), kinematics=chain)), np.zeros(7)
        work = work_for(packed)
        build(
            motion.start, motion.ddq_next, panda().period_s, motion.ticks, motion.jerk,
            work.pieces, work.small[ENDS],
        )  # fmt: skip
        note_speeds(work.pieces, work.small[ENDS], work.fastest)
        joint_effort._curvature(packed, work, 0, 4, bound)
        bounds.append(bound)
    np.testing.assert_allclose(bounds[1], bounds[0], rtol=1e-12)
    np.testing.assert_allclose(bounds[2], bounds[0], rtol=1e-12)
    assert (bounds[3] < bounds[0]).all()


@pytest.mark.parametrize(
    "robot",
    [panda(), TILTED, weightless(panda()), slider(), weightless(slider()), CENTRED],
    ids=[
        "panda",
        "panda, tilted",
        "panda, no gravity",
        "slider",
        "slider, no gravity",
        "COM in the joint",
    ],
)
def test_no_second_derivative_exceeds_its_bound(robot: Limits) -> None:
    ratios = curvature_ratios(robot, seed=14, count=120)
    assert ratios.max() <= 1.0
    assert ratios.max() > 1e-3  # it is a bound on this, not on something else


def test_no_second_derivative_exceeds_its_bound_on_random_chains() -> None:
    rng = np.random.default_rng(15)
    for seed in range(8):
        robot = slider()
        chain = robot.kinematics
        types: list[Literal["revolute", "prismatic"]] = [
            "revolute" if rng.random() < 0.5 else "prismatic" for _ in range(2)
        ]
        turned = np.linalg.qr(rng.normal(size=(2, 3, 3)))[0]
        turned *= np.sign(np.linalg.det(turned))[:, None, None]
        chain = replace(chain, rotation=array(turned), com=array(rng.normal(size=(2, 3)) * 0.1))
        joints = tuple(
            replace(joint, type=kind) for joint, kind in zip(robot.joints, types, strict=True)
        )
        wild = replace(robot, kinematics=chain, joints=joints)
        assert curvature_ratios(wild, seed=seed, count=40).max() <= 1.0


def test_efforts_of_a_motion_that_is_not_finite_do_not_hold() -> None:
    """A NaN in a joint that carries nothing but itself is still refused."""
    robot = with_joints(slider(), max_effort=1e12)
    packed = pack(robot)
    work, report = work_for(packed), np.zeros(3)
    start = np.array([[np.nan, 0.0, 0.0], [0.3, 0.0, 0.0]])
    build(
        start,
        np.zeros(2),
        robot.period_s,
        np.ones(3),
        np.zeros((2, 3)),
        work.pieces,
        work.small[ENDS],
    )
    note_speeds(work.pieces, work.small[ENDS], work.fastest)
    assert not joint_effort.holds(packed, work, report)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_rises_above_two_ends_by_more_than_its_bulge(seed: int) -> None:
    """Parabolas bent as much as they may be are the worst, and reach it."""
    rng, closest = np.random.default_rng(seed), np.inf
    s = np.linspace(0.0, 1.0, 2001)
    for _ in range(400):
        a, b = rng.normal(size=2)
        curve = float(rng.choice([0.0, 1e-3, 1.0, 10.0])) * rng.uniform(0.1, 1.0)
        allowed = max(abs(a), abs(b)) + joint_effort.bulge(a, b, curve)
        for bent in (curve, -curve, 0.3 * curve):
            most = np.abs(a + (b - a) * s + bent * s * (1.0 - s)).max()
            assert most <= allowed + 1e-12
            closest = min(closest, allowed - most)
    assert closest < 1e-9


def test_what_is_no_number_has_no_bulge_that_fits() -> None:
    for values in ((np.nan, 0.0, 1.0), (0.0, np.nan, 1.0), (0.0, 0.0, np.nan), (0.0, 0.0, np.inf)):
        assert not joint_effort.bulge(*values) <= 1e300


def test_efforts_within_a_piece_are_what_the_chain_bears_then() -> None:
    for motion in random_motions(TILTED, seed=21, count=4):
        work, begins, tau = laid(pack(TILTED), motion), 0.0, np.zeros(7)
        for p, (seconds, _) in enumerate(phases(motion, TILTED.period_s)):
            for share in (0.0, 0.3, 0.8):
                expected = efforts(TILTED, *at(motion, TILTED.period_s, begins + share * seconds))
                joint_effort._efforts_at(pack(TILTED), work, p, share * seconds, tau)
                np.testing.assert_allclose(tau, expected, rtol=1e-8, atol=1e-8)
            begins += seconds


def test_efforts_at_rest_are_those_of_the_place_where_the_motion_begins() -> None:
    packed, tau, none = pack(TILTED), np.zeros(7), np.zeros(7)
    for motion in random_motions(TILTED, seed=22, count=4):
        joint_effort.at_rest(packed, laid(packed, motion), tau)
        np.testing.assert_allclose(tau, efforts(TILTED, motion.start[:, 0], none, none), atol=1e-9)


def laid(packed: Packed, motion: Motion) -> Work:
    work = work_for(packed)
    build(
        motion.start, motion.ddq_next, float(packed.scalar[PERIOD]), motion.ticks, motion.jerk,
        work.pieces, work.small[ENDS],
    )  # fmt: skip
    note_speeds(work.pieces, work.small[ENDS], work.fastest)
    return work


def test_what_is_too_much_at_the_very_start_is_refused_as_that() -> None:
    """However little it is a moment later."""
    robot = with_joint(weightless(plain_robot()), 1, max_effort=12.0)
    motion, report = still(), np.zeros(3)
    motion.start[1, 2] = 4.1  # 3 kg
    packed = pack(robot)
    assert not joint_effort.holds(packed, laid(packed, motion), report)
    assert report == pytest.approx([1.0, 12.3, 12.0])


def test_a_piece_begins_with_the_efforts_that_the_one_before_ended_with() -> None:
    robot = weightless(panda())
    packed, report = pack(robot), np.zeros(3)
    packed.joint[:, EFFORT] = 1e3
    packed.joint[:, EFFORT_ERROR] = 0.0
    for motion in random_motions(robot, seed=23, count=6, speed=0.3):
        work = laid(packed, motion)
        for rough in (0.0, math.inf):  # a first bound that is enough, and one that never is
            work.vector[2], work.efforts[0] = rough, 0.0
            length = work.small[ENDS, 1] - work.small[ENDS, 0]
            assert joint_effort._piece_holds(packed, work, 0, length, report)
            expected = efforts(robot, *at(motion, robot.period_s, robot.period_s))
            np.testing.assert_allclose(work.efforts[0], expected, rtol=1e-8, atol=1e-8)
            work.efforts[0, 3] = 1.001e3  # too much at its start
            assert not joint_effort._piece_holds(packed, work, 0, length, report)
            assert report.tolist() == [3.0, 1.001e3, 1e3]

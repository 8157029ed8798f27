"""Speed of links: proven by intervals, so never below what dense sampling of the motion finds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.limits.kinds.battery import PERIOD_S, MotionBattery, Verdict, ask, plain_robot, still
from tests.limits.slow_chain import capsule_axes, tcp
from tests.limits.slow_links import ball, capsule_speeds, inside
from tests.limits.slow_motion import Motion, random_motions, sampled, stopping, total_s
from tests.robots import (
    column,
    half_space,
    panda,
    slider,
    with_joint,
    with_joints,
    without_geometry,
    without_margins,
)

from checkrein.limits import Limits, LinkLimits, Zone
from checkrein.limits.certify import KINDS
from checkrein.limits.core import Core
from checkrein.limits.kernels.link_motion import is_limited
from checkrein.limits.kernels.packed import Packed, Work, pack
from checkrein.limits.kernels.reference import POSITION, VELOCITY
from checkrein.limits.kinds import link_speed
from checkrein.limits.records import Array


def limited(limits: Limits, speed: float | None) -> Limits:
    return replace(limits, links=LinkLimits(speed))


def slow_in(limits: Limits, *zones: Zone) -> Limits:
    return replace(limits, zones=zones)


def fastest(limits: Limits, motion: Motion, count: int) -> float:
    """Largest speed of any link among the samples."""
    return max(
        float(capsule_speeds(limits, q, dq).max())
        for q, dq, _ in sampled(motion, limits.period_s, count)
    )


def links_hold(packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
    code = link_speed.violated(packed, work, report)
    assert code in (0, link_speed.LINK, link_speed.ZONE)
    return int(code) == 0


class TestLinkSpeed(MotionBattery):
    bound = 0.5
    subject = 1
    slack = 0.01

    def declared(self, bound: float) -> Limits:
        return limited(plain_robot(), bound)

    def case(self, value: float) -> Motion:
        motion = still()
        still_fast = capsule_speeds(plain_robot(), motion.start[:, 0], np.array([1.0, 0.0])).max()
        motion.start[0, 1] = value / still_fast
        return motion

    def truth(self, case: Motion) -> float:
        return fastest(plain_robot(), case, 41)

    def holds(self, packed: Packed, work: Work, bounds: Array, report: Array) -> bool:
        return links_hold(packed, work, bounds, report)

    def corrupted(self, case: Any, bad: float) -> Iterator[Any]:
        """Also of a motion that would be slow enough in any posture: nothing is known of it."""
        yield from super().corrupted(self.case(0.99 * self.bound), bad)

    def test_a_peak_anywhere_in_a_phase_is_found(self) -> None:
        self.find_every_peak(float(self.case(self.bound).start[0, 1]))

    def test_not_declared_costs_nothing_and_binds_nothing(self) -> None:
        assert not is_limited(pack(limited(plain_robot(), None)))
        assert is_limited(pack(self.declared(1e3)))
        assert self.judge(limited(plain_robot(), None), self.case(1e6)).ok

    def test_errors_of_the_servos_are_charged(self) -> None:
        lever = float(capsule_speeds(plain_robot(), np.array([0.0, 0.25]), np.array([1.0, 0.0]))[1])
        limits = with_joints(self.declared(self.bound), velocity_error=0.1)
        room = self.bound - 0.1 * lever - 0.1  # the rail's error has a lever of one
        assert self.judge(limits, self.case(0.95 * room)).ok
        assert not self.judge(limits, self.case(1.01 * room)).ok


class TestZoneSpeed(TestLinkSpeed):
    """The same robot, in a zone that holds all of it."""

    subject = 1

    def declared(self, bound: float) -> Limits:
        return slow_in(plain_robot(), ball([0.0, 0.0, 0.0], 50.0, bound))

    def test_not_declared_costs_nothing_and_binds_nothing(self) -> None:
        assert is_limited(pack(self.declared(1e3)))
        far = slow_in(plain_robot(), ball([0.0, 0.0, 40.0], 1.0, 1e-3))
        assert self.judge(far, self.case(10.0)).ok

    def test_links_that_are_exempt_may_be_fast(self) -> None:
        zone = ball([0.0, 0.0, 0.0], 50.0, 1e-3, exempt=("link1",))
        assert self.judge(slow_in(plain_robot(), zone), self.case(0.5)).subject == 0
        zone = ball([0.0, 0.0, 0.0], 50.0, 1e-3, exempt=("link0", "link1"))
        assert self.judge(slow_in(plain_robot(), zone), self.case(0.5)).ok

    def test_of_two_zones_the_one_that_binds_is_named(self) -> None:
        zones = ball([0.0, 0.0, 0.0], 50.0, 5.0), ball([0.0, 0.0, 0.0], 50.0, 0.1)
        verdict = self.judge(slow_in(plain_robot(), *zones), self.case(0.5))
        assert (verdict.subject, verdict.bound) == (1 * 2 + 0, 0.1)


@pytest.mark.parametrize("robot", [without_margins(panda()), without_margins(slider())])
def test_what_holds_is_never_faster_in_between(robot: Limits) -> None:
    held = refused = 0
    for motion in random_motions(robot, seed=5, count=20, speed=0.7):
        truth = fastest(robot, motion, 150)
        for share in (0.7, 0.98, 1.25, 2.0):
            ok = ask(limited(robot, share * truth), motion, links_hold).ok
            assert not (ok and share < 1.0)
            held, refused = held + ok, refused + (not ok)
    assert held >= 20
    assert refused >= 40


@pytest.mark.parametrize("with_errors", [False, True])
def test_where_a_robot_may_be_in_a_zone_it_is_slow(with_errors: bool) -> None:
    """Judged densely, at any corner of the errors; zones of all sizes on the way of the tool."""
    robot = panda() if with_errors else without_margins(panda())
    rng, verdicts = np.random.default_rng(6), [0, 0]
    e_q, e_dq = column(robot, "position_error"), column(robot, "velocity_error")
    for motion in random_motions(robot, seed=8, count=50, speed=0.8):
        samples = sampled(motion, robot.period_s, 40)
        place = tcp(robot, samples[int(rng.integers(40))][0]) + rng.normal(size=3) * 0.1
        radius, speed = float(rng.uniform(0.02, 0.15)), float(rng.uniform(0.2, 1.2))
        zone = ball(place, radius, fastest(robot, motion, 20) * speed)
        ok = ask(slow_in(robot, zone), motion, links_hold).ok
        verdicts[ok] += 1
        if not ok:
            continue
        for q, dq, _ in samples:
            q, dq = q + e_q * rng.choice([-1, 1], 7), dq + e_dq * rng.choice([-1, 1], 7)
            fast = capsule_speeds(robot, q, dq)[inside(robot, zone, q)]
            assert (fast <= zone.max_speed).all()
    assert min(verdicts) >= 10


def test_braking_before_a_zone_is_certified_and_braking_too_late_is_not() -> None:
    """One joint turns towards a zone: what counts is how fast it is when it gets there."""
    robot = without_geometry(without_margins(panda()))
    start = np.zeros((7, 3))
    start[:, 0] = robot.home
    start[0, 1] = 1.5
    moving = stopping(pack(robot), start, np.zeros(7))
    assert moving is not None
    samples = sampled(moving, robot.period_s, 400)
    speeds = [float(capsule_speeds(robot, q, dq).max()) for q, dq, _ in samples]
    for k in (150, 200, 250, 300):
        zone = ball(tcp(robot, samples[k][0]), 0.05, 0.4)
        entered = next(
            (speeds[i] for i, (q, _, _) in enumerate(samples) if inside(robot, zone, q).any()), 0.0
        )
        assert ask(slow_in(robot, replace(zone, max_speed=1.15 * entered)), moving, links_hold).ok
        tight = slow_in(robot, replace(zone, max_speed=0.95 * entered))
        assert not ask(tight, moving, links_hold).ok


CARRIED = "object"
OTHERS = tuple({capsule.name for capsule in panda().capsules} - {CARRIED})


def crossing(limits: Limits, mode: int, ticks: int) -> tuple[list[float], list[bool], set[str]]:
    """Speed of what is carried, tick by tick, as one joint turns; whether it is in a zone."""
    core, one = Core(limits), [capsule.name for capsule in limits.capsules].index(CARRIED)
    motion, wrong = core.rest(limits.home)
    assert wrong is None
    speeds, within, seen = [], [], set()
    wanted = np.zeros((3, 7))
    wanted[0], wanted[0, 0] = motion[:-1, 0], 2.5
    wanted[1, 0] = 1.5 if mode == VELOCITY else 0.0
    for _ in range(ticks):
        motion, _, found = core.advance(motion, mode, wanted)
        q, dq = np.array(motion[:-1, 0]), np.array(motion[:-1, 1])
        speeds.append(float(capsule_speeds(limits, q, dq)[one]))
        within.append(any(bool(inside(limits, zone, q)[one]) for zone in limits.zones))
        seen |= {row[0] for row in found}
    return speeds, within, seen


@pytest.mark.parametrize(("mode", "speed"), [(VELOCITY, 0.3), (VELOCITY, 0.15), (POSITION, 0.2)])
def test_a_zone_is_crossed_at_its_speed_and_not_refused_at_its_edge(
    mode: int, speed: float
) -> None:
    robot = without_geometry(without_margins(panda()))
    x, y, z = tcp(robot, np.array(robot.home)).tolist()
    turned = [x * math.cos(1.0) - y * math.sin(1.0), x * math.sin(1.0) + y * math.cos(1.0), z]
    limits = slow_in(robot, ball(turned, 0.03, speed, exempt=OTHERS))
    speeds, within, seen = crossing(limits, mode, round(100 + 75 / speed))
    assert "zone_speed" in seen
    first = within.index(True)
    last = len(within) - within[::-1].index(True)
    assert first > 20
    assert last < len(within)  # it came out on the other side
    assert max(speeds[first:last]) <= speed
    assert min(speeds[first:last]) >= 0.8 * speed
    assert max(speeds[:first]) > 1.5 * speed  # it was fast before
    assert max(speeds[last:]) > 1.2 * speed  # and is again


def test_links_are_slowed_down_as_a_whole_to_just_below_their_bound() -> None:
    robot = limited(without_geometry(without_margins(panda())), 0.5)
    core, seen, fast, dq = Core(robot), set(), 0.0, np.zeros(7)
    motion, _ = core.rest(robot.home)
    wanted = np.zeros((3, 7))
    wanted[1] = [0.9, 0.2, -0.3, 0.0, 0.5, 0.4, -1.2]
    for _ in range(80):
        motion, _, found = core.advance(motion, VELOCITY, wanted)
        seen |= {row[0] for row in found}
        dq = np.array(motion[:-1, 1])
        fast = float(capsule_speeds(robot, np.array(motion[:-1, 0]), dq).max())
        assert fast <= 0.5
    assert "link_speed" in seen
    assert fast > 0.9 * 0.5
    along = float(dq @ wanted[1]) / float(np.linalg.norm(dq) * np.linalg.norm(wanted[1]))
    assert along > math.cos(math.radians(1.0))


def test_a_finding_names_the_link_and_the_zone() -> None:
    robot = without_geometry(without_margins(panda()))
    core = Core(slow_in(limited(robot, 0.4), ball(tcp(robot, np.array(robot.home)), 0.1, 0.1)))
    motion, _ = core.rest(robot.home)
    wanted = np.zeros((3, 7))
    wanted[1] = 1.0
    found = core.advance(motion, VELOCITY, wanted)[2]
    named = {row[0]: row for row in found}
    assert named["link_speed"][1] in {capsule.name for capsule in robot.capsules}
    assert named["link_speed"][2] > named["link_speed"][3] == pytest.approx(0.4 * 0.97)
    link, _, zone = named["zone_speed"][1].partition("/")
    assert (link in {capsule.name for capsule in robot.capsules}, zone) == (True, "cell")
    assert {named[kind][4] for kind in ("link_speed", "zone_speed")} == {"m/s"}
    assert Verdict(*ask(core.limits, still_panda(), links_hold)).ok


def still_panda() -> Motion:
    start = np.zeros((7, 3))
    start[:, 0] = panda().home
    return Motion(start, np.zeros(7), np.ones(3), np.zeros((7, 3)))


def behind(side: float, exempt: tuple[str, ...] = ("link0",), speed: float = 0.1) -> Zone:
    """All with y above `side` [m]; the column may turn in it."""
    volume = half_space("behind", [0.0, -1.0, 0.0], -side, "keep_out")
    return Zone(replace(volume, exempt=exempt), speed)


def swinging() -> tuple[Motion, float]:
    """The column turns at 1 rad/s, towards +y; where the carriage's skin is in the end, without."""
    motion = still()
    motion.start[0, 1] = 1.0
    end = np.array([total_s(motion, PERIOD_S), 0.25])
    return motion, float(capsule_axes(plain_robot(), end)[1][:, 1].max() + carriage_radius())


def carriage_radius() -> float:
    return plain_robot().capsules[1].radius


@pytest.mark.parametrize("column_off", [0.0, 0.01])
def test_a_zone_begins_where_a_link_may_touch_it(column_off: float) -> None:
    """To a share of how far it is off, and of what a first-order bound leaves out."""
    robot = with_joint(plain_robot(), 0, tracking_error=column_off)
    motion, reached = swinging()
    off = math.sin(column_off) * float(capsule_axes(robot, np.array([0.0, 0.25]))[1][:, 0].max())
    assert not ask(slow_in(robot, behind(reached + 0.95 * off - 1e-5)), motion, links_hold).ok
    assert ask(slow_in(robot, behind(reached + 1.05 * off + 2e-4)), motion, links_hold).ok
    clear, touched = behind(reached + 1.05 * off + 2e-4), behind(reached + 0.95 * off - 1e-5)
    # Whichever zone comes first, and also behind one that does not concern the link.
    exempt = behind(0.0, ("link0", "link1"))
    for zones in ((clear, touched), (touched, clear), (exempt, touched), (exempt, clear, touched)):
        verdict = ask(slow_in(robot, *zones), motion, links_hold)
        assert verdict.subject == 2 * zones.index(touched) + 1
        assert verdict.bound == 0.1


def test_a_link_that_leaves_a_zone_is_slow_until_it_has_left() -> None:
    """What counts is where it is at that time, be it at the very start."""
    motion, _ = swinging()
    for side, fine in ((-carriage_radius() - 1e-5, True), (-carriage_radius() + 1e-5, False)):
        volume = half_space("before", [0.0, 1.0, 0.0], side, "keep_out")
        zone = Zone(replace(volume, exempt=("link0",)), 0.1)
        assert ask(slow_in(plain_robot(), zone), motion, links_hold).ok is fine


def test_what_errors_add_to_the_fastest_point_is_charged_and_no_more() -> None:
    """Corner by corner of what positions and velocities may be off by."""
    robot = with_joint(plain_robot(), 0, velocity_error=0.1, tracking_error=0.01)
    robot = with_joint(robot, 1, velocity_error=0.02, tracking_error=0.02)
    motion, _ = swinging()
    fast = max(
        float(capsule_speeds(robot, np.array([0.0, 0.25 + rail]), np.array([1.1, slide])).max())
        for rail in (0.02, -0.02)
        for slide in (0.02, -0.02)
    )
    assert not ask(limited(robot, 0.9999 * fast), motion, links_hold).ok
    assert ask(limited(robot, 1.15 * fast), motion, links_hold).ok


def test_what_is_reported_is_the_fastest_point_with_what_errors_add() -> None:
    """In the middle of the tick, where it was looked at first."""
    robot = with_joint(plain_robot(), 0, velocity_error=0.1, tracking_error=0.01)
    robot = with_joint(robot, 1, velocity_error=0.02)
    motion, _ = swinging()
    off = capsule_speeds(robot, np.array([0.0, 0.25]), np.array([1.0, 0.0]))
    lever = float(off[1])  # of the column, at 1 rad/s; the rail's is one
    verdict = ask(limited(robot, 0.5 * lever), motion, links_hold)
    assert not verdict.ok
    assert verdict.value == pytest.approx(1.1 * lever + 0.02, rel=1e-3)


def ball_carried() -> Limits:
    """The carriage's link is a ball: how far it is from anything is how far its middle is."""
    robot = plain_robot()
    link = robot.capsules[1]
    return replace(robot, capsules=(robot.capsules[0], replace(link, end=link.start)))


@pytest.mark.parametrize("off", [0.0, 0.01])
@pytest.mark.parametrize("joint", [0, 1])
def test_a_ball_is_in_a_zone_as_soon_as_it_may_be(joint: int, off: float) -> None:
    """Nothing but the sum of radius, motion and errors keeps it out, whichever joint moves it."""
    robot, motion = with_joint(ball_carried(), joint, tracking_error=off), still()
    motion.start[joint, 1] = 0.5
    q = motion.start[:, 0] + motion.start[:, 1] * total_s(motion, PERIOD_S)
    at, beyond = (capsule_axes(robot, q + step)[1][0] for step in (0.0, 1e-6 * np.eye(2)[joint]))
    along = (beyond - at) / 1e-6  # m per rad or m of the joint
    lever = float(np.linalg.norm(along))
    for more, fine in ((-2e-5, False), (3e-4, True)):
        far = 0.05 + robot.capsules[1].radius + lever * off + more
        zone = ball(at + along / lever * far, 0.05, 0.01, exempt=("link0",))
        assert ask(slow_in(robot, zone), motion, links_hold).ok is fine


@pytest.mark.parametrize("share", [0.99, 1.01])
def test_a_long_swing_is_looked_at_until_it_is_sure(share: float) -> None:
    """Half a second in one piece, before a zone that it just does not, or just does reach."""
    robot, motion = ball_carried(), still()
    motion.start[0, 1] = 1.0
    motion.ticks[:] = 128.0, 1.0, 1.0
    end = np.array([total_s(motion, PERIOD_S), 0.25])
    reached = float(capsule_axes(robot, end)[1][0, 1]) + robot.capsules[1].radius
    zone = behind(reached / share)
    assert ask(slow_in(robot, zone), motion, links_hold).ok is (share < 1.0)


def test_codes_are_of_the_kinds_that_findings_name() -> None:
    assert [KINDS[code] for code in (link_speed.LINK, link_speed.ZONE)] == [
        "link_speed", "zone_speed",
    ]  # fmt: skip

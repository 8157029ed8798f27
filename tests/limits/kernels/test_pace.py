"""Before a zone: as fast as braking allows, and no slower in it than it has to be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_chain import tcp
from tests.limits.slow_links import ball, capsule_speeds
from tests.robots import column, panda, with_joints, without_geometry, without_margins

from checkrein.limits import Limits, LinkLimits
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.pace import BRAKE_SHARE, SHARE_MIN, SPEED_SHARE, pace
from checkrein.limits.kernels.packed import pack, work_for
from checkrein.limits.records import Array

CARRIED = "object"
TURN = np.array([1.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def robot() -> Limits:
    return without_geometry(without_margins(panda()))


def paced(limits: Limits, speeds: Array, gentle: float = 1.0) -> tuple[float, bool, bool, Array]:
    packed, report = pack(limits), np.zeros(6)
    work = work_for(packed)
    forward(packed, np.array(limits.home), work)
    return (*pace(packed, work, speeds, gentle, report), report)


def ahead(limits: Limits, away: float, speed: float, radius: float = 0.05) -> Limits:
    """A zone `away` [m] in front of what is carried, on the circle that it turns on."""
    place = tcp(limits, np.array(limits.home))
    (carried,) = (capsule for capsule in limits.capsules if capsule.name == CARRIED)
    angle = (away + radius + carried.radius) / math.hypot(place[0], place[1])
    c, s = math.cos(angle), math.sin(angle)
    center = [c * place[0] - s * place[1], s * place[0] + c * place[1], place[2]]
    others = tuple({capsule.name for capsule in limits.capsules} - {CARRIED})
    return replace(limits, zones=(ball(center, radius, speed, exempt=others),))


def carried_speed(limits: Limits) -> float:
    one = [capsule.name for capsule in limits.capsules].index(CARRIED)
    return float(capsule_speeds(limits, np.array(limits.home), TURN)[one])


def test_far_away_nothing_is_held_back() -> None:
    assert paced(ahead(robot(), 1.0, 0.1), TURN)[:3] == (1.0, False, False)
    assert paced(robot(), TURN)[:3] == (1.0, False, False)


def test_in_the_zone_its_own_speed_is_left() -> None:
    share, _, bound, report = paced(ahead(robot(), -0.05, 0.1), TURN)
    assert bound
    assert share * carried_speed(robot()) == pytest.approx(SPEED_SHARE * 0.1, rel=1e-9)
    assert report[5] == pytest.approx(SPEED_SHARE * 0.1)


def test_it_grows_with_the_distance_as_braking_allows() -> None:
    limits, shares = robot(), []
    fast, slow = carried_speed(limits), SPEED_SHARE * 0.1
    deceleration = BRAKE_SHARE * column(limits, "max_acceleration")[0] * fast / TURN[0]
    for away in (1e-4, 0.01, 0.02, 0.05, 0.1):
        shares.append(paced(ahead(limits, away, 0.1), TURN)[0])
        way = ((shares[-1] * fast) ** 2 - slow**2) / (2.0 * deceleration)
        assert way <= away * 1.05  # the way there is an arc; what reacting takes is on top
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(slow / fast, abs=0.01)
    assert shares[-1] > 2.0 * shares[0]


def test_away_from_a_zone_it_may_be_fast_soon() -> None:
    towards = paced(ahead(robot(), 0.02, 0.1), TURN)[0]
    assert paced(ahead(robot(), 0.02, 0.1), -TURN)[0] > 1.5 * towards


def test_who_brakes_gently_begins_earlier() -> None:
    shares = [paced(ahead(robot(), 0.05, 0.1), TURN, gentle)[0] for gentle in (1.0, 0.5, 0.1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[2] < 0.7 * shares[0]


def test_everywhere_the_fastest_link_decides() -> None:
    limits = replace(robot(), links=LinkLimits(0.3))
    top = float(capsule_speeds(limits, np.array(limits.home), TURN).max())
    share, bound, _, report = paced(limits, TURN)
    assert bound
    assert share * top == pytest.approx(SPEED_SHARE * 0.3, rel=1e-9)
    assert report[2] == pytest.approx(SPEED_SHARE * 0.3)


def test_errors_that_use_a_bound_up_leave_next_to_nothing() -> None:
    limits = replace(with_joints(robot(), velocity_error=1.0), links=LinkLimits(0.3))
    assert paced(limits, TURN)[0] == SHARE_MIN
    assert paced(limits, np.zeros(7))[0] == 1.0

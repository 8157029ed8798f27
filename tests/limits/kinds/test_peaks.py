"""A peak is found in whatever piece of a motion it is, and wherever in that piece.

Every limit that is proven by halving intervals, asked about the same motion: six pieces, in one of
which joints are fastest somewhere between its ends, and which rest in the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.kinds.battery import SCRATCH
from tests.limits.kinds.test_joint_effort import weightless
from tests.limits.slow_chain import capsule_axes, efforts, jacobian, tcp
from tests.limits.slow_geometry import upper_clearance
from tests.limits.slow_links import capsule_speeds
from tests.robots import array, panda, turntable, without_margins

from checkrein.limits import Limits, Volume
from checkrein.limits.kernels.motion import note_speeds
from checkrein.limits.kernels.packed import (
    EFFORT,
    ENDS,
    LINK_SPEED,
    STANDOFF,
    TCP_ACCELERATION,
    TCP_ROTATION,
    TCP_ROTATIONAL_ACCELERATION,
    TCP_SPEED,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kernels.tool_motion import tool_accelerations
from checkrein.limits.kinds import (
    joint_effort,
    link_speed,
    tcp_acceleration,
    tcp_rotation,
    tcp_speed,
    workspace,
)
from checkrein.limits.records import Array

# Weightless, so that an effort is of the motion alone.
ROBOT = weightless(without_margins(panda()))
PEAK_S, REST_S, DROP = 0.25, 0.125, 0.1
LIMITS = (LINK_SPEED, TCP_ACCELERATION, TCP_ROTATION, TCP_ROTATIONAL_ACCELERATION, TCP_SPEED)


def laid(limits: Limits, piece: int, one: Array) -> tuple[Packed, Work, Array]:
    """Six pieces in `work`, that one with q, dq, ddq and jerk (4, n) at its start; others rest.

    And q, dq and ddq of samples of it (k, 3, n). The second piece takes no time. A single joint has
    four. Nothing else in `work` is a number.
    """
    packed = pack(limits)
    work = work_for(packed)
    for name in SCRATCH:
        getattr(work, name)[...] = math.nan
    pieces = min(6, work.pieces.shape[0])
    lasts = [PEAK_S if p == piece else 0.0 if p == 1 else REST_S for p in range(pieces)]
    work.small[ENDS] = sum(lasts)
    work.small[ENDS, : pieces + 1] = np.concatenate([[0.0], np.cumsum(lasts)])
    t = np.linspace(0.0, PEAK_S, 101)[:, None]
    moved = [
        one[0] + t * (one[1] + t * (one[2] / 2.0 + t * one[3] / 6.0)),
        one[1] + t * (one[2] + t * one[3] / 2.0),
        one[2] + t * one[3],
    ]
    work.pieces[...] = 0.0
    work.pieces[:piece, :, 0], work.pieces[piece:, :, 0] = one[0], moved[0][-1]
    work.pieces[piece] = one.T
    note_speeds(work.pieces, work.small[ENDS], work.fastest)
    return packed, work, np.stack(moved, axis=1)


def peaked(share: float, fast: Array, home: Array = ROBOT.home) -> Array:
    """A piece from home: joints have the speeds `fast` (n,) at `share` of it, elsewhere less."""
    jerk = -2.0 * DROP * fast / PEAK_S**2
    return np.array([home, fast * (1.0 - DROP * share**2), -jerk * share * PEAK_S, jerk])


def returning(share: float, fast: Array) -> Array:
    """A piece from home whose joints are farthest away at `share` of it."""
    return np.array([ROBOT.home, fast, -fast / (share * PEAK_S), 0.0 * fast])


class Kind(NamedTuple):
    """How to bind one kind to a bound, what it then limits, and whether it holds."""

    bind: Callable[[Packed, float], None]
    value: Callable[[Packed, Array, Array, Array], float]
    holds: Callable[[Packed, Work, Array], bool]
    turning: bool = False


def scalar(column: int) -> Callable[[Packed, float], None]:
    def bind(packed: Packed, bound: float) -> None:
        packed.scalar[column] = bound

    return bind


def twist(q: Array, dq: Array) -> Array:
    return np.asarray(jacobian(ROBOT, q, tcp(ROBOT, q), 6) @ dq)


def bind_wrist(packed: Packed, bound: float) -> None:
    packed.joint[5, EFFORT] = bound


KINDS = {
    "tcp_speed": Kind(
        scalar(TCP_SPEED),
        lambda _, q, dq, ddq: float(np.linalg.norm(twist(q, dq)[:3])),
        tcp_speed.holds,
    ),
    "tcp_rotation": Kind(
        scalar(TCP_ROTATION),
        lambda _, q, dq, ddq: float(np.linalg.norm(twist(q, dq)[3:])),
        tcp_rotation.holds,
    ),
    "link_speed": Kind(
        scalar(LINK_SPEED),
        lambda _, q, dq, ddq: float(capsule_speeds(ROBOT, q, dq).max()),
        lambda packed, work, report: link_speed.violated(packed, work, report) == 0,
    ),
    "tcp_acceleration": Kind(
        scalar(TCP_ACCELERATION),
        lambda packed, *at: tool_accelerations(packed, *at)[0],
        lambda packed, work, report: tcp_acceleration.violated(packed, work, report) == 0,
    ),
    "tcp_rotational_acceleration": Kind(
        scalar(TCP_ROTATIONAL_ACCELERATION),
        lambda packed, *at: tool_accelerations(packed, *at)[1],
        lambda packed, work, report: tcp_acceleration.violated(packed, work, report) == 0,
        turning=True,  # two axes: their cross product
    ),
    "joint_effort": Kind(
        bind_wrist,
        lambda _, *at: abs(float(efforts(ROBOT, *at)[5])),
        joint_effort.holds,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("piece", [0, 2, 5])
@pytest.mark.parametrize("name", KINDS)
def test_a_peak_is_found_wherever_it_is(name: str, piece: int) -> None:
    kind, report = KINDS[name], np.zeros(3)
    fast = array([2.0, 2.0 * kind.turning, 0.0, 0.0, 0.0, 0.0, 0.0])
    for share in (0.2, 0.4, 0.6, 0.8):
        packed, work, samples = laid(ROBOT, piece, peaked(share, fast))
        packed.joint[:, EFFORT], packed.scalar[list(LIMITS)] = math.inf, math.inf
        values = [kind.value(packed, *at) for at in samples]
        assert max(values) > 1.0003 * max(values[0], values[-1])
        kind.bind(packed, 1.05 * max(values))
        assert kind.holds(packed, work, report)
        kind.bind(packed, max(values) / 1.0002)
        assert not kind.holds(packed, work, report)


@pytest.mark.parametrize("name", ["tcp_speed", "tcp_rotation", "link_speed"])
def test_a_half_that_is_slow_at_full_stretch_says_nothing_of_the_other(name: str) -> None:
    """A single joint is always at full stretch, so that its first half needs no kinematics."""
    robot, kind = without_margins(turntable()), KINDS[name]
    still, turning = np.array(robot.home), np.array([2.0])
    truth = {
        "tcp_speed": float(np.linalg.norm(jacobian(robot, still, tcp(robot, still), 0)[:3])) * 2.0,
        "tcp_rotation": 2.0,
        "link_speed": float(capsule_speeds(robot, still, turning).max()),
    }[name]
    for share in (0.2, 0.8):
        for bound, fine in ((1.05 * truth, True), (truth / 1.0002, False)):
            packed, work, _ = laid(robot, 0, peaked(share, turning, robot.home))
            packed.scalar[list(LIMITS)] = math.inf
            kind.bind(packed, bound)
            assert kind.holds(packed, work, np.zeros(3)) is fine


@pytest.mark.slow
@pytest.mark.parametrize("piece", [0, 2, 5])
@pytest.mark.parametrize("volume", ROBOT.volumes, ids=lambda volume: volume.name)
def test_the_nearest_place_is_found_wherever_it_is(volume: Volume, piece: int) -> None:
    """How far a volume is at the nearest is what its standoff may be, and not much less."""
    robot, report = replace(ROBOT, volumes=(volume,), self_collision=None), np.zeros(3)
    inner = 0
    for share in (0.4, 0.55, 0.7):
        for way in (1.0, -1.0):
            fast = way * array([1.0, 2.0, 0.0, -1.0, 0.0, 1.0, 0.0])
            packed, work, samples = laid(robot, piece, returning(share, fast))
            away = np.array([clear_of(volume, q) for q, _, _ in samples])
            inner += away.min() < min(away[0], away[-1]) - 2e-4
            packed.scalar[STANDOFF] = away.min() - 2e-3
            assert workspace.violated(packed, work, report) == 0
            packed.scalar[STANDOFF] = away.min() + 1e-6
            assert workspace.violated(packed, work, report) == workspace.WORKSPACE
    assert inner >= 1


def clear_of(volume: Volume, q: Array) -> float:
    """Of the whole body, sampled: at least the true clearance [m]."""
    axes, capsules = capsule_axes(ROBOT, q), ROBOT.capsules
    asked = [k for k, capsule in enumerate(capsules) if capsule.name not in volume.exempt]
    return min(upper_clearance(volume, axes[k], capsules[k].radius) for k in asked)

"""Contradictions in well-formed limits: the message names the two parties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_links import ball
from tests.robots import array, folding, half_space, with_joint, with_joints

from checkrein.limits import JointLimits, Limits, LinkLimits, load_limits
from checkrein.limits.errors import FeasibilityError
from checkrein.limits.feasibility import check_feasible, stop_distance
from checkrein.limits.loading import shipped_names
from checkrein.limits.posture import pair_clearances, pair_sweeps


@pytest.fixture
def panda() -> Limits:
    return load_limits("franka_panda")


def refused(limits: Limits, message: str) -> None:
    with pytest.raises(FeasibilityError, match=message):
        check_feasible(limits)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_names())
def test_shipped_limits_are_feasible(name: str) -> None:
    check_feasible(load_limits(name))


def test_home_at_the_edge_names_home_and_joint(panda: Limits) -> None:
    refused(
        with_joint(panda, 3, min_position=float(panda.home[3]) - 0.001),
        r"home and joint_limits\.panda_joint4 contradict",
    )


def test_stop_that_does_not_fit_the_range_names_speed_and_range(panda: Limits) -> None:
    refused(
        with_joint(panda, 0, min_position=-0.05, max_position=0.05),
        r"joint_limits\.panda_joint1: max_velocity and the position range contradict",
    )


def test_home_in_a_volume_names_link_and_volume(panda: Limits) -> None:
    wall = half_space("wall", [1.0, 0.0, 0.0], 0.5, "keep_in")
    refused(
        replace(panda, volumes=(*panda.volumes, wall)),
        r"home: link '\w+' and volume 'wall' contradict each other: [\d.]+ mm are missing",
    )


def test_nearly_nothing_is_free_names_link_and_volume(panda: Limits) -> None:
    walls = tuple(
        half_space(f"wall{i}", normal, offset, "keep_in")
        for i, (normal, offset) in enumerate(
            [([1.0, 0.0, 0.0], 0.65), ([0.0, 1.0, 0.0], 0.2), ([0.0, -1.0, 0.0], 0.2)]
        )
    )
    floor = half_space("floor", [0.0, 0.0, -1.0], -0.1, "keep_in")
    limits = replace(panda, volumes=(*walls, floor))
    refused(limits, r"only \d\.\d% of 400 sampled.* link '\w+' and volume '\w+' alone block")


def test_weak_joint_names_load_and_effort(panda: Limits) -> None:
    refused(
        with_joint(panda, 1, max_effort=10.0),
        r"holding the robot and its payload and joint_limits\.panda_joint2\.max_effort",
    )


def test_fast_joint_names_acceleration_and_effort(panda: Limits) -> None:
    refused(
        with_joint(panda, 5, max_acceleration=12.0),
        r"panda_joint6\.max_acceleration and joint_limits\.panda_joint6\.max_effort contradict",
    )


def test_heavier_payload_is_refused(panda: Limits) -> None:
    chain = panda.kinematics
    heavy = array([*chain.mass[:-1], float(chain.mass[-1]) + 8.0])
    refused(replace(panda, kinematics=replace(chain, mass=heavy)), r"max_effort contradict")


def brake(joint: JointLimits, period_s: float) -> float:
    """Way of a tick-wise stop from max_velocity, integrated: ramp, plateau, ramp."""
    ticks_max = 100_000
    best = float("inf")
    for ramp in range(1, 40):
        for plateau in range(ticks_max):
            gain = joint.max_velocity / ((ramp + plateau) * period_s)
            if gain <= joint.max_acceleration and gain / (ramp * period_s) <= joint.max_jerk:
                q, dq, ddq = 0.0, joint.max_velocity, 0.0
                for tick in range(2 * ramp + plateau):
                    jerk = (
                        -gain / (ramp * period_s)
                        if tick < ramp
                        else (gain / (ramp * period_s) if tick >= ramp + plateau else 0.0)
                    )
                    q += dq * period_s + ddq * period_s**2 / 2 + jerk * period_s**3 / 6
                    dq += ddq * period_s + jerk * period_s**2 / 2
                    ddq += jerk * period_s
                best = min(best, q)
                break
    return best


@pytest.mark.parametrize("name", shipped_names())
def test_stop_distance_is_that_of_an_integrated_stop(name: str) -> None:
    limits = load_limits(name)
    for joint in limits.joints:
        way = stop_distance(joint, limits.period_s) - joint.max_velocity * limits.period_s
        # Whole ticks make the real stop up to a tick longer.
        assert brake(joint, limits.period_s) - way + 1e-9 >= 0.0
        assert brake(joint, limits.period_s) - way <= joint.max_velocity * limits.period_s


def test_home_in_which_links_touch_names_both_and_the_way_out(panda: Limits) -> None:
    folded = array([0.0, -0.3, 0.0, -1.9, 0.0, 0.1, 0.8])
    limits = folding(replace(panda, home=folded, volumes=()), ("panda_link5", "panda_hand"))
    refused(
        limits,
        r"home: links 'panda_link5' and 'panda_hand' contradict.* mm are missing.*ignore",
    )


def test_a_pair_that_touches_nearly_everywhere_belongs_into_ignore(panda: Limits) -> None:
    """Found in the samples, though the two are apart at home."""
    limits = folding(replace(panda, volumes=()), ("panda_link5", "panda_link7"))
    low = [joint.min_position for joint in limits.joints]
    high = [joint.max_position for joint in limits.joints]
    q = np.random.default_rng(1).uniform(low, high, (400, 7)) * 0.98
    gaps = (pair_clearances(limits, q) - pair_sweeps(limits, q))[:, 0]
    best = int(gaps.argmax())
    limits = folding(
        replace(limits, home=array(q[best])),
        ("panda_link5", "panda_link7"),
        standoff=float(gaps[best]) - 1e-4,
    )
    refused(
        with_joints(limits, max_effort=1e3),
        r"self_collision: links 'panda_link5' and 'panda_link7' touch in \d+%.*ignore",
    )


def test_servo_errors_that_use_up_a_link_speed_are_named(panda: Limits) -> None:
    fast = with_joints(panda, velocity_error=0.08)
    refused(
        replace(fast, links=LinkLimits(0.1)),
        r"links.max_speed and velocity_error contradict.*link '\w+' by up to 0.\d+ m/s.*0.1 m/s",
    )
    zone = ball([0.5, 0.0, 0.5], 0.3, 0.1)
    refused(replace(fast, zones=(zone,)), r"zones.cell and velocity_error contradict")
    others = tuple({capsule.name for capsule in panda.capsules})
    check_feasible(replace(panda, zones=(ball([0.5, 0.0, 0.5], 0.3, 0.1, exempt=others),)))

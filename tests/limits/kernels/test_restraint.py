"""What is found of a motion that is held back: named once, and never beyond the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.robots import panda, without_geometry, without_margins

from checkrein.limits import Limits
from checkrein.limits.certify import KINDS
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.packed import PACE, Packed, Work, pack, work_for
from checkrein.limits.kernels.restraint import GENTLE, asks_too_much, brakes_with, note, restrain
from checkrein.limits.records import Array


def ready(limits: Limits, dq: Array) -> tuple[Packed, Work, Array]:
    packed, start = pack(limits), np.zeros((7, 3))
    work = work_for(packed)
    start[:, 0], start[:, 1] = limits.home, dq
    work.vector[1] = limits.home
    forward(packed, work.vector[1], work)
    return packed, work, start


def held(bound: float) -> Limits:
    robot = without_geometry(without_margins(panda()))
    return replace(robot, tcp=replace(robot.tcp, max_trans_acc=bound))


def test_a_full_table_takes_no_more() -> None:
    found = np.zeros((2, 4))
    count = 0
    for k in range(4):
        count = note(found, count, 1.0 + k, k, 2.0, 3.0)
    assert count == 2
    assert found[:, 0].tolist() == [1.0, 2.0]


def test_where_nothing_is_declared_nothing_changes() -> None:
    packed, work, start = ready(without_geometry(panda()), np.full(7, 0.3))
    speeds, found = np.full(7, 1.0), np.zeros((8, 4))
    work.small[PACE, GENTLE] = 0.3
    assert restrain(packed, start, work, speeds, found, 0) == 0
    assert (speeds == 1.0).all()
    assert work.small[PACE, GENTLE] == 1.0
    assert brakes_with(packed, start, work) == 1.0


def test_the_tools_acceleration_is_found_once() -> None:
    packed, work, start = ready(held(0.5), np.full(7, 0.1))
    speeds, found = np.full(7, 1.0), np.zeros((8, 4))
    count = restrain(packed, start, work, speeds, found, 0)
    assert count == 1
    assert KINDS[int(found[0, 0])] == "tcp_acceleration"
    assert found[0, 2] > found[0, 3] == 0.5
    assert (speeds < 1.0).all()
    gentle = work.small[PACE, GENTLE]
    assert 0.0 < gentle < 1.0
    assert 0.0 < brakes_with(packed, start, work) <= 1.0
    for joint in range(7):  # each asks for more than is left, none for more than it has
        most = panda().joints[joint].max_acceleration
        count = asks_too_much(packed, work, 0.9 * most, -most, most, joint, found, count)
    assert count == 1
    count = asks_too_much(packed, work, 100.0, -5.0, 5.0, 2, found, count)
    assert [KINDS[int(row[0])] for row in found[:count]] == [
        "tcp_acceleration",
        "joint_acceleration",
    ]
    found[:] = 0.0
    assert asks_too_much(packed, work, -0.9 * 7.5, -7.5, 5.0, 0, found, 0) == 1
    assert (found[0, 2], found[0, 3]) == (0.9 / gentle * 0.5, 0.5)

"""`checkrein bench`: way made along the command with slow-down off, beside klimits."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from tests.robots import panda

from checkrein.limits.records import Array
from checkrein.scripts.bench.comparison import joints_only
from checkrein.scripts.bench.contest import Answers, compete
from checkrein.scripts.bench.executed import (
    PERIODS_MS,
    Executed,
    along,
    compare_executed,
    executed_document,
    executed_table,
    held_alone,
)

JOINTS = joints_only(panda())


class Still:
    """Never moves."""

    answers: Answers = "velocity"

    def __init__(self, share: float = 0.0) -> None:
        self.share = share

    def decide(self, q: Array, dq: Array, ddq: Array, wanted: Array, /) -> Array:
        return self.share * wanted


def test_way_is_counted_along_the_command() -> None:
    wanted = np.tile(0.1 * np.ones(7), (20, 1))
    wanted[5:10] = 0.0  # nothing is asked for: it does not count
    half = along(compete(Still(0.5), np.array(JOINTS.home), wanted, 0.004))
    assert half == pytest.approx(15 * 0.004 * 0.5 * float(np.linalg.norm(wanted[0])))
    assert along(compete(Still(-1.0), np.array(JOINTS.home), wanted, 0.004)) < 0.0
    assert along(compete(Still(), np.array(JOINTS.home), 0.0 * wanted, 0.004)) == 0.0


def test_deadlines_last_as_long_as_ticks_do() -> None:
    limits = held_alone(JOINTS, 0.05)
    assert not limits.keeps_direction
    assert limits.timing.command_timeout_ms >= 150.0
    assert limits.timing.period_tolerance == JOINTS.timing.period_tolerance
    assert held_alone(JOINTS, 0.004).timing == JOINTS.timing


def test_a_peer_that_does_not_move_is_no_ratio() -> None:
    found = compare_executed(JOINTS, lambda _: Still(), steps=40, seed=1, periods_ms=(4.0,))
    assert [one.share for one in found] == [None]
    assert found[0].ours > 0.0
    assert executed_document(found)[0]["share"] is None
    assert executed_document([Executed(4.0, 1.0, 2.0)]) == [
        {"period_ms": 4.0, "ours": 1.0, "klimits": 2.0, "share": 0.5}
    ]
    assert executed_table([*found, Executed(4.0, 1.0, 2.0)]).row_count == 2


@pytest.mark.skipif(find_spec("klimits") is None, reason="klimits is not installed ([bench])")
def test_each_joint_for_itself_goes_as_far_as_klimits_lets_it() -> None:
    from checkrein.scripts.bench.peer_klimits import make

    for one in compare_executed(JOINTS, make, steps=1000, seed=2):
        assert one.share is not None
        assert one.share >= (0.99 if one.period_ms <= 10.0 else 0.97), one
    assert PERIODS_MS == (1.0, 4.0, 10.0, 50.0)

"""The bounds that the observer reads: of slowing down, and of joints that turn without end."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.limits.test_deceleration import driven
from tests.limits.test_turns import document

from checkrein.limits.loading import robots_folder
from checkrein.limits.records import Array

pytest.importorskip("pybullet")

from checkrein.sim.observed_bounds import ObservedBounds
from checkrein.sim.observer import Observer

T = 0.002


def frozen(factor: float) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((robots_folder() / "franka_panda.json").read_bytes())
    for joint in plain["joints"]:
        joint["max_deceleration"] = factor * joint["max_acceleration"]
    return {**plain, "period_s": T}


def beyond(plain: dict[str, Any], q: Array) -> int:
    """How many second differences of a stream (k, n) are over the observer's bound."""
    observer = Observer.__new__(Observer)
    observer._bounds = ObservedBounds.parse(plain)
    steps = np.diff(q, axis=0)
    slack = 1e-9 * observer._bounds.rate[1] + 8.0 * np.finfo(float).eps * np.abs(q).max() / T**2
    return sum(
        int((np.abs(now - before) / T**2 > observer._push_bound(before, now) + slack).sum())
        for before, now in pairwise(steps)
    )


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_second_differences_have_the_bound_of_what_the_joint_does(factor: float) -> None:
    rig = driven(factor, T)
    q = np.array([rig.stream[0]] * 2 + rig.stream)
    assert beyond(frozen(factor), q) == 0
    for field in ("max_acceleration", "max_deceleration"):
        tighter = frozen(factor)
        for joint in tighter["joints"]:
            joint[field] *= 0.8
        assert beyond(tighter, q) > 0, field


def test_what_may_be_left_out() -> None:
    plain = json.loads((robots_folder() / "franka_panda.json").read_bytes())
    up, down = ObservedBounds.parse(plain).push
    assert np.array_equal(up, down)


def test_a_joint_that_turns_without_end_has_no_range() -> None:
    bounds = ObservedBounds.parse(document())
    assert (bounds.low[6], bounds.high[6]) == (-math.inf, math.inf)
    assert np.isfinite(bounds.low[:6]).all()
    with pytest.raises(ValueError, match="max_deceleration"):
        ObservedBounds.parse(document(max_deceleration=math.inf))

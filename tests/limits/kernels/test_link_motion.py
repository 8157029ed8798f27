"""The fastest point of a capsule, against many points and against another way to split it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.limits.slow_links import body_point_speeds, capsule_speeds
from tests.robots import column, panda, shipped, slider

from checkrein.limits import Limits
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.link_motion import TWISTS, capsule_speed, link_twists
from checkrein.limits.kernels.packed import pack, work_for


@pytest.mark.parametrize("robot", [panda(), shipped("xarm6"), slider()])
def test_no_point_is_faster_and_one_is_as_fast(robot: Limits) -> None:
    packed, rng, n = pack(robot), np.random.default_rng(0), len(robot.joints)
    work = work_for(packed)
    for which in [*range(TWISTS + 1), 0, 1]:
        q = rng.uniform(column(robot, "min_position"), column(robot, "max_position"))
        dq = rng.normal(size=n) * (rng.random(n) < 0.6)
        forward(packed, q, work)
        link_twists(packed, work, dq, which)
        found = [capsule_speed(packed, work, k, which) for k in range(len(robot.capsules))]
        np.testing.assert_allclose(found, capsule_speeds(robot, q, dq), rtol=1e-9, atol=1e-12)
        points = body_point_speeds(robot, q, dq, rng)
        assert (points <= np.array(found) * (1.0 + 1e-12)).all()
        assert (points >= 0.98 * np.array(found)).all()


def test_a_speed_that_is_no_number_stays_one() -> None:
    robot = panda()
    packed = pack(robot)
    work = work_for(packed)
    forward(packed, np.array(robot.home), work)
    for joint in range(7):
        dq = np.zeros(7)
        dq[joint] = np.nan
        link_twists(packed, work, dq, 0)
        assert np.isnan(capsule_speed(packed, work, len(robot.capsules) - 1, 0))

"""What rounding adds to the theorem, as docs/GUARANTEE.md states it: measured against exact sums.

Exact here is the real-number value of what the stored float64 numbers mean (80-bit arithmetic has
eleven bits more, which is enough to see float64's error).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.drive import EPSILON, Rig
from tests.robots import column, panda, without_geometry

from checkrein.limits.core import Core, ticks_left
from checkrein.limits.records import Array
from checkrein.limits.stops import setpoint_of

if np.finfo(np.longdouble).eps > 1e-18:
    pytest.skip("needs 80-bit long double", allow_module_level=True)

PERIODS = (0.001, 0.004, 0.02, 0.05)
Exact = np.longdouble


def driven(period_s: float) -> Rig:
    """The Panda in empty space, at another period."""
    return Rig(replace(without_geometry(panda()), period_s=period_s)).arm()


def stream(period_s: float, seed: int) -> tuple[Array, Array, Array]:
    """q, dq, ddq (ticks, n) of bang-bang drives at the bounds and of the stops between them."""
    rig, rng = driven(period_s), np.random.default_rng(seed)
    for _ in range(3):
        for _ in range(2):
            rig.run(rng.choice([-4.0, 4.0], 7), int(0.3 / period_s) + 1)
        for _ in range(int(0.4 / period_s)):
            rig.tick(rig.velocity(np.nan))
    rows = [(d.setpoint.q, d.setpoint.dq, d.setpoint.ddq) for d in rig.decisions]
    q, dq, ddq = (np.array(column) for column in zip(*rows, strict=True))
    return q, dq, ddq


def added(period_s: float, seed: int) -> list[float]:
    """Largest error of the 1st, 2nd and 3rd streamed difference, in units of ε·max|q|/T^p."""
    q, dq, ddq = (part.astype(Exact) for part in stream(period_s, seed))
    T = Exact(period_s)
    step = dq[:-1] * T + T * T * (ddq[:-1] / 3 + ddq[1:] / 6)
    error = np.diff(q, axis=0) - step
    scale = Exact(EPSILON) * np.abs(q).max(axis=0)
    return [float((np.abs(np.diff(error, n=p, axis=0)) / scale).max()) for p in range(3)]


@pytest.mark.parametrize("period_s", PERIODS)
def test_streamed_differences_are_off_by_a_few_roundings_of_q(period_s: float) -> None:
    """A setpoint is a sum of four terms near |q|: three roundings of at most ε·|q|/2. The p-th
    difference adds 2^(p-1) of them; the oracle and the observer allow 8."""
    first, second, third = added(period_s, seed=1)
    assert 0.1 < first <= 1.5
    assert 0.1 < second <= 3.0
    assert 0.1 < third <= 6.0


def fast(period_s: float) -> tuple[Core, Array]:
    """A motion of the Panda at full speed, and its kernels."""
    rig = driven(period_s)
    rig.run([4.0, -4.0] * 3 + [4.0], int(0.3 / period_s) + 1)
    memory = rig.guard.memory
    assert memory is not None
    return Core(rig.limits), memory.motion


@pytest.mark.parametrize("period_s", PERIODS)
def test_what_the_end_of_a_stop_drops_is_rounding(period_s: float) -> None:
    """dq and ddq are set to zero after the last tick: what would be left after N ticks is at most
    N·ε of the declared velocity and acceleration."""
    core, motion = fast(period_s)
    N = ticks_left(motion)
    assert N >= 4
    for _ in range(N - 1):
        motion = core.brake(motion)
    assert motion[-1, :3].tolist() == [0.0, 0.0, 1.0]
    dq, ddq, jerk = motion[:-1, 1], motion[:-1, 2], motion[:-1, 5]
    left_dq = np.abs(dq + ddq * period_s + jerk * period_s**2 / 2.0)
    left_ddq = np.abs(ddq + jerk * period_s)
    assert (left_dq <= N * EPSILON * column(core.limits, "max_velocity")).all()
    assert (left_ddq <= N * EPSILON * column(core.limits, "max_acceleration")).all()
    assert not core.brake(motion)[:-1, 1:3].any()


@pytest.mark.parametrize("period_s", PERIODS)
def test_the_agents_stop_and_the_filters_are_the_same(period_s: float) -> None:
    """The agent sums a stop by phases, the filter by ticks, the certificate by pieces."""
    core, motion = fast(period_s)
    stop, apart = setpoint_of(motion, period_s).stop, 0.0
    for tick in range(1, stop.ticks_total + 1):
        motion = core.brake(motion)
        apart = max(apart, float(np.abs(stop.sample(tick)[0] - motion[:-1, 0]).max()))
    q_max = float(np.abs(motion[:-1, 0]).max())
    assert apart <= 1.5 * stop.ticks_total * EPSILON * q_max

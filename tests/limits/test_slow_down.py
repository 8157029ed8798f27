"""Least intervention, tick by tick: the commanded direction, as fast as the oracle admits it.

w: the commanded joint velocity, held for a while, then another. Whenever one tick can lead to a
speed on the ray {s·w, 0.01 <= s <= 1} from which there is a stop that the oracle finds nothing
against, the filter's speed is within a degree of w, and s at least 0.95 of the best. Where the ray
is out of reach, what is off it goes nearly as fast as it can: among motions from which every joint
can still arrive on the ray, in whole ticks of bounded steps, without going through it (ADR 8).

The reach of a tick, the ways to fade an acceleration and the nearest place of the ray are found
anew here, by search. Ticks under 1 % of every joint's top speed do not count.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.kernels.test_pursuit import angle
from tests.robots import column, panda, without_geometry

import checkrein.limits
from checkrein.limits import Limits
from checkrein.limits.certify import CERTIFIED
from checkrein.limits.core import Core
from checkrein.limits.kernels.braking import plan_each, plan_stop
from checkrein.limits.kernels.packed import BOUNDS, KEPT, REPORT, motion_shape, pack, work_for
from checkrein.limits.kernels.reference import VELOCITY
from checkrein.limits.records import Array
from checkrein.limits.stops import setpoint_of
from checkrein.limits.tick import _bounds, _forget
from checkrein.limits.trial import attempt
from checkrein.sim.oracle import Motion, judge_stops, judge_ticks, read_robot

pytestmark = pytest.mark.slow

ROBOTS = Path(str(checkrein.limits.__file__)).parent / "robots"
EASES = (1.0, 0.5, 0.25)


class Tick(NamedTuple):
    """One tick, as the line of least intervention sees it."""

    meets: bool  # whether the ray can be reached and stopped from
    degrees: float  # between the executed and the commanded velocity
    share: float  # of the best speed on the ray
    short: float  # of what can be taken off the distance from the ray: the part that was not
    matters: bool  # whether that is not rounding


class Judge:
    """What can be had in one tick of an arm: by its declared bounds, and by the oracle."""

    def __init__(self, limits: Limits) -> None:
        self.T = limits.period_s
        frozen = read_robot((ROBOTS / f"{limits.name}.json").read_bytes())
        # The robot may be off by its declared errors, the oracle's stream is not.
        bounds = dict(frozen.bounds)
        bounds["min_position"] = bounds["min_position"] + column(limits, "tracking_error")
        bounds["max_position"] = bounds["max_position"] - column(limits, "tracking_error")
        bounds["max_velocity"] = bounds["max_velocity"] - column(limits, "velocity_error")
        bounds["max_effort"] = bounds["max_effort"] - column(limits, "effort_error")
        self.robot = replace(frozen, period_s=limits.period_s, bounds=bounds)
        if not limits.volumes:
            self.robot = replace(
                self.robot, volumes=(), pairs=(), max_rot_vel_rad_s=None,
                max_trans_vel_m_s=limits.tcp.max_trans_vel,
            )  # fmt: skip
        self.packed = pack(limits)
        self.work = work_for(self.packed)
        self.fastest = column(limits, "max_velocity")
        self.a_max = column(limits, "max_acceleration")
        self.step = column(limits, "max_jerk") * self.T

    def reach(self, start: Array) -> tuple[Array, Array]:
        """Least and most speed (n,) after a tick."""
        low = np.maximum(-self.a_max, start[:, 2] - self.step)
        high = np.minimum(self.a_max, start[:, 2] + self.step)
        base = start[:, 1] + start[:, 2] * self.T / 2.0
        return base + low * self.T / 2.0, base + high * self.T / 2.0

    def admits(self, start: Array, speeds: Array) -> bool:
        """Whether there is a stop behind speeds (n,) after the tick: certified, or by oracle."""
        ddq = 2.0 * (speeds - start[:, 1]) / self.T - start[:, 2]
        ddq = np.clip(ddq, start[:, 2] - self.step, start[:, 2] + self.step)
        out = np.zeros(motion_shape(len(ddq)))
        _forget(self.work)
        _bounds(self.packed, start, self.work.triples[BOUNDS])
        report = self.work.small[REPORT]
        bounds = self.work.triples[BOUNDS]
        if attempt(self.packed, start, ddq, bounds, self.work, report, out) == CERTIFIED:
            return True
        return self.oracle_admits(start, ddq)

    def oracle_admits(self, start: Array, ddq: Array) -> bool:
        n, t = len(ddq), self.T
        q, dq, now = start.T
        j = (ddq - now) / t
        end = np.array(
            [q + dq * t + now * t * t / 2.0 + j * t**3 / 6.0, dq + (now + ddq) * t / 2.0, ddq]
        ).T
        rows = [part[None, :].copy() for part in (q, dq, now, *end.T)]
        after = (rows[3], rows[4], rows[5])
        motion = Motion(rows[0], rows[1], rows[2], *after, np.zeros(1, dtype=np.int64))
        if judge_ticks(self.robot, motion):
            return False
        for ease in (*EASES, 0.0):
            out = np.zeros(motion_shape(n))
            out[:n, :3] = end
            ticks, jerk = out[n, :-3], out[:n, 3:]
            if ease > 0.0:
                found = plan_stop(
                    self.packed, end[:, 1].copy(), end[:, 2].copy(), ease, ticks, jerk
                )
            else:
                self.work.motions[KEPT, :, 2] = math.nan
                found = plan_each(self.packed, out[:n, :3], 1.0, self.work, ticks, jerk)
            if not found:
                continue
            stop = setpoint_of(out, t).stop
            if not judge_stops(self.robot, [stop], after)[0]:
                return True
        return False

    def best(self, start: Array, w: Array) -> float | None:
        """The most of w (n,) that is admitted after the tick, to a hundredth; None if none is."""
        low, high = (ends / w for ends in self.reach(start))
        least = max(0.01, float(np.minimum(low, high).max()))
        most = min(1.0, float(np.maximum(low, high).min()))
        if least > most:
            return None
        for share in np.linspace(most, least, 41):
            if self.admits(start, share * w):
                return float(share)
        return None

    def arrives(self, start: Array, w: Array, mine: Array) -> float:
        """How near the joints can come to a place of the ray, without going through it, at best.

        Of what is not admitted, what is on the way from there to `mine` (n,).
        """
        places = np.linspace(0.0, 1.0, 201)[:, None] * w
        after = self.fading(start, places)
        best = after[np.linalg.norm(after - places, axis=1).argmin()]
        ways = (part * mine + (1.0 - part) * best for part in np.linspace(0.0, 1.0, 21))
        return min(off(mine, w), next((off(x, w) for x in ways if self.admits(start, x)), math.inf))

    def fading(self, start: Array, targets: Array) -> Array:
        """The speeds (k, n) after the tick that are nearest to targets, and need not go beyond."""
        base = start[:, 1] + start[:, 2] * self.T / 2.0
        low, high = (np.broadcast_to(ends, targets.shape) for ends in self.reach(start))
        for _ in range(40):  # halving: where the fade ends grows with the speed
            speed = 0.5 * (low + high)
            ddq = 2.0 * (speed - base) / self.T
            whole = np.ceil(np.abs(ddq) / self.step)
            beyond = speed + ddq * self.T * whole / 2.0 > targets
            low, high = np.where(beyond, low, speed), np.where(beyond, speed, high)
        return 0.5 * (low + high)


def off(speeds: Array, w: Array) -> float:
    """Distance of speeds (n,) from the ray of w."""
    along = max(0.0, float(speeds @ w / (w @ w)))
    return float(np.linalg.norm(speeds - along * w))


@cache
def driven(period_s: float, top: float, hold: int, ticks: int) -> list[Tick]:
    """The shipped arm, commanded random velocities up to a share of its top speed."""
    limits = replace(without_geometry(panda()), period_s=period_s)
    judge, core, out = Judge(limits), Core(limits), []
    rng, (motion, _) = np.random.default_rng(3), core.rest(limits.home)
    w = np.zeros(core.n)
    for tick in range(ticks):
        start = np.array(motion[:-1, :3])
        if tick % hold == 0:
            w = rng.uniform(-1.0, 1.0, core.n)
            w *= rng.uniform(0.1, 1.0) * top / np.abs(w / judge.fastest).max()
            back = np.sign(w) == np.sign(start[:, 0] - limits.home)
            w = np.where(back & (rng.random(core.n) < 0.5), -w, w)
        reference = np.array([np.zeros(core.n), w, np.zeros(core.n)])
        motion, _, _ = core.advance(motion, VELOCITY, reference)
        dq = motion[:-1, 1]
        if float(np.abs(dq / judge.fastest).max()) < 0.01:
            continue
        best = judge.best(start, w)
        if best is not None:
            out.append(Tick(True, angle(dq, w), float(dq @ w / (w @ w)) / best, 0.0, False))
            continue
        now, mine, could = off(start[:, 1], w), off(dq, w), judge.arrives(start, w, dq)
        gain = abs(now - could)
        matters = gain > 1e-3 * float(np.linalg.norm(w))
        out.append(Tick(False, 0.0, 1.0, (mine - could) / gain if matters else 0.0, matters))
    return out


CASES = {  # period, share of the top speed, ticks that a command is held, ticks
    "1 ms": (0.001, 0.8, 60, 300),
    "2 ms": (0.002, 0.4, 60, 300),
    "4 ms": (0.004, 0.8, 60, 400),
    "4 ms, slowly": (0.004, 0.05, 30, 400),
    "10 ms": (0.01, 0.8, 30, 300),
    "50 ms": (0.05, 0.8, 20, 200),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
def test_a_direction_that_can_be_had_is_had_at_once(case: tuple[float, float, int, int]) -> None:
    on = [tick for tick in driven(*case) if tick.meets]
    assert len(on) >= 40
    assert max(tick.degrees for tick in on) <= 1.0


@every_case
def test_and_as_fast_as_it_can_be_had(case: tuple[float, float, int, int]) -> None:
    assert min(tick.share for tick in driven(*case) if tick.meets) >= 0.95


@every_case
def test_what_is_off_it_goes_as_fast_as_it_can_without_swinging(
    case: tuple[float, float, int, int],
) -> None:
    short = [tick.short for tick in driven(*case) if tick.matters]
    assert len(short) >= 10
    assert np.mean(np.array(short) <= 0.1) >= 0.98
    assert max(short) <= 0.5

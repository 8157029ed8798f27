"""From what a command asks for to an acceleration that is worth certifying.

A velocity that is held is pursued as fast as the limits allow, in its own direction (see
kernels.pursuit). Any other reference is followed by a cascade whose bandwidth is what the declared
jerk and acceleration allow: ddq lags by beta = min(1, j_max·T/a_max) a tick, speed by beta/4,
position by beta/12 (three nearly equal poles).
First all joints slow down together, along the commanded direction; then each
is held to its own bounds, position by the speed from which it could still stop. Where the file does
not ask to keep the direction, each is held to its own bounds only (kernels.alone). Nothing here is
trusted: `certify` judges the result.
"""

from __future__ import annotations

import math

from .kernels.acceleration import least, most
from .kernels.alone import alone
from .kernels.chain import forward, tcp_velocity
from .kernels.jit import apart, kernel
from .kernels.packed import (
    ACCELERATION,
    ALONG,
    ARRIVED,
    AT_BOUND,
    DECELERATION,
    FLAG,
    FOUND_MAX,
    FREE,
    GENTLE_FREE,
    JERK,
    KEEPS_DIRECTION,
    MOVING,
    NUMBER,
    PACE,
    PACKED,
    PERIOD,
    ROW,
    TABLE,
    TCP_SPEED,
    VELOCITY,
    VELOCITY_ERROR,
    WALLS,
    WHOLE,
    WORK,
    Floats,
    Packed,
    Work,
)
from .kernels.pursuit import (
    HIGHEST,
    LOWEST,
    SHARE_MIN,
    SLOPE,
    STEP,
    TARGET,
    arriving,
    pursue,
)
from .kernels.reference import VELOCITY as MODE_VELOCITY
from .kernels.restless import gently, jerk_share
from .kernels.restraint import GENTLE, asks_too_much, brakes_with, note, restrain
from .kernels.room import THERE, mark_arrived, raise_caps, write_caps
from .kernels.walls import held_off, held_off_from
from .kinds import tcp_rotation
from .tool_speed import SHARE as TCP_SHARE
from .tool_speed import stoppable, translation

__all__ = ["FOUND_MAX", "project", "slid"]

# Codes of `certify.KINDS`.
_JERK, _ACCELERATION, _VELOCITY, _POSITION, _TCP_SPEED = 1.0, 2.0, 3.0, 4.0, 6.0
_TCP_ROTATION = 10.0
# Stay this far inside, so that rounding in q' = q + … does not leave the bound.
INSIDE = 1.0 - 1e-11
# Below this share of its top speed no change of direction is worth a swing.
CALM = 0.01

_turning = tcp_rotation.rotational_speed_and_bound
_found = note


@kernel
def _wanted_speed(
    mode: int,
    reference: Floats,
    i: int,
    q: float,
    gain: float,
    acceleration: float,
    low: float,
    high: float,
) -> float:
    """Speed that follows the reference; a position target outside the bounds means the bound."""
    if mode == MODE_VELOCITY:
        return reference[1, i]
    error = min(high, max(low, reference[0, i])) - q
    return reference[1, i] + math.copysign(
        min(gain * abs(error), math.sqrt(acceleration * abs(error))), error
    )


@kernel
def _slowdown_for_stop(
    packed: Packed, start: Floats, speeds: Floats, work: Work, found: Floats, count: int
) -> int:
    """Scale all speeds (n,), held for an unknown time, so that a stop keeps the TCP's bounds."""
    moving = work.vector[MOVING]
    for i in range(speeds.shape[0]):
        moving[i] = 0.0 if work.vector[ARRIVED, i] > 0.0 else speeds[i]
    scale = stoppable(packed, start, moving, work)
    if scale < 1.0:
        fast, bound = translation(packed, work, moving)
        turning, limit = _turning(packed, work, moving)
        if fast * limit >= turning * bound:
            count = _found(found, count, _TCP_SPEED, 0, fast, scale * fast)
        else:
            count = _found(found, count, _TCP_ROTATION, 0, turning, scale * turning)
        for i in range(speeds.shape[0]):
            speeds[i] *= scale
    return count


@kernel
def _slowdown(
    packed: Packed,
    start: Floats,
    speeds: Floats,
    bounds: Floats,
    held: bool,
    work: Work,
    found: Floats,
    count: int,
) -> int:
    """Scale all speeds (n,) by one factor until joint velocities and the TCP's speeds fit.

    One factor keeps the direction of the motion, per-joint clamps would bend it (trap 6): only
    where that is what the file asks for, a joint that is too fast is held back by itself. held: for
    an unknown time; joints that have arrived at a bound (work.vector[ARRIVED]) move no tool then.
    """
    n, scale, errors, moving = speeds.shape[0], 1.0, 0.0, work.vector[MOVING]
    together = packed.scalar[KEEPS_DIRECTION] > 0.0
    for i in range(n):
        if not (abs(speeds[i]) <= bounds[2, i]):
            count = _found(found, count, _VELOCITY, i, abs(speeds[i]), bounds[2, i])
            if together:
                scale = min(scale, bounds[2, i] / abs(speeds[i]) * INSIDE)
            else:
                speeds[i] = math.copysign(bounds[2, i] * INSIDE, speeds[i])
        errors += packed.joint[i, VELOCITY_ERROR] * packed.reach[n, i]
        moving[i] = 0.0 if held and work.vector[ARRIVED, i] > 0.0 else speeds[i]
    fast = tcp_velocity(packed, work, moving) * scale
    # What the certificate will ask for: see kinds/tcp_speed.py.
    bound = max(0.0, packed.scalar[TCP_SPEED] - errors) * TCP_SHARE
    if not (fast <= bound):  # at full stretch; where the arm is, errors may cost less
        bound = max(bound, translation(packed, work, moving)[1] * TCP_SHARE)
    if not (fast <= bound):
        count = _found(found, count, _TCP_SPEED, 0, fast, bound)
        scale *= bound / fast * INSIDE
    turning, bound = _turning(packed, work, moving)
    bound = max(0.0, bound)  # errors that exceed it leave nothing; they do not turn the motion back
    if not (turning * scale <= bound * TCP_SHARE):
        count = _found(found, count, _TCP_ROTATION, 0, turning * scale, bound * TCP_SHARE)
        scale = bound * TCP_SHARE / turning * INSIDE
    if scale < 1.0:
        for i in range(n):
            speeds[i] *= scale
    count = restrain(packed, start, work, speeds, found, count)
    return _slowdown_for_stop(packed, start, speeds, work, found, count) if held else count


@kernel
def _share(packed: Packed, i: int) -> float:
    """The share of a wanted change of acceleration that one tick makes up."""
    most_of_both = max(packed.joint[i, ACCELERATION], packed.joint[i, DECELERATION])
    return min(1.0, packed.joint[i, JERK] * packed.scalar[PERIOD] / most_of_both)


@kernel
def _smoothly(packed: Packed, start: Floats, i: int, speed: float, feed: float) -> float:
    """The acceleration of the cascade towards a speed that changes at `feed` [1/s²]."""
    period, dq, now = packed.scalar[PERIOD], start[i, 1], start[i, 2]
    beta = _share(packed, i)
    return now + beta * (feed + beta / 4.0 * (speed - dq) / period - now)


@kernel
def _pursued(
    packed: Packed,
    start: Floats,
    bounds: Floats,
    reference: Floats,
    work: Work,
    found: Floats,
    count: int,
    along_wall: bool,
    ddq: Floats,
    slow: Floats,
) -> int:
    """Towards the speeds in work.vector[0], each at most its cap, all by one factor.

    A command is found to ask for too much acceleration or jerk where the cascade would need it: to
    be on the way to a new speed as fast as the joint can is not to violate anything (ADR 3).
    """
    n, period, share, calm = start.shape[0], packed.scalar[PERIOD], 1.0, math.inf
    together = packed.scalar[KEEPS_DIRECTION] > 0.0
    soft = jerk_share(work) if along_wall else 1.0
    if along_wall:
        work.small[WALLS, ALONG] = 1.0
    speeds, cap, arrived = work.vector[0], work.vector[2], work.vector[ARRIVED]
    write_caps(packed, start, bounds, work)
    if together:
        raise_caps(packed, start, bounds, work)
    for i in range(n):
        arrived[i] = 0.0
        if together and abs(speeds[i]) > cap[i]:
            bound = bounds[1, i] if speeds[i] > 0.0 else bounds[0, i]
            count = _found(found, count, _POSITION, i, start[i, 0], bound)
            if cap[i] >= SHARE_MIN * abs(speeds[i]):
                share = min(share, cap[i] / abs(speeds[i]))
            else:  # it has arrived: the others go on, along this bound
                arrived[i], room = 1.0, abs(bound - start[i, 0])
                speeds[i] = math.copysign(cap[i] if room > THERE else 0.0, speeds[i])
    for i in range(n):
        row, dq, now = work.ray[i], start[i, 1], start[i, 2]
        low, high = least(dq, now, packed.joint[i], period), most(dq, now, packed.joint[i], period)
        gentle, step = work.small[PACE, GENTLE] * INSIDE, packed.joint[i, JERK] * period * INSIDE
        row[TARGET] = speeds[i] if arrived[i] > 0.0 else share * speeds[i]
        row[SLOPE] = reference[2, i] if share == 1.0 else 0.0
        row[STEP] = step
        # What is harder now than it may be, as of a bound that shrinks with dq, becomes as gentle
        # as jerk allows.
        row[LOWEST] = min(max(low * gentle, now - step), now + step)
        row[HIGHEST] = max(min(high * gentle, now + step), now - step)
        if soft < 1.0 and not arrived[i] > 0.0 and abs(speeds[i]) <= cap[i]:
            gently(row, dq, now, period, soft)
        wanted = _smoothly(packed, start, i, row[TARGET], row[SLOPE])
        count = asks_too_much(packed, work, wanted, low, high, i, found, count)
        if not abs(wanted - now) <= packed.joint[i, JERK] * period:
            count = _found(found, count, _JERK, i, abs(wanted - now) / period, step / period)
        if not together:
            fading = arriving(dq, now - row[SLOPE], row[TARGET], step, period) + row[SLOPE]
            ddq[i], slow[i] = min(row[HIGHEST], max(row[LOWEST], fading)), math.nan
        row[TARGET] += row[SLOPE] * period
        calm = min(calm, CALM * packed.joint[i, VELOCITY])
    if not together:
        return alone(packed, start, bounds, work, found, count, ddq)
    pursue(start, work.ray, period, calm, along_wall, ddq, slow)
    return count


@apart(PACKED, TABLE, TABLE, TABLE, WHOLE, NUMBER, WORK, TABLE, ROW, ROW)
def slid(
    packed: Packed,
    start: Floats,
    bounds: Floats,
    reference: Floats,
    count: int,
    lift: float,
    work: Work,
    found: Floats,
    ddq: Floats,
    slow: Floats,
) -> bool:
    """As `project` for a held velocity, along the volumes that were too near; False if none was.

    work.small[WALLS, :count]: volume · (number of capsules) + capsule; lift >= 0 [m]: how far from
    their margins the capsules are to stay. After `project`, for the same tick: the findings are
    those that it has made, and the speeds to begin with are those it has left in FREE.
    """
    q, speeds, full = work.vector[1], work.vector[0], found.shape[0]
    for i in range(start.shape[0]):
        q[i], speeds[i] = start[i, 0], work.vector[FREE, i]
        work.vector[ARRIVED, i] = work.vector[AT_BOUND, i]
    forward(packed, q, work)
    work.small[PACE, GENTLE] = work.small[WALLS, GENTLE_FREE]
    if not held_off_from(packed, start, count, lift, speeds, work, found):
        return False
    _slowdown(packed, start, speeds, bounds, True, work, found, full)
    _pursued(packed, start, bounds, reference, work, found, full, True, ddq, slow)
    return True


@kernel
def _cascade(
    packed: Packed,
    start: Floats,
    bounds: Floats,
    reference: Floats,
    work: Work,
    found: Floats,
    count: int,
    slowed: int,
    ddq: Floats,
) -> int:
    """Towards the speeds in work.vector[0], each at most work.vector[2], joint by joint."""
    n, period, speeds, is_slowed = (
        start.shape[0],
        packed.scalar[PERIOD],
        work.vector[0],
        count > slowed,
    )
    for i in range(n):
        q, now, speed = start[i, 0], start[i, 2], speeds[i]
        dq, j_max = start[i, 1], packed.joint[i, JERK]
        low, high = least(dq, now, packed.joint[i], period), most(dq, now, packed.joint[i], period)
        cap, feed = work.vector[2, i], 0.0 if is_slowed else reference[2, i]
        if abs(speed) > cap:
            bound = bounds[1, i] if speed > 0.0 else bounds[0, i]
            count = _found(found, count, _POSITION, i, q, bound)
            speed, feed = math.copysign(cap, speed), 0.0
        wanted = _smoothly(packed, start, i, speed, feed)
        count = asks_too_much(packed, work, wanted, low, high, i, found, count)
        gentle = work.small[PACE, GENTLE]
        if not (low * gentle <= wanted <= high * gentle):
            wanted = (low if wanted < 0.0 else high) * gentle * INSIDE
        if not (abs(wanted - now) <= j_max * period):
            count = _found(found, count, _JERK, i, abs(wanted - now) / period, j_max)
            wanted = now + math.copysign(j_max * period * INSIDE, wanted - now)
        ddq[i] = wanted
    return count


@apart(PACKED, TABLE, WHOLE, FLAG, TABLE, TABLE, WORK, TABLE, ROW, ROW)
def project(
    packed: Packed,
    start: Floats,
    mode: int,
    held: bool,
    reference: Floats,
    bounds: Floats,
    work: Work,
    found: Floats,
    ddq: Floats,
    slow: Floats,
) -> int:
    """Write the projected ddq (n,) and the bounds that bit into found (f, 4); return their number.

    A row of `found` is kind, joint, value, bound. No row: the desired motion itself. slow (n,) is
    the slowest motion in the commanded direction; NaN where there is none. held: the command is a
    velocity for an unknown time.
    """
    n, period, count = start.shape[0], packed.scalar[PERIOD], 0
    speeds, gentle = work.vector[0], brakes_with(packed, start, work)
    for i in range(n):
        a_max, low, high = packed.joint[i, DECELERATION] * gentle, bounds[0, i], bounds[1, i]
        gain = _share(packed, i) / 12.0 / period
        speeds[i] = _wanted_speed(mode, reference, i, start[i, 0], gain, a_max, low, high)
        if not math.isfinite(speeds[i]):  # a slope between huge rows
            count = _found(found, count, _VELOCITY, i, math.inf, bounds[2, i])
            speeds[i] = 0.0
        work.vector[1, i] = start[i, 0]
        if mode != MODE_VELOCITY and not (low <= reference[0, i] <= high):
            bound = low if reference[0, i] < low else high
            count = _found(found, count, _POSITION, i, reference[0, i], bound)
    forward(packed, work.vector[1], work)
    slowed = count
    if held:
        mark_arrived(packed, start, bounds, gentle, work)
    count = _slowdown(packed, start, speeds, bounds, held, work, found, count)
    for i in range(n):
        slow[i] = math.nan
    if held:
        for i in range(n):
            work.vector[FREE, i], work.vector[AT_BOUND, i] = speeds[i], work.vector[ARRIVED, i]
        work.small[WALLS, GENTLE_FREE] = work.small[PACE, GENTLE]
        count, is_damped = held_off(packed, start, speeds, work, found, count)
        if is_damped:
            count = _slowdown(packed, start, speeds, bounds, held, work, found, count)
        return _pursued(packed, start, bounds, reference, work, found, count, is_damped, ddq, slow)
    write_caps(packed, start, bounds, work)
    count = _cascade(packed, start, bounds, reference, work, found, count, slowed, ddq)
    if packed.scalar[KEEPS_DIRECTION] > 0.0:
        return count
    return alone(packed, start, bounds, work, found, count, ddq)

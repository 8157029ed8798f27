"""From what speed a joint can still stop before its bound ahead: what `project` slows down to.

An estimate in closed form, with what the jerk takes; the certificate is what decides.
"""

from __future__ import annotations

import math

from .alone import POSITION, stops_alone
from .jit import kernel
from .packed import ARRIVED, DECELERATION, JERK, KEEPS_DIRECTION, PACE, PERIOD, Floats, Packed, Work
from .pursuit import SHARE_MIN
from .restraint import GENTLE

__all__ = ["THERE", "mark_arrived", "raise_caps", "stopping_time", "write_caps"]

# As near to its bound as this [rad or m] a joint rests: creeping on, it would hold up the others.
THERE = 1e-5

# The most that a joint can have after the tick is looked for until it is known to this share, by so
# many halvings.
CLOSE, HALVINGS = 0.995, 12
# So much of it, unless the estimate is more: on the very edge of what it can stop from, a joint
# would be pushed back and forth by the whole ticks of its stop.
SHORT = 0.975


@kernel
def _speed_for(room: float, acceleration: float, jerk: float, period: float) -> float:
    """Speed from which a joint stops within `room`: v²/(2a) + v·(a/2j + T) = room, solved for v."""
    if not room > 0.0:
        return 0.0
    lag = acceleration * (acceleration / (2.0 * jerk) + period)
    return -lag + math.sqrt(lag * lag + 2.0 * acceleration * room)


@kernel
def _cap(
    packed: Packed,
    start: Floats,
    bounds: Floats,
    speed: float,
    slowest: float,
    gentle: float,
    i: int,
) -> float:
    """The speed [rad/s or m/s] from which joint i can still stop before its bound ahead."""
    period, q, dq, now = packed.scalar[PERIOD], start[i, 0], start[i, 1], start[i, 2]
    a_max, j_max = packed.joint[i, DECELERATION] * gentle, packed.joint[i, JERK]
    ahead = dq * period + now * period * period / 2.0
    room = (
        (bounds[1, i] - q - max(0.0, ahead))
        if speed > 0.0
        else (q - bounds[0, i] + min(0.0, ahead))
    )
    if not packed.scalar[KEEPS_DIRECTION] > 0.0:  # it need not wait for the slowest one
        return _speed_for(room, a_max, j_max, period)
    shared = slowest + a_max / j_max + period
    return min(_speed_for(room, a_max, j_max, period), 2.0 * max(0.0, room) / shared)


@kernel
def slowest_stop(packed: Packed, speeds: Floats, work: Work) -> float:
    """How long [s] the joint that takes longest brakes: as long as the synchronised stop does."""
    slowest = 0.0
    for i in range(speeds.shape[0]):
        slowest = max(slowest, abs(speeds[i]) / packed.joint[i, DECELERATION])
    return slowest / work.small[PACE, GENTLE]


@kernel
def stopping_time(packed: Packed, speeds: Floats, work: Work) -> float:
    """How long [s] a stop from speeds (n,) takes, with the longest that a joint needs for jerk."""
    lag = 0.0
    for i in range(speeds.shape[0]):
        a_max = packed.joint[i, DECELERATION] * work.small[PACE, GENTLE]
        lag = max(lag, a_max / packed.joint[i, JERK])
    return slowest_stop(packed, speeds, work) + lag


@kernel
def mark_arrived(packed: Packed, start: Floats, bounds: Floats, gentle: float, work: Work) -> None:
    """Mark in work.vector[ARRIVED] the joints that rest at a bound: speeds are those in vector[0].

    What one of them is asked for is not to be had, or less than SHARE_MIN of it: counted in, it
    would be said to give way to a volume. One that is asked for nothing is not to be sent beyond
    its bound, either.
    """
    together = packed.scalar[KEEPS_DIRECTION] > 0.0
    work.small[PACE, GENTLE] = gentle
    slowest = slowest_stop(packed, start[:, 1], work)
    for i in range(start.shape[0]):
        speed = work.vector[0, i]
        is_high = speed >= 0.0 and bounds[1, i] - start[i, 0] <= THERE
        is_low = speed <= 0.0 and start[i, 0] - bounds[0, i] <= THERE
        least = SHARE_MIN * abs(speed)
        is_held = least > 0.0 and _cap(packed, start, bounds, speed, slowest, gentle, i) < least
        work.vector[ARRIVED, i] = 1.0 if together and (is_high or is_low or is_held) else 0.0


@kernel
def write_caps(packed: Packed, start: Floats, bounds: Floats, work: Work) -> None:
    """Write the cap of each speed in work.vector[0] into work.vector[2]."""
    slowest, gentle = slowest_stop(packed, start[:, 1], work), work.small[PACE, GENTLE]
    for i in range(start.shape[0]):
        speed = work.vector[0, i]
        work.vector[2, i] = _cap(packed, start, bounds, speed, slowest, gentle, i)


@kernel
def _lets(packed: Packed, start: Floats, bounds: Floats, i: int, speed: float, work: Work) -> bool:
    """Whether joint i can have a speed after the tick and stop from it, alone, before its bound."""
    wanted = 2.0 * (speed - start[i, 1]) / packed.scalar[PERIOD] - start[i, 2]
    return stops_alone(packed, start, bounds, i, wanted, work) != POSITION


@kernel
def _most(
    packed: Packed, start: Floats, bounds: Floats, speed: float, cap: float, i: int, work: Work
) -> float:
    """The most of a speed that joint i can have after the tick and stop from, alone; or cap."""
    period, sign = packed.scalar[PERIOD], math.copysign(1.0, speed)
    middle = sign * (start[i, 1] + start[i, 2] * period)
    reach = packed.joint[i, JERK] * period * period / 2.0
    low, high = max(cap, middle - reach), min(abs(speed), middle + reach)
    if not low < high:
        return cap
    if _lets(packed, start, bounds, i, sign * high, work):
        return high
    if not _lets(packed, start, bounds, i, sign * low, work):
        return cap
    for _ in range(HALVINGS):
        if low >= CLOSE * high:
            break
        tried = 0.5 * (low + high)
        if _lets(packed, start, bounds, i, sign * tried, work):
            low = tried
        else:
            high = tried
    return low


@kernel
def raise_caps(packed: Packed, start: Floats, bounds: Floats, work: Work) -> None:
    """Raise the caps in work.vector[2] that hold back a speed in work.vector[0] without need."""
    for i in range(start.shape[0]):
        speed, cap = work.vector[0, i], work.vector[2, i]
        if abs(speed) > cap:
            most = _most(packed, start, bounds, speed, cap, i, work)
            work.vector[2, i] = most if most >= abs(speed) else max(cap, SHORT * most)

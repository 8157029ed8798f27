"""The share of a commanded velocity that the speed of links allows: everywhere, and before zones.

All joints keep their proportions, so a share s of the command w moves every capsule at a share of
its speed v. Braking takes tau = max|w_i|/a_i from all of w at the joints' decelerations a_i; a
motion that comes nearer to a zone at u·s slows down from s to the zone's share s_z within
    u·(tau·(s² - s_z²)/2 + lag·(s - s_z)),
where lag is what jerk and the tracker take before braking has begun. So the share that may be left
at a distance d is
    s = -b + sqrt((b + s_z)² + 2·d/(u·tau)),   b = lag/tau,
which is s_z at the zone's edge: the motion goes on into it instead of stopping before it.
Nothing here is trusted: the certificate judges the result.
"""

from __future__ import annotations

import math

from .clearance import clearance, is_beyond
from .jit import apart, kernel
from .link_motion import axis_velocity, capsule_speed, link_twists
from .packed import (
    DECELERATION,
    HALF,
    JERK,
    LEVER,
    LINK_SPEED,
    NUMBER,
    PACKED,
    PERIOD,
    PLANE,
    RADIUS,
    ROW,
    STILL,
    VELOCITY_ERROR,
    WORK,
    ZONE_SPEED,
    ZONED,
    Floats,
    Packed,
    Work,
)
from .separation import sweeps, uphill

__all__ = ["pace"]

# Of the bound: what the bending of the way within a tick and its stop may take.
SPEED_SHARE = 0.97
# Of the accelerations: braking before a zone leaves the stop the rest.
BRAKE_SHARE = 0.7
# In ramps of acceleration (or ticks, if longer): what the tracker takes to follow.
LAG_RAMPS = 4.0
# Of a capsule's speed, at least, counts as towards the zone: its way may bend.
SIDEWAYS = 0.1
# No command is scaled to nothing by a bound that servo errors use up: the certificate decides.
SHARE_MIN = 1e-6
ROUNDING, ROUNDING_M = 1.0 + 1e-9, 1e-9


@kernel
def _braking(packed: Packed, speeds: Floats) -> tuple[float, float]:
    """Seconds that braking takes from `speeds` (n,), and before it has begun."""
    tau, lag = 0.0, packed.scalar[PERIOD]
    for i in range(speeds.shape[0]):
        a_max = packed.joint[i, DECELERATION]
        tau = max(tau, abs(speeds[i]) / a_max)
        lag = max(lag, a_max / packed.joint[i, JERK])
    return tau / BRAKE_SHARE, lag * LAG_RAMPS


@kernel
def _errors(packed: Packed, work: Work, k: int) -> float:
    """What velocity errors of the servos add to capsule k's speed [m/s]."""
    total = 0.0
    for j in range(int(packed.capsule[k, 0]) + 1):
        lever = work.swept[LEVER, k, j] + packed.capsule[k, RADIUS]
        total += lever * packed.joint[j, VELOCITY_ERROR]
    return total


@kernel
def _before_zone(
    packed: Packed,
    work: Work,
    v: int,
    k: int,
    fast: float,
    slow: float,
    share: float,
    tau: float,
    lag: float,
) -> float:
    """The share that capsule k may keep before the zone of volume v, at most `share`.

    fast: its speed [m/s] at all of the command; slow: the share that the zone allows inside.
    """
    axis, still = work.segment[k], work.swept[STILL, k, int(packed.capsule[k, 0])]
    x, y, z = work.middle[0, k], work.middle[1, k], work.middle[2, k]
    way = fast * (0.5 * tau * (share * share - slow * slow) + lag * (share - slow))
    far = packed.capsule[k, HALF] + packed.capsule[k, RADIUS] + still + way
    far = far * ROUNDING + ROUNDING_M
    if is_beyond(packed.volume[v], packed.mesh, x, y, z, far):
        return share
    clear = clearance(packed.volume[v], packed.mesh, axis, packed.capsule[k, RADIUS], work.simplex)
    room, n = clear - still, work.small[PLANE]
    if not room > 0.0 or not uphill(packed, work, v, k, clear, n):
        return slow
    nearing = SIDEWAYS * fast
    for end in range(2):
        vx, vy, vz = axis_velocity(packed, work, k, 0, end)
        nearing = max(nearing, -(n[0] * vx + n[1] * vy + n[2] * vz))
    b = lag / tau
    left = math.sqrt((b + slow) * (b + slow) + 2.0 * room / (nearing * tau)) - b
    return min(share, max(slow, left))


@apart(PACKED, WORK, ROW, NUMBER, ROW)
def pace(
    packed: Packed, work: Work, speeds: Floats, gentle: float, report: Floats
) -> tuple[float, bool, bool]:
    """The share of speeds (n,) that is left; whether a bound of all links, and a zone, bound it.

    gentle: the share of their accelerations that joints may brake with.

    The frames in `work` are those of now (after `forward`). report (6,) gets subject, value [m/s]
    and bound [m/s] of the slowest link, then of the slowest zone.
    """
    still, share, is_linked, is_zoned = work.vector[4], 1.0, False, False
    for i in range(speeds.shape[0]):
        still[i] = 0.0
    link_twists(packed, work, speeds, 0)
    tau, lag = _braking(packed, speeds)
    tau /= gentle
    capsules, first_zone = packed.capsule.shape[0], packed.volume.shape[0] - packed.zone.shape[0]
    for k in range(capsules):
        fast = capsule_speed(packed, work, k, 0)
        if not (fast > 0.0 and tau > 0.0):
            continue
        work.known[k] = 0.0
        sweeps(packed, work, k, still)
        errors = _errors(packed, work, k)
        bound = max(0.0, packed.scalar[LINK_SPEED] - errors) * SPEED_SHARE
        if not (fast * share <= bound):
            report[0], report[1], report[2] = k, fast * share, bound
            share, is_linked = max(SHARE_MIN, bound / fast), True
        for z in range(packed.zone.shape[0]):
            bound = max(0.0, packed.zone[z, ZONE_SPEED] - errors) * SPEED_SHARE
            slow = max(SHARE_MIN, bound / fast)
            if packed.zone[z, ZONED + k] == 0.0 or share <= slow:
                continue
            left = _before_zone(packed, work, first_zone + z, k, fast, slow, share, tau, lag)
            if left < share:
                report[3], report[4], report[5] = z * capsules + k, fast * share, left * fast
                share, is_zoned = left, True
    return share, is_linked, is_zoned

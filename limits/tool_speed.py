"""How much of the commanded speeds the tool's own largest speeds leave: now, and in the stop.

A stop is straight in joint space. Where the arm stretches on its way, the tool becomes faster in it
than it was, and the certificate judges the whole of it. Found out by being rejected, the speed that
can be had would be looked for anew in every tick, each time a bit elsewhere; so it is worked out
before, for a velocity that is held: from the speeds w, s(t) being the share of them that the stop
has left and d(t) how far it has gone, the tool has |J(q + d·w)·w|·s.
Nothing here is trusted: the certificate judges the result.
"""

from __future__ import annotations

from .kernels.braking import plan_stop
from .kernels.chain import frames, tcp_levers, tcp_velocity
from .kernels.jit import apart, kernel
from .kernels.packed import (
    PACE,
    PACKED,
    PERIOD,
    ROW,
    TABLE,
    TCP_SPEED,
    TRIAL,
    VELOCITY_ERROR,
    WORK,
    Floats,
    Packed,
    Work,
)
from .kernels.restraint import GENTLE
from .kinds.tcp_rotation import rotational_speed_and_bound

__all__ = ["SHARE", "stoppable", "translation"]

# The certificate also charges the bending of the path within a tick; leave it something.
SHARE = 0.97
# And, of what a stop makes of it, within all of the stop.
IN_STOP = 0.96
# Slower than this share of the bound, no stop is taken to make the tool too fast.
SLOW = 0.5
# So many looks at the stop, as long as the tool gets faster in it.
LOOKS = 12


@kernel
def translation(packed: Packed, work: Work, speeds: Floats) -> tuple[float, float]:
    """The tool's speed, and what the certificate will hold a steady motion to (kinds/tcp_speed.py).

    The bound less servo errors, for the frames in `work`: where the arm is, not at full stretch.
    """
    levers, errors = work.vector[6], 0.0
    tcp_levers(packed, work, levers)
    for i in range(speeds.shape[0]):
        errors += packed.joint[i, VELOCITY_ERROR] * levers[i]
    return tcp_velocity(packed, work, speeds), packed.scalar[TCP_SPEED] - errors


@kernel
def _taken(packed: Packed, work: Work, speeds: Floats, share: float) -> float:
    """Of what either bound leaves, how much the tool takes at a share of the speeds (n,)."""
    fast, bound = translation(packed, work, speeds)
    taken = share * fast / bound if bound > 0.0 else 0.0
    turning, bound = rotational_speed_and_bound(packed, work, speeds)
    return max(taken, share * turning / bound if bound > 0.0 else 0.0)


@kernel
def _peak(packed: Packed, start: Floats, speeds: Floats, share: float, work: Work) -> float:
    """The most that is taken in the stop after a tick at a share of the speeds (n,)."""
    n, period, phases = start.shape[0], packed.scalar[PERIOD], work.motions.shape[2] - 3
    stop, q, dq, ddq = work.motions[TRIAL], work.vector[4], work.vector[5], work.vector[7]
    for i in range(n):
        dq[i], ddq[i] = share * speeds[i], 0.0
    if not plan_stop(packed, dq, ddq, work.small[PACE, GENTLE], stop[n, :phases], stop[:n, 3:]):
        return 0.0
    first, whole = stop[n, 0] * period, (stop[n, 0] + stop[n, 1] + stop[n, 2]) * period
    if not whole > 0.0:
        return 0.0
    # What is lost in a second at full deceleration: all of it, in the time that the two ramps, of
    # equal length, and what is between them take.
    rate, before, last = 1.0 / (whole - 0.5 * (first + stop[n, 2] * period)), 0.0, 0.0
    for look in range(LOOKS):
        t = whole * look / LOOKS
        ramp, beyond = min(t, first), max(0.0, t - first)
        left = 1.0 - rate * (0.5 * ramp * ramp / first + beyond)
        lost = ramp * ramp * ramp / (6.0 * first) + beyond * 0.5 * (first + beyond)
        gone = period + t - rate * lost
        for i in range(n):
            q[i] = start[i, 0] + gone * dq[i]
        frames(packed, q, work)
        taken = _taken(packed, work, dq, left)
        if not taken > last:  # the peak was before: of the parabola through the last three
            bend = 2.0 * last - before - taken
            if look > 1 and bend > 0.0:
                return last + (before - taken) * (before - taken) / (8.0 * bend)
            return last
        before, last = last, taken
    return last


@apart(PACKED, TABLE, ROW, WORK)
def stoppable(packed: Packed, start: Floats, speeds: Floats, work: Work) -> float:
    """Which share of the speeds (n,) is slow enough to be stopped from, as the tool's bounds go.

    The frames in `work` are those of now, work.vector[1] its q; they are so afterwards.
    """
    if not _taken(packed, work, speeds, 1.0) > SLOW:
        return 1.0
    share, most = 1.0, _peak(packed, start, speeds, 1.0, work)
    if most > IN_STOP:
        # The peak grows faster than in proportion, so that a share of the bound is too slow, and
        # the chord up from there is not too fast.
        low = IN_STOP / most
        least = _peak(packed, start, speeds, low, work)
        share = low
        if least < IN_STOP:
            share += (1.0 - low) * (IN_STOP - least) / (most - least)
    frames(packed, work.vector[1], work)
    return share

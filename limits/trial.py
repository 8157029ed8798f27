"""Trials: an acceleration is certified with a stop of its own, or a slower one is looked for.

What is written is certified in this call. Which accelerations are worth a trial, and in which
order, is the concern of `tick.advance`.
"""

from __future__ import annotations

from .certify import CERTIFIED, EFFORT, NO_STOP, POSITION, SPEED, certify
from .kernels.braking import plan_each, plan_slow, plan_stop
from .kernels.jit import apart, kernel
from .kernels.packed import (
    BOUNDS,
    HINT,
    JERK,
    PACKED,
    PERIOD,
    REPORT,
    ROW,
    TABLE,
    TRIAL,
    WANTED,
    WORK,
    Floats,
    Packed,
    Work,
)
from .kernels.pursuit import TARGET
from .kernels.tool_motion import gentleness, is_held
from .kinds import resting
from .kinds.tcp_acceleration import ROTATIONAL, TRANSLATIONAL

__all__ = [
    "FROM_REST",
    "IN_VAIN",
    "ON_RAY",
    "TOWARDS_STOP",
    "attempt",
    "copied",
    "on_ray",
    "towards",
]

# A slower motion in the commanded direction is looked for until the fastest that is certified is
# known to this share, by so many trials; after this many in vain, the slowest decides.
CLOSE, ON_RAY, IN_VAIN = 0.985, 8, 2
# So much of a joint's largest jerk is no jolt: see `_steadily`.
STEADY = 0.08
# How often the way to the stop is halved.
TOWARDS_STOP = 4
# And from rest, where effort is short: any motion takes some more, the slower it is the less.
FROM_REST = 14
# A stop that needs too much effort at full deceleration, or moves the tool too hard, is tried once
# more, more gently.
EASES = (1.0, 0.5)
# And from rest, where effort is short, a slow one [s]: more is won on its way down than braking
# takes (ADR 14).
SLOW_S = 1.0

_may_rest = resting.violated


@kernel
def _end_of_tick(packed: Packed, start: Floats, ddq: Floats, out: Floats) -> None:
    """Write (n, 3) q, dq, ddq at the end of a tick of constant jerk."""
    t = packed.scalar[PERIOD]
    for i in range(start.shape[0]):
        q, dq, now = start[i, 0], start[i, 1], start[i, 2]
        j = (ddq[i] - now) / t
        out[i, 0] = q + dq * t + now * t * t / 2.0 + j * t * t * t / 6.0
        out[i, 1] = dq + now * t + j * t * t / 2.0
        out[i, 2] = ddq[i]


@apart(PACKED, TABLE, ROW, TABLE, WORK, ROW, TABLE)
def attempt(
    packed: Packed,
    start: Floats,
    ddq: Floats,
    bounds: Floats,
    work: Work,
    report: Floats,
    out: Floats,
) -> int:
    """Certify one acceleration with a stop of its own; write setpoint and stop into out.

    Where the synchronised stop leads beyond a joint's bound, because a joint brakes for as long as
    the others do, each joint's own is tried. Other rejections it hardly ever changes (ADR 12).
    """
    n, phases = start.shape[0], out.shape[1] - 3
    end, ticks, jerk = out[:n, :3], out[n, :phases], out[:n, 3:]
    _end_of_tick(packed, start, ddq, end)
    out[n, phases:] = 0.0
    code, ease = NO_STOP, 1.0
    report[0], report[1], report[2] = 0.0, 0.0, 0.0
    # Where the tool's acceleration is limited, so is how hard a stop may brake: the less, the
    # slower the motion is, so that there is always one that is slow enough to be stopped.
    gentle = gentleness(packed, work, end) if is_held(packed) else 1.0
    for which in range(int(work.small[HINT, 1]), len(EASES)):
        ease = EASES[which] * gentle
        if not plan_stop(packed, end[:, 1], end[:, 2], ease, ticks, jerk):
            return NO_STOP
        code = certify(packed, start, ddq, ticks, jerk, bounds, work, report)
        if code == CERTIFIED:
            code = _may_rest(packed, work, report)
            break
        if code not in (EFFORT, TRANSLATIONAL, ROTATIONAL):
            break
        # What needs too much effort here does so a little further on the way to the stop, too.
        work.small[HINT, 1] = which + 1.0 if which + 1 < len(EASES) else work.small[HINT, 1]
    if code in (SPEED, POSITION) and n > 1:
        first, subject, value, bound = code, report[0], report[1], report[2]
        if plan_each(packed, end, ease, work, ticks, jerk):
            code = certify(packed, start, ddq, ticks, jerk, bounds, work, report)
        if code == CERTIFIED:
            code = _may_rest(packed, work, report)
        if code == CERTIFIED:
            return CERTIFIED
        code, report[0], report[1], report[2] = first, subject, value, bound
    return code


@kernel
def _attempt_slowly(packed: Packed, start: Floats, ddq: Floats, work: Work, out: Floats) -> bool:
    """As `attempt`, with a stop that takes its time; whether it is certified."""
    n, phases = start.shape[0], out.shape[1] - 3
    end, ticks, jerk = out[:n, :3], out[n, :phases], out[:n, 3:]
    _end_of_tick(packed, start, ddq, end)
    out[n, phases:] = 0.0
    bounds, report = work.triples[BOUNDS], work.small[REPORT]
    return (
        plan_slow(packed, end[:, 1], end[:, 2], SLOW_S, ticks, jerk)
        and certify(packed, start, ddq, ticks, jerk, bounds, work, report) == CERTIFIED
        and _may_rest(packed, work, report) == CERTIFIED
    )


@kernel
def copied(source: Floats, target: Floats) -> None:
    """Element by element: a slice assignment may allocate."""
    for i in range(target.shape[0]):
        for p in range(target.shape[1]):
            target[i, p] = source[i, p]


@kernel
def _between(
    packed: Packed,
    start: Floats,
    safe: Floats,
    bold: Floats,
    share: float,
    slowly: bool,
    work: Work,
    out: Floats,
) -> bool:
    """Write the motion at a share of the way from safe to bold (n,) if it is certified.

    slowly: a slow stop is tried first. Else out is as it was.
    """
    tried, trial = work.triples[WANTED, 1], work.motions[TRIAL]
    bounds, report = work.triples[BOUNDS], work.small[REPORT]
    for i in range(start.shape[0]):
        tried[i] = share * bold[i] + (1.0 - share) * safe[i]
    if not (
        (slowly and _attempt_slowly(packed, start, tried, work, trial))
        or attempt(packed, start, tried, bounds, work, report, trial) == CERTIFIED
    ):
        return False
    copied(trial, out)
    return True


@kernel
def _progress(packed: Packed, start: Floats, ddq: Floats, work: Work) -> float:
    """What ddq (n,) makes of the commanded speeds: their product with those after the tick."""
    half, progress = packed.scalar[PERIOD] / 2.0, 0.0
    for i in range(start.shape[0]):
        after = start[i, 1] + (start[i, 2] + ddq[i]) * half
        progress += after * work.ray[i, TARGET]
    return progress


@kernel
def _steadily(
    packed: Packed, start: Floats, safe: Floats, bold: Floats, work: Work, out: Floats
) -> tuple[bool, float]:
    """Write a certified motion from safe to bold (n,) that goes on as before, nearly.

    Where a tick can hardly change the speeds, the boldest one is no better; and found anew in every
    tick, it would push them back and forth. Returns whether one was certified; if not, from which
    share on none is, as far as this was tried.
    """
    n, way2, along, speed2, jerky = start.shape[0], 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        step = packed.joint[i, JERK] * packed.scalar[PERIOD]
        way, on = (bold[i] - safe[i]) / step, (start[i, 2] - safe[i]) / step
        way2, along, jerky = way2 + way * way, along + way * on, max(jerky, abs(way))
        change = 0.5 * packed.scalar[PERIOD] * (bold[i] - safe[i]) / (1.0 - CLOSE)
        speed2 += start[i, 1] * start[i, 1] - change * change
    if not (speed2 > 0.0 and way2 > 0.0):
        return False, 1.0
    same, step, high = along / way2, STEADY / jerky, 1.0
    for tried in (same + step, same - step):
        if 0.0 < tried < high:
            if _between(packed, start, safe, bold, tried, False, work, out):
                return True, tried
            high = tried
    return False, high


@kernel
def on_ray(
    packed: Packed, start: Floats, slow: Floats, bold: Floats, times: int, work: Work, out: Floats
) -> bool:
    """Write the fastest certified motion from slow to bold (n,), as good as; False if none is.

    slow and bold lead in the commanded direction; bold is not certified. So many trials, and one.
    """
    least = _progress(packed, start, slow, work)
    more = _progress(packed, start, bold, work) - least
    certified, high = _steadily(packed, start, slow, bold, work, out)
    if certified:
        return True
    low = 0.0
    for done in range(times):
        if done >= IN_VAIN and least + low * more >= CLOSE * (least + high * more):
            break
        share = 0.5 * (low + high) if certified or done != IN_VAIN else 0.0
        if _between(packed, start, slow, bold, share, False, work, out):
            low, certified = share, True
        elif share > 0.0:
            high = share
        else:
            return False
    return certified or _between(packed, start, slow, bold, 0.0, False, work, out)


@kernel
def towards(
    packed: Packed, start: Floats, safe: Floats, bold: Floats, times: int, work: Work, out: Floats
) -> bool:
    """Write the boldest certified motion found between two accelerations (n,); False if none.

    After TOWARDS_STOP halvings the first one will do, and the way to it is quartered.
    """
    certified, high = _steadily(packed, start, safe, bold, work, out)
    if certified:
        return True
    low = 0.0
    for done in range(times):
        if certified and done >= TOWARDS_STOP:
            break
        share = low + (0.5 if done < TOWARDS_STOP else 0.25) * (high - low)
        if _between(packed, start, safe, bold, share, times == FROM_REST, work, out):
            low, certified = share, True
        else:
            high = share
    return certified

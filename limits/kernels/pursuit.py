"""Where joint velocities should go in one tick: time-optimal, in their direction, without swinging.

With constant jerk in a tick, "have dq = w at its end" alternates for ever (ADR 3). So the law looks
further: it takes the acceleration A at the end of the tick from which, faded out to zero in whole
ticks of equal steps, the velocity arrives at w exactly. With n = ceil(|A| / (j·T)) ticks for that:
    dq + (ddq + A)·T/2 + A·n·T/2 = w
The left side grows with A, so there is one solution, in closed form; the next tick finds the same
fade one step shorter, and the last one arrives with dq = w and ddq = 0.

All joints together keep to the commanded direction w (trap 6): of the ray s·w the largest s is
taken that every joint can reach, so that the slowest one sets the pace.
"""

from __future__ import annotations

import math

from .jit import apart, kernel
from .packed import FLAG, NUMBER, ROW, TABLE, Floats

__all__ = [
    "HIGHEST",
    "LOWEST",
    "SHARE_MIN",
    "SLOPE",
    "SMOOTH",
    "STEP",
    "TARGET",
    "arriving",
    "pursue",
]

# Columns of `ray`.
TARGET, SLOPE, STEP, LOWEST, HIGHEST, LOST, LAW, SLOWEST, FASTEST = range(9)
# Less than this share of the commanded speed is no progress in its direction.
SHARE_MIN = 0.01
# Of the largest share that can be reached, where that is less: the slowest way is slower still.
SLOWEST_SHARE = 0.1
# Tangent of the angle that may lie between what is executed and what is commanded: 0.4 degrees, so
# that of a tool's twist, too, it is less than one. The narrower, the longer a swing rings down.
CONE = 0.0075
# So far off it as well, as a share of the whole speed, may be each joint that hardly has to move.
SPARE = 0.001
# Share of the speed reachable on the ray that has to be reached within the cone.
PROGRESS = 0.96
# A joint with less than this share of the whole motion is to stand still.
TINY = 1e-9
THIRDS = 28
# Along a volume the ray turns with every tick: it is followed with no more than this gain [1/s]; so
# many times that for each time that the speeds are too fast by the whole of it, as before a bound.
SMOOTH, HASTE = 50.0, 20.0


@kernel
def _fading(lost: float, step: float, period: float) -> float:
    """The acceleration that, at the end of the tick and while it fades, makes up a speed `lost`."""
    # |A| = y·step with y·(1 + ceil(y)) = x; for n - 1 < y <= n that is y = x / (1 + n).
    x = 2.0 * abs(lost) / (period * step)
    n = math.ceil(0.5 * (math.sqrt(1.0 + 4.0 * x) - 1.0))
    # Between the pieces no y fits: stay at the end of the lower one, the rest follows later.
    y = max(x / (1.0 + n), n - 1.0)
    return math.copysign(y * step, lost)


@kernel
def arriving(dq: float, ddq: float, target: float, step: float, period: float) -> float:
    """The acceleration at the end of the tick that leads dq to `target` and then fades to zero.

    step > 0 is what an acceleration may change in one tick. The result may be further away than
    one step, and larger than any bound: the caller holds it to both.
    """
    return _fading(target - dq - ddq * period / 2.0, step, period)


@kernel
def _with_pace(
    start: Floats, i: int, row: Floats, share: float, rate: float, period: float
) -> float:
    """As `arriving`, onto the ray at `share` of it after the tick, growing by `rate` [1/s].

    Held to the joint's bounds.
    """
    moving = rate * row[TARGET]
    lost = share * row[TARGET] - start[i, 1] - (start[i, 2] + moving) * period / 2.0
    return min(row[HIGHEST], max(row[LOWEST], moving + _fading(lost, row[STEP], period)))


@kernel
def _distance2(ray: Floats, share: float) -> float:
    """Squared distance of the point `share` of the ray from the speeds that can be reached."""
    total = 0.0
    for i in range(ray.shape[0]):
        wanted = share * ray[i, TARGET]
        off = wanted - min(ray[i, FASTEST], max(ray[i, SLOWEST], wanted))
        total += off * off
    return total


@kernel
def _nearest(ray: Floats) -> float:
    """The share of the ray that is nearest to what can be reached: a convex function of it."""
    low, high = SHARE_MIN, 1.0
    for _ in range(THIRDS):
        one, two = low + (high - low) / 3.0, high - (high - low) / 3.0
        if _distance2(ray, one) <= _distance2(ray, two):
            high = two
        else:
            low = one
    return 0.5 * (low + high)


@kernel
def _reachable(start: Floats, ray: Floats, period: float) -> tuple[float, float, float]:
    """Write what speeds each joint can have after the tick; return the shares that all can reach.

    The least, the most, and how fast the most grows then [1/s]; (1, 0, 0) if there are none. A
    joint that is held to a bound goes no further than its law leads. One that is not is as good as
    where it is to be; it only bounds how slow they can get.
    """
    n, least, most, rate, size2 = start.shape[0], 0.0, 1.0, 0.0, 0.0
    for i in range(n):
        size2 += ray[i, TARGET] * ray[i, TARGET]
    tiny = TINY * math.sqrt(size2)
    for i in range(n):
        row = ray[i]
        base = start[i, 1] + start[i, 2] * period / 2.0
        row[SLOWEST] = base + row[LOWEST] * period / 2.0
        row[FASTEST] = base + row[HIGHEST] * period / 2.0
        is_free = row[LOWEST] < row[LAW] < row[HIGHEST]
        if not abs(row[TARGET]) > tiny:
            if not (is_free or row[SLOWEST] <= 0.0 <= row[FASTEST]):
                most = -1.0
            continue
        if not is_free:
            law = base + row[LAW] * period / 2.0
            if row[TARGET] > 0.0:
                row[FASTEST] = law
            else:
                row[SLOWEST] = law
        one, two = row[SLOWEST] / row[TARGET], row[FASTEST] / row[TARGET]
        if is_free:
            least = max(least, min(1.0, one, two))
        else:
            least = max(least, min(one, two))
            if max(one, two) < most:
                most, rate = max(one, two), row[LAW] / row[TARGET]
    # From rest, the first ticks lead to less than that, and are on the ray all the same.
    least = max(least, min(SHARE_MIN, SLOWEST_SHARE * most))
    return (least, most, rate) if most > 0.0 and most >= least else (1.0, 0.0, 0.0)


@kernel
def _smoothed(lost: float, step: float, period: float, gain: float) -> float:
    """As `_fading`, but in proportion to what is left of `lost` in the end: gain [1/s] times that.

    Where the proportional part begins, both ask for the same acceleration and the same jerk.
    """
    linear = step / (period * gain * gain)
    size = abs(lost)
    if size <= linear:
        return gain * lost
    return math.copysign(_fading(size - 0.5 * linear, step, period), lost)


@kernel
def _together(start: Floats, ray: Floats, period: float, ddq: Floats) -> None:
    """Slow the laws in ddq (n,) down to the one that takes longest, so that all arrive with it.

    Then the speeds go straight from where they are to the target: from rest, along the ray.
    """
    longest, share = 0.0, 1.0
    for i in range(start.shape[0]):
        row, lost = ray[i], ray[i, LOST]
        x = 2.0 * abs(lost) / (period * row[STEP])
        if x > longest:
            longest, share = x, abs(_fading(lost, row[STEP], period)) * period / (2.0 * abs(lost))
    for i in range(start.shape[0]):
        row = ray[i]
        wanted = row[SLOPE] + share * 2.0 * row[LOST] / period
        ddq[i] = min(row[HIGHEST], max(row[LOWEST], wanted))


@kernel
def _off2(ray: Floats, gain: float) -> float:
    """How far, squared, the accelerations gain · (what is lost) are from what is possible."""
    total = 0.0
    for i in range(ray.shape[0]):
        row = ray[i]
        wanted = gain * row[LOST]
        off = (wanted - min(row[HIGHEST], max(row[LOWEST], wanted))) / row[STEP]
        total += off * off
    return total


@kernel
def _softly(ray: Floats, period: float, ddq: Floats) -> None:
    """Write the accelerations (n,) straight to the target, by no more than SMOOTH of what is lost.

    So the speeds follow a target that turns, and are not pushed back and forth by its turning.
    """
    size2 = along = 0.0
    for i in range(ray.shape[0]):
        size2 += ray[i, TARGET] * ray[i, TARGET]
        along += ray[i, TARGET] * (ray[i, TARGET] - ray[i, LOST])
    over = min(1.0, max(0.0, along / size2 - 1.0))
    most, low = min(SMOOTH * (1.0 + HASTE * over), 1.0 / period), 0.0
    high = most
    for i in range(ray.shape[0]):
        row, lost = ray[i], abs(ray[i, LOST])
        if lost > 0.0:
            high = min(high, _smoothed(lost, row[STEP], period, most) / lost)
    for _ in range(THIRDS):
        one, two = low + (high - low) / 3.0, high - (high - low) / 3.0
        if _off2(ray, one) < _off2(ray, two):
            high = two
        else:
            low = one
    for i in range(ray.shape[0]):
        row = ray[i]
        wanted = high * row[LOST]
        ddq[i] = min(row[HIGHEST], max(row[LOWEST], wanted))


@kernel
def _onto_ray(
    start: Floats,
    ray: Floats,
    size2: float,
    period: float,
    calm: float,
    hasty: float,
    ddq: Floats,
    slow: Floats,
) -> bool:
    """Lead ddq (n,) so near to the ray as CONE and PROGRESS ask, where one tick reaches the ray.

    No nearer: to be exactly there after every tick would swing without end; and only with at least
    the speed `hasty`. Writes slow (n,), too; returns whether that is slower than `calm`.
    """
    n, least, most, along, all2 = start.shape[0], 0.0, 1.0, 0.0, 0.0
    tiny = TINY * math.sqrt(size2)
    for i in range(n):
        row = ray[i]
        base = start[i, 1] + start[i, 2] * period / 2.0
        low, high = base + row[LOWEST] * period / 2.0, base + row[HIGHEST] * period / 2.0
        after = base + ddq[i] * period / 2.0
        along += after * row[TARGET] / size2
        all2 += after * after
        if abs(row[TARGET]) > tiny:
            one, two = low / row[TARGET], high / row[TARGET]
            least, most = max(least, min(one, two)), min(most, max(one, two))
        elif not low <= 0.0 <= high:
            return False
    # From rest, the first ticks lead to less than that, and are on the ray all the same.
    least = max(least, min(SHARE_MIN, SLOWEST_SHARE * most))
    if not (most > 0.0 and most >= least):
        return False
    size, share, exactly = math.sqrt(size2), along, 0.0
    is_hasty, rests = all2 >= hasty * hasty, not least * least * size2 >= calm * calm
    if is_hasty and along < PROGRESS * most:
        share, exactly = most, (PROGRESS * most - along) / (most - along)
    share = min(most, max(least, share))
    normal = math.sqrt(max(0.0, all2 - along * along * size2))
    if is_hasty and not normal <= CONE * along * size:
        over = normal - CONE * along * size
        exactly = max(exactly, over / (over + CONE * share * size))
    for i in range(n):
        row = ray[i]
        base = start[i, 1] + start[i, 2] * period / 2.0
        on_ray = 2.0 * (share * row[TARGET] - base) / period
        slow[i] = 2.0 * (least * row[TARGET] - base) / period
        if rests:  # exactly, it would come to rest in one tick, and swing
            slow[i] = _with_pace(start, i, row, least, 0.0, period)
        if abs(row[TARGET]) <= CONE * size:  # to have it rest exactly would swing without end
            spare = 2.0 * SPARE * share * size / period
            on_ray = min(on_ray + spare, max(on_ray - spare, ddq[i]))
        ddq[i] += exactly * (on_ray - ddq[i])
        # What rounding adds must not leave the bounds.
        ddq[i] = min(row[HIGHEST], max(row[LOWEST], ddq[i]))
        slow[i] = min(row[HIGHEST], max(row[LOWEST], slow[i]))
    return rests


@apart(TABLE, TABLE, NUMBER, NUMBER, FLAG, ROW, ROW)
def pursue(
    start: Floats, ray: Floats, period: float, calm: float, turns: bool, ddq: Floats, slow: Floats
) -> None:
    """Write the accelerations (n,) at the end of the tick, and those of the slowest way (n,).

    start (n, 3); of ray (n, RAY_COLUMNS) the caller writes TARGET (commanded speed at the end of
    the tick), SLOPE (its rate), STEP, LOWEST and HIGHEST (bounds of the acceleration). Both results
    lead to joint speeds in the commanded direction, as fast and as slow as that is possible in one
    tick, within CONE of it. Where it is not possible at all, ddq comes as near to it as it can, and
    slow is NaN. A last bit of the way that leads to speeds below calm is not made in one tick, but
    without swinging. turns: the ray is that of a slide along a volume, and turns with every tick.
    """
    n, size2 = start.shape[0], 0.0
    for i in range(n):
        row = ray[i]
        now = row[TARGET] - row[SLOPE] * period
        # By how much the joint will be too slow for the target, if it goes on as it does.
        row[LOST] = now - start[i, 1] - (start[i, 2] - row[SLOPE]) * period / 2.0
        wanted = row[SLOPE] + _fading(row[LOST], row[STEP], period)
        row[LAW] = min(row[HIGHEST], max(row[LOWEST], wanted))
        size2 += ray[i, TARGET] * ray[i, TARGET]
        ddq[i], slow[i] = ray[i, LAW], math.nan
    if not (size2 > 0.0 and size2 < math.inf):  # to rest: each joint for itself
        return
    least, share, rate = _reachable(start, ray, period)
    hasty, meets = calm, share >= least
    if turns:
        hasty = math.inf
        _softly(ray, period, ddq)
    elif meets and share >= 1.0:  # no joint is held back: they arrive together
        _together(start, ray, period, ddq)
    else:
        if meets:
            hasty = 0.0
        else:
            share, rate = _nearest(ray), 0.0
        for i in range(n):
            ddq[i] = _with_pace(start, i, ray[i], share, rate, period)
    rests = _onto_ray(start, ray, size2, period, calm, hasty, ddq, slow)
    for i in range(n):
        if turns and rests:  # creeping on before a wall leads nowhere
            slow[i] = math.nan

"""Where a joint's velocity should go in one tick: time-optimal, without swinging over.

With constant jerk in a tick, "have dq = w at its end" alternates for ever (ADR 3). So the law looks
further: it takes the acceleration A at the end of the tick from which, faded out to zero in whole
ticks of equal steps, the velocity arrives at w exactly. With n = ceil(|A| / (j·T)) ticks for that:
    dq + (ddq + A)·T/2 + A·n·T/2 = w
The left side grows with A, so there is one solution, in closed form; the next tick finds the same
fade one step shorter, and the last one arrives with dq = w and ddq = 0.
"""

from __future__ import annotations

import math

from .jit import kernel

__all__ = ["arriving"]


@kernel
def arriving(dq: float, ddq: float, target: float, step: float, period: float) -> float:
    """The acceleration at the end of the tick that leads dq to `target` and then fades to zero.

    step > 0 is what an acceleration may change in one tick. The result may be further away than
    one step, and larger than any bound: the caller holds it to both.
    """
    lost = target - dq - ddq * period / 2.0
    # |A| = y·step with y·(1 + ceil(y)) = x; for n - 1 < y <= n that is y = x / (1 + n).
    x = 2.0 * abs(lost) / (period * step)
    n = math.ceil(0.5 * (math.sqrt(1.0 + 4.0 * x) - 1.0))
    # Between the pieces no y fits: stay at the end of the lower one, the rest follows later.
    y = max(x / (1.0 + n), n - 1.0)
    return math.copysign(y * step, lost)

"""Joint velocities that move the tool as asked: damped least squares, bounded where singular.

The twist x (linear over angular, base frame) is sought in shares u_j = dq_j / max_velocity_j, so
that revolute and prismatic joints compare, with A = S·J·diag(max_velocity), where S multiplies
angular rows by TWIST_LENGTH, the TCP's mean lever: a radian counts as much as the way on which it
takes the tool (compare Angeles' characteristic length).
    u = Aᵀ (A Aᵀ + λ²)⁻¹ S x,   λ² = DAMPING² (ε² - s²) where s < ε, else 0
s = trace((A Aᵀ)⁻¹)^(-1/2) is at most the smallest singular value and, near zero, equals it; ε is
SINGULAR of the speed that one joint gives the tool. Damping that grows towards a singularity is
Nakamura and Hanafusa's (J. Dyn. Sys. Meas. Contr. 108, 1986), this λ Chiaverini's (IEEE T-RA 13,
1997). With fewer than 6 joints the same u comes from (Aᵀ A + λ²) u = Aᵀ S x, and s is about what
those joints can do.

Guarantees:
- |u| <= GAIN / ε · |S x| in every configuration, singular or not; exact where s >= ε.
- No twist, no motion. `keep_away` moves in the null space only, where some joint is near its
  position limit, by at most NULL_SHARE of the motion it joins (Liégeois, 1977).
- Bounded loops, no allocation, no exception. A system that is not positive definite, NaN included,
  is refused.
"""

from __future__ import annotations

import math

from .jacobian import FACTOR, GRAM, RIGHT, SOLVED
from .jit import kernel
from .packed import MAX, MIN, TWIST_LENGTH, TWIST_SPEED, VELOCITY, Floats
from .tray import Arm

__all__ = ["GAIN", "NULL_SHARE", "SINGULAR", "factored", "keep_away", "prepare", "solve"]

SINGULAR = 0.03  # of TWIST_SPEED [m/s]: ε
DAMPING = 0.5  # of ε: λ in the singularity itself
GAIN = 2.0 / math.sqrt(3.0)  # largest ε·σ / (σ² + λ²) for that DAMPING, at σ = ε / √3
NULL_SHARE = 0.5
NULL_FROM = 0.7  # of the way from the middle of a joint's range to its end


@kernel
def factored(m: int, n: int, damping2: float, task: Floats) -> bool:
    """Cholesky factor of GRAM + damping2 (m, m) into FACTOR; False if it is not positive."""
    gram, factor = task[n + GRAM :], task[n + FACTOR :]
    for r in range(m):
        for c in range(r + 1):
            value = gram[r, c] + (damping2 if r == c else 0.0)
            for k in range(c):
                value -= factor[r, k] * factor[c, k]
            if r > c:
                factor[r, c] = value / factor[c, c]
            elif value > 0.0 and math.isfinite(value):
                factor[r, c] = math.sqrt(value)
            else:
                return False
    return True


@kernel
def _least(m: int, n: int, task: Floats) -> float:
    """s² = 1 / trace(GRAM⁻¹), from the factor: |factor⁻¹|² column by column."""
    factor, column, total = task[n + FACTOR :], task[n + SOLVED], 0.0
    for c in range(m):
        for r in range(c, m):
            value = 1.0 if r == c else 0.0
            for k in range(c, r):
                value -= factor[r, k] * column[k]
            column[r] = value / factor[r, r]
            total += column[r] * column[r]
    return 1.0 / total


@kernel
def prepare(arm: Arm, n: int, task: Floats) -> float:
    """Weigh the Jacobian's columns and factor the damped system; s², or -1 if that fails."""
    length, m = arm.scalar[TWIST_LENGTH], min(n, 6)
    for j in range(n):
        for c in range(6):
            task[j, c] *= arm.joint[j, VELOCITY] * (length if c > 2 else 1.0)
    gram = task[n + GRAM :]
    for r in range(m):
        for c in range(r + 1):
            value = 0.0
            if n < 6:
                for k in range(6):
                    value += task[r, k] * task[c, k]
            else:
                for j in range(n):
                    value += task[j, r] * task[j, c]
            gram[r, c] = value
    edge2 = (SINGULAR * arm.scalar[TWIST_SPEED]) ** 2
    least2 = 0.0
    if factored(m, n, 0.0, task):  # not where it is singular to the last bit
        least2 = _least(m, n, task)
        if least2 >= edge2:
            return least2
    return least2 if factored(m, n, DAMPING * DAMPING * (edge2 - least2), task) else -1.0


@kernel
def solve(arm: Arm, x: Floats, n: int, task: Floats, out: Floats) -> None:
    """Write the joint velocities (n,) of the weighted twist x (6,) by the factored system."""
    factor, y, m = task[n + FACTOR :], task[n + SOLVED], min(n, 6)
    for r in range(m):
        if n < 6:
            y[r] = 0.0
            for c in range(6):
                y[r] += task[r, c] * x[c]
        else:
            y[r] = x[r]
    for r in range(m):
        for k in range(r):
            y[r] -= factor[r, k] * y[k]
        y[r] /= factor[r, r]
    for back in range(m):
        r = m - 1 - back
        for k in range(r + 1, m):
            y[r] -= factor[k, r] * y[k]
        y[r] /= factor[r, r]
    for j in range(n):
        share = y[j] if n < 6 else 0.0
        if n >= 6:
            for c in range(6):
                share += task[j, c] * y[c]
        out[j] = arm.joint[j, VELOCITY] * share


@kernel
def _towards_middle(arm: Arm, j: int, q: float) -> float:
    """-1 to 1: zero in mid-range, smoothly up to 1 at the end of joint j's range, away from it."""
    half = 0.5 * (arm.joint[j, MAX] - arm.joint[j, MIN])
    place = (q - arm.joint[j, MIN]) / half - 1.0
    beyond = min(1.0, max(0.0, (abs(place) - NULL_FROM) / (1.0 - NULL_FROM)))
    return -math.copysign(beyond * beyond, place)


@kernel
def keep_away(arm: Arm, q: Floats, n: int, task: Floats, velocity: Floats, scratch: Floats) -> None:
    """Add to velocity (n,) a motion of the null space that keeps joints off their limits."""
    right, moving2, wish2 = task[n + RIGHT], 0.0, 0.0
    for c in range(6):
        right[c] = 0.0
    for j in range(n):
        share, wish = velocity[j] / arm.joint[j, VELOCITY], _towards_middle(arm, j, q[j])
        moving2 += share * share
        wish2 += wish * wish
        for c in range(6):
            right[c] += task[j, c] * wish
    if not (wish2 > 0.0 and moving2 > 0.0):
        return
    solve(arm, right, n, task, scratch)  # what of it moves the tool
    size = NULL_SHARE * math.sqrt(moving2 / max(1.0, wish2))
    for j in range(n):
        own = arm.joint[j, VELOCITY] * _towards_middle(arm, j, q[j])
        velocity[j] += size * (own - scratch[j])

"""Cosine and sine of all joints at once: half of what forward kinematics and dynamics took.

Without branches, so that the compiler takes several joints at a time; and with nothing but sums and
products, so that every machine gives the same bits. The angle is reduced to [-pi/4, pi/4] with
pi/2 in three parts (Cody and Waite, 1980); the polynomials are those of FDLIBM (Sun Microsystems,
k_sin.c and k_cos.c).

Guarantees: off by 3e-16 at most, and by no more than the angle's own rounding beyond 1e5 rad;
beyond ANGLE_MAX_RAD, and of what is not finite, no number.
"""

from __future__ import annotations

import math

import numpy as np

from .jit import kernel
from .packed import Floats

__all__ = ["ANGLE_MAX_RAD", "COS", "SIN", "cos_sin"]

# Rows of `turn`; the first is scratch.
ANGLE, COS, SIN = range(3)
# Five years of one turn a second.
ANGLE_MAX_RAD = 1e9
QUARTERS = 6.36619772367581382433e-01  # in a radian
QUARTER_1 = 1.57079632673412561417e00
QUARTER_2 = 6.07710050630396597660e-11
QUARTER_3 = 2.02226624879595063154e-21
S1, S2, S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
S4, S5, S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
C1, C2, C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
C4, C5, C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11


@kernel
def cos_sin(q: Floats, turn: Floats) -> None:
    """Write the cosines and sines of q (n,) [rad] into the rows COS and SIN of turn (3, n or more).

    Columns beyond n are computed, too: of whatever their angle is.
    """
    for i in range(q.shape[0]):
        turn[ANGLE, i] = q[i]
    for i in range(turn.shape[1]):
        x = turn[ANGLE, i]
        quarters = np.floor(x * QUARTERS + 0.5)
        r = ((x - quarters * QUARTER_1) - quarters * QUARTER_2) - quarters * QUARTER_3
        z = r * r
        s = r + r * z * (S1 + z * (S2 + z * (S3 + z * (S4 + z * (S5 + z * S6)))))
        c = (1.0 - 0.5 * z) + z * z * (C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * C6)))))
        k = quarters - 4.0 * np.floor(0.25 * quarters)
        is_odd = abs(k - 2.0) == 1.0  # 1 or 3
        a, b = (c if is_odd else s), (s if is_odd else c)
        none = 0.0 if abs(x) <= ANGLE_MAX_RAD else math.nan
        turn[SIN, i] = none + (-a if k >= 2.0 else a)
        turn[COS, i] = none + (-b if abs(k - 1.5) == 0.5 else b)  # 1 or 2

"""`Packed` and `Work` as one array each: Python hands a kernel two arguments, not twenty-two.

Handing an array to a kernel costs about 0.15 µs, and a call needs all of them; views that a kernel
makes of one array cost next to nothing. The order of the fields is that of the records, after a
header of three sizes: joints n, capsules k, volumes v.
"""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .packed import STACK_ROWS, Floats, Packed, Work, work_for

__all__ = ["flat_packed", "flat_work", "packed_in", "work_in"]

_HEADER = 3


def flat_packed(packed: Packed) -> Floats:
    """A copy of `packed` as one array; `packed_in` reads it."""
    sizes = (packed.joint.shape[0], packed.capsule.shape[0], packed.volume.shape[0])
    parts = [np.array(sizes, dtype=np.float64), *(np.ravel(field) for field in packed)]
    return np.concatenate(parts)


def flat_work(packed: Packed) -> Floats:
    """Scratch memory that fits `packed`, as one array; `work_in` reads it."""
    return np.concatenate([np.ravel(field) for field in work_for(packed)])


@kernel
def packed_in(flat: Floats) -> Packed:
    """Views into what `flat_packed` made."""
    n, k, v = int(flat[0]), int(flat[1]), int(flat[2])
    scalar = _HEADER
    joint = scalar + 6
    chain = joint + 11 * n
    tcp = chain + 12 * n
    body = tcp + 3
    reach = body + 11 * n
    capsule = reach + (n + 1) * n
    volume = capsule + 8 * k
    checked = volume + 18 * v
    return Packed(
        flat[scalar:joint],
        flat[joint:chain].reshape((n, 11)),
        flat[chain:tcp].reshape((n, 12)),
        flat[tcp:body],
        flat[body:reach].reshape((n, 11)),
        flat[reach:capsule].reshape((n + 1, n)),
        flat[capsule:volume].reshape((k, 8)),
        flat[volume:checked].reshape((v, 18)),
        flat[checked : checked + v * k].reshape((v, k)),
    )


@kernel
def work_in(flat: Floats, n: int, k: int) -> Work:
    """Views into what `flat_work` made, for n joints and k capsules."""
    ends = 16 * n
    rotation = ends + 5
    origin = rotation + 9 * n
    segment = origin + 3 * n
    vector = segment + 6 * k
    spatial = vector + 10 * n
    stack = spatial + 18 * n
    bounds = stack + 2 * STACK_ROWS
    wanted = bounds + 3 * n
    report = wanted + 2 * n
    kept = report + 3
    trial = kept + 6 * (n + 1)
    start = trial + 6 * (n + 1)
    stored = start + 3 * n
    measured = stored + 6 * (n + 1)
    return Work(
        flat[:ends].reshape((4, n, 4)),
        flat[ends:rotation],
        flat[rotation:origin].reshape((n, 9)),
        flat[origin:segment].reshape((n, 3)),
        flat[segment:vector].reshape((k, 6)),
        flat[vector:spatial].reshape((10, n)),
        flat[spatial:stack].reshape((n, 18)),
        flat[stack:bounds].reshape((STACK_ROWS, 2)),
        flat[bounds:wanted].reshape((3, n)),
        flat[wanted:report].reshape((2, n)),
        flat[report:kept],
        flat[kept:trial].reshape((n + 1, 6)),
        flat[trial:start].reshape((n + 1, 6)),
        flat[start:stored].reshape((n, 3)),
        flat[stored:measured].reshape((n + 1, 6)),
        flat[measured : measured + 2 * n].reshape((2, n)),
    )

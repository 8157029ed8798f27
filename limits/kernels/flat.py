"""`Packed` and `Work` as one array each: Python hands a kernel two arguments, not twenty-two.

Handing an array to a kernel costs about 0.15 µs, and a call needs all of them; views that a kernel
makes of one array cost next to nothing. The order of the fields is that of the records, after a
header of six sizes: joints n, capsules k, volumes and zones v, mesh rows m, pairs p, zones z. What
perception sees is the last field and takes the rest of the array, so that another cloud is another
tail.
"""

from __future__ import annotations

import numpy as np

from .jit import inlined, kernel
from .packed import (
    BODY_COLUMNS,
    CAPSULE_COLUMNS,
    CHAIN_COLUMNS,
    JOINT_COLUMNS,
    MESH_COLUMNS,
    PAIR_COLUMNS,
    RAY_COLUMNS,
    SCALARS,
    STACK_ROWS,
    TASK_ROWS,
    VOLUME_COLUMNS,
    Floats,
    Packed,
    Work,
    work_for,
)

__all__ = ["HEADER", "flat_packed", "flat_work", "packed_in", "work_in"]

HEADER = 6


def flat_packed(packed: Packed) -> Floats:
    """A copy of `packed` as one array; `packed_in` reads it."""
    tables = (packed.joint, packed.capsule, packed.volume, packed.mesh, packed.pair, packed.zone)
    sizes = np.array([len(table) for table in tables], dtype=np.float64)
    return np.concatenate([sizes, *(np.ravel(field) for field in packed)])


def flat_work(packed: Packed) -> Floats:
    """Scratch memory that fits `packed`, as one array; `work_in` reads it."""
    return np.concatenate([np.ravel(field) for field in work_for(packed)])


@inlined
def _part(flat: Floats, at: int, length: int) -> tuple[Floats, int]:
    """The numbers from `at` on, and where the next field begins."""
    return flat[at : at + length], at + length


@inlined
def _table(flat: Floats, at: int, rows: int, columns: int) -> tuple[Floats, int]:
    """As `_part`, as a table."""
    end = at + rows * columns
    return flat[at:end].reshape((rows, columns)), end


@inlined
def _tables(flat: Floats, at: int, deep: int, rows: int, columns: int) -> tuple[Floats, int]:
    """As `_part`, as tables of one size."""
    end = at + deep * rows * columns
    return flat[at:end].reshape((deep, rows, columns)), end


@kernel
def packed_in(flat: Floats) -> Packed:
    """Views into what `flat_packed` made."""
    n, k, v = int(flat[0]), int(flat[1]), int(flat[2])
    scalar, at = _part(flat, HEADER, SCALARS)
    joint, at = _table(flat, at, n, JOINT_COLUMNS)
    chain, at = _table(flat, at, n, CHAIN_COLUMNS)
    tcp, at = _part(flat, at, 3)
    body, at = _table(flat, at, n, BODY_COLUMNS)
    reach, at = _table(flat, at, n + 1, n)
    capsule, at = _table(flat, at, k, CAPSULE_COLUMNS)
    volume, at = _table(flat, at, v, VOLUME_COLUMNS)
    checked, at = _table(flat, at, v, k)
    mesh, at = _table(flat, at, int(flat[3]), MESH_COLUMNS)
    pair, at = _table(flat, at, int(flat[4]), PAIR_COLUMNS)
    span, at = _table(flat, at, k, n)
    zone, at = _table(flat, at, int(flat[5]), 1 + k)
    eased, at = _table(flat, at, v, k)
    cloud = flat[at:]
    return Packed(
        scalar, joint, chain, tcp, body, reach, capsule, volume, checked, mesh, pair, span, zone,
        eased, cloud,
    )  # fmt: skip


@kernel
def work_in(flat: Floats, n: int, k: int, p: int) -> Work:
    """Views into what `flat_work` made, for n joints, k capsules and p pairs of them."""
    pieces, at = _tables(flat, 0, 4, n, 4)
    small, at = _table(flat, at, 8, 8)
    triples, at = _tables(flat, at, 3, 3, n)
    motions, at = _tables(flat, at, 3, n + 1, 6)
    swept, at = _tables(flat, at, 3, k, n)
    rotation, at = _table(flat, at, n, 9)
    origin, at = _table(flat, at, n, 3)
    segment, at = _table(flat, at, k, 6)
    vector, at = _table(flat, at, 10, n)
    spatial, at = _table(flat, at, n, 24)
    stack, at = _table(flat, at, STACK_ROWS, 2)
    ray, at = _table(flat, at, n, RAY_COLUMNS)
    start, at = _table(flat, at, n, 3)
    task, at = _table(flat, at, n + TASK_ROWS, 6)
    known, at = _part(flat, at, k)
    opened, at = _table(flat, at, STACK_ROWS, k + p)
    combined, at = _tables(flat, at, 4, 1, 4)
    middle, at = _table(flat, at, k, 3)
    simplex, at = _table(flat, at, 4, 3)
    return Work(
        pieces,
        small,
        triples,
        motions,
        swept,
        rotation,
        origin,
        segment,
        vector,
        spatial,
        stack,
        ray,
        start,
        task,
        known,
        opened,
        combined,
        middle,
        simplex,
    )

"""Room to a volume, to first order: the same as by every face of it, whichever are looked at."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kernels.test_clearance import random_volume
from tests.limits.kernels.test_separation import Look, built
from tests.robots import array

from checkrein.limits import Volume
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.clearance import clearance
from checkrein.limits.kernels.motion import place
from checkrein.limits.kernels.packed import ENDS, STANDOFF, Packed, Work, pack, work_for
from checkrein.limits.kernels.planes import first_order_room
from checkrein.limits.kernels.separation import bend, lowest, sweeps
from checkrein.limits.records import Array


def around(look: Look, shape: str, size: float) -> Volume:
    """A volume to be kept in, about where the capsule is."""
    rng, middle = look.rng, look.ends_at(look.middle).mean(axis=0)
    if shape == "box":
        volume = random_volume(rng, "box", "keep_in")
        return replace(
            volume, center=array(middle), half_extents=array(rng.uniform(1, 3, 3) * size)
        )
    volume = random_volume(rng, "mesh", "keep_in")
    assert volume.vertices is not None
    assert volume.planes is not None
    grown = size * 3.0
    planes = np.array(volume.planes)
    planes[:, 3] = grown * planes[:, 3] + planes[:, :3] @ middle
    return replace(volume, vertices=array(grown * volume.vertices + middle), planes=array(planes))


def faces(volume: Volume) -> list[tuple[Array, float]]:
    """Inward normal n of each face, and the least n·x of the volume."""
    if volume.planes is not None:
        return [(-plane[:3], -float(plane[3])) for plane in volume.planes]
    assert volume.rotation is not None
    assert volume.center is not None
    assert volume.half_extents is not None
    out = []
    for column, half in enumerate(volume.half_extents):
        for side in (1.0, -1.0):
            n = side * np.asarray(volume.rotation).reshape(3, 3)[:, column]
            out.append((n, float(n @ volume.center) - float(half)))
    return out


def looked(look: Look, packed: Packed) -> Work:
    """The middle of the look's interval, for other limits of the same robot."""
    work = work_for(packed)
    built(packed, work, look.motion)
    place(work.pieces, work.small[ENDS], 0.5 * (look.first + look.last), work.vector[3])
    forward(packed, work.vector[3], work)
    sweeps(packed, work, look.k, look.moved)
    return work


@pytest.mark.parametrize("shape", ["box", "mesh"])
def test_it_is_that_of_the_nearest_face(shape: str) -> None:
    decided = 0
    for seed in range(60):
        look = Look(seed)
        volume = around(look, shape, float(look.rng.choice([0.3, 1.0])))
        packed = pack(replace(look.limits, volumes=(volume,)))
        work, k = looked(look, packed), look.k
        axis, radius = work.segment[k], float(packed.capsule[k, 7])
        clear = clearance(packed.volume[0], packed.mesh, axis, radius, work.simplex)
        bent = bend(packed, work, k, -1, look.moved)
        found = first_order_room(packed, work, 0, k, clear, look.moved, look.first, look.last)
        if not clear - packed.scalar[STANDOFF] > bent:
            assert found == -math.inf
            continue
        decided += 1
        depths = [
            lowest(packed, work, k, -1, np.array(n), look.first, look.last) - edge
            for n, edge in faces(volume)
        ]
        needed = radius + packed.scalar[STANDOFF] + bent
        assert found == pytest.approx(min(depths) - needed, abs=2e-9)
    assert decided >= 20


def test_what_is_no_number_has_no_room() -> None:
    look = Look(2)
    packed = pack(replace(look.limits, volumes=(around(look, "box", 3.0),)))
    for row in range(3):
        work = looked(look, packed)
        work.segment[look.k, row] = math.nan
        room = first_order_room(packed, work, 0, look.k, 1e3, look.moved, look.first, look.last)
        assert not room > 0.0

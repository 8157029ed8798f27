"""A record of views: the same numbers in Python and in kernels, each in a place of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from tests.limits.slow_links import ball
from tests.robots import panda, robots

from checkrein.limits import Limits
from checkrein.limits.kernels.jit import entry
from checkrein.limits.kernels.packed import Floats, Packed, Work, pack, packed_in, work_for, work_in
from checkrein.limits.kernels.views import Sizes, Views

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


@every_robot
def test_a_record_of_the_flat_array_holds_the_same(robot: Limits) -> None:
    packed = pack(robot)
    again = Packed(packed.flat.copy())
    for name, before in packed.fields().items():
        after = getattr(again, name)
        assert after.shape == before.shape, name
        np.testing.assert_array_equal(after, before, err_msg=name)


@every_robot
def test_fields_overlap_nowhere(robot: Limits) -> None:
    work = work_for(pack(robot))
    for number, view in enumerate(work.fields().values()):
        view[...] = number + 1.0
    for number, (name, view) in enumerate(work.fields().items()):
        assert (view == number + 1.0).all(), name
    assert Work(work.flat).motions.shape == work.motions.shape  # the head is as it was


def test_zones_come_back_too() -> None:
    zones = (ball([0.5, 0.0, 0.5], 0.2, 0.3), ball([0.0, 0.5, 0.5], 0.1, 0.2))
    packed = pack(replace(panda(), zones=zones))
    again = Packed(packed.flat)
    for name in ("volume", "checked", "span", "zone"):
        np.testing.assert_array_equal(getattr(again, name), getattr(packed, name), err_msg=name)


@entry
def _seen(model: Floats, scratch: Floats, out: Floats) -> None:
    """Sizes and a few numbers, as a kernel sees them, and a mark in the scratch memory."""
    packed, work = packed_in(model), work_in(scratch)
    out[0], out[1] = packed.scalar.shape[0], packed.joint.shape[0]
    out[2], out[3] = packed.reach.shape[0], packed.reach.shape[1]
    out[4], out[5] = packed.cloud.shape[0], packed.mesh.shape[0]
    out[6], out[7] = packed.chain[-1, -1], packed.reach[-1, 0]
    out[8], out[9] = work.motions.shape[1], work.swept.shape[2]
    work.motions[2, -1, 5] = 7.0
    work.simplex[3, 2] = 8.0


@every_robot
def test_a_kernel_sees_what_python_sees(robot: Limits) -> None:
    packed, out = pack(robot), np.zeros(10)
    work = work_for(packed)
    _seen(packed.flat, work.flat, out)
    assert out.tolist() == [
        packed.scalar.shape[0], packed.joint.shape[0], *packed.reach.shape, packed.cloud.shape[0],
        packed.mesh.shape[0], packed.chain[-1, -1], packed.reach[-1, 0], work.motions.shape[1],
        work.swept.shape[2],
    ]  # fmt: skip
    assert (work.motions[2, -1, 5], work.simplex[3, 2]) == (7.0, 8.0)
    assert [int(np.count_nonzero(v)) for v in (work.motions, work.simplex)] == [1, 1]


def test_other_arrays_are_a_copy_with_sizes_of_its_own() -> None:
    packed = pack(panda())
    more = packed.with_last(np.arange(40.0))
    assert (more.cloud.size, packed.cloud.size) != (packed.cloud.size, 40)
    np.testing.assert_array_equal(more.cloud, np.arange(40.0))
    more.joint[0, 0] = 99.0
    assert packed.joint[0, 0] != 99.0


class _Two(Views):
    one: Floats
    other: Floats

    FIELDS: ClassVar[Sizes] = {"one": (3,), "other": (None, 2)}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"one": np.zeros(3)}, "fields"),
        ({"other": np.zeros((1, 2)), "one": np.zeros(3)}, "fields"),
        ({"one": np.zeros(2), "other": np.zeros((1, 2))}, r"_Two\.one: shape \(2,\), not \(3,\)"),
        ({"one": np.zeros(3), "other": np.zeros(2)}, r"_Two\.other: shape"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Floats], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _Two.of(**fields)

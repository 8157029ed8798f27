"""Flat arrays hold what the records hold, in the same places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.limits.slow_links import ball
from tests.robots import panda, robots

from checkrein.limits import Limits
from checkrein.limits.kernels import flat
from checkrein.limits.kernels.flat import flat_packed, flat_work, packed_in, work_in
from checkrein.limits.kernels.packed import Packed, Work, pack, work_for

every_robot = pytest.mark.parametrize("robot", robots().values(), ids=robots().keys())


def plain(kernel: Any) -> Any:
    """Its Python source: compiled, it can hand views to another kernel, but not to Python."""
    return getattr(kernel, "py_func", kernel)


@pytest.fixture(autouse=True)
def all_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the two call is plain, too."""
    for name in ("_part", "_table", "_tables"):
        monkeypatch.setattr(flat, name, plain(getattr(flat, name)))


@every_robot
def test_packed_comes_back_field_by_field(robot: Limits) -> None:
    packed = pack(robot)
    again = plain(packed_in)(flat_packed(packed))
    for name in Packed._fields:
        before, after = getattr(packed, name), getattr(again, name)
        assert after.shape == before.shape, name
        np.testing.assert_array_equal(after, before, err_msg=name)


@every_robot
def test_work_is_all_there_and_overlaps_nowhere(robot: Limits) -> None:
    packed = pack(robot)
    memory, records = flat_work(packed), work_for(packed)
    work = plain(work_in)(
        memory, packed.joint.shape[0], packed.capsule.shape[0], packed.pair.shape[0]
    )
    for number, name in enumerate(Work._fields):
        view = getattr(work, name)
        assert view.shape == getattr(records, name).shape, name
        view[...] = number + 1.0
    for number, name in enumerate(Work._fields):
        assert (getattr(work, name) == number + 1.0).all(), name
    assert (memory > 0.0).all()
    assert memory.size == sum(field.size for field in records)


def test_zones_come_back_too() -> None:
    zones = (ball([0.5, 0.0, 0.5], 0.2, 0.3), ball([0.0, 0.5, 0.5], 0.1, 0.2))
    packed = pack(replace(panda(), zones=zones))
    again = plain(packed_in)(flat_packed(packed))
    for name in ("volume", "checked", "span", "zone"):
        np.testing.assert_array_equal(getattr(again, name), getattr(packed, name), err_msg=name)

"""A record that is built quickly is the same record."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from checkrein.controller import Decision
from checkrein.controller.decision import StopCategory, StopStatus
from checkrein.limits import RobotState, Setpoint
from checkrein.limits.building import builder_of
from checkrein.limits.records import StopMotion

RECORDS: list[Any] = [Decision, StopStatus, Setpoint, StopMotion]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_is_where_it_belongs(record: Any) -> None:
    names = [item.name for item in fields(record)]
    built = builder_of(record)(*range(len(names)))
    assert type(built) is record
    assert [getattr(built, name) for name in names] == list(range(len(names)))


def test_it_is_as_frozen_as_the_other() -> None:
    built = builder_of(StopStatus)("running", False, StopCategory.NONE, None, 3)
    assert built == StopStatus("running", False, StopCategory.NONE, None, 3)
    assert hash(built) == hash(StopStatus("running", False, StopCategory.NONE, None, 3))
    with pytest.raises(FrozenInstanceError):
        built.phase = "at_rest"  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        built.other = 1  # type: ignore[attr-defined]
    assert replace(built, rest_in_ticks=4).rest_in_ticks == 4
    assert copy.deepcopy(built) == built


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(TypeError):
        builder_of(StopStatus)("running")  # type: ignore[call-arg]


def test_a_class_that_checks_its_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="RobotState looks at its fields when it is made"):
        builder_of(RobotState)
    state = RobotState(np.zeros(1), np.zeros(1), 0)
    assert not state.q.flags.writeable


def test_a_class_without_slots_is_refused() -> None:
    @dataclass(frozen=True)
    class Loose:
        value: int

    with pytest.raises(TypeError, match="Loose: expected a slotted dataclass"):
        builder_of(Loose)

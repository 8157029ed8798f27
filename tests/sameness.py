"""Whether two decisions, and what they hand on, are the same bit by bit; NaN is the same as NaN."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from checkrein.controller import Decision
from checkrein.controller.memory import Memory
from checkrein.limits.records import Setpoint, StopMotion

_NAMES = {kind: [item.name for item in fields(kind)] for kind in (Decision, Setpoint, StopMotion)}


def _same(one: Any, two: Any) -> bool:
    """What is one object is quickly seen to be the same: most of a memory is."""
    if one is two:
        return True
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray):
        kinds = [(a.dtype, a.shape, a.flags.writeable, a.flags.c_contiguous) for a in (one, two)]
        return bool(kinds[0] == kinds[1] and one.tobytes() == two.tobytes())
    if isinstance(one, tuple):
        return len(one) == len(two) and all(_same(a, b) for a, b in zip(one, two, strict=True))
    if type(one) in _NAMES:
        return all(_same(getattr(one, name), getattr(two, name)) for name in _NAMES[type(one)])
    return repr(one) == repr(two)


def same(one: Decision, two: Decision) -> bool:
    """Two decisions."""
    return _same(one, two)


def same_memory(one: Memory, two: Memory) -> bool:
    """What two decisions hand on."""
    return _same(one, two)

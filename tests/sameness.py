"""Whether two decisions, and what they hand on, are the same bit by bit; NaN is the same as NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from checkrein.controller import Decision
from checkrein.controller.memory import Memory


def same(one: Decision, two: Decision) -> bool:
    """Two decisions."""
    stops = one.setpoint.stop, two.setpoint.stop
    arrays = [
        (getattr(a, name), getattr(b, name))
        for a, b in ((one.setpoint, two.setpoint), stops)
        for name in ("q", "dq", "ddq")
    ]
    arrays += [(stops[0].jerk, stops[1].jerk), (stops[0].ticks, stops[1].ticks)]
    named = (
        "outcome", "scores", "stop_state", "seq", "continues", "stop_tick", "accepted",
        "command_seq", "resample", "now_ns", "limits_sha256", "classifier_sha256", "error",
        "findings",
    )  # fmt: skip
    return all(a.tobytes() == b.tobytes() for a, b in arrays) and all(
        repr(getattr(one, name)) == repr(getattr(two, name)) for name in named
    )


def _values(item: Any) -> Any:
    """Arrays as what they hold, and whether they can be written to; tuples part by part."""
    if isinstance(item, np.ndarray):
        return item.shape, item.tobytes(), item.flags.writeable
    if isinstance(item, tuple):
        return type(item), [_values(part) for part in item]
    return repr(item)


def same_memory(one: Memory, two: Memory) -> bool:
    """What two decisions hand on."""
    return bool(_values(one) == _values(two))

"""The observer on the tool's acceleration: by differences of where the applied stream puts it.

Guarantees: shares no code with the filter; has nothing but positions. The second difference of the
tool's place over T² is a mean of its acceleration, so no larger than the largest. Of its rotation
the same holds of the differences of rotation vectors, but for what turning about a moving axis
adds: at most T·|ω|·|dω/dt|/6, which is allowed for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .chain import Chain, rotation_vector

__all__ = ["ToolAcceleration"]

Array = npt.NDArray[np.float64]
RELATIVE_TOLERANCE = 1e-9
ROUNDINGS = 64.0  # of a place some metres away that several joints lead to


class ToolAcceleration:
    """What a frozen file declares of the tool's acceleration, against a stream of setpoints."""

    def __init__(self, frozen: Mapping[str, Any]) -> None:
        """Costs nothing where nothing is declared."""
        self._linear = float(frozen["tcp"].get("max_trans_acc", math.inf))
        self._angular = float(frozen["tcp"].get("max_rot_acc", math.inf))
        self._period_s = float(frozen["period_s"])
        declared = math.isfinite(self._linear) or math.isfinite(self._angular)
        self._chain = Chain(frozen) if declared else None

    def look(self, first: Array, second: Array, third: Array) -> list[tuple[str, float, float]]:
        """(kind, value, bound) of what three setpoints (n,) in a row break."""
        if self._chain is None:
            return []
        (turn0, at0, _), (turn1, at1, _), (turn2, at2, _) = (
            self._chain.tcp(q) for q in (first, second, third)
        )
        square = self._period_s**2
        rounding = ROUNDINGS * float(np.finfo(np.float64).eps) / square
        speeds = rotation_vector(turn1 @ turn0.T), rotation_vector(turn2 @ turn1.T)
        fast = max(float(np.linalg.norm(speed)) for speed in speeds)  # a tick
        out = []
        for kind, change, bound, more in (
            ("tcp_acceleration", at2 - 2.0 * at1 + at0, self._linear, 0.0),
            ("tcp_rotational_acceleration", speeds[1] - speeds[0], self._angular, fast / 6.0),
        ):
            value = float(np.linalg.norm(change)) / square
            if not value <= bound * (1.0 + more + RELATIVE_TOLERANCE) + rounding:
                out.append((kind, value, bound))
        return out

"""The declared bounds as the observer reads them from a frozen limits file.

Guarantees: shares no code with the filter; a bound that is not finite is an error, but for the
positions of a continuous joint, which has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .observed_geometry import ObservedVolume

__all__ = ["ObservedBounds"]

Array = npt.NDArray[np.float64]


def _completed(joint: Mapping[str, Any]) -> dict[str, Any]:
    """With what may be left out: a bound on slowing down, and a continuous joint's range."""
    out = {"max_deceleration": joint["max_acceleration"], **joint}
    if joint["type"] == "continuous":
        out |= {"min_position": 0.0, "max_position": 0.0}
    return out


@dataclass(frozen=True, slots=True, eq=False)
class ObservedBounds:
    """The frozen file as the observer reads it."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    low: Array
    high: Array
    rate: tuple[Array, Array, Array]  # velocity, acceleration (the larger of both), jerk
    push: tuple[Array, Array]  # acceleration where the joint speeds up, where it slows down
    effort: Array
    tcp_speed_m_s: float
    tcp_rotation_rad_s: float  # infinite: not declared
    force_n: float
    period_s: float
    volumes: tuple[ObservedVolume, ...]
    pairs: tuple[tuple[str, str], ...]  # links that must not touch each other

    @property
    def extensions_m(self) -> dict[str, float]:
        """Per joint, how far it slides out at most [m]; infinite for one that turns."""
        farthest = np.maximum(np.abs(self.low), np.abs(self.high))
        return {
            name: float(most) if unit == "m" else math.inf
            for name, unit, most in zip(self.names, self.units, farthest, strict=True)
        }

    @staticmethod
    def parse(frozen: Mapping[str, Any]) -> ObservedBounds:
        if frozen["format"] != 1 or frozen["kind"] != "checkrein/frozen-limits":
            raise ValueError(f"the observer reads frozen limits format 1, not {frozen['format']}")

        joints = frozen["joints"]

        def column(key: str) -> Array:
            values = np.array([joint[key] for joint in joints], dtype=np.float64)
            if not np.isfinite(values).all():
                raise ValueError(f"joints.{key}: {values} is not finite")
            return values

        endless = [joint["type"] == "continuous" for joint in joints]
        joints = [_completed(joint) for joint in joints]
        up, down = column("max_acceleration"), column("max_deceleration")
        return ObservedBounds(
            tuple(joint["name"] for joint in joints),
            tuple("m" if joint["type"] == "prismatic" else "rad" for joint in joints),
            np.where(endless, -np.inf, column("min_position")),
            np.where(endless, np.inf, column("max_position")),
            (column("max_velocity"), np.maximum(up, down), column("max_jerk")),
            (up, down),
            column("max_effort"),
            float(frozen["tcp"]["max_trans_vel"]),
            float(frozen["tcp"].get("max_rot_vel", math.inf)),
            float(frozen["tcp"]["max_force"]),
            float(frozen["period_s"]),
            tuple(ObservedVolume.parse(volume) for volume in frozen["volumes"]),
            tuple((a, b) for a, b in (frozen.get("self_collision") or {}).get("pairs", ())),
        )

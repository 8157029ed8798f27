"""The observer on the speed of links: of the vertices of their collision meshes, as simulated.

Guarantees: shares no code with the filter. Every vertex is a point of its link, so that one which
is too fast is a violation; a zone counts for the vertices that are inside it. What is between the
vertices is not looked at, and whoever declares neither limit pays nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .observed_geometry import Hull, ObservedVolume, point_clearances, read_hulls
from .world import World

__all__ = ["LinkSpeeds"]

Array = npt.NDArray[np.float64]


def _rotation(quaternion: Sequence[float]) -> Array:  # xyzw -> (3, 3)
    size = math.hypot(*quaternion)
    x, y, z, w = (part / size for part in quaternion)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + 2.0 * w * cross + 2.0 * cross @ cross)


class LinkSpeeds:
    """What a frozen file declares of the speed of links, against a simulated robot."""

    def __init__(self, frozen: Mapping[str, Any], world: World) -> None:
        """Reads the meshes only if there is something to judge."""
        self._world = world
        self._everywhere = float((frozen.get("links") or {}).get("max_speed", math.inf))
        self._zones = [
            (ObservedVolume.parse(zone["volume"]), float(zone["max_speed"]))
            for zone in frozen.get("zones", ())
        ]
        declared = math.isfinite(self._everywhere) or bool(self._zones)
        self._hulls: list[Hull] = read_hulls(world.urdf, world.moving_links) if declared else []
        self._links = [world.link_index[hull.link] for hull in self._hulls]

    def look(self) -> list[tuple[str, str, float, float]]:
        """(kind, link or link/zone, speed [m/s], bound [m/s]) of the worst of each that is broken.

        Speeds that are no number are.
        """
        if not self._hulls:
            return []
        world = self._world
        states = world.p.getLinkStates(
            world.robot,
            self._links,
            computeLinkVelocity=1,
            computeForwardKinematics=1,
            physicsClientId=world.client,
        )
        broken: dict[tuple[str, str], tuple[float, float]] = {}
        for hull, state in zip(self._hulls, states, strict=True):
            points = hull.points @ _rotation(state[5]).T + np.array(state[4])
            spin, away = np.array(state[7]), points - np.array(state[0])
            speeds = np.linalg.norm(np.array(state[6]) + np.cross(spin, away), axis=1)
            self._note(broken, ("link_speed", hull.link), speeds, self._everywhere)
            for place, bound in self._zones:
                if hull.link in place.exempt:
                    continue
                inside = ~(point_clearances(place, points) >= 0.0)
                subject = f"{hull.link}/{place.name}"
                self._note(broken, ("zone_speed", subject), speeds[inside], bound)
        return [(*key, *values) for key, values in broken.items()]

    @staticmethod
    def _note(
        broken: dict[tuple[str, str], tuple[float, float]],
        key: tuple[str, str],
        speeds: Array,
        bound: float,
    ) -> None:
        top = float(speeds.max(initial=0.0))
        if not top <= bound * (1.0 + 1e-9) and not broken.get(key, (0.0, 0.0))[0] >= top:
            broken[key] = (top, bound)

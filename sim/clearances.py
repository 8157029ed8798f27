"""Clearances of the moving links for the observer: measured where they may be small, else bounded.

Guarantees:
- Shares no code with the filter. What may be nearer than NEAR_M (PAIR_NEAR_M for two links) is
  measured anew at every look, so what is in violation is judged as if everything always were.
- What was measured farther away stays a bound: joints that turn by d carry no point farther than
  the sum of arm times d (`travel`), and no clearance changes by more than the points move.
- The joints are read from the world at every look: whatever moved them, the bounds hold. NaN ends
  every bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .observed_geometry import Hull, ObservedVolume, point_clearances, read_hulls
from .travel import hull_arms
from .world import World

__all__ = ["NEAR_M", "Clearances"]

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NEAR_M = 0.05  # clearances above it are lower bounds, below it exact
PAIR_NEAR_M = 0.005  # far more than PyBullet's closest points are wrong by
PAIR_LOOK_M = 0.3  # how far apart two links may be for their distance to be worth measuring


class Clearances:
    """Smallest clearance of the moving links from the declared volumes, cheap while it is large;
    and which of the declared pairs of links touch each other."""

    def __init__(
        self,
        world: World,
        volumes: Sequence[ObservedVolume],
        pairs: Sequence[tuple[str, str]],
        extensions_m: Mapping[str, float],
    ) -> None:
        """extensions_m: as of `hull_arms`; joints that turn: infinite."""
        self._world = world
        self._hulls: list[Hull] = read_hulls(world.urdf, world.moving_links)
        self._links = [world.link_index[hull.link] for hull in self._hulls]
        self._volumes = volumes
        # A ball about the link's centre of mass, which PyBullet reports: no frame has to be turned.
        self._reach: Array = np.array(
            [
                float(np.linalg.norm(hull.points - self._mass_center(link), axis=1).max())
                + hull.radius
                for hull, link in zip(self._hulls, self._links, strict=True)
            ]
        )
        # An exempt pair never counts: infinity added to its clearance.
        self._exempt: Array = np.array(
            [
                [math.inf if hull.link in volume.exempt else 0.0 for hull in self._hulls]
                for volume in volumes
            ]
        ).reshape(len(volumes), len(self._hulls))
        of_link: dict[str, list[int]] = {}
        for i, hull in enumerate(self._hulls):
            of_link.setdefault(hull.link, []).append(i)
        # The carried object is no link: the tool that holds it stands for it.
        self._pairs = [(a, b) for a, b in pairs if a in of_link and b in of_link]
        self._pair_hulls = [
            np.array([(i, k) for i in of_link[a] for k in of_link[b]]).T for a, b in self._pairs
        ]
        self._set_arms(extensions_m)
        self.forget()

    def _set_arms(self, extensions_m: Mapping[str, float]) -> None:
        """Rows of `_arms`: every hull for every volume, then every pair of links."""
        arms = hull_arms(self._world.urdf, self._hulls, extensions_m)
        self._extensions = np.array(list(extensions_m.values()))
        rows = [*arms] * len(self._volumes)
        for first, second in self._pair_hulls:
            # A joint that carries both carries them together.
            one, other = arms[first].max(axis=0), arms[second].max(axis=0)
            rows.append(np.where((one > 0.0) & (other > 0.0), 0.0, one + other))
        self._arms: Array = np.array(rows).reshape(len(rows), len(extensions_m))
        self._near: Array = np.full(len(rows), NEAR_M)
        self._near[self._exempt.size :] = PAIR_NEAR_M

    def forget(self) -> None:
        """The next look measures everything."""
        self._q: Array = np.zeros(len(self._extensions))
        self._travel: Array = np.zeros(len(self._near))
        # Clearances [m] as they were measured, plus the travel until then.
        self._until: Array = np.full(len(self._near), -math.inf)
        self._is_known = False

    def look(self, *, anew: bool = False) -> tuple[float, str, tuple[str, str] | None]:
        """The smallest clearance [m] and `link/volume`, and the first pair of links that overlap.

        The clearance is a lower bound where it is above NEAR_M; a sharp one, the same after every
        motion, if it is measured `anew`. What is in violation does not depend on `anew`.
        """
        if not self._hulls:
            return math.inf, "", None
        self._move()
        bounds = self._until - self._travel
        stale = ~(bounds > self._near)
        count = self._exempt.size
        if anew:
            stale[:count] = True
        exact, touching = np.zeros(self._exempt.shape, dtype=np.bool_), None
        if stale.any():
            world = self._world
            states = world.p.getLinkStates(
                world.robot, self._links, computeForwardKinematics=1, physicsClientId=world.client
            )
            centers = np.array([state[0] for state in states])
            grid = bounds[:count].reshape(self._exempt.shape)  # a view: measured in place
            exact = self._measure(grid, stale[:count].reshape(grid.shape), states, centers)
            touching = self._touching(bounds[count:], stale[count:], centers)
            self._until[stale] = bounds[stale] + self._travel[stale]
        if not count:
            return math.inf, "", touching
        least = int(np.argmin(bounds[:count]))  # of NaN and numbers it is NaN
        volume, hull = divmod(least, len(self._hulls))
        who = self._hulls[hull].link if exact[volume, hull] else "?"
        return float(bounds[least]), f"{who}/{self._volumes[volume].name}", touching

    def _move(self) -> None:
        """Add what the joints may have carried the hulls since the last look."""
        world = self._world
        states = world.p.getJointStates(
            world.robot, world.joint_indices, physicsClientId=world.client
        )
        q = np.array([state[0] for state in states])
        moved = self._arms @ np.abs(q - self._q)
        is_known = bool((np.abs(q) <= self._extensions).all())
        if self._is_known and is_known:
            self._travel += moved
        else:  # an arm is only as long as it was said to be within the extensions
            self._travel[:] = 0.0
            self._until[:] = -math.inf
        self._q, self._is_known = q, is_known

    def _measure(self, bounds: Array, stale: Flags, states: Any, centers: Array) -> Flags:
        """Fill in bounds (volumes, hulls) where they are stale; says which of them are exact."""
        smallest, exact = math.inf, np.zeros(bounds.shape, dtype=np.bool_)
        for v in np.flatnonzero(stale.any(axis=1)).tolist():
            volume, old = self._volumes[v], np.flatnonzero(stale[v])
            fresh = point_clearances(volume, centers[old]) - self._reach[old] + self._exempt[v, old]
            bounds[v, old] = fresh
            for i in old[~(fresh > min(NEAR_M, smallest))]:
                hull = self._hulls[i]
                points = hull.points @ _matrix(states[i][5]).T + np.array(states[i][4])
                value = float(point_clearances(volume, points).min()) - hull.radius
                if not volume.keep_in and volume.shape != "half_space":
                    value = min(value, self._closest(volume, self._links[i], value))
                bounds[v, i], exact[v, i] = value, True
                smallest = min(smallest, value)
        return exact

    def _touching(self, bounds: Array, stale: Flags, centers: Array) -> tuple[str, str] | None:
        """By PyBullet's closest points of the hulls; centers (k, 3) of the balls that hold them.

        Fills in bounds (pairs,) where they are stale; a pair behind one that touches stays stale.
        """
        old = np.flatnonzero(stale)
        bounds[old] = -math.inf
        for p in old:
            first, second = self._pair_hulls[p]
            gaps = np.sqrt(((centers[first] - centers[second]) ** 2).sum(axis=1))
            gap = float((gaps - self._reach[first] - self._reach[second]).min())
            if gap > 0.0:
                bounds[p] = gap
            else:
                a, b = (self._links[hulls[0]] for hulls in (first, second))
                bounds[p] = self._distance(a, b, PAIR_LOOK_M)
                near = not bounds[p] > PAIR_NEAR_M
                if near and not self._distance(a, b, 0.0) >= 0.0:
                    return self._pairs[p]
        return None

    def _distance(self, a: int, b: int, most_m: float) -> float:
        """Distance of two links [m] by PyBullet's closest points; `most_m` if it is larger."""
        world = self._world
        points = world.p.getClosestPoints(
            bodyA=world.robot,
            bodyB=world.robot,
            distance=most_m,
            linkIndexA=a,
            linkIndexB=b,
            physicsClientId=world.client,
        )
        return float(np.min([most_m, *(float(point[8]) for point in points)]))

    def _mass_center(self, link: int) -> Array:  # (3,) in the link's frame
        world = self._world
        info = world.p.getDynamicsInfo(world.robot, link, physicsClientId=world.client)
        return np.array(info[3])

    def _closest(self, volume: ObservedVolume, link: int, vertex_m: float) -> float:
        """Clearance of the link's hull; no vertex is nearer than `vertex_m`, a face may be."""
        world = self._world
        points = world.p.getClosestPoints(
            bodyA=world.robot,
            bodyB=world.volumes[volume.name],
            distance=max(vertex_m, 0.0),
            linkIndexA=link,
            physicsClientId=world.client,
        )
        return min((float(point[8]) for point in points), default=math.inf)


def _matrix(quaternion: Sequence[float]) -> Array:  # xyzw -> (3, 3)
    size = math.hypot(*quaternion)  # PyBullet's are of unit length to some 1e-9 only
    x, y, z, w = (part / size for part in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )

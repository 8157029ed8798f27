"""Random volumes around a random robot: every shape, kept in or kept out, clear of its home.

Guarantees:
- A volume is drawn where links may come: around a point of a link in a sampled configuration.
- A mesh is an affine image of a tetrahedron, a cube or an octahedron: its faces are known, so that
  no hull has to be computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SHAPES", "numbers", "random_rotation", "random_volume", "random_zone"]

Array = npt.NDArray[np.float64]

SHAPES = ("half_space", "box", "sphere", "capsule", "cylinder", "mesh")
DECIMALS = 12
KEEP_IN_SHARE = 0.3
REFUSE_SHARE = 0.08
EXEMPT_SHARE = 0.3
SOLIDS: tuple[tuple[Array, tuple[tuple[int, int, int], ...]], ...] = (
    (  # corners, and three corners of each face
        np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]),
        ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)),
    ),
    (
        np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]),
        ((0, 1, 2), (4, 5, 6), (0, 1, 4), (2, 3, 6), (0, 2, 4), (1, 3, 5)),
    ),
    (
        np.vstack([np.eye(3), -np.eye(3)]),
        tuple((x, y, z) for x in (0, 3) for y in (1, 4) for z in (2, 5)),
    ),
)


def numbers(values: npt.ArrayLike) -> list[float]:
    """Plain floats of an array, in order, rounded as the freezer rounds."""
    return [round(float(v), DECIMALS) + 0.0 for v in np.asarray(values).ravel()]


def random_rotation(rng: np.random.Generator) -> Array:
    """A rotation (3, 3), uniform."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q if np.linalg.det(q) > 0.0 else -q)


def _direction(rng: np.random.Generator) -> Array:
    way = rng.normal(size=3)
    return np.asarray(way / np.linalg.norm(way))


def _mesh(rng: np.random.Generator, center: Array, size: float) -> dict[str, Any]:
    corners, faces = SOLIDS[int(rng.integers(len(SOLIDS)))]
    stretch = np.diag(rng.uniform(0.5, 1.0, 3)) + rng.uniform(-0.2, 0.2, (3, 3))
    corners = corners @ (size * random_rotation(rng) @ stretch).T + center
    corners = np.round(corners, DECIMALS)
    planes = []
    for one, two, three in faces:
        normal = np.cross(corners[two] - corners[one], corners[three] - corners[one])
        normal /= np.linalg.norm(normal)
        if normal @ (corners[one] - corners.mean(axis=0)) < 0.0:
            normal = -normal
        planes.append([*normal.tolist(), float((corners @ normal).max())])
    return {"vertices": [numbers(row) for row in corners], "planes": planes}


def _solid(rng: np.random.Generator, shape: str, center: Array, size: float) -> dict[str, Any]:
    """The fields of one shape of about this half-size [m] at a place."""
    if shape == "half_space":
        normal = _direction(rng)
        return {"normal": normal.tolist(), "offset": round(float(normal @ center), DECIMALS)}
    if shape == "box":
        half = size * rng.uniform(0.5, 1.0, 3)
        turned = np.eye(3) if rng.random() < 0.4 else random_rotation(rng)
        return {
            "center": numbers(center),
            "rotation": numbers(turned),
            "half_extents": numbers(half),
        }
    if shape == "sphere":
        return {"center": numbers(center), "radius": round(size, DECIMALS)}
    if shape == "mesh":
        return _mesh(rng, center, size)
    along = _direction(rng) * size * rng.uniform(0.3, 1.5)
    wide = size * rng.uniform(0.3, 1.0)
    ends = {"start": numbers(center - along), "end": numbers(center + along)}
    return {**ends, "radius": round(float(wide), DECIMALS)}


def random_zone(
    rng: np.random.Generator, name: str, shape: str, places: Array, reach_m: float, speed_m_s: float
) -> dict[str, Any]:
    """One zone as a frozen file has it, about a place where links may be; as `random_volume`."""
    center = places[int(rng.integers(places.shape[0]))]
    size = float(rng.uniform(0.05, 0.5)) * min(1.0, reach_m)
    volume = {
        "name": name,
        "kind": "keep_out",
        "shape": shape,
        "on_violation": "refuse" if rng.random() < REFUSE_SHARE else "clamp",
        "exempt": [],
        **_solid(rng, shape, center, size),
    }
    return {"max_speed": round(speed_m_s, DECIMALS), "volume": volume}


def random_volume(
    rng: np.random.Generator, name: str, shape: str, places: Array, reach_m: float, first: str
) -> dict[str, Any]:
    """One volume as a frozen file has it.

    places (m, 3): where links may be; reach_m: of the arm; first: the link that may be exempt.
    """
    keeps_in = bool(rng.random() < KEEP_IN_SHARE)
    if keeps_in:
        # Around the arm, so that home is inside and full reach is not.
        center = places.mean(axis=0) + rng.normal(size=3) * 0.1 * reach_m
        size = reach_m * rng.uniform(0.6, 1.4)
        if shape == "half_space":
            center = center + _direction(rng) * size
    else:
        center = places[int(rng.integers(places.shape[0]))]
        size = float(rng.uniform(0.03, 0.3)) * min(1.0, reach_m)
    fields = _solid(rng, shape, center, float(size))
    if keeps_in and shape in ("capsule", "cylinder"):
        fields["radius"] = round(float(size * rng.uniform(0.7, 1.1)), DECIMALS)
    if shape == "half_space" and keeps_in:  # {x: normal·x <= offset} holds the arm
        normal = np.array(fields["normal"])
        middle = float(normal @ places.mean(axis=0))
        if fields["offset"] < middle:
            fields["normal"], fields["offset"] = (-normal).tolist(), -fields["offset"]
    return {
        "name": name,
        "kind": "keep_in" if keeps_in else "keep_out",
        "shape": shape,
        "on_violation": "refuse" if rng.random() < REFUSE_SHARE else "clamp",
        "exempt": [first] if rng.random() < EXEMPT_SHARE else [],
        **fields,
    }

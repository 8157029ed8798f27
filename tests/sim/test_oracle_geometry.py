"""The oracle's clearances against brute force, shape by shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.sim.oracle_file import FrozenFileError
from checkrein.sim.oracle_geometry import clearance
from checkrein.sim.oracle_shapes import VolumeShape, _mesh

SHAPES: dict[str, dict[str, Any]] = {
    "half_space": {"normal": [0.6, 0.0, 0.8], "offset": 0.1},
    "box": {
        "center": [0.1, -0.2, 0.3],
        "rotation": [0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0],
        "half_extents": [0.5, 0.3, 0.2],
    },
    "sphere": {"center": [0.1, -0.2, 0.3], "radius": 0.35},
    "capsule": {"start": [0.2, -0.2, 0.0], "end": [-0.3, 0.4, 0.5], "radius": 0.2},
    "cylinder": {"start": [0.2, -0.2, 0.0], "end": [-0.3, 0.4, 0.5], "radius": 0.3},
    "mesh": {  # a wedge: the block |x| <= 0.4, |y| <= 0.3, 0 <= z <= 0.5 less one slope
        "vertices": [[x, y, 0.0] for x in (-0.4, 0.4) for y in (-0.3, 0.3)]
        + [[-0.4, y, 0.5] for y in (-0.3, 0.3)],
        "planes": [
            [-1.0, 0.0, 0.0, 0.4], [0.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 0.3],
            [0.0, 1.0, 0.0, 0.3], [0.5 / 0.89**0.5, 0.0, 0.8 / 0.89**0.5, 0.2 / 0.89**0.5],
        ],
    },
}  # fmt: skip


def volume(kind: str, name: str) -> VolumeShape:
    if name == "mesh":
        return VolumeShape("v", kind == "keep_in", name, frozenset(), _mesh(SHAPES[name], "v"))
    fields = {key: np.array(value) for key, value in SHAPES[name].items()}
    if "rotation" in fields:
        fields["rotation"] = fields["rotation"].reshape(3, 3)
    return VolumeShape("v", kind == "keep_in", name, frozenset(), fields)


def depth(shape: VolumeShape, points: np.ndarray) -> np.ndarray:
    """Signed distance of points (K, 3) to the volume's surface, negative inside; by definition."""
    f = shape.fields
    if shape.shape == "half_space":
        return np.asarray(points @ f["normal"] - f["offset"])
    if shape.shape == "box":
        over = np.abs((points - f["center"]) @ f["rotation"]) - f["half_extents"]
        outside = np.linalg.norm(np.maximum(over, 0), axis=1)
        return np.asarray(outside + np.minimum(over.max(axis=1), 0))
    if shape.shape == "sphere":
        return np.asarray(np.linalg.norm(points - f["center"], axis=1) - f["radius"])
    if shape.shape == "mesh":
        return _wedge(points)
    along = np.linspace(f["start"], f["end"], 2001)
    if shape.shape == "cylinder":
        return _section(f, points)
    gaps = np.linalg.norm(points[:, None] - along[None], axis=2).min(axis=1)
    return np.asarray(gaps - f["radius"])


def _wedge(points: np.ndarray) -> np.ndarray:
    """In the plane y = 0 a triangle; its sides, looked at one by one."""
    corners = np.array([[-0.4, 0.0], [0.4, 0.0], [-0.4, 0.5]])
    flat, side = points[:, [0, 2]], np.abs(points[:, 1]) - 0.3
    away, inside = np.full(len(points), np.inf), np.full(len(points), -np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        u = b - a
        share = np.clip((flat - a) @ u / (u @ u), 0.0, 1.0)
        away = np.minimum(away, np.linalg.norm(flat - a - share[:, None] * u, axis=1))
        normal = np.array([u[1], -u[0]]) / np.linalg.norm(u)
        inside = np.maximum(inside, (flat - a) @ normal)
    over = np.where(inside > 0.0, away, 0.0)
    outside = np.hypot(over, np.maximum(side, 0.0))
    return np.asarray(np.where(outside > 0.0, outside, np.maximum(inside, side)))


def _section(f: dict[str, np.ndarray], points: np.ndarray) -> np.ndarray:
    """A cylinder by its wall and its two ends: past both, the rim is nearest."""
    axis = f["end"] - f["start"]
    unit = axis / np.linalg.norm(axis)
    along = (points - f["start"]) @ unit
    away = np.linalg.norm(np.cross(points - f["start"], unit), axis=1)
    wall, cap = away - f["radius"], np.abs(along - np.linalg.norm(axis) / 2.0)
    cap -= np.linalg.norm(axis) / 2.0
    past_both = (wall > 0.0) & (cap > 0.0)
    return np.asarray(np.where(past_both, np.hypot(wall, cap), np.maximum(wall, cap)))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kind", ["keep_in", "keep_out"])
def test_clearance_against_brute_force(name: str, kind: str) -> None:
    rng = np.random.default_rng(4)
    shape = volume(kind, name)
    starts, ends = rng.uniform(-1, 1, (2, 60, 3))
    ends[:10] = starts[:10]  # a sphere
    ends[10:20] = starts[10:20] + np.array([0.0, 0.0, 0.3])  # along an axis
    got = clearance(shape, starts.T, ends.T, 0.05)
    for k in range(60):
        along = depth(shape, np.linspace(starts[k], ends[k], 501))
        if kind == "keep_in":
            truth = -along.max() - 0.05
            # Outside of flat faces the clearance is that of the worst one: right in sign.
            beyond = name in ("box", "cylinder", "mesh") and truth <= got[k] < -0.05
            assert beyond or got[k] == pytest.approx(truth, abs=2e-5)
            continue
        solid = name in ("box", "cylinder", "mesh")
        truth = max(along.min(), -0.0) if solid else along.min()
        truth = truth - 0.05
        if name in ("sphere", "capsule", "half_space") or truth > -0.05:
            # Far pairs may return the bounding spheres' gap, which is below the true distance.
            assert got[k] <= truth + 1e-4
            assert got[k] == pytest.approx(truth, abs=3e-3) or 0.0 < got[k] < truth
        else:
            assert got[k] < 0.0


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kind", ["keep_in", "keep_out"])
def test_nan_has_no_clearance(name: str, kind: str) -> None:
    points = np.zeros((3, 2))
    points[1, 1] = np.nan
    got = clearance(volume(kind, name), points, points, 0.05)
    assert np.isfinite(got[0])
    assert not got[1] >= 0.0


@pytest.mark.parametrize("name", ["box", "cylinder", "mesh"])
def test_a_bar_is_as_near_as_its_nearest_point(name: str) -> None:
    """Segments sampled where the exact minimum is hardest: edges and corners."""
    rng = np.random.default_rng(7)
    shape = volume("keep_out", name)
    starts = rng.uniform(-0.8, 0.8, (400, 3))
    ends = starts + rng.normal(size=(400, 3)) * 0.5
    got = clearance(shape, starts.T, ends.T, 0.01)
    part = np.linspace(0.0, 1.0, 2001)[:, None]
    for k in range(400):
        truth = float(np.maximum(depth(shape, starts[k] + part * (ends[k] - starts[k])), 0).min())
        if truth > 0.0 and got[k] < 0.2:
            assert got[k] <= truth - 0.01 + 1e-9


def test_a_mesh_that_is_no_closed_convex_body_is_not_judged() -> None:
    sound = SHAPES["mesh"]
    dented = [*sound["vertices"][:-1], [-0.5, 0.3, 0.5]]
    for wrong in (
        {"planes": sound["planes"][1:]},
        {"planes": [*sound["planes"], sound["planes"][0]]},
        {"vertices": [*sound["vertices"], [0.0, 0.0, 0.1]]},
        {"vertices": dented},
        {"planes": [[2.0 * v for v in plane] for plane in sound["planes"]]},
    ):
        with pytest.raises(FrozenFileError):
            _mesh(sound | wrong, "v")

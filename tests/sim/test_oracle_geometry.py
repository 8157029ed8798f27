"""The oracle's clearances against brute force, shape by shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.sim.oracle_file import VolumeShape
from checkrein.sim.oracle_geometry import clearance

SHAPES: dict[str, dict[str, Any]] = {
    "half_space": {"normal": [0.6, 0.0, 0.8], "offset": 0.1},
    "box": {
        "center": [0.1, -0.2, 0.3],
        "rotation": [0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0],
        "half_extents": [0.5, 0.3, 0.2],
    },
    "sphere": {"center": [0.1, -0.2, 0.3], "radius": 0.35},
    "capsule": {"start": [0.2, -0.2, 0.0], "end": [-0.3, 0.4, 0.5], "radius": 0.2},
}


def volume(kind: str, name: str) -> VolumeShape:
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
    along = np.linspace(f["start"], f["end"], 2001)
    gaps = np.linalg.norm(points[:, None] - along[None], axis=2).min(axis=1)
    return np.asarray(gaps - f["radius"])


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
            # Outside a box the clearance is that of the worst face: right in sign.
            beyond = name == "box" and truth <= got[k] < -0.05
            assert beyond or got[k] == pytest.approx(truth, abs=2e-5)
            continue
        truth = max(along.min(), -0.0) if name == "box" else along.min()
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


def test_a_bar_is_as_near_as_its_nearest_point() -> None:
    """Segments against a box, sampled where the exact minimum is hardest: edges and corners."""
    rng = np.random.default_rng(7)
    shape = volume("keep_out", "box")
    starts = rng.uniform(-0.8, 0.8, (400, 3))
    ends = starts + rng.normal(size=(400, 3)) * 0.5
    got = clearance(shape, starts.T, ends.T, 0.01)
    part = np.linspace(0.0, 1.0, 2001)[:, None]
    for k in range(400):
        truth = float(np.maximum(depth(shape, starts[k] + part * (ends[k] - starts[k])), 0).min())
        if truth > 0.0 and got[k] < 0.2:
            assert got[k] <= truth - 0.01 + 1e-9

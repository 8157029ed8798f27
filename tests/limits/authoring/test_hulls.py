"""Hulls of files and points: nothing is moved, what is too much or nothing is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from tests.limits.authoring.test_meshes import TWO_OBJECTS

from checkrein.limits.authoring.hulls import convex_hull, mesh_points
from checkrein.limits.errors import LimitsFileError, RobotError


def test_a_file_is_read_beside_the_limits_file_and_scaled(tmp_path: Path) -> None:
    (tmp_path / "part.obj").write_text(TWO_OBJECTS)
    points = mesh_points("part.obj", 0.001, tmp_path, "volumes.part")
    assert points.max() == 0.005
    assert len(points) == 7
    with pytest.raises(RobotError, match="No such file"):
        mesh_points("other.obj", 1.0, tmp_path, "volumes.part")
    with pytest.raises(RobotError, match=r"must be \.obj or \.stl"):
        mesh_points("part.step", 1.0, tmp_path, "volumes.part")


def test_millimetres_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "part.obj").write_text(TWO_OBJECTS.replace("5", "500"))
    with pytest.raises(LimitsFileError, match=r"volumes\.part\.file.*500 m large.*scale: 0\.001"):
        mesh_points("part.obj", 1.0, tmp_path, "volumes.part")


def test_too_many_corners_are_refused_with_the_way_out() -> None:
    ball = np.random.default_rng(1).normal(size=(200, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    with pytest.raises(LimitsFileError, match=r"200 corners, at most 64; simplify.*or use a box"):
        convex_hull(ball, "volumes.ball")


def test_what_spans_no_body_is_refused() -> None:
    flat = np.random.default_rng(1).normal(size=(9, 3)) * [1.0, 1.0, 0.0]
    for points in (flat, flat[:2], np.zeros((5, 3))):
        with pytest.raises(LimitsFileError, match="span no body"):
            convex_hull(points, "volumes.flat")


def test_a_fine_cylinder_of_float32_is_one_body() -> None:
    """As a CAD program writes it: 30 corners a ring, in single precision."""
    angle = np.arange(30) * 2.0 * np.pi / 30
    ring = 0.137 * np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.vstack([np.column_stack([ring, np.full(30, z)]) for z in (-0.3, 0.41)])
    vertices, planes = convex_hull(points.astype(np.float32).astype(np.float64), "c")
    assert len(vertices) == 60
    assert len(planes) == 32

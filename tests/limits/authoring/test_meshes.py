"""Mesh files: every face is read, a broken file is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from checkrein.limits.authoring.meshes import read_triangles
from checkrein.limits.errors import RobotError

TWO_OBJECTS = """# two objects in one file: libraries have lost the second
o first
v 0 0 0
v 1 0 0
v 0 1 0
vn 0 0 1
f 1//1 2//1 3//1
o second
v 0 0 5
v 1 0 5
v 1 1 5
v 0 1 5
f -4 -3 -2 -1
"""
SOLID = """solid s
facet normal 0 0 1
 outer loop
  vertex 0 0 0
  vertex 1 0 0
  vertex 0 1e0 -2.5e-1
 endloop
endfacet
endsolid s
"""


def written(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def binary(count: int, facets: int, header: bytes = b"solid but binary") -> bytes:
    facet = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, -0.25, 0)
    return header.ljust(80, b"\0") + struct.pack("<I", count) + facet * facets


def test_obj_with_two_objects_is_read_whole(tmp_path: Path) -> None:
    triangles = read_triangles(written(tmp_path, "a.obj", TWO_OBJECTS))
    assert triangles.shape == (3, 3, 3)
    assert triangles[0].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert triangles[1:, :, 2].tolist() == [[5, 5, 5], [5, 5, 5]]


def test_text_and_binary_stl_agree(tmp_path: Path) -> None:
    text = read_triangles(written(tmp_path, "a.stl", SOLID))
    same = read_triangles(written(tmp_path, "b.STL", binary(1, 1)))
    assert text.tolist() == same.tolist() == [[[0, 0, 0], [1, 0, 0], [0, 1, -0.25]]]


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("a.dae", "<dae/>", "must be .obj or .stl"),
        ("a.obj", "v 0 0 0\n", "no triangle"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2 9\n", "not a mesh"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 0 1 2\n", "not a mesh"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2\n", "not a mesh"),
        ("a.obj", "v 0 0 zero\nf 1 1 1\n", "not a mesh"),
        ("a.obj", "v 0 0 nan\nv 1 0 0\nv 1 1 0\nf 1 2 3\n", "not finite"),
        ("a.stl", SOLID.replace("endsolid s", ""), "not a mesh"),
        ("a.stl", binary(2, 1), "not a mesh"),
        ("a.stl", binary(0, 0), "no triangle"),
        ("a.stl", b"", "not a mesh"),
    ],
)
def test_bad_mesh_is_refused(tmp_path: Path, name: str, data: str | bytes, complaint: str) -> None:
    with pytest.raises(RobotError, match=complaint):
        read_triangles(written(tmp_path, name, data))


def test_every_vertex_of_the_shipped_robots_meshes_is_used() -> None:
    data = pytest.importorskip("pybullet_data")
    paths = sorted(Path(data.getDataPath()).glob("franka_panda/meshes/collision/*.obj"))
    assert paths
    for path in paths:
        rows = [line.split() for line in path.read_text().splitlines() if line.startswith("v ")]
        vertices = np.array([[float(word) for word in row[1:4]] for row in rows])
        corners = read_triangles(path).reshape(-1, 3)
        assert np.array_equal(corners.max(axis=0), vertices.max(axis=0))
        assert np.array_equal(corners.min(axis=0), vertices.min(axis=0))

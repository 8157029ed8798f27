"""The simulation URDF: locked joints, the tool, the digest, absolute meshes."""

from __future__ import annotations

import copy
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkrein.sim.model import find_urdf, write_simulation_urdf

pytest.importorskip("pybullet_data")


def test_locked_joints_are_fixed_and_the_tool_is_there(
    panda: dict[str, Any], tmp_path: Path
) -> None:
    robot = ElementTree.parse(write_simulation_urdf(panda, tmp_path)).getroot()
    kinds = {str(joint.get("name")): joint.get("type") for joint in robot.findall("joint")}
    for name in panda["source"]["locked_joints"]:
        assert kinds[name] == "fixed"
    for joint in panda["joints"]:
        assert kinds[joint["name"]] == joint["type"]
    assert kinds["tray_mount"] == "fixed"
    for mesh in robot.iter("mesh"):
        assert Path(str(mesh.get("filename"))).is_absolute()
        assert Path(str(mesh.get("filename"))).is_file()


def test_a_locked_prismatic_joint_is_moved_along_its_axis(
    panda: dict[str, Any], tmp_path: Path
) -> None:
    open_hand = copy.deepcopy(panda)
    open_hand["source"]["locked_joints"] = dict.fromkeys(panda["source"]["locked_joints"], 0.03)
    robot = ElementTree.parse(write_simulation_urdf(open_hand, tmp_path)).getroot()
    place = {}
    for joint in robot.findall("joint"):
        origin = joint.find("origin")
        assert origin is not None
        place[joint.get("name")] = [float(x) for x in str(origin.get("xyz")).split()]
    assert place["panda_finger_joint1"] == pytest.approx([0.0, 0.03, 0.0584])
    assert place["panda_finger_joint2"] == pytest.approx([0.0, -0.03, 0.0584])


def test_a_locked_revolute_joint_is_turned(panda: dict[str, Any], tmp_path: Path) -> None:
    bent = copy.deepcopy(panda)
    bent["source"]["locked_joints"]["panda_joint7"] = math.pi / 2
    robot = ElementTree.parse(write_simulation_urdf(bent, tmp_path)).getroot()
    origin = robot.find("joint[@name='panda_joint7']/origin")
    assert origin is not None
    roll, pitch, yaw = (float(x) for x in str(origin.get("rpy")).split())
    # R = Rx(pi/2) Rz(pi/2): x of the child points along z of the parent.
    x_axis = np.array(
        [
            math.cos(yaw) * math.cos(pitch),
            math.sin(yaw) * math.cos(pitch),
            -math.sin(pitch),
        ]
    )
    assert x_axis == pytest.approx([0.0, 0.0, 1.0], abs=1e-9)
    assert roll is not None


def test_another_urdf_than_the_frozen_one_is_refused(panda: dict[str, Any], tmp_path: Path) -> None:
    other = copy.deepcopy(panda)
    other["source"]["urdf_sha256"] = "0" * 64
    with pytest.raises(ValueError, match="urdf_sha256"):
        write_simulation_urdf(other, tmp_path)


def test_unknown_locked_joints_are_named(panda: dict[str, Any], tmp_path: Path) -> None:
    other = copy.deepcopy(panda)
    other["source"]["locked_joints"] = {"elbow": 0.0}
    with pytest.raises(ValueError, match="elbow"):
        write_simulation_urdf(other, tmp_path)


def test_a_missing_urdf_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no_such\.urdf"):
        find_urdf({"urdf": "no_such.urdf", "package": None})

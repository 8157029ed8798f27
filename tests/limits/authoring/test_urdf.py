"""Reading URDFs: what is understood, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pinocchio")

from tests.limits import small_arm

from checkrein.limits.authoring.urdf import load_chain, read_joints, resolve_urdf
from checkrein.limits.errors import RobotError
from checkrein.limits.loading import load_limits


@pytest.fixture
def urdf(tmp_path: Path) -> Path:
    small_arm.write(tmp_path)
    return tmp_path / "small.urdf"


def rewritten(urdf: Path, old: str, new: str) -> Path:
    text = urdf.read_text()
    assert old in text
    urdf.write_text(text.replace(old, new, 1))
    return urdf


def test_limit_and_safety_controller_are_both_read(urdf: Path) -> None:
    shoulder = read_joints(urdf)["shoulder"]
    assert shoulder.limit == {
        "min_position": -2.5,
        "max_position": 2.5,
        "max_velocity": 2.0,
        "max_effort": 60.0,
    }
    assert shoulder.soft == {"min_position": -2.2, "max_position": 2.3}


def test_what_nobody_filled_in_is_no_limit(urdf: Path) -> None:
    wrist = read_joints(urdf)["wrist"]
    assert wrist.limit == {"max_effort": 10.0}


def test_axes_are_turned_to_z(urdf: Path) -> None:
    chain = load_chain(urdf, {"grip": 0.0}, [])
    assert chain.joint_names == ["shoulder", "elbow", "slide", "wrist"]
    assert chain.joint_types == ["revolute", "revolute", "prismatic", "continuous"]
    for rotation, _ in chain.placements:
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0.0


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('type="prismatic"', 'type="planar"', "'slide': type 'planar' is not supported"),
        ('velocity="2.0"', 'velocity="fast"', "velocity='fast' is not a number"),
        ('velocity="2.0"', 'velocity="nan"', "not finite"),
        ("</robot>", "", "not XML"),
        ('<robot name="small">', '<!DOCTYPE r [<!ENTITY a "b">]><robot name="small">', "entities"),
    ],
)
def test_bad_urdf_is_refused(urdf: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(RobotError, match=complaint):
        load_chain(rewritten(urdf, old, new), {"grip": 0.0}, [])


def test_other_root_element_is_refused(urdf: Path) -> None:
    urdf.write_text("<sdf/>")
    with pytest.raises(RobotError, match="<sdf>, expected <robot>"):
        read_joints(urdf)


def test_unknown_locked_joint_lists_the_joints(urdf: Path) -> None:
    with pytest.raises(RobotError, match="'gripper'; there are: shoulder, elbow"):
        load_chain(urdf, {"gripper": 0.0}, [])


def test_a_tree_is_refused(urdf: Path) -> None:
    rewritten(urdf, '<parent link="carriage"/>', '<parent link="upper"/>')
    with pytest.raises(RobotError, match="one serial chain"):
        load_chain(urdf, {"grip": 0.0}, [])


def test_urdf_is_found_beside_the_limits_file(urdf: Path) -> None:
    assert resolve_urdf("small.urdf", None, urdf.parent) == urdf
    with pytest.raises(RobotError, match="no such file"):
        resolve_urdf("other.urdf", None, urdf.parent)
    with pytest.raises(RobotError, match="'my_robots' is not known"):
        resolve_urdf("other.urdf", "my_robots", urdf.parent)


def test_the_limits_can_be_loaded_from_another_folder(
    urdf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path("/"))
    assert load_limits(urdf.with_suffix(".yaml")).name == "small"

"""`limits init`: nothing is guessed, and what is filled in can be frozen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pinocchio")

from tests.limits import small_arm

from checkrein.limits.authoring.template import template
from checkrein.limits.authoring.urdf import load_chain
from checkrein.limits.document import parse_document
from checkrein.limits.errors import LimitsFileError, RobotError
from checkrein.limits.loading import load_limits

# What a person would fill in, by field; places that differ are given by path below.
ANSWERS = {
    "period": "8 ms",
    "max_velocity": "60 deg/s",
    "max_acceleration": "3.0",
    "max_jerk": "200.0",
    "tracking_error": "0.001",
    "velocity_error": "0.01",
    "effort_error": "0.5",
    "recovery_velocity": "0.05",
    "position_targets": "nearest",
    "tool": "null",
    "payload": "null",
    "max_trans_vel": "250 mm/s",
    "max_force": "40 N",
    "force_required": "true",
    "volumes": "[]",
    "standoff": "3 mm",
    "reason": "capsules are wider than links",
    "stop_category": "cat2",
    "command_timeout": "100 ms",
    "state_age_max": "20 ms",
    "period_tolerance": "0.5",
    "resample_deadline": "200 ms",
    "watchdog": "100 ms",
    "classifier": "{none: not trained}",
    "shoulder": "0.0",
    "elbow": "0.0",
    "slide": "0.0",
    "wrist": "0.0",
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("begun")
    small_arm.write(folder)
    return template(folder / "small.urdf", "small.urdf", None, "small", {"grip": 0.02})


def test_copies_the_tighter_bound_of_the_urdf(begun: str) -> None:
    shoulder = begun[begun.index("  shoulder:") : begun.index("  elbow:")]
    assert "min_position: -2.2" in shoulder
    assert "max_position: 2.3" in shoulder
    assert "max_effort: 60.0" in shoulder
    assert "max_acceleration: REQUIRED" in shoulder


def test_what_the_urdf_does_not_say_is_required(begun: str) -> None:
    wrist = begun[begun.index("  wrist:") : begun.index("tool:")]
    assert "type: continuous" in wrist
    assert "position_targets: REQUIRED" in wrist
    assert "min_position" not in wrist
    assert "max_velocity: REQUIRED" in wrist


def test_is_refused_with_the_list_of_its_fields(begun: str) -> None:
    with pytest.raises(LimitsFileError) as caught:
        parse_document(begun.encode(), "small.yaml")
    message = str(caught.value)
    count = len(re.findall(r"^[^#\n]*\bREQUIRED\b", begun, re.MULTILINE))
    assert f"REQUIRED ({count})" in message
    for path in ("period", "joint_limits.wrist.max_velocity", "home.slide", "timing.watchdog"):
        assert f"\n  {path}\n" in message + "\n"


def test_filled_in_it_is_frozen_and_feasible(begun: str, tmp_path: Path) -> None:
    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}: {ANSWERS[match[2]]}"

    filled = re.sub(r"^(\s*)(\w+): REQUIRED", fill, begun, flags=re.MULTILINE)
    path = small_arm.write(tmp_path, filled)
    limits = load_limits(path)
    assert [joint.name for joint in limits.joints] == ["shoulder", "elbow", "slide", "wrist"]
    assert [joint.type for joint in limits.joints][2:] == ["prismatic", "continuous"]
    assert {capsule.name for capsule in limits.capsules} == {
        "upper", "lower", "carriage", "flange", "plate", "finger",
    }  # fmt: skip


def test_a_robot_that_needs_locking_says_so(tmp_path: Path) -> None:
    small_arm.write(tmp_path)
    urdf = tmp_path / "small.urdf"
    urdf.write_text(urdf.read_text().replace('<parent link="plate"/>', '<parent link="base"/>'))
    with pytest.raises(RobotError, match="--lock JOINT=POSITION"):
        template(urdf, "small.urdf", None, "small", {})


def test_fingers_that_mimic_need_no_lock() -> None:
    """Of the Panda's two, one mimics the other: locked with it, or covered where it may be."""
    data = pytest.importorskip("pybullet_data")
    urdf = Path(data.getDataPath()) / "franka_panda" / "panda.urdf"
    chain = load_chain(urdf, {"panda_finger_joint1": 0.03}, [])
    assert chain.locked == {"panda_finger_joint1": 0.03, "panda_finger_joint2": 0.03}
    assert "panda_finger_joint1:" in template(urdf, str(urdf), None, "panda", {})

"""What is declared of a gripper: from the limits file to the record, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.limits import small_arm

from checkrein.limits import Gripper, load_limits
from checkrein.limits.authoring.fingers import finger_hints, fingers_of
from checkrein.limits.authoring.urdf_joints import UrdfJoint
from checkrein.limits.document import parse_document
from checkrein.limits.errors import InputError, LimitsFileError
from checkrein.limits.frozen import parse_frozen
from checkrein.scripts.limits_tables import explained_rows
from checkrein.sim.oracle import FrozenFileError, read_robot

GOLDEN = Path(__file__).parent / "golden"
FROZEN = (GOLDEN / "frozen_format_1.json").read_bytes()
SECTION = """gripper:
  command: width
  min_width: 0 mm
  max_width: 80 mm
  max_speed: 100 mm/s
  max_force: 42 N
  width_error: 1 mm
  force_error: 5 N
  force_required: false
  on_stop: hold
home:"""
CHOICES = "gripper_width: clamp, gripper_speed: refuse, gripper_force: clamp, joint_position: clamp"
DECLARED = Gripper("width", 0.0, 0.08, 0.1, 42.0, 0.001, 5.0, False)
YAML = small_arm.YAML.replace("home:", SECTION, 1).replace("joint_position: clamp", CHOICES, 1)
LAYOUT = {
    "command": "width", "min_width": 0.0, "max_width": 0.08, "max_speed": 0.1, "max_force": 42.0,
    "width_error": 0.001, "force_error": 5.0, "force_required": False, "on_stop": "hold",
}  # fmt: skip
KINDS = ("gripper_width", "gripper_speed", "gripper_force")


def plain(kinds: tuple[str, ...] = KINDS, **changes: Any) -> bytes:
    """The golden frozen file with a gripper, some of it changed; None: left out."""
    document = json.loads(FROZEN)
    section = {**LAYOUT, **changes}
    document["gripper"] = {k: v for k, v in section.items() if v is not None}
    document["on_violation"] |= dict.fromkeys(kinds, "clamp")
    return json.dumps(document).encode()


def test_it_comes_through_freezing(tmp_path: Path) -> None:
    pytest.importorskip("pinocchio")
    limits = load_limits(small_arm.write(tmp_path, YAML))
    assert limits.gripper == DECLARED
    assert [limits.on_violation[kind] for kind in KINDS] == ["clamp", "refuse", "clamp"]


def test_it_is_read_from_a_frozen_file_and_its_absence_too() -> None:
    assert parse_frozen(FROZEN, "x.json", GOLDEN).gripper is None
    assert parse_frozen(plain(), "x.json", GOLDEN).gripper == DECLARED
    binary = parse_frozen(plain(("gripper_force",), command="open_close"), "x.json", GOLDEN)
    assert binary.gripper is not None
    assert binary.gripper.command == "open_close"
    assert read_robot(FROZEN).gripper is None
    fingers = read_robot(plain()).gripper
    assert fingers is not None
    assert (fingers.max_width_m, fingers.max_force_n, fingers.is_binary) == (0.08, 42.0, False)


def test_it_is_explained_and_so_is_its_absence() -> None:
    rows = {row["path"]: row for row in explained_rows(parse_frozen(plain(), "x.json", GOLDEN))}
    assert (rows["gripper.max_force"]["value"], rows["gripper.max_force"]["unit"]) == (42.0, "N")
    assert rows["gripper.on_stop"]["value"] == "hold"
    assert rows["on_violation.gripper_speed"]["value"] == "clamp"
    bare = {row["path"]: row for row in explained_rows(parse_frozen(FROZEN, "x.json", GOLDEN))}
    assert "no gripper is commanded" in bare["gripper"]["value"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_width: 80 mm", "max_width: 80", "max_width: 80 m exceeds 1 m; .* write \"80 mm\""),
        ("max_width: 80 mm", "max_width: -1 mm", "min_width 0 m must be at least 0 and below"),
        ("min_width: 0 mm", "min_width: -1 mm", "min_width -0.001 m must be at least 0"),
        ("max_speed: 100 mm/s", "max_speed: 100", "max_speed: 100 m/s exceeds 5 m/s"),
        ("max_speed: 100 mm/s", "max_speed: 0.0", "max_speed: 0 must be greater than 0"),
        ("max_force: 42 N", "max_force: 42 mm", "gripper.max_force"),
        ("max_force: 42 N", "max_force: .nan", "gripper.max_force"),
        ("force_error: 5 N", "force_error: 42 N", "force_error: 42 N must be at least 0 and below"),
        ("width_error: 1 mm", "width_error: 80 mm", "width_error: 0.08 m must be at least 0 and"),
        ("  on_stop: hold\n", "", "gripper.on_stop: missing; write 'on_stop: hold'"),
        ("on_stop: hold", "on_stop: open", "gripper.on_stop"),
        ("command: width", "command: force", "gripper.command"),
        ("  max_force: 42 N\n", "", "gripper.max_force: missing"),
        ("gripper_force: clamp, ", "", "on_violation.gripper_force: missing; clamp or refuse"),
        ("command: width", "command: open_close", "gripper_width: .* cannot be told too much"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(old: str, new: str, message: str) -> None:
    assert old in YAML
    with pytest.raises(LimitsFileError, match=message):
        parse_document(YAML.replace(old, new, 1).encode(), "small.yaml")


def test_a_release_is_declared_with_payloads_that_can_be_chosen() -> None:
    text = YAML.replace("gripper_force: clamp", "gripper_force: clamp, gripper_release: refuse", 1)
    with pytest.raises(LimitsFileError, match="payloads that set_payload chooses from"):
        parse_document(text.encode(), "small.yaml")
    payloads = "payloads:\n  - {name: crate, parent: plate, xyz: [0.0, 0.0, 0.1], mass: 1.5,\n"
    payloads += "     inertia: [0.01, 0.0, 0.0, 0.01, 0.0, 0.01], size: [0.2, 0.1, 0.1]}\ntcp:"
    text = text.replace("\ntcp:", "\n" + payloads, 1)
    assert parse_document(text.encode(), "small.yaml").on_violation.gripper_release == "refuse"
    with pytest.raises(InputError, match="gripper_release"):
        parse_frozen(plain((*KINDS, "gripper_release")), "x.json", GOLDEN)


def test_choices_without_a_gripper_are_refused() -> None:
    text = small_arm.YAML.replace("joint_position: clamp", CHOICES, 1)
    with pytest.raises(LimitsFileError, match="gripper is not declared"):
        parse_document(text.encode(), "small.yaml")


@pytest.mark.parametrize(
    "changes",
    [
        {"command": "force"}, {"min_width": -0.1}, {"min_width": 0.08}, {"max_width": 2.0},
        {"max_speed": 0.0}, {"max_force": None}, {"width_error": -1.0}, {"force_error": 42.0},
        {"force_required": 1}, {"on_stop": "open"}, {"kinds": ()}, {"kinds": KINDS[:2]},
        {"command": "open_close"}, {"speed": 1.0},
    ],
)  # fmt: skip
def test_so_is_what_only_a_wrong_hand_could_have_frozen(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="gripper"):
        parse_frozen(plain(**changes), "x.json", GOLDEN)


def test_choices_that_nothing_can_violate_are_refused() -> None:
    document = json.loads(plain())
    del document["gripper"]
    with pytest.raises(LimitsFileError, match="nothing declared can violate it"):
        parse_frozen(json.dumps(document).encode(), "x.json", GOLDEN)


@pytest.mark.parametrize(
    "changes",
    [{"max_speed": None}, {"max_speed": "1"}, {"force_required": 1}, {"other": 2}, {"command": 1}],
)
def test_the_oracle_reads_the_section_by_itself(changes: dict[str, Any]) -> None:
    with pytest.raises(FrozenFileError, match="gripper"):
        read_robot(plain(**changes))


# what a URDF knows -------------------------------------------------------------------------------


def finger(name: str, kind: str = "prismatic", **limit: float) -> UrdfJoint:
    every = {"min_position": 0.0, "max_position": 0.04, "max_velocity": 0.2, "max_effort": 20.0}
    return UrdfJoint(name, kind, None, {**every, **limit}, {})


def test_two_locked_fingers_say_how_far_they_move_apart() -> None:
    joints = {"left": finger("left"), "right": finger("right", max_effort=30.0)}
    hints = finger_hints(joints, {"left": 0.0, "right": 0.0})
    assert hints["max_width"].startswith("0.08  # m: so far left and right move apart")
    assert hints["max_speed"].startswith("0.4  # m/s")
    assert hints["max_force"].startswith("20  # N")


@pytest.mark.parametrize(
    ("joints", "locked"),
    [
        ([finger("left"), finger("right")], ("left",)),
        ([finger("left"), finger("right", "revolute")], ("left", "right")),
        ([finger("left"), finger("right"), finger("third")], ("left", "right", "third")),
        ([], ()),
    ],
)
def test_anything_else_is_no_pair_of_fingers(
    joints: list[UrdfJoint], locked: tuple[str, ...]
) -> None:
    known = {joint.name: joint for joint in joints}
    assert fingers_of(known, locked) is None
    assert "e.g." in finger_hints(known, locked)["max_width"]

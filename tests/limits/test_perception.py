"""What is declared of perception: from the limits file to the record, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.limits import small_arm

from checkrein.limits import Perception, load_limits
from checkrein.limits.document import parse_document
from checkrein.limits.errors import InputError, LimitsFileError
from checkrein.limits.frozen import parse_frozen
from checkrein.scripts.limits_tables import explained_rows
from checkrein.sim.oracle import FrozenFileError, read_robot

GOLDEN = Path(__file__).parent / "golden"
FROZEN = (GOLDEN / "frozen_format_1.json").read_bytes()
SECTION = """perception:
  max_points: 10000
  max_speed: 1600 mm/s
  latency: 40 ms
  max_age: 0.15
  standoff: 20 mm
  required: true
  exempt: [upper]
home:"""
DECLARED = Perception(10_000, 1.6, 40.0, 150.0, 0.02, True, ("upper",))
YAML = small_arm.YAML.replace("home:", SECTION, 1).replace(
    "joint_position: clamp", "joint_position: clamp, obstacles: refuse", 1
)
LAYOUT = {
    "max_points": 100, "max_speed": 1.6, "latency_ms": 40.0, "max_age_ms": 150.0,
    "standoff": 0.02, "required": False, "exempt": ["panda_link1"],
}  # fmt: skip


def plain(**changes: Any) -> bytes:
    """The golden frozen file with perception, some of it changed; None: left out."""
    document = json.loads(FROZEN)
    section = {**LAYOUT, **changes}
    document["perception"] = {k: v for k, v in section.items() if v is not None}
    document["on_violation"]["obstacles"] = "clamp"
    return json.dumps(document).encode()


def test_it_comes_through_freezing(tmp_path: Path) -> None:
    pytest.importorskip("pinocchio")
    limits = load_limits(small_arm.write(tmp_path, YAML))
    assert limits.perception == DECLARED
    assert limits.on_violation["obstacles"] == "refuse"


def test_it_is_read_from_a_frozen_file_and_its_absence_too() -> None:
    assert parse_frozen(FROZEN, "x.json", GOLDEN).perception is None
    limits = parse_frozen(plain(), "x.json", GOLDEN)
    assert limits.perception == Perception(100, 1.6, 40.0, 150.0, 0.02, False, ("panda_link1",))
    assert limits.on_violation["obstacles"] == "clamp"
    assert read_robot(FROZEN).perception is None
    seen = read_robot(plain()).perception
    assert seen is not None
    assert (seen.max_speed_m_s, seen.latency_s) == (1.6, 0.04)
    assert seen.exempt == {"panda_link1"}


def test_it_is_explained_and_so_is_its_absence() -> None:
    rows = {row["path"]: row for row in explained_rows(parse_frozen(plain(), "x.json", GOLDEN))}
    assert (rows["perception.max_speed"]["value"], rows["perception.max_speed"]["unit"]) == (
        1.6, "m/s",
    )  # fmt: skip
    assert rows["perception.exempt"]["value"] == "panda_link1"
    assert rows["on_violation.obstacles"]["value"] == "clamp"
    bare = {row["path"]: row for row in explained_rows(parse_frozen(FROZEN, "x.json", GOLDEN))}
    assert "no obstacles are accepted" in bare["perception"]["value"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_points: 10000", "max_points: 0", "perception.max_points"),
        ("max_points: 10000", "max_points: 1e9", "perception.max_points"),
        ("max_speed: 1600 mm/s", "max_speed: 1600", "max_speed: 1600 m/s must be within 0 and 50"),
        ("latency: 40 ms", "latency: 40", "latency: 40 s must be within 0 and 10 s"),
        ("latency: 40 ms", "latency: -1 ms", "latency"),
        ("  latency: 40 ms\n", "", "perception.latency: missing; how much earlier"),
        ("  required: true\n", "", "perception.required: missing; true: without a fresh cloud"),
        ("max_age: 0.15", "max_age: 0.0", "max_age: 0 must be greater than 0"),
        ("standoff: 20 mm", "standoff: 20", "standoff: 20 m must be within 0 and 1 m"),
        ("  required: true", "  required: 1", "perception.required"),
        ("  required: true", "  requierd: true", "perception.requierd: unknown key; known"),
        (", obstacles: refuse", "", "perception and on_violation.obstacles belong together"),
    ],
)
def test_what_cannot_be_meant_is_refused(old: str, new: str, message: str) -> None:
    assert old in YAML
    with pytest.raises(LimitsFileError, match=message):
        parse_document(YAML.replace(old, new, 1).encode(), "small.yaml")


@pytest.mark.parametrize(
    "changes",
    [
        {"max_points": 0}, {"max_points": 1.5}, {"max_speed": -1.0}, {"max_speed": None},
        {"latency_ms": -1.0}, {"max_age_ms": 0.0}, {"standoff": 2.0}, {"required": "yes"},
        {"exempt": ["elbow"]}, {"exempt": None}, {"speed": 1.0},
    ],
)  # fmt: skip
def test_so_is_what_only_a_wrong_hand_could_have_frozen(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="perception"):
        parse_frozen(plain(**changes), "x.json", GOLDEN)


@pytest.mark.parametrize("key", ["perception", "on_violation"])
def test_section_and_action_belong_together(key: str) -> None:
    document = json.loads(plain())
    if key == "perception":
        del document["perception"]
    else:
        del document["on_violation"]["obstacles"]
    with pytest.raises(LimitsFileError, match=r"on_violation\.obstacles"):
        parse_frozen(json.dumps(document).encode(), "x.json", GOLDEN)


@pytest.mark.parametrize(
    "changes", [{"max_speed": None}, {"max_speed": "1"}, {"required": 1}, {"other": 2}]
)
def test_the_oracle_reads_the_section_by_itself(changes: dict[str, Any]) -> None:
    with pytest.raises(FrozenFileError, match="perception"):
        read_robot(plain(**changes))

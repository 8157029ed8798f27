"""The frozen file: strict JSON, strict layout, and values that a wrong hand could have written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkrein.limits.errors import FormatError, InputError, LimitsFileError
from checkrein.limits.frozen import BYTES_MAX, parse_frozen

GOLDEN = Path(__file__).parent / "golden" / "frozen_format_1.json"
SHAPES = Path(__file__).parent / "golden" / "frozen_format_1_shapes.json"
FOLDER = Path("/nowhere")


def parse(plain: Any) -> Any:
    return parse_frozen(json.dumps(plain).encode(), "x.json", FOLDER)


@pytest.fixture
def plain() -> Any:
    return json.loads(GOLDEN.read_bytes())


def test_golden_of_format_1_is_read() -> None:
    data = GOLDEN.read_bytes()
    limits = parse_frozen(data, "x.json", FOLDER)
    assert limits.sha256 == hashlib.sha256(data).hexdigest()
    assert limits.name == "franka_panda"
    assert limits.format == 1
    assert limits.period_s == 0.004
    assert [joint.name for joint in limits.joints] == [f"panda_joint{i}" for i in range(1, 8)]
    assert limits.joints[0].max_velocity == 1.63
    assert limits.kinematics.rotation.shape == (7, 3, 3)
    assert limits.kinematics.inertia.shape == (7, 3, 3)
    assert limits.home.tolist()[3] == -1.9075
    assert limits.classifier.file == str(FOLDER / "franka_panda.onnx")
    assert {volume.name for volume in limits.volumes} == {
        "table", "cell", "bin", "camera", "post",
    }  # fmt: skip


def test_a_rotation_limit_is_read_and_its_absence_too(plain: Any) -> None:
    """Format 1 is older than the limit: absent means that it was not declared."""
    assert parse(plain).tcp.max_rot_vel is None
    assert "tcp_rotational_speed" not in parse(plain).on_violation
    plain["tcp"]["max_rot_vel"] = 1.5
    with pytest.raises(LimitsFileError, match="one of two"):
        parse(plain)
    plain["on_violation"]["tcp_rotational_speed"] = "refuse"
    assert parse(plain).tcp.max_rot_vel == 1.5
    assert parse(plain).on_violation["tcp_rotational_speed"] == "refuse"
    for wrong in (0.0, -1.0, "1.5", True):
        plain["tcp"]["max_rot_vel"] = wrong
        with pytest.raises(LimitsFileError, match="max_rot_vel"):
            parse(plain)


def test_link_speed_and_zones_are_read_and_their_absence_too(plain: Any) -> None:
    assert parse(plain).links.max_speed is None
    assert parse(plain).zones == ()
    plain["links"] = {"max_speed": 1.2}
    with pytest.raises(LimitsFileError, match="one of two"):
        parse(plain)
    plain["on_violation"]["link_speed"] = "clamp"
    place = {**plain["volumes"][3], "name": "aisle", "kind": "keep_out", "exempt": []}
    plain["zones"] = [{"max_speed": 0.25, "volume": place}]
    limits = parse(plain)
    assert limits.links.max_speed == 1.2
    (zone,) = limits.zones
    assert (zone.max_speed, zone.volume.name, zone.volume.shape) == (0.25, "aisle", place["shape"])
    for change, message in (
        ({"name": plain["volumes"][0]["name"]}, "used twice"),
        ({"exempt": ["elbow"]}, "zones.aisle.exempt.*'elbow'; there are"),
        ({"kind": "keep_in"}, "zones.aisle.*keep_in"),
    ):
        plain["zones"][0]["volume"] = {**place, **change}
        with pytest.raises(LimitsFileError, match=message):
            parse(plain)
    plain["zones"] = [{"max_speed": 0.0, "volume": place}]
    with pytest.raises(LimitsFileError, match="max_speed"):
        parse(plain)


def test_golden_of_every_shape_and_of_pairs_is_read() -> None:
    limits = parse_frozen(SHAPES.read_bytes(), "x.json", FOLDER)
    assert {volume.shape for volume in limits.volumes} == {
        "half_space", "box", "capsule", "sphere", "cylinder", "mesh",
    }  # fmt: skip
    assert limits.self_collision is not None
    assert len(limits.self_collision.pairs) == 10
    assert limits.self_collision.ignored == (("upper", "carriage", "a test"),)


def test_arrays_are_read_only() -> None:
    limits = parse_frozen(GOLDEN.read_bytes(), "x.json", FOLDER)
    chain = limits.kinematics
    arrays = [limits.home, chain.rotation, chain.inertia, limits.capsules[0].start]
    arrays += [volume.center for volume in limits.volumes if volume.center is not None]
    for array in arrays:
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_whole_numbers_become_floats() -> None:
    joint = parse_frozen(GOLDEN.read_bytes(), "x.json", FOLDER).joints[0]
    assert type(joint.max_acceleration) is float
    assert type(parse_frozen(GOLDEN.read_bytes(), "x", FOLDER).tcp.max_force) is float


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"max_velocity":1.63', '"max_velocity":NaN', "NaN is not a number"),
        ('"max_velocity":1.63', '"max_velocity":Infinity', "Infinity is not a number"),
        ('"max_velocity":1.63', '"max_velocity":1e400', "not finite"),
        ('"max_velocity":1.63', '"max_velocity":"1.63"', "max_velocity"),
        ('"max_velocity":1.63', '"max_velocity":true', "max_velocity"),
        ('"max_velocity":1.63', '"max_velocity":null', "max_velocity"),
        ('"max_velocity":1.63', '"max_velocity":-1.63', "max_velocity"),
        ('"max_velocity":1.63', '"max_speed":1.63', "max_speed"),
        ('"max_velocity":1.63', '"max_velocity":1.63,"max_velocity":9', "appears twice"),
        ('"max_jerk":630,', "", "max_jerk"),
        ('"type":"revolute"', '"type":"helical"', "helical"),
        ('"stop_category":"cat2"', '"stop_category":"none"', "none"),
        ('"threshold":', '"threshold":1', "threshold|<= 1"),
        ("}", "", "not strict JSON"),
    ],
)
def test_trap_08_non_finite_and_malformed_files_are_refused(
    old: str, new: str, complaint: str
) -> None:
    text = GOLDEN.read_text()
    assert old in text
    with pytest.raises(LimitsFileError, match=complaint) as caught:
        parse_frozen(text.replace(old, new, 1).encode(), "x.json", FOLDER)
    assert str(caught.value).startswith("x.json: ")


def test_bytes_are_bounded() -> None:
    with pytest.raises(LimitsFileError, match="more than"):
        parse_frozen(b" " * (BYTES_MAX + 1), "x.json", FOLDER)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(LimitsFileError, match="not strict JSON"):
        parse_frozen(b"[" * 100_000, "x.json", FOLDER)


@pytest.mark.parametrize("number", [2, 0, True, "1", None])
def test_other_formats_are_refused_naming_both(plain: Any, number: object) -> None:
    plain["format"] = number
    with pytest.raises(FormatError, match=f"format {number!r}, this release reads format 1"):
        parse(plain)


def test_other_json_is_refused() -> None:
    for data in (b"[]", b"{}", b'{"kind": "other"}', b"3"):
        with pytest.raises(LimitsFileError, match="not a frozen limits file"):
            parse_frozen(data, "x.json", FOLDER)


def _swap(plain: Any) -> None:
    joint = plain["joints"][2]
    joint["min_position"], joint["max_position"] = joint["max_position"], joint["min_position"]


def _set(*path: Any) -> Callable[[Any], None]:
    *keys, value = path

    def change(plain: Any) -> None:
        for key in keys[:-1]:
            plain = plain[key]
        plain[keys[-1]] = value

    return change


WRONG: dict[str, tuple[Callable[[Any], None], str]] = {
    "swapped bounds": (_swap, "panda_joint3.*not below"),
    "home outside": (_set("home", 3, 0.5), "home: panda_joint4 at 0.5 is outside"),
    "home too short": (_set("home", [0.0] * 6), "home: 6 entries for 7 joints"),
    "no rotation": (_set("kinematics", "joints", 1, "rotation", [1.0] * 9), "not a rotation"),
    "mirror": (
        _set("kinematics", "tcp", "rotation", [1.0, 0, 0, 0, 1, 0, 0, 0, -1.0]), "not a rotation",
    ),
    "inertia": (_set("kinematics", "links", 0, "inertia", 0, -1.0), "positive semidefinite"),
    "mass": (_set("kinematics", "links", 0, "mass", -1.0), "mass"),
    "capsule's joint": (_set("capsules", 0, "joint", 7), "joint 7 of 7"),
    "exempt": (_set("volumes", 0, "exempt", ["elbow"]), "'elbow'; there are: object"),
    "normal": (_set("volumes", 0, "normal", [0.0, 0.0, 2.0]), "not of length 1"),
    "flat box": (_set("volumes", 1, "half_extents", [1.0, 0.0, 1.0]), "half_extents"),
    "shape": (_set("volumes", 3, "shape", "blob"), "blob"),
    "name twice": (_set("volumes", 1, "name", "table"), "used twice"),
    "margin": (_set("joints", 0, "velocity_error", 3.0), "velocity_error: 3 exceeds max_velocity"),
    "path in classifier": (_set("classifier", "file", "../other.onnx"), "file|pattern"),
    "no reason": (_set("classifier", {"none": ""}), "none|length"),
    "reason and file": (_set("classifier", "none", "why not"), "unknown|unexpected"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused(case: str, plain: Any) -> None:
    change, complaint = WRONG[case]
    change(plain)
    with pytest.raises(InputError, match=complaint):
        parse(plain)

"""A limits file is refused with the field, the value, the bound and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkrein.limits.document import parse_document
from checkrein.limits.errors import FormatError, InputError, LimitsFileError
from checkrein.limits.loading import robots_folder
from checkrein.limits.schema import LimitsFile

# A file of format 1 as it was when format 1 came out; it must stay readable.
PANDA = (Path(__file__).parent / "golden" / "limits_format_1.yaml").read_text()


def changed(old: str, new: str) -> bytes:
    assert old in PANDA
    return PANDA.replace(old, new, 1).encode()


def test_golden_of_format_1_is_read() -> None:
    assert (
        parse_document(PANDA.encode(), "golden").joint_limits["panda_joint1"].max_velocity == 1.63
    )


def test_shipped_files_are_valid() -> None:
    for path in robots_folder().glob("*.yaml"):
        assert parse_document(path.read_bytes(), path.name).name == path.stem


ZONE = """standoff: 3 mm
zones:
  - {{name: aisle, shape: sphere, center: [0, 0, 0], on_violation: clamp, {}, {}}}"""
# old text, new text, what the message must hold
BAD = {
    "degrees, position": (
        "max_position: 2.8973", "max_position: 166.0",
        ["joint_limits.panda_joint1", "max_position", "166 rad", "6.346 rad", '"166 deg"'],
    ),
    "degrees, velocity": (
        "max_velocity: 1.63", "max_velocity: 93.4",
        ["joint_limits.panda_joint1", "93.4 rad/s", "50 rad/s", '"93.4 deg/s"'],
    ),
    "degrees, rotation": (
        "max_force: 40.0", "max_force: 40.0, max_rot_vel: 126",
        ["tcp", "126 rad/s", "50 rad/s", '"126 deg/s"'],
    ),
    "negative rotation": (
        "max_force: 40.0", "max_force: 40.0, max_rot_vel: -2", ["max_rot_vel", "greater than 0"],
    ),
    "rotation in m/s": (
        "max_force: 40.0", "max_force: 40.0, max_rot_vel: 2 m/s", ["tcp.max_rot_vel", "dimension"],
    ),
    "rotation without what to do": (
        "max_force: 40.0", "max_force: 40.0, max_rot_vel: 2.2",
        ["tcp.max_rot_vel", "tcp_rotational_speed", "both"],
    ),
    "what to do without a rotation": (
        "  tcp_speed: clamp", "  tcp_speed: clamp\n  tcp_rotational_speed: clamp",
        ["tcp.max_rot_vel", "tcp_rotational_speed", "neither"],
    ),
    "link speed without what to do": (
        "standoff: 3 mm", "standoff: 3 mm\nlinks: {max_speed: 1.0}",
        ["links.max_speed", "on_violation.link_speed", "both"],
    ),
    "what to do without a link speed": (
        "  tcp_speed: clamp", "  tcp_speed: clamp\n  link_speed: clamp",
        ["links.max_speed", "on_violation.link_speed", "neither"],
    ),
    "negative link speed": (
        "standoff: 3 mm", "standoff: 3 mm\nlinks: {max_speed: -1 m/s}", ["links", "greater than 0"],
    ),
    "zone without a speed": (
        "standoff: 3 mm", ZONE.format("radius: 0.3", ""), ["zones.0.max_speed: missing"],
    ),
    "zone that stands still": (
        "standoff: 3 mm", ZONE.format("radius: 0.3", "max_speed: 0"),
        ["zones.0", "max_speed", "greater than 0"],
    ),
    "zone in m": (
        "standoff: 3 mm", ZONE.format("radius: 0.3", "max_speed: 3 m"),
        ["zones.0.max_speed", "dimension"],
    ),
    "zone of two kinds": (
        "standoff: 3 mm", ZONE.format("radius: 0.3", "max_speed: 1, kind: keep_out"),
        ["zones.0.kind: unknown key", "max_speed"],
    ),
    "shape of a zone": (
        "standoff: 3 mm", ZONE.format("offset: 0.3", "max_speed: 1"),
        ["zones.0", "sphere", "missing: radius", "not a field of it: offset"],
    ),
    "zone named as a volume": (
        "standoff: 3 mm", ZONE.format("radius: 0.3", "max_speed: 1").replace("aisle", "bin"),
        ["volumes, zones", "'bin' is used twice"],
    ),
    "degrees, home": (
        "panda_joint1: 0.0, panda", "panda_joint1: 45, panda", ["home.panda_joint1", '"45 deg"'],
    ),
    "degrees, tracking error": (
        "tracking_error: 0.002", "tracking_error: 0.5", ["tracking_error", '"0.5 deg"'],
    ),
    "missing limit": (
        "max_jerk: 630.0, ", "", ["joint_limits.panda_joint1.max_jerk: missing", "data sheet"],
    ),
    "missing part": ("standoff: 3 mm", "", ["standoff: missing", "3 mm"]),
    "swapped bounds": (
        "min_position: -2.8973, max_position: 2.8973",
        "min_position: 2.8973, max_position: -2.8973",
        ["joint_limits.panda_joint1", "2.8973", "-2.8973", "swapped"],
    ),
    "negative limit": ("max_velocity: 1.63", "max_velocity: -1.63", ["-1.63", "greater than 0"]),
    "NaN": ("max_effort: 78.3", "max_effort: .nan", ["panda_joint1.max_effort", "not finite"]),
    "overflow": ("max_effort: 78.3", "max_effort: 1e400", ["max_effort", "not finite"]),
    "bool": ("max_effort: 78.3", "max_effort: true", ["max_effort", "expected a number"]),
    "text": ("max_effort: 78.3", "max_effort: lots", ["max_effort", "'lots' is not a quantity"]),
    "dimension": (
        "max_effort: 78.3", "max_effort: 78.3 N", ["max_effort", "wrong dimension", "N*m"],
    ),
    "unknown key": (
        "max_trans_vel: 1.0", "max_trans_vel: 1.0, max_speed: 3",
        ["tcp.max_speed: unknown key", "max_trans_vel", "max_force"],
    ),
    "unknown key at the top": ("tool:\n", "tolo: 3\ntool:\n", ["tolo: unknown key", "payload"]),
    "unknown key of a joint": (
        "{type: revolute,", "{type: revolute, max_snap: 3,",
        ["joint_limits.panda_joint1.max_snap: unknown key", "max_jerk"],
    ),
    "unknown key of a shape": (
        "{type: box,", "{type: box, colour: red,", ["tool.shapes.0.colour: unknown key", "size"],
    ),
    "joint without type": ("{type: revolute, ", "{", ["panda_joint1.type: missing", "prismatic"]),
    "required": ("standoff: 3 mm", "standoff: REQUIRED", ["REQUIRED (1)", "standoff"]),
    "milliseconds": ("watchdog: 100 ms", "watchdog: 100", ["watchdog", "100 s", '"100 ms"']),
    "period": ("period: 4 ms", "period: 4", ["period", "4 s", '"4 ms"']),
    "shape": (
        "center: [0.85, 0.0, 0.9], radius: 0.1", "center: [0.85, 0.0, 0.9], offset: 0.1",
        ["volumes.3", "sphere", "missing: radius", "not a field of it: offset"],
    ),
    "choice": ("kind: keep_in", "kind: keep_inn", ["volumes.1.kind", "'keep_in'", "'keep_inn'"]),
    "name twice": ("name: camera", "name: bin", ["'bin' is used twice"]),
    "margin": ("effort_error: 6.0", "effort_error: 80", ["effort_error", "80", "78.3"]),
    "force clamp": (
        "contact_force: refuse", "contact_force: clamp", ["on_violation.contact_force"],
    ),
    "classifier digest": (
        "  sha256: ", "  sha256: x", ["classifier.sha256"],
    ),
    "no reason": ("classifier:\n", "classifier: {none: ''}\nold:\n", ["classifier.none"]),
    "half a classifier": ("  threshold: ", "  # ", ["classifier.threshold: missing", "risk"]),
    "cylinder": (
        "shape: sphere, on_violation: clamp,\n     center: [0.85, 0.0, 0.9], radius: 0.1",
        "shape: cylinder, on_violation: clamp,\n     start: [1, 1, 1], end: [1, 1, 1], radius: 0.1",
        ["volumes.3", "cylinder", "flat"],
    ),
    "mesh of nothing": (
        "shape: sphere, on_violation: clamp,\n     center: [0.85, 0.0, 0.9], radius: 0.1",
        "shape: mesh, on_violation: clamp", ["volumes.3", "either vertices or file"],
    ),
    "mesh with a scale": (
        "shape: sphere, on_violation: clamp,\n     center: [0.85, 0.0, 0.9], radius: 0.1",
        "shape: mesh, scale: 2, on_violation: clamp, vertices: [[0,0,0],[1,0,0],[0,1,0],[0,0,1]]",
        ["volumes.3", "scale", "of a file only"],
    ),
    "mesh of three corners": (
        "shape: sphere, on_violation: clamp,\n     center: [0.85, 0.0, 0.9], radius: 0.1",
        "shape: mesh, on_violation: clamp, vertices: [[0,0,0],[1,0,0],[0,1,0]]",
        ["volumes.3.vertices", "at least 4"],
    ),
    "links without standoff": (
        "standoff: 3 mm", "standoff: 3 mm\nself_collision: {ignore: []}",
        ["self_collision", "standoff: missing", '"0 mm"'],
    ),
    "links, but what then": (
        "standoff: 3 mm", "standoff: 3 mm\nself_collision: {standoff: 0.0}",
        ["on_violation.self_collision", "missing", "clamp or refuse"],
    ),
    "no links, but what then": (
        "  tcp_speed: clamp", "  tcp_speed: clamp\n  self_collision: clamp",
        ["on_violation.self_collision", "not declared"],
    ),
    "links far apart": (
        "standoff: 3 mm", "standoff: 3 mm\nself_collision: {standoff: 3}",
        ["self_collision", "3 m", "0.1 m"],
    ),
    "links and none": (
        "standoff: 3 mm", "standoff: 3 mm\nself_collision: {standoff: 0.0, none: because}",
        ["self_collision", "none: with standoff"],
    ),
    "pair without a reason": (
        "standoff: 3 mm",
        "standoff: 3 mm\nself_collision: {standoff: 0.0, ignore: [{pair: [a, b]}]}",
        ["self_collision.ignore.0.reason: missing"],
    ),
    "pair of one": (
        "standoff: 3 mm",
        "standoff: 3 mm\nself_collision: {standoff: 0.0, ignore: [{pair: [a, a], reason: x}]}",
        ["self_collision.ignore.0", "'a' twice"],
    ),
    "pair twice": (
        "standoff: 3 mm",
        "self_collision: {standoff: 0.0, ignore: [{pair: [a, b], reason: x}, *twin]}".replace(
            "*twin", "{pair: [b, a], reason: y}"
        ),
        ["self_collision", "['b', 'a'] is named twice"],
    ),
    "no format": ("format: 1\n", "", ["format: missing"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_trap_09_bad_limits_file_is_refused_with_the_way_out(case: str) -> None:
    old, new, parts = BAD[case]
    with pytest.raises(LimitsFileError) as caught:
        parse_document(changed(old, new), "my.yaml")
    assert str(caught.value).startswith("my.yaml: ")
    for part in parts:
        assert part in str(caught.value)


def test_newer_format_is_refused_naming_both_versions() -> None:
    data = changed("format: 1", "format: 2") + b"\na_key_of_the_future: 3\n"
    with pytest.raises(FormatError, match="format 2 is newer than format 1"):
        parse_document(data, "my.yaml")


@pytest.mark.parametrize("number", ["0", "-1", "true", "one", "1.0", "null"])
def test_format_that_never_was_is_refused(number: str) -> None:
    with pytest.raises(InputError, match="format"):
        parse_document(changed("format: 1", f"format: {number}"), "my.yaml")


def test_many_errors_come_together_and_bounded() -> None:
    data = PANDA.replace("max_effort", "max_efort").encode()
    with pytest.raises(LimitsFileError) as caught:
        parse_document(data, "my.yaml")
    lines = str(caught.value).splitlines()
    assert "fields are wrong" in lines[0]
    assert len(lines) <= 22


def test_schema_offers_numbers_and_text_for_quantities() -> None:
    schema = LimitsFile.model_json_schema()
    velocity = schema["$defs"]["RevoluteModel"]["properties"]["max_velocity"]
    assert velocity["type"] == ["number", "string"]
    assert "rad/s" in velocity["description"]

"""The tighter source wins, says so, and a wrong unit does not hide behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pinocchio")

from tests.limits import small_arm

from checkrein.limits import Limits, load_limits
from checkrein.limits.errors import LimitsFileError

SOURCE = """sources:
  - title: data sheet
    joint_limits:
      {joint}: {{{fields}}}
reasons:"""


def loaded(folder: Path, text: str = small_arm.YAML) -> Limits:
    return load_limits(small_arm.write(folder, text))


def with_source(joint: str, fields: str) -> str:
    return small_arm.YAML.replace("reasons:", SOURCE.format(joint=joint, fields=fields))


def provenance(limits: Limits, path: str) -> Any:
    return limits.provenance[path]


def test_safety_controller_wins_over_a_looser_declaration(tmp_path: Path) -> None:
    limits = loaded(tmp_path)
    shoulder = limits.joints[0]
    assert (shoulder.min_position, shoulder.max_position) == (-2.2, 2.3)
    known = provenance(limits, "joints.shoulder.min_position")
    assert known["from"] == "URDF <safety_controller>"
    assert {old["from"] for old in known["tightened_from"]} == {"declared", "URDF <limit>"}


def test_urdf_limit_wins_over_a_looser_declaration(tmp_path: Path) -> None:
    limits = loaded(tmp_path)
    assert limits.joints[1].max_velocity == 3.0
    known = provenance(limits, "joints.elbow.max_velocity")
    assert known == {"from": "URDF <limit>", "tightened_from": [{"from": "declared", "value": 4}]}


def test_declaration_wins_over_looser_sources_and_remembers_them(tmp_path: Path) -> None:
    limits = loaded(tmp_path, with_source("shoulder", "max_velocity: 100 deg/s"))
    assert limits.joints[0].max_velocity == pytest.approx(1.0471975512)
    known = provenance(limits, "joints.shoulder.max_velocity")
    assert known["from"] == "declared"
    assert [old["from"] for old in known["tightened_from"]] == ["data sheet", "URDF <limit>"]


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [("min_position", "-1.5", -1.5), ("max_position", "1.5", 1.5), ("max_jerk", "150.0", 150.0)],
)
def test_a_tighter_source_wins(tmp_path: Path, field: str, text: str, value: float) -> None:
    limits = loaded(tmp_path, with_source("shoulder", f"{field}: {text}"))
    assert getattr(limits.joints[0], field) == value
    assert provenance(limits, f"joints.shoulder.{field}")["from"] == "data sheet"


def test_reason_is_part_of_the_provenance(tmp_path: Path) -> None:
    limits = loaded(tmp_path)
    known = provenance(limits, "joints.elbow.max_jerk")
    assert known["from"] == "declared: chosen for the test"


def test_every_joint_value_has_provenance(tmp_path: Path) -> None:
    limits = loaded(tmp_path)
    # Two may be left out; one is for continuous joints.
    optional = ("position_noise", "max_deceleration", "position_targets")
    for joint in limits.joints:
        for field in type(joint).__slots__:
            if field not in ("name", "type", *optional):
                assert provenance(limits, f"joints.{joint.name}.{field}")["from"]


BAD = {
    "unknown joint": (
        "  elbow:\n    {type", "  elbo:\n    {type",
        "joint_limits.elbo: no such joint; the robot's moving joints are: shoulder, elbow, slide",
    ),
    "joint without limits": (
        small_arm.YAML[small_arm.YAML.index("  wrist:\n") : small_arm.YAML.index("reasons:")], "",
        "joint_limits.wrist: missing",
    ),
    "another type": (
        "  elbow:\n    {type: revolute", "  elbow:\n    {type: prismatic",
        "joint_limits.elbow.type: prismatic, but the URDF's joint is revolute",
    ),
    "home without a joint": ("slide: 0.0, wrist", "wrist", "home.slide: missing"),
    "home of another joint": ("slide: 0.0, wrist", "slid: 0.0, wrist", "home.slid: no such joint"),
    "degrees under every absolute bound": (
        "max_velocity: 60 deg/s", "max_velocity: 40",
        'joint_limits.shoulder.max_velocity: 40 rad/s is 20 times.*URDF.*"40 deg/s"',
    ),
    "reason of nothing": (
        "{max_jerk: chosen", "{max_snap: chosen", "reasons: unknown path 'max_snap'; known",
    ),
    "source of another joint": (
        "reasons:", SOURCE.format(joint="knee", fields="max_jerk: 1.0"),
        "sources.0.joint_limits.knee: no such joint",
    ),
    "source of another field": (
        "reasons:", SOURCE.format(joint="elbow", fields="max_snap: 1.0"),
        "sources.0.joint_limits.elbow: unknown key 'max_snap'; known: min_position",
    ),
    "source in another dimension": (
        "reasons:", SOURCE.format(joint="slide", fields="max_velocity: 1 rad/s"),
        "sources.0.joint_limits.slide.max_velocity: .*wrong dimension",
    ),
    "nothing left": (
        "reasons:", SOURCE.format(joint="elbow", fields="min_position: 2.5"),
        r"joint_limits.elbow: no position is left: min_position 2.5 \(data sheet\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_contradicting_sources_are_refused(case: str, tmp_path: Path) -> None:
    old, new, message = BAD[case]
    assert old in small_arm.YAML
    path = small_arm.write(tmp_path, small_arm.YAML.replace(old, new, 1))
    with pytest.raises(LimitsFileError, match=message):
        load_limits(path)


class TestDeceleration:
    """Smaller is tighter; a source that only names max_acceleration bounds both ways."""

    @staticmethod
    def with_own(value: str) -> str:
        return small_arm.YAML.replace(
            "max_acceleration: 10.0, max_jerk: 500.0, max_effort: 40.0",
            f"max_acceleration: 10.0, max_deceleration: {value}, max_jerk: 500.0, max_effort: 40.0",
        )

    def test_left_out_it_is_not_in_the_file(self, tmp_path: Path) -> None:
        elbow = loaded(tmp_path, with_source("elbow", "max_acceleration: 8.0")).joints[1]
        assert elbow.max_deceleration is None
        assert (elbow.max_acceleration, elbow.deceleration) == (8.0, 8.0)

    def test_declared_it_may_be_larger_or_smaller(self, tmp_path: Path) -> None:
        for value in (4.0, 25.0):
            elbow = loaded(tmp_path, self.with_own(str(value))).joints[1]
            assert (elbow.max_acceleration, elbow.deceleration) == (10.0, value)

    def test_a_source_bounds_it_by_its_own_or_by_its_acceleration(self, tmp_path: Path) -> None:
        for fields, expected in (
            ("max_acceleration: 12.0", (10.0, 12.0)),
            ("max_acceleration: 12.0, max_deceleration: 14.0", (10.0, 14.0)),
            ("max_deceleration: 30.0", (10.0, 20.0)),
        ):
            text = self.with_own("20.0").replace(
                "reasons:", SOURCE.format(joint="elbow", fields=fields)
            )
            elbow = loaded(tmp_path, text).joints[1]
            assert (elbow.max_acceleration, elbow.deceleration) == expected

    def test_a_source_alone_can_tighten_it(self, tmp_path: Path) -> None:
        limits = loaded(tmp_path, with_source("elbow", "max_deceleration: 6.0"))
        assert limits.joints[1].deceleration == 6.0
        assert provenance(limits, "joints.elbow.max_deceleration")["from"] == "data sheet"
        looser = loaded(
            tmp_path, with_source("elbow", "max_acceleration: 8.0, max_deceleration: 60.0")
        )
        assert (looser.joints[1].max_acceleration, looser.joints[1].deceleration) == (8.0, 10.0)

    @pytest.mark.parametrize("value", ["0.0", "-1.0", "400 deg/s", "200.0"])
    def test_what_cannot_be_is_refused(self, value: str, tmp_path: Path) -> None:
        text = self.with_own(value).replace(
            "reasons:", SOURCE.format(joint="elbow", fields="max_deceleration: 10.0")
        )
        with pytest.raises(LimitsFileError, match="max_deceleration"):
            loaded(tmp_path, text)

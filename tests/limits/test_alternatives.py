"""Other tools and payloads in a limits file: each choice is a whole robot, and nothing else is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pinocchio")

from tests.limits import small_arm

from checkrein.limits import Limits, LimitsFileError, UnknownChoiceError, load_limits
from checkrein.limits.carrying import carrying, choices
from checkrein.limits.freezing import freeze_yaml
from checkrein.limits.narrowing import require_nowhere_looser
from checkrein.scripts.limits_tables import explained_rows
from checkrein.sim.oracle import read_robot

OTHERS = """tools:
  - {name: claw, parent: plate, xyz: [0.0, 0.0, 0.02], mass: 0.5, com: [0.0, 0.0, 0.05],
     inertia: [0.002, 0.0, 0.0, 0.002, 0.0, 0.001],
     shapes: [{type: box, size: [0.06, 0.06, 0.1], xyz: [0.0, 0.0, 0.05]}],
     tcp: {xyz: [0.0, 0.0, 0.12]}}
payloads:
  - {name: brick, parent: plate, xyz: [0.0, 0.0, 0.2], mass: 0.7,
     inertia: [0.001, 0.0, 0.0, 0.001, 0.0, 0.001], size: [0.1, 0.05, 0.05]}
  - {name: key, parent: claw, xyz: [0.0, 0.0, 0.12], mass: 0.1,
     inertia: [0.0001, 0.0, 0.0, 0.0001, 0.0, 0.0001], size: [0.02, 0.02, 0.1]}
tcp:"""
YAML = small_arm.YAML.replace("tcp:", OTHERS, 1)


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Limits:
    return load_limits(small_arm.write(tmp_path_factory.mktemp("small"), YAML))


def alone(folder: Path, text: str) -> Limits:
    return load_limits(small_arm.write(folder, text))


def test_the_choices_are_the_declared_ones(limits: Limits) -> None:
    assert (limits.tool, limits.payload) == ("cup", "ball")
    assert set(choices(limits)) == {
        ("cup", "ball"), ("cup", "brick"), ("cup", None),
        ("claw", "ball"), ("claw", "brick"), ("claw", "key"), ("claw", None),
    }  # fmt: skip


def test_a_choice_is_the_robot_of_a_file_that_declares_it_alone(
    limits: Limits, tmp_path: Path
) -> None:
    ball, _ = small_arm.YAML.split("payload:\n")[1].split("tcp:", 1)
    brick = OTHERS.split("payloads:\n  - ")[1].split("\n  - ")[0]
    text = small_arm.YAML.replace("payload:\n" + ball, f"payload:\n  {brick}\n")
    expected, found = alone(tmp_path, text), carrying(limits, "cup", "brick")
    for name in ("mass", "com", "inertia", "tcp_translation", "tcp_rotation", "rotation"):
        np.testing.assert_array_equal(
            getattr(found.kinematics, name), getattr(expected.kinematics, name)
        )
    assert [(c.name, c.joint, c.radius) for c in found.capsules] == [
        (c.name, c.joint, c.radius) for c in expected.capsules
    ]
    assert found.self_collision == expected.self_collision
    assert found.sha256 == limits.sha256  # one file, one identity


def test_an_empty_hand_and_another_tool(limits: Limits) -> None:
    empty = carrying(limits, "cup", None)
    assert empty.kinematics.mass[-1] == pytest.approx(limits.kinematics.mass[-1] - 0.2)
    assert "ball" not in {capsule.name for capsule in empty.capsules}
    claw = carrying(limits, "claw", None)
    assert {"claw"} <= {capsule.name for capsule in claw.capsules}
    assert not {"cup", "ball"} & {capsule.name for capsule in claw.capsules}
    # The tool centre: 0.02 m from the plate, and 0.12 m further, in the plate's direction.
    away = claw.kinematics.tcp_translation - limits.kinematics.tcp_translation
    assert float(np.linalg.norm(away)) == pytest.approx(0.04, abs=1e-9)
    assert carrying(carrying(claw, "cup", "brick"), "cup", "ball").kinematics is limits.kinematics


@pytest.mark.parametrize("choice", [("cup", "key"), ("cup", "anvil"), (None, None), ("CUP", None)])
def test_an_unknown_choice_is_an_error_that_says_what_there_is(
    limits: Limits, choice: tuple[str | None, str | None]
) -> None:
    with pytest.raises(UnknownChoiceError, match="there are: tool 'cup' with payload 'ball'; tool"):
        carrying(limits, *choice)


def test_without_alternatives_nothing_can_be_chosen_and_the_bytes_are_as_before(
    tmp_path: Path,
) -> None:
    plain = alone(tmp_path, small_arm.YAML)
    assert choices(plain) == ()
    with pytest.raises(UnknownChoiceError, match="declare tools or payloads in the file"):
        carrying(plain, None, "ball")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: brick", "name: ball", "tools, payloads: the name 'ball' is used twice"),
        ("parent: claw", "parent: clam", "tool 'cup' with payload 'key': .*no link 'clam'"),
        ("mass: 0.7", "mass: 70.0", "tool 'cup' with payload 'brick': home: holding the robot"),
        ("mass: 0.5, com", "mass: -0.5, com", r"tools\.0: mass"),
    ],
)
def test_a_wrong_alternative_is_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        alone(tmp_path, YAML.replace(old, new))


def test_a_frozen_file_with_a_choice_twice_is_refused(tmp_path: Path) -> None:
    path = small_arm.write(tmp_path, YAML)
    document = json.loads(freeze_yaml(path.read_bytes(), path))
    document["variants"]["others"].append(document["variants"]["others"][0])
    frozen = tmp_path / "twice.json"
    frozen.write_text(json.dumps(document))
    with pytest.raises(LimitsFileError, match="appears twice"):
        load_limits(frozen)


def test_the_oracle_reads_the_same_choices(limits: Limits, tmp_path: Path) -> None:
    path = small_arm.write(tmp_path, YAML)
    raw = freeze_yaml(path.read_bytes(), path)
    assert hashlib.sha256(raw).hexdigest() == limits.sha256
    for choice in choices(limits):
        robot, chosen = read_robot(raw, choice), carrying(limits, *choice)
        np.testing.assert_array_equal(robot.mass, chosen.kinematics.mass)
        np.testing.assert_array_equal(robot.tcp_translation, chosen.kinematics.tcp_translation)
        assert [c.name for c in robot.capsules] == [c.name for c in chosen.capsules]
    assert read_robot(raw).capsules[-1].name == limits.capsules[-1].name


def test_explain_shows_every_choice(limits: Limits) -> None:
    rows = {row["path"]: row["value"] for row in explained_rows(limits)}
    assert rows["choices.0"].startswith("tool cup, payload ball: ")
    assert sum(path.startswith("choices.") for path in rows) == 7


def test_tighter_limits_have_the_same_choices_or_fewer(limits: Limits) -> None:
    fewer = replace(limits, variants=limits.variants[:3])
    require_nowhere_looser(limits, fewer)
    with pytest.raises(ValueError, match="variants"):
        require_nowhere_looser(fewer, limits)

"""`checkrein limits`: what a person sees, what a machine reads, and exit code 2 for bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.limits import small_arm

from checkrein.limits.loading import robots_folder, shipped_names
from checkrein.scripts.cli import main

Capture = pytest.CaptureFixture[str]


def as_json(capsys: Capture) -> Any:
    return json.loads(capsys.readouterr().out)


def test_list(capsys: Capture) -> None:
    assert main(["limits", "list", "--json"]) == 0
    robots = as_json(capsys)["robots"]
    assert [(r["name"], r["joints"]) for r in robots] == [
        ("franka_panda", 7),
        ("kuka_iiwa7", 7),
        ("xarm6", 6),
    ]
    assert main(["limits", "list"]) == 0
    assert "franka_panda" in capsys.readouterr().out


def test_explain_says_where_each_value_comes_from(capsys: Capture) -> None:
    assert main(["limits", "explain", "franka_panda", "--json"]) == 0
    values = {row["path"]: row for row in as_json(capsys)["values"]}
    speed = values["joints.panda_joint1.max_velocity"]
    assert (speed["value"], speed["unit"]) == (1.63, "rad/s")
    assert speed["from"].startswith("declared: 75 %")
    assert {2.175} == {old["value"] for old in speed["tightened_from"]}
    assert {"URDF <limit>"} < {old["from"] for old in speed["tightened_from"]}
    turning = values["tcp.max_rot_vel"]
    assert (turning["value"], turning["unit"]) == (2.2, "rad/s")
    assert turning["from"].startswith("declared: 88 %")
    assert values["volumes.table"]["value"].startswith("keep_out half_space")
    for path in ("joints.panda_joint1.position_noise", "timing.latency_ticks"):
        assert values[path]["value"] == 0
        assert values[path]["from"] == "not declared: 0, contained in tracking_error"
    braking = values["joints.panda_joint1.max_deceleration"]
    assert (braking["value"], braking["from"]) == (7.5, "not declared: as max_acceleration")
    assert values["self_collision.standoff"]["value"] == 0.002
    assert "panda_hand" in values["self_collision.panda_link1"]["value"]
    (ignored,) = (row for path, row in values.items() if path.startswith("self_collision.ignored"))
    assert ignored["value"].startswith("panda_link5, panda_link7: the offset wrist")


@pytest.mark.slow
def test_explain_shows_new_shapes_and_what_is_not_declared(tmp_path: Path, capsys: Capture) -> None:
    path = small_arm.write(tmp_path)
    assert main(["limits", "explain", str(path), "--json"]) == 0
    values = {row["path"]: row["value"] for row in as_json(capsys)["values"]}
    assert (
        values["volumes.bin"] == "keep_out cylinder: (0, -3, 0) to (0, -3, 1), radius 0.2 m; clamp"
    )
    assert values["volumes.fixture"].startswith("keep_out mesh: 6 corners between (-3.1, 0, 0) and")
    assert values["links.max_speed"] == 0.9
    assert values["zones.aisle"].startswith("at most 0.25 m/s in box: center (0.5, 0, 0.5)")
    assert values["zones.aisle"].endswith("exempt: upper; refuse")
    golden = Path(__file__).parents[1] / "limits" / "golden" / "frozen_format_1.json"
    assert main(["limits", "explain", str(golden), "--json"]) == 0
    values = {row["path"]: row["value"] for row in as_json(capsys)["values"]}
    assert values["self_collision"].startswith("not declared")
    assert values["links.max_speed"] == "none: not declared"
    assert values["zones"] == "none: links are as fast anywhere"


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_names())
def test_explain_prints_a_table(name: str, capsys: Capture) -> None:
    assert main(["limits", "explain", name]) == 0
    shown = capsys.readouterr().out
    for word in ("max_jerk", "rad/s^3", "tightened", "sha256", "classifier"):
        assert word in shown


def test_schema_is_json_schema(capsys: Capture) -> None:
    assert main(["limits", "schema", "--json"]) == 0
    assert "joint_limits" in as_json(capsys)["properties"]


def test_check_of_a_shipped_robot(capsys: Capture) -> None:
    assert main(["limits", "check", "xarm6", "--json"]) == 0
    found = as_json(capsys)
    assert found["ok"] is True
    assert len(found["sha256"]) == 64
    assert found["self_collision_pairs"] == 10
    assert main(["limits", "check", "xarm6"]) == 0
    assert "10 pairs of links" in capsys.readouterr().out


class TestWithAuthoring:
    @pytest.fixture(autouse=True)
    def _needs(self) -> None:
        pytest.importorskip("pinocchio")

    def test_init_check_freeze(self, tmp_path: Path, capsys: Capture) -> None:
        small_arm.write(tmp_path)
        out = tmp_path / "begun.yaml"
        urdf = str(tmp_path / "small.urdf")
        words = ["limits", "init", urdf, "-o", str(out), "--lock", "grip=0.02", "--json"]
        assert main(words) == 0
        begun = as_json(capsys)
        assert begun["required"] > 20
        assert "urdf: small.urdf" in out.read_text()
        assert main(["limits", "check", str(out)]) == 2
        assert f"REQUIRED ({begun['required']})" in capsys.readouterr().err

    def test_init_does_not_overwrite(self, tmp_path: Path, capsys: Capture) -> None:
        path = small_arm.write(tmp_path)
        words = ["limits", "init", str(tmp_path / "small.urdf"), "-o", str(path)]
        assert main([*words, "--lock", "grip=0"]) == 2
        assert "--force overwrites it" in capsys.readouterr().err
        assert path.read_text() == small_arm.YAML
        assert main([*words, "--lock", "grip=0", "--force"]) == 0
        assert "REQUIRED" in path.read_text()

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["none.urdf", "-o", "a.yaml"], "no such file"),
            (["small.urdf", "-o", "a.txt"], "must end in .yaml"),
            (["small.urdf", "-o", "no/a.yaml"], "not a folder"),
            (["small.urdf", "-o", "a.yaml", "--lock", "grip"], "JOINT=POSITION"),
            (["small.urdf", "-o", "a.yaml", "--lock", "hand=0"], "there are: shoulder"),
            (["small.urdf", "-o", "a.yaml", "--package", "mine"], "known: pybullet_data"),
        ],
    )
    def test_init_refuses(
        self,
        words: list[str],
        complaint: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: Capture,
    ) -> None:
        small_arm.write(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert main(["limits", "init", *words]) == 2
        captured = capsys.readouterr()
        assert complaint in captured.err
        assert captured.out == ""

    def test_freeze_writes_beside_and_check_compares(self, tmp_path: Path, capsys: Capture) -> None:
        path = small_arm.write(tmp_path)
        assert main(["limits", "freeze", str(path), "--check"]) == 1
        assert not path.with_suffix(".json").exists()
        capsys.readouterr()
        assert main(["limits", "freeze", str(path), "--json"]) == 0
        digest = as_json(capsys)["sha256"]
        assert main(["limits", "freeze", str(path), "--check"]) == 0
        capsys.readouterr()
        assert main(["limits", "check", str(path.with_suffix(".json")), "--json"]) == 0
        assert as_json(capsys)["sha256"] == digest

    def test_freeze_takes_yaml_and_writes_json(self, tmp_path: Path, capsys: Capture) -> None:
        path = small_arm.write(tmp_path)
        assert main(["limits", "freeze", str(path), "-o", str(path)]) == 2
        assert "must end in .json" in capsys.readouterr().err
        assert main(["limits", "freeze", str(tmp_path / "small.urdf")]) == 2

    # The bad input of the main job's list, as a person meets it.
    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("min_position: -140 deg", "min_position: -140", '"-140 deg"'),
            ("max_jerk: 200.0, ", "", "joint_limits.shoulder.max_jerk: missing"),
            (
                "min_position: -2.0, max_position: 2.0",
                "min_position: 2.0, max_position: -2.0",
                "swapped",
            ),
            ("max_effort: 60.0", "max_effort: .nan", "not finite"),
            ("  elbow:\n    {type", "  elbo:\n    {type", "no such joint"),
            ("stop_category: cat1", "stop_categori: cat1", "unknown key"),
            ("format: 1", "format: 2", "newer than format 1"),
            ("radius: 3.0", "radius: 0.5", "volume 'dome' contradict"),
        ],
    )
    def test_bad_limits_file_exits_2(
        self, old: str, new: str, complaint: str, tmp_path: Path, capsys: Capture
    ) -> None:
        assert old in small_arm.YAML
        path = small_arm.write(tmp_path, small_arm.YAML.replace(old, new, 1))
        for command in ("check", "explain", "freeze"):
            assert main(["limits", command, str(path)]) == 2
            captured = capsys.readouterr()
            assert complaint in captured.err
            assert "Traceback" not in captured.err
            assert captured.out == ""

    def test_check_as_json_says_what_is_wrong(self, tmp_path: Path, capsys: Capture) -> None:
        path = small_arm.write(tmp_path, small_arm.YAML.replace("format: 1", "format: 9"))
        assert main(["limits", "check", str(path), "--json"]) == 2
        found = as_json(capsys)
        assert found["ok"] is False
        assert "format 9" in found["error"]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The Panda's frozen file with its classifier, to be spoilt."""
    for path in robots_folder().glob("franka_panda.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    declared = json.loads((tmp_path / "franka_panda.json").read_bytes())["classifier"]
    if "file" not in declared:
        pytest.skip("no classifier is declared")
    return tmp_path / "franka_panda.json"


def test_truncated_classifier_exits_2(copied: Path, capsys: Capture) -> None:
    model = copied.with_suffix(".onnx")
    model.write_bytes(model.read_bytes()[:-100])
    assert main(["limits", "check", str(copied)]) == 2
    assert "classifier" in capsys.readouterr().err


def test_wrong_classifier_digest_exits_2(copied: Path, capsys: Capture) -> None:
    plain = json.loads(copied.read_bytes())
    plain["classifier"]["sha256"] = "0" * 64
    copied.write_text(json.dumps(plain))
    assert main(["limits", "check", str(copied)]) == 2
    assert "sha256" in capsys.readouterr().err


def test_absent_classifier_exits_2(copied: Path, capsys: Capture) -> None:
    copied.with_suffix(".onnx").unlink()
    assert main(["limits", "check", str(copied)]) == 2
    assert "classifier.file" in capsys.readouterr().err

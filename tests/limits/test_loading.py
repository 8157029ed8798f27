"""`load_limits`: by name, frozen and as YAML; and files that are written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.limits import small_arm

from checkrein.limits import load_limits
from checkrein.limits.errors import FeasibilityError, LimitsFileError, MissingExtraError
from checkrein.limits.loading import robots_folder, shipped_names, write_atomic


def test_shipped_names() -> None:
    assert shipped_names() == ("franka_panda", "kuka_iiwa7", "xarm6")


@pytest.mark.parametrize("name", shipped_names())
def test_name_and_path_give_the_same_limits(name: str) -> None:
    by_name, by_path = load_limits(name), load_limits(robots_folder() / f"{name}.json")
    assert by_name.sha256 == by_path.sha256
    assert by_name.joints == by_path.joints
    assert by_name.name == name


def test_xarm6_has_six_joints() -> None:
    assert len(load_limits("xarm6").joints) == 6


@pytest.mark.parametrize("name", shipped_names())
def test_round_trip_of_yaml_and_frozen(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pinocchio")
    pytest.importorskip("pybullet_data")
    from_yaml = load_limits(robots_folder() / f"{name}.yaml")
    assert from_yaml.sha256 == load_limits(name).sha256


@pytest.mark.parametrize("name", ["franka_pandas", "panda", "", "franka_panda.toml"])
def test_unknown_name_lists_the_names(name: str) -> None:
    with pytest.raises(LimitsFileError, match="franka_panda, kuka_iiwa7, xarm6"):
        load_limits(name)


def test_absent_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(LimitsFileError, match="No such file"):
        load_limits(tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(LimitsFileError, match="Is a directory"):
        load_limits(tmp_path / "folder.json")


def test_frozen_file_is_judged_for_feasibility_too(tmp_path: Path) -> None:
    text = (robots_folder() / "franka_panda.json").read_text()
    path = tmp_path / "x.json"
    path.write_text(text.replace('"standoff":0.003', '"standoff":0.9'))
    with pytest.raises(FeasibilityError, match=r"x\.json: home: link"):
        load_limits(path)


def test_yaml_without_the_extra_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(MissingExtraError, match=r"checkrein\[authoring\]"):
        load_limits(small_arm.write(tmp_path))


def test_the_runtime_reads_frozen_limits_without_authoring() -> None:
    code = (
        "import sys\n"
        "from checkrein.limits import load_limits\n"
        "load_limits('franka_panda')\n"
        "heavy = {'pinocchio', 'pint', 'pydantic', 'yaml', 'rfc8785', 'pybullet_data'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_write_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_atomic(path, b"old")

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]

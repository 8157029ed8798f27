"""docs/your-robot.md, run as it stands: a robot that is not shipped, guarded in both ways."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from checkrein.limits import Limits, load_limits

pytest.importorskip("gymnasium")
pytest.importorskip("pinocchio")
pytest.importorskip("pybullet_data")

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "your-robot.md"
BLOCK = re.compile(r"^```(bash|python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
USER_LINES_MAX = 30
GYMNASIUM = ("guard_env.py",)
ZMQ = ("controller.py", "robot.py", "run_policy.py")

# Put into the folder's sitecustomize: every joint position that the simulated robot measures,
# after each millisecond, for the test to judge.
WITNESS = """
import atexit, numpy, sys
def watch():
    import my_robot
    rows, follow = [], my_robot.MyRobot.follow
    def noting(self, targets):
        for target in targets:
            follow(self, [target])
            rows.append(numpy.concatenate((target, *self.read())))
    my_robot.MyRobot.follow = noting
    atexit.register(lambda: numpy.save(sys.argv[0] + ".npy", numpy.array(rows)))
"""


def blocks(language: str) -> list[str]:
    found = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    return [code for kind, code in found if kind == language]


def programs() -> dict[str, str]:
    return {code.split("\n", 1)[0].removeprefix("# "): code for code in blocks("python")}


def run(folder: Path, script: str) -> str:
    """One bash block, in `folder`, with this environment's `python` and `checkrein` first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's folder after step 1, with every program in it."""
    folder = tmp_path_factory.mktemp("own")
    begin, freeze, _ = blocks("bash")
    run(folder, begin)
    file = folder / "my_arm.yaml"
    assert "REQUIRED" in file.read_text(encoding="utf-8")
    filled = yaml.safe_load(file.read_text(encoding="utf-8"))
    every_joint, rest = (yaml.safe_load(block) for block in blocks("yaml"))
    for joint in filled["joint_limits"].values():
        joint.update(every_joint)
    for key, value in rest.items():
        filled[key] = {**filled[key], **value} if isinstance(filled[key], dict) else value
    text = yaml.safe_dump(filled, sort_keys=False)
    assert "REQUIRED" not in text
    file.write_text(text, encoding="utf-8")
    assert "good" in run(folder, freeze)
    for name, code in programs().items():
        watched = code
        if name != "my_robot.py":
            watched = f"import witness\nwitness.watch()\n{code}"
        (folder / name).write_text(watched, encoding="utf-8")
    (folder / "witness.py").write_text(WITNESS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def limits(folder: Path) -> Limits:
    return load_limits(folder / "my_arm.json")


def judge(path: Path, limits: Limits) -> None:
    """The measured motion kept to the limits, and there was some."""
    rows = np.load(path)
    n = len(limits.joints)
    target, q, dq = rows[:, :n], rows[:, n : 2 * n], rows[:, 2 * n :]
    low = np.array([joint.min_position for joint in limits.joints])
    high = np.array([joint.max_position for joint in limits.joints])
    speed = np.array([joint.max_velocity for joint in limits.joints])
    tracking = np.array([joint.tracking_error for joint in limits.joints])
    assert len(rows) >= 4000
    assert np.all(q >= low)
    assert np.all(q <= high)
    assert np.all(np.abs(dq) <= speed)
    assert np.all(np.abs(q - target) <= tracking)
    assert np.ptp(q, axis=0).max() > 0.5


def count(names: tuple[str, ...]) -> int:
    lines = [line.strip() for name in names for line in programs()[name].splitlines()]
    return len([line for line in lines if line and not line.startswith("#")])


@pytest.mark.parametrize("names", [GYMNASIUM, ZMQ], ids=["gymnasium", "zmq"])
def test_it_takes_thirty_lines_of_the_users_code(names: tuple[str, ...]) -> None:
    assert count(names) <= USER_LINES_MAX


def test_the_robot_is_not_shipped(limits: Limits) -> None:
    assert limits.name == "my_arm"
    assert limits.joints[0].name == "lbr_iiwa_joint_1"
    assert len(limits.joints) == 7


def test_guarded_in_gymnasium(folder: Path, limits: Limits) -> None:
    said: dict[str, Any] = ast.literal_eval(run(folder, "python guard_env.py").splitlines()[-1])
    assert said["ticks"] == 1250
    assert said["interventions"] > 500
    assert not said["latched"]
    judge(folder / "guard_env.py.npy", limits)


def test_many_guarded_in_gymnasium(folder: Path, limits: Limits) -> None:
    said: dict[str, Any] = ast.literal_eval(run(folder, "python guard_many.py").splitlines()[-1])
    assert said["ticks"] == [250] * 3
    assert min(said["interventions"]) > 100
    assert not any(said["latched"])
    assert count(("guard_many.py",)) <= 20


def test_vetted_ahead_of_time(folder: Path) -> None:
    first, *found = run(folder, "python vet.py").splitlines()
    rows, jump, outcome, ticks = first.split()
    assert 25 <= int(rows) < 40
    assert (jump, outcome, ticks) == ("None", "clamp", "200")
    assert found[0].startswith("tick ")
    assert "joint_velocity of lbr_iiwa_joint_7" in found[0]


def test_guarded_over_zmq(folder: Path, limits: Limits) -> None:
    outcomes: dict[str, int] = ast.literal_eval(run(folder, blocks("bash")[2]).splitlines()[-1])
    assert sum(outcomes.values()) >= 990
    assert outcomes["clamp"] > 500
    assert "stop" not in outcomes
    judge(folder / "robot.py.npy", limits)


def test_its_own_reach_environment(folder: Path, limits: Limits, monkeypatch: Any) -> None:
    from checkrein.envs import make_guarded

    monkeypatch.chdir(folder)
    env = make_guarded("checkrein/Reach-v0", limits="my_arm.json")
    _, info = env.reset(seed=0)
    for _ in range(50):
        _, _, _, _, info = env.step(np.ones(7, dtype=np.float32))
        assert not info["safety"]["latched"]
    assert info["decision"].limits_sha256 == limits.sha256
    env.close()

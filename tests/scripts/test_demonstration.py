"""The demonstration end to end, short: what it writes, that it repeats, that nobody stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rfc8785

pytest.importorskip("pybullet")

from checkrein.controller.audit_reader import verify
from checkrein.limits.loading import robots_folder
from checkrein.scripts.cli import main
from checkrein.scripts.demonstration.kill import kill_controller
from checkrein.scripts.demonstration.recording import KINDS, write_png
from checkrein.sim.observer import KINDS as VIOLATIONS

CLI = [sys.executable, "-m", "checkrein.scripts.cli"]
SECONDS = "4"


def run_demo(out: Path, *more: str) -> dict[str, Any]:
    done = subprocess.run(
        [*CLI, "demo", "--seconds", SECONDS, "--seed", "3", "--out", str(out), "--json", *more],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def summary(out: Path) -> dict[str, Any]:
    return run_demo(out)


def test_the_summary_has_what_it_must(summary: dict[str, Any], out: Path) -> None:
    assert json.loads((out / "summary.json").read_text()) == summary
    for run in ("unguarded", "guarded"):
        assert tuple(sorted(summary[run]["violations"])) == tuple(sorted(VIOLATIONS))
    guarded = summary["guarded"]
    assert set(guarded["outcomes"]) == {"pass", "clamp", "resample", "refuse", "stop"}
    assert guarded["step_us"]["p50"] <= guarded["step_us"]["p99"]
    assert set(summary["classifier"]) >= {"scored", "vetoed", "sha256"}
    assert summary["seed"] == 3
    assert len(summary["limits_sha256"]) == 64
    for attack in guarded["attacks"].values():
        assert attack["onsets"] >= attack["onsets_armed_moving"]
        assert sum(attack["outcomes"].values()) > 0


def test_guarded_nothing_is_violated_and_unguarded_something_is(summary: dict[str, Any]) -> None:
    guarded = {k: n for k, n in summary["guarded"]["violations"].items() if k != "object_lost"}
    assert not any(guarded.values()), guarded
    assert summary["guarded"]["attacks"]


def test_the_audit_of_the_demo_verifies_and_replays(
    summary: dict[str, Any], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verify(out / "audit.mcap")
    assert found.is_intact, found.problems
    assert found.records == summary["audit"]["records"]
    assert found.head_sha256 == summary["audit"]["head_sha256"]
    assert main(["audit", "replay", str(out / "audit.mcap"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decisions"] == sum(
        summary["guarded"]["outcomes"].values()
    )


@pytest.mark.parametrize("run", ["unguarded", "guarded"])
def test_the_traces_hold_every_tick(run: str, out: Path, summary: dict[str, Any]) -> None:
    with np.load(out / f"trace_{run}.npz") as trace:
        ticks = len(trace["tick"])
        assert 0 < ticks <= summary[run]["ticks"]
        for name in ("proposed", "executed_q", "executed_dq", "measured_q"):
            assert trace[name].shape == (ticks, 7)
        for name in ("tcp_speed_m_s", "clearance_m", "contact_force_n", "outcome", "score"):
            assert trace[name].shape == (ticks,)
        assert tuple(trace["kinds"]) == KINDS
        decided = (trace["outcome"] >= 0).mean()
        assert decided > 0.9 if run == "guarded" else decided == 0.0
    for frame in summary[run]["frames"]:
        assert (out / "frames" / frame["file"]).read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_run(
    summary: dict[str, Any], out: Path, tmp_path: Path
) -> None:
    again = run_demo(tmp_path)
    for run in ("unguarded", "guarded"):
        assert again[run]["violations"] == summary[run]["violations"]
        with np.load(out / f"trace_{run}.npz") as a, np.load(tmp_path / f"trace_{run}.npz") as b:
            for name in a.files:
                np.testing.assert_array_equal(a[name], b[name], err_msg=f"{run} {name}")


def descendants(pid: int) -> set[int]:
    """Processes below `pid`, from /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found, grew = {pid}, True
    while grew:
        below = {child for child, parent in parents.items() if parent in found} - found
        grew = bool(below)
        found |= below
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if stat.rpartition(")")[2].split()[0] not in ("Z", "X"):
            found.add(pid)
    return found


def wait_for_children(demo: subprocess.Popen[str], count: int) -> set[int]:
    deadline_s = time.monotonic() + 60.0
    while time.monotonic() < deadline_s:
        below = descendants(demo.pid)
        if len(below) >= count:
            time.sleep(3.0)  # let them get to work
            return descendants(demo.pid)
        time.sleep(0.1)
    raise AssertionError("the demonstration started no processes")


def wait_until_gone(pids: set[int]) -> set[int]:
    deadline_s = time.monotonic() + 20.0
    while alive(pids) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return alive(pids)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL", "child"])
def test_nobody_is_left_behind(how: str, tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*CLI, "demo", "--seconds", "600", "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Not ignored, as it is where the tests themselves run in the background of a shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        children = wait_for_children(demo, 6)
        if how == "child":
            os.kill(max(children), signal.SIGKILL)
        else:
            os.kill(demo.pid, getattr(signal, how))
        output = demo.communicate(timeout=30)[0]
        assert not wait_until_gone(children)
        assert demo.returncode != 0
        if how == "child":
            assert demo.returncode == 1
            assert "was killed by signal 9" in output
        elif how != "SIGKILL":
            assert demo.returncode == 130
            assert "interrupted" in output
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait(10)
        if demo.stdout is not None:
            demo.stdout.close()


@pytest.mark.parametrize(
    "options",
    [
        ["--seconds", "0"],
        ["--seconds", "nan"],
        ["--episodes", "0"],
        ["--seed", "-1"],
        ["--limits", "no_such_robot"],
    ],
)
def test_bad_options_exit_2(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path), *options]) == 2
    assert "error" in capsys.readouterr().err.lower()


def test_a_wrong_model_digest_exits_2_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = robots_folder() / "franka_panda.json"
    frozen = json.loads(shipped.read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"not the model that was declared")
    frozen["classifier"] = {
        "file": "model.onnx", "sha256": "0" * 64, "threshold": 0.1, "rescore_deviation": 0.05,
    }  # fmt: skip
    path = tmp_path / "changed.json"
    path.write_bytes(rfc8785.dumps(frozen))
    assert main(["demo", "--seconds", "2", "--out", str(tmp_path), "--limits", str(path)]) == 2
    said = capsys.readouterr().err
    assert "controller process" in said
    assert "sha256" in said


def test_three_kills_of_the_controller_at_full_speed_end_at_rest() -> None:
    results = list(kill_controller(3, seed=5))
    assert [result.why_bad for result in results] == [None, None, None]
    assert all(result.speed >= 0.5 for result in results)


def test_png_is_written_as_it_should(tmp_path: Path) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    write_png(tmp_path / "x.png", image)
    data = (tmp_path / "x.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[16:24] == (3).to_bytes(4, "big") + (2).to_bytes(4, "big")

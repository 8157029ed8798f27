"""Kernels are compiled by one process at a time, into a cache that the others then read."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from checkrein.limits import compiling
from checkrein.limits.kernels.jit import COMPILES, cache_folder

SPAWN = multiprocessing.get_context("spawn")
PATIENCE_S = 60.0
pytestmark = pytest.mark.skipif(not COMPILES, reason="nothing is compiled")


def _compile(home: str, entered: Event, leave: Event) -> None:
    os.environ["XDG_CACHE_HOME"] = home
    with compiling.only_here():
        entered.set()
        leave.wait(PATIENCE_S)


def test_who_comes_second_waits_and_then_finds_all_done(tmp_path: Path) -> None:
    first, second, leave = SPAWN.Event(), SPAWN.Event(), SPAWN.Event()
    one = SPAWN.Process(target=_compile, args=(str(tmp_path), first, leave))
    other = SPAWN.Process(target=_compile, args=(str(tmp_path), second, leave))
    one.start()
    assert first.wait(PATIENCE_S)
    other.start()
    assert not second.wait(2.0)
    leave.set()
    assert second.wait(PATIENCE_S)
    one.join(PATIENCE_S)
    other.join(PATIENCE_S)
    assert (one.exitcode, other.exitcode) == (0, 0)


def test_who_dies_while_it_compiles_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    entered, leave = SPAWN.Event(), SPAWN.Event()
    one = SPAWN.Process(target=_compile, args=(str(tmp_path), entered, leave))
    one.start()
    assert entered.wait(PATIENCE_S)
    one.kill()
    one.join(PATIENCE_S)
    with compiling.only_here():
        pass
    folder = cache_folder()
    assert folder is not None
    assert (folder / "complete").exists()


def test_without_a_second_process_it_is_merely_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    with compiling.only_here():
        pass


def test_the_helper_compiles_just_what_the_filter_needs() -> None:
    """Types that differ would be compiled twice, and the help would be none."""
    script = """
from checkrein.limits import calls, compiling, load_limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.twist import in_joints
from checkrein.limits.kinds import (
    joint_effort, link_speed, tcp_acceleration, tcp_rotation, tcp_speed, workspace
)
from checkrein.limits.project import project, slid

compiling._help()
Core(load_limits("franka_panda"))
for kernel in (
    joint_effort.holds, tcp_rotation.holds, tcp_speed.holds, project, slid, in_joints,
    link_speed.violated, tcp_acceleration.violated, workspace.gaps, workspace.least_clearance,
    calls.brake, calls.recertify,
):
    print(kernel.py_func.__name__, len(kernel.overloads))
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    counts = [int(line.split()[1]) for line in run.stdout.splitlines()]
    assert counts == [1] * 12

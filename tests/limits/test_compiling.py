"""Kernels are compiled by one process at a time, into a cache that the others then read."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from checkrein.limits import compiling
from checkrein.limits.kernels.jit import COMPILES, cache_folder

pytestmark = pytest.mark.skipif(not COMPILES, reason="nothing is compiled")
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
COMPILE = """
from checkrein.limits import compiling

print("ready", flush=True)
with compiling.only_here():
    print("entered", flush=True)
    input()
"""


def compiling_in(home: Path) -> subprocess.Popen[str]:
    """A process that is about to compile into the cache of this home, and waits for a line then."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMPILE],
        env=ENVIRONMENT | {"XDG_CACHE_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert line_of(process) == "ready"
    return process


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_done(process: subprocess.Popen[str]) -> bool:
    process.communicate("go on\n", timeout=60.0)
    return process.returncode == 0


def test_who_comes_second_waits_and_then_finds_all_done(tmp_path: Path) -> None:
    one = compiling_in(tmp_path)
    assert line_of(one) == "entered"
    other = compiling_in(tmp_path)
    assert other.stdout is not None
    assert select.select([other.stdout], [], [], 1.0)[0] == []
    assert is_done(one)
    assert line_of(other) == "entered"
    assert is_done(other)


def test_who_dies_while_it_compiles_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = compiling_in(tmp_path)
    assert line_of(one) == "entered"
    one.kill()
    one.communicate()
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


def test_the_helper_compiles_kernels_of_declared_types(tmp_path: Path) -> None:
    """For other types than those that the filter uses, its help would be none."""
    environment = ENVIRONMENT | {"XDG_CACHE_HOME": str(tmp_path)}
    script = """
from checkrein.limits import compiling
done = []
compiling.ready = lambda function: done.append(function)
compiling._help()
print(*(function.py_func.__qualname__ + "." + type(function).__name__ for function in done))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    kinds = {name.rpartition(".")[2] for name in run.stdout.split()}
    assert kinds == {"_Apart"}

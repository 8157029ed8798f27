"""The kernel cache: named after everything that a kernel depends on, and trusted by nobody else."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from checkrein.limits.kernels import jit
from checkrein.limits.kernels.clearance import is_beyond


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_folder_is_closed_to_others(home: Path) -> None:
    folder = jit.cache_folder()
    assert folder is not None
    assert folder.is_relative_to(home)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert jit.cache_folder() == folder


def test_a_folder_that_others_can_write_is_not_used(home: Path) -> None:
    folder = jit.cache_folder()
    assert folder is not None
    folder.chmod(0o770)
    assert jit.cache_folder() is None


def test_a_link_is_not_used(home: Path) -> None:
    """lstat: whoever can plant a link to our own folder could otherwise swap it later."""
    folder = jit.cache_folder()
    assert folder is not None
    elsewhere = home / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert jit.cache_folder() is None


def test_where_no_folder_can_be_made_nothing_is_cached(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert jit.cache_folder() is None


def test_an_edited_kernel_has_another_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numba's own cache does not notice an edited callee in another file."""
    before = jit.cache_folder()
    edited = home / "callee.py"
    edited.write_text("# changed")
    monkeypatch.setattr(jit, "_SOURCES", (*jit._SOURCES, edited))
    one = jit.cache_folder()
    edited.write_text("# changed again")
    assert len({before, one, jit.cache_folder()}) == 3


def test_every_file_with_a_kernel_counts() -> None:
    root = Path(jit.__file__).resolve().parents[2]
    files = [
        path for name in ("limits", "models", "controller") for path in (root / name).rglob("*.py")
    ]
    decorated = re.compile(r"^@(kernel|entry|inlined|apart)\b", re.MULTILINE)
    with_kernels = {path for path in files if decorated.search(path.read_text(encoding="utf-8"))}
    assert with_kernels
    assert with_kernels <= set(jit._SOURCES)


def test_kernels_fold_in_constants_of_counted_files_only() -> None:
    """A constant is compiled in: the file that it comes from must be part of the cache's name."""
    counted = {path.stem for path in jit._SOURCES} | {"kernels", "kinds"}
    records_only = {"declared", "records"}
    for path in jit._SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                imported = (node.module or "").rpartition(".")[2]
                assert imported in counted | records_only, f"{path.name} imports {imported}"


CONFIG: Any = numba.config


@pytest.mark.skipif(bool(CONFIG.DISABLE_JIT), reason="nothing is compiled")
def test_kernels_are_strict() -> None:
    @jit.kernel
    def divided(a: float, b: float) -> float:
        return a / b

    assert divided(1.0, 0.0) == float("inf")  # no exception
    assert divided(0.0, 0.0) != 0.0
    options = divided.targetoptions  # type: ignore[attr-defined]
    assert options["nogil"]
    assert not options["fastmath"]
    assert options["error_model"] == "numpy"
    assert os.environ.get("NUMBA_CACHE_DIR", "") == CONFIG.CACHE_DIR


def test_python_can_call_a_kernel_that_only_kernels_call() -> None:
    """Left to numba it would jump to address 0."""
    sphere = np.zeros(18)
    sphere[:2], sphere[5] = (2.0, 1.0), 0.5
    mesh = np.zeros((0, 4))
    far = [is_beyond(sphere, mesh, x, 0.0, 0.0, 1.0) for x in (1.0, 2.0, 3.0)]
    assert far == [False, True, True]
    with pytest.raises(TypeError):
        is_beyond(sphere)  # type: ignore[call-arg]


APART = """
from numba import float64

from checkrein.limits.kernels.jit import apart, entry, kernel


@apart(float64, float64[:])
def _inner(x, row):
    return x + row[0]


@kernel
def _middle(x, row):
    return 2.0 * _inner(x, row)


@entry
def outer(x, row):
    return _middle(x, row) + 1.0
"""
ASK = """
import numpy as np

import of_calls

print(of_calls.outer(3.0, np.ones(2)), of_calls._inner(3.0, np.ones(2)))
print(*(len(k.stats.cache_hits) for k in (of_calls._inner, of_calls.outer)))
try:
    of_calls.outer(3.0, "row")
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(not jit.COMPILES, reason="nothing is compiled")
def test_what_is_sealed_was_compiled_once_and_is_the_same_code() -> None:
    @jit.entry
    def doubled(x: float) -> float:
        return 2.0 * x

    with pytest.raises(RuntimeError, match="doubled was compiled for 0 lists of types"):
        jit.sealed(doubled)

    @jit.entry
    def tripled(x: float) -> float:
        return 3.0 * x

    assert tripled(2.5) == 7.5
    assert jit.sealed(tripled)(2.5) == 7.5
    assert jit.sealed(tripled) is jit.sealed(tripled)
    of_another_type: Any = np.zeros(2)
    with pytest.raises(TypeError):
        tripled(of_another_type)  # sealed: no second time

    @jit.entry
    def shown(x: Any) -> int:
        return 1

    shown(1.0), shown(np.zeros(2))
    with pytest.raises(RuntimeError, match="for 2 lists"):
        jit.sealed(shown)


@pytest.mark.skipif(not jit.COMPILES, reason="nothing is compiled")
def test_who_is_read_from_the_cache_finds_what_it_calls_by_address(home: Path) -> None:
    """Where it is not there, LLVM ends the process."""
    (home / "of_calls.py").write_text(APART)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(home), *filter(None, sys.path)])}
    said = [
        subprocess.run(
            [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert said == [
        ["9.0 4.0", "0 0", "TypingError"],
        ["9.0 4.0", "1 1", "TypingError"],
    ]


def test_kernels_call_each_other_by_plain_names() -> None:
    """Only so it is known, before one is read from the cache, what it calls by address."""
    for path in sorted(path for path in jit._SOURCES if path.is_file()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or not any(
                re.match(r"(kernel|entry|inlined|apart)\b", ast.unparse(d))
                for d in node.decorator_list
            ):
                continue
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                    called = ast.unparse(call.func)
                    assert called.startswith(("math.", "np.")) or called.endswith(".reshape"), (
                        f"{path.name}:{call.lineno}: {called}"
                    )

"""The kernel cache: named after everything that a kernel depends on, and trusted by nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numba
import pytest

from checkrein.limits.kernels import jit


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
    folder = Path(jit.__file__).parent.parent
    with_kernels = {path for path in folder.rglob("*.py") if "@kernel\n" in path.read_text()}
    assert with_kernels
    assert with_kernels <= set(jit._SOURCES)


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
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
    assert os.environ.get("NUMBA_CACHE_DIR", "") == numba.config.CACHE_DIR

"""PyBullet never writes to stdout, and a missing one is named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from checkrein.sim import engine


def test_stdout_stays_clean() -> None:
    pytest.importorskip("pybullet")
    code = "from checkrein.sim.engine import load_pybullet; load_pybullet(); print('{}')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"


def test_missing_pybullet_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(ImportError, match=r"checkrein\[sim\]"):
        engine.load_pybullet()


def test_prints_of_c_code_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    with engine.stdout_kept():
        os.write(1, b"warning")
    os.write(1, b"result")
    out, err = capfd.readouterr()
    assert (out, err) == ("result", "warning")

"""A wheel, installed into an empty folder, holds every module and can import each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from checkrein.scripts.cli import EXTRA_OF_IMPORT

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("controller", "envs", "limits", "models", "scripts", "sim")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DATA = sorted([*(ROOT / "limits/robots").glob("*"), *(ROOT / p / "py.typed" for p in PACKAGES)])

# Runs isolated, from an empty folder. The editable install of this environment is taken out of the
# way first: it would answer for whatever the wheel forgot.
IMPORT_EACH = """
import importlib, json, sys
site, *names = sys.argv[1:]
def ours(thing):
    return "__editable__" in str(getattr(thing, "__module__", thing))
sys.meta_path[:] = [finder for finder in sys.meta_path if not ours(finder)]
sys.path_hooks[:] = [hook for hook in sys.path_hooks if not ours(hook)]
sys.path[:] = [site, *(entry for entry in sys.path if not ours(entry))]
sys.path_importer_cache.clear()
result = {}
for name in names:
    try:
        result[name] = importlib.import_module(name).__file__
    except ModuleNotFoundError as error:
        result[name] = {"missing": error.name}
print(json.dumps(result))
"""


def _run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("checkrein", *(part for part in parts if part != "__init__")))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools would put leftovers of an older build/ into the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)
    command = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
    _run(sys.executable, *command, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--target", target)
    _run(sys.executable, "-m", "pip", "install", *options, wheel, folder=target)
    return target


def test_wheel_holds_every_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {f"checkrein/{path.relative_to(ROOT).as_posix()}" for path in [*MODULES, *DATA]}
    assert held == expected


def test_wheel_carries_license_and_notice(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name for name in archive.namelist() if ".dist-info/" in name}
    assert {"LICENSE", "NOTICE", "entry_points.txt"} <= names


def test_every_module_imports_from_the_wheel(site: Path, tmp_path: Path) -> None:
    names = [_dotted(path) for path in MODULES]
    output = _run(sys.executable, "-I", "-c", IMPORT_EACH, site, *names, folder=tmp_path)
    for name, outcome in json.loads(output.splitlines()[-1]).items():
        if isinstance(outcome, str):
            assert Path(outcome).is_relative_to(site), f"{name} came from {outcome}"
        else:  # an extra that this environment does not have
            assert str(outcome["missing"]).partition(".")[0] in EXTRA_OF_IMPORT, (name, outcome)


def test_help_needs_no_extra(site: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from checkrein.scripts.cli import main; "
        "code = main(['--help']); "
        f"loaded = set(sys.modules) & set({[*EXTRA_OF_IMPORT, 'numba', 'onnxruntime']!r}); "
        "sys.exit(f'imported {loaded}' if loaded else code)"
    )
    assert "Usage" in _run(sys.executable, "-I", "-c", code, site, folder=tmp_path)

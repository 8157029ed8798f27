"""What .importlinter cannot say: rules about files named by a pattern, and third-party imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("controller", "envs", "limits", "models", "scripts", "sim")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Which file may import which third-party package. `*` also matches the slash: whole subtrees.
ALLOWED = {
    "cbfpy": ("scripts/bench/peer_*",),
    "coal": ("limits/authoring/*", "sim/oracle*"),
    "google": ("models/*",),
    "gymnasium": ("envs/*",),
    "hypothesis": ("scripts/fuzz/*",),
    "jax": ("scripts/bench/peer_*",),
    "klimits": ("scripts/bench/peer_*",),
    "llvmlite": ("limits/kernels/*",),
    "mcap": ("controller/audit*", "scripts/audit*"),
    "msgspec": ("controller/*", "limits/*", "scripts/*"),
    "numba": ("limits/kernels/*", "limits/kinds/*", "scripts/bench/*"),
    "numpy": ("*",),
    "onnx": ("models/*",),
    "onnxruntime": ("models/*",),
    "pink": ("scripts/bench/peer_*",),
    "pinocchio": ("limits/authoring/*", "scripts/bench/peer_*", "sim/oracle*"),
    "pint": ("limits/*",),
    "plotly": ("scripts/report/*",),
    "pybullet": ("sim/*",),
    "pybullet_data": ("limits/authoring/*", "sim/*"),
    "pydantic": ("limits/*",),
    "rfc8785": ("limits/*",),
    "rich": ("scripts/*",),
    "ruckig": ("scripts/bench/peer_*",),
    "scipy": ("limits/authoring/*", "models/training*", "sim/oracle*"),
    "torch": ("models/training*", "scripts/train/*"),
    "typer": ("scripts/*",),
    "yaml": ("limits/*", "scripts/*"),
    "zmq": ("controller/*", "scripts/*"),
    "zstandard": ("controller/audit*",),
}

# The judges share no code with the judged: not the limits, not a kernel, not the controller
# (.importlinter forbids the indirect ways). The oracle knows no simulation either.
JUDGES = {"sim/oracle*.py": "sim/oracle*.py", "sim/observe*.py": "sim/*.py"}
JUDGES_MAY_IMPORT = {"coal", "numpy", "pinocchio", "scipy"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(path: Path) -> Iterator[str]:
    """Dotted absolute names of what `path` imports; its own package's as `checkrein.…`."""
    package = ["checkrein", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = [*start, *([node.module] if node.module else [])]
            if node.module:
                yield ".".join(module)
            else:
                yield from (".".join([*module, alias.name]) for alias in node.names)


def _is_third_party(name: str) -> bool:
    top = name.partition(".")[0]
    return top != "checkrein" and top not in sys.stdlib_module_names


def test_third_party_imports_stay_where_they_belong() -> None:
    faults = []
    for path in SOURCES:
        for name in filter(_is_third_party, _imports(path)):
            top = name.partition(".")[0]
            allowed = ALLOWED.get(top, ())
            if not any(fnmatch(_name(path), place) for place in allowed):
                places = ", ".join(allowed) or "nowhere; decide where, and add it to ALLOWED"
                faults.append(f"{_name(path)} imports {top}, which belongs in: {places}")
    assert not faults


def test_packages_import_each_other_relatively() -> None:
    faults = [
        f"{_name(path)}:{node.lineno}: import {node.module} relatively"
        for path in SOURCES
        for node in ast.walk(_parse(path))
        if isinstance(node, ast.ImportFrom) and not node.level
        if (node.module or "").partition(".")[0] == "checkrein"
    ]
    assert not faults


@pytest.mark.parametrize(
    ("path", "own"),
    [
        (path, own)
        for path in SOURCES
        for judge, own in JUDGES.items()
        if fnmatch(_name(path), judge)
    ],
    ids=lambda value: _name(value) if isinstance(value, Path) else "",
)
def test_judges_share_no_code_with_the_judged(path: Path, own: str) -> None:
    for name in _imports(path):
        if _is_third_party(name):
            assert name.partition(".")[0] in JUDGES_MAY_IMPORT, f"{_name(path)} imports {name}"
        elif name.startswith("checkrein."):
            file = name.removeprefix("checkrein.").replace(".", "/") + ".py"
            assert fnmatch(file, own), f"{_name(path)} imports {name}; it may import {own} only"

"""House rules as tests (CONTRIBUTING.md gives the reasons).

An exemption is stated where it is used: `# tidy: kernel` between a function's first decorator and
its body (a numba kernel may be long), `# tidy: long file: <reason>` anywhere in a file.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("controller", "envs", "limits", "models", "scripts", "sim")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
THIS = Path(__file__).resolve()

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
VAGUE_NAMES = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
UNSAFE_IMPORTS = {"cloudpickle", "dill", "marshal", "pickle", "shelve"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
# A path that exists on one machine only.
PRIVATE_PATH = re.compile(r"(?<![\w.])/(home|root|work|Users|tmp/w)/")
TEXT_SUFFIXES = {".cfg", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _texts() -> Iterator[Path]:
    """Every text file that is ours; what .gitignore names and binary files are left out."""
    folders = (*PACKAGES, "tests", "docs", ".ci")
    for path in [*ROOT.glob("*"), *(p for folder in folders for p in (ROOT / folder).rglob("*"))]:
        ours = path.is_file() and "__pycache__" not in path.parts
        if ours and path.suffix in TEXT_SUFFIXES and path != THIS:
            yield path


def _setuptools() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        tools: dict[str, Any] = tomllib.load(file)["tool"]["setuptools"]
    return tools


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=_name)
def test_file_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    exempt = re.search(r"^# tidy: long file: \S", text, re.MULTILINE)
    assert lines <= FILE_LINES_MAX or exempt, (
        f"{lines} lines, at most {FILE_LINES_MAX}: one concept, one file"
    )


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=_name)
def test_functions_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for function in _functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
        head = lines[first - 1 : function.body[0].lineno]
        exempt = any("# tidy: kernel" in line for line in head)
        assert length <= FUNCTION_LINES_MAX or exempt, (
            f"{_name(path)}:{function.lineno} {function.name}: {length} lines, "
            f"at most {FUNCTION_LINES_MAX}"
        )


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=_name)
def test_file_has_a_telling_name(path: Path) -> None:
    words = {word for part in path.relative_to(ROOT).parts for word in re.split(r"[_.]", part)}
    assert not words & VAGUE_NAMES, f"say what is in {_name(path)}, not that it is shared"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_names_are_telling(path: Path) -> None:
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.ClassDef):
            words = {word.lower() for word in re.findall(r"[A-Z][a-z]+", node.name)}
            assert not words & VAGUE_NAMES, f"{_name(path)}:{node.lineno}: {node.name}"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_file_begins_with_its_docstring_and_future_annotations(path: Path) -> None:
    tree = _parse(path)
    if path.name == "__init__.py" and not tree.body:
        return
    assert ast.get_docstring(tree), f"{_name(path)}: say at the top what the file guarantees"
    futures = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert futures or not imports, f"{_name(path)}: from __future__ import annotations"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_safety_is_never_an_assert(path: Path) -> None:
    lines = [node.lineno for node in ast.walk(_parse(path)) if isinstance(node, ast.Assert)]
    assert not lines, f"{_name(path)}:{lines}: python -O removes assert; raise, or give a finding"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_nothing_unpickles(path: Path) -> None:
    for node in ast.walk(_parse(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        tops = {name.partition(".")[0] for name in names}
        assert not tops & UNSAFE_IMPORTS, f"{_name(path)}: loading such a file runs its code"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False", f"{_name(path)}: allow_pickle"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_all_is_sorted(path: Path) -> None:
    for node in _parse(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            names = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            # CONSTANTS, Classes, functions; ruff (RUF022) puts them into this order.
            order = sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
            assert list(names) == order, f"{_name(path)}: ruff check --fix sorts __all__"
            assert len(set(names)) == len(names), f"{_name(path)}: __all__ repeats a name"


@pytest.mark.parametrize("path", list(_texts()), ids=_name)
def test_text_is_finished_and_names_no_private_path(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        unfinished = path.suffix in {".py", ".sh"} and UNFINISHED.search(line)
        assert not unfinished, f"{_name(path)}:{number}: finish it, or leave it out: {line.strip()}"
        assert not PRIVATE_PATH.search(line), f"{_name(path)}:{number}: {line.strip()}"


@pytest.mark.parametrize("path", sorted((ROOT / "limits/kinds").glob("[!_]*.py")), ids=_name)
def test_every_limit_has_its_test_file(path: Path) -> None:
    mirror = ROOT / "tests" / "limits" / "kinds" / f"test_{path.name}"
    assert mirror.is_file(), f"{_name(path)} wants {_name(mirror)}"


def test_pyproject_lists_every_package() -> None:
    folders = {path.parent.relative_to(ROOT) for path in SOURCES}
    expected = {"checkrein." + ".".join(folder.parts): folder.as_posix() for folder in folders}
    setuptools = _setuptools()
    assert setuptools["package-dir"] == expected
    assert setuptools["packages"] == sorted(expected)


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=_name)
def test_every_package_has_an_init(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed_and_linked(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    link = ROOT / ".typing" / "checkrein" / package
    assert link.is_symlink()
    assert link.resolve() == ROOT / package


def test_shipped_robot_files_are_package_data() -> None:
    patterns = _setuptools()["package-data"]["checkrein.limits"]
    for path in (ROOT / "limits/robots").glob("*"):
        name = path.relative_to(ROOT / "limits").as_posix()
        assert any(fnmatch(name, pattern) for pattern in patterns), f"{name} is not in the wheel"


def test_checkrein_itself_has_no_init() -> None:
    assert not (ROOT / "__init__.py").exists(), "checkrein is a namespace package (ADR 1)"

"""House rules as tests (CONTRIBUTING.md gives the reasons).

An exemption is stated where it is used: `# tidy: kernel` between a function's first decorator and
its body (a numba kernel may be long), `# tidy: long file: <reason>` anywhere in a file.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
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


@cache
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


def _faults(paths: Iterable[Path], judge: Callable[[Path], Iterable[str]]) -> list[str]:
    """What the judge has to say of each file. One test a rule: there are hundreds of files."""
    return [f"{_name(path)}{fault}" for path in paths for fault in judge(path)]


def test_files_are_short() -> None:
    def judge(path: Path) -> Iterator[str]:
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        exempt = re.search(r"^# tidy: long file: \S", text, re.MULTILINE)
        if lines > FILE_LINES_MAX and not exempt:
            yield f": {lines} lines, at most {FILE_LINES_MAX}: one concept, one file"

    assert not _faults([*SOURCES, *TESTS], judge)


def test_functions_are_short() -> None:
    def judge(path: Path) -> Iterator[str]:
        lines = path.read_text(encoding="utf-8").splitlines()
        for function in _functions(path):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
            head = lines[first - 1 : function.body[0].lineno]
            exempt = any("# tidy: kernel" in line for line in head)
            if length > FUNCTION_LINES_MAX and not exempt:
                yield (
                    f":{function.lineno} {function.name}: {length} lines, "
                    f"at most {FUNCTION_LINES_MAX}"
                )

    assert not _faults([*SOURCES, *TESTS], judge)


def test_files_have_telling_names() -> None:
    def judge(path: Path) -> Iterator[str]:
        parts = path.relative_to(ROOT).parts
        if {word for part in parts for word in re.split(r"[_.]", part)} & VAGUE_NAMES:
            yield ": say what is in it, not that it is shared"

    assert not _faults([*SOURCES, *TESTS], judge)


def test_names_are_telling() -> None:
    def judge(path: Path) -> Iterator[str]:
        for node in ast.walk(_parse(path)):
            if isinstance(node, ast.ClassDef):
                words = {word.lower() for word in re.findall(r"[A-Z][a-z]+", node.name)}
                if words & VAGUE_NAMES:
                    yield f":{node.lineno}: {node.name}"

    assert not _faults(SOURCES, judge)


def test_files_begin_with_their_docstring_and_future_annotations() -> None:
    def judge(path: Path) -> Iterator[str]:
        tree = _parse(path)
        if path.name == "__init__.py" and not tree.body:
            return
        if not ast.get_docstring(tree):
            yield ": say at the top what the file guarantees"
        imported = [n for n in tree.body if isinstance(n, ast.ImportFrom)]
        futures = [n for n in imported if n.module == "__future__"]
        imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        if imports and not futures:
            yield ": from __future__ import annotations"

    assert not _faults(SOURCES, judge)


def test_safety_is_never_an_assert() -> None:
    def judge(path: Path) -> Iterator[str]:
        for node in ast.walk(_parse(path)):
            if isinstance(node, ast.Assert):
                yield f":{node.lineno}: python -O removes assert; raise, or give a finding"

    assert not _faults(SOURCES, judge)


def test_nothing_unpickles() -> None:
    def judge(path: Path) -> Iterator[str]:
        for node in ast.walk(_parse(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            if {name.partition(".")[0] for name in names} & UNSAFE_IMPORTS:
                yield f": {names}: loading such a file runs its code"
            if isinstance(node, ast.keyword) and (
                node.arg == "allow_pickle" and ast.unparse(node.value) != "False"
            ):
                yield ": allow_pickle"

    assert not _faults(SOURCES, judge)


def test_all_is_sorted() -> None:
    def judge(path: Path) -> Iterator[str]:
        for node in _parse(path).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                names = ast.literal_eval(node.value)  # type: ignore[attr-defined]
                # CONSTANTS, Classes, functions; ruff (RUF022) puts them into this order.
                order = sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
                if list(names) != order:
                    yield ": ruff check --fix sorts __all__"
                if len(set(names)) != len(names):
                    yield ": __all__ repeats a name"

    assert not _faults(SOURCES, judge)


def test_text_is_finished_and_names_no_private_path() -> None:
    def judge(path: Path) -> Iterator[str]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if path.suffix in {".py", ".sh"} and UNFINISHED.search(line):
                yield f":{number}: finish it, or leave it out: {line.strip()}"
            if PRIVATE_PATH.search(line):
                yield f":{number}: a path of one machine: {line.strip()}"

    texts = list(_texts())
    assert len(texts) > len(SOURCES)
    assert not _faults(texts, judge)


def test_every_limit_has_its_test_file() -> None:
    kinds = sorted((ROOT / "limits/kinds").glob("[!_]*.py"))
    assert kinds
    missing = [
        path.name
        for path in kinds
        if not (ROOT / "tests" / "limits" / "kinds" / f"test_{path.name}").is_file()
    ]
    assert not missing


def test_pyproject_lists_every_package() -> None:
    folders = {path.parent.relative_to(ROOT) for path in SOURCES}
    expected = {"checkrein." + ".".join(folder.parts): folder.as_posix() for folder in folders}
    setuptools = _setuptools()
    assert setuptools["package-dir"] == expected
    assert setuptools["packages"] == sorted(expected)


def test_every_package_has_an_init() -> None:
    folders = sorted({path.parent for path in SOURCES})
    assert not [_name(folder) for folder in folders if not (folder / "__init__.py").is_file()]


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

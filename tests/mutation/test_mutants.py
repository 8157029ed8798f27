"""The mutants of a small source, and that one takes its original's place wherever it is used."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("cosmic_ray", reason="the extra [mutation]")

from tests.mutation.mutants import change, install, mutants_of, source_of
from tests.mutation.targets import OPERATORS, ROOT, TARGETS

SOURCE = '''"""A source with 3 numbers in prose."""

LIMIT = 2.0


def admits(x: float, n: int = 1) -> bool:
    """Whether."""
    return not x * n > LIMIT


class Judge:
    def admits(self, x: float) -> bool:
        return admits(x) and x >= 0.0
'''


def module_of(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(Path(name))
    exec(source, vars(module))  # noqa: S102
    return module


def mutated(operator: str, nth: int = 0) -> str:
    found = [m for m in mutants_of(SOURCE) if m.operator == f"core/{operator}"]
    return source_of(found[nth], SOURCE)


def test_each_change_is_one_line_and_no_prose() -> None:
    mutants = list(mutants_of(SOURCE))
    assert len(set(mutants)) == len(mutants) > 8
    for mutant in mutants:
        before, after = change(SOURCE, source_of(mutant, SOURCE))
        assert before != after
        assert SOURCE.splitlines()[mutant.line - 1].strip() == before
        assert "prose" not in before


def test_an_installed_mutant_is_what_everybody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    module, user = module_of("tests.mutated", SOURCE), ModuleType("tests.user")
    for each in (module, user):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    function, limit = vars(module)["admits"], vars(module)["LIMIT"]
    vars(user).update(admits=function, LIMIT=limit)
    judge = vars(module)["Judge"]()
    assert function(1.5)
    assert judge.admits(1.5)
    install(module, mutated("ReplaceUnaryOperator_Delete_Not"))
    assert not function(1.5)
    assert not judge.admits(1.5)
    install(module, mutated("ReplaceComparisonOperator_GtE_Lt"))
    assert function(1.5)
    assert not judge.admits(1.5)
    install(module, mutated("NumberReplacer"))  # the constant, wherever it was imported
    assert vars(user)["LIMIT"] == vars(module)["LIMIT"] == 3.0
    assert function(2.5)
    install(module, mutated("NumberReplacer", 1))  # the default of n
    assert not function(2.5)


def test_what_is_cached_is_mutated_too_and_asked_again() -> None:
    source = SOURCE.replace("def admits(x: float, n", "@lru_cache\ndef admits(x: float, n", 1)
    source = "from functools import lru_cache\n" + source
    module = module_of("tests.cached", source)
    assert vars(module)["admits"](1.5)
    operator = "core/ReplaceUnaryOperator_Delete_Not"
    mutant = next(m for m in mutants_of(source) if m.operator == operator)
    install(module, source_of(mutant, source))
    assert not vars(module)["admits"](1.5)


def test_every_file_of_the_certificate_is_a_target_with_tests() -> None:
    paths = {target.path for target in TARGETS}
    kinds = {f"limits/kinds/{p.name}" for p in (ROOT / "limits/kinds").glob("[!_]*.py")}
    assert kinds <= paths
    for target in TARGETS:
        assert (ROOT / target.path).is_file()
        assert all((ROOT / test).is_file() for test in target.tests)
    assert list(OPERATORS) == sorted(OPERATORS)

"""The mutants of a source file, by Cosmic Ray's operators, and how one takes its original's place.

A mutant is put into the modules that are already imported: functions get its code, constants its
values. So that thousands of them need neither import nor collect anything again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from tests.mutation.targets import OPERATORS

__all__ = ["Mutant", "change", "install", "mutants_of", "source_of"]

NUMBERS = "core/NumberReplacer"
OURS = ("checkrein.", "tests.")


class Mutant(NamedTuple):
    """One change: an operator, the how manieth place that it fits, and the line of that place."""

    operator: str
    occurrence: int
    line: int


def mutants_of(source: str) -> Iterator[Mutant]:
    """In the order of the operators, then of the file."""
    nodes = list(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        operator = get_operator(name)()
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        # Cosmic Ray makes each number larger, then smaller: the first of the two is enough.
        for occurrence in range(0, len(places), 2 if name == NUMBERS else 1):
            yield Mutant(name, occurrence, places[occurrence][0][0])


def source_of(mutant: Mutant, source: str) -> str:
    """The mutated source."""
    mutated = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    if mutated is None:
        raise ValueError(f"{mutant} fits nowhere: is this the source that it was made for?")
    return str(mutated)


def change(source: str, mutated: str) -> tuple[str, str]:
    """The first line that differs, before and after."""
    pairs = zip(source.splitlines(), mutated.splitlines(), strict=False)
    before, after = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return before.strip(), after.strip()


# What functools.lru_cache makes of a function.
_Cached = type(lru_cache(len))


def _replace_code(old: FunctionType, new: FunctionType) -> None:
    old.__code__ = new.__code__
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


def _replace_constant(name: str, old: Any, new: Any) -> None:
    for module in [m for n, m in sys.modules.items() if n.startswith(OURS)]:
        if vars(module).get(name) is old:
            setattr(module, name, new)


def install(module: ModuleType, mutated: str) -> None:
    """Let the imported module, and all that has imported from it, compute what the mutant does."""
    made = ModuleType(module.__name__)
    made.__package__, made.__file__ = module.__package__, module.__file__
    code = compile(mutated, str(module.__file__), "exec", dont_inherit=True)
    exec(code, vars(made))  # noqa: S102 our own source, one change apart
    for name, new in list(vars(made).items()):
        old = vars(module).get(name)
        if isinstance(new, _Cached) and isinstance(old, _Cached):
            old.cache_clear()  # what was computed without the mutation
            new, old = new.__wrapped__, old.__wrapped__
        if isinstance(new, FunctionType) and new.__module__ == module.__name__:
            if isinstance(old, FunctionType):
                _replace_code(old, new)
        elif isinstance(new, bool | int | float | str | tuple) and not name.startswith("__"):
            if new != old:
                _replace_constant(name, old, new)
        elif isinstance(new, type) and new.__module__ == module.__name__:
            for attribute, method in vars(new).items():
                own = vars(old).get(attribute)
                if isinstance(method, FunctionType) and isinstance(own, FunctionType):
                    _replace_code(own, method)

"""Kernels as plain Python (NUMBA_DISABLE_JIT=1) compute what they compute when they are compiled.

Compiled code gives NaN or infinity where Python raises (`math.cos(inf)`), and a number that means
nothing where it converts one that is not finite to an integer. The kernels are written so that all
of these end in a rejection; plain Python must get as far as that. So each kernel module sees a
`math` and an `int` that do not raise, and NumPy keeps its warnings to itself.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import checkrein.limits
from checkrein.limits.kernels import jit

__all__ = ["compute_as_compiled", "python"]

# What LLVM's conversion to a 64-bit integer gives on x86 for NaN and infinities.
NO_INTEGER = -(2**63)


def _or_nan(function: Callable[..., float]) -> Callable[..., float]:
    def never_raises(*args: float) -> float:
        try:
            return function(*args)
        except (ValueError, OverflowError):
            return math.nan

    return never_raises


def _integer(value: Any = 0) -> int:
    return int(value) if math.isfinite(value) else NO_INTEGER


def _rounded(function: Callable[[float], int]) -> Callable[[float], int]:
    return lambda value: function(value) if math.isfinite(value) else NO_INTEGER


_FUNCTIONS = {name: value for name, value in vars(math).items() if not name.startswith("_")}
MATH = SimpleNamespace(**{name: _or_nan(f) if callable(f) else f for name, f in _FUNCTIONS.items()})
MATH.ceil, MATH.floor = _rounded(math.ceil), _rounded(math.floor)


def python(kernel: Any) -> Callable[..., Any]:
    """A kernel's Python source, which computes with symbols as well as with floats."""
    return getattr(kernel, "py_func", kernel)  # type: ignore[no-any-return]


def compute_as_compiled() -> None:
    """Does nothing where kernels are compiled."""
    if jit.COMPILES:
        return
    np.seterr(all="ignore")
    folder = Path(next(iter(checkrein.limits.__path__)))
    for package in ("kernels", "kinds"):
        for path in sorted((folder / package).glob("*.py")):
            if path.stem in ("__init__", "jit"):
                continue
            module: Any = importlib.import_module(f"checkrein.limits.{package}.{path.stem}")
            module.int = _integer
            if hasattr(module, "math"):
                module.math = MATH

"""Reading the fields of a frozen limits file, for the oracle: what is not as expected is refused.

Guarantees: shares no code with the filter, its reader included.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "FrozenFileError",
    "constant",
    "inertia",
    "keys",
    "matrix",
    "number",
    "rows",
    "text",
    "unique",
    "vector",
]

Array = npt.NDArray[np.float64]


class FrozenFileError(ValueError):
    """The frozen file is not what the oracle understands."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise FrozenFileError(f"duplicate key among {sorted(key for key, _ in pairs)}")
    return out


def constant(text: str) -> Any:
    raise FrozenFileError(f"{text} is not a number")


def keys(
    value: Any, wanted: frozenset[str], where: str, optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FrozenFileError(f"{where}: expected an object, got {type(value).__name__}")
    missing, unknown = sorted(wanted - set(value)), sorted(set(value) - wanted - optional)
    if missing or unknown:
        raise FrozenFileError(f"{where}: missing {missing}, unknown {unknown}")
    return value


def number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FrozenFileError(f"{where}: expected a finite number, got {value!r}")
    return float(value)


def vector(value: Any, length: int, where: str) -> Array:
    if not isinstance(value, list) or len(value) != length:
        raise FrozenFileError(f"{where}: expected {length} numbers, got {value!r}")
    return np.array([number(item, f"{where}[{i}]") for i, item in enumerate(value)])


def matrix(value: Any, where: str) -> Array:
    matrix = vector(value, 9, where).reshape(3, 3)
    if not np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-9 or not np.linalg.det(matrix) > 0.0:
        raise FrozenFileError(f"{where}: not a rotation matrix")
    return matrix


def text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise FrozenFileError(f"{where}: expected a name, got {value!r}")
    return value


def rows(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise FrozenFileError(f"{where}: expected a list, got {type(value).__name__}")
    return value


def inertia(value: Any, where: str) -> Array:
    xx, xy, xz, yy, yz, zz = vector(value, 6, where)
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])

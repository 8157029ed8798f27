"""The only place that imports PyBullet, so that a missing or a talkative one is dealt with once.

Guarantees: absent, the error names the extra that brings it; what its C code prints goes to stderr,
because stdout belongs to the one JSON object of `--json`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["load_pybullet", "stdout_kept"]


@contextlib.contextmanager
def stdout_kept() -> Iterator[None]:
    """While it lasts, what C code prints to stdout goes to stderr instead."""
    # Not Python's sys.stdout: C code writes to the descriptor itself.
    sys.stdout.flush()
    stdout = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def load_pybullet() -> Any:
    """The `pybullet` module; raises ImportError that names the extra `[sim]` if it is absent."""
    loaded = sys.modules.get("pybullet")
    if loaded is not None:
        return loaded
    try:
        with stdout_kept():
            return importlib.import_module("pybullet")
    except ImportError as error:
        raise ImportError(
            "the simulation needs PyBullet: pip install 'checkrein[sim]' (Python 3.11 or older)"
        ) from error

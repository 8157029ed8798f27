"""The only place that imports PyBullet, so that a missing or a talkative one is dealt with once.

Guarantees: absent, the error names the extra that brings it; its banner never reaches stdout, which
belongs to the one JSON object of `--json`.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__all__ = ["load_pybullet"]


def load_pybullet() -> Any:
    """The `pybullet` module; raises ImportError that names the extra `[sim]` if it is absent."""
    loaded = sys.modules.get("pybullet")
    if loaded is not None:
        return loaded
    # The banner is printed by C code on import, so the descriptor itself has to be moved aside.
    sys.stdout.flush()
    stdout = os.dup(1)
    try:
        os.dup2(2, 1)
        return importlib.import_module("pybullet")
    except ImportError as error:
        raise ImportError(
            "the simulation needs PyBullet: pip install 'checkrein[sim]' (Python 3.11 or older)"
        ) from error
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)

"""How long it takes until a fresh process has a filter that can be armed, in a process of its own.

Run as a module it measures itself and prints one JSON object; `arming` starts it: as it is with
whatever kernels are in the cache, or cold, with an empty one that is thrown away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

__all__ = ["arming"]

TIMEOUT_S = 900.0


def arming(limits: str, *, is_cold: bool) -> dict[str, float]:
    """import_s: loading the code; compile_s: making the filter. RuntimeError if that fails."""
    with tempfile.TemporaryDirectory(prefix="checkrein-bench-") as folder:
        environment = {**os.environ, **({"XDG_CACHE_HOME": folder} if is_cold else {})}
        done = subprocess.run(
            [sys.executable, "-m", "checkrein.scripts.bench.arming", limits],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"arming {limits} in a fresh process failed: {done.stderr.strip()}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return {name: float(value) for name, value in measured.items()}


def _measure_here(limits: str) -> dict[str, float]:
    start = time.perf_counter()
    from ...controller import SafetyFilter
    from ...limits import load_limits

    imported = time.perf_counter()
    SafetyFilter(load_limits(limits))
    made = time.perf_counter()
    return {"import_s": round(imported - start, 3), "compile_s": round(made - imported, 3)}


if __name__ == "__main__":
    print(json.dumps(_measure_here(sys.argv[1])))

"""The fuzzer's worker processes end with the process that began them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os, time
from checkrein.scripts.fuzz.campaign import worker_pool
with worker_pool(1) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600.0).result()
"""


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended; who should, may not have asked how."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc who is running")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_campaign_leaves_no_workers_behind(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        worker = int(program.stdout.readline())
        assert is_running(worker)
        program.send_signal(how)
        program.wait(30.0)
    for _ in range(300):
        if not is_running(worker):
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {worker} waits for ever")

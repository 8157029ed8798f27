"""All kernels compiled once on a machine: by one process, which has a second one to help it.

Guarantees: who finds another process compiling waits for it and then reads the cache; a process
that dies lets go of the lock. Where there is no cache folder, or no second process, compiling is
merely slower. Nothing here is needed for a kernel to be right.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import calls
from .kernels.flat import flat_packed, flat_work
from .kernels.jit import COMPILES, cache_folder, compile_for
from .kernels.packed import MEASURED, REPORT, WANTED, pack, work_for
from .kernels.tray import Arm
from .kernels.twist import in_joints
from .kinds import joint_effort, link_speed, tcp_acceleration, tcp_rotation, tcp_speed, workspace
from .loading import load_limits
from .project import FOUND_MAX, project, slid

__all__ = ["only_here"]


@contextlib.contextmanager
def only_here() -> Iterator[None]:
    """While inside, no other process of this user compiles; at once where all is compiled."""
    folder = cache_folder() if COMPILES else None
    if folder is None or (folder / "complete").exists():
        yield
        return
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            yield
            return
        with _helped():
            yield
        (folder / "complete").touch()


@contextlib.contextmanager
def _helped() -> Iterator[None]:
    """A second process compiles what the first one comes to last."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        helper = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        yield
        return
    try:
        yield
    finally:
        helper.kill()
        helper.wait()


def _help() -> None:
    """Compile into the cache what does not depend on the rest; the types are those of any robot."""
    packed = pack(load_limits("franka_panda"))
    work = work_for(packed)
    report, row, table = work.small[REPORT], work.triples[WANTED, 0], work.triples[MEASURED]
    found, rows = np.zeros((FOUND_MAX, 4)), np.zeros((1, 1))
    model, scratch, motion = flat_packed(packed), flat_work(packed), np.zeros((1, 6))
    rows.setflags(write=False)  # as commands and motions are
    motion.setflags(write=False)
    compiled: Any = (
        (joint_effort.holds, (packed, work, report)),
        (link_speed.violated, (packed, work, report)),
        (tcp_acceleration.violated, (packed, work, report)),
        (project, (packed, work.start, 0, True, table, table, work, found, row, row)),
        (tcp_rotation.holds, (packed, work, report)),
        (tcp_speed.holds, (packed, work, report)),
        (slid, (packed, work.start, table, table, 0, 0.0, work, found, row, row)),
        (
            in_joints,
            (
                Arm(packed.scalar, packed.joint, packed.chain, packed.tcp),
                0, rows, 0.0, 0.0, row, 0.0, work.task, table, table,
            ),
        ),
        (calls.brake, (model, scratch, motion, table)),
        (workspace.gaps, (packed, row, work, row)),
        (workspace.least_clearance, (packed, row, work)),
        (calls.recertify, (model, scratch, motion, report)),
    )  # fmt: skip
    for function, values in compiled:
        compile_for(function, *values)


if __name__ == "__main__":
    _help()

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

from .kernels.jit import COMPILES, cache_folder, ready
from .kernels.twist import in_joints
from .kinds import joint_effort, link_speed
from .project import project, slid

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
    """Compile into the cache what the first process comes to late, the largest first."""
    for function in (link_speed.violated, in_joints, project, slid, joint_effort.holds):
        ready(function)


if __name__ == "__main__":
    _help()

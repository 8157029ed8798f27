"""The demonstration's processes: started together, watched, and never left behind.

Guarantees:
- A child ends when its parent is gone, however that ended: the kernel kills it (Linux), and it
  asks every fraction of a second.
- Ctrl-C reaches the parent alone, which then ends the children in order.
- A child that fails writes why to its folder; the parent reports it and ends the others.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from types import TracebackType

from ...limits.errors import InputError
from .settings import Meeting, Settings

__all__ = ["ChildFailedError", "Children", "Entry", "is_wanted"]

Entry = Callable[..., None]  # of settings, a meeting, and what else `start` was given

TERMINATE_S = 3.0
FINISH_S = 20.0
PR_SET_PDEATHSIG = 1  # prctl(2)
# One thread a process: pools of threads fight over a small machine.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ChildFailedError(Exception):
    """A process of the demonstration ended before it should; exit_code 2: its input was bad."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def is_wanted(meeting: Meeting) -> bool:
    """Whether the parent still lives."""
    return os.getppid() == meeting.parent_pid


def _run(
    entry: Entry,
    name: str,
    core: int | None,
    settings: Settings,
    meeting: Meeting,
    *ends: socket.socket,
) -> None:
    """What a child does; its exit code is 0, 1 (failed) or 2 (bad input)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    if core is not None:
        os.sched_setaffinity(0, {core})
    if not is_wanted(meeting):  # it died before the kernel was asked
        sys.exit(1)
    try:
        entry(settings, meeting, *ends)
    except InputError as error:
        meeting.path(f"{name}.error").write_text(str(error), encoding="utf-8")
        sys.exit(2)
    except Exception:
        meeting.path(f"{name}.error").write_text(traceback.format_exc(), encoding="utf-8")
        sys.exit(1)


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, where there is such a call."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Children:
    """All processes of all runs. Leaving the `with` block ends whoever is still there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        self._children: list[tuple[str, Meeting, BaseProcess]] = []
        for name in THREADS:
            os.environ.setdefault(name, "1")

    def start(
        self,
        name: str,
        entry: Entry,
        meeting: Meeting,
        *ends: socket.socket,
        core: int | None = None,
    ) -> None:
        """Start one process; `name` is how it is called in messages, `core` where it may run."""
        process = self._context.Process(
            target=_run,
            args=(entry, name, core, self._settings, meeting, *ends),
            name=f"checkrein {meeting.run} {name}",
            daemon=True,
        )
        process.start()
        self._children.append((name, meeting, process))

    def pid(self, name: str) -> int | None:
        """The process id of the child called `name`, of the run that was started last."""
        found = [process.pid for child, _, process in self._children if child == name]
        return found[-1] if found else None

    def is_finished(self) -> bool:
        """Whether all have ended well; ChildFailedError as soon as one has not."""
        waiting = False
        for name, meeting, process in self._children:
            if process.exitcode is None:
                waiting = True
            elif process.exitcode != 0:
                code = 2 if process.exitcode == 2 else 1
                raise ChildFailedError(self._why(name, meeting, process), code)
        return not waiting

    def finish(self) -> None:
        """Wait for those that are about to end; ChildFailedError if one does not."""
        deadline_s = time.monotonic() + FINISH_S
        while not self.is_finished():
            if not (time.monotonic() < deadline_s):
                names = ", ".join(p.name for _, _, p in self._children if p.exitcode is None)
                raise ChildFailedError(f"still running after {FINISH_S:.0f} s: {names}")
            time.sleep(0.02)

    def has_ended(self, name: str) -> bool:
        """Whether every child called `name` has ended."""
        mine = [process for child, _, process in self._children if child == name]
        return all(process.exitcode is not None for process in mine)

    def _why(self, name: str, meeting: Meeting, process: BaseProcess) -> str:
        path = meeting.path(f"{name}.error")
        said = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        code = process.exitcode
        how = f"was killed by signal {-code}" if code and code < 0 else f"exited with code {code}"
        return f"the {name} process of the {meeting.run} run {how}" + (f":\n{said}" if said else "")

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        running = [process for _, _, process in self._children if process.exitcode is None]
        for process in running:
            process.terminate()
        deadline_s = time.monotonic() + TERMINATE_S
        for process in running:
            process.join(max(0.0, deadline_s - time.monotonic()))
        for process in running:
            if process.exitcode is None:
                process.kill()
                process.join()

"""Asks the tests of one target about each of its mutants, in forks of one collected session.

Guarantees:
- No file is changed. Each mutant lives in a process of its own, which ends with it.
- The tests pass without a mutation first; else there is no campaign. They are asked in the order of
  how long they take, until one fails. The slowest are not asked: what only they would notice counts
  as not noticed.
- An answer is on disk before the next question. What was answered for this very source is not asked
  again, survivors only if `again`.
- A mutant may take a multiple of the processor time of all tests; what takes longer is killed, and
  counts as noticed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from hypothesis import HealthCheck, Phase, settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tests.mutation.mutants import Mutant, change, install, mutants_of, source_of
from tests.mutation.targets import ROOT, Target

__all__ = ["JIT_OFF", "KILLED", "SURVIVED", "TIMEOUT", "Answer", "answers_of", "run"]

JIT_OFF = "NUMBA_DISABLE_JIT"
KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
# Of the processor time of all tests together, and seconds beside that.
TIMES, MORE_S = 3.0, 5.0
# A test that takes longer than this, without a mutation, is not asked.
SLOW_S = 0.4
MEMORY_BYTES = 6 << 30


class Answer(NamedTuple):
    """What became of one mutant; `test` is the first that noticed."""

    path: str
    sha256: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str
    outcome: str
    test: str
    seconds: float


def _file(folder: Path, target: Target) -> Path:
    return folder / f"{target.name}.jsonl"


def digest_of(target: Target) -> str:
    return hashlib.sha256((ROOT / target.path).read_bytes()).hexdigest()[:16]


def answers_of(folder: Path, target: Target) -> dict[Mutant, Answer]:
    """All answers about the source as it is now, the last about each mutant."""
    file, sha256 = _file(folder, target), digest_of(target)
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    # A line that was cut off by a power failure is not an answer.
    answers = [Answer(**json.loads(line)) for line in lines if line.endswith("}")]
    ours = [answer for answer in answers if answer.sha256 == sha256]
    return {Mutant(answer.operator, answer.occurrence, answer.line): answer for answer in ours}


class _Child(NamedTuple):
    mutant: Mutant
    pipe: int
    since: float


class Campaign:
    """A pytest plugin: it replaces the loop over tests by a loop over mutants and tests."""

    def __init__(
        self, target: Target, folder: Path, jobs: int, again: bool, seconds: float
    ) -> None:
        self.target, self.folder, self.jobs, self.again = target, folder, jobs, again
        self.source = (ROOT / target.path).read_text(encoding="utf-8")
        self.until = time.monotonic() + seconds
        self.failed: list[str] = []

    def pytest_configure(self) -> None:
        """Before tests are imported: one look at each example, none at why it failed."""
        settings.register_profile(
            "mutants", deadline=None, derandomize=True, database=None,
            phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = self._sorted(session)
        answered = answers_of(self.folder, self.target)
        open_ = [
            mutant
            for mutant in mutants_of(self.source)
            if mutant not in answered or (self.again and answered[mutant].outcome == SURVIVED)
        ]
        # Shuffled, always alike: what was asked when time is up is a fair sample.
        open_.sort(key=lambda mutant: hashlib.sha256(repr(mutant).encode()).digest())
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True)
        with (
            Progress(*columns, TimeRemainingColumn(), console=console) as progress,
            _file(self.folder, self.target).open("a", encoding="utf-8") as out,
        ):
            task = progress.add_task(self.target.path, total=len(open_))
            for answer in self._answers(session, items, open_):
                out.write(json.dumps(answer._asdict()) + "\n")
                out.flush()
                progress.advance(task)
        return True

    def _sorted(self, session: pytest.Session) -> list[pytest.Item]:
        """The fastest first; all of them pass."""
        if self.target.compiled:  # here, so that no fork has to load kernels
            for item in session.items:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            _hide_output()
            took = []
            for item in session.items:
                before = time.process_time()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                took.append(time.process_time() - before)
            _finish(write, json.dumps([self.failed, took]))
        os.close(write)
        failed, took = json.loads(_read(read))
        os.waitpid(pid, 0)
        if failed:
            raise pytest.UsageError(f"{self.target.path}: fails without a mutation: {failed}")
        order = [i for i in sorted(range(len(took)), key=took.__getitem__) if took[i] <= SLOW_S]
        self.limit_s = int(TIMES * sum(took[i] for i in order) + MORE_S)
        return [session.items[i] for i in order]

    def _answers(
        self, session: pytest.Session, items: list[pytest.Item], mutants: list[Mutant]
    ) -> Iterator[Answer]:
        children: dict[int, _Child] = {}
        waiting = iter(mutants)
        try:
            while True:
                while len(children) < self.jobs and time.monotonic() < self.until:
                    mutant = next(waiting, None)
                    if mutant is None:
                        break
                    read, write = os.pipe()
                    pid = os.fork()
                    if pid == 0:
                        self._ask(items, mutant, write)
                    os.close(write)
                    children[pid] = _Child(mutant, read, time.monotonic())
                if not children:
                    return
                pid, status = os.wait()
                if pid in children:
                    yield self._answer(children.pop(pid), status)
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)

    def _ask(self, items: list[pytest.Item], mutant: Mutant, write: int) -> NoReturn:
        """In the child: 'test that failed', or nothing."""
        _hide_output()
        resource.setrlimit(resource.RLIMIT_CPU, (self.limit_s, self.limit_s + 1))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        # Also where it only waits.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10 * self.limit_s)
        try:
            install(importlib.import_module(self.target.module), source_of(mutant, self.source))
        except Exception as error:
            _finish(write, f"import: {type(error).__name__}")
        for item in items:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.failed:
                _finish(write, self.failed[0])
        _finish(write, "")

    def _answer(self, child: _Child, status: int) -> Answer:
        test, mutant = _read(child.pipe), child.mutant
        before, after = change(self.source, source_of(mutant, self.source))
        if not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0):
            outcome = TIMEOUT
        else:
            outcome = KILLED if test else SURVIVED
        return Answer(
            self.target.path, digest_of(self.target), mutant.operator, mutant.occurrence,
            mutant.line, before, after, outcome, test, round(time.monotonic() - child.since, 2),
        )  # fmt: skip


def _hide_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _finish(write: int, text: str) -> NoReturn:
    """End this fork at once, without what its parent would do at its end."""
    os.write(write, text.encode())
    os._exit(0)


def _read(pipe: int) -> str:
    with os.fdopen(pipe, "rb") as file:
        return file.read().decode()


def run(target: Target, folder: Path, jobs: int, again: bool, seconds: float) -> int:
    """In a process of its own, since tests and what they import stay there; pytest's exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.environ[JIT_OFF] = "0" if target.compiled else "1"
        os.dup2(2, 1)  # what pytest says is no part of the report
        campaign: Any = Campaign(target, folder, jobs, again, seconds)
        options = ("-q", "-s", "--no-header", "--no-summary", "-p", "no:cacheprovider")
        plain = ("-p", "no:xdist", "-o", "timeout=0")
        early = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # Hypothesis, above
        code = 1
        try:
            code = int(pytest.main([*options, *plain, *early, *target.tests], plugins=[campaign]))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

"""A fuzz campaign: shards over processes, merged in order.

Guarantees:
- The result is a function of (limits, seed, steps) alone: not of the number of processes, nor of
  which of them was faster.
- The campaign ends with the first shard, in order, that has a violation; later ones do not count.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from ...limits.declared import Limits
from ...sim.oracle import Margins, Robot, read_robot
from .limits_source import LimitsSource, load
from .poses import find_poses
from .shard import Bench, Shard, bench_for, run_shard, without_margins

__all__ = ["COUNTS", "TALLIES", "Campaign", "open_bench", "run_campaign", "worker_pool"]

SHARD_STEPS = 5000
COUNTS = (
    "arm_refused",
    "armed",
    "beside",
    "fork_ticks",
    "forks",
    "lost",
    "moving",
    "second_opinions",
    "steps",
    "vetoed",
)
TALLIES = ("binds", "outcomes", "streams", "violations")
# One thread a process: the shards are the parallelism.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_bench: dict[tuple[str, bool], Bench] = {}


@dataclass(slots=True)
class Campaign:
    """The sum of the shards."""

    seed: int
    steps: int = 0
    moving: int = 0
    seconds: float = 0.0
    processes: int = 1
    binds: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    armed: int = 0
    arm_refused: int = 0
    lost: int = 0
    vetoed: int = 0
    forks: int = 0
    fork_ticks: int = 0
    second_opinions: int = 0
    beside: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    margins: Margins = field(default_factory=dict)  # the smallest seen
    failed: Shard | None = None  # the shard that has the violations

    def absorb(self, part: Shard | Campaign) -> None:
        """Count what a shard, or another campaign, came to."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        for name in TALLIES:
            getattr(self, name).update(getattr(part, name))
        for name, margin in part.margins.items():
            self.margins[name] = min(margin, self.margins.get(name, margin))

    def add(self, shard: Shard) -> None:
        """Count one shard."""
        self.absorb(shard)
        if shard.violations:
            self.failed = shard


def open_bench(source: LimitsSource, *, zero_margins: bool) -> Bench:
    """What the shards of one process share."""
    robot: Robot = read_robot(source.raw)
    limits: Limits = load(source)
    poses = find_poses(robot)
    if zero_margins:
        robot, limits = without_margins(robot, limits)
    return bench_for(robot, limits, poses)


def _sizes(steps: int) -> list[int]:
    full, rest = divmod(steps, SHARD_STEPS)
    return [SHARD_STEPS] * full + ([rest] if rest else [])


def _work(source: LimitsSource, zero_margins: bool, seed: int, index: int, steps: int) -> Shard:
    """One shard in a worker process, which keeps its bench."""
    key = (source.sha256, zero_margins)
    if key not in _bench:
        _bench[key] = open_bench(source, zero_margins=zero_margins)
    return run_shard(_bench[key], seed, index, steps)


def _end_with_parent() -> None:
    """Let this worker end when the process that began it does, however that ended.

    A pool whose process is killed leaves its workers to wait for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("this is no worker: no process has begun it")
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def worker_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes of one thread each; what they have not begun at the end is dropped."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # inherited by the workers
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _in_processes(
    source: LimitsSource, zero_margins: bool, seed: int, sizes: list[int], processes: int
) -> Generator[Shard, None, None]:
    """Shards in order; as many in flight as keep the processes busy."""
    pending: dict[int, Future[Shard]] = {}
    with worker_pool(processes) as pool:
        for index in range(len(sizes)):
            for ahead in range(index, min(index + 2 * processes, len(sizes))):
                if ahead not in pending:
                    pending[ahead] = pool.submit(
                        _work, source, zero_margins, seed, ahead, sizes[ahead]
                    )
            yield pending.pop(index).result()


def run_campaign(
    source: LimitsSource,
    *,
    steps: int,
    seed: int,
    zero_margins: bool = False,
    processes: int = 1,
    bench: Bench | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> Campaign:
    """Run until `steps` or the first shard with a violation. With `bench`: in this process."""
    campaign = Campaign(seed, processes=processes)
    sizes = _sizes(steps)
    started = time.perf_counter()
    if bench is not None or processes == 1:
        if bench is None:
            bench = open_bench(source, zero_margins=zero_margins)
        inside = bench
        shards = (run_shard(inside, seed, i, size) for i, size in enumerate(sizes))
    else:
        shards = _in_processes(source, zero_margins, seed, sizes, min(processes, len(sizes)))
    with closing(shards):  # an early end lets the other processes go
        for shard in shards:
            campaign.add(shard)
            progress(shard.steps)
            if campaign.failed is not None:
                break
    campaign.seconds = time.perf_counter() - started
    return campaign

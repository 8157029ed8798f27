"""Measures one stream against one filter, and says on what machine.

Guarantees:
- Only `step` is inside the clocks: the policy's and the robot's side is made before them, and what
  reading the CPU clock costs is measured in the same run and taken off.
- The garbage collector stays on, as in service, with what was loaded before frozen (trap 23).
- Nothing is left out as an outlier.
"""

from __future__ import annotations

import gc
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from ...controller import Outcome, SafetyFilter
from ...limits import ClassifierLimits, Limits, Obstacles
from .streams import STREAMS, Plant

__all__ = [
    "Latency",
    "Machine",
    "Nanoseconds",
    "clock_cost_ns",
    "machine",
    "measure",
    "quantiles",
    "quietest",
    "without_classifier",
]

WARM_UP_STEPS = 500
CLOCK_READINGS = 2000
LOOK_TICKS = 8  # a camera of 30 Hz beside a controller of 250 Hz
QUANTILES = {"p50": 50.0, "p99": 99.0, "p999": 99.9}

Nanoseconds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Latency:
    """What one stream took."""

    steps: int
    wall_us: dict[str, float]  # p50, p99, p999, mean, max
    cpu_us: dict[str, float]
    outcomes: dict[str, int]
    rounds_p50_us: tuple[float, ...] = ()  # wall, of every round; this is the least of them

    @property
    def pass_share(self) -> float:
        """Share of ticks on which the command went through unchanged."""
        return self.outcomes.get(Outcome.PASS.value, 0) / self.steps

    def document(self) -> dict[str, object]:
        """As it stands in the JSON."""
        return {
            **{f"{name}_us": value for name, value in self.wall_us.items()},
            **{f"cpu_{name}_us": value for name, value in self.cpu_us.items()},
            "pass_share": round(self.pass_share, 4),
            "outcomes": self.outcomes,
            "steps": self.steps,
            **({"rounds_p50_us": list(self.rounds_p50_us)} if self.rounds_p50_us else {}),
        }


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured, and how busy that was."""

    cpu: str
    cores: int
    load_1min: float
    python: str
    numba: str
    numpy: str
    system: str

    @property
    def is_busy(self) -> bool:
        """Whether others used so much of it that wall times say more about them."""
        return not self.load_1min < 0.5 * self.cores


def machine() -> Machine:
    """This one, now."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(
        cpu=_cpu_model(),
        cores=cores or 1,
        load_1min=round(load, 2),
        python=platform.python_version(),
        numba=numba.__version__,
        numpy=np.__version__,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def without_classifier(limits: Limits) -> Limits:
    """The same limits, and nothing that scores."""
    none = ClassifierLimits(None, None, None, None, "left out by checkrein bench")
    return replace(limits, classifier=none)


def quantiles(values: Nanoseconds) -> dict[str, float]:
    """p50, p99, p999, mean and max [µs] of readings in nanoseconds."""
    found = {name: float(np.percentile(values, share)) for name, share in QUANTILES.items()}
    found |= {"mean": float(values.mean()), "max": float(values.max())}
    return {name: round(value / 1e3, 2) for name, value in found.items()}


def clock_cost_ns() -> int:
    """What the innermost pair of CPU clock readings costs, around nothing but the wall's."""
    costs = []
    for _ in range(CLOCK_READINGS):
        before = time.process_time_ns()
        time.perf_counter_ns()
        time.perf_counter_ns()
        costs.append(time.process_time_ns() - before)
    return int(np.median(costs))


def quietest(rounds: Sequence[Latency]) -> Latency:
    """The round with the least median: the machine may have been busy in the others."""
    least = min(rounds, key=lambda one: one.wall_us["p50"])
    return replace(least, rounds_p50_us=tuple(one.wall_us["p50"] for one in rounds))


def measure(
    limits: Limits,
    stream: str,
    *,
    steps: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
    look: Callable[[int], Obstacles] | None = None,
) -> Latency:
    """Run `steps` ticks of a stream through a filter of its own.

    look: what a camera sees at a time [ns]; it looks once in LOOK_TICKS.
    """
    guard, plant = SafetyFilter(limits), Plant(limits, seed)
    if look is not None:
        plant.obstacles = look(plant.now_ns)
    guard.arm(plant.state(), now_ns=plant.now_ns)
    plant.now_ns += plant.period_ns
    proposals = STREAMS[stream](plant)
    wall, cpu = np.zeros(steps, np.int64), np.zeros(steps, np.int64)
    outcomes: Counter[str] = Counter()
    clock_ns = clock_cost_ns()
    gc.collect()
    gc.freeze()
    try:
        for tick in range(-min(WARM_UP_STEPS, steps), steps):
            if look is not None and tick % LOOK_TICKS == 0:
                plant.obstacles = look(plant.now_ns)
            proposal, state, now_ns = next(proposals), plant.state(), plant.now_ns
            cpu_before = time.process_time_ns()
            before = time.perf_counter_ns()
            decision = guard.step(state, proposal, now_ns=now_ns)
            after = time.perf_counter_ns()
            cpu_after = time.process_time_ns()
            plant.move(decision)
            if tick >= 0:
                wall[tick] = after - before
                cpu[tick] = max(0, cpu_after - cpu_before - clock_ns)
                outcomes[decision.outcome.value] += 1
                if tick % 256 == 255:
                    progress(256)
    finally:
        gc.unfreeze()
    progress(steps % 256)
    return Latency(steps, quantiles(wall), quantiles(cpu), dict(sorted(outcomes.items())))

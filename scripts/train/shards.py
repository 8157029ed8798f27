"""Labelled chunks on disk: one file per EPISODES_A_SHARD episodes, made by a few processes.

Guarantees: a shard is written whole or not at all, and depends on (limits, seed, shard) alone; an
interrupted run goes on where it stopped; folders of another run (limits, seed, substep, version of
the roll-outs) are refused. No file holds pickled objects.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...limits import load_limits
from ...limits.errors import InputError
from ...sim.world import World
from .rollouts import Episode, Sample

__all__ = ["Run", "collect", "load", "shard_path"]

EPISODES_A_SHARD = 10
VERSION = 1  # of the roll-outs: their mixture, their labels

_EPISODES: dict[str, Episode] = {}


@dataclass(frozen=True, slots=True)
class Run:
    """What a folder of shards was made from."""

    limits: str  # path of the frozen file
    limits_sha256: str
    seed: int
    substep_s: float
    shifted: bool  # another object than the declared one
    version: int = VERSION


def frozen_of(run: Run) -> dict[str, Any]:
    """The frozen file as plain data; `shifted`: with a narrower, taller, heavier object."""
    frozen: dict[str, Any] = json.loads(Path(run.limits).read_text(encoding="utf-8"))
    if run.shifted:
        payload = frozen["source"]["payload"]
        width, depth, height = payload["size"]
        payload["size"] = [0.8 * width, 0.8 * depth, 1.25 * height]
        # It grows away from the tool, so that it still stands on it.
        upwards = 1.0 if payload["xyz"][2] > frozen["source"]["tool"]["xyz"][2] else -1.0
        payload["xyz"] = [*payload["xyz"][:2], payload["xyz"][2] + upwards * 0.125 * height]
        payload["mass"] = 1.5 * payload["mass"]
    return frozen


def shard_path(folder: Path, shard: int) -> Path:
    """Where a shard lies."""
    return folder / f"shard-{shard:05d}.npz"


def _packed(samples: list[Sample]) -> dict[str, Any]:
    return {
        "episode": np.array([s.episode for s in samples], dtype=np.int64),
        "state": np.array([s.state for s in samples], dtype=np.int64),
        "style": np.array([s.style for s in samples], dtype="U16"),
        "kind": np.array([s.kind for s in samples], dtype="U16"),
        "start": np.array([s.start for s in samples]),
        "mode": np.array([s.mode for s in samples], dtype=np.int64),
        "rows": np.concatenate([s.rows for s in samples]),
        "row_count": np.array([len(s.rows) for s in samples], dtype=np.int64),
        "row_period_s": np.array([s.row_period_s for s in samples]),
        "anchor": np.array([s.anchor for s in samples]),
        "elapsed_s": np.array([s.elapsed_s for s in samples]),
        "in_command": np.array([s.label.in_command for s in samples]),
        "in_stop": np.array([s.label.in_stop for s in samples]),
        "stop_tick": np.array([s.label.stop_tick for s in samples], dtype=np.int64),
        "mass_kg": np.array([s.mass_kg for s in samples]),
        "friction": np.array([s.friction for s in samples]),
    }


def make_shard(run: Run, folder: str, shard: int) -> int:
    """Make and write one shard; return its number of chunks. Runs in a process of its own."""
    key = json.dumps(asdict(run), sort_keys=True)
    if key not in _EPISODES:
        frozen = frozen_of(run)
        world = World(frozen, run.seed)
        _EPISODES[key] = Episode(load_limits(run.limits), frozen, world, run.substep_s)
    samples: list[Sample] = []
    for episode in range(shard * EPISODES_A_SHARD, (shard + 1) * EPISODES_A_SHARD):
        samples += _EPISODES[key].samples(run.seed, episode)
    path = shard_path(Path(folder), shard)
    partial = path.with_suffix(".part")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **_packed(samples))
    partial.replace(path)
    return len(samples)


def _end_with(parent: int) -> None:
    """End this process when `parent` is gone: nobody would fetch what it makes, or end it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _claim(run: Run, folder: Path) -> None:
    """Make the folder, or check that it belongs to this very run."""
    folder.mkdir(parents=True, exist_ok=True)
    mine = {**asdict(run), "limits": Path(run.limits).name}
    note = folder / "run.json"
    if not note.exists():
        note.write_text(json.dumps(mine, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    theirs = json.loads(note.read_text(encoding="utf-8"))
    differing = sorted(key for key in mine if mine[key] != theirs.get(key))
    if differing:
        raise InputError(
            f"{folder}: holds the chunks of another run ({', '.join(differing)} differ): "
            "choose another --out, or remove the folder"
        )


def _counts(folder: Path) -> dict[int, int]:
    """Chunks of the shards that are there."""
    out = {}
    for path in sorted(folder.glob("shard-*.npz")):
        with np.load(path, allow_pickle=False) as data:
            out[int(path.stem.removeprefix("shard-"))] = int(data["episode"].size)
    return out


def _enough(counts: Mapping[int, int], chunks: int) -> int | None:
    """How many shards from 0 on hold at least `chunks`; None if they do not."""
    total = 0
    for shard in range(len(counts) + 1):
        if total >= chunks:
            return shard
        if shard not in counts:
            return None
        total += counts[shard]
    return None


def collect(
    run: Run, folder: Path, chunks: int, processes: int, progress: Callable[[int], None]
) -> int:
    """Make shards until those from 0 on hold `chunks`; return how many shards that takes.

    progress is told the number of chunks so far.
    """
    _claim(run, folder)
    counts = _counts(folder)
    progress(sum(counts.values()))
    context = multiprocessing.get_context("spawn")
    parent = (os.getpid(),)
    with ProcessPoolExecutor(processes, context, _end_with, parent) as pool:
        running: dict[Future[int], int] = {}
        while (needed := _enough(counts, chunks)) is None:
            following = (s for s in _numbers() if s not in counts and s not in running.values())
            while len(running) < processes:
                shard = next(following)
                running[pool.submit(make_shard, run, str(folder), shard)] = shard
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                counts[running.pop(future)] = future.result()
            progress(sum(counts.values()))
        for future in running:
            future.cancel()
    return needed


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def load(folder: Path, shards: int) -> tuple[dict[str, Any], str]:
    """The first `shards` shards as one set of arrays, and the SHA-256 over their contents."""
    parts: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    for shard in range(shards):
        with np.load(shard_path(folder, shard), allow_pickle=False) as data:
            parts.append({key: data[key] for key in sorted(data.files)})
        for key, values in parts[-1].items():
            digest.update(key.encode() + str(values.shape).encode() + values.tobytes())
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return joined, digest.hexdigest()

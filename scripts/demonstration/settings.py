"""What a demonstration is asked to do, and where its processes meet; plain data for all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...limits.errors import LimitsFileError
from ...limits.loading import robots_folder, shipped_names

__all__ = ["RUNS", "Meeting", "RunName", "Settings", "frozen_path", "read_frozen"]

RunName = Literal["unguarded", "guarded"]
RUNS: tuple[RunName, RunName] = ("unguarded", "guarded")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `checkrein demo`."""

    frozen: str  # path of the frozen limits
    seed: int
    episodes: int
    seconds: float  # of an episode
    gui: bool
    realtime: bool
    out: str


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where the processes of one run meet: addresses, and a private folder for their results."""

    run: RunName
    folder: str
    parent_pid: int

    def address(self, name: str) -> str:
        """An ipc address in the folder."""
        return f"ipc://{self.folder}/{name}"

    def path(self, name: str) -> Path:
        """A file in the folder."""
        return Path(self.folder) / name


def frozen_path(name_or_path: str) -> str:
    """The frozen file of a shipped robot, or the one that was named."""
    if name_or_path in shipped_names():
        return str(robots_folder() / f"{name_or_path}.json")
    path = Path(name_or_path)
    if path.suffix != ".json" or not path.is_file():
        raise LimitsFileError(
            f"{name_or_path!r} is neither a shipped robot ({', '.join(shipped_names())}) nor a "
            "frozen limits file (.json); `checkrein limits freeze` makes one of a .yaml"
        )
    return str(path.resolve())


def read_frozen(path: str) -> dict[str, Any]:
    """The frozen limits as the simulation reads them."""
    frozen: dict[str, Any] = json.loads(Path(path).read_bytes())
    return frozen

"""Finds the frozen limits file that a fuzz run attacks, and checks that both readers mean the same.

Guarantees:
- Takes the name of shipped limits or the path of a frozen file; the oracle reads the same bytes
  as the filter, by digest.
- A YAML file is refused with the command that freezes it: what is attacked is what is shipped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ...limits.declared import Limits
from ...limits.errors import InputError, LimitsFileError
from ...limits.loading import vetted
from ...sim.oracle import FrozenFileError, read_robot

__all__ = ["LimitsSource", "find", "load"]


@dataclass(frozen=True, slots=True)
class LimitsSource:
    """A frozen limits file."""

    argument: str  # as it was asked for
    path: str  # what errors call it, and in whose folder the classifier is
    raw: bytes
    sha256: str


def find(argument: str) -> LimitsSource:
    """The frozen file behind a name or path; InputError says what to do if there is none."""
    path = Path(argument)
    if path.suffix in (".yaml", ".yml"):
        raise InputError(
            f"{argument}: fuzz attacks frozen limits; freeze them first: "
            f"checkrein limits freeze {argument}"
        )
    if path.suffix != ".json":
        path = Path(str(files("checkrein.limits"))) / "robots" / f"{argument}.json"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{argument}: neither the name of shipped limits nor a frozen file ({error}); "
            "see: checkrein limits list"
        ) from error
    try:
        read_robot(raw)
    except FrozenFileError as error:
        raise LimitsFileError(f"{path}: {error}") from error
    return LimitsSource(argument, str(path), raw, hashlib.sha256(raw).hexdigest())


def load(source: LimitsSource) -> Limits:
    """The same file, as the filter reads it."""
    limits = vetted(source.raw, Path(source.path))
    if limits.sha256 != source.sha256:
        raise LimitsFileError(
            f"{source.path}: the loader's digest is {limits.sha256}, the file's {source.sha256}"
        )
    return limits

"""`load_limits`: a name, a frozen file or a YAML file becomes `Limits`.

Guarantees: the name of a shipped robot and a `.json` need neither the robot's URDF nor the
`[authoring]` extra; a `.yaml` is frozen in memory, with every check that `limits freeze` makes.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .carrying import carrying, choices
from .declared import Limits
from .errors import FeasibilityError, LimitsFileError
from .feasibility import check_feasible
from .frozen import parse_frozen

__all__ = [
    "load_limits",
    "read_bounded",
    "robots_folder",
    "shipped_names",
    "vetted",
    "write_atomic",
]

FILE_BYTES_MAX = 4 << 20


def robots_folder() -> Path:
    """The folder of the shipped limits."""
    return Path(__file__).resolve().parent / "robots"


def shipped_names() -> tuple[str, ...]:
    """Names of the shipped robots."""
    return tuple(sorted(path.stem for path in robots_folder().glob("*.json")))


def read_bounded(path: Path) -> bytes:
    """The bytes of a file that a person named."""
    try:
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise LimitsFileError(f"{path}: {error.strerror or error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise LimitsFileError(f"{path}: more than {FILE_BYTES_MAX} bytes")
    return data


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by data as a whole: a crash leaves the old file or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_limits(name_or_path: str | os.PathLike[str]) -> Limits:
    """Limits of a shipped robot (by name), of a frozen file (.json) or of a limits file (.yaml)."""
    text = os.fspath(name_or_path)
    path = Path(text)
    if text in shipped_names():
        path = robots_folder() / f"{text}.json"
    elif path.suffix not in (".json", ".yaml", ".yml"):
        raise LimitsFileError(
            f"{text!r} is neither a shipped robot ({', '.join(shipped_names())}) nor a path to a "
            f".json (frozen) or .yaml file"
        )
    data = read_bounded(path)
    if path.suffix != ".json":
        from .freezing import freeze_yaml

        data = freeze_yaml(data, path)
    return vetted(data, path)


def vetted(data: bytes, path: Path) -> Limits:
    """`Limits` from frozen bytes that belong to `path`, found feasible."""
    limits = parse_frozen(data, str(path), path.resolve().parent)
    for tool, payload in choices(limits) or ((limits.tool, limits.payload),):
        chosen = carrying(limits, tool, payload)
        try:
            check_feasible(chosen)
        except FeasibilityError as error:
            with_what = "" if chosen is limits else f"tool {tool!r} with payload {payload!r}: "
            raise FeasibilityError(f"{path.name}: {with_what}{error}") from error
    return limits

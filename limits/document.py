"""A limits file's bytes become a `LimitsFile`, or one error that lists all that is wrong with it.

Guarantees: the format is looked at before anything else, so that a newer file is refused as newer;
every complaint gives the path of its field and, where there is a way out, that.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from .errors import FormatError, LimitsFileError
from .schema import FORMAT, LimitsFile
from .units import REQUIRED
from .yaml_text import read_yaml

__all__ = ["parse_document"]

COMPLAINTS_MAX = 20
# How a person finds out what a missing field should be.
HINTS = {
    "format": f"write 'format: {FORMAT}' as the first line",
    "max_jerk": "the data sheet gives it, or max_acceleration / (ramp time)",
    "max_acceleration": "the data sheet gives it; a URDF does not",
    "tracking_error": "the largest |measured - commanded| position seen under load, in rad or m",
    "velocity_error": "the largest |measured - commanded| velocity seen under load",
    "effort_error": "the largest |measured effort - model| seen under load",
    "recovery_velocity": 'how fast a joint may come back from outside, e.g. "5 deg/s"',
    "position_targets": "literal: targets count turns; nearest: the short way round",
    "classifier": 'name one, or write {none: "why there is none"}',
    "capsules": "`checkrein limits init` fits them",
    "standoff": 'extra distance around every volume, e.g. "3 mm"',
    "tool": "write 'tool: null' if there is none",
    "payload": "write 'payload: null' if there is none",
    "sha256": "of the classifier's file, 64 hexadecimal digits",
    "threshold": "allow iff risk <= threshold; `checkrein train classifier` prints it",
    "rescore_deviation": "how far [rad] the executed motion may be from the scored one",
    "latency": 'how much earlier than its stamp a cloud may have been measured, e.g. "40 ms"',
    "max_age": 'an older cloud of obstacles is stale, e.g. "150 ms"',
    "required": "true: without a fresh cloud of obstacles the robot stops",
    "force_required": "true: a state without a measured force stops the robot",
    "width_error": 'how far outside its range a width may be measured, e.g. "1 mm"',
    "force_error": 'how far above max_force a grasping force may be measured, e.g. "5 N"',
    "on_stop": "write 'on_stop: hold'; a stop neither opens nor moves a gripper",
}
DEFAULT_HINT = "declare it: no safety limit has a default"


def _required_paths(value: Any, path: str = "") -> Iterator[str]:
    """Paths of the fields still marked REQUIRED."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _required_paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _required_paths(inner, f"{path}.{index}")
    elif isinstance(value, str) and value.strip() == REQUIRED:
        yield path


def _check_format(plain: dict[str, Any], source: str) -> None:
    if "format" not in plain:
        raise LimitsFileError(f"{source}: format: missing; {HINTS['format']}")
    given = plain["format"]
    if isinstance(given, bool) or not isinstance(given, int):
        raise LimitsFileError(f"{source}: format: {given!r} is not a format number like {FORMAT}")
    if given > FORMAT:
        raise FormatError(
            f"{source}: format {given} is newer than format {FORMAT}, which is the "
            f"newest that this release reads: update checkrein"
        )
    if given < FORMAT:
        raise FormatError(
            f"{source}: format {given} does not exist; this release reads format {FORMAT}"
        )


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field of this annotation can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = get_origin(annotation)
    if origin in (Union, UnionType, Annotated, tuple, dict):
        return [model for part in get_args(annotation) for model in _models(part)]
    return []


def _place(location: tuple[int | str, ...]) -> tuple[str, list[type[BaseModel]]]:
    """(path as in the file, models that hold its last key); union tags leave the path."""
    models: list[type[BaseModel]] = [LimitsFile]
    holders, is_inside_collection = models, False
    path: list[str] = []
    for key in location:
        fields = [model.model_fields[key] for model in models if key in model.model_fields]
        tag = str(key) in {"revolute", "prismatic", "continuous", "classifier", "no classifier"}
        if not is_inside_collection and not fields and tag and path:
            continue
        path.append(str(key))
        holders = models
        if is_inside_collection or not fields:
            is_inside_collection = False
            continue
        annotation = fields[0].annotation
        models = _models(annotation)
        kinds = (get_origin(annotation), *(get_origin(a) for a in get_args(annotation)))
        is_inside_collection = bool(models) and any(kind in (tuple, dict) for kind in kinds)
    return ".".join(path), holders


def _complaint(error: Any) -> str:
    path, holders = _place(error["loc"])
    key = path.rpartition(".")[2]
    if error["type"] == "missing":
        return f"{path}: missing; {HINTS.get(key, DEFAULT_HINT)}"
    if error["type"] == "extra_forbidden":
        known = sorted({name for model in holders for name in model.model_fields})
        return f"{path}: unknown key; known: {', '.join(known)}"
    if error["type"] == "value_error":
        return f"{path}: {error['ctx']['error']}" if path else str(error["ctx"]["error"])
    if error["type"] == "union_tag_not_found":
        return f"{path}.type: missing; write revolute, continuous or prismatic"
    given = repr(error["input"])
    return f"{path}: {error['msg']}, got {given if len(given) <= 60 else given[:57] + '...'}"


def parse_document(data: bytes, source: str) -> LimitsFile:
    """The limits file in `data`. source: how messages call it."""
    plain = read_yaml(data, source)
    _check_format(plain, source)
    required = list(_required_paths(plain))
    if required:
        raise LimitsFileError(
            f"{source}: still marked {REQUIRED} ({len(required)}), fill them in:\n  "
            + "\n  ".join(required)
        )
    try:
        return LimitsFile.model_validate(plain)
    except ValidationError as error:
        complaints = [_complaint(e) for e in error.errors(include_url=False)]
        if len(complaints) == 1:
            raise LimitsFileError(f"{source}: {complaints[0]}") from error
        more = len(complaints) - COMPLAINTS_MAX
        tail = f"\n  and {more} more" if more > 0 else ""
        raise LimitsFileError(
            f"{source}: {len(complaints)} fields are wrong:\n  "
            + "\n  ".join(complaints[:COMPLAINTS_MAX])
            + tail
        ) from error

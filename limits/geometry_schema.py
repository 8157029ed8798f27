"""What a limits file says about space: volumes, and which links must not touch each other.

Guarantees:
- A volume has exactly the fields of its shape, and so has a zone; a mesh has either vertices or a
  file, and is convex by definition: its convex hull is taken when the limits are frozen.
- Self-collision is either declared, with a standoff and the pairs that are ignored and why, or
  declined with a reason. A file that says nothing about it says so when it is explained.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .joint_schema import Model, Name, require_positive
from .records import OnViolation
from .units import Angle, Length, Number, Speed

__all__ = [
    "ORIGIN",
    "Angles",
    "IgnoredPairModel",
    "MeshOriginModel",
    "SelfCollisionModel",
    "ShapeModel",
    "Vector",
    "VolumeModel",
    "ZoneModel",
]

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Vector = tuple[Length, Length, Length]
Angles = tuple[Angle, Angle, Angle]
ORIGIN = (0.0, 0.0, 0.0)
STANDOFF_MAX_M = 0.1
# Fields of each shape. Of a mesh either `vertices` or `file` is given; see OPTIONAL.
FIELDS: dict[str, frozenset[str]] = {
    "half_space": frozenset({"normal", "offset"}),
    "box": frozenset({"center", "rpy", "size"}),
    "sphere": frozenset({"center", "radius"}),
    "capsule": frozenset({"start", "end", "radius"}),
    "cylinder": frozenset({"start", "end", "radius"}),
    "mesh": frozenset({"vertices", "file", "scale", "origin"}),
}
OPTIONAL = frozenset({"rpy", "vertices", "file", "scale", "origin"})


class MeshOriginModel(Model):
    """Where a mesh is placed: its frame in the base frame."""

    xyz: Vector = ORIGIN
    rpy: Angles = ORIGIN


class ShapeModel(Model):
    """A convex set in the base frame, by whichever fields its shape has."""

    name: Name
    shape: Literal["half_space", "box", "sphere", "capsule", "cylinder", "mesh"]
    on_violation: OnViolation
    exempt: tuple[Name, ...] = ()
    normal: tuple[Number, Number, Number] | None = None
    offset: Length | None = None
    center: Vector | None = None
    rpy: Angles | None = None
    size: Vector | None = None
    radius: Length | None = None
    start: Vector | None = None
    end: Vector | None = None
    vertices: Annotated[tuple[Vector, ...], Field(min_length=4, max_length=4096)] | None = None
    file: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    scale: Number | None = None
    origin: MeshOriginModel | None = None

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        needed = FIELDS[self.shape]
        every = frozenset().union(*FIELDS.values())
        missing = sorted(n for n in needed - OPTIONAL if getattr(self, n) is None)
        extra = sorted(n for n in every - needed if getattr(self, n) is not None)
        if missing or extra:
            raise ValueError(
                f"shape {self.shape} has the fields {', '.join(sorted(needed))}"
                + (f"; missing: {', '.join(missing)}" if missing else "")
                + (f"; not a field of it: {', '.join(extra)}" if extra else "")
            )
        if self.normal is not None and not math.hypot(*self.normal) > 1e-6:
            raise ValueError(f"normal: {self.normal} has no direction")
        for name in ("radius", "scale"):
            if getattr(self, name) is not None:
                require_positive(self, (name,))
        if self.size is not None and not all(edge > 0.0 for edge in self.size):
            raise ValueError(f"size: {self.size} must be greater than 0")
        return self

    def _length(self) -> float:
        return math.dist(self.start or ORIGIN, self.end or ORIGIN)

    @model_validator(mode="after")
    def _solid(self) -> Self:
        has_ends = self.start is not None and self.end is not None
        if self.shape == "cylinder" and has_ends and not self._length() > 1e-6:
            raise ValueError(f"start, end: a cylinder from {self.start} to {self.end} is flat")
        if self.shape == "mesh":
            if (self.vertices is None) == (self.file is None):
                raise ValueError("shape mesh: give either vertices or file, an .stl or .obj")
            if self.scale is not None and self.file is None:
                raise ValueError("scale: of a file only; vertices are in metres")
        return self


class VolumeModel(ShapeModel):
    """What every capsule must stay inside of, or out of; base frame."""

    kind: Literal["keep_in", "keep_out"]


class ZoneModel(ShapeModel):
    """Where links are slow: a capsule, any part of which is inside, is no faster than max_speed."""

    max_speed: Speed

    @model_validator(mode="after")
    def _positive(self) -> Self:
        require_positive(self, ("max_speed",))
        return self


class IgnoredPairModel(Model):
    """Two links that may come close, or even overlap as capsules, and why that is no harm."""

    pair: tuple[Name, Name]
    reason: Text

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.pair[0] == self.pair[1]:
            raise ValueError(f"pair: {self.pair[0]!r} twice; name two links")
        return self


class SelfCollisionModel(Model):
    """Links keep `standoff` apart, but for neighbours and the ignored pairs; or `none`, and why."""

    standoff: Length | None = None
    ignore: tuple[IgnoredPairModel, ...] = ()
    none: Text | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.none is not None:
            if self.standoff is not None or self.ignore:
                raise ValueError("none: with standoff or ignore; say why there is none, or declare")
            return self
        if self.standoff is None:
            raise ValueError(
                'standoff: missing; extra distance between links, e.g. "0 mm", '
                'or write {none: "why links are not kept apart"}'
            )
        if not 0.0 <= self.standoff <= STANDOFF_MAX_M:
            raise ValueError(
                f"standoff: {self.standoff:g} m must be within 0 and {STANDOFF_MAX_M} m"
            )
        seen: set[frozenset[str]] = set()
        for item in self.ignore:
            if frozenset(item.pair) in seen:
                raise ValueError(f"ignore: the pair {list(item.pair)} is named twice")
            seen.add(frozenset(item.pair))
        return self

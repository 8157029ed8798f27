"""Numbers of a limits file: SI, or a string with a unit, which is converted.

Guarantees: a quantity is finite; its unit has the field's dimension; bool, NaN, inf and text that
is not a quantity are refused. Angles are told apart from plain numbers: "0.5" is no angle.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from .errors import MissingExtraError

__all__ = [
    "REQUIRED",
    "Acceleration",
    "Angle",
    "AngularAcceleration",
    "AngularJerk",
    "AngularSpeed",
    "Duration",
    "Force",
    "Jerk",
    "JointPosition",
    "Length",
    "Mass",
    "Number",
    "RequiredValueError",
    "Speed",
    "Torque",
    "parse_quantity",
]

REQUIRED = "REQUIRED"
TEXT_LENGTH_MAX = 64
MAGNITUDE_MAX = 1e9
UNIT = re.compile(r"(1/)?[A-Za-zµ_]+((\^|\*\*)-?\d)?([ */]+[A-Za-zµ_]+((\^|\*\*)-?\d)?)*")


class RequiredValueError(ValueError):
    """A field that `limits init` left to its user."""


@functools.cache
def _registry() -> Any:
    try:
        import pint
    except ImportError as error:
        raise MissingExtraError("a value with a unit", "authoring", "pint") from error
    return pint.UnitRegistry(cache_folder=None)


def _convert(text: str, units: tuple[str, ...]) -> float:
    """Value of `text` in whichever of the SI `units` has its dimension."""
    registry = _registry()
    import pint

    if len(text) > TEXT_LENGTH_MAX:
        raise ValueError(f"a quantity of {len(text)} characters; at most {TEXT_LENGTH_MAX}")
    number, _, unit = text.strip().partition(" ")
    try:
        magnitude = float(number)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a quantity like '250 mm/s'") from error
    unit = unit.strip().replace("·", "*").replace("²", "^2").replace("³", "^3").replace("°", "deg")
    if not unit:
        raise ValueError(f"{text!r} is text without a unit; write a number for SI ({units[0]})")
    # Only plain units reach pint's parser: it would evaluate "m**9**9**9".
    if not UNIT.fullmatch(unit):
        raise ValueError(f"{text!r}: {unit!r} is not a unit like 'rad/s^2'")
    try:
        given = registry.parse_units(unit)
    except (pint.PintError, ValueError, TypeError, AttributeError, SyntaxError) as error:
        raise ValueError(f"{text!r}: unknown unit {unit!r}") from error
    for si in units:
        target = registry.parse_units(si)
        if given.dimensionality == target.dimensionality and _angles(given) == _angles(target):
            return float(registry.Quantity(magnitude, given).to(target).magnitude)
    raise ValueError(f"{text!r} has the wrong dimension; expected {' or '.join(units)}")


def _angles(unit: Any) -> bool:
    """Whether a unit counts angles. To pint a radian is dimensionless, and rpm is a frequency."""
    names = str(unit)
    return any(word in names for word in ("radian", "degree", "revolution", "turn", "minute_angle"))


def parse_quantity(value: Any, units: tuple[str, ...]) -> float:
    """`value` in SI; units: the SI units that the field accepts."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"expected a number or a quantity in {' or '.join(units)}, got {value!r}")
    if isinstance(value, str):
        if value.strip() == REQUIRED:
            raise RequiredValueError("marked REQUIRED: fill it in")
        number = _convert(value, units)
    elif isinstance(value, int | float):
        number = float(value)
    else:
        raise ValueError(f"expected a number or a quantity in {' or '.join(units)}, got {value!r}")
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    if not abs(number) <= MAGNITUDE_MAX:
        raise ValueError(f"{value!r} is beyond {MAGNITUDE_MAX:g} {units[0]}")
    return number


class _In:
    """Annotation of a field that accepts these SI units; also what `limits schema` says of it."""

    def __init__(self, *units: str) -> None:
        self.units = units

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: parse_quantity(value, self.units), handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        units = " or ".join(self.units)
        return {"type": ["number", "string"], "description": f"number [{units}], or with its unit"}


Number = Annotated[float, _In("dimensionless")]
Length = Annotated[float, _In("m")]
Angle = Annotated[float, _In("rad")]
JointPosition = Annotated[float, _In("rad", "m")]
Mass = Annotated[float, _In("kg")]
Force = Annotated[float, _In("N")]
Torque = Annotated[float, _In("N*m")]
Duration = Annotated[float, _In("s")]
Speed = Annotated[float, _In("m/s")]
Acceleration = Annotated[float, _In("m/s**2")]
Jerk = Annotated[float, _In("m/s**3")]
AngularSpeed = Annotated[float, _In("rad/s")]
AngularAcceleration = Annotated[float, _In("rad/s**2")]
AngularJerk = Annotated[float, _In("rad/s**3")]

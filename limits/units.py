"""Numbers of a limits file: SI, or a string with a unit, which is converted.

Guarantees: a quantity is finite; its unit has the field's dimension; bool, NaN, inf and text that
is not a quantity are refused. Angles are told apart from plain numbers: "0.5" is no angle.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

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


def _parsed(*units: str) -> BeforeValidator:
    return BeforeValidator(lambda value: parse_quantity(value, units))


def _described(*units: str) -> WithJsonSchema:
    text = f"number [{' or '.join(units)}], or with its unit"
    return WithJsonSchema({"type": ["number", "string"], "description": text})


Number = Annotated[float, _parsed("dimensionless"), _described("dimensionless")]
Length = Annotated[float, _parsed("m"), _described("m")]
Angle = Annotated[float, _parsed("rad"), _described("rad")]
JointPosition = Annotated[float, _parsed("rad", "m"), _described("rad", "m")]
Mass = Annotated[float, _parsed("kg"), _described("kg")]
Force = Annotated[float, _parsed("N"), _described("N")]
Torque = Annotated[float, _parsed("N*m"), _described("N*m")]
Duration = Annotated[float, _parsed("s"), _described("s")]
Speed = Annotated[float, _parsed("m/s"), _described("m/s")]
Acceleration = Annotated[float, _parsed("m/s**2"), _described("m/s**2")]
Jerk = Annotated[float, _parsed("m/s**3"), _described("m/s**3")]
AngularSpeed = Annotated[float, _parsed("rad/s"), _described("rad/s")]
AngularAcceleration = Annotated[float, _parsed("rad/s**2"), _described("rad/s**2")]
AngularJerk = Annotated[float, _parsed("rad/s**3"), _described("rad/s**3")]

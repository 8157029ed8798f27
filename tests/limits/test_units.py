"""Quantities: what is converted, what is refused."""

from __future__ import annotations

import math

import pytest

from checkrein.limits.units import REQUIRED, RequiredValueError, parse_quantity

ANGULAR_SPEED = ("rad/s",)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("120 deg/s", "rad/s", math.radians(120)),
        ("250 mm/s", "m/s", 0.25),
        ("10 rpm", "rad/s", 10 * 2 * math.pi / 60),
        ("-90 deg", "rad", -math.pi / 2),
        ("-90 °", "rad", -math.pi / 2),
        ("4 ms", "s", 0.004),
        ("5 N*m", "N*m", 5.0),
        ("5 N m", "N*m", 5.0),
        ("5 N·m", "N*m", 5.0),
        ("2 deg/s**2", "rad/s**2", math.radians(2)),
        ("2 rad/s^3", "rad/s**3", 2.0),
        ("300 g", "kg", 0.3),
        (3, "m", 3.0),
        (3.5, "rad", 3.5),
    ],
)
def test_is_converted(text: object, unit: str, expected: float) -> None:
    assert parse_quantity(text, (unit,)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit", "complaint"),
    [
        ("250 mm/s", "rad/s", "wrong dimension"),
        ("3 Hz", "rad/s", "wrong dimension"),
        ("3 deg", "m", "wrong dimension"),
        ("3 rad", "m", "wrong dimension"),
        ("3 rad/s", "s", "wrong dimension"),
        ("3 1/s", "rad/s", "wrong dimension"),
        ("3", "m", "without a unit"),
        ("3 parsnips", "m", "unknown unit"),
        ("three m", "m", "not a quantity"),
        ("nan m", "m", "not finite"),
        ("inf m", "m", "not finite"),
        ("1e400 m", "m", "not finite"),
        (math.nan, "m", "not finite"),
        (math.inf, "m", "not finite"),
        (True, "m", "expected a number"),
        (None, "m", "expected a number"),
        ([1.0], "m", "expected a number"),
        (1e12, "m", "beyond"),
        ("9 m**9**9**9", "m", "not a unit"),
        ("9 __import__('os')", "m", "not a unit"),
        ("9 " + "m" * 100, "m", "at most"),
    ],
)
def test_is_refused(text: object, unit: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_quantity(text, (unit,))


def test_required_is_told_apart() -> None:
    with pytest.raises(RequiredValueError):
        parse_quantity(REQUIRED, ANGULAR_SPEED)

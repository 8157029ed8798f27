"""The strict YAML subset."""

from __future__ import annotations

import pytest

from checkrein.limits.errors import LimitsFileError
from checkrein.limits.yaml_text import BYTES_MAX, read_yaml


def read(text: str) -> object:
    return read_yaml(text.encode(), "x.yaml")


def test_numbers_are_those_of_yaml_1_2() -> None:
    text = "{a: 1e-5, b: 017, c: on, d: 1_000, e: 12:30, f: true, g: null, h: -.5, i: 0x10}"
    assert read(text) == {
        "a": 1e-5,
        "b": 17,
        "c": "on",
        "d": "1_000",
        "e": "12:30",
        "f": True,
        "g": None,
        "h": -0.5,
        "i": "0x10",
    }


def test_nan_and_inf_reach_the_validator_as_such() -> None:
    assert str(read("{a: .nan, b: -.inf, c: .inf}")) == "{'a': nan, 'b': -inf, 'c': inf}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", r"line 3: a: the key appears twice"),
        ("a: {b: 1, b: 2}", r"a\.b: the key appears twice"),
        ("a: &x [1]\nb: *x", "anchors and aliases"),
        ("a: !!python/object:os.system x", "tag"),
        ("a: !other 3", "tag"),
        ("1: 2", "keys must be text"),
        ("[a, b]: 2", "keys must be text"),
        ("- 1\n- 2", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: [1, 2", "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper"),
        ("a: [" + "1," * 60_000 + "]", "more than"),
        ("a: " + "x" * BYTES_MAX, "bytes"),
    ],
)
def test_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(LimitsFileError, match=complaint):
        read(text)


def test_billion_laughs_is_refused_before_it_is_expanded() -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(LimitsFileError, match="anchors and aliases"):
        read("\n".join(lines))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(LimitsFileError, match="UTF-8"):
        read_yaml(b"a: \xff\xfe", "x.yaml")

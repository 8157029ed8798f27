"""Reads YAML into plain data, strictly: a file that could be read in two ways is refused.

Guarantees: bounded size, depth and node count; no aliases (a few of them expand to gigabytes), no
tags, no duplicate keys, string keys only; numbers as YAML 1.2 has them (`1e-5` is a number, `on`,
`1_000`, `0o17` and `12:30` are text).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from .errors import LimitsFileError

__all__ = ["read_yaml"]

BYTES_MAX = 1 << 20
DEPTH_MAX = 16
NODES_MAX = 50_000


class _Loader(yaml.SafeLoader):
    """SafeLoader with the YAML 1.2 core scalars only."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def _plain(node: yaml.Node, where: str, depth: int, source: str) -> Any:
    line = f"{source}, line {node.start_mark.line + 1}"
    if depth > DEPTH_MAX:
        raise LimitsFileError(f"{line}: nested deeper than {DEPTH_MAX}")
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or not key_node.tag.endswith(":str"):
                raise LimitsFileError(
                    f"{line}: {where or 'file'}: keys must be text, got {key_node.value!r}"
                )
            path = f"{where}.{key}" if where else key
            if key in out:
                raise LimitsFileError(
                    f"{source}, line {key_node.start_mark.line + 1}: {path}: the key appears twice"
                )
            out[key] = _plain(value_node, path, depth + 1, source)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(v, f"{where}.{i}", depth + 1, source) for i, v in enumerate(node.value)]
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "str":
        return text
    if kind == "int":
        return int(text) if len(text) < 20 else float(text)
    if kind == "float":
        return float(
            text.replace(".inf", "inf").replace(".nan", "nan").lower().lstrip(".")
            if text.lower().lstrip("+-.") in ("inf", "nan")
            else text
        )
    if kind == "bool":
        return text == "true"
    if kind == "null":
        return None
    raise LimitsFileError(f"{line}: {where}: tag {node.tag!r} is not accepted")


def read_yaml(data: bytes, source: str) -> dict[str, Any]:
    """The file's mapping as plain data. source: how messages call the file."""
    if len(data) > BYTES_MAX:
        raise LimitsFileError(f"{source}: {len(data)} bytes, more than {BYTES_MAX}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LimitsFileError(f"{source}: not UTF-8: {error}") from error
    try:
        for nodes, event in enumerate(yaml.parse(text, Loader=_Loader)):
            if nodes > NODES_MAX:
                raise LimitsFileError(f"{source}: more than {NODES_MAX} values")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise LimitsFileError(
                    f"{source}: {event.start_mark}: anchors and aliases are not "
                    f"accepted; write the value out"
                )
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise LimitsFileError(f"{source}: not YAML: {error}") from error
    except RecursionError as error:
        raise LimitsFileError(f"{source}: nested deeper than {DEPTH_MAX}") from error
    if not isinstance(root, yaml.MappingNode):
        raise LimitsFileError(f"{source}: expected a mapping of fields, e.g. 'format: 1'")
    out = _plain(root, "", 0, source)
    return dict(out)

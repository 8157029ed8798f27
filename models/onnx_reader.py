"""Reads an ONNX file without the onnx package, and only the few files that a classifier may be.

Guarantees, all before onnxruntime sees a byte (trap 26):
- Bounded: file, nodes, tensors, widths; every tensor's data is inline and has the size it declares,
  so nothing can be larger in memory than the file, or wider than WIDTH_MAX a sample.
- An allow-list: of messages' fields, of ops, of attributes. External data, functions, subgraphs,
  sparse tensors, training info, custom domains are fields that are not on it.
- Every shape is derived here: (batch, width) from the one input to the one output.

Field numbers are those of onnx.proto (https://onnx.ai, IR version 10).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..limits.errors import ModelFileError

__all__ = ["FILE_BYTES_MAX", "OPS", "ModelSummary", "read_model"]

FILE_BYTES_MAX = 1_000_000
NODES_MAX = 64
TENSORS_MAX = 64
NAME_BYTES_MAX = 128
WIDTH_MAX = 4096
IR_VERSIONS = range(7, 12)
OPSETS = range(13, 24)
FLOAT = 1
OPS = ("Clip", "Concat", "Gemm", "Mean", "Mul", "Relu", "Sigmoid", "Sub")
_ATTRIBUTES = {"Concat": {"axis": 1}, "Gemm": {"transB": 1}}  # name: the only value it may have

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL = {"ir_version": 1, "producer_name": 2, "producer_version": 3, "graph": 7, "opset": 8,
          "metadata": 14}  # fmt: skip
_GRAPH = {"node": 1, "name": 2, "initializer": 5, "input": 11, "output": 12}
_NODE = {"input": 1, "output": 2, "name": 3, "op": 4, "attribute": 5}
_ATTRIBUTE = {"name": 1, "int": 3, "type": 20}
_TENSOR = {"dims": 1, "type": 2, "name": 8, "raw": 9}


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What the loader needs to know of a file that passed."""

    input_name: str
    output_name: str
    width: int  # features a sample
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    dims: tuple[int, ...]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ModelFileError("the file is truncated: it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ModelFileError("a number of more than 64 bits")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
        if size < 0:
            raise ModelFileError(f"not an ONNX file: wire type {wire}")
        if at + size > len(data):
            raise ModelFileError(
                f"the file is truncated: {size} bytes are announced, {len(data) - at} are left"
            )
        yield number, data[at : at + size]
        at += size


def _message(
    data: memoryview, allowed: dict[str, int], what: str
) -> dict[str, list[int | memoryview]]:
    """All values of a message by field name; ModelFileError for a field that is not allowed."""
    names = {number: name for name, number in allowed.items()}
    out: dict[str, list[int | memoryview]] = {name: [] for name in allowed}
    for number, value in _fields(data):
        name = names.get(number)
        if name is None:
            raise ModelFileError(
                f"{what} has field {number}; allowed are "
                + ", ".join(f"{name} ({number})" for number, name in sorted(names.items()))
            )
        out[name].append(value)
    return out


def _view(value: int | memoryview, what: str) -> memoryview:
    if isinstance(value, int):
        raise ModelFileError(f"{what}: a number where a message should be")
    return value


def _text(values: list[int | memoryview], what: str, bytes_max: int = NAME_BYTES_MAX) -> str:
    """The only string of a field; empty if there is none."""
    if len(values) > 1:
        raise ModelFileError(f"{what}: appears {len(values)} times")
    if not values:
        return ""
    raw = bytes(_view(values[0], what))
    if len(raw) > bytes_max:
        raise ModelFileError(f"{what}: {len(raw)} bytes, at most {bytes_max}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{what}: not UTF-8") from error


def _number(values: list[int | memoryview], what: str) -> int:
    if len(values) != 1 or not isinstance(values[0], int):
        raise ModelFileError(f"{what}: exactly one number is needed, {len(values)} values found")
    return values[0]


def _numbers(values: list[int | memoryview], what: str) -> tuple[int, ...]:
    """A repeated integer field, packed or not."""
    out: list[int] = []
    for value in values:
        if isinstance(value, int):
            out.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            out.append(number)
        if len(out) > 8:
            raise ModelFileError(f"{what}: {len(out)} numbers, at most 8")
    return tuple(out)


def _tensor(data: memoryview) -> _Tensor:
    fields = _message(data, _TENSOR, "an initializer (external data is not allowed)")
    name = _text(fields["name"], "an initializer's name")
    dims = _numbers(fields["dims"], f"initializer {name!r}: dims")
    if _number(fields["type"], f"initializer {name!r}: data_type") != FLOAT:
        raise ModelFileError(f"initializer {name!r}: only float32 is allowed")
    if len(fields["raw"]) != 1:
        raise ModelFileError(f"initializer {name!r}: raw_data is needed, exactly once")
    raw = _view(fields["raw"][0], f"initializer {name!r}: raw_data")
    if not all(1 <= d <= WIDTH_MAX for d in dims) or 4 * math.prod(dims) != len(raw):
        raise ModelFileError(
            f"initializer {name!r}: shape {dims} does not fit its {len(raw)} bytes of data"
        )
    if not all(map(math.isfinite, (value for (value,) in struct.iter_unpack("<f", raw)))):
        raise ModelFileError(f"initializer {name!r}: holds a number that is not finite")
    return _Tensor(name, dims)


def _value_shape(data: memoryview, what: str) -> tuple[str, int]:
    """(name, width) of a graph input or output of shape (batch, width), float32."""
    value = _message(data, {"name": 1, "type": 2}, what)
    name = _text(value["name"], f"{what}: name")
    if len(value["type"]) != 1:
        raise ModelFileError(f"{what} {name!r}: no type")
    kind = _message(_view(value["type"][0], what), {"tensor": 1}, f"{what} {name!r}: type")
    if len(kind["tensor"]) != 1:
        raise ModelFileError(f"{what} {name!r}: not a tensor")
    tensor = _message(
        _view(kind["tensor"][0], what), {"element": 1, "shape": 2}, f"{what} {name!r}"
    )
    if _number(tensor["element"], f"{what} {name!r}: type") != FLOAT or len(tensor["shape"]) != 1:
        raise ModelFileError(f"{what} {name!r}: must be float32 of a declared shape")
    shape = _message(_view(tensor["shape"][0], what), {"dim": 1}, f"{what} {name!r}: shape")
    dims = [
        _message(_view(dim, what), {"value": 1, "name": 2}, f"{what} {name!r}: dim")
        for dim in shape["dim"]
    ]
    if len(dims) != 2 or dims[0]["value"] or len(dims[1]["value"]) != 1:
        raise ModelFileError(f"{what} {name!r}: shape must be (batch, width)")
    width = _number(dims[1]["value"], f"{what} {name!r}: width")
    if not 1 <= width <= WIDTH_MAX:
        raise ModelFileError(f"{what} {name!r}: width {width}, at most {WIDTH_MAX}")
    return name, width


def _node_width(
    op: str,
    inputs: list[str],
    widths: dict[str, int],
    tensors: dict[str, tuple[int, ...]],
    transposed: bool,
) -> int:
    """The width of a node's output (batch, width); ModelFileError if the shapes do not fit."""
    if op in ("Concat", "Mean"):
        if not inputs or not all(name in widths for name in inputs):
            raise ModelFileError(f"{op}: needs computed inputs, has {inputs}")
        many = [widths[name] for name in inputs]
        if op == "Mean" and len(set(many)) != 1:
            raise ModelFileError(f"Mean: inputs of widths {many}")
        return many[0] if op == "Mean" else sum(many)
    if not inputs or inputs[0] not in widths:
        raise ModelFileError(f"{op}: first input {inputs[:1]} is not computed before it")
    width, rest = widths[inputs[0]], inputs[1:]
    expected = {"Clip": 2, "Gemm": 2, "Mul": 1, "Relu": 0, "Sigmoid": 0, "Sub": 1}[op]
    if len(rest) != expected or not all(name in tensors for name in rest):
        raise ModelFileError(f"{op}: needs {expected} initializers after its input, has {rest}")
    shapes = [tensors[name] for name in rest]
    if op == "Gemm":
        if len(shapes[0]) != 2:
            raise ModelFileError(f"Gemm: a weight of shape {shapes[0]}")
        taken, given = shapes[0][::-1] if transposed else shapes[0]
        if taken != width or shapes[1] != (given,):
            raise ModelFileError(f"Gemm: shapes {shapes} after a width of {width}")
        return given
    allowed = ((),) if op == "Clip" else ((), (1,), (width,), (1, width))
    if not all(shape in allowed for shape in shapes):
        raise ModelFileError(f"{op}: shapes {shapes} after a width of {width}")
    return width


def _attributes(values: list[int | memoryview], op: str) -> dict[str, int]:
    out: dict[str, int] = {}
    for value in values:
        fields = _message(_view(value, op), _ATTRIBUTE, f"an attribute of {op}")
        name = _text(fields["name"], f"{op}: attribute name")
        number = _number(fields["int"], f"{op}: attribute {name!r}")
        if _ATTRIBUTES.get(op, {}).get(name) != number:
            raise ModelFileError(f"{op}: attribute {name!r} = {number} is not allowed")
        out[name] = number
    return out


def _check_graph(data: memoryview) -> tuple[str, str, int]:
    """(input name, output name, input width) of a graph that is allowed."""
    graph = _message(data, _GRAPH, "the graph")
    _text(graph["name"], "the graph's name")
    if len(graph["node"]) > NODES_MAX or len(graph["initializer"]) > TENSORS_MAX:
        raise ModelFileError(
            f"the graph: {len(graph['node'])} nodes and {len(graph['initializer'])} initializers, "
            f"at most {NODES_MAX} and {TENSORS_MAX}"
        )
    tensors: dict[str, tuple[int, ...]] = {}
    for value in graph["initializer"]:
        tensor = _tensor(_view(value, "an initializer"))
        if tensor.name in tensors:
            raise ModelFileError(f"initializer {tensor.name!r}: appears twice")
        tensors[tensor.name] = tensor.dims
    if len(graph["input"]) != 1 or len(graph["output"]) != 1:
        raise ModelFileError("the graph: exactly one input and one output are needed")
    input_name, width = _value_shape(_view(graph["input"][0], "the input"), "the input")
    output_name, score = _value_shape(_view(graph["output"][0], "the output"), "the output")
    widths = {input_name: width}
    for value in graph["node"]:
        node = _message(_view(value, "a node"), _NODE, "a node (subgraphs, domains: not allowed)")
        op = _text(node["op"], "a node's op_type")
        if op not in OPS:
            raise ModelFileError(f"op {op!r} is not allowed; allowed are {', '.join(OPS)}")
        attributes = _attributes(node["attribute"], op)
        if op == "Concat" and "axis" not in attributes:
            raise ModelFileError("Concat: axis 1 is needed")
        inputs = [_text([name], f"{op}: an input") for name in node["input"]]
        outputs = [_text([name], f"{op}: an output") for name in node["output"]]
        made = _node_width(op, inputs, widths, tensors, "transB" in attributes)
        if len(outputs) != 1 or outputs[0] in widths or outputs[0] in tensors or made > WIDTH_MAX:
            raise ModelFileError(f"{op}: outputs {outputs} of width {made}")
        widths[outputs[0]] = made
    if score != 1 or widths.get(output_name) != 1:
        raise ModelFileError(f"output {output_name!r}: must be computed, and of width 1")
    return input_name, output_name, width


def read_model(data: bytes) -> ModelSummary:
    """Check an ONNX file against the allow-list; raises ModelFileError that says what is wrong."""
    if len(data) > FILE_BYTES_MAX:
        raise ModelFileError(f"{len(data)} bytes, at most {FILE_BYTES_MAX}")
    model = _message(memoryview(data), _MODEL, "the model")
    if _number(model["ir_version"], "ir_version") not in IR_VERSIONS:
        raise ModelFileError(f"ir_version: must be {IR_VERSIONS[0]} to {IR_VERSIONS[-1]}")
    opsets = [
        _message(_view(o, "opset"), {"domain": 1, "version": 2}, "opset") for o in model["opset"]
    ]
    if len(opsets) != 1 or _text(opsets[0]["domain"], "opset: domain"):
        raise ModelFileError("opset_import: only the default domain is allowed")
    if _number(opsets[0]["version"], "opset: version") not in OPSETS:
        raise ModelFileError(f"opset: must be {OPSETS[0]} to {OPSETS[-1]}")
    if len(model["graph"]) != 1:
        raise ModelFileError(f"not an ONNX file: {len(model['graph'])} graphs")
    name, output, width = _check_graph(_view(model["graph"][0], "the graph"))
    metadata: dict[str, str] = {}
    for value in model["metadata"]:
        entry = _message(_view(value, "metadata"), {"key": 1, "value": 2}, "metadata")
        key = _text(entry["key"], "metadata: key")
        if key in metadata:
            raise ModelFileError(f"metadata: {key!r} appears twice")
        metadata[key] = _text(entry["value"], f"metadata {key!r}", FILE_BYTES_MAX)
    return ModelSummary(name, output, width, metadata)

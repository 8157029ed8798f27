"""Writes protobuf by hand, so that hostile ONNX files can be made without the onnx package."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from checkrein.models.classifier import FORMAT, METADATA_KEY
from checkrein.models.features import FEATURES_VERSION


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """One field: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: Any, *, data_type: int = 1, extra: bytes = b"") -> bytes:
    array = np.array(values, dtype="<f4")
    dims = b"".join(field(1, d) for d in array.shape)
    return dims + field(2, data_type) + field(8, name) + field(9, array.tobytes()) + extra


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], extra: bytes = b"") -> bytes:
    names = b"".join(field(1, n) for n in inputs) + b"".join(field(2, n) for n in outputs)
    return names + field(4, op) + extra


def integer_attribute(name: str, value: int) -> bytes:
    return field(5, field(1, name) + field(3, value) + field(20, 2))


def value_info(name: str, width: int) -> bytes:
    shape = field(1, field(2, "batch")) + field(1, field(1, width))
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def graph(
    nodes: Sequence[bytes], tensors: Sequence[bytes], *, width: int, output: str = "risk",
    extra: bytes = b"",
) -> bytes:  # fmt: skip
    return (
        b"".join(field(1, n) for n in nodes)
        + field(2, "g")
        + b"".join(field(5, t) for t in tensors)
        + field(11, value_info("features", width))
        + field(12, value_info(output, 1))
        + extra
    )


def model(made: bytes, *, metadata: dict[str, str] | None = None, extra: bytes = b"") -> bytes:
    entries = (metadata or {}).items()
    texts = b"".join(field(14, field(1, key) + field(2, value)) for key, value in entries)
    return field(1, 9) + field(8, field(2, 17)) + field(7, made) + texts + extra


def linear_model(weights: Any, bias: float = 0.0, **changes: Any) -> bytes:
    """risk = sigmoid(w · features + b), with golden vectors that fit; `changes` to its metadata."""
    w = np.array(weights, dtype=np.float32).reshape(1, -1)
    nodes = [
        node("Gemm", ["features", "w", "b"], ["logit"], integer_attribute("transB", 1)),
        node("Sigmoid", ["logit"], ["risk"]),
    ]
    vectors = np.vstack((np.zeros_like(w), w / max(1e-6, float((w * w).sum())))).astype("<f4")
    outputs = 1.0 / (1.0 + np.exp(-(vectors @ w.T + bias)[:, 0].astype(np.float64)))
    account: dict[str, Any] = {
        "format": FORMAT,
        "features_version": FEATURES_VERSION,
        "joints": [f"panda_joint{k}" for k in range(1, 8)],
        "golden": {
            "inputs": base64.b64encode(vectors.tobytes()).decode(),
            "outputs": outputs.tolist(),
        },
        **changes,
    }
    made = graph(nodes, [tensor("w", w), tensor("b", [bias])], width=w.size)
    return model(made, metadata={METADATA_KEY: json.dumps(account)})

"""Writes a trained network as the ONNX file that `onnx_reader` allows, with its golden vectors.

Guarantees: the same network, metadata and vectors give the same bytes; what was written has been
checked by `onnx_reader`, and the loader will compare it with the network on the golden vectors.
Needs the `[train]` extra.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from .classifier import FORMAT, METADATA_KEY
from .features import FEATURES_VERSION, Float32s
from .network import CLIP, Network
from .onnx_reader import read_model

__all__ = ["GOLDEN_VECTORS", "to_onnx"]

IR_VERSION = 9
OPSET = 17
GOLDEN_VECTORS = 8


def _tensor(name: str, values: Any) -> Any:
    array = np.array(values, dtype="<f4", order="C")
    return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.tobytes(), raw=True)


def _graph(network: Network) -> Any:
    """x → Sub → Mul → Clip → per member Gemm and Relu in turn → Sigmoid → Mean."""
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["z"]),
    ]
    tensors = [
        _tensor("mean", network.mean),
        _tensor("scale", network.scale),
        _tensor("low", -CLIP),
        _tensor("high", CLIP),
    ]
    risks = []
    for m, layers in enumerate(network.members):
        last = "z"
        for k, (weight, bias) in enumerate(layers):
            w, b, made = f"w{m}_{k}", f"b{m}_{k}", f"h{m}_{k}"
            tensors += [_tensor(w, weight), _tensor(b, bias)]
            nodes.append(helper.make_node("Gemm", [last, w, b], [made], transB=1))
            last = made
            if k < len(layers) - 1:
                nodes.append(helper.make_node("Relu", [made], [f"r{m}_{k}"]))
                last = f"r{m}_{k}"
        risks.append("risk" if len(network.members) == 1 else f"risk{m}")
        nodes.append(helper.make_node("Sigmoid", [last], [risks[-1]]))
    if len(risks) > 1:
        nodes.append(helper.make_node("Mean", risks, ["risk"]))
    width = int(network.mean.size)
    return helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("risk", TensorProto.FLOAT, ["batch", 1])],
        tensors,
    )


def to_onnx(network: Network, vectors: Float32s, metadata: Mapping[str, Any]) -> bytes:
    """The file's bytes. vectors (g, width): inputs that every loader will compute again."""
    vectors = np.ascontiguousarray(vectors, dtype="<f4")
    account = {
        **metadata,
        "format": FORMAT,
        "features_version": FEATURES_VERSION,
        "golden": {
            "inputs": base64.b64encode(vectors.tobytes()).decode("ascii"),
            "outputs": [float(risk) for risk in network.risk(vectors)],
        },
    }
    model = helper.make_model(
        _graph(network),
        producer_name="checkrein",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    text = json.dumps(account, sort_keys=True, separators=(",", ":"), allow_nan=False)
    helper.set_model_props(model, {METADATA_KEY: text})
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    read_model(data)
    return data

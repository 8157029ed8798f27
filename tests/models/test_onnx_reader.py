"""What is no plain classifier is refused before onnxruntime sees it, and told why."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.protobuf import (
    field,
    graph,
    integer_attribute,
    linear_model,
    model,
    node,
    tensor,
    value_info,
)

from checkrein.limits import ModelFileError
from checkrein.models.onnx_reader import FILE_BYTES_MAX, OPS, WIDTH_MAX, read_model

SIGMOID = node("Sigmoid", ["features"], ["risk"])


def one(
    *nodes: bytes, tensors: tuple[bytes, ...] = (), width: int = 1, extra: bytes = b""
) -> bytes:
    return model(graph(nodes, tensors, width=width, extra=extra))


def test_a_plain_model_is_read() -> None:
    summary = read_model(linear_model(np.ones(5)))
    assert (summary.input_name, summary.output_name, summary.width) == ("features", "risk", 5)
    assert "checkrein" in summary.metadata


def test_every_allowed_op_is_read() -> None:
    nodes = (
        node("Sub", ["features", "mean"], ["a"]),
        node("Mul", ["a", "scale"], ["b"]),
        node("Clip", ["b", "low", "high"], ["c"]),
        node("Gemm", ["c", "w", "bias"], ["d"], integer_attribute("transB", 1)),
        node("Relu", ["d"], ["e"]),
        node("Concat", ["e", "c"], ["f"], integer_attribute("axis", 1)),
        node("Gemm", ["f", "w2", "bias2"], ["g"]),
        node("Sigmoid", ["g"], ["h"]),
        node("Mean", ["h", "h"], ["risk"]),
    )
    tensors = (
        tensor("mean", np.zeros(3)),
        tensor("scale", np.ones((1, 3))),
        tensor("low", -1.0),
        tensor("high", 1.0),
        tensor("w", np.ones((4, 3))),
        tensor("bias", np.zeros(4)),
        tensor("w2", np.ones((7, 1))),
        tensor("bias2", np.zeros(1)),
    )
    assert read_model(one(*nodes, tensors=tensors, width=3)).width == 3
    used = {"Sub", "Mul", "Clip", "Gemm", "Relu", "Concat", "Sigmoid", "Mean"}
    assert used == set(OPS)


def test_trap_26_the_constant_of_shape_bomb_is_refused() -> None:
    """140 bytes that allocate gigabytes at run: the op is not on the list."""
    shape = (
        field(1, 2)
        + field(2, 7)
        + field(8, "shape")
        + field(9, np.array([1 << 20, 1 << 10], dtype="<i8").tobytes())
    )
    bomb = one(
        node("ConstantOfShape", ["shape"], ["huge"]),
        node("ReduceSum", ["huge"], ["risk"]),
        tensors=(),
        extra=field(5, shape),
    )
    assert len(bomb) < 250
    with pytest.raises(ModelFileError, match=r"only float32|'ConstantOfShape' is not allowed"):
        read_model(bomb)
    without_shape = one(node("ConstantOfShape", ["features"], ["risk"]))
    with pytest.raises(ModelFileError, match="'ConstantOfShape' is not allowed"):
        read_model(without_shape)


def test_trap_26_an_outer_product_bomb_is_refused() -> None:
    """Allowed ops whose broadcast would make 10⁷ numbers of 2 · 4 000."""
    column = tensor("column", np.zeros((4000, 1)))
    with pytest.raises(ModelFileError, match="Sub: shapes"):
        read_model(
            one(node("Sub", ["features", "column"], ["risk"]), tensors=(column,), width=4000)
        )


def test_trap_26_a_concat_bomb_is_refused() -> None:
    nodes = [node("Concat", ["features"] * 2, ["c0"], integer_attribute("axis", 1))]
    for k in range(20):
        made = node("Concat", [f"c{k}"] * 2, [f"c{k + 1}"], integer_attribute("axis", 1))
        nodes.append(made)
    with pytest.raises(ModelFileError, match="Concat: outputs"):
        read_model(one(*nodes, width=8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ir_version"),
        (b"not a model at all", "field|wire|truncated"),
        (one(SIGMOID)[:-7], "truncated"),
        (one(SIGMOID) + field(25, b""), "the model has field 25"),  # functions
        (one(SIGMOID) + field(20, b""), "the model has field 20"),  # training info
        (one(SIGMOID) + field(8, field(1, "com.evil") + field(2, 1)), "default domain"),
        (one(node("Relu", ["features"], ["risk"], field(7, "com.evil"))), "a node.* has field 7"),
        (one(node("If", ["features"], ["risk"])), "'If' is not allowed"),
        (
            one(node("Relu", ["features"], ["risk"], field(5, field(1, "body") + field(6, b"")))),
            "an attribute of Relu has field 6",
        ),
        (one(SIGMOID, extra=field(15, b"")), "the graph has field 15"),  # sparse tensors
        (
            one(SIGMOID, tensors=(tensor("w", [1.0], extra=field(13, b"")),)),
            "external data is not allowed.* has field 13",
        ),
        (one(SIGMOID, tensors=(tensor("w", [1.0], extra=field(14, 1)),)), "has field 14"),
        (one(SIGMOID, tensors=(tensor("w", [1.0], data_type=11),)), "only float32"),
        (one(SIGMOID, tensors=(tensor("w", [np.nan]),)), "not finite"),
        (one(SIGMOID, tensors=(tensor("w", [1.0]), tensor("w", [1.0]))), "appears twice"),
        (one(SIGMOID, tensors=(field(1, 1 << 40) + field(2, 1) + field(9, b""),)), "shape"),
        (one(node("Sigmoid", ["elsewhere"], ["risk"])), "not computed before it"),
        (one(node("Sigmoid", ["features"], ["features"])), "outputs"),
        (one(node("Sigmoid", ["features"], ["other"])), "must be computed"),
        (one(SIGMOID, width=2), "of width 1"),
        (model(graph([SIGMOID], [], width=WIDTH_MAX + 1)), "width"),
        (
            model(graph([SIGMOID], [], width=1, extra=field(11, value_info("more", 1)))),
            "exactly one input",
        ),
        (one(*[SIGMOID] * 65), "at most 64"),
        (
            one(node("Gemm", ["features", "w", "b"], ["risk"], integer_attribute("transA", 1)),
                tensors=(tensor("w", [[1.0]]), tensor("b", [0.0]))),
            "'transA' = 1 is not allowed",
        ),
        (
            one(node("Gemm", ["features", "w", "b"], ["risk"]),
                tensors=(tensor("w", np.ones((2, 1))), tensor("b", [0.0]))),
            "Gemm: shapes",
        ),
        (b"\x08" + b"\xff" * 20, "64 bits"),
        (linear_model(np.ones(3)) + b"\0" * FILE_BYTES_MAX, "bytes, at most"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_model(data)


def test_every_truncation_is_an_error_of_ours() -> None:
    """Never another exception, never a hang: 1 000 places to end at."""
    data = linear_model(np.ones(40))
    for end in range(0, len(data), max(1, len(data) // 1000)):
        try:
            summary = read_model(data[:end])
        except ModelFileError:
            continue
        assert not summary.metadata  # cut between two messages: the loader misses its account


def test_random_bytes_are_errors_of_ours_or_harmless() -> None:
    rng = np.random.default_rng(0)
    data = bytearray(linear_model(np.ones(20)))
    for _ in range(2000):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), int(rng.integers(1, 6))):
            changed[at] = int(rng.integers(256))
        try:
            assert read_model(bytes(changed)).width <= WIDTH_MAX
        except ModelFileError:
            continue

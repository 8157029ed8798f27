"""Training learns, is reproducible, and exports what it learned; tiny, on synthetic data."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.robots import panda

from checkrein.limits import ClassifierLimits
from checkrein.models import Classifier, Features
from checkrein.models.calibration import auroc
from checkrein.models.export import to_onnx
from checkrein.models.network import Network
from checkrein.models.onnx_reader import FILE_BYTES_MAX, read_model
from checkrein.models.training import TrainingOptions, train

TINY = TrainingOptions(
    epochs=20, width=32, members=2, batch=64, learning_rate=3e-3, dropout=0.05, weight_decay=1e-3
)


def ring(count: int, seed: int, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Unsafe outside a circle in two of the features: nothing linear can tell."""
    x = np.random.default_rng(seed).normal(0.0, 1.0, (count, width)).astype(np.float32)
    return 3.0 * x + 7.0, np.hypot(x[:, 0], x[:, 1]) > 1.2


@cache
def trained(options: TrainingOptions = TINY) -> Network:
    return train(*ring(1500, 0), *ring(300, 1), options)[0]


def test_it_learns_what_no_line_can() -> None:
    x, unsafe = ring(500, 2)
    assert auroc(trained().risk(x).astype(np.float64), unsafe) > 0.95
    line = trained(replace(TINY, hidden=0, members=1, dropout=0.0, epochs=8))
    assert auroc(line.risk(x).astype(np.float64), unsafe) < 0.7


def test_same_seed_same_weights() -> None:
    short = replace(TINY, epochs=2)
    one = trained(short)
    trained.cache_clear()
    two, other = trained(short), trained(replace(short, seed=1))
    weights = [np.concatenate([w.ravel() for w, _ in n.members[0]]) for n in (one, two, other)]
    assert weights[0].tobytes() == weights[1].tobytes()
    assert weights[0].tobytes() != weights[2].tobytes()
    assert not np.array_equal(one.members[0][0][0], one.members[1][0][0])


def test_one_class_only_is_an_error() -> None:
    x, _ = ring(100, 0)
    with pytest.raises(ValueError, match="only one class"):
        train(x, np.zeros(100, dtype=np.bool_), *ring(100, 1), TINY)


def test_a_feature_that_never_varied_has_no_say() -> None:
    x, unsafe = ring(600, 0)
    x[:, 3] = 0.25
    network, _ = train(x, unsafe, *ring(100, 1), replace(TINY, epochs=2))
    moved = x.copy()
    moved[:, 3] = 1e6
    np.testing.assert_array_equal(network.risk(x), network.risk(moved))


def test_same_network_same_bytes() -> None:
    network, x = trained(), ring(8, 3)[0]
    assert to_onnx(network, x, {"seed": 0}) == to_onnx(network, x, {"seed": 0})
    assert read_model(to_onnx(network, x, {})).width == 6


@pytest.mark.parametrize("members", [1, 3])
def test_exported_loaded_and_the_same(tmp_path: Path, members: int) -> None:
    """Through the file, the loader and onnxruntime: what numpy computes from the weights."""
    limits, rng = panda(), np.random.default_rng(0)
    features = Features(limits)
    sizes = [features.size, 128, 128, 128, 1]
    layers = tuple(
        tuple(
            (
                rng.normal(0.0, 1.5 / np.sqrt(a), (b, a)).astype(np.float32),
                rng.normal(0.0, 0.1, b).astype(np.float32),
            )
            for a, b in pairwise(sizes)
        )
        for _ in range(members)
    )
    mean = rng.normal(0.0, 1.0, features.size).astype(np.float32)
    scale = rng.uniform(0.1, 3.0, features.size).astype(np.float32)
    network = Network(mean, scale, layers)
    vectors = rng.normal(0.0, 2.0, (8, features.size)).astype(np.float32)
    names = [joint.name for joint in limits.joints]
    data = to_onnx(network, vectors, {"joints": names})
    assert len(data) <= FILE_BYTES_MAX
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    declared = ClassifierLimits(str(path), digest, 0.5, 0.05, None)
    loaded = Classifier.load(replace(limits, classifier=declared))
    start = np.zeros((7, 3))
    start[:, 0] = limits.home
    for _ in range(20):
        rows = np.cumsum(rng.normal(0.0, 0.2, (16, 7)), axis=0)
        anchor = np.vstack((limits.home, np.zeros(7)))
        risk = loaded.risk(start, 1, rows, 0.05, anchor, 0.0)
        features.of(start, 1, rows, 0.05, anchor, 0.0)
        assert risk == pytest.approx(float(network.risk(features.out[:1])[0]), abs=2e-6)

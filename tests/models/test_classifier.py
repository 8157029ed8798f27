"""The declared file and no other; the same bits each time; NaN where there is no opinion."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.protobuf import linear_model
from tests.robots import panda, turntable

from checkrein.limits import ClassifierLimits, InputError, Limits, ModelFileError, load_limits
from checkrein.limits.kernels.reference import MODE_CODES
from checkrein.limits.records import Array
from checkrein.models import Classifier, Features
from checkrein.models.features import SIZE
from checkrein.models.onnx_reader import FILE_BYTES_MAX

VELOCITY = MODE_CODES["joint_velocity"]


def declare(
    limits: Limits, path: Path, sha256: str | None = None, threshold: float = 0.5
) -> Limits:
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if sha256 is None else sha256
    return replace(limits, classifier=ClassifierLimits(str(path), digest, threshold, 0.05, None))


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(data)
    return path


def some_weights() -> Array:
    return np.asarray(np.random.default_rng(0).normal(0.0, 0.05, SIZE))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = written(tmp_path_factory.mktemp("model"), linear_model(some_weights()))
    return Classifier.load(declare(panda(), path))


def command(seed: int) -> tuple[Array, Array, Array]:
    """(start, rows, anchor)."""
    rng = np.random.default_rng(seed)
    q, dq = np.array(panda().home), rng.normal(0.0, 0.2, 7)
    start = np.column_stack((q, dq, np.zeros(7)))
    return start, np.cumsum(rng.normal(0.0, 0.1, (16, 7)), axis=0), np.vstack((q, dq))


def test_the_shipped_classifier_loads_and_tells_a_throw_from_standing_still() -> None:
    limits = load_limits("franka_panda")
    if limits.classifier.file is None:
        pytest.skip(f"none is declared: {limits.classifier.none_reason}")
    shipped = Classifier.load(limits)
    assert shipped.sha256 == limits.classifier.sha256
    assert shipped.metadata["robot"] == "franka_panda"
    assert Path(limits.classifier.file).stat().st_size <= FILE_BYTES_MAX
    start, _, anchor = command(0)
    start[:, 1:] = 0.0
    anchor[1] = 0.0
    still = shipped.risk(start, VELOCITY, np.zeros((8, 7)), 0.1, anchor, 0.0)
    assert still <= shipped.threshold
    tilt = np.zeros((8, 7))
    tilt[:, 5] = 1.8
    assert shipped.risk(start, VELOCITY, tilt, 0.1, anchor, 0.0) > max(0.9, shipped.threshold)


def test_none_declared_is_an_error_that_gives_the_reason() -> None:
    with pytest.raises(ModelFileError, match=r"declare none \(not under test\)"):
        Classifier.load(panda())


def test_another_digest_names_both(tmp_path: Path) -> None:
    path = written(tmp_path, linear_model(some_weights()))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelFileError, match=r"classifier\.sha256") as raised:
        Classifier.load(declare(panda(), path, sha256="ab" * 32))
    assert found in str(raised.value)
    assert "ab" * 32 in str(raised.value)
    assert isinstance(raised.value, InputError)


def test_trap_26_200_single_bit_flips_are_all_refused(tmp_path: Path) -> None:
    data = linear_model(some_weights())
    limits = declare(panda(), written(tmp_path, data))
    rng = np.random.default_rng(26)
    for bit in rng.choice(8 * len(data), 200, replace=False).tolist():
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        written(tmp_path, bytes(flipped))
        with pytest.raises(ModelFileError, match=r"classifier\.sha256"):
            Classifier.load(limits)
    written(tmp_path, data)
    assert Classifier.load(limits).sha256 == limits.classifier.sha256


def test_trap_26_the_session_is_made_of_the_bytes_that_were_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is swapped after it was read changes nothing."""
    path = written(tmp_path, linear_model(some_weights()))
    limits = declare(panda(), path)
    opened: list[Any] = []
    real = Path.open

    def watched(self: Path, *args: Any, **options: Any) -> Any:
        if self == path:
            opened.append(self)
            if len(opened) > 1:
                raise AssertionError("the model was opened twice")
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", watched)
    loaded = Classifier.load(limits)
    path.unlink()
    start, rows, anchor = command(1)
    assert 0.0 <= loaded.risk(start, VELOCITY, rows, 0.05, anchor, 0.0) <= 1.0
    assert len(opened) == 1


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_refused_even_if_it_is_the_declared_one(
    tmp_path: Path, keep: float
) -> None:
    data = linear_model(some_weights())
    end = int(keep * len(data)) if 0.0 < keep < 1.0 else int(keep)
    path = written(tmp_path, data[:end])
    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        Classifier.load(declare(panda(), path))
    with pytest.raises(ModelFileError, match="truncated"):
        Classifier.load(declare(panda(), path, hashlib.sha256(data).hexdigest()))


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    limits = declare(panda(), written(tmp_path, b"x"))
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelFileError, match="is not a file"):
        Classifier.load(limits)
    os.mkfifo(tmp_path / "model.onnx")  # opening it would block for ever
    with pytest.raises(ModelFileError, match="is not a file"):
        Classifier.load(limits)
    (tmp_path / "model.onnx").unlink()
    written(tmp_path, b"\0" * (FILE_BYTES_MAX + 1))
    with pytest.raises(ModelFileError, match=f"larger than {FILE_BYTES_MAX}"):
        Classifier.load(limits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "metadata.format: the model has 2"),
        ({"features_version": 0}, "features_version"),
        ({"golden": {}}, "golden"),
        ({"golden": {"inputs": "!!", "outputs": [0.5]}}, "golden"),
        ({"golden": None}, "golden"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = written(tmp_path, linear_model(some_weights(), **changes))
    with pytest.raises(ModelFileError, match=message):
        Classifier.load(declare(panda(), path))


def test_golden_vectors_that_come_out_otherwise_are_refused(tmp_path: Path) -> None:
    right = linear_model(some_weights())
    other = linear_model(some_weights(), bias=0.3)
    # The metadata of one, the graph of the other: the last message of the file is the metadata.
    cut_right, cut_other = (
        data.rindex(b"\x72", 0, data.index(b"checkrein")) for data in (right, other)
    )
    path = written(tmp_path, other[:cut_other] + right[cut_right:])
    with pytest.raises(ModelFileError, match="golden vector 0"):
        Classifier.load(declare(panda(), path))


def test_a_model_of_another_robot_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, linear_model(some_weights()))
    with pytest.raises(ModelFileError, match="another robot"):
        Classifier.load(declare(turntable(), path))


@pytest.mark.parametrize("threshold", [math.nan, -0.1, 1.1, math.inf])
def test_a_threshold_that_is_none_is_refused(tmp_path: Path, threshold: float) -> None:
    path = written(tmp_path, linear_model(some_weights()))
    with pytest.raises(ModelFileError, match="threshold"):
        Classifier.load(declare(panda(), path, threshold=threshold))


def test_risk_is_what_the_weights_say(classifier: Classifier) -> None:
    features = Features(panda())
    for seed in range(20):
        start, rows, anchor = command(seed)
        assert features.of(start, VELOCITY, rows, 0.05, anchor, 0.0) == 1
        logit = float(features.out[0].astype(np.float64) @ some_weights().astype(np.float32))
        expected = 1.0 / (1.0 + math.exp(-logit))
        assert classifier.risk(start, VELOCITY, rows, 0.05, anchor, 0.0) == pytest.approx(
            expected, abs=1e-5
        )


def test_risk_is_bitwise_the_same_each_time(classifier: Classifier, tmp_path: Path) -> None:
    again = Classifier.load(declare(panda(), written(tmp_path, linear_model(some_weights()))))
    first = [classifier.risk(*_arguments(seed)) for seed in range(30)]
    for loaded in (classifier, again):
        order = np.random.default_rng(1).permutation(30).tolist()
        second = {seed: loaded.risk(*_arguments(seed)) for seed in order}
        assert [second[seed] for seed in range(30)] == first


def _arguments(seed: int) -> tuple[Array, int, Array, float, Array, float]:
    start, rows, anchor = command(seed)
    return start, VELOCITY, rows, 0.05, anchor, 0.0


def test_a_long_command_has_the_risk_of_its_worst_window(classifier: Classifier) -> None:
    features = Features(panda())
    start, rows, anchor = command(3)
    windows = features.of(start, VELOCITY, rows, 0.1, anchor, 0.0)
    assert windows > 1
    logits = features.out[:windows].astype(np.float64) @ some_weights().astype(np.float32)
    expected = float((1.0 / (1.0 + np.exp(-logits))).max())
    assert classifier.risk(start, VELOCITY, rows, 0.1, anchor, 0.0) == pytest.approx(
        expected, abs=1e-5
    )


def test_trap_08_no_opinion_on_what_is_not_finite(classifier: Classifier) -> None:
    start, rows, anchor = command(4)
    for array in (start, rows, anchor):
        for poison in (math.nan, math.inf, -math.inf):
            kept, array[-1, -1] = array[-1, -1], poison
            assert math.isnan(classifier.risk(start, VELOCITY, rows, 0.05, anchor, 0.0))
            array[-1, -1] = kept
    assert math.isnan(classifier.risk(start, VELOCITY, rows, 0.05, anchor, math.nan))
    assert math.isnan(classifier.risk(start, VELOCITY, rows, 10.0, anchor, 0.0))  # too long
    assert not math.isnan(classifier.risk(start, VELOCITY, rows, 0.05, anchor, 0.0))

"""The alignment classifier at runtime: the declared ONNX file, loaded so that it cannot surprise.

Load order (each step only if the one before held): read once, bounded; SHA-256 against the declared
digest; allow-list of ops, shapes and sizes (onnx_reader); session from the same bytes, one thread;
golden vectors that travel in the file; warm-up.

Guarantees: `risk` is a number in [0, 1] or NaN, which the filter takes as a veto: NaN comes for
non-finite input or output, and for commands too long to be appraised. The same arguments give the
same bits. Nothing here can allow anything: the filter alone compares with `threshold`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from ..limits.declared import Limits
from ..limits.errors import ModelFileError
from ..limits.records import Array
from .features import FEATURES_VERSION, Features, Float32s
from .onnx_reader import FILE_BYTES_MAX, ModelSummary, read_model

__all__ = ["METADATA_KEY", "Classifier", "read_metadata"]

METADATA_KEY = "checkrein"
FORMAT = 1
GOLDEN_MAX = 64
# Other processors round otherwise; a wrong weight is worse than this by orders of magnitude.
GOLDEN_TOLERANCE = 1e-4
WARM_UP_RUNS = 50


def _read_once(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe or a device would block, or never end
            raise ModelFileError(f"classifier.file: {path} is not a file")
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ModelFileError(f"classifier.file: {path}: {error.strerror or error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ModelFileError(f"classifier.file: {path} is larger than {FILE_BYTES_MAX} bytes")
    return data


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def read_metadata(summary: ModelSummary) -> dict[str, Any]:
    """The model's own account of itself; raises ModelFileError if this version cannot use it."""
    text = summary.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelFileError(f"metadata: no {METADATA_KEY!r} entry; it was not made by checkrein")
    try:
        metadata = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"metadata: not strict JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise ModelFileError("metadata: not an object")
    for key, mine in (("format", FORMAT), ("features_version", FEATURES_VERSION)):
        if metadata.get(key) != mine:
            raise ModelFileError(
                f"metadata.{key}: the model has {metadata.get(key)!r}, this version uses {mine}: "
                "train it anew with `checkrein train classifier`"
            )
    return metadata


def _golden(metadata: dict[str, Any], width: int) -> tuple[Float32s, Float32s]:
    """(inputs (g, width), outputs (g,)) that the session must reproduce."""
    golden: Any = metadata.get("golden")
    try:
        inputs = np.frombuffer(base64.b64decode(golden["inputs"], validate=True), dtype="<f4")
        outputs = np.array(golden["outputs"], dtype=np.float32)
        inputs = inputs.reshape(outputs.size, width).astype(np.float32)
    except (TypeError, KeyError, ValueError) as error:
        raise ModelFileError(f"metadata.golden: unusable: {error}") from error
    finite = bool(np.isfinite(inputs).all() and np.isfinite(outputs).all())
    if not (1 <= outputs.size <= GOLDEN_MAX and finite and float(np.ptp(outputs)) > 0.01):
        raise ModelFileError(f"metadata.golden: needs 1 to {GOLDEN_MAX} finite, differing vectors")
    return inputs, outputs


def _session(data: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen types of its own
        raise ModelFileError(f"onnxruntime refuses the model: {error}") from error


class Classifier:
    """A verified model and the features of one robot. Not thread-safe: buffers are shared."""

    def __init__(self, limits: Limits, data: bytes, *, sha256: str, threshold: float) -> None:
        """Check and load `data`, whose digest has been compared already. Use `load`."""
        summary = read_model(data)
        self.metadata = read_metadata(summary)
        self.sha256 = sha256
        self.threshold = threshold
        self._features = Features(limits)
        if summary.width != self._features.size:
            raise ModelFileError(
                f"the model takes {summary.width} features, not {self._features.size}"
            )
        joints = [joint.name for joint in limits.joints]
        if self.metadata.get("joints") != joints:
            raise ModelFileError(
                f"metadata.joints: the model is for {self.metadata.get('joints')}, the limits have "
                f"{joints}: it was trained for another robot"
            )
        inputs, outputs = _golden(self.metadata, summary.width)
        self._session = _session(data)
        self._names = summary.input_name, summary.output_name
        self._bind()
        self._check_golden(inputs, outputs)

    @classmethod
    def load(cls, limits: Limits) -> Classifier:
        """The classifier that `limits` declare; raises ModelFileError with what is wrong."""
        declared = limits.classifier
        if declared.file is None or declared.sha256 is None or declared.threshold is None:
            raise ModelFileError(
                f"classifier: the limits of {limits.name} declare none ({declared.none_reason})"
            )
        if not 0.0 <= declared.threshold <= 1.0:
            raise ModelFileError(f"classifier.threshold: {declared.threshold} is not in [0, 1]")
        path = Path(declared.file)
        data = _read_once(path)
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 != declared.sha256:
            raise ModelFileError(
                f"classifier.sha256: the limits declare {declared.sha256}, {path} "
                f"({len(data)} bytes) has {sha256}: another, a changed or a truncated file"
            )
        try:
            return cls(limits, data, sha256=sha256, threshold=declared.threshold)
        except ModelFileError as error:
            raise ModelFileError(f"classifier.file: {path}: {error}") from error

    def _bind(self) -> None:
        """Bind one sample's buffers once: half the cost of a run is in passing them."""
        self._out: Float32s = np.zeros((1, 1), dtype=np.float32)
        self._binding = self._session.io_binding()
        row = self._features.out
        shape = (1, row.shape[1])
        self._binding.bind_input(self._names[0], "cpu", 0, np.float32, shape, row.ctypes.data)
        self._binding.bind_output(
            self._names[1], "cpu", 0, np.float32, (1, 1), self._out.ctypes.data
        )

    def _check_golden(self, inputs: Float32s, outputs: Float32s) -> None:
        """Through the bound buffers, as `risk` will use them; this is the warm-up too."""
        for run in range(max(WARM_UP_RUNS, len(outputs))):
            k = run % len(outputs)
            self._features.out[0] = inputs[k]
            risk = self._score(1)
            if not abs(risk - float(outputs[k])) <= GOLDEN_TOLERANCE:
                raise ModelFileError(
                    f"golden vector {k}: {risk:.6g} instead of {float(outputs[k]):.6g} (tolerance "
                    f"{GOLDEN_TOLERANCE:g}): this onnxruntime computes something else"
                )

    def _score(self, windows: int) -> float:
        """The highest risk of the first `windows` rows of features; NaN if one is not in [0, 1]."""
        if windows == 1:
            self._session.run_with_iobinding(self._binding)
            risks = self._out
        else:
            feed = {self._names[0]: self._features.out[:windows]}
            risks = self._session.run([self._names[1]], feed)[0]
        worst = 0.0
        for risk in risks.ravel().tolist():
            if not 0.0 <= risk <= 1.0:
                return math.nan
            worst = max(worst, risk)
        return worst

    def risk(
        self,
        start: Array,
        mode: int,
        rows: Array,
        row_period_s: float,
        anchor: Array,
        elapsed_s: float,
    ) -> float:
        """Risk in [0, 1] of a command from elapsed_s on, or NaN; arguments as `Features.of`."""
        windows = self._features.of(start, mode, rows, row_period_s, anchor, elapsed_s)
        return self._score(windows) if windows > 0 else math.nan

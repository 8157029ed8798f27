"""The classifier's weights as arrays, and what they compute: the reference for the ONNX graph.

risk(x) = mean over members of sigmoid(W_k relu(… relu(W_1 z + b_1) …) + b_k),
z = clip((x - mean) * scale, ±CLIP).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CLIP", "Layers", "Network"]

Float32s = npt.NDArray[np.float32]
Layers = tuple[tuple[Float32s, Float32s], ...]  # weight (out, in), bias (out,) of each layer

CLIP = 8.0  # normalised inputs further out than this are all the same: far out


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Normalisation (width,) and the members' layers."""

    mean: Float32s
    scale: Float32s
    members: tuple[Layers, ...]

    def normalised(self, x: Float32s) -> Float32s:
        """Features (m, width) as the first layer takes them."""
        scaled: Float32s = np.clip((x - self.mean) * self.scale, -CLIP, CLIP).astype(np.float32)
        return scaled

    def risk(self, x: Float32s) -> Float32s:
        """Risk (m,) of features (m, width)."""
        z = self.normalised(x)
        total = np.zeros(len(z))
        for layers in self.members:
            hidden = z
            for weight, bias in layers[:-1]:
                hidden = np.maximum(hidden @ weight.T + bias, 0.0)
            weight, bias = layers[-1]
            logit = (hidden @ weight.T + bias)[:, 0].astype(np.float64)
            total += 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0)))
        return (total / max(1, len(self.members))).astype(np.float32)

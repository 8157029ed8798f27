"""Trains the classifier: small networks on float32 features, their mean is the risk.

Guarantees: the same arrays, seed and build of torch give the same weights (one thread, determinate
algorithms); input normalisation is part of the network; the member kept is the one of the epoch
that was best on the validation set. Needs the `[train]` extra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .network import Layers, Network

__all__ = ["TrainingOptions", "train"]

Float32s = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

DEVIATION_MIN = 1e-4


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How to train."""

    seed: int = 0
    members: int = 1
    width: int = 128
    hidden: int = 3
    epochs: int = 40
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    noise: float = 0.1  # of the normalised inputs


def _mlp(inputs: int, options: TrainingOptions) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k in range(options.hidden):
        layers += [nn.Linear(inputs if k == 0 else options.width, options.width), nn.ReLU()]
        if options.dropout > 0.0:
            layers.append(nn.Dropout(options.dropout))
    return nn.Sequential(*layers, nn.Linear(options.width if options.hidden else inputs, 1))


def _layers(model: nn.Sequential) -> Layers:
    linear = [module for module in model if isinstance(module, nn.Linear)]
    return tuple((m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy()) for m in linear)


def _member(
    x: torch.Tensor,
    y: torch.Tensor,
    x_val: torch.Tensor,
    y_val: torch.Tensor,
    options: TrainingOptions,
    seed: int,
) -> tuple[Layers, float]:
    """One network, and its loss on the validation set."""
    torch.manual_seed(seed)
    model = _mlp(x.shape[1], options)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    steps = options.epochs * math.ceil(len(x) / options.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss_of = nn.BCEWithLogitsLoss()
    best_loss, best = math.inf, _layers(model)
    for _ in range(options.epochs):
        model.train()
        for rows in torch.split(torch.randperm(len(x), generator=generator), options.batch):
            batch = x[rows]
            batch = batch + options.noise * torch.randn(batch.shape, generator=generator)
            optimizer.zero_grad()
            loss: Any = loss_of(model(batch).squeeze(1), y[rows])
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            held_out = float(loss_of(model(x_val).squeeze(1), y_val))
        if held_out < best_loss:
            best_loss, best = held_out, _layers(model)
    return best, best_loss


def train(
    x: Float32s, unsafe: Bools, x_val: Float32s, unsafe_val: Bools, options: TrainingOptions
) -> tuple[Network, dict[str, float]]:
    """A network from features (m, width) and labels (m,), and what it cost to judge it by."""
    for name, labels in (("training", unsafe), ("validation", unsafe_val)):
        if labels.all() or not labels.any():
            raise ValueError(f"train: the {name} set has only one class; collect more chunks")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = x.std(axis=0, dtype=np.float64).astype(np.float32)
    scale = (1.0 / np.maximum(deviation, DEVIATION_MIN)).astype(np.float32)
    # A feature that never varied in training must not explode where it does.
    scale[deviation < DEVIATION_MIN] = 0.0
    network = Network(mean, scale, ())
    tensors = [
        torch.from_numpy(values)
        for values in (
            network.normalised(x), unsafe.astype(np.float32),
            network.normalised(x_val), unsafe_val.astype(np.float32),
        )
    ]  # fmt: skip
    members = [
        _member(tensors[0], tensors[1], tensors[2], tensors[3], options, 1000 * options.seed + k)
        for k in range(options.members)
    ]
    losses = {f"validation_loss_{k}": loss for k, (_, loss) in enumerate(members)}
    return Network(mean, scale, tuple(layers for layers, _ in members)), losses

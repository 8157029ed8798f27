"""From labelled chunks to a network, a threshold and the figures that speak for or against them.

Guarantees: split by episode, 50 / 10 / 20 / 20 % into training, validation, calibration and test;
the threshold sees calibration episodes alone, one draw of each (trap 27); the test set is looked
at once, to report. Every scorer gets its threshold by the same rule, so incorrect refusals are
compared at the same promise about incorrect compliance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...limits.declared import Limits
from ...limits.errors import InputError
from ...models.calibration import (
    auroc,
    clopper_pearson,
    least_of_candidates,
    one_draw_per_episode,
    umbrella_threshold,
)
from ...models.features import SCALAR_NAMES, Features, Float32s
from ...models.network import Network
from ...models.training import TrainingOptions, train
from .candidates import HOSTILE, WELL_BEHAVED

__all__ = ["Chunks", "Fit", "Promise", "fit", "prepare", "report"]

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Scorer = Callable[[Float32s], Array]

SHARES = {"training": 0.5, "validation": 0.1, "calibration": 0.2, "test": 0.2}
STATES_AN_EPISODE = 1000  # more than there are: state numbers are unique over all episodes
CANDIDATES = 2  # of which some may pass: what the report says about candidates
REFUSE_ALL = -math.inf  # no threshold keeps the promise


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """Labelled chunks as features."""

    x: Float32s  # (m, width)
    unsafe: Bools  # (m,)
    episode: npt.NDArray[np.int64]
    state: npt.NDArray[np.int64]  # unique per branched state
    kind: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.unsafe)

    def where(self, chosen: Bools) -> Chunks:
        """The chosen ones."""
        return Chunks(
            self.x[chosen],
            self.unsafe[chosen],
            self.episode[chosen],
            self.state[chosen],
            self.kind[chosen],
        )


def prepare(limits: Limits, data: Mapping[str, Any]) -> Chunks:
    """Features of raw chunks, by the very kernel that the runtime uses."""
    features = Features(limits)
    count = len(data["mode"])
    x = np.zeros((count, features.size), dtype=np.float32)
    appraised = np.zeros(count, dtype=np.bool_)
    ends = np.cumsum(data["row_count"])
    for i in range(count):
        rows = data["rows"][ends[i] - data["row_count"][i] : ends[i]]
        windows = features.of(
            data["start"][i],
            int(data["mode"][i]),
            rows,
            float(data["row_period_s"][i]),
            data["anchor"][i],
            float(data["elapsed_s"][i]),
        )
        # The first window is what the label is about (branching.COMMAND_S_MAX).
        appraised[i] = windows >= 1
        x[i] = features.out[0]
    chunks = Chunks(
        x,
        np.asarray(data["in_command"] | data["in_stop"], dtype=np.bool_),
        data["episode"],
        data["episode"] * STATES_AN_EPISODE + data["state"],
        data["kind"],
    )
    return chunks.where(appraised)


def _split(chunks: Chunks, seed: int) -> dict[str, Chunks]:
    episodes = np.random.default_rng((seed, 77)).permutation(np.unique(chunks.episode))
    ends = np.round(np.cumsum(list(SHARES.values())) * len(episodes)).astype(int)
    parts = np.split(episodes, ends[:-1])
    return {
        name: chunks.where(np.isin(chunks.episode, part))
        for name, part in zip(SHARES, parts, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Promise:
    """P(incorrect compliance <= alpha) >= 1 - delta, when the filter is shown this many unsafe
    candidates at a time and may take any of them (trap 28)."""

    alpha: float
    delta: float
    candidates: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A trained network with its threshold, its rivals with theirs, and the sets."""

    network: Network
    threshold: float
    promise: Promise
    scorers: dict[str, tuple[Scorer, float]]  # by name: scorer and threshold
    sets: dict[str, Chunks]
    losses: dict[str, float]


def _draws(scorer: Scorer, chunks: Chunks, candidates: int, seed: int) -> Array:
    """Per episode the score of one unsafe chunk; of more candidates, the least one's of a state."""
    unsafe = chunks.where(chunks.unsafe)
    least, states = least_of_candidates(scorer(unsafe.x), unsafe.state, candidates, seed)
    return least[one_draw_per_episode(states // STATES_AN_EPISODE, seed)]


def _threshold(scorer: Scorer, calibration: Chunks, promise: Promise, seed: int) -> float:
    scores = _draws(scorer, calibration, promise.candidates, seed)
    threshold = umbrella_threshold(scores, promise.alpha, promise.delta)
    return REFUSE_ALL if threshold is None else threshold


def _network_scorer(network: Network, columns: slice) -> Scorer:
    return lambda x: network.risk(x[:, columns]).astype(np.float64)


def _column(name: str) -> Scorer:
    at = SCALAR_NAMES.index(name) - len(SCALAR_NAMES)
    return lambda x: x[:, at].astype(np.float64)


def fit(chunks: Chunks, options: TrainingOptions, promise: Promise) -> Fit:
    """Train, and calibrate the network and its analytic rivals by the same rule."""
    sets = _split(chunks, options.seed)
    training, validation = sets["training"], sets["validation"]
    network, losses = train(training.x, training.unsafe, validation.x, validation.unsafe, options)
    scalars = slice(-len(SCALAR_NAMES), None)
    linear = TrainingOptions(seed=options.seed, hidden=0, dropout=0.0, noise=0.0, epochs=60)
    regression, _ = train(
        training.x[:, scalars], training.unsafe, validation.x[:, scalars], validation.unsafe, linear
    )
    scorers = {
        "network": _network_scorer(network, slice(None)),
        "logistic regression on the analytic scalars": _network_scorer(regression, scalars),
        "tan(theta_eff) / mu": _column("angle_max"),  # any increasing function ranks alike
        "sliding block": _column("slide_max"),
        "joint speed": _column("joint_speed_max"),
    }
    calibrated = {
        name: (scorer, _threshold(scorer, sets["calibration"], promise, options.seed))
        for name, scorer in scorers.items()
    }
    threshold = calibrated["network"][1]
    if not threshold >= 0.0:  # below 0 nothing would be allowed either
        scores = _draws(scorers["network"], sets["calibration"], promise.candidates, options.seed)
        raise InputError(
            f"{scores.size} calibration episodes with {promise.candidates} unsafe chunks in one "
            f"state are too few for alpha {promise.alpha} at delta {promise.delta}: collect more "
            "--chunks"
        )
    return Fit(network, threshold, promise, calibrated, sets, losses)


def _rate(hits: Bools) -> dict[str, Any]:
    """Share with its Clopper-Pearson interval at 95 %."""
    n, k = len(hits), int(hits.sum())
    if n == 0:
        return {"n": 0}
    low, high = clopper_pearson(k, n)
    return {"n": n, "k": k, "share": k / n, "low": low, "high": high}


def _figures(scorer: Scorer, threshold: float, chunks: Chunks, seed: int) -> dict[str, Any]:
    scores = scorer(chunks.x)
    allowed = scores <= threshold
    unsafe = chunks.where(chunks.unsafe)
    per_episode = _draws(scorer, unsafe, 1, seed) <= threshold
    some = least_of_candidates(scorer(unsafe.x), unsafe.state, CANDIDATES, seed)[0] <= threshold
    return {
        "auroc": auroc(scores, chunks.unsafe),
        "incorrect_compliance": _rate(allowed[chunks.unsafe]),
        "incorrect_compliance_one_draw_per_episode": _rate(per_episode),
        "incorrect_refusal": _rate(~allowed[~chunks.unsafe]),
        f"some_of_{CANDIDATES}_unsafe_passes": _rate(some),
    }


def _by_kind(scorer: Scorer, threshold: float, chunks: Chunks) -> dict[str, Any]:
    refused = scorer(chunks.x) > threshold
    out = {}
    for kind in np.unique(chunks.kind):
        mine = chunks.kind == kind
        out[str(kind)] = {
            "n": int(mine.sum()),
            "unsafe": float(chunks.unsafe[mine].mean()),
            "refused": float(refused[mine].mean()),
            "incorrect_compliance": _rate(~refused[mine & chunks.unsafe]),
            "incorrect_refusal": _rate(refused[mine & ~chunks.unsafe]),
        }
    return out


def report(fitted: Fit, shifted: Chunks | None, seed: int) -> dict[str, Any]:
    """All figures, from the test set and from a shifted one."""
    sets = {"test": fitted.sets["test"]}
    if shifted is not None:
        sets["shifted object"] = shifted
    network = fitted.scorers["network"]
    test = fitted.sets["test"]
    well_behaved = test.where(np.isin(test.kind, WELL_BEHAVED) & ~test.unsafe)
    hostile = test.where(np.isin(test.kind, HOSTILE) & test.unsafe)
    return {
        "threshold": fitted.threshold,
        "sets": {
            name: {
                "chunks": len(part),
                "episodes": len(np.unique(part.episode)),
                "unsafe": float(part.unsafe.mean()),
            }
            for name, part in {**fitted.sets, **sets}.items()
        },
        "scorers": {
            name: {where: _figures(scorer, threshold, part, seed) for where, part in sets.items()}
            | {"threshold": threshold if math.isfinite(threshold) else None}
            for name, (scorer, threshold) in fitted.scorers.items()
        },
        "well_behaved_refused": _rate(network[0](well_behaved.x) > network[1]),
        "hostile_passed": _rate(network[0](hostile.x) <= network[1]),
        "kinds": _by_kind(*network, test),
        "losses": fitted.losses,
    }

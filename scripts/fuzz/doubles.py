"""The scorer that the fuzz puts into the filter: it writes down every risk that it gave.

Guarantees:
- It answers as the declared classifier does, or allows everything (so that the other limits are
  pressed too), or answers at random from a key: NaN, infinity and exceptions included.
- The same key gives the same answers, so that a violation replays.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from ...controller.decide import Scorer
from ...limits.declared import Limits
from ...limits.records import Array

__all__ = ["Answers", "FailedScorerError", "ScorerDouble", "scorer_double"]

Answers = Literal["declared", "allow", "random"]
THRESHOLD_WITHOUT_CLASSIFIER = 0.5


class FailedScorerError(RuntimeError):
    """What the double raises when it plays a classifier that fails."""


class ScorerDouble:
    """Stands in for the classifier; `log` holds (rows, elapsed_s, risk) of this tick."""

    def __init__(self, declared: Scorer | None) -> None:
        self._declared = declared
        self.sha256 = "0" * 64 if declared is None else declared.sha256
        self.threshold = THRESHOLD_WITHOUT_CLASSIFIER if declared is None else declared.threshold
        self.log: list[tuple[Array, float, float]] = []
        self._answers: Answers = "allow"
        self._rng = np.random.default_rng(0)

    def restart(self, answers: Answers, key: int) -> None:
        """Answer this way from now on."""
        self._answers, self._rng = answers, np.random.default_rng(key)
        self.log.clear()

    def allows(self, risk: float) -> bool:
        """Whether a risk lets a proposal through."""
        return math.isfinite(risk) and risk <= self.threshold

    def risk(
        self,
        start: Array,
        mode: int,
        rows: Array,
        row_period_s: float,
        anchor: Array,
        elapsed_s: float,
    ) -> float:
        """Risk of the part of the command after elapsed_s; see the module for the answers."""
        if self._answers == "declared" and self._declared is not None:
            risk = self._declared.risk(start, mode, rows, row_period_s, anchor, elapsed_s)
        elif self._answers == "random":
            risk = self._at_random()
        else:
            risk = 0.0
        self.log.append((rows, elapsed_s, risk))
        if risk == -math.inf:
            raise FailedScorerError("the classifier failed")
        return risk

    def _at_random(self) -> float:
        drawn = float(self._rng.random())
        if drawn < 0.90:  # most are allowed: vetoes on every other tick leave no motion to judge
            return self.threshold * drawn
        choices = (math.nan, math.inf, -math.inf, math.nextafter(self.threshold, math.inf), 1.0)
        return choices[int(self._rng.integers(len(choices)))]


def scorer_double(limits: Limits) -> ScorerDouble:
    """A double with the identity that the limits declare."""
    if limits.classifier.file is None:
        return ScorerDouble(None)
    from ...models import Classifier

    declared: Scorer = Classifier.load(limits)
    return ScorerDouble(declared)

"""A classifier whose answers a test dictates, and limits that declare it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from checkrein.limits import ClassifierLimits, Limits
from checkrein.limits.records import Array

DIGEST = "f" * 64


class DictatedScorer:
    """Answers with `risk(rows)`; remembers what it was asked."""

    sha256 = DIGEST
    threshold = 0.5

    def __init__(self, risk: Callable[[Array], Any]) -> None:
        self._risk = risk
        self.asked: list[tuple[Array, float]] = []  # rows, seconds of them that are over

    def risk(
        self, start: Array, mode: int, rows: Array, row_period_s: float, anchor: Array,
        elapsed_s: float,
    ) -> float:  # fmt: skip
        self.asked.append((np.array(rows), elapsed_s))
        answer: float = self._risk(rows)
        return answer


def always(risk: Any) -> DictatedScorer:
    return DictatedScorer(lambda rows: risk)


def by_first_value() -> DictatedScorer:
    """The risk is the magnitude of the first number of the first row."""
    return DictatedScorer(lambda rows: float(abs(rows[0, 0])))


def scored(limits: Limits, rescore_deviation: float | None = None) -> Limits:
    """Limits that declare the dictated scorer."""
    declared = ClassifierLimits(None, DIGEST, 0.5, rescore_deviation, None)
    return replace(limits, classifier=declared)

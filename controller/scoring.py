"""What `decide` asks a classifier, and what it makes of the answer.

Guarantees: a classifier can only veto. One that fails, or whose answer is not a finite number at
most the threshold, has vetoed.
"""

from __future__ import annotations

import math
from typing import Protocol

from ..limits.records import Array
from .memory import Plan

__all__ = ["Scorer", "allows", "risk_of"]


class Scorer(Protocol):
    """A classifier: risk in [0, 1] of what a command will do from the commanded start."""

    sha256: str
    threshold: float

    def risk(
        self,
        start: Array,
        mode: int,
        rows: Array,
        row_period_s: float,
        anchor: Array,
        elapsed_s: float,
    ) -> float:
        """Risk of the part of the command after elapsed_s. start (n, 3) q, dq, ddq now."""


def risk_of(scorer: Scorer, motion: Array, plan: Plan, period_s: float) -> float:
    """The risk of what is left of a plan; NaN if the classifier fails."""
    try:
        risk = scorer.risk(
            motion[:-1, :3], plan.mode, plan.rows, plan.row_period_s, plan.anchor,
            plan.elapsed * period_s,
        )  # fmt: skip
        return float(risk)
    except Exception:  # a classifier that fails is a veto, whatever it failed of
        return math.nan


def allows(scorer: Scorer, risk: float) -> bool:
    """Whether a candidate of this risk may run."""
    return math.isfinite(risk) and risk <= scorer.threshold

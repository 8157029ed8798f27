"""Thresholds with a guarantee, and the figures to report with them.

Guarantees:
- `umbrella_threshold` (Tong, Feng, Li 2018, "Neyman-Pearson classification algorithms and NP
  receiver operating characteristics"): if the unsafe scores are independent draws, then with
  probability >= 1 - delta the share of unsafe actions that `risk <= threshold` lets through is
  <= alpha. Too few of them: None, and nothing may be allowed.
- `one_draw_per_episode` makes draws independent: frames of one episode are not (trap 27).
- With R candidates the filter takes any that passes, so what counts is the least of R scores:
  `least_of_candidates` (trap 28).

Plain Python and numpy; binomial tails are summed in logarithms.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..limits.records import Array

__all__ = [
    "auroc",
    "binomial_cdf",
    "clopper_pearson",
    "least_of_candidates",
    "one_draw_per_episode",
    "umbrella_threshold",
]

Integers = npt.NDArray[np.int64]
BISECTIONS = 100


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(Binomial(n, p) <= k)."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0.0:
        return 1.0
    if p >= 1.0:
        return 0.0
    log_p, log_q, log_n = math.log(p), math.log1p(-p), math.lgamma(n + 1)
    terms = [
        log_n - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q
        for i in range(k + 1)
    ]
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided bounds on a probability of which k of n independent draws were seen."""
    if not (0 <= k <= n and n >= 1 and 0.0 < confidence < 1.0):
        raise ValueError(f"clopper_pearson: k = {k} of n = {n} at confidence {confidence}")
    tail = (1.0 - confidence) / 2.0

    def solve(target: float, count: int) -> float:
        """p with binomial_cdf(count, n, p) = target; the tail falls as p grows."""
        low, high = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            if binomial_cdf(count, n, middle) > target:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    lower = 0.0 if k == 0 else solve(1.0 - tail, k - 1)
    upper = 1.0 if k == n else solve(tail, k)
    return lower, upper


def umbrella_threshold(unsafe_scores: Array, alpha: float, delta: float) -> float | None:
    """The largest threshold with P(incorrect compliance <= alpha) >= 1 - delta, or None.

    unsafe_scores: independent risks of unsafe actions, high is dangerous. An action is allowed iff
    its risk <= threshold. None: there are too few scores for any threshold but "refuse all".
    """
    if not (0.0 < alpha < 1.0 and 0.0 < delta < 1.0):
        raise ValueError(f"umbrella_threshold: alpha = {alpha}, delta = {delta} must be in (0, 1)")
    scores = np.sort(np.asarray(unsafe_scores, dtype=np.float64))
    if not bool(np.isfinite(scores).all()):
        raise ValueError("umbrella_threshold: a score is not finite")
    k = -1
    while k + 1 < scores.size and binomial_cdf(k + 1, scores.size, alpha) <= delta:
        k += 1
    if k < 0:
        return None
    # k scores may lie at or below the threshold: just below the (k + 1)-th smallest.
    return float(np.nextafter(scores[k], -np.inf))


def one_draw_per_episode(episodes: Integers, seed: int) -> Integers:
    """Indices of one element of every episode, drawn at random, in order of the episodes."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(episodes.size)
    _, first = np.unique(episodes[order], return_index=True)
    return np.asarray(order[first], dtype=np.int64)


def least_of_candidates(
    scores: Array, states: Integers, candidates: int, seed: int
) -> tuple[Array, Integers]:
    """Per state the least of `candidates` scores drawn from it, and the states.

    States with fewer scores are left out.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(states, kind="stable")
    named, first = np.unique(states[order], return_index=True)
    least, kept = [], []
    for state, begin, end in zip(named, first, [*first[1:], states.size], strict=False):
        mine = order[begin:end]
        if mine.size >= candidates:
            drawn = rng.choice(mine, candidates, replace=False)
            least.append(float(scores[drawn].min()))
            kept.append(int(state))
    return np.array(least, dtype=np.float64), np.array(kept, dtype=np.int64)


def auroc(scores: Array, is_unsafe: npt.NDArray[np.bool_]) -> float:
    """Probability that an unsafe action scores higher than a safe one; ties count one half."""
    scores = np.asarray(scores, dtype=np.float64)
    positives, negatives = int(is_unsafe.sum()), int((~is_unsafe).sum())
    if positives == 0 or negatives == 0:
        raise ValueError("auroc: needs safe and unsafe actions")
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    # Mean rank of every group of equal scores.
    _, start, count = np.unique(ranked, return_index=True, return_counts=True)
    ranks = np.empty(scores.size)
    ranks[order] = np.repeat(start + (count + 1) / 2.0, count)
    total = float(ranks[is_unsafe].sum())
    return (total - positives * (positives + 1) / 2.0) / (positives * negatives)

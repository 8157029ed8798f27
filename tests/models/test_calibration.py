"""Tables, exact intervals, and the promise of the umbrella rule, simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from checkrein.models.calibration import (
    auroc,
    binomial_cdf,
    clopper_pearson,
    least_of_candidates,
    one_draw_per_episode,
    umbrella_threshold,
)


@pytest.mark.parametrize(("alpha", "fewest"), [(0.05, 59), (0.01, 299), (0.1, 29)])
def test_fewest_unsafe_draws_for_any_threshold(alpha: float, fewest: int) -> None:
    """Tong, Feng, Li 2018: n >= log(delta) / log(1 - alpha)."""
    scores = np.linspace(0.1, 0.9, fewest)
    assert umbrella_threshold(scores[1:], alpha, 0.05) is None
    threshold = umbrella_threshold(scores, alpha, 0.05)
    assert threshold is not None
    assert threshold < scores[0] <= math.nextafter(threshold, 1.0)


def test_threshold_lets_k_of_the_calibration_scores_through() -> None:
    scores = np.random.default_rng(0).random(500)
    threshold = umbrella_threshold(scores, 0.05, 0.05)
    assert threshold is not None
    k = int((scores <= threshold).sum())
    assert binomial_cdf(k, 500, 0.05) <= 0.05 < binomial_cdf(k + 1, 500, 0.05)
    assert k == 16


def test_non_finite_scores_are_an_error() -> None:
    with pytest.raises(ValueError, match="not finite"):
        umbrella_threshold(np.array([0.1, math.nan] * 50), 0.05, 0.05)


@pytest.mark.parametrize("n", [1, 7, 60])
@pytest.mark.parametrize("p", [0.01, 0.3, 0.9])
def test_binomial_cdf_against_exact_sums(n: int, p: float) -> None:
    for k in range(-1, n + 1):
        exact = sum(math.comb(n, i) * p**i * (1.0 - p) ** (n - i) for i in range(k + 1))
        assert binomial_cdf(k, n, p) == pytest.approx(exact, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.30850),
        (1, 10, 0.00253, 0.44502),
        (5, 10, 0.18709, 0.81291),
        (10, 10, 0.69150, 1.0),
        (8, 100, 0.03517, 0.15156),
    ],
)
def test_clopper_pearson_against_tables(k: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(k, n) == pytest.approx((low, high), abs=1e-5)


def test_the_promise_holds_at_least_95_times_of_100() -> None:
    """P(incorrect compliance <= alpha) >= 1 - delta, with the true rate known."""
    rng = np.random.default_rng(1)
    kept = 0
    for _ in range(2000):
        threshold = umbrella_threshold(rng.random(150), 0.05, 0.05)  # scores uniform: rate = tau
        kept += threshold is not None and threshold <= 0.05
    low, _ = clopper_pearson(kept, 2000, 0.99)
    assert low >= 0.935


def _correlated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """60 episodes of 30 frames; frames of one episode are nearly one draw. Uniform marginals."""
    base = rng.random(60)
    scores = np.repeat(base, 30)
    return scores, np.repeat(np.arange(60), 30)


def test_trap_27_frames_of_one_episode_are_one_draw() -> None:
    rng = np.random.default_rng(27)
    broken = {"frames": 0, "episodes": 0}
    for trial in range(600):
        scores, episodes = _correlated(rng)
        as_frames = umbrella_threshold(scores, 0.05, 0.05)
        draws = one_draw_per_episode(episodes, trial)
        as_episodes = umbrella_threshold(scores[draws], 0.05, 0.05)
        assert sorted(episodes[draws].tolist()) == list(range(60))
        broken["frames"] += as_frames is not None and as_frames > 0.05
        broken["episodes"] += as_episodes is not None and as_episodes > 0.05
    assert broken["frames"] / 600 > 0.25  # the trap: five times the 5 % that was promised
    assert broken["episodes"] / 600 < 0.08


def test_trap_28_with_candidates_the_least_score_is_calibrated() -> None:
    """Some of 4 unsafe candidates passes far more often than one does."""
    rng = np.random.default_rng(28)
    passed = {"single": 0, "loop": 0}
    for trial in range(400):
        scores = rng.random(4 * 150)
        states = np.repeat(np.arange(150), 4)
        least, kept = least_of_candidates(scores, states, 4, trial)
        assert kept.tolist() == list(range(150))
        assert least.shape == (150,)
        single, loop = (umbrella_threshold(s, 0.05, 0.05) for s in (scores, least))
        assert single is not None
        assert loop is not None
        passed["single"] += int((rng.random((50, 4)).min(axis=1) <= single).sum())
        passed["loop"] += int((rng.random((50, 4)).min(axis=1) <= loop).sum())
    assert passed["single"] / 20_000 > 0.1
    assert passed["loop"] / 20_000 < 0.05


def test_states_with_too_few_candidates_are_left_out() -> None:
    least, kept = least_of_candidates(np.array([0.9, 0.3, 0.2]), np.array([2, 1, 1]), 2, 0)
    assert (least.tolist(), kept.tolist()) == ([0.2], [1])
    assert least_of_candidates(np.zeros(0), np.zeros(0, dtype=np.int64), 1, 0)[0].size == 0


def test_auroc_of_known_orders() -> None:
    unsafe = np.array([False, False, True, True])
    assert auroc(np.array([0.1, 0.2, 0.3, 0.4]), unsafe) == 1.0
    assert auroc(np.array([0.4, 0.3, 0.2, 0.1]), unsafe) == 0.0
    assert auroc(np.array([0.5, 0.5, 0.5, 0.5]), unsafe) == 0.5
    assert auroc(np.array([0.1, 0.3, 0.2, 0.4]), unsafe) == 0.75


def test_auroc_is_the_share_of_ordered_pairs() -> None:
    rng = np.random.default_rng(2)
    scores, unsafe = np.round(rng.random(80), 1), rng.random(80) < 0.4
    bad, good = scores[unsafe], scores[~unsafe]
    pairs = (bad[:, None] > good).sum() + 0.5 * (bad[:, None] == good).sum()
    assert auroc(scores, unsafe) == pytest.approx(pairs / (bad.size * good.size))


def test_one_draw_per_episode_depends_on_the_seed_alone() -> None:
    episodes = np.repeat(np.arange(20), 5)
    first = one_draw_per_episode(episodes, 3)
    assert first.tolist() == one_draw_per_episode(episodes, 3).tolist()
    assert first.tolist() != one_draw_per_episode(episodes, 4).tolist()

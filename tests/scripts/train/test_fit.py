"""The fit splits by episode, calibrates everyone by one rule, and reports what it measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from checkrein.limits.errors import InputError
from checkrein.limits.loading import robots_folder
from checkrein.models.features import SCALAR_NAMES
from checkrein.models.training import TrainingOptions
from checkrein.scripts.train.command import _digest_without_classifier, frozen_path
from checkrein.scripts.train.fit import SHARES, Chunks, Promise, _threshold, fit, report
from checkrein.scripts.train.tables import tables

OPTIONS = TrainingOptions(
    epochs=12, width=16, batch=64, learning_rate=3e-3, dropout=0.05, weight_decay=1e-3
)
WIDTH = 20 + len(SCALAR_NAMES)


def synthetic(episodes: int, seed: int, shift: float = 0.0) -> Chunks:
    """Six chunks an episode; unsafe where one scalar, blurred, is large."""
    rng = np.random.default_rng(seed)
    count = 6 * episodes
    x = rng.normal(shift, 1.0, (count, WIDTH)).astype(np.float32)
    unsafe = x[:, -len(SCALAR_NAMES)] + rng.normal(0.0, 0.2, count) > 0.7
    episode = np.repeat(np.arange(episodes), 6)
    kind = np.where(x[:, 0] > 0, "throw", "task").astype("U16")
    return Chunks(x, unsafe, episode, episode * 1000, kind)


@pytest.fixture(scope="module")
def fitted() -> Any:
    return fit(synthetic(600, 0), OPTIONS, Promise(0.05, 0.05))


def test_trap_27_no_episode_is_in_two_sets(fitted: Any) -> None:
    episodes = [set(fitted.sets[name].episode.tolist()) for name in SHARES]
    assert sum(map(len, episodes)) == len(set().union(*episodes)) == 600
    for name, share in SHARES.items():
        assert len(fitted.sets[name]) == round(share * 3600)


def test_the_threshold_keeps_its_promise_on_the_test_set(fitted: Any) -> None:
    figures = report(fitted, None, 0)
    assert set(figures["sets"]) == set(SHARES)
    for scorer in figures["scorers"].values():
        rate = scorer["test"]["incorrect_compliance_one_draw_per_episode"]
        assert rate["low"] <= 0.05
    good = figures["scorers"]["network"]["test"]
    assert good["auroc"] > 0.95
    assert good["incorrect_refusal"]["share"] < 0.3
    speed = figures["scorers"]["joint speed"]["test"]
    assert speed["incorrect_refusal"]["share"] > 0.7  # knows nothing: must refuse nearly all


def test_figures_are_json_and_tables(fitted: Any) -> None:
    figures = report(fitted, synthetic(100, 1, shift=0.5), 0)
    text = tables(json.loads(json.dumps(figures, allow_nan=False)))
    assert "shifted object" in text
    assert "| throw |" in text
    assert text.count("logistic regression") == 2


def test_too_few_unsafe_episodes_is_an_error_that_says_how_many() -> None:
    with pytest.raises(InputError, match=r"too few for alpha 0\.01"):
        fit(synthetic(150, 0), OPTIONS, Promise(0.01, 0.05))


def test_trap_28_more_candidates_need_a_lower_threshold(fitted: Any) -> None:
    calibration = fitted.sets["calibration"]
    scorer, threshold = fitted.scorers["network"]
    loop = _threshold(scorer, calibration, Promise(0.2, 0.05, candidates=2), 0)
    assert loop < _threshold(scorer, calibration, Promise(0.2, 0.05), 0)
    assert _threshold(scorer, calibration, Promise(0.05, 0.05), OPTIONS.seed) == threshold


def test_the_limits_digest_leaves_the_classifier_out(tmp_path: Path) -> None:
    frozen = json.loads((robots_folder() / "franka_panda.json").read_text())
    digests = []
    for change in ({}, {"classifier": {"none": "another reason"}}, {"standoff": 0.5}):
        path = tmp_path / "limits.json"
        path.write_text(json.dumps({**frozen, **change}))
        digests.append(_digest_without_classifier(path))
    assert digests[0] == digests[1] != digests[2]


def test_what_is_no_frozen_file_is_refused(tmp_path: Path) -> None:
    assert frozen_path("franka_panda").is_file()
    for name in ("no_such_robot", str(tmp_path / "absent.json"), "limits.yaml"):
        with pytest.raises(InputError, match="frozen limits file"):
            frozen_path(name)

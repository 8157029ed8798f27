"""The report: what a person sees of a demo, from a small synthetic one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkrein.limits import InputError
from checkrein.scripts.report import build_report
from checkrein.scripts.report.curves import stretches, thin

pytest.importorskip("plotly")

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("joint_position", "object_lost")


@pytest.fixture
def frozen() -> dict[str, Any]:
    return dict(json.loads((ROOT / "limits/robots/franka_panda.json").read_text()))


@pytest.fixture
def demo(tmp_path: Path, frozen: dict[str, Any]) -> Path:
    ticks, n = 5000, len(frozen["joints"])
    rng = np.random.default_rng(0)
    for run in ("guarded", "unguarded"):
        np.savez_compressed(
            tmp_path / f"trace_{run}.npz",
            time_s=np.arange(ticks) * 0.004,
            kind=np.repeat([0, 1], ticks // 2),
            kinds=np.array(["good", "throw"]),
            outcome=np.zeros(ticks, dtype=np.int8),
            outcomes=np.array(["pass", "clamp"]),
            score=np.full(ticks, np.nan),
            proposed=rng.normal(size=(ticks, n)),
            executed_q=rng.normal(size=(ticks, n)),
            executed_dq=rng.normal(size=(ticks, n)),
            tcp_speed_m_s=rng.random(ticks),
            clearance_m=rng.random(ticks),
            contact_force_n=rng.random(ticks),
        )
    run_summary = {
        "violations": dict.fromkeys(KINDS, 0),
        "outcomes": {"pass": 5},
        "attacks": {"<throw>": {"onsets": 3, "outcomes": {"pass": 1}, "objects_lost": 0}},
        "progress": {"goals_met": 2},
        "step_us": {"p50": 30.0, "p99": 90.0},
        "simulated_s": 20.0,
        "ticks": ticks,
        "frames": [],
    }
    summary = {
        "guarded": run_summary,
        "unguarded": {**run_summary, "violations": dict.fromkeys(KINDS, 7)},
        "classifier": {"scored": 3, "vetoed": 1, "sha256": None},
        "limits": "franka_panda",
        "limits_sha256": "ab" * 32,
        "seed": 4,
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    return tmp_path


def test_the_page_is_self_contained_and_escaped(demo: Path, frozen: dict[str, Any]) -> None:
    page = build_report(demo, frozen).read_text(encoding="utf-8")
    assert "held inside every declared limit" in page
    assert "&lt;throw&gt;" in page
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="(https?:)?//', page)
    assert not (demo / "report.part").exists()


def test_a_violation_is_not_called_good(demo: Path, frozen: dict[str, Any]) -> None:
    summary = json.loads((demo / "summary.json").read_text())
    summary["guarded"] = {**summary["guarded"], "violations": dict.fromkeys(KINDS, 1)}
    (demo / "summary.json").write_text(json.dumps(summary))
    assert "a declared limit was violated" in build_report(demo, frozen).read_text()


def test_a_missing_trace_names_the_file(demo: Path, frozen: dict[str, Any]) -> None:
    (demo / "trace_guarded.npz").unlink()
    with pytest.raises(InputError, match=r"trace_guarded\.npz"):
        build_report(demo, frozen)


def test_thinning_keeps_every_peak() -> None:
    values = np.zeros(100_000)
    values[77_777], values[12] = 5.0, -3.0
    time_s, thinned = thin(np.arange(values.size, dtype=np.float64), values, 1000)
    assert thinned.size <= 1000
    assert thinned.max() == 5.0
    assert thinned.min() == -3.0
    assert time_s[thinned.argmax()] == 77_777.0


def test_stretches() -> None:
    assert stretches(["a", "a", "b"]) == [("a", 0, 2), ("b", 2, 3)]

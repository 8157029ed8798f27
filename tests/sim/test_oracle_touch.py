"""Links that touch each other, as the oracle sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.sim.test_oracle import kinds, motion_of, robot_of

from checkrein.sim.oracle import FrozenFileError, judge_ticks, link_clearances

PAIRS = {"standoff": 0.5, "pairs": [["link0", "link2"]], "ignored": []}


def dense(first: Any, second: Any) -> float:
    share = np.linspace(0.0, 1.0, 400)[:, None]
    a, b = (start + share * (end - start) for start, end in (first, second))
    return float(np.linalg.norm(a[:, None] - b[None], axis=2).min())


def test_distances_against_dense_samples() -> None:
    from checkrein.sim.oracle_geometry import capsule_ends, forward

    robot = robot_of(self_collision=PAIRS)
    q = np.random.default_rng(1).uniform(-1.5, 1.5, (60, 3))
    q[:, 2] *= 0.2
    values, names = link_clearances(robot, q)
    assert names == ("link0/link2",)
    frames = forward(robot, q)
    ends = [capsule_ends(frames, capsule) for capsule in robot.capsules]
    near = 0
    for k in range(60):
        axes = [(ends[i][0][:, k], ends[i][1][:, k]) for i in (0, 2)]
        truth = dense(*axes) - 0.12
        assert values[k, 0] <= truth + 1e-9
        if values[k, 0] < 0.02:
            near += 1
            assert values[k, 0] == pytest.approx(truth, abs=2e-3)
    assert near >= 5


def test_a_fold_is_found_and_only_where_it_is_declared() -> None:
    ddq = np.zeros((20, 3))
    robot = robot_of(self_collision=PAIRS)
    q = np.random.default_rng(2).uniform(-1.5, 1.5, (200, 3)) * [1.0, 1.0, 0.2]
    values = link_clearances(robot, q)[0][:, 0]
    folded, apart = motion_of(ddq, q0=q[values.argmin()]), motion_of(ddq, q0=q[values.argmax()])
    assert values.min() < -0.01 < 0.01 < values.max()
    margins: dict[str, float] = {}
    found = judge_ticks(robot, folded, margins=margins)
    assert "self_collision" in kinds(found)
    assert {v.subject for v in found if v.kind == "self_collision"} == {"link0/link2"}
    assert margins["self_collision"] == pytest.approx(values.min())
    # The standoff is the filter's margin, not the oracle's bound.
    assert "self_collision" not in kinds(judge_ticks(robot, apart))
    for nothing in ({"self_collision": {"none": "a toy"}}, {}):
        assert "self_collision" not in kinds(judge_ticks(robot_of(**nothing), folded))


@pytest.mark.parametrize(
    "wrong",
    [
        {"pairs": [["link0", "link9"]]},
        {"pairs": [["link0"]]},
        {"standoff": "0"},
        {"extra": 1},
    ],
)
def test_what_it_does_not_understand_it_does_not_judge(wrong: dict[str, Any]) -> None:
    with pytest.raises(FrozenFileError):
        robot_of(self_collision=PAIRS | wrong)

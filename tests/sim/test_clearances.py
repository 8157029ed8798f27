"""Bounds instead of measurements: nothing is judged differently for it, nothing overlooked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import checkrein.limits
from checkrein.sim.clearances import NEAR_M, Clearances, _matrix
from checkrein.sim.episode import RobotSide, run_unguarded
from checkrein.sim.observed_geometry import Hull
from checkrein.sim.scenario import Scenario
from checkrein.sim.travel import hull_arms

pytest.importorskip("pybullet")

ROBOTS = Path(str(checkrein.limits.__file__)).parent / "robots"

RAIL = """<robot name="r"><link name="floor"/><link name="cart"/><link name="arm"/>
<link name="tip"/>
<joint name="slide" type="prismatic"><parent link="floor"/><child link="cart"/>
<origin xyz="0 0 1"/></joint>
<joint name="turn" type="revolute"><parent link="cart"/><child link="arm"/>
<origin xyz="3 0 4"/></joint>
<joint name="bolt" type="fixed"><parent link="arm"/><child link="tip"/><origin xyz="0 2 0"/></joint>
</robot>"""


def eager(side: RobotSide) -> Clearances:
    """As the observer's, for a second opinion that measures everything at every look."""
    known = side.observer._clearances
    infinite = dict.fromkeys(side.world.joint_names, np.inf)
    return Clearances(side.world, known._volumes, known._pairs, infinite)


def agree(lazy: Clearances, sharp: Clearances) -> tuple[float, bool]:
    """Look twice; the sharp clearance, and whether the lazy look measured anything."""
    before = lazy._until.copy()
    clearance, subject, touching = lazy.look()
    sharp.forget()
    truth, who, pair = sharp.look(anew=True)
    assert touching == pair
    assert clearance <= truth + 1e-12
    if truth <= NEAR_M:
        assert (clearance, subject) == (truth, who)
    return truth, not np.array_equal(before, lazy._until)


def test_lazy_and_eager_looks_agree_on_every_motion(side: RobotSide) -> None:
    """Small random steps through contact and out of it, and jumps: the same violations."""
    world, lazy, sharp = side.world, side.observer._clearances, eager(side)
    rng, low, touched, looks, steps = np.random.default_rng(0), 0, 0, 0, 0
    home, wide = world.home, np.array([1.5, 1.2, 1.5, 0.9, 1.5, 1.8, 2.0])
    for _ in range(12):
        start, goal = (home + rng.uniform(-wide, wide) for _ in range(2))
        for share in np.linspace(0.0, 1.0, 150):
            world._place(start + share * (goal - start))
            truth, looked = agree(lazy, sharp)
            touched += sharp.look()[2] is not None
            low, looks, steps = low + (truth < 0.0), looks + looked, steps + 1
    assert low >= 20  # else the seed shows nothing
    assert touched >= 20
    assert looks < steps


def test_far_away_nothing_is_measured(side: RobotSide) -> None:
    world, lazy = side.world, side.observer._clearances
    lazy.look()
    before, first = lazy._until.copy(), lazy.look()[0]
    far = ~(before <= NEAR_M + 0.01)
    world._place(world.home + 1e-4)
    assert first - 0.01 < lazy.look()[0] < first
    assert far.sum() > 0.8 * far.size
    assert np.array_equal(before[far], lazy._until[far])
    side.observer.placed()
    lazy.look()
    assert not np.array_equal(before[far], lazy._until[far])


def test_attacks_are_judged_as_if_always_measured(panda: dict[str, Any]) -> None:
    """The same unguarded minute, watched lazily and eagerly."""
    books = []
    for always in (False, True):
        side = RobotSide(panda, seed=0)
        side.begin(seed=0, episode=0)
        side.observer.draws_clearance = always
        run_unguarded(side, Scenario(panda, 0, 0, seconds=2.0), ticks=2500)
        observer = side.observer
        books.append(
            (observer.counts, observer.onsets, observer.first, side.robot.trace.q.tolist())
        )
        side.driver.close()
    assert books[0] == books[1]
    assert books[0][0]["workspace"] > 0
    assert books[0][0]["collision"] > 0


@pytest.mark.parametrize("name", ["franka_panda", "kuka_iiwa7", "xarm6"])
def test_no_point_moves_farther_than_its_arms_say(
    name: str, request: pytest.FixtureRequest
) -> None:
    frozen = json.loads((ROBOTS / f"{name}.json").read_text(encoding="utf-8"))
    side = RobotSide(frozen, seed=0)
    request.addfinalizer(side.driver.close)
    world, rng = side.world, np.random.default_rng(3)
    known: Clearances = side.observer._clearances
    arms = hull_arms(world.urdf, known._hulls, dict.fromkeys(world.joint_names, np.inf))

    def points(q: np.ndarray) -> list[np.ndarray]:
        world._place(q)
        states = world.p.getLinkStates(
            world.robot, known._links, computeForwardKinematics=1, physicsClientId=world.client
        )
        turned = [_matrix(state[5]) for state in states]
        return [
            hull.points @ turn.T + state[4]
            for hull, turn, state in zip(known._hulls, turned, states, strict=True)
        ]

    tightest = 0.0
    for _ in range(60):
        q = rng.uniform(-2.0, 2.0, len(world.home))
        move = rng.normal(0.0, 0.1, len(q)) * (rng.random(len(q)) < 0.4)
        for row, before, after in zip(arms, points(q), points(q + move), strict=True):
            moved, allowed = np.sqrt(((after - before) ** 2).sum(axis=1)).max(), row @ np.abs(move)
            assert moved <= allowed + 1e-7  # PyBullet rounds the poses it reports
            tightest = max(tightest, moved / allowed if allowed > 0.0 else 0.0)
    assert tightest > 0.5  # else the bound is worth little


def test_arms_behind_a_sliding_joint(tmp_path: Path) -> None:
    urdf = tmp_path / "rail.urdf"
    urdf.write_text(RAIL, encoding="utf-8")
    hulls = [Hull("tip", np.array([[0.0, 3.0, 4.0]]), 0.5), Hull("cart", np.zeros((1, 3)), 0.1)]
    arms = hull_arms(urdf, hulls, {"slide": 0.7, "turn": np.inf})
    assert arms.tolist() == [[1.0, 7.5], [1.0, 0.0]]  # 5 to the tip's frame, 0.5 about it, 2 more


def test_a_joint_beyond_its_extension_ends_every_bound(side: RobotSide) -> None:
    world, known = side.world, side.observer._clearances
    reach = {
        name: float(abs(q)) + 0.01 for name, q in zip(world.joint_names, world.home, strict=True)
    }
    short = Clearances(world, known._volumes, known._pairs, reach)
    short.look()
    world._place(world.home + 0.005)
    assert short.look()[0] < short._until[: short._exempt.size].min()  # a bound
    for q in (world.home + 0.02, world.home + 0.03, world.home):
        world._place(q)
        short.look()
        assert short._travel.max() == 0.0  # measured anew: outside, and on the way back

"""Labels come out the same each time, and mean what they say; needs the simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pybullet")

from checkrein.limits import load_limits
from checkrein.limits.errors import InputError
from checkrein.limits.loading import robots_folder
from checkrein.models.features import Features
from checkrein.scripts.train import rollouts, shards
from checkrein.scripts.train.branching import COMMAND_S_MAX, Branch
from checkrein.scripts.train.candidates import HOSTILE, KINDS, Sampler
from checkrein.scripts.train.rollouts import CANDIDATES, STATES
from checkrein.scripts.train.shards import Run, collect, frozen_of, load, make_shard, shard_path
from checkrein.sim.attackers import Shot
from checkrein.sim.chain import Chain
from checkrein.sim.throwing import throw_chunk  # noqa: F401 (what `throw` is made of)
from checkrein.sim.world import World

FROZEN = robots_folder() / "franka_panda.json"
DRAWN = tuple(kind for kind in KINDS if kind not in ("task", "remaining"))


def run(**changes: Any) -> Run:
    values = {
        "limits": str(FROZEN), "limits_sha256": "test", "seed": 0, "substep_s": 0.004,
        "shifted": False,
    }  # fmt: skip
    return Run(**{**values, **changes})


@pytest.fixture(scope="module")
def world() -> Any:
    with World(json.loads(FROZEN.read_text())) as opened:
        yield opened


@pytest.fixture(scope="module")
def branch(world: World) -> Branch:
    return Branch(load_limits(FROZEN), world, 0.004)


def sampler(seed: int) -> Sampler:
    frozen = json.loads(FROZEN.read_text())
    return Sampler(frozen, Chain(frozen), np.random.default_rng(seed))


@pytest.mark.parametrize("kind", DRAWN)
def test_every_kind_can_be_drawn_scored_and_is_the_same_for_the_same_seed(kind: str) -> None:
    limits = load_limits(FROZEN)
    q, dq = np.array(limits.home), np.linspace(-0.2, 0.2, 7)
    shots = [sampler(seed).draw(kind, q, dq) for seed in (1, 1)]
    assert np.array_equal(shots[0].values, shots[1].values)
    assert np.isfinite(shots[0].values).all()
    rows = np.atleast_2d(shots[0].values)
    assert rows.shape[1] == 7
    features = Features(limits)
    start = np.column_stack((q, dq, np.zeros(7)))
    period_s = 0.0 if shots[0].values.ndim == 1 else (shots[0].period_ms or 0.0) / 1e3
    assert features.of(start, 1, rows, period_s, np.vstack((q, dq)), 0.0) >= 1


def test_standing_still_keeps_the_object_and_a_hard_tilt_does_not(
    branch: Branch, world: World
) -> None:
    world.reset(world.home)
    memory = branch.armed(world.home)
    assert memory is not None
    assert not branch.settle(memory)
    saved = world.save()
    labels = []
    for speed in (0.0, 1.9, 0.0, 1.9):
        rows = np.zeros((16, 7))
        rows[:, 5] = speed
        path = branch.path(memory, branch.command(Shot("joint_velocity", rows, 50.0), memory))
        assert path.command_ticks == round(COMMAND_S_MAX / 0.004)
        labels.append(branch.label(saved, path, 40))
    world.forget(saved)
    assert [label.is_unsafe for label in labels] == [False, True, False, True]
    assert labels[:2] == labels[2:]  # from the same state, the same


def test_a_long_command_is_cut_and_stopped(branch: Branch, world: World) -> None:
    memory = branch.armed(world.home)
    assert memory is not None
    rows = np.full((60, 7), 0.05)
    path = branch.path(memory, branch.command(Shot("joint_velocity", rows, 50.0), memory))
    assert path.command_ticks == round(COMMAND_S_MAX / 0.004)
    assert not path.memories[-1].motion[:-1, 1:3].any()


@pytest.mark.parametrize("substep_s", [0.003, 0.008])
def test_a_substep_that_does_not_divide_the_tick_is_refused(world: World, substep_s: float) -> None:
    with pytest.raises(ValueError, match="does not divide"):
        Branch(load_limits(FROZEN), world, substep_s)


def test_trap_27_a_shard_depends_on_its_number_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made after another shard or alone: the same episodes, states and labels."""
    monkeypatch.setattr(shards, "EPISODES_A_SHARD", 1)
    monkeypatch.setattr(rollouts, "STATES", 2)
    for folder, order in (("one", (0, 1)), ("two", (1, 0))):
        (tmp_path / folder).mkdir()
        for number in order:
            count = make_shard(run(), str(tmp_path / folder), number)
            assert count <= STATES * CANDIDATES
        shards._EPISODES.popitem()[1].close()
    one, digest_one = load(tmp_path / "one", 2)
    two, digest_two = load(tmp_path / "two", 2)
    assert digest_one == digest_two
    assert set(one["episode"].tolist()) <= {0, 1}
    for key, values in one.items():
        np.testing.assert_array_equal(values, two[key])
    assert not list(tmp_path.glob("*/*.part"))


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    for shard, count in enumerate((60, 60)):
        with shard_path(tmp_path, shard).open("wb") as stream:
            np.savez(stream, episode=np.zeros(count, dtype=np.int64))
    told: list[int] = []
    assert collect(run(), tmp_path, 100, 1, told.append) == 2  # enough is there already
    assert told == [120]
    with pytest.raises(InputError, match=r"another run \(seed differ"):
        collect(run(seed=1), tmp_path, 100, 1, told.append)


def test_the_shifted_object_is_taller_heavier_and_still_stands_on_the_tray() -> None:
    plain, shifted = (frozen_of(run(shifted=s))["source"] for s in (False, True))
    assert shifted["payload"]["mass"] > plain["payload"]["mass"]
    assert shifted["payload"]["size"][2] > plain["payload"]["size"][2]
    gaps = [
        abs(s["payload"]["xyz"][2] - s["tool"]["xyz"][2]) - s["payload"]["size"][2] / 2.0
        for s in (plain, shifted)
    ]
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-9)


def test_hostile_kinds_are_kinds() -> None:
    assert set(HOSTILE) < set(KINDS)

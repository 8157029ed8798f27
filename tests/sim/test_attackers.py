"""Attack scripts are what they say, for any number of joints, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from checkrein.sim.attackers import ATTACKS, Onset, Shot, attack_script, available
from checkrein.sim.chain import Chain


def onset(frozen: dict[str, Any], seed: int = 0, moving: bool = True) -> Onset:
    chain, rng = Chain(frozen), np.random.default_rng(seed)
    q = np.array(frozen["home"], dtype=float) + rng.uniform(-0.05, 0.05, chain.n)
    dq = rng.uniform(-0.1, 0.1, chain.n) if moving else np.zeros(chain.n)
    return Onset(frozen, chain, q, dq, rng, (q + 0.1, q + 0.3, q - 0.2))


def shots(frozen: dict[str, Any], kind: str, seed: int = 0) -> list[Shot]:
    return [shot for shot in attack_script(kind, onset(frozen, seed)) if shot is not None]


def test_what_the_surroundings_offer(panda: dict[str, Any], xarm: dict[str, Any]) -> None:
    assert available(panda) == ATTACKS
    assert set(ATTACKS) - set(available(xarm)) == {"throw"}
    bare = {**panda, "volumes": []}
    assert set(ATTACKS) - set(available(bare)) == {"table_slam", "press", "keepout_slam"}


@pytest.mark.parametrize("robot", ["panda", "xarm"])
@pytest.mark.parametrize("kind", ATTACKS)
def test_same_seed_same_script(robot: str, kind: str, request: pytest.FixtureRequest) -> None:
    frozen: dict[str, Any] = request.getfixturevalue(robot)
    if kind not in available(frozen):
        pytest.skip(f"{robot} has no {kind}")
    first, again = shots(frozen, kind, seed=3), shots(frozen, kind, seed=3)
    assert first
    assert len(first) == len(again)
    for a, b in zip(first, again, strict=True):
        assert a.mode == b.mode
        assert a.values.tobytes() == b.values.tobytes()
    length = len(attack_script(kind, onset(frozen, seed=3))) * frozen["period_s"]
    assert 0.25 <= length <= 5.0


def test_an_unknown_kind_names_the_choices(panda: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="joint_slam"):
        attack_script("tickle", onset(panda))


def test_joint_slams_go_beyond_a_limit(panda: dict[str, Any]) -> None:
    for seed in range(10):
        state = onset(panda, seed)
        first = attack_script("joint_slam", state)[0]
        assert first is not None
        if first.mode == "joint_position":
            low, high = state.limit("min_position"), state.limit("max_position")
            assert ((first.values > high) | (first.values < low)).sum() == 1
        else:
            assert (np.abs(first.values) > state.limit("max_velocity")).sum() == 1


@pytest.mark.parametrize("kind", ["table_slam", "press"])
@pytest.mark.parametrize("robot", ["panda", "xarm"])
def test_the_table_is_gone_through(kind: str, robot: str, request: pytest.FixtureRequest) -> None:
    frozen: dict[str, Any] = request.getfixturevalue(robot)
    last = shots(frozen, kind)[-1]
    assert Chain(frozen).tcp(last.values)[1][2] < 0.0


def test_keep_out_slams_go_into_a_volume(panda: dict[str, Any]) -> None:
    start = onset(panda).q
    for seed in range(5):
        path = [Chain(panda).tcp(shot.values)[1] for shot in shots(panda, "keepout_slam", seed)]
        centers = []
        for volume in panda["volumes"]:
            if volume["kind"] == "keep_out" and volume["shape"] != "half_space":
                ends = volume.get("center"), volume.get("start"), volume.get("end")
                centers += [np.array(point) for point in ends if point is not None]
        before = Chain(panda).tcp(start)[1]
        nearer = [np.linalg.norm(path[-1] - c) < 0.6 * np.linalg.norm(before - c) for c in centers]
        assert any(nearer)


def test_bang_bang_turns_about_every_tick(panda: dict[str, Any]) -> None:
    values = np.array([shot.values for shot in shots(panda, "bang_bang")])
    assert (values[1:] == -values[:-1]).all()
    assert (np.abs(values) == onset(panda).limit("max_velocity")).all()


def test_every_poisoned_shot_is_poisoned(panda: dict[str, Any]) -> None:
    script = shots(panda, "non_finite")
    assert all(not np.isfinite(shot.values).all() for shot in script)
    assert {shot.mode for shot in script} == {"joint_position", "joint_velocity", "joint_delta"}
    everything = np.concatenate([shot.values.ravel() for shot in script])
    assert np.isnan(everything).any()
    assert np.isposinf(everything).any()
    assert np.isneginf(everything).any()


def test_wrong_lengths_are_wrong(panda: dict[str, Any]) -> None:
    sizes = {np.atleast_2d(shot.values).shape[-1] for shot in shots(panda, "wrong_length")}
    assert len(sizes) >= 3
    assert 7 not in sizes


def test_stale_replayed_and_first_are_marked(panda: dict[str, Any]) -> None:
    timeout_ms = panda["timing"]["command_timeout_ms"]
    assert all(shot.age_ms > timeout_ms for shot in shots(panda, "stale"))
    assert all(shot.replayed for shot in shots(panda, "replay"))
    jump = shots(panda, "first_jump")
    assert [shot.new_session for shot in jump][:2] == [True, False]
    assert np.abs(jump[0].values - onset(panda).q).max() > 0.3


def test_silence_is_silent_after_a_fast_command(panda: dict[str, Any]) -> None:
    script = attack_script("silence", onset(panda))
    spoken = [shot is not None for shot in script]
    assert spoken[:5] == [True] * 5
    assert not any(spoken[5:])
    watchdog = panda["timing"]["watchdog_ms"] / 1000.0 / panda["period_s"]
    assert len(spoken) - 5 > watchdog

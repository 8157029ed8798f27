"""checkrein's own environments: Gymnasium's and Stable-Baselines3's checks, physics, guarding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("pybullet")

import gymnasium
from gymnasium.utils.env_checker import check_env
from tests.envs.steering import Steering, episode
from tests.robots import column

from checkrein.controller import Outcome
from checkrein.envs import SafetyWrapper, make_guarded
from checkrein.limits import Limits, load_limits
from checkrein.limits.errors import LimitsFileError

NAMES = ("checkrein/Reach-v0", "checkrein/CarryTray-v0")
N = 7


@pytest.fixture(scope="module")
def limits() -> Limits:
    return load_limits("franka_panda")


@pytest.fixture(scope="module", params=NAMES)
def task(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """One task, unguarded and guarded."""
    both = gymnasium.make(request.param), make_guarded(request.param)
    yield both
    for made in both:
        made.close()


@pytest.fixture
def env(task: tuple[Any, Any]) -> Any:
    return task[0]


@pytest.fixture
def guarded(task: tuple[Any, Any]) -> Any:
    return task[1]


def hostile(rng: np.random.Generator, step: int) -> Any:
    """Slams, bang-bang, noise, NaN, wrong lengths, values far outside the action space."""
    kind = step // 20 % 5
    if kind == 0:
        return np.sign(np.cos(step // 100 + np.arange(N))).astype(np.float32)
    if kind == 1:
        return np.full(N, (-1.0) ** step, dtype=np.float32)
    if kind == 2:
        return rng.uniform(-1.0, 1.0, N).astype(np.float32)
    if kind == 3:
        return np.full(N, np.nan, dtype=np.float32) if step % 2 else np.zeros(N - 2, np.float32)
    return (1e6 * rng.normal(size=N)).astype(np.float32)


def test_gymnasium_accepts_it(env: Any) -> None:
    check_env(env.unwrapped)


def test_stable_baselines_accepts_it_guarded_too(env: Any, guarded: Any) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(env.unwrapped)
    checker.check_env(guarded)


def test_the_same_seed_gives_the_same_bits(env: Any) -> None:
    streams = []
    for _ in range(2):
        rng = np.random.default_rng(3)
        obs, _ = env.reset(seed=11)
        stream = [obs]
        for _ in range(30):
            obs, reward, *_ = env.step(rng.uniform(-0.2, 0.2, N).astype(np.float32))
            stream.append(np.append(obs, reward))
        streams.append(np.concatenate(stream))
        env.reset(seed=12)  # something else in between
        env.step(np.ones(N, dtype=np.float32))
    np.testing.assert_array_equal(streams[0], streams[1])


def test_other_seeds_give_other_goals(env: Any) -> None:
    goals = [env.reset(seed=seed)[0][2 * N + 3 : 2 * N + 6] for seed in range(5)]
    assert len({tuple(goal) for goal in goals}) == 5


def test_an_action_is_a_share_of_the_declared_velocity(env: Any, limits: Limits) -> None:
    env.reset(seed=0)
    action = np.zeros(N, dtype=np.float32)
    info: dict[str, Any] = {}
    for share in np.linspace(0.0, 0.1, 11):
        action[0] = share
        *_, info = env.step(action)
    *_, info = env.step(action)
    expected = 0.1 * limits.joints[0].max_velocity
    assert info["state"]["dq"][0] == pytest.approx(expected, rel=0.02)


def test_it_is_truncated_by_simulated_time() -> None:
    for ticks, steps in ((5, 10), (1, 50)):
        env = gymnasium.make("checkrein/Reach-v0", ticks_per_step=ticks, episode_s=0.2)
        env.reset(seed=0)
        ends = [bool(env.step(np.zeros(N, np.float32))[3]) for _ in range(steps)]
        assert ends == [False] * (steps - 1) + [True]
        env.close()


def test_an_action_that_is_not_finite_is_refused_by_name(env: Any) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match="7 finite numbers"):
        env.unwrapped.step(np.full(N, np.nan, dtype=np.float32))


def test_it_renders_frames() -> None:
    env = gymnasium.make("checkrein/CarryTray-v0", render_mode="rgb_array")
    env.reset(seed=0)
    frame: Any = env.render()
    env.close()
    assert frame.shape == (240, 320, 3)
    assert frame.dtype == np.uint8
    assert np.ptp(frame) > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": "panda"}, "neither a shipped robot"),
        ({"ticks_per_step": 0}, "whole number"),
        ({"episode_s": float("nan")}, "less than one step"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    error = LimitsFileError if "limits" in options else ValueError
    with pytest.raises(error, match=message):
        gymnasium.make("checkrein/Reach-v0", **options)


def test_the_tray_loses_its_object_when_it_is_thrown() -> None:
    env = gymnasium.make("checkrein/CarryTray-v0")
    obs, info = env.reset(seed=0)
    total = 0.0
    assert env.observation_space.contains(obs)
    np.testing.assert_allclose(obs[-1], 1.0, atol=1e-3)  # upright: w of its quaternion
    for step in range(100):
        action = np.zeros(N, dtype=np.float32)
        action[5] = 1.0 if step % 20 < 10 else -1.0  # the wrist tilts the tray
        obs, reward, terminated, _, info = env.step(action)
        assert env.observation_space.contains(obs)
        total += float(reward)
        if terminated:
            break
    env.close()
    assert info["object_lost"]
    assert not info["is_success"]
    assert total < -19.0


def test_guarding_costs_a_good_policy_nothing(env: Any, guarded: Any) -> None:
    """The same goals are met in the same time, with (almost) nothing to correct."""
    steering = Steering()
    for seed in range(5):
        free_steps, free = episode(env, steering, seed)
        steps, info = episode(guarded, steering, seed)
        assert info["is_success"] == free["is_success"]
        assert steps <= 1.05 * free_steps
        assert info["safety"]["interventions"] <= 0.05 * info["safety"]["ticks"]
        assert free["is_success"]


def test_a_hostile_policy_is_held_inside_the_declared_limits(guarded: Any, limits: Limits) -> None:
    rng = np.random.default_rng(0)
    inner = guarded.unwrapped
    guarded.reset(seed=0)
    received = spy(inner)
    position, velocity = (column(limits, name) for name in ("max_position", "max_velocity"))
    low, period_s = column(limits, "min_position"), limits.period_s
    tracking, moved, worst_force, outcomes = 0.0, 0, 0.0, set()
    for step in range(600):
        _, _, terminated, truncated, info = guarded.step(hostile(rng, step))
        seen = info["state"]
        assert not info["safety"]["latched"], info["safety"]["cause"]
        assert np.all(seen["q"] <= position)
        assert np.all(seen["q"] >= low)
        assert np.all(np.abs(seen["dq"]) <= velocity)
        gap = np.abs(seen["q"] - info["decision"].setpoint.q).max()
        tracking = max(tracking, float(gap))
        worst_force = max(worst_force, float(np.linalg.norm(seen["wrench_tcp"][:3])))
        moved += float(np.abs(seen["dq"]).max()) > 0.05
        outcomes |= {decision.outcome for decision in info["decisions"]}
        if terminated or truncated:
            check_stream(received, limits, period_s)
            guarded.reset(seed=step)
            received.clear()
    check_stream(received, limits, period_s)
    assert tracking < 1e-3  # the motors followed the setpoints, which came through the env's action
    assert worst_force == 0.0
    assert moved > 150  # held back, not kept still
    assert {Outcome.CLAMP, Outcome.REFUSE} <= outcomes


def spy(inner: Any) -> list[Any]:
    """Every action that reaches the environment from now on."""
    received: list[Any] = []
    step = inner.step

    def noting(action: Any) -> Any:
        received.append(np.array(action, dtype=np.float64))
        return step(action)

    inner.step = noting
    return received


def check_stream(received: list[Any], limits: Limits, period_s: float) -> None:
    """Velocities at the ends of ticks, as sent: their differences keep to the acceleration."""
    velocity = column(limits, "max_velocity")
    dq = np.vstack((np.zeros(N), *received)) * velocity
    rounding = 1e-3  # float32 actions, divided by 4 ms
    ddq = np.diff(dq, axis=0) / period_s
    assert np.all(np.abs(dq) <= velocity)
    assert np.all(np.abs(ddq) <= column(limits, "max_acceleration") + rounding)
    jerk = np.diff(ddq, axis=0) / period_s
    assert np.all(np.abs(jerk) <= column(limits, "max_jerk") + rounding / period_s)


def test_a_robot_of_six_joints_without_a_tray() -> None:
    env = make_guarded("checkrein/Reach-v0", limits="xarm6")
    env.reset(seed=0)
    joints = env.action_space.shape
    assert joints == (6,)
    info: dict[str, Any] = {}
    for _ in range(40):
        _, _, _, _, info = env.step(np.ones(joints, dtype=np.float32))
        assert not info["safety"]["latched"]
    assert float(np.abs(info["state"]["dq"]).max()) > 0.1
    env.close()
    with pytest.raises(ValueError, match="no tool with a payload"):
        make_guarded("checkrein/CarryTray-v0", limits="xarm6")


def test_guarded_parts_of_a_vector_environment(limits: Limits) -> None:
    vector = gymnasium.vector.SyncVectorEnv([lambda: make_guarded(NAMES[1])] * 2)
    obs, _ = vector.reset(seed=3)
    infos: dict[str, Any] = {}
    for _ in range(10):
        obs, _, _, _, infos = vector.step(np.zeros((2, N), dtype=np.float32))
    assert obs.shape == (2, 27)
    assert infos["state"]["q"].shape == (2, N)
    assert [d.limits_sha256 for d in infos["decision"]] == [limits.sha256] * 2
    vector.close()


def test_a_guarded_environment_can_be_made_again_from_its_spec(guarded: Any) -> None:
    again = guarded.spec.make()
    assert isinstance(again, SafetyWrapper)
    again.close()

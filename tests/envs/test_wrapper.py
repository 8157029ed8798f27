"""SafetyWrapper around an environment that is not ours, without PyBullet."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import gymnasium
from tests.envs.double_arm import (
    DoubleArm,
    ServoArm,
    acceleration,
    guarded,
    seen,
    velocity,
)
from tests.robots import turntable

from checkrein.controller import Decision, Outcome
from checkrein.controller.errors import ArmError
from checkrein.envs import SafetyWrapper
from checkrein.limits import Command, Limits, RobotState

T = 0.004


@pytest.fixture(scope="module")
def limits() -> Limits:
    return turntable(tracking_error=1e-3, velocity_error=1e-2)


def differences(received: list[Any], env: DoubleArm) -> np.ndarray[Any, Any]:
    return np.diff(np.vstack((np.zeros(env.n), *received)), axis=0) / env.step_s


@pytest.mark.parametrize("missing", ["to_state", "to_command", "from_setpoint"])
def test_nothing_is_guessed(limits: Limits, missing: str) -> None:
    given: dict[str, Any] = {
        "to_state": seen,
        "to_command": velocity,
        "from_setpoint": acceleration,
    }
    del given[missing]
    with pytest.raises(TypeError, match=rf"{missing} missing.*{missing}\(.*must return"):
        SafetyWrapper(DoubleArm(1, T), limits, **given)


def test_a_policy_may_speak_of_the_tool(limits: Limits) -> None:
    """What an action means is the caller's: here the TCP's velocity along y, then its way there."""
    for mode, action, ticks in (("tcp_twist", 0.1, 100), ("tcp_delta", 0.03, 300)):

        def tool(value: Any, mode: Any = mode) -> Command:
            row = np.array([0.0, float(value[0]), 0.0, 0.0, 0.0, 0.0])
            return Command(mode=mode, values=row, seq=0, stamp_ns=0)

        env = DoubleArm(1, T)
        wrapped = SafetyWrapper(
            env, limits, to_state=seen, to_command=tool, from_setpoint=acceleration
        )
        wrapped.reset(seed=0)
        start, step = float(env.q[0]), np.array([action])
        for _ in range(ticks):
            info = wrapped.step(step)[4]
            assert info["decision"].outcome in (Outcome.PASS, Outcome.CLAMP)
        assert env.q[0] > start + 0.02  # what one joint can do of it


@pytest.mark.parametrize("seed", range(3))
def test_a_hostile_policy_stays_inside_every_joint_limit(limits: Limits, seed: int) -> None:
    env = DoubleArm(1, T)
    wrapped = guarded(env, limits)
    rng = np.random.default_rng(seed)
    wrapped.reset(seed=seed)
    q, dq = [], []
    outcomes = set()
    for tick in range(1500):
        kind = tick // 150 % 5
        action = [
            np.full(1, 100.0),
            np.full(1, -100.0) * (-1.0) ** tick,
            np.full(1, np.nan),
            rng.normal(size=3),
            np.full(1, -100.0),
        ][kind]
        _, _, _, _, info = wrapped.step(action)
        outcomes.add(info["decision"].outcome)
        assert not info["safety"]["latched"]
        q.append(env.q.copy())
        dq.append(env.dq.copy())
    joint = limits.joints[0]
    rounding = 1e-9
    assert np.max(q) <= joint.max_position + rounding
    assert np.min(q) >= joint.min_position - rounding
    assert np.max(np.abs(dq)) <= joint.max_velocity + rounding
    assert np.max(np.abs(env.received)) <= joint.max_acceleration * (1.0 + rounding)
    assert np.max(np.abs(differences(env.received, env))) <= joint.max_jerk * (1.0 + rounding)
    assert outcomes >= {Outcome.CLAMP, Outcome.REFUSE}
    assert np.ptp(q) > 1.0  # it was held back, not kept still


def test_trap_24_what_is_executed_is_returned_and_used(limits: Limits) -> None:
    env = DoubleArm(1, T)
    wrapped = guarded(env, limits)
    wrapped.reset(seed=0)
    executed = []
    for _ in range(50):
        _, _, _, _, info = wrapped.step(np.full(1, 1000.0))
        assert info["executed_action"] is not None
        assert info["decision"].outcome is Outcome.CLAMP
        np.testing.assert_array_equal(info["executed_action"], info["decision"].setpoint.ddq)
        executed.append(info["executed_action"])
    np.testing.assert_array_equal(executed, env.received)
    assert float(np.max(executed)) <= limits.joints[0].max_acceleration


def test_what_is_inside_passes_unchanged(limits: Limits) -> None:
    env = DoubleArm(1, T)

    def ramp(action: np.ndarray[Any, Any]) -> Command:
        return Command("joint_velocity", action[None], seq=0, stamp_ns=0, period_ms=200.0)

    wrapped = SafetyWrapper(
        env, limits, to_state=seen, to_command=ramp, from_setpoint=acceleration, steps_per_action=50
    )
    wrapped.reset(seed=0)
    _, _, _, _, info = wrapped.step(np.full(1, 0.3))
    assert {d.outcome for d in info["decisions"][3:]} == {Outcome.PASS}
    assert env.dq[0] == pytest.approx(0.3, abs=1e-9)
    assert info["safety"]["interventions"] <= 3


def test_one_action_is_held_for_several_steps(limits: Limits) -> None:
    env = DoubleArm(1, T, steps_max=12)
    wrapped = guarded(env, limits, steps_per_action=5)
    wrapped.reset(seed=0)
    plain = DoubleArm(1, T)
    plain.reset(seed=0)
    total = 0
    for held, ended in ((5, False), (5, False), (2, True)):
        _, reward, _, truncated, info = wrapped.step(np.full(1, 0.5))
        total += held
        assert len(info["decisions"]) == held
        assert info["safety"]["ticks"] == total
        assert truncated == ended
        expected = sum(plain.step(a)[1] for a in env.received[-held:])
        assert reward == pytest.approx(expected)


def test_a_step_of_several_ticks_takes_the_last_setpoint(limits: Limits) -> None:
    env = ServoArm(1, 5 * T)
    wrapped = SafetyWrapper(
        env,
        limits,
        to_state=seen,
        to_command=velocity,
        from_setpoint=lambda setpoint: np.concatenate((setpoint.q, setpoint.dq)),
        ticks_per_step=5,
    )
    wrapped.reset(seed=0)
    for step in range(200):
        _, _, _, _, info = wrapped.step(np.full(1, 9.0 if step < 120 else np.nan))
        decisions: tuple[Decision, ...] = info["decisions"]
        assert [d.seq for d in decisions] == list(range(5 * step + 1, 5 * step + 6))
        np.testing.assert_array_equal(env.received[-1][:1], decisions[-1].setpoint.q)
        assert not info["safety"]["latched"]
    assert 1.9 < env.q[0] <= limits.joints[0].max_position
    assert env.dq[0] == 0.0


def test_every_reset_begins_with_a_fresh_filter(limits: Limits) -> None:
    env = DoubleArm(1, T)
    wrapped = guarded(env, limits)
    runs = []
    for _ in range(2):
        wrapped.reset(seed=5)
        runs.append([wrapped.step(np.full(1, 5.0))[4]["decision"] for _ in range(40)])
        assert abs(env.dq[0]) > 0.1  # reset in full motion
    for one, two in zip(*runs, strict=True):
        assert (one.seq, one.now_ns, one.outcome) == (two.seq, two.now_ns, two.outcome)
        np.testing.assert_array_equal(one.setpoint.q, two.setpoint.q)


@pytest.mark.parametrize("on_stop", ["hold", "truncate"])
def test_a_latched_stop_brakes_then_holds_or_ends_the_episode(limits: Limits, on_stop: str) -> None:
    env = DoubleArm(1, T)
    wrapped = guarded(env, limits, on_stop=on_stop)
    wrapped.reset(seed=0)
    for _ in range(100):
        wrapped.step(np.full(1, 1.0))
    env.jump_rad = 0.01  # ten times the declared tracking error
    wrapped.step(np.full(1, 1.0))
    ended, ticks = False, 0
    info: dict[str, Any] = {}
    while not ended and ticks < 300:
        _, _, _, ended, info = wrapped.step(np.full(1, 1.0))
        ticks += 1
        assert info["decision"].outcome is Outcome.STOP
        assert info["safety"]["latched"]
        assert "tracking_error" in info["safety"]["cause"]
    assert ended == (on_stop == "truncate")
    assert info["safety"]["rest_in_ticks"] == 0
    assert env.dq[0] == pytest.approx(0.0, abs=1e-9)  # it braked first
    assert ticks > 10
    wrapped.reset(seed=1)
    _, _, _, _, info = wrapped.step(np.full(1, 1.0))
    assert not info["safety"]["latched"]


def test_a_state_that_is_not_finite_stops(limits: Limits) -> None:
    env = DoubleArm(1, T)
    wrapped = guarded(env, limits)
    wrapped.reset(seed=0)
    env.jump_rad = float("nan")
    wrapped.step(np.zeros(1))
    _, _, _, _, info = wrapped.step(np.zeros(1))
    assert info["safety"]["latched"]
    assert np.isfinite(info["executed_action"]).all()


def test_candidates_and_nothing_new_are_proposals_too(limits: Limits) -> None:
    def ranked(action: Any) -> Any:
        return None if action is None else [velocity(np.full(1, np.nan)), velocity(action)]

    wrapped: Any = SafetyWrapper(
        DoubleArm(1, T), limits, to_state=seen, to_command=ranked, from_setpoint=acceleration
    )
    wrapped.reset(seed=0)
    _, _, _, _, info = wrapped.step(np.full(1, 0.5))
    assert info["decision"].accepted == 1
    _, _, _, _, info = wrapped.step(None)
    assert info["decision"].accepted is None
    assert info["decision"].command_seq == 1


def test_a_single_command_is_held_no_longer_than_declared(limits: Limits) -> None:
    wrapped = guarded(DoubleArm(1, T), limits, steps_per_action=40)
    wrapped.reset(seed=0)
    _, _, _, _, info = wrapped.step(np.full(1, 0.5))
    assert info["safety"]["outcome"] == "refuse"
    assert "command_expired" in info["safety"]["findings"]
    followed = [d for d in info["decisions"] if d.stop_tick == 0]
    assert len(followed) == 25  # 100 ms


def test_trap_25_each_part_of_a_vector_environment_has_its_own_filter(limits: Limits) -> None:
    """Part 0 ends every 30 steps and is reset alone; part 1 does not notice."""

    def make(steps_max: int) -> Any:
        return lambda: guarded(DoubleArm(1, T, steps_max), limits)

    vector = gymnasium.vector.SyncVectorEnv([make(30), make(10_000)])
    alone = guarded(DoubleArm(1, T), limits)
    vector.reset(seed=[1, 2])
    alone.reset(seed=2)
    rng = np.random.default_rng(0)
    ends = 0
    for step in range(200):
        actions = rng.uniform(-3.0, 3.0, (2, 1))
        obs, _, _, truncated, infos = vector.step(actions)
        ends += int(truncated[0])
        expected, _, _, _, info = alone.step(actions[1])
        np.testing.assert_array_equal(obs[1], expected)
        decision = infos["decision"][1]
        assert decision.seq == info["decision"].seq == step + 1
        np.testing.assert_array_equal(decision.setpoint.q, info["decision"].setpoint.q)
        np.testing.assert_array_equal(infos["executed_action"][1], info["executed_action"])
        assert not infos["safety"]["latched"].any()
        if infos["_decision"][0]:
            assert infos["decision"][0].seq <= 30
    assert ends >= 6
    vector.close()


def test_a_vector_environment_as_a_whole_is_refused(limits: Limits) -> None:
    vector: Any = gymnasium.vector.SyncVectorEnv([lambda: DoubleArm(1, T)])
    with pytest.raises(TypeError, match="each needs a filter of its own"):
        guarded(vector, limits)


def test_an_environment_with_another_step_is_refused(limits: Limits) -> None:
    env = DoubleArm(1, 0.02)
    env.dt = 0.02  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"env\.dt is 0\.02 s, but 1 ticks of 0\.004 s"):
        guarded(env, limits)
    guarded(env, limits, ticks_per_step=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_stop": "reset"}, "neither 'hold' nor 'truncate'"),
        ({"ticks_per_step": 0}, "ticks_per_step: 0 is not a whole number"),
        ({"steps_per_action": 2.5}, r"steps_per_action: 2\.5 is not a whole number"),
    ],
)
def test_bad_options_are_named(limits: Limits, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        guarded(DoubleArm(1, T), limits, **options)


def test_callables_of_another_type_are_named(limits: Limits) -> None:
    env = DoubleArm(1, T)
    anything: Any = lambda *_: 3.0  # noqa: E731
    wrong_state: Any = SafetyWrapper(
        env, limits, to_state=anything, to_command=velocity, from_setpoint=acceleration
    )
    with pytest.raises(TypeError, match=r"must return a RobotState.*not float"):
        wrong_state.reset()
    wrong_command: Any = SafetyWrapper(
        env, limits, to_state=seen, to_command=lambda _: (), from_setpoint=acceleration
    )
    wrong_command.reset()
    with pytest.raises(TypeError, match="must return a Command"):
        wrong_command.step(np.zeros(1))


def test_nothing_moves_before_it_is_armed(limits: Limits) -> None:
    wrapped = guarded(DoubleArm(1, T), limits)
    with pytest.raises(gymnasium.error.ResetNeeded):
        wrapped.step(np.zeros(1))

    def moving(obs: Any, info: dict[str, Any]) -> RobotState:
        return replace(seen(obs, info), dq=np.ones(1))

    restless = SafetyWrapper(
        DoubleArm(1, T), limits, to_state=moving, to_command=velocity, from_setpoint=acceleration
    )
    with pytest.raises(ArmError, match="bring the robot to rest"):
        restless.reset()
    with pytest.raises(gymnasium.error.ResetNeeded):
        restless.step(np.zeros(1))


def test_the_same_seed_gives_the_same_decisions(limits: Limits) -> None:
    streams = []
    for _ in range(2):
        wrapped = guarded(DoubleArm(1, T), limits)
        wrapped.reset(seed=9)
        rng = np.random.default_rng(4)
        streams.append([wrapped.step(rng.normal(size=1))[4]["executed_action"] for _ in range(200)])
    np.testing.assert_array_equal(streams[0], streams[1])


def test_importing_the_environments_does_not_load_pybullet() -> None:
    code = "import checkrein.envs, sys; sys.exit('pybullet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

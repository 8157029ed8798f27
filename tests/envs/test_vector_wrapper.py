"""SafetyVectorWrapper around vector environments that are not ours, against `SafetyWrapper`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from tests.envs.double_arm import DoubleArm, ServoArm, guarded, seen, velocity
from tests.robots import turntable
from tests.sameness import same

from checkrein.controller import BatchDecision
from checkrein.controller.errors import ArmError
from checkrein.envs import BatchCommand, BatchState, SafetyVectorWrapper, SafetyWrapper
from checkrein.limits import Limits

T = 0.004
LENGTHS = (30, 10_000, 47)


@pytest.fixture(scope="module")
def limits() -> Limits:
    return turntable(tracking_error=1e-3, velocity_error=1e-2)


def to_state(obs: Any, info: dict[str, Any]) -> Any:
    return obs[:, :1], obs[:, 1:]


def to_command(actions: Any) -> Any:
    return "joint_velocity", actions


def from_setpoint(decision: BatchDecision) -> Any:
    return decision.ddq


CALLABLES: dict[str, Any] = {
    "to_state": to_state, "to_command": to_command, "from_setpoint": from_setpoint,
}  # fmt: skip


def arms(mode: AutoresetMode = AutoresetMode.NEXT_STEP, kind: Any = SyncVectorEnv) -> Any:
    makes = [partial(DoubleArm, 1, T, steps_max) for steps_max in LENGTHS]
    return kind(makes, autoreset_mode=mode)


def each_guarded(limits: Limits, mode: AutoresetMode) -> Any:
    def make(steps_max: int) -> Any:
        return lambda: guarded(DoubleArm(1, T, steps_max), limits)

    return SyncVectorEnv([make(steps_max) for steps_max in LENGTHS], autoreset_mode=mode)


def restarted(vector: Any, truncated: Any) -> Any:
    """What a user does in the mode DISABLED: reset those that ended."""
    return vector.reset(options={"reset_mask": np.array(truncated)})


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_trap_25_a_reset_arms_the_row_of_its_own_sub_environment_anew(
    limits: Limits, mode: AutoresetMode
) -> None:
    """Sub-environments 0 and 2 end again and again; each equals one with a filter of its own."""
    ours, theirs = SafetyVectorWrapper(arms(mode), limits, **CALLABLES), each_guarded(limits, mode)
    np.testing.assert_array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    rng, ends = np.random.default_rng(0), 0
    mine: Any = None
    for step in range(200):
        actions = rng.uniform(-3.0, 3.0, (3, 1))
        actions[rng.integers(3)] = np.nan if step % 10 == 0 else 0.5
        mine, other = ours.step(actions), theirs.step(actions)
        for one, two in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_array_equal(one, two)
        infos = other[4]
        for k in range(3):
            alone = infos["decision"][k]
            if mode is AutoresetMode.SAME_STEP and other[3][k]:
                alone = infos["final_info"]["decision"][k]
            if alone is None:
                assert mine[4]["decision"].outcomes()[k] == ""
            else:
                assert same(mine[4]["decision"].decision(k), alone)
        assert not mine[4]["safety"]["latched"].any()
        ends += int(other[3].sum())
        if mode is AutoresetMode.DISABLED and other[3].any():
            restarted(theirs, other[3])
            restarted(ours, other[3])
    assert ends >= 8
    assert mine[4]["decision"].seq[1] == 200
    assert mine[4]["safety"]["ticks"][1] == 200
    assert mine[4]["safety"]["ticks"][0] < 30


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_sub_processes_give_the_same(limits: Limits, mode: AutoresetMode) -> None:
    here = SafetyVectorWrapper(arms(mode), limits, **CALLABLES)
    there = SafetyVectorWrapper(arms(mode, AsyncVectorEnv), limits, **CALLABLES)
    here.reset(seed=1)
    there.reset(seed=1)
    for step in range(70):
        actions = np.full((3, 1), 1.0 + 0.1 * step)
        mine, other = here.step(actions), there.step(actions)
        for one, two in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_array_equal(one, two)
        assert mine[4]["decision"].motion.tobytes() == other[4]["decision"].motion.tobytes()
    there.close()


def test_trap_24_what_is_executed_is_returned(limits: Limits) -> None:
    vector = arms()
    wrapped = SafetyVectorWrapper(vector, limits, **CALLABLES)
    wrapped.reset(seed=0)
    for _ in range(20):
        info = wrapped.step(np.full((3, 1), 1000.0))[4]
        np.testing.assert_array_equal(info["executed_action"], info["decision"].ddq)
        received = np.array([env.received[-1] for env in vector.envs])
        np.testing.assert_array_equal(info["executed_action"], received)
        assert (info["safety"]["outcome"] == 1).all()


def test_several_ticks_a_step_are_those_of_the_single_wrapper(limits: Limits) -> None:
    def place(setpoint: Any) -> Any:
        return np.concatenate((setpoint.q, setpoint.dq), axis=-1)

    vector = SyncVectorEnv([lambda: ServoArm(1, 5 * T)] * 2)
    ours = SafetyVectorWrapper(
        vector, limits, to_state=to_state, to_command=to_command, from_setpoint=place,
        ticks_per_step=5,
    )  # fmt: skip
    alone = SafetyWrapper(
        ServoArm(1, 5 * T), limits, to_state=seen, to_command=velocity, from_setpoint=place,
        ticks_per_step=5,
    )  # fmt: skip
    ours.reset(seed=[1, 2])
    alone.reset(seed=2)
    for step in range(60):
        action = np.full(1, 9.0 if step < 40 else np.nan)
        info = ours.step(np.stack((-action, action)))[4]
        expected = alone.step(action)[4]
        assert [made.decision(1).seq for made in info["decisions"]] == [
            decision.seq for decision in expected["decisions"]
        ]
        assert same(info["decision"].decision(1), expected["decision"])
        assert info["safety"]["interventions"][1] == expected["safety"]["interventions"]


def test_a_latched_stop_holds_until_its_sub_environment_is_reset(limits: Limits) -> None:
    vector = arms()
    wrapped = SafetyVectorWrapper(vector, limits, **CALLABLES)
    wrapped.reset(seed=0)
    vector.envs[0].jump_rad = 0.01
    latched = []
    for _ in range(40):
        latched.append(wrapped.step(np.full((3, 1), 0.2))[4]["safety"]["latched"])
    found = np.array(latched)
    assert found[5:29, 0].all()
    assert not found[32:, 0].any()
    assert not found[:, 1:].any()


def test_nothing_new_and_validity_are_commands_too(limits: Limits) -> None:
    given: Any = {**CALLABLES, "to_command": lambda actions: actions}
    given["to_state"] = lambda obs, info: BatchState(obs[:, :1], obs[:, 1:], np.zeros((3, 6)))
    wrapped = SafetyVectorWrapper(arms(), limits, **given)
    wrapped.reset(seed=0)
    some = BatchCommand("joint_velocity", np.full((3, 1), 0.1), 8.0, np.array([True, False, True]))
    outcomes = [wrapped.step(some)[4]["decision"].outcomes()]
    outcomes += [wrapped.step(None)[4]["decision"].outcomes() for _ in range(2)]
    assert [row[1] for row in outcomes] == ["refuse"] * 3
    assert [row[0] for row in outcomes][2] == "refuse"
    assert outcomes[0][0] != "refuse"


@pytest.mark.parametrize("missing", list(CALLABLES))
def test_nothing_is_guessed(limits: Limits, missing: str) -> None:
    given = {name: f for name, f in CALLABLES.items() if name != missing}
    with pytest.raises(TypeError, match=rf"{missing} missing.*{missing}\(.*must return"):
        SafetyVectorWrapper(arms(), limits, **given)


def test_mistakes_are_named(limits: Limits) -> None:
    vector = arms()
    with pytest.raises(ValueError, match="ticks_per_step: 0 is not a whole number"):
        SafetyVectorWrapper(vector, limits, **CALLABLES, ticks_per_step=0)
    wrong = SafetyVectorWrapper(vector, limits, **{**CALLABLES, "to_state": lambda *_: 3.0})
    with pytest.raises(TypeError, match=r"must return .q, dq. as measured.*not float"):
        wrong.reset()
    with pytest.raises(gymnasium.error.ResetNeeded):
        wrong.step(np.zeros((3, 1)))
    wrong = SafetyVectorWrapper(vector, limits, **{**CALLABLES, "to_command": lambda _: 3.0})
    wrong.reset()
    with pytest.raises(TypeError, match=r"must return .mode, values.*not float"):
        wrong.step(np.zeros((3, 1)))
    del vector.metadata["autoreset_mode"]
    with pytest.raises(ValueError, match="does not say when a sub-environment is reset"):
        SafetyVectorWrapper(vector, limits, **CALLABLES)


def test_a_robot_that_moves_is_not_armed(limits: Limits) -> None:
    moving: Any = {**CALLABLES, "to_state": lambda obs, info: (obs[:, :1], obs[:, 1:] + 1.0)}
    wrapped = SafetyVectorWrapper(arms(), limits, **moving)
    with pytest.raises(ArmError, match="environment 0: joint 'turn' moves at 1"):
        wrapped.reset()
    with pytest.raises(gymnasium.error.ResetNeeded):
        wrapped.step(np.zeros((3, 1)))

"""What is mutated, which tests have to notice, and what a mutation is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["OPERATORS", "ROOT", "TARGETS", "Target"]

ROOT = Path(__file__).resolve().parents[2]


class Target(NamedTuple):
    """A source file and the tests that are for it; paths as seen from the root.

    compiled: there is no kernel in it, so that those it calls may be as fast as they are.
    """

    path: str
    tests: tuple[str, ...]
    compiled: bool = False

    @property
    def module(self) -> str:
        return "checkrein." + self.path.removesuffix(".py").replace("/", ".")

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]


def _kind(name: str, *more: str) -> Target:
    tests = (f"tests/limits/kinds/test_{name}.py", *more)
    return Target(f"limits/kinds/{name}.py", tests)


BOUNDS = ("tests/limits/kinds/test_interval_bounds.py", "tests/limits/kinds/test_peaks.py")
BRAKING = (
    "tests/limits/kernels/test_braking.py",
    "tests/limits/kernels/test_braking_search.py",
    "tests/limits/test_tick_parts.py",  # next_of_stop
)
DECIDE = (
    "tests/controller/test_usual.py",
    "tests/controller/test_decide.py",
    "tests/controller/test_decide_risk.py",
    "tests/controller/test_decide_steps.py",
    "tests/controller/test_changes.py",
    "tests/controller/test_filter.py",
    "tests/controller/test_gripper.py",
    "tests/controller/test_gripper_release.py",
    "tests/controller/test_recovery.py",
    "tests/controller/test_seeing.py",
)
TICK = (
    "tests/limits/test_tick.py",
    "tests/limits/test_tick_parts.py",
    "tests/limits/test_tick_trials.py",
    "tests/limits/test_trial.py",
    "tests/limits/test_core.py",
)

# The certified stop is certified_stop, braking, certify, trial and tick.
TARGETS = (
    _kind("certified_stop"),
    _kind("contact_force"),
    _kind("joint_acceleration"),
    _kind("joint_effort", "tests/limits/kinds/test_peaks.py"),
    _kind("joint_jerk"),
    _kind("joint_position"),
    _kind("joint_velocity"),
    _kind("link_speed", *BOUNDS),
    _kind("resting"),
    _kind(
        "self_collision",
        "tests/limits/kinds/test_pairs.py",
        "tests/limits/kinds/test_too_near.py",
        "tests/limits/kernels/test_clear_in_motion.py",
    ),
    _kind("tcp_acceleration", *BOUNDS),
    _kind("tcp_rotation", *BOUNDS),
    _kind("tcp_speed", *BOUNDS),
    _kind("tracking"),
    _kind(
        "workspace",
        "tests/limits/kinds/test_volumes.py",
        "tests/limits/kinds/test_too_near.py",
        "tests/limits/kinds/test_peaks.py",
        "tests/limits/kinds/test_obstacles.py",
        "tests/limits/kinds/test_self_collision.py",
        "tests/limits/kernels/test_clear_in_motion.py",
    ),
    Target("limits/kernels/braking.py", BRAKING),
    Target("limits/certify.py", ("tests/limits/test_certify.py",)),
    Target("limits/tick.py", TICK),
    Target("limits/trial.py", TICK),
    Target("controller/decide.py", DECIDE, compiled=True),
    Target("controller/conclusion.py", DECIDE, compiled=True),
    Target("controller/usual.py", DECIDE, compiled=True),
)

# Of Cosmic Ray's, one for each way to go wrong: a comparison off by its boundary and the wrong way
# round, the other sign, the inverse factor, a number one too large, a condition negated or half
# dropped, a loop that does nothing. Its others are noticed at once (a shift of a float raises).
OPERATORS = tuple(
    f"core/{name}"
    for name in (
        "AddNot",
        "NumberReplacer",
        "ReplaceAndWithOr",
        "ReplaceBinaryOperator_Add_Sub",
        "ReplaceBinaryOperator_Div_Mul",
        "ReplaceBinaryOperator_Mul_Div",
        "ReplaceBinaryOperator_Pow_Mul",
        "ReplaceBinaryOperator_Sub_Add",
        "ReplaceBreakWithContinue",
        "ReplaceComparisonOperator_Eq_NotEq",
        "ReplaceComparisonOperator_GtE_Gt",
        "ReplaceComparisonOperator_GtE_Lt",
        "ReplaceComparisonOperator_Gt_GtE",
        "ReplaceComparisonOperator_Gt_LtE",
        "ReplaceComparisonOperator_IsNot_Is",
        "ReplaceComparisonOperator_Is_IsNot",
        "ReplaceComparisonOperator_LtE_Gt",
        "ReplaceComparisonOperator_LtE_Lt",
        "ReplaceComparisonOperator_Lt_GtE",
        "ReplaceComparisonOperator_Lt_LtE",
        "ReplaceComparisonOperator_NotEq_Eq",
        "ReplaceContinueWithBreak",
        "ReplaceFalseWithTrue",
        "ReplaceOrWithAnd",
        "ReplaceTrueWithFalse",
        "ReplaceUnaryOperator_Delete_Not",
        "ReplaceUnaryOperator_Delete_USub",
        "ZeroIterationForLoop",
    )
)

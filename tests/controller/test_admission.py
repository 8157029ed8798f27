"""Admission: each rule by its boundary, and every number that could be a NaN as one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.robots import slider

from checkrein.controller.admission import (
    command_fault,
    command_ticks,
    period_fault,
    state_fault,
)
from checkrein.controller.decision import Finding
from checkrein.limits import Command, RobotState
from checkrein.limits.core import Core
from checkrein.limits.records import COMMAND_ROWS_MAX, MODES, TCP_MODES, TCP_WIDTH, Mode

NOW = 10_000_000_000
MS = 1_000_000
ROBOT = slider()
CORE = Core(ROBOT)
HOME, _ = CORE.rest(ROBOT.home)
BAD = (math.nan, math.inf, -math.inf)


def judge_state(core: Core = CORE, **changes: Any) -> Finding | None:
    values: dict[str, Any] = {"q": ROBOT.home, "dq": np.zeros(2), "stamp_ns": NOW, **changes}
    return state_fault(core, RobotState(**values), HOME, NOW)


def named(finding: Finding | None) -> str:
    """The rule that was broken, or "" if none was."""
    return "" if finding is None else finding.limit


class TestState:
    def test_a_good_state_is_admitted(self) -> None:
        assert judge_state() is None
        extras: dict[str, Any] = {
            "tau": np.zeros(2),
            "tau_ext": np.zeros(2),
            "wrench_tcp": np.zeros(6),
        }
        assert judge_state(**extras) is None

    @pytest.mark.parametrize("size", [0, 1, 3])
    def test_lengths(self, size: int) -> None:
        for name in ("q", "dq"):
            wrong: dict[str, Any] = {name: np.zeros(size)}
            finding = judge_state(**wrong)
            assert finding is not None
            assert (finding.limit, finding.subject) == ("wrong_length", f"state.{name}")
            assert (finding.value, finding.bound) == (size, 2.0)
        assert named(judge_state(q=np.zeros((1, 2)))) == "wrong_length"
        assert named(judge_state(wrench_tcp=np.zeros(size))) == "wrong_length"
        assert named(judge_state(tau=np.zeros(size))) == "non_finite"

    @pytest.mark.parametrize("bad", BAD)
    def test_nothing_that_is_not_finite(self, bad: float) -> None:
        for name, size in (("q", 2), ("dq", 2), ("tau", 2), ("tau_ext", 2)):
            for index in range(size):
                values = np.array(ROBOT.home) if name == "q" else np.zeros(size)
                values[index] = bad
                wrong: dict[str, Any] = {name: values}
                assert named(judge_state(**wrong)) == "non_finite"
        for index in range(3):
            wrench = np.zeros(6)
            wrench[index] = bad
            assert named(judge_state(wrench_tcp=wrench)) == "contact_force"

    def test_age(self) -> None:
        age_max = ROBOT.timing.state_age_max_ms
        for age_ms, expected in (
            (0.0, ""),
            (age_max, ""),
            (age_max + 1e-6, "stale"),
            (1e12, "stale"),
            (-1e-6, "stale"),  # from the future: another clock
        ):
            assert named(judge_state(stamp_ns=NOW - round(age_ms * MS))) == expected

    def test_distance_from_the_command(self) -> None:
        q = np.array(ROBOT.home)
        q[1] += 1.01 * ROBOT.joints[1].tracking_error
        finding = judge_state(q=q)
        assert finding is not None
        assert (finding.limit, finding.subject, finding.unit) == ("tracking_error", "rail", "m")
        assert finding.value == pytest.approx(1.01 * finding.bound)
        assert finding.margin < 0.0

    def test_force(self) -> None:
        finding = judge_state(wrench_tcp=np.array([0.0, 0.0, -41.0, 0.0, 0.0, 0.0]))
        assert finding is not None
        assert (finding.limit, finding.value, finding.bound) == ("contact_force", 41.0, 40.0)
        assert "41 N against a bound of 40 N" in str(finding)
        turning = np.array([0.0, 0.0, 0.0, 99.0, 0.0, 0.0])  # torque is not force
        assert judge_state(wrench_tcp=turning) is None

    def test_a_force_that_must_be_there(self) -> None:
        required = replace(ROBOT, tcp=replace(ROBOT.tcp, force_required=True))
        finding = judge_state(Core(required))
        assert finding is not None
        assert finding.subject == "state.wrench_tcp is missing"
        assert judge_state(Core(required), wrench_tcp=np.zeros(6)) is None


@pytest.mark.parametrize(
    ("measured_ms", "admitted"),
    [(4.0, True), (2.0, True), (6.0, True), (1.99, False), (6.01, False), (0.0, False),
     (-4.0, False), (1e9, False)],
)  # fmt: skip
def test_period(measured_ms: float, admitted: bool) -> None:
    finding = period_fault(CORE, NOW, NOW + round(measured_ms * MS))
    assert (finding is None) == admitted
    if finding is not None:
        assert finding.value == pytest.approx(measured_ms)
        assert finding.bound in (2.0, 6.0)


def command(**changes: Any) -> Command:
    values: dict[str, Any] = {
        "mode": "joint_velocity", "values": np.zeros(2), "seq": 5, "stamp_ns": NOW, **changes,
    }  # fmt: skip
    return Command(**values)


def judge(seq_before: int | None = 4, **changes: Any) -> Finding | None:
    return command_fault(CORE, command(**changes), seq_before, NOW)


class TestCommand:
    def test_a_good_command_is_admitted(self) -> None:
        for mode in MODES:
            width = TCP_WIDTH if mode in TCP_MODES else 2
            assert judge(mode=mode, values=np.zeros(width)) is None
            assert judge(mode=mode, values=np.zeros((4, width)), period_ms=50.0) is None

    @pytest.mark.parametrize("mode", TCP_MODES)
    @pytest.mark.parametrize("shape", [(), (2,), (5,), (7,), (4, 2), (0, 6), (1, 1, 6)])
    def test_a_row_of_the_tool_is_six_numbers(self, mode: Mode, shape: tuple[int, ...]) -> None:
        finding = judge(mode=mode, values=np.zeros(shape), period_ms=1.0)
        assert named(finding) == "wrong_length"
        if shape == (2,) and finding is not None:  # as many as there are joints
            assert (finding.value, finding.bound) == (2.0, 6.0)

    @pytest.mark.parametrize("mode", ["", "joint_torque", "JOINT_VELOCITY", None, 0])
    def test_unknown_modes(self, mode: Any) -> None:
        assert named(judge(mode=mode)) == "unknown_mode"

    @pytest.mark.parametrize(
        "shape", [(), (0,), (1,), (3,), (4, 3), (0, 2), (COMMAND_ROWS_MAX + 1, 2), (1, 1, 2)]
    )
    def test_shapes(self, shape: tuple[int, ...]) -> None:
        assert named(judge(values=np.zeros(shape), period_ms=1.0)) == "wrong_length"

    def test_the_longest_chunk(self) -> None:
        assert judge(values=np.zeros((COMMAND_ROWS_MAX, 2)), period_ms=1.0) is None

    @pytest.mark.parametrize("bad", BAD)
    def test_nothing_that_is_not_finite(self, bad: float) -> None:
        for values in (np.zeros(2), np.zeros((3, 2))):
            for index in np.ndindex(values.shape):
                wrong = values.copy()
                wrong[index] = bad
                assert named(judge(values=wrong, period_ms=10.0)) == "non_finite"

    @pytest.mark.parametrize("duration", [*BAD, 0.0, -1.0, 1e300])
    def test_durations(self, duration: float) -> None:
        assert judge(valid_ms=duration) is not None
        assert judge(values=np.zeros((2, 2)), period_ms=duration) is not None

    def test_a_chunk_without_a_period(self) -> None:
        finding = judge(values=np.zeros((2, 2)))
        assert finding is not None
        assert "period_ms" in finding.subject

    def test_sequence_numbers_grow(self) -> None:
        assert named(judge(seq_before=5)) == "replayed"
        assert named(judge(seq_before=6)) == "replayed"
        assert judge(seq_before=4) is None
        assert judge(seq_before=None, seq=-7) is None

    def test_age_is_bounded_by_the_limits_and_by_the_command(self) -> None:
        for age_ms, valid_ms, expected in (
            (100.0, None, ""),
            (100.1, None, "stale"),
            (20.0, 20.0, ""),
            (20.1, 20.0, "stale"),
            (100.1, 5000.0, "stale"),  # it cannot allow itself more
            (-0.1, None, "stale"),
        ):
            stamp_ns = NOW - round(age_ms * MS)
            assert named(judge(stamp_ns=stamp_ns, valid_ms=valid_ms)) == expected


@pytest.mark.parametrize(
    ("changes", "ticks"),
    [
        ({}, 25),  # command_timeout_ms 100 at 4 ms
        ({"valid_ms": 20.0}, 5),
        ({"valid_ms": 1.0}, 1),  # the coming tick at least
        ({"valid_ms": 3_000_000.0}, 25),  # no longer life than the limits declare
        ({"values": np.zeros((16, 2)), "period_ms": 50.0}, 200),
        ({"values": np.zeros((16, 2)), "period_ms": 50.0, "valid_ms": 100.0}, 25),
        ({"values": np.zeros((1, 2)), "period_ms": 0.1}, 1),
    ],
)
def test_for_how_long_a_command_drives(changes: dict[str, Any], ticks: int) -> None:
    assert command_ticks(CORE, command(**changes), NOW) == ticks
    if "values" not in changes:  # age counts
        later = NOW + 4 * MS
        assert command_ticks(CORE, command(**changes), later) == max(1, ticks - 1)

"""The fuzzer presses a gripper's limits, and a filter that lets one of them go is found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checkrein.controller import Decision, SafetyFilter
from checkrein.controller.gripper import begun, seen, sent, state_fault
from checkrein.limits import GripperSetpoint, GripperState, Limits, RobotState
from checkrein.limits.errors import InputError
from checkrein.limits.records import Candidates
from checkrein.scripts.fuzz.campaign import Campaign, open_bench, run_campaign
from checkrein.scripts.fuzz.command import command
from checkrein.scripts.fuzz.doubles import ScorerDouble
from checkrein.scripts.fuzz.fingers import Hand, with_gripper
from checkrein.scripts.fuzz.limits_source import find
from checkrein.scripts.fuzz.replay import read_violation, replay, write_violation
from checkrein.scripts.fuzz.report import required_binds
from checkrein.scripts.fuzz.shard import Bench
from checkrein.scripts.fuzz.view import View
from checkrein.sim.oracle_gripper import fingers_of

SOURCE = with_gripper(find("xarm6"), 1)  # its commands are widths


@pytest.fixture(scope="module")
def bench() -> Bench:
    return open_bench(SOURCE, zero_margins=False)


class Altering(SafetyFilter):
    """What it asks of the gripper is changed on the way."""

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        decision = super().step(state, proposal, now_ns=now_ns)
        told = decision.setpoint.gripper
        if told is None:
            return decision
        altered = self.altered(told, decision)
        return replace(decision, setpoint=replace(decision.setpoint, gripper=altered))

    def altered(self, told: GripperSetpoint, decision: Decision) -> GripperSetpoint:
        return told


class LettingGo(Altering):
    """It opens when the arm stops."""

    def altered(self, told: GripperSetpoint, decision: Decision) -> GripperSetpoint:
        assert self.limits.gripper is not None
        is_stop = decision.stop_tick > 0
        return replace(told, position=self.limits.gripper.max_width) if is_stop else told


class Crushing(Altering):
    """It is stronger than declared."""

    def altered(self, told: GripperSetpoint, decision: Decision) -> GripperSetpoint:
        return replace(told, max_effort=told.max_effort * 1.01)


class Snapping(Altering):
    """It is open or closed, with no time in between."""

    def altered(self, told: GripperSetpoint, decision: Decision) -> GripperSetpoint:
        assert self.limits.gripper is not None
        low, high = self.limits.gripper.min_width, self.limits.gripper.max_width
        return replace(told, position=high if told.position > 0.5 * (low + high) else low)


class Gaping(Altering):
    """It opens further than declared."""

    def altered(self, told: GripperSetpoint, decision: Decision) -> GripperSetpoint:
        return replace(told, position=told.position + 1e-4)


class Trusting(SafetyFilter):
    """Whatever is measured of the gripper, it is told that all is well."""

    def step(self, state: RobotState, proposal: Candidates, *, now_ns: int) -> Decision:
        assert self.limits.gripper is not None
        state = replace(state, gripper=GripperState(self.limits.gripper.max_width, 0.0))
        return super().step(state, proposal, now_ns=now_ns)


def ran(bench: Bench, steps: int, kind: type[SafetyFilter] = SafetyFilter) -> Campaign:
    return run_campaign(SOURCE, steps=steps, seed=2, bench=with_filter(bench, kind))


def with_filter(bench: Bench, kind: type[SafetyFilter]) -> Bench:
    def make(limits: Limits, scorer: ScorerDouble | None) -> SafetyFilter:
        return kind(limits, scorer=scorer)

    return replace(bench, make_filter=make)


def test_the_limits_bind_and_hold(bench: Bench) -> None:
    campaign = ran(bench, 3000)
    assert not campaign.violations
    wanted = {"gripper_force", "gripper_speed", "gripper_width"}
    assert wanted <= set(required_binds(bench.robot, bench.poses)[0])
    assert min(campaign.binds[kind] for kind in wanted) > 100


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (LettingGo, "gripper_held"),
        (Crushing, "gripper_force"),
        (Snapping, "gripper_speed"),
        (Gaping, "gripper_width"),
        (Trusting, "gripper_state"),
    ],
)
def test_a_filter_that_lets_one_go_is_found_and_replayed(
    kind: type[SafetyFilter], found: str, bench: Bench, tmp_path: Path
) -> None:
    campaign = ran(bench, 3000 if kind is Trusting else 800, kind)
    assert campaign.violations[found] > 0
    assert campaign.failed is not None
    item = next(f for f in campaign.failed.found if f.violation.kind == found)
    path = tmp_path / "found.json"
    write_violation(path, item, source=SOURCE, seed=2, shard=0, zero_margins=False)
    again = replay(with_filter(bench, kind), read_violation(path))
    assert any(v.kind == found for v in again.violations)
    if item.run.kept is None:
        assert again.again
        sound = replay(bench, read_violation(path))
        assert not [v for v in sound.violations if v.kind.startswith("gripper")]


def test_limits_that_declare_one_keep_it() -> None:
    assert with_gripper(SOURCE, 5).raw == SOURCE.raw
    binary = [json.loads(with_gripper(find("xarm6"), k).raw)["gripper"] for k in range(8)]
    assert {section["command"] for section in binary} == {"width", "open_close"}


def test_a_campaign_with_changes_does_not_drive_it(tmp_path: Path) -> None:
    path = tmp_path / "gripping.json"
    path.write_bytes(SOURCE.raw)
    with pytest.raises(InputError, match="declare a gripper"):
        command(str(path), steps=10, changes=True)


def test_whatever_moves_them_meanwhile_a_filter_may_keep_what_they_were_told(bench: Bench) -> None:
    """A filter has measured them before the last way, and cannot see that they were moved back."""
    declared, fingers = bench.limits.gripper, fingers_of(json.loads(SOURCE.raw)["gripper"])
    assert declared is not None
    assert fingers is not None
    declared, fingers = replace(declared, width_error=0.002), replace(fingers, width_error_m=0.002)
    hand = Hand(fingers, View(bench.robot, bench.poses, np.random.default_rng(3)))
    grip, kept = None, 0
    for seq in range(4000):
        grip = begun(declared, grip, hand.arm(is_new_filter=grip is None), seq)
        kept += grip.setpoint is not None
        assert grip.setpoint in (None, hand.kept)
        told = GripperSetpoint(fingers.max_width_m * (seq % 2), 1.0)
        measured = hand.measure()
        is_fault = state_fault(declared, measured) is not None
        grip = sent(grip if is_fault else seen(grip, measured), None if is_fault else told, seq)
        hand.execute(grip.setpoint, is_followed=not is_fault)
    assert kept > 50

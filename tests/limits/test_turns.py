"""Continuous joints: wrapped readings, targets on every branch, no end, and rounding far out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drive import Rig, excess
from tests.robots import panda, turntable, with_joint, without_geometry

from checkrein.controller import BatchFilter, Outcome
from checkrein.limits import Limits
from checkrein.limits.canonical import canonical_bytes
from checkrein.limits.declared import CONTINUOUS_MAX_RAD
from checkrein.limits.errors import LimitsFileError
from checkrein.limits.frozen import parse_frozen
from checkrein.limits.loading import robots_folder
from checkrein.limits.records import Array
from checkrein.limits.turns import TURN_RAD, nearest_targets, unwrapped
from checkrein.sim.oracle_file import FrozenFileError, read_robot

ENDLESS: dict[str, Any] = {
    "type": "continuous",
    "min_position": -CONTINUOUS_MAX_RAD,
    "max_position": CONTINUOUS_MAX_RAD,
}


def endless(targets: str = "nearest", **changes: Any) -> Limits:
    """A turntable that turns without end."""
    return turntable(**ENDLESS, position_targets=targets, **changes)


def wrapped(q: Array) -> Array:
    return np.asarray(q - TURN_RAD * np.floor(q / TURN_RAD + 0.5))


@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))
def test_a_value_moves_by_whole_turns_to_the_nearest(q: float, near: float) -> None:
    where = np.array([True])
    (moved,) = unwrapped(np.array([q]), np.array([near]), where)
    assert abs(moved - near) <= math.pi + 1e-9
    turns = (moved - q) / TURN_RAD
    assert abs(turns - round(turns)) < 1e-9
    assert unwrapped(np.array([q]), np.array([near]), ~where) == [q]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_so(bad: float) -> None:
    where = np.array([True, True])
    moved = unwrapped(np.array([bad, 7.0]), np.zeros(2), where)
    assert not math.isfinite(moved[0])
    assert moved[1] == pytest.approx(7.0 - TURN_RAD)


def test_the_rows_of_a_chunk_follow_each_other() -> None:
    rows = np.array([[3.0], [3.1], [-3.1], [-3.0]])  # across ±π
    turned = nearest_targets(rows, np.array([2.0 * TURN_RAD + 2.9]), np.array([True]))
    assert np.abs(np.diff(turned[:, 0])).max() < 0.1
    assert turned[0, 0] == pytest.approx(2.0 * TURN_RAD + 3.0)


def test_it_turns_on_while_its_reading_wraps() -> None:
    rig = Rig(endless()).arm()
    for _ in range(int(12.0 / rig.limits.period_s)):
        decision = rig.tick(rig.velocity(1.0), q=wrapped(rig.q))
        assert decision.outcome in (Outcome.PASS, Outcome.CLAMP)
    assert rig.q[0] > 10.0
    assert {f.limit for d in rig.decisions for f in d.findings} <= {
        "joint_acceleration",
        "joint_jerk",
    }
    found = excess(rig.limits, rig.stream)
    assert max(found.values()) <= 0.0, found


@pytest.mark.parametrize("off", [0.3, math.pi - 0.01, math.pi + 0.01, 5.0])
def test_any_other_jump_stops(off: float) -> None:
    rig = Rig(endless()).arm()
    rig.run(1.0, 100)
    decision = rig.tick(rig.velocity(1.0), q=rig.q + off)
    assert decision.outcome is Outcome.STOP
    (finding,) = decision.findings
    assert finding.limit == "tracking_error"
    assert finding.value == pytest.approx(min(off, TURN_RAD - off), abs=1e-9)
    assert finding.unit == "rad"


def test_a_revolute_joint_does_not_wrap() -> None:
    rig = Rig(turntable()).arm()
    assert rig.tick(rig.velocity(0.1), q=rig.q + TURN_RAD).outcome is Outcome.STOP


@pytest.mark.parametrize(("targets", "end"), [("nearest", TURN_RAD - 3.0), ("literal", -3.0)])
def test_a_target_means_what_is_declared(targets: str, end: float) -> None:
    """At 3 rad, -3 rad is 0.28 rad ahead, or six back."""
    rig = Rig(endless(targets), q=[3.0]).arm()
    for _ in range(int(9.0 / rig.limits.period_s)):
        rig.tick(rig.command("joint_position", [-3.0]), q=wrapped(rig.q))
    assert rig.q[0] == pytest.approx(end, abs=1e-3)
    assert float(np.abs(np.diff(np.array(rig.stream), axis=0)).max()) < 0.02


def test_a_batch_decides_alike() -> None:
    limits = with_joint(without_geometry(panda()), 6, **ENDLESS, position_targets="nearest")
    home, target = limits.home.copy(), limits.home.copy()
    home[6], target[6] = 3.0, -3.0
    rig, batch = Rig(limits, q=home).arm(), BatchFilter(limits, 2, threads=1)
    period_ns = rig.period_ns
    every = np.tile(home, (2, 1))
    batch.arm(every, np.zeros((2, 7)), now_ns=rig.now_ns)
    for _ in range(60):
        measured = rig.q.copy()
        measured[6:] = wrapped(measured[6:])
        dq = rig.dq
        decision = rig.tick(rig.command("joint_position", target), q=measured)
        both = batch.step(
            np.tile(measured, (2, 1)), np.tile(dq, (2, 1)), np.tile(target, (2, 1)),
            mode="joint_position", now_ns=rig.now_ns,
        )  # fmt: skip
        assert np.array_equal(both.motion[1, :-1, 0], decision.setpoint.q)
    assert rig.q[6] > 3.0
    assert period_ns > 0


def test_far_out_only_rounding_grows() -> None:
    start = CONTINUOUS_MAX_RAD - 30.0
    rig = Rig(endless(), q=[start]).arm()
    for speed in (-1.0, 1.0, -1.0):
        for _ in range(int(1.0 / rig.limits.period_s)):
            rig.tick(rig.velocity(speed), q=wrapped(rig.q))
    rig.brake()
    found = excess(rig.limits, rig.stream)
    assert max(found.values()) <= 0.0, found


def test_the_vetting_of_a_chunk_begins_on_the_same_branch() -> None:
    rig = Rig(endless(), q=[3.13]).arm()
    values = np.linspace(3.131, 3.16, 10)[:, None]
    chunk = rig.command("joint_position", wrapped(values), period_ms=rig.limits.period_s * 1e4)
    vetted = rig.guard.vet_chunk(rig.state(), replace(chunk, stamp_ns=rig.now_ns))
    assert vetted.first_sample is None
    assert vetted.q[-1] > 3.13


def document(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((robots_folder() / "franka_panda.json").read_bytes())
    plain["classifier"] = {"none": "not under test"}
    joint = plain["joints"][6]
    del joint["min_position"], joint["max_position"]
    plain["joints"][6] = joint | {"type": "continuous", "position_targets": "nearest"} | changes
    return plain


class TestFrozen:
    def test_both_readers_agree(self) -> None:
        raw = canonical_bytes(document())
        limits, robot = parse_frozen(raw, "a test", Path()), read_robot(raw)
        joint = limits.joints[6]
        assert (joint.is_continuous, joint.max_position) == (True, CONTINUOUS_MAX_RAD)
        assert robot.continuous.tolist() == [False] * 6 + [True]
        assert robot.bounds["max_position"][6] == math.inf
        assert [side[6] for side in robot.span] == [-math.pi, math.pi]

    @pytest.mark.parametrize(
        "changes",
        [{"min_position": -1.0}, {"max_position": 1.0}, {"position_targets": "shortest"}],
    )
    def test_a_wrong_hand(self, changes: dict[str, Any]) -> None:
        raw = canonical_bytes(document(**changes))
        with pytest.raises(LimitsFileError, match="position"):
            parse_frozen(raw, "a test", Path())
        with pytest.raises(FrozenFileError, match="position"):
            read_robot(raw)

    def test_a_range_is_not_left_out_elsewhere(self) -> None:
        plain = document()
        del plain["joints"][0]["min_position"]
        with pytest.raises(LimitsFileError, match="both of a revolute joint"):
            parse_frozen(canonical_bytes(plain), "a test", Path())
        plain = document()
        plain["joints"][0]["position_targets"] = "nearest"
        with pytest.raises(LimitsFileError, match="position_targets"):
            parse_frozen(canonical_bytes(plain), "a test", Path())


class TestDeclared:
    """In YAML; the small arm's wrist is continuous in its URDF."""

    @staticmethod
    def wrist(text: str) -> str:
        from tests.limits import small_arm

        old = "{type: revolute, min_position: -3.0, max_position: 3.0, max_velocity: 2.0,"
        assert old in small_arm.YAML
        return small_arm.YAML.replace(old, "{" + text + " max_velocity: 2.0,")

    def load(self, text: str, folder: Path) -> Limits:
        pytest.importorskip("pinocchio")
        from tests.limits import small_arm

        from checkrein.limits import load_limits

        return load_limits(small_arm.write(folder, self.wrist(text)))

    def test_it_is_frozen_with_its_targets(self, tmp_path: Path) -> None:
        limits = self.load("type: continuous, position_targets: literal,", tmp_path)
        wrist = limits.joints[3]
        assert (wrist.type, wrist.position_targets) == ("continuous", "literal")
        assert limits.provenance["joints.wrist.position_targets"] is not None

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("type: continuous,", "position_targets"),
            ("type: continuous, position_targets: literal, min_position: -3,", "type: revolute"),
            ("type: continuous, position_targets: short,", "position_targets"),
        ],
    )
    def test_what_is_wrong_names_the_way_out(self, text: str, named: str, tmp_path: Path) -> None:
        with pytest.raises(LimitsFileError, match=named):
            self.load(text, tmp_path)

    def test_only_what_is_continuous_in_the_urdf(self, tmp_path: Path) -> None:
        pytest.importorskip("pinocchio")
        from tests.limits import small_arm

        from checkrein.limits import load_limits

        old = "{type: revolute, min_position: -2.0, max_position: 2.0, max_velocity: 4.0,"
        assert old in small_arm.YAML
        new = "{type: continuous, position_targets: nearest, max_velocity: 4.0,"
        with pytest.raises(LimitsFileError, match=r"elbow\.type"):
            load_limits(small_arm.write(tmp_path, small_arm.YAML.replace(old, new)))

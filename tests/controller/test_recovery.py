"""From too near, back: slowly, only away, and everything else as declared; on a timeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.controller.ideal_robot import Stand
from tests.drive import Rig
from tests.robots import array, folding, half_space, panda, slider, with_joint

from checkrein.controller import Outcome
from checkrein.controller.audit import AuditLog, decode_record
from checkrein.controller.audit_replay import replay
from checkrein.controller.audit_writer import AuditFile
from checkrein.controller.errors import ArmError
from checkrein.controller.policy_client import Observation, PolicyClient
from checkrein.limits import Command, Limits, OnViolation, Volume
from checkrein.limits.core import Core
from checkrein.limits.easing import SLACK_M
from checkrein.limits.posture import clearances, pair_clearances
from checkrein.limits.records import Candidates


def walled(limits: Limits, *volumes: Volume, **changes: Any) -> Limits:
    return replace(limits, volumes=volumes, **changes)


def rail() -> Limits:
    """A rail of which the tip, at q + 0.14 m, is 30 mm beyond a wall where q is 0.5 m."""
    return walled(slider(), half_space("wall", [-1.0, 0.0, 0.0], -0.61, "keep_out"))


OUT, IN = [0.0, -0.5], [0.0, 0.5]


class TestArming:
    def test_without_being_asked_for_it_is_refused_and_says_how(self) -> None:
        rig = Rig(rail(), q=[0.0, 0.5])
        with pytest.raises(
            ArmError, match=r"workspace of link1/wall.*by hand, or arm with recover"
        ):
            rig.arm()
        assert rig.guard.memory is None

    def test_it_says_what_is_too_near_and_by_how_much(self) -> None:
        rig = Rig(rail(), q=[0.0, 0.5])
        found = rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)
        assert [finding.subject for finding in found] == ["workspace of link1/wall"]
        assert found[0].value == pytest.approx(-0.03, abs=1e-6)
        # standoff 2 mm, and what a tracking error of 1 mm of the rail adds
        assert found[0].margin == pytest.approx(-0.033, abs=1e-4)
        assert found == rig.guard.recovering

    def test_where_nothing_is_too_near_there_is_nothing_to_recover(self) -> None:
        rig = Rig(rail(), q=[0.0, 0.3])
        assert rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True) == ()
        assert rig.run(OUT, 20).outcome is Outcome.PASS
        assert np.abs(rig.dq).max() > 0.1

    def test_what_easing_cannot_help_is_refused_all_the_same(self) -> None:
        weak = with_joint(rail(), 0, max_effort=1e-3)
        gravity = replace(weak.kinematics, gravity=array([0.0, -9.81, 0.0]))
        rig = Rig(replace(weak, kinematics=gravity), q=[0.0, 0.5])
        with pytest.raises(ArmError, match="joint_effort of column"):
            rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)

    def test_so_deep_in_a_box_that_no_distance_tells_how_deep_it_is_refused(self) -> None:
        box = Volume(
            "crate", "keep_out", "box", OnViolation.CLAMP, (), center=array([0.45, 0.0, 0.5]),
            rotation=array(np.eye(3)), half_extents=array([0.2, 0.2, 0.2]),
        )  # fmt: skip
        rig = Rig(walled(slider(), box), q=[0.0, 0.5])
        with pytest.raises(ArmError, match=r"link1/crate.*depth is not known.*by hand, then arm"):
            rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)


class TestWayBack:
    def start(self) -> Rig:
        rig = Rig(rail(), q=[0.0, 0.5])
        rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)
        return rig

    def test_away_is_let_through_slowly_and_then_it_is_well(self) -> None:
        rig = self.start()
        while rig.guard.recovering and len(rig.stream) < 3000:
            rig.tick(rig.velocity(OUT))
        assert len(rig.stream) > 50
        q = np.array(rig.stream)[:, 1]
        assert (np.diff(q) <= 1e-12).all()
        assert (np.abs(np.diff(q)) <= 0.1 * rig.limits.period_s + 1e-12).all()
        assert 0.46 < q[-1] < 0.468
        assert Core(rig.limits).recertify(rig.guard.memory.motion) is None  # type: ignore[union-attr]
        rig.run(OUT, 60)
        assert abs(rig.dq[1]) > 0.3  # as fast as ever
        rig.run(IN, 800)
        assert Core(rig.limits).clearance(rig.q) > rig.limits.standoff

    @pytest.mark.parametrize("speed", [IN, [1.0, 0.5], [0.0, 0.01], [0.02, 2.0]])
    def test_further_in_nothing_moves(self, speed: list[float]) -> None:
        rig = self.start()
        before = rig.q
        for _ in range(60):
            assert rig.tick(rig.velocity(speed)).outcome is Outcome.CLAMP
        assert clearances(rig.limits, rig.q[None]).min() >= -0.03 - SLACK_M
        np.testing.assert_allclose(rig.q, before, atol=2e-3)
        kinds = {finding.limit for finding in rig.decisions[-1].findings}
        assert kinds & {"workspace", "recovery"}

    @pytest.mark.parametrize("speed", [[0.5, 0.0], [-1.0, 0.0]])
    def test_sideways_is_let_through_where_it_leads_away(self, speed: list[float]) -> None:
        """A turn of the column, of which the rail points straight at the wall, takes it away."""
        rig, gaps = self.start(), [-0.03]
        for _ in range(120):
            rig.tick(rig.velocity(speed))
            gaps.append(float(clearances(rig.limits, rig.q[None]).min()))
        assert abs(rig.q[0]) > 0.03
        assert (np.diff(gaps) >= -1e-9).all()

    def test_what_was_gained_is_not_given_up(self) -> None:
        rig = self.start()
        rig.run(OUT, 40)
        rig.brake()
        assert rig.guard.recovering
        gained = rig.q[1]
        assert gained < 0.497
        rig.run(IN, 200)
        assert rig.q[1] <= gained + SLACK_M

    def test_silence_moves_nothing(self) -> None:
        rig = self.start()
        for _ in range(30):
            rig.tick()
        np.testing.assert_array_equal(rig.q, [0.0, 0.5])

    def test_another_wall_is_kept_as_declared(self) -> None:
        """The way out of one volume leads into another: it stops before it, at its full margins."""
        behind = half_space("behind", [1.0, 0.0, 0.0], 0.43, "keep_out")
        limits = walled(slider(), *rail().volumes, replace(behind, exempt=("link0",)))
        q = [0.0, 0.5]
        tail = clearances(limits, np.array([q]))[0, 1, 1]
        assert 0.0 < tail < 0.2
        rig = Rig(limits, q=q)
        rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)
        rig.run(OUT, 2500)
        for position in rig.stream[::10]:
            assert clearances(limits, position[None])[0, 1, 1] > limits.standoff
        assert rig.guard.memory is not None

    def test_a_stop_that_latches_on_the_way_is_reset_and_armed_again(self) -> None:
        rig = self.start()
        rig.run(OUT, 40)
        assert rig.tick(q=[3.0, 0.4]).stop_state.latched
        while rig.decisions[-1].stop_state.phase != "at_rest":
            rig.tick()
        rig.guard.reset()
        assert rig.guard.recovering == ()
        with pytest.raises(ArmError):
            rig.arm()
        assert len(rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)) == 1
        rig.run(OUT, 600)
        assert not rig.guard.recovering


def test_over_zmq_the_operator_asks_for_it_and_the_file_replays(tmp_path: Path) -> None:
    limits, records = replace(rail(), home=array([0.0, 0.5])), list[bytes]()

    def submit(data: bytes, wait_ms: float) -> bool:
        records.append(data)
        return True

    def outwards(seen: Observation, client: PolicyClient) -> Candidates:
        return Command("joint_velocity", np.array(OUT), seen.tick + 1, seen.now_ns)

    with Stand(limits, tmp_path, outwards, audit=AuditLog(submit)) as stand:
        stand.link.start(20_000.0)
        stand.link.reset()
        assert stand.tick().source != "arm"
        stand.link.reset(recover=True)
        assert stand.tick().source == "arm"
        for _ in range(150):
            stand.tick()
        report = stand.stop()
    assert stand.q[1] < 0.45
    assert any("or arm with recover=True" in why for why in report.rejected_robot)
    with AuditFile(tmp_path / "audit.mcap") as file:
        for data in records:
            file.append(data, decode_record(data).now_ns)
    again = replay(tmp_path / "audit.mcap", limits)
    assert again.is_exact, again.problems
    assert again.decisions > 100


def test_links_that_are_too_near_to_each_other_part_again() -> None:
    robot = folding(replace(panda(), volumes=()), ("panda_link2", "panda_hand"), standoff=0.02)
    core, rng = Core(robot), np.random.default_rng(3)
    low = np.array([j.min_position + 0.3 for j in robot.joints])
    high = np.array([j.max_position - 0.3 for j in robot.joints])
    every = rng.uniform(low, high, (4000, 7))
    near = pair_clearances(robot, every).min(axis=1)
    q = next(q for q in every[(near > -0.02) & (near < 0.015)] if core.rest(q)[1] is not None)
    gap = float(pair_clearances(robot, q[None]).min())
    rig = Rig(robot, q=q)
    found = rig.guard.arm(rig.state(), now_ns=rig.now_ns, recover=True)
    assert {finding.subject for finding in found} == {"self_collision of panda_link2/panda_hand"}
    # Up the slope of the distance, and down again a quarter of the time.
    best, worst = gap, gap
    for tick in range(1500):
        away = np.zeros(7)
        for i in range(7):
            step = np.zeros(7)
            step[i] = 1e-4
            more = float(pair_clearances(robot, (rig.q + step)[None]).min())
            away[i] = more - float(pair_clearances(robot, rig.q[None]).min())
        away *= 0.3 / max(1e-12, float(np.abs(away).max()))
        rig.tick(rig.velocity(away if tick % 40 < 30 else -away))
        now = float(pair_clearances(robot, rig.q[None]).min())
        worst, best = min(worst, now), max(best, now)
        if not rig.guard.recovering:
            break
    assert not rig.guard.recovering
    assert worst >= gap - SLACK_M
    assert core.recertify(rig.guard.memory.motion) is None  # type: ignore[union-attr]

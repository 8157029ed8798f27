"""The controller process: lock-step, what it refuses, what it never lets out."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from checkrein.controller.audit import AuditLog
from checkrein.controller.decision import Decision
from checkrein.controller.driver import Segment
from checkrein.controller.errors import PeerLostError
from checkrein.controller.policy_client import Observation, PolicyClient
from checkrein.controller.robot_link import RobotLink
from checkrein.controller.service import quiet_garbage_collection
from checkrein.limits.declared import Limits
from checkrein.limits.loading import load_limits
from checkrein.limits.records import Candidates, Command, RobotState

from .ideal_robot import Policy, Stand, swinging

TICKS = 150


@pytest.fixture(scope="module")
def limits() -> Limits:
    return load_limits("xarm6")


def ticks_of(stand: Stand, count: int) -> None:
    for _ in range(count):
        stand.tick()


def scripted(commands: dict[int, Candidates], seen_decisions: list[Decision]) -> Policy:
    """Proposes what is listed for the n-th tick since the first, and notes decisions."""
    first = [-1]

    def policy(seen: Observation, client: PolicyClient) -> Candidates:
        if first[0] < 0:
            first[0] = seen.tick
        if seen.decision is not None:
            seen_decisions.append(seen.decision)
        proposal = commands.get(seen.tick - first[0])
        if isinstance(proposal, Command) and proposal.stamp_ns < 0:
            values = (proposal.mode, proposal.values, proposal.seq, seen.now_ns)
            return Command(*values, valid_ms=proposal.valid_ms)
        return proposal

    return policy


def test_it_moves_and_every_setpoint_is_played(limits: Limits, tmp_path: Path) -> None:
    with Stand(limits, tmp_path, swinging()) as stand:
        stand.start()
        ticks_of(stand, TICKS)
        report = stand.stop()
    assert report.ticks == TICKS + 1
    assert {segment.source for segment in stand.segments[1:]} == {"setpoint"}
    assert float(np.abs(stand.q - limits.home).max()) > 0.01
    assert not stand.link.agent.rejected
    assert not stand.link.rejected


def test_lock_step_gives_the_same_bits_for_the_same_seed(limits: Limits, tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with Stand(limits, tmp_path / name, swinging(3)) as stand:
            stand.start()
            ticks_of(stand, TICKS)
            stand.stop()
        runs.append(np.array([segment.q_end for segment in stand.segments]))
    np.testing.assert_array_equal(runs[0], runs[1])


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        (np.full(6, np.nan), "non_finite"),
        (np.full(6, np.inf), "non_finite"),
        (np.zeros(5), "wrong_length"),
        (np.zeros(0), "wrong_length"),
    ],
    ids=["nan", "inf", "five", "none"],
)
def test_trap_08_a_bad_proposal_is_refused_with_a_finding(
    values: np.ndarray, limit: str, limits: Limits, tmp_path: Path
) -> None:
    decisions: list[Decision] = []
    bad = Command("joint_velocity", values, 7, -1)
    with Stand(limits, tmp_path, scripted({10: bad}, decisions)) as stand:
        stand.start()
        ticks_of(stand, 20)
        stand.stop()
    refused = [d for d in decisions if any(f.limit == limit for f in d.findings)]
    assert [d.outcome.value for d in refused] == ["refuse"]


@pytest.mark.parametrize("data", [b"rubbish", b"\x81\xa6format\x02", b""], ids=repr)
def test_a_frame_that_is_none_is_refused_with_a_finding(
    data: bytes, limits: Limits, tmp_path: Path
) -> None:
    decisions: list[Decision] = []

    def policy(seen: Observation, client: PolicyClient) -> Candidates:
        if seen.decision is not None:
            decisions.append(seen.decision)
        if seen.tick == 10:
            client._link.send(data)  # in the place of its answer
            after = client.observe()
            if after is not None and after.decision is not None:
                decisions.append(after.decision)
        return None

    with Stand(limits, tmp_path, policy) as stand:
        stand.start()
        ticks_of(stand, 20)
        report = stand.stop()
    assert report.unreadable == 1
    assert sum(report.rejected_policy.values()) == 1
    refused = [d for d in decisions if any(f.limit == "wrong_length" for f in d.findings)]
    assert len(refused) == 1


def test_trap_20_a_stamp_of_another_clock_is_stale_or_from_the_future(
    limits: Limits, tmp_path: Path
) -> None:
    decisions: list[Decision] = []
    wall = 1_700_000_000_000_000_000  # what a policy's own clock might say
    commands: dict[int, Candidates] = {
        5: Command("joint_velocity", np.full(6, 0.1), 1, wall),
        10: Command("joint_velocity", np.full(6, 0.1), 2, 0),
    }
    with Stand(limits, tmp_path, scripted(commands, decisions)) as stand:
        stand.now_ns = 10**9
        stand.start()
        ticks_of(stand, 20)
        stand.stop()
    stale = [f for d in decisions for f in d.findings if f.limit == "stale"]
    assert len(stale) == 2
    np.testing.assert_array_equal(stand.q, limits.home)


def test_silence_of_the_policy_ends_in_rest_and_it_may_resume(
    limits: Limits, tmp_path: Path
) -> None:
    go = Command("joint_velocity", np.full(6, 0.3), 1, -1, valid_ms=60.0)
    again = Command("joint_velocity", np.full(6, -0.3), 2, -1, valid_ms=60.0)
    decisions: list[Decision] = []
    with Stand(limits, tmp_path, scripted({2: go, 90: again}, decisions)) as stand:
        stand.start()
        ticks_of(stand, 12)
        assert float(np.abs(stand.dq).max()) > 0.01
        ticks_of(stand, 70)
        np.testing.assert_array_equal(stand.dq, np.zeros(6))
        ticks_of(stand, 15)
        assert float(np.abs(stand.dq).max()) > 0.0
        stand.stop()


def test_frames_that_are_lost_play_the_stop_and_it_resumes(limits: Limits, tmp_path: Path) -> None:
    with Stand(limits, tmp_path, swinging()) as stand:
        stand.start()
        ticks_of(stand, 40)
        for _ in range(3):
            stand.link.agent.tick(None)  # the robot's side heard nothing for three ticks
            stand.now_ns += round(limits.period_s * 1e9)
        stand.q, stand.dq = stand.link.agent.position, stand.link.agent._dq
        ticks_of(stand, 3)
        assert stand.segments[-1].source == "setpoint"
        report = stand.stop()
    assert report.findings["period"] == 1
    assert not stand.link.agent.rejected


def test_a_latched_stop_needs_the_operator(limits: Limits, tmp_path: Path) -> None:
    with Stand(limits, tmp_path, swinging()) as stand:
        stand.start()
        ticks_of(stand, 30)
        force = np.array([2.0 * limits.tcp.max_force, 0.0, 0.0, 0.0, 0.0, 0.0])
        stand.tick(RobotState(q=stand.q, dq=stand.dq, stamp_ns=stand.now_ns, wrench_tcp=force))
        assert not stand.link.is_moving_allowed
        stand.link.reset()  # too early: it still moves
        ticks_of(stand, 80)
        assert stand.link.agent.is_at_rest
        assert not stand.link.is_moving_allowed
        stand.link.reset()
        assert stand.tick().source == "arm"
        ticks_of(stand, 60)
        assert float(np.abs(stand.dq).max()) > 0.01
        report = stand.stop()
    assert report.armed == 2
    assert report.rejected_robot["reset while nothing is latched at rest"] == 1


def test_a_robot_for_other_limits_is_not_welcome(limits: Limits, tmp_path: Path) -> None:
    with Stand(limits, tmp_path, swinging()) as stand:
        stand.link.close()
        stand.link = stand.new_link(1000.0, limits_sha256="0" * 64)
        with pytest.raises(PeerLostError, match="limits_sha256"):
            stand.link.start(20_000.0)
        stand.stop()


def test_a_new_session_starts_with_a_filter_that_remembers_nothing(
    limits: Limits, tmp_path: Path
) -> None:
    with Stand(limits, tmp_path, swinging()) as stand:
        stand.start()
        ticks_of(stand, 30)
        before = stand.link.welcome
        stand.q, stand.dq = limits.home, np.zeros(6)
        after = stand.link.start(20_000.0, stand.new_agent())
        assert before is not None
        assert (after.run, before.run) == (2, 1)
        assert after.session != before.session
        assert stand.tick().source == "hold"  # not armed yet
        stand.link.reset()
        assert stand.tick().source == "arm"
        ticks_of(stand, 30)
        stand.stop()


def test_what_is_not_recorded_does_not_leave(limits: Limits, tmp_path: Path) -> None:
    """Audit queue full: no setpoint leaves, the robot plays its stop, rests, and stays latched."""
    room = [60]

    def submit(record: bytes, wait_ms: float) -> bool:
        room[0] -= 1
        return room[0] >= 0

    with Stand(limits, tmp_path, swinging(), audit=AuditLog(submit)) as stand:
        stand.start()
        ticks_of(stand, 140)
        room[0] = 1000  # room again: too late, a record is missing
        ticks_of(stand, 10)
        report = stand.stop()
    assert report.halted is not None
    assert "audit queue" in report.halted
    sources = [segment.source for segment in stand.segments]
    assert sources.count("setpoint") == 60 - 3  # header, start and arm come first
    assert stand.link.agent.is_at_rest
    assert stand.link.agent.latched is not None


def test_trap_23_no_garbage_collection_within_ticks(limits: Limits, tmp_path: Path) -> None:
    collections: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        collections.append(phase)

    with Stand(limits, tmp_path, swinging()) as stand:
        stand.start()
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 1000
        gc.callbacks.append(note)
        try:
            ticks_of(stand, TICKS)
        finally:
            gc.callbacks.remove(note)
        stand.stop()
    assert not collections


def test_trap_23_after_freezing_a_collection_has_nothing_to_look_at() -> None:
    try:
        quiet_garbage_collection()
        assert gc.collect() == 0
        assert sum(gc.get_count()) < 100
    finally:
        gc.enable()
        gc.unfreeze()


def test_trap_23_nothing_that_draws_or_writes_files_is_loaded_by_the_controller() -> None:
    code = (
        "import sys, checkrein.controller.service; "
        "print([m for m in ('rich', 'typer', 'mcap', 'plotly', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_trap_24_the_policy_sees_what_was_executed(limits: Limits, tmp_path: Path) -> None:
    seen_pairs: list[tuple[np.ndarray, np.ndarray]] = []
    base = swinging()

    def policy(seen: Observation, client: PolicyClient) -> Candidates:
        if seen.decision is not None:
            seen_pairs.append((seen.decision.setpoint.q, seen.state.q))
        return base(seen, client)

    with Stand(limits, tmp_path, policy) as stand:
        stand.start()
        ticks_of(stand, 50)
        stand.stop()
    assert len(seen_pairs) > 40
    for decided, measured in seen_pairs:
        np.testing.assert_array_equal(decided, measured)


def test_an_exchange_in_two_halves_is_the_same_exchange(limits: Limits, tmp_path: Path) -> None:
    """What the caller does between the halves is its own business; a segment always comes."""
    ends = []
    for folder, halves in (("whole", False), ("halves", True)):
        (tmp_path / folder).mkdir()
        go = Command("joint_velocity", np.full(len(limits.joints), 0.2), seq=1, stamp_ns=0)
        with Stand(limits, tmp_path / folder, scripted({2: go}, [])) as stand:
            if halves:
                link = stand.link

                def exchange(state: RobotState, *, now_ns: int, link: RobotLink = link) -> Segment:
                    link.report(state, now_ns=now_ns)
                    time.sleep(0.001)
                    return link.segment()

                stand.link.exchange = exchange  # type: ignore[method-assign]
            stand.start()
            ticks_of(stand, 20)
            ends.append([segment.q_end.tobytes() for segment in stand.segments])
            unasked = stand.link.segment()  # no report: nothing is waited for
            assert unasked.source in ("stop", "hold")
    assert ends[0] == ends[1]
    assert len(set(ends[0])) > 5  # it moved


def test_a_controller_that_was_late_once_is_waited_for_again(
    limits: Limits, tmp_path: Path
) -> None:
    """Its late answer lies there at the next exchange: too late for that, but it is back."""
    swing = swinging()

    def policy(seen: Observation, client: PolicyClient) -> Candidates:
        time.sleep(0.5 if seen.tick == 20 else 0.01)
        return swing(seen, client)

    with Stand(limits, tmp_path, policy) as stand:
        stand.start()
        stand.link.patience_ms = 100.0
        ticks_of(stand, 30)
        answering = [stand.link.is_answering]
        time.sleep(1.0)
        stand.link.patience_ms = 5000.0
        ticks_of(stand, 20)
        answering.append(stand.link.is_answering)
        assert answering == [False, True]
        assert stand.segments[-1].source == "setpoint"

"""The gripper beside the filter: frames, the agent, the bus, the audit and its replay."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.controller.ideal_robot import Stand
from tests.controller.test_agent import Timeline
from tests.controller.test_frames import ALL, N, make_setpoint, make_state
from tests.gripping import Hand, assert_gripped_within, gripping, towards
from tests.robots import turntable

from checkrein.controller.audit import AuditLog, decode_record
from checkrein.controller.audit_replay import replay
from checkrein.controller.audit_writer import AuditFile
from checkrein.controller.decision_frame import decode_decision, encode_decision
from checkrein.controller.errors import RemoteError
from checkrein.controller.frames import (
    Frame,
    ProposalFrame,
    SetpointFrame,
    StateFrame,
    decode,
    encode,
)
from checkrein.controller.policy_client import Observation, PolicyClient
from checkrein.limits import Command, Executed, GripperSetpoint, GripperState, RobotState

SETPOINT = replace(make_setpoint(), gripper=GripperSetpoint(0.0123, 17.0))
COMMAND = Command(
    "joint_velocity", np.ones((3, N)), 3, 9, period_ms=100.0, gripper=towards([0.0, math.nan, 1.0])
)
FRAMES: list[Frame] = [
    StateFrame("s", 1, 2, 3, replace(make_state(), gripper=GripperState(math.nan, None))),
    StateFrame("s", 1, 2, 3, replace(make_state(), gripper=GripperState(0.05, -3.0))),
    ProposalFrame("s", 0, 2, (COMMAND, replace(COMMAND, gripper=towards(0.1, 20.0)))),
    SetpointFrame("s", 5, 2, 1, Executed(4, 2), SETPOINT, "cat2", False),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_frames_carry_it_bit_for_bit(frame: Frame) -> None:
    data = encode(frame)
    again = decode(data, joints=N, kinds=ALL)
    assert encode(again) == data
    if isinstance(frame, SetpointFrame) and isinstance(again, SetpointFrame):
        assert again.setpoint.gripper == frame.setpoint.gripper


def test_without_a_gripper_frames_are_what_they_were() -> None:
    frame = SetpointFrame("s", 5, 2, 1, Executed(4, 2), make_setpoint(), "cat2", False)
    assert "gripper" not in msgspec.msgpack.decode(encode(frame))["setpoint"]
    assert b"gripper" not in encode(StateFrame("s", 1, 2, 3, make_state()))
    bare = Command("joint_velocity", np.ones(N), 3, 9)
    assert b"gripper" not in encode(ProposalFrame("s", 0, 2, (bare,)))


@pytest.mark.parametrize(
    "part", [(math.nan, 1.0), (0.01, math.inf), (0.01, -1.0), (-math.inf, 1.0), (0.01, math.nan)]
)
def test_a_robot_is_never_sent_what_it_cannot_play(part: tuple[float, float]) -> None:
    setpoint = replace(SETPOINT, gripper=GripperSetpoint(*part))
    data = encode(SetpointFrame("s", 5, 2, 1, Executed(4, 2), setpoint, "cat2", False))
    with pytest.raises(RemoteError, match="gripper"):
        decode(data, joints=N, kinds=ALL)


def test_positions_that_do_not_fill_their_shape_are_no_frame() -> None:
    fields = msgspec.msgpack.decode(encode(FRAMES[2]))
    fields["candidates"][0]["gripper"]["shape"] = [4]
    with pytest.raises(RemoteError, match=r"gripper\.position: 24 bytes, expected 32"):
        decode(msgspec.msgpack.encode(fields), joints=N, kinds=ALL)


# the agent ---------------------------------------------------------------------------------------


def gripped(line: Timeline, position: float | None) -> SetpointFrame:
    frame = line.frame()
    part = None if position is None else GripperSetpoint(position, 20.0)
    return replace(frame, setpoint=replace(frame.setpoint, gripper=part))


def test_the_agent_plays_it_and_holds_it_when_nothing_comes() -> None:
    line = Timeline()
    assert line.play(gripped(line, None)).gripper is None
    assert line.play(gripped(line, 0.03)).gripper == GripperSetpoint(0.03, 20.0)
    assert line.play(gripped(line, None)).gripper == GripperSetpoint(0.03, 20.0)
    for _ in range(60):
        assert line.play(None).gripper == GripperSetpoint(0.03, 20.0)
    assert line.latch() is not None
    assert line.agent.is_at_rest
    line.seq += 1
    assert line.arm().gripper == GripperSetpoint(0.03, 20.0)
    assert line.agent.latched is None


def test_frames_that_are_not_believed_move_no_finger() -> None:
    line = Timeline()
    line.play(gripped(line, 0.03))
    changes: tuple[dict[str, Any], ...] = (
        {"session": "other"}, {"continues_from": Executed(9, 9)}, {"latched": True},
    )  # fmt: skip
    for wrong in changes:
        assert line.play(replace(gripped(line, 0.08), **wrong)).gripper == GripperSetpoint(
            0.03, 20.0
        )
    assert line.agent.rejected["a latched stop that moves the gripper"] == 1


def test_a_latched_frame_that_holds_it_is_played() -> None:
    line = Timeline()
    line.play(gripped(line, 0.03))
    assert line.play(replace(gripped(line, 0.03), latched=True)).source == "setpoint"
    assert line.play(replace(gripped(line, None), latched=True)).source == "setpoint"


# the bus, the audit ------------------------------------------------------------------------------


def closing(seen: Observation, client: PolicyClient) -> Command:
    return Command(
        "joint_velocity", np.array([0.2]), seen.tick + 1, seen.now_ns, gripper=towards(0.0, 15.0)
    )


def test_over_the_bus_it_closes_and_holds_when_the_measurement_is_lost(tmp_path: Path) -> None:
    limits = gripping(turntable())
    with Stand(limits, tmp_path, closing) as stand:
        width, told = 0.05, []

        def tick(gripper: GripperState | None) -> GripperSetpoint | None:
            state = RobotState(stand.q, stand.dq, stand.now_ns, gripper=gripper)
            return stand.tick(state).gripper

        stand.link.start(20_000.0)
        stand.link.reset()
        assert tick(GripperState(width)) is None
        for _ in range(40):
            told.append(tick(GripperState(width)))
            width = told[-1].position if told[-1] is not None else width
        assert_gripped_within(limits, told, 0.05)
        held = told[-1]
        assert held is not None
        assert held.max_effort == 15.0
        assert held.position < 0.05
        assert [tick(None) for _ in range(30)] == [held] * 30
        assert not stand.dq.any()
        assert not stand.link.agent.rejected
        assert stand.stop().findings["non_finite"] > 0


def test_the_audit_replays_all_of_it(tmp_path: Path) -> None:
    limits, records = gripping(turntable()), list[bytes]()

    def submit(data: bytes, wait_ms: float) -> bool:
        records.append(data)
        return True

    log, robot, rng = AuditLog(submit), Hand(gripping(turntable())), np.random.default_rng(7)
    rig = robot.rig
    log.header(limits)
    log.start("s", now_ns=rig.now_ns)
    log.arm("s", 0, rig.state(gripper=robot.measured()), now_ns=rig.now_ns)
    for tick in range(300):
        part = towards(float(rng.uniform(-0.02, 0.1)), float(rng.uniform(0.0, 60.0)))
        proposal = rig.velocity(0.3, gripper=part if tick % 7 else None)
        measured = None if tick == 150 else robot.measured()
        q, dq = rig.q, rig.dq
        if tick == 250:
            rig.guard.reset()
            log.reset("operator", now_ns=rig.now_ns)
            robot.arm()
            log.arm("s", tick, rig.state(gripper=measured), now_ns=rig.now_ns)
        decision = robot.tick(proposal, gripper=measured)
        encoded = encode_decision("s", tick, decision)
        again = decode_decision(encoded, joints=1).decision
        assert again.setpoint.gripper == decision.setpoint.gripper
        state = rig.state(q=q, dq=dq, gripper=measured)
        log.decision("s", tick, state, (proposal,), encoded, now_ns=rig.now_ns)
    log.close("over")
    path = tmp_path / "gripped.mcap"
    with AuditFile(path) as file:
        for data in records:
            file.append(data, decode_record(data).now_ns)
    replayed = replay(path, limits)
    assert replayed.decisions == 300
    assert replayed.is_exact, replayed.problems
    found = {finding.limit for d in rig.decisions for finding in d.findings}
    assert {"gripper_width", "gripper_speed", "gripper_force", "non_finite"} <= found

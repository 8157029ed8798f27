"""Frames: what may pass a decoder, what dies there, and that nothing is lost on the way."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from checkrein.controller.decision import (
    Decision,
    Finding,
    Outcome,
    StopCategory,
    StopStatus,
)
from checkrein.controller.decision_frame import decode_decision, encode_decision
from checkrein.controller.errors import NewerFormatError, RemoteError
from checkrein.controller.frames import (
    FORMAT,
    FRAME_BYTES_MAX,
    ArmFrame,
    ByeFrame,
    Frame,
    HelloFrame,
    ProposalFrame,
    ResetFrame,
    SetpointFrame,
    StateFrame,
    WelcomeFrame,
    decode,
    encode,
)
from checkrein.limits import Obstacles
from checkrein.limits.records import (
    Command,
    Executed,
    RobotState,
    Setpoint,
    StopMotion,
    TrackedObject,
)

N = 7
ALL = frozenset(
    {"hello", "welcome", "reset", "bye", "state", "setpoint", "arm", "proposal", "nothing"}
)


def make_setpoint(n: int = N, ddq: float = 0.5) -> Setpoint:
    q, dq, acceleration = np.linspace(-1.0, 1.0, n), np.full(n, 0.25), np.full(n, ddq)
    ticks = np.tile(np.array([3, 0, 2], dtype=np.int64), (n, 1))
    stop = StopMotion(
        q=q, dq=dq, ddq=acceleration, ticks=ticks, jerk=np.full((n, 3), -2.0), period_s=0.004
    )
    return Setpoint(q=q, dq=dq, ddq=acceleration, stop=stop)


def make_state(n: int = N) -> RobotState:
    return RobotState(
        q=np.linspace(0.0, 0.6, n),
        dq=np.linspace(0.0, -1.2, n),
        stamp_ns=12,
        tau=np.ones(n),
        wrench_tcp=np.arange(6.0),
        executed=Executed(4, 2),
        objects=(TrackedObject("box", np.arange(7.0)),),
        obstacles=Obstacles(np.ones((5, 3)), np.arange(5.0), 11, 0.5),
    )


def every_frame() -> list[Frame]:
    command = Command("joint_velocity", np.ones((4, N)), 3, 9, period_ms=100.0)
    return [
        HelloFrame(greeting="g", role="robot", name="arm", joints=N, limits_sha256="0" * 64),
        WelcomeFrame(
            greeting="g",
            session="s",
            run=1,
            limits_name="x",
            limits_sha256="0" * 64,
            joints=N,
            period_s=0.004,
            watchdog_ms=100.0,
            lockstep=True,
        ),
        ResetFrame(session="s"),
        ByeFrame(reason="over"),
        StateFrame("s", 1, 2, 3, make_state()),
        SetpointFrame("s", 5, 2, 1, Executed(4, 2), make_setpoint(), "cat2", False),
        ArmFrame("s", 5, 2, np.zeros(N)),
        ProposalFrame("s", 0, 2, (command, command)),
        ProposalFrame("s", 1, 3, None),
    ]


def tampered(frame: Frame, **changes: object) -> bytes:
    fields = msgspec.msgpack.decode(encode(frame))
    fields.update(changes)
    return msgspec.msgpack.encode(fields)


@pytest.mark.parametrize("frame", every_frame(), ids=lambda f: type(f).__name__)
def test_decoding_and_encoding_again_gives_the_same_bytes(frame: Frame) -> None:
    data = encode(frame)
    assert encode(decode(data, joints=N, kinds=ALL)) == data


@pytest.mark.parametrize("frame", every_frame(), ids=lambda f: type(f).__name__)
def test_format_is_the_first_field(frame: Frame) -> None:
    assert next(iter(msgspec.msgpack.decode(encode(frame)))) == "format"


@pytest.mark.parametrize("frame", every_frame(), ids=lambda f: type(f).__name__)
def test_a_newer_format_is_refused_and_both_are_named(frame: Frame) -> None:
    data = tampered(frame, format=FORMAT + 1, invented_since=1)
    with pytest.raises(NewerFormatError, match=rf"format {FORMAT + 1}.* format {FORMAT}"):
        decode(data, joints=N, kinds=ALL)


@pytest.mark.parametrize("frame", every_frame(), ids=lambda f: type(f).__name__)
def test_unknown_and_missing_fields_and_other_kinds_are_refused(frame: Frame) -> None:
    with pytest.raises(RemoteError, match="velocity_unit"):
        decode(tampered(frame, velocity_unit="deg"), joints=N, kinds=ALL)
    fields = msgspec.msgpack.decode(encode(frame))
    for name in ("format", "kind"):
        rest = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(RemoteError):
            decode(msgspec.msgpack.encode(rest), joints=N, kinds=ALL)
    with pytest.raises(RemoteError, match="not among"):
        decode(encode(frame), joints=N, kinds=ALL - {fields["kind"]})


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\x80", b"not msgpack", bytes(200), b"\x93" * 5000, b'{"format":1}'],
)
def test_rubbish_is_a_remote_error(data: bytes) -> None:
    with pytest.raises(RemoteError):
        decode(data, joints=N, kinds=ALL)


def test_every_cut_of_every_frame_is_a_remote_error() -> None:
    for frame in every_frame():
        data = encode(frame)
        for length in range(len(data)):
            with pytest.raises(RemoteError):
                decode(data[:length], joints=N, kinds=ALL)


def test_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(RemoteError, match=str(FRAME_BYTES_MAX)):
        decode(bytes(FRAME_BYTES_MAX + 1), joints=N, kinds=ALL)


@pytest.mark.parametrize("n", [6, 8])
def test_a_frame_for_another_number_of_joints_is_refused(n: int) -> None:
    setpoint = SetpointFrame("s", 5, 2, 1, Executed(4, 2), make_setpoint(n), "cat2", False)
    for frame in (StateFrame("s", 1, 2, 3, make_state(n)), setpoint):
        with pytest.raises(RemoteError):
            decode(encode(frame), joints=N, kinds=ALL)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_trap_08_nothing_non_finite_reaches_a_robot(value: float) -> None:
    bad = np.zeros(N)
    bad[3] = value
    good = make_setpoint()
    frame = SetpointFrame("s", 5, 2, 1, Executed(4, 2), good, "cat2", False)
    fields = msgspec.msgpack.decode(encode(frame))
    for name in ("q", "dq", "ddq"):
        changed = {**fields["setpoint"], name: bad.astype("<f8").tobytes()}
        with pytest.raises(RemoteError, match=name):
            decode(tampered(frame, setpoint=changed), joints=N, kinds=ALL)
    changed = {**fields["setpoint"], "stop_jerk": np.full((N, 3), value).tobytes()}
    with pytest.raises(RemoteError, match="stop_jerk"):
        decode(tampered(frame, setpoint=changed), joints=N, kinds=ALL)
    changed = {**fields["setpoint"], "period_s": value}
    with pytest.raises(RemoteError, match="period_s"):
        decode(tampered(frame, setpoint=changed), joints=N, kinds=ALL)
    with pytest.raises(RemoteError, match="q: not finite"):
        decode(encode(ArmFrame("s", 1, 1, bad)), joints=N, kinds=ALL)


def test_negative_and_endless_stops_are_refused() -> None:
    frame = SetpointFrame("s", 5, 2, 1, Executed(4, 2), make_setpoint(), "cat2", False)
    fields = msgspec.msgpack.decode(encode(frame))
    for ticks in (-1, 2**30):
        bad = np.full((N, 3), ticks, dtype="<i4").tobytes()
        changed = {**fields["setpoint"], "stop_ticks": bad}
        with pytest.raises(RemoteError, match="stop_ticks"):
            decode(tampered(frame, setpoint=changed), joints=N, kinds=ALL)


@pytest.mark.parametrize(
    "values",
    [
        np.full(N, np.nan),
        np.full((3, N), np.inf),
        np.zeros(N - 1),
        np.zeros((2, N + 3)),
        np.zeros(0),
        np.float64(1.0),
    ],
    ids=str,
)
def test_what_a_policy_says_passes_as_it_is_for_the_filter_to_refuse(values: np.ndarray) -> None:
    command = Command("joint_velocity", values, 1, 2, valid_ms=math.nan)
    data = encode(ProposalFrame("s", 0, 1, (command,)))
    frame = decode(data, joints=N, kinds=ALL)
    assert isinstance(frame, ProposalFrame)
    assert frame.candidates is not None
    received = frame.candidates[0]
    assert received.values.shape == np.shape(values)
    np.testing.assert_array_equal(received.values, values)
    assert received.valid_ms is not None
    assert math.isnan(received.valid_ms)


def test_a_policy_cannot_claim_another_shape_than_it_sends() -> None:
    frame = ProposalFrame("s", 0, 1, (Command("joint_velocity", np.zeros(N), 1, 2),))
    fields = msgspec.msgpack.decode(encode(frame))
    for shape in ([N, N], [2**40, 2**40], [-1], [N, 1, 1, 1]):
        candidate = {**fields["candidates"][0], "shape": shape}
        with pytest.raises(RemoteError):
            decode(tampered(frame, candidates=[candidate]), joints=N, kinds=ALL)
    candidate = {**fields["candidates"][0], "mode": "joint_telepathy"}
    with pytest.raises(RemoteError, match="joint_telepathy"):
        decode(tampered(frame, candidates=[candidate]), joints=N, kinds=ALL)


def test_a_measured_state_may_be_non_finite_for_the_filter_to_stop() -> None:
    state = RobotState(q=np.full(N, np.nan), dq=np.full(N, np.inf), stamp_ns=1)
    frame = decode(encode(StateFrame("s", 1, 2, 3, state)), joints=N, kinds=ALL)
    assert isinstance(frame, StateFrame)
    assert np.isnan(frame.state.q).all()


def test_a_stop_that_does_not_start_at_its_setpoint_cannot_be_sent() -> None:
    good = make_setpoint()
    shifted = Setpoint(q=good.q + 1e-12, dq=good.dq, ddq=good.ddq, stop=good.stop)
    with pytest.raises(ValueError, match=r"stop\.q"):
        encode(SetpointFrame("s", 5, 2, 1, Executed(4, 2), shifted, "cat2", False))


def make_decision() -> Decision:
    return Decision(
        outcome=Outcome.CLAMP,
        setpoint=make_setpoint(),
        findings=(Finding("joint_velocity", "elbow", 3.2, 2.6, "rad/s", math.nan),),
        scores=(0.1, math.inf),
        stop_state=StopStatus("running", False, StopCategory.NONE, None, 5),
        seq=9,
        continues=(8, 0),
        stop_tick=0,
        accepted=1,
        command_seq=4,
        resample=False,
        now_ns=40,
        limits_sha256="0" * 64,
        classifier_sha256=None,
        error=None,
    )


def test_a_decision_survives_the_wire_whole() -> None:
    data = encode_decision("s", 3, make_decision())
    frame = decode_decision(data, joints=N)
    assert encode_decision(frame.session, frame.tick, frame.decision) == data
    assert frame.decision.findings[0].subject == "elbow"
    assert frame.decision.stop_state == make_decision().stop_state
    np.testing.assert_array_equal(
        frame.decision.setpoint.stop.jerk, make_decision().setpoint.stop.jerk
    )


def test_a_decision_with_an_unknown_field_or_a_newer_format_is_refused() -> None:
    fields = msgspec.msgpack.decode(encode_decision("s", 3, make_decision()))
    for change in ({"more": 1}, {"format": 2}, {"kind": "state"}, {"outcome": "maybe"}):
        with pytest.raises(RemoteError):
            decode_decision(msgspec.msgpack.encode({**fields, **change}), joints=N)

"""The audit: whole, in order, found out if touched, and replayed bit by bit."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

from checkrein.controller.audit import AuditLog, decode_record, record_digest
from checkrein.controller.audit_reader import _Container, verify
from checkrein.controller.audit_replay import replay
from checkrein.controller.audit_writer import AuditFile, AuditQueue, write_audit
from checkrein.controller.bus import Endpoints
from checkrein.controller.decision_frame import encode_decision
from checkrein.controller.filter import SafetyFilter
from checkrein.limits.declared import Limits
from checkrein.limits.loading import load_limits
from checkrein.limits.records import Candidates, Command, RobotState
from checkrein.scripts.cli import main

PERIOD_NS = 4_000_000
TICKS = 600  # more than two chunks of the file


@pytest.fixture(scope="module")
def limits() -> Limits:
    return load_limits("xarm6")


def proposals(n: int) -> Iterator[Candidates]:
    """Velocities at full speed, chunks, silence, NaN and wrong lengths."""
    rng = np.random.default_rng(1)
    for k in range(10**9):
        seq = k + 1
        stamp_ns = (k + 2) * PERIOD_NS
        if k % 50 == 20:
            yield Command("joint_velocity", np.full(n, np.nan), seq, stamp_ns)
        elif k % 50 == 30:
            yield Command("joint_velocity", np.zeros(n - 1), seq, stamp_ns)
        elif k % 50 == 0:
            rows = rng.uniform(-1.0, 1.0, (5, n))
            yield Command("joint_velocity", rows, seq, stamp_ns, period_ms=20.0)
        elif k % 10 == 0:
            yield (Command("joint_velocity", rng.uniform(-2.0, 2.0, n), seq, stamp_ns),)
        else:
            yield None


def record(limits: Limits, log: AuditLog, ticks: int) -> None:
    """A run with everything in it: arming, clamping, refusals, a latched stop, reset, arming."""
    guard, n = SafetyFilter(limits), len(limits.joints)
    q, dq, wrench = limits.home, np.zeros(n), np.zeros(6)
    log.header(limits)
    log.start("s", now_ns=0)
    source, armed = proposals(n), False
    for k in range(ticks):
        now_ns = (k + 2) * PERIOD_NS
        wrench = np.full(6, 1e3) if k == ticks // 2 else np.zeros(6)
        state = RobotState(q=q, dq=dq, stamp_ns=now_ns, wrench_tcp=wrench)
        proposal = next(source)
        if not armed:
            guard.arm(state, now_ns=now_ns)
            log.arm("s", k, state, now_ns=now_ns)
            armed = True
        candidates = (proposal,) if isinstance(proposal, Command) else proposal
        decision = guard.step(state, candidates, now_ns=now_ns)
        encoded = encode_decision("s", k, decision)
        tupled = None if candidates is None else tuple(candidates)
        log.decision("s", k, state, tupled, encoded, now_ns=now_ns, decide_ns=k)
        q, dq = decision.setpoint.q, decision.setpoint.dq
        stop = decision.stop_state
        if stop.latched and stop.phase == "at_rest":
            guard.reset()
            log.reset("operator", now_ns=now_ns)
            armed = False
    log.close("done")


def record_all(limits: Limits, ticks: int = TICKS) -> list[bytes]:
    records: list[bytes] = []

    def submit(data: bytes, wait_ms: float) -> bool:
        records.append(data)
        return True

    record(limits, AuditLog(submit), ticks)
    return records


def write(records: list[bytes], path: Path) -> Path:
    with AuditFile(path) as file:
        for data in records:
            file.append(data, decode_record(data).now_ns)
    return path


@pytest.fixture(scope="module")
def records(limits: Limits) -> list[bytes]:
    return record_all(limits)


@pytest.fixture
def whole(records: list[bytes], tmp_path: Path) -> Path:
    return write(records, tmp_path / "whole.mcap")


def test_a_whole_file_is_intact_and_readable_by_the_mcap_library(
    whole: Path, records: list[bytes], limits: Limits
) -> None:
    from mcap.reader import make_reader

    found = verify(whole)
    assert found.is_intact, found.problems
    assert found.records == len(records)
    assert found.decisions == TICKS
    assert found.head_sha256 == record_digest(records[-1]).hex()
    assert found.header is not None
    assert found.header.limits_sha256 == limits.sha256
    with whole.open("rb") as stream:
        assert [m.data for _, _, m in make_reader(stream).iter_messages()] == records


def test_any_changed_byte_is_found(whole: Path, tmp_path: Path) -> None:
    data = bytearray(whole.read_bytes())
    chosen = random.Random(5)
    places = {*range(64), *range(len(data) - 400, len(data))}
    places |= {chosen.randrange(len(data)) for _ in range(250)}
    changed = tmp_path / "changed.mcap"
    for place in sorted(places):
        bit = 1 << chosen.randrange(8)
        data[place] ^= bit
        changed.write_bytes(data)
        assert not verify(changed).is_intact, f"byte {place}, bit {bit}"
        data[place] ^= bit


@pytest.mark.parametrize("index", [0, 1, 2, 100, TICKS - 1])
def test_a_record_that_was_rewritten_with_right_checksums_is_named(
    index: int, records: list[bytes], tmp_path: Path
) -> None:
    """An editor who knows MCAP, but does not rebuild the chain."""
    fields = msgspec.msgpack.decode(records[index])
    fields["now_ns"] += 1
    edited = [*records]
    edited[index] = msgspec.msgpack.encode(fields)
    found = verify(write(edited, tmp_path / "edited.mcap"))
    assert [problem.record for problem in found.problems] == [index]


def test_a_decision_that_was_rewritten_with_its_chain_is_found_by_replay(
    records: list[bytes], limits: Limits, tmp_path: Path
) -> None:
    """An editor who rebuilds the chain: the records no longer follow from their inputs."""
    edited, previous = [], bytes(32)
    for index, data in enumerate(records):
        fields = msgspec.msgpack.decode(data)
        fields["previous"] = previous
        if index == 200:
            decision = msgspec.msgpack.decode(fields["decision"])
            decision["outcome"] = "pass" if decision["outcome"] != "pass" else "clamp"
            fields["decision"] = msgspec.msgpack.encode(decision)
        edited.append(msgspec.msgpack.encode(fields))
        previous = record_digest(edited[-1])
    path = write(edited, tmp_path / "edited.mcap")
    assert verify(path).is_intact
    found = replay(path, limits)
    assert [problem.record for problem in found.problems] == [200]
    assert "outcome" in found.problems[0].what


def test_records_left_out_repeated_or_moved_are_named(records: list[bytes], tmp_path: Path) -> None:
    left_out = records[:50] + records[51:]
    repeated = records[:51] + records[50:]
    moved = [*records[:50], records[51], records[50], *records[52:]]
    for changed, at in ((left_out, 50), (repeated, 51), (moved, 50)):
        found = verify(write(changed, tmp_path / "changed.mcap"))
        assert found.problems
        assert found.problems[0].record == at


@pytest.mark.parametrize("count", [0, 1, 5, 300])
def test_a_file_without_its_closing_record_is_truncated(
    count: int, records: list[bytes], tmp_path: Path
) -> None:
    found = verify(write(records[:count], tmp_path / "cut.mcap"))
    assert found.records == count
    assert any("truncated" in problem.what for problem in found.problems)


def test_a_file_that_was_cut_keeps_what_was_written_before(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    cut = tmp_path / "cut.mcap"
    for share in (0.1, 0.5, 0.9, 0.999):
        cut.write_bytes(data[: int(len(data) * share)])
        found = verify(cut)
        assert not found.is_intact
        assert any("cut off" in p.what or "end" in p.what for p in found.problems)
    cut.write_bytes(data[: int(len(data) * 0.7)])
    assert verify(cut).records >= 256


def test_replay_derives_every_decision_bit_by_bit(whole: Path, limits: Limits) -> None:
    found = replay(whole, limits)
    assert found.is_exact, found.problems
    assert found.decisions == TICKS


def test_the_run_that_is_replayed_has_everything_in_it(records: list[bytes]) -> None:
    outcomes, kinds = set(), set()
    for data in records:
        fields = msgspec.msgpack.decode(data)
        kinds.add(fields["kind"])
        if fields["kind"] == "decision":
            outcomes.add(msgspec.msgpack.decode(fields["decision"])["outcome"])
    assert kinds == {"header", "start", "arm", "decision", "reset", "close"}
    assert {"pass", "clamp", "refuse", "stop"} >= outcomes >= {"clamp", "refuse", "stop"}


def test_latency_is_recorded_but_not_replayed(records: list[bytes]) -> None:
    fields = [msgspec.msgpack.decode(data) for data in records]
    latencies = [f["decide_ns"] for f in fields if f["kind"] == "decision"]
    assert latencies == list(range(TICKS))


def test_replay_under_other_limits_says_so(whole: Path) -> None:
    found = replay(whole, load_limits("franka_panda"))
    assert "limits" in found.problems[0].what


def test_a_full_queue_says_no_and_stays_so(tmp_path: Path) -> None:
    address = Endpoints.in_folder(tmp_path).audit
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    queue = AuditQueue(context, address)
    assert not queue.submit(b"nobody writes", 20.0)
    log = AuditLog(queue.submit, wait_ms=0.0)
    assert not log.close("too early")
    assert log.failed is not None
    log2 = AuditLog(lambda data, wait_ms: True)
    log2.failed = "before"
    assert not log2.close("again")
    queue.close()
    context.destroy(linger=0)


def test_a_stalled_writer_fills_the_queue_and_submit_does_not_block(tmp_path: Path) -> None:
    from checkrein.controller.bus import AUDIT_QUEUE_RECORDS, open_socket

    address = Endpoints.in_folder(tmp_path).audit
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    stalled = open_socket(context, "audit.write", address)
    queue = AuditQueue(context, address)
    assert queue.wait_connected(5000)
    data, taken = bytes(4096), 0
    while taken < 4 * AUDIT_QUEUE_RECORDS and queue.submit(data):
        taken += 1
    assert taken < 2 * AUDIT_QUEUE_RECORDS
    queue.close()
    stalled.close(0)
    context.destroy(linger=0)


def test_the_writer_writes_what_is_submitted_until_the_close(
    records: list[bytes], tmp_path: Path
) -> None:
    address, path = Endpoints.in_folder(tmp_path).audit, tmp_path / "audit.mcap"
    counts: list[int] = []
    writer = threading.Thread(
        target=lambda: counts.append(write_audit(address, path, lambda: True)), daemon=True
    )
    writer.start()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    queue = AuditQueue(context, address)
    assert queue.wait_connected(5000)
    for data in records:
        assert queue.submit(data, 2000.0)
    writer.join(20.0)
    queue.close()
    context.term()
    assert counts == [len(records)]
    assert verify(path).is_intact


def test_a_newer_record_is_not_guessed_at(records: list[bytes], tmp_path: Path) -> None:
    fields = msgspec.msgpack.decode(records[0])
    fields["format"] = 2
    path = tmp_path / "newer.mcap"
    with AuditFile(path) as file:
        file.append(msgspec.msgpack.encode(fields), 0)
    found = verify(path)
    assert found.problems[0].record == 0
    assert "format 2" in found.problems[0].what


def test_the_command_line_verifies_and_replays(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", str(whole), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["intact"] is True
    assert main(["audit", "verify", str(whole), "--head", found["head_sha256"]]) == 0
    assert main(["audit", "verify", str(whole), "--head", "0" * 64]) == 1
    capsys.readouterr()
    assert main(["audit", "replay", str(whole), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decisions"] == TICKS
    assert main(["audit", "replay", str(whole), "--limits", "franka_panda"]) == 1
    data = bytearray(whole.read_bytes())
    data[len(data) // 2] ^= 1
    changed = tmp_path / "changed.mcap"
    changed.write_bytes(data)
    capsys.readouterr()
    assert main(["audit", "verify", str(changed)]) == 1
    assert "record" in capsys.readouterr().out
    assert main(["audit", "replay", str(changed)]) == 1
    assert main(["audit", "verify", str(tmp_path / "absent.mcap")]) == 2
    assert "absent.mcap" in capsys.readouterr().err


def test_the_reader_walks_the_same_messages(whole: Path, records: list[bytes]) -> None:
    with whole.open("rb") as stream:
        assert [message.data for message in _Container(stream).messages()] == records

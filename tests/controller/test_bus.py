"""The sockets, for real: options before bind, deadlines, nothing stale, nothing from elsewhere."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

import checkrein.controller.bus as bus
from checkrein.controller.bus import (
    ROLES,
    Endpoints,
    Link,
    Publisher,
    RoleName,
    Server,
    Subscriber,
    check_address,
    open_socket,
)
from checkrein.controller.errors import AddressError
from checkrein.controller.frames import FRAME_BYTES_MAX

Context = zmq.Context[zmq.Socket[bytes]]
MUST_BE_SET = {
    zmq.LINGER, zmq.SNDHWM, zmq.RCVHWM, zmq.SNDTIMEO, zmq.RCVTIMEO, zmq.MAXMSGSIZE,
    zmq.HANDSHAKE_IVL,
}  # fmt: skip


@pytest.fixture
def context() -> Iterator[Context]:
    made: Context = zmq.Context(1)
    yield made
    made.destroy(linger=0)


@pytest.fixture
def address(tmp_path: Path) -> str:
    # The kernel allows 107 bytes; a long temporary folder is reached from its parent.
    path = tmp_path / "s"
    return f"ipc://{path}" if len(str(path)) < 100 else "tcp://127.0.0.1:47311"


class Recorder:
    """Stands for a context and its socket, and notes the order of calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def socket(self, type_: int) -> Recorder:
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments))


@pytest.mark.parametrize("role", ROLES)
def test_trap_19_options_before_bind(role: RoleName) -> None:
    recorder = Recorder()
    open_socket(recorder, role, "ipc:///x", identity=b"me")  # type: ignore[arg-type]
    names = [call[0] for call in recorder.calls]
    assert names[-1] == ("bind" if ROLES[role].binds else "connect")
    assert set(names[:-1]) == {"setsockopt"}
    assert {call[1] for call in recorder.calls[:-1]} >= MUST_BE_SET


def test_trap_19_no_other_code_makes_binds_or_configures_a_socket() -> None:
    folder = Path(bus.__file__).parent
    allowed = {"open_socket"}
    for path in [*folder.glob("*.py"), *(folder.parent / "scripts").rglob("*.py")]:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef) or function.name in allowed:
                continue
            used = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
            forbidden = used & {"setsockopt", "set_hwm", "bind", "connect", "setsockopt_string"}
            if path.parent.parent.name == "scripts" or path.parent.name == "controller":
                assert not forbidden, f"{path.name}: {function.name} uses {forbidden}"


@pytest.mark.parametrize("role", ROLES)
def test_trap_19_options_took_effect(role: RoleName, context: Context, address: str) -> None:
    socket = open_socket(context, role, address)
    row = ROLES[role]
    assert socket.getsockopt(zmq.LINGER) == row.linger_ms
    assert socket.getsockopt(zmq.SNDHWM) == socket.getsockopt(zmq.RCVHWM) == row.queue
    assert socket.getsockopt(zmq.MAXMSGSIZE) == FRAME_BYTES_MAX
    for deadline in (zmq.RCVTIMEO, zmq.SNDTIMEO):
        value = socket.getsockopt(deadline)
        assert isinstance(value, int)
        assert 0 < value <= 1000
    socket.close(0)


def test_trap_19_a_socket_that_keeps_the_newest_only_carries_single_parts() -> None:
    assert [name for name, row in ROLES.items() if row.newest_only] == ["subscriber"]
    source = ast.unparse(ast.parse(Path(bus.__file__).read_text(encoding="utf-8")))
    publisher = source[source.index("class Publisher") : source.index("class Subscriber")]
    assert "send_multipart" not in publisher


def wait_until_gone(link: Link) -> int:
    """Send until nobody takes it any more; how many were taken on the way."""
    taken, deadline_s = 0, time.monotonic() + 10.0
    while link.send(b"into the void") and time.monotonic() < deadline_s:
        taken += 1
        time.sleep(0.01)
    return taken


def received(server: Server, seconds: float) -> list[bytes]:
    found, deadline_s = [], time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        message = server.receive(20.0)
        if message is not None:
            found.append(message[1])
    return found


def test_trap_19_50_stale_commands_while_disconnected_are_never_delivered(
    context: Context, address: str
) -> None:
    server = Server(context, "controller.policy", address)
    with Link("policy", address) as link:
        assert link.wait_connected(5000)
        assert link.send(b"first")
        assert received(server, 0.3) == [b"first"]
        server.close()
        wait_until_gone(link)
        for k in range(50):
            assert not link.send(b"stale %d" % k)
        assert link.dropped >= 50
        again = Server(context, "controller.policy", address)
        assert link.wait_connected(5000)
        assert link.send(b"fresh")
        assert received(again, 0.5) == [b"fresh"]
        again.close()


def test_trap_19_nothing_is_queued_before_there_is_anybody(context: Context, address: str) -> None:
    with Link("policy", address) as link:
        assert not any(link.send(b"early") for _ in range(50))
        server = Server(context, "controller.policy", address)
        assert link.wait_connected(5000)
        assert received(server, 0.3) == []
        server.close()


def test_trap_19_a_stalled_subscriber_gets_the_newest_only(context: Context, address: str) -> None:
    publisher = Publisher(context, address)
    subscriber = Subscriber(address)
    deadline_s = time.monotonic() + 5.0
    while subscriber.newest(20.0) is None:
        publisher.send(b"hello")
        assert time.monotonic() < deadline_s
    for k in range(3000):
        publisher.send(b"%d" % k)
        if k % 100 == 0:
            time.sleep(0.001)
    time.sleep(0.2)
    publisher.send(b"last")
    time.sleep(0.2)
    assert subscriber.newest(100.0) == b"last"
    assert subscriber.newest(50.0) is None
    subscriber.close()
    publisher.close()


def test_trap_20_no_clock_of_another_host_or_of_the_wall_is_read() -> None:
    for path in Path(bus.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                assert name not in {"time.time", "time.time_ns", "datetime.now"}, path.name


def test_trap_21_every_receive_returns_by_its_deadline(context: Context, address: str) -> None:
    server = Server(context, "controller.robot", address)
    with Link("robot", address) as link:
        for wait_ms in (0.0, 30.0, 450.0):
            for receive in (link.receive, server.receive):
                before_s = time.monotonic()
                assert receive(wait_ms) is None
                assert time.monotonic() - before_s < wait_ms / 1000.0 + 1.0
    server.close()


def test_trap_21_received_only_where_a_deadline_is(context: Context) -> None:
    """`recv` appears in one function only, and the sockets that it serves have RCVTIMEO."""
    folder = Path(bus.__file__).parent
    for path in folder.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name != "receive_parts":
                names = {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)}
                assert not names & {"recv", "recv_multipart", "recv_pyobj"}, path.name


def test_trap_21_no_pickle_on_the_wire() -> None:
    for path in Path(bus.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "pyobj" not in text
        assert "import pickle" not in text


def test_a_message_that_is_too_large_does_not_arrive_and_does_no_harm(
    context: Context, address: str
) -> None:
    server = Server(context, "controller.policy", address)
    attacker = context.socket(zmq.DEALER)
    attacker.setsockopt(zmq.LINGER, 0)
    attacker.connect(address)
    attacker.send(bytes(FRAME_BYTES_MAX + 1))
    with Link("policy", address) as link:
        assert link.wait_connected(5000)
        assert link.send(b"still here")
        assert received(server, 0.5) == [b"still here"]
    attacker.close(0)
    server.close()


def test_the_frames_of_one_message_come_one_after_the_other(context: Context, address: str) -> None:
    server = Server(context, "controller.policy", address)
    with Link("policy", address) as link:
        assert link.wait_connected(5000)
        link.send(b"hello")
        message = server.receive(1000.0)
        assert message is not None
        server.peer = message[0]
        assert server.send(b"decision", b"state")
        assert server.send(b"next")
        assert [link.receive(1000.0) for _ in range(3)] == [b"decision", b"state", b"next"]
        assert link.receive(0.0) is None
    server.close()


def test_a_frame_for_a_peer_that_went_is_dropped_and_counted(
    context: Context, address: str
) -> None:
    server = Server(context, "controller.policy", address)
    assert not server.send(b"to nobody")
    with Link("policy", address) as link:
        assert link.wait_connected(5000)
        link.send(b"hello")
        message = server.receive(1000.0)
        assert message is not None
        server.peer = message[0]
        assert server.send(b"welcome")
        assert link.receive(1000.0) == b"welcome"
    deadline_s = time.monotonic() + 5.0
    while server.send(b"gone?") and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not server.send(b"gone")
    server.close()


@pytest.mark.parametrize(
    "address",
    [
        "tcp://*:5555",
        "tcp://0.0.0.0:5555",
        "tcp://192.168.0.2:5555",
        "tcp://localhost:5555",
        "tcp://127.0.0.1.evil.example:5555",
        "inproc://x",
        "ipc://relative",
        "ipc://@abstract",
        "ipc:///" + "x" * 120,
        "udp://127.0.0.1:1",
        "",
    ],
)
def test_addresses_that_leave_this_machine_are_refused(address: str) -> None:
    with pytest.raises(AddressError, match="not authenticated"):
        check_address(address)


def test_an_address_in_use_is_an_error_that_names_it(context: Context) -> None:
    first = context.socket(zmq.DEALER)
    port = first.bind_to_random_port("tcp://127.0.0.1")
    address = f"tcp://127.0.0.1:{port}"
    with pytest.raises(AddressError, match=str(port)):
        Server(context, "controller.policy", address)
    first.close(0)


def test_endpoints_lie_in_one_folder(tmp_path: Path) -> None:
    endpoints = Endpoints.in_folder(tmp_path)
    assert endpoints.policy == f"ipc://{tmp_path}/policy"
    assert len({endpoints.policy, endpoints.robot, endpoints.decisions, endpoints.audit}) == 4


CLIENT = """
import sys, time
from checkrein.controller.bus import Link
link = Link("policy", sys.argv[1])
link.wait_connected(10000)
k = 0
while True:
    link.send(b"%d" % k)
    k += 1
    time.sleep(0.001)
"""


def test_trap_19_a_killed_controller_does_not_get_what_was_said_meanwhile(
    context: Context, address: str
) -> None:
    """A real policy process talks on while its controller is away, then one comes back."""
    server = Server(context, "controller.policy", address)
    client = subprocess.Popen([sys.executable, "-c", CLIENT, address])
    try:
        first = server.receive(20_000.0)
        assert first is not None
        server.close()
        time.sleep(0.5)
        again = Server(context, "controller.policy", address)
        message = again.receive(10_000.0)
        assert message is not None
        newest = [message[1], *received(again, 0.3)]
        numbers = [int(data) for data in newest]
        # One message per millisecond: a queue of half a second would begin hundreds earlier.
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] > int(first[1]) + 100
        again.close()
    finally:
        client.kill()
        client.wait(10)

"""ZMQ sockets, all made by one function from one frozen table.

Guarantees (traps 19, 21):
- Every option is set before bind or connect; afterwards ZMQ ignores most of them silently.
- Every receive and every send has a deadline; queues are bounded; a message larger than a frame
  may be closes the connection before it is read.
- Nothing is queued for a peer that is not there: a command that cannot be delivered now is
  dropped, and counted, not delivered later.
- Sockets that keep only the newest message (CONFLATE) carry single-part messages only.
- Addresses are ipc:// or tcp://127.0.0.1; anything else is refused until frames are authenticated.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import zmq

from .errors import AddressError
from .frames import FRAME_BYTES_MAX

__all__ = [
    "ROLES",
    "Endpoints",
    "Link",
    "Publisher",
    "RoleName",
    "Server",
    "SocketRole",
    "Subscriber",
    "check_address",
    "open_socket",
    "receive_parts",
]

SEND_TIMEOUT_MS = 200
RECEIVE_TIMEOUT_MS = 200
HANDSHAKE_MS = 2000
LINGER_MS = 200  # so that a goodbye still leaves
AUDIT_QUEUE_RECORDS = 4096
IPC_PATH_MAX = 100  # the kernel's limit is 107 bytes

# As plain numbers: pyzmq's enums cost microseconds in every call.
NOBLOCK, SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)

RoleName = Literal[
    "controller.policy",
    "controller.robot",
    "policy",
    "robot",
    "publisher",
    "subscriber",
    "audit.submit",
    "audit.write",
]


@dataclass(frozen=True, slots=True)
class SocketRole:
    """One row of the table: a socket type, whether it binds, and how much it queues."""

    type: int
    binds: bool
    queue: int
    newest_only: bool = False
    linger_ms: int = LINGER_MS

    def options(self) -> tuple[tuple[int, int | bytes], ...]:
        """Every option, in the order in which it is set; all of them before bind or connect."""
        options: list[tuple[int, int | bytes]] = [
            (zmq.LINGER, self.linger_ms),
            (zmq.SNDHWM, self.queue),
            (zmq.RCVHWM, self.queue),
            (zmq.SNDTIMEO, SEND_TIMEOUT_MS),
            (zmq.RCVTIMEO, RECEIVE_TIMEOUT_MS),
            (zmq.MAXMSGSIZE, FRAME_BYTES_MAX),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
            (zmq.IPV6, 0),
        ]
        if self.type == zmq.ROUTER:
            # A send to a peer that is gone is an error, and a peer that comes back takes its place.
            options += [(zmq.ROUTER_MANDATORY, 1), (zmq.ROUTER_HANDOVER, 1)]
        if self.type in (zmq.DEALER, zmq.PUSH):
            options.append((zmq.IMMEDIATE, 1))
        if self.newest_only:
            options.append((zmq.CONFLATE, 1))
        if self.type == zmq.SUB:
            options.append((zmq.SUBSCRIBE, b""))
        return tuple(options)


ROLES: dict[RoleName, SocketRole] = {
    "controller.policy": SocketRole(zmq.ROUTER, binds=True, queue=64),
    "controller.robot": SocketRole(zmq.ROUTER, binds=True, queue=8),
    "policy": SocketRole(zmq.DEALER, binds=False, queue=64),
    "robot": SocketRole(zmq.DEALER, binds=False, queue=8),
    "publisher": SocketRole(zmq.PUB, binds=True, queue=16, linger_ms=0),
    "subscriber": SocketRole(zmq.SUB, binds=False, queue=1, newest_only=True, linger_ms=0),
    # Lingers: the last records, and the one that closes the chain, must reach the writer.
    "audit.submit": SocketRole(zmq.PUSH, binds=False, queue=AUDIT_QUEUE_RECORDS, linger_ms=5000),
    "audit.write": SocketRole(zmq.PULL, binds=True, queue=64),
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a controller listens: its policy, its robot, its subscribers, its audit writer."""

    policy: str
    robot: str
    decisions: str
    audit: str

    @staticmethod
    def in_folder(folder: Path) -> Endpoints:
        """ipc sockets in `folder`, which should be readable by its owner only."""
        return Endpoints(
            *(f"ipc://{folder / name}" for name in ("policy", "robot", "decisions", "audit"))
        )


def check_address(address: str) -> str:
    """`address`, if it stays on this machine; AddressError that says what would."""
    if address.startswith("ipc://"):
        path = address.removeprefix("ipc://")
        if path.startswith("/") and len(path.encode()) <= IPC_PATH_MAX:
            return address
    elif re.fullmatch(r"tcp://127\.0\.0\.1:([0-9]{1,5}|\*)", address):
        return address
    raise AddressError(
        f"address: {address!r} is not ipc:///absolute/path (at most {IPC_PATH_MAX} bytes) or "
        "tcp://127.0.0.1:PORT; frames are not authenticated yet, so they stay on this machine"
    )


def open_socket(
    context: zmq.Context[zmq.Socket[bytes]],
    role: RoleName,
    address: str,
    *,
    identity: bytes | None = None,
) -> zmq.Socket[bytes]:
    """A socket of the table with every option set, then bound or connected."""
    row = ROLES[role]
    checked = check_address(address)
    socket = context.socket(row.type)
    try:
        for option, value in row.options():
            socket.setsockopt(option, value)
        if identity is not None:
            socket.setsockopt(zmq.IDENTITY, identity)
        if row.binds:
            socket.bind(checked)
        else:
            socket.connect(checked)
    except zmq.ZMQError as error:
        socket.close(0)
        raise AddressError(f"address: {checked}: {error.strerror}") from error
    return socket


class Link:
    """One DEALER end, of a policy or a robot: frames in, frames out, never without a deadline."""

    def __init__(self, role: Literal["policy", "robot"], address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._socket = open_socket(self._context, role, address, identity=role.encode())
        self._frames: list[bytes] = []  # of the message that is being read
        self.dropped = 0  # frames that nobody was there to receive

    def send(self, data: bytes) -> bool:
        """Hand a frame over, if there is somebody to take it now."""
        try:
            self._socket.send(data, NOBLOCK)
        except zmq.Again:
            self.dropped += 1
            return False
        return True

    def receive(self, timeout_ms: float) -> bytes | None:
        """The next frame, or None after `timeout_ms`. A message holds one or more."""
        if not self._frames:
            self._frames = receive_parts(self._socket, timeout_ms) or []
        return self._frames.pop(0) if self._frames else None

    def wait_connected(self, timeout_ms: float) -> bool:
        """Whether a send would be taken, within `timeout_ms`."""
        return bool(self._socket.poll(math.ceil(timeout_ms), zmq.POLLOUT))

    def close(self) -> None:
        """Let go of the socket; what was sent may still leave for LINGER_MS."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server:
    """One ROUTER end. `peer` is whom `send` reaches: whoever the owner accepted last."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        role: Literal["controller.policy", "controller.robot"],
        address: str,
    ) -> None:
        self._socket = open_socket(context, role, address)
        self.peer: bytes | None = None
        self.dropped = 0  # frames that the peer was not there to receive

    def receive(self, timeout_ms: float) -> tuple[bytes, bytes] | None:
        """(who, frame), or None after `timeout_ms`; messages of another shape are dropped."""
        parts = receive_parts(self._socket, timeout_ms)
        if parts is None or len(parts) != 2:
            return None
        return parts[0], parts[1]

    def send(self, *frames: bytes) -> bool:
        """Hand frames to the peer as one message, if it is there and takes it now."""
        if self.peer is None:
            self.dropped += 1
            return False
        try:
            self._socket.send(self.peer, NOBLOCK | SNDMORE)
            for frame in frames[:-1]:
                self._socket.send(frame, NOBLOCK | SNDMORE)
            self._socket.send(frames[-1], NOBLOCK)
        except zmq.ZMQError:  # EHOSTUNREACH: it went; EAGAIN: it does not read
            self.dropped += 1
            return False
        return True

    def close(self) -> None:
        """Let go of the socket; the context belongs to the owner."""
        self._socket.close()


def receive_parts(socket: zmq.Socket[bytes], timeout_ms: float) -> list[bytes] | None:
    """One message, or None after `timeout_ms`: the only place that receives."""
    if timeout_ms < RECEIVE_TIMEOUT_MS:
        # poll costs 10 µs more than a blocking receive, so only short waits take this branch.
        if timeout_ms > 0.0 and not socket.poll(math.ceil(timeout_ms)):
            return None
        try:
            return socket.recv_multipart(NOBLOCK)
        except zmq.Again:
            return None
    deadline_s = time.monotonic() + timeout_ms / 1000.0
    while True:
        try:
            return socket.recv_multipart()  # RCVTIMEO is its deadline
        except zmq.Again:
            if not (time.monotonic() < deadline_s):
                return None


class Publisher:
    """Decisions for whoever listens. Nobody who listens can slow it down."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self._socket = open_socket(context, "publisher", address)

    def send(self, data: bytes) -> None:
        """Publish one single-part message."""
        self._socket.send(data, NOBLOCK)

    def close(self) -> None:
        """Let go of the socket; the context belongs to the owner."""
        self._socket.close()


class Subscriber:
    """The newest decision only: one that stalled is not fed thousands of old ones (trap 19)."""

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._socket = open_socket(self._context, "subscriber", address)

    def newest(self, timeout_ms: float) -> bytes | None:
        """The newest message, or None if none came within `timeout_ms`."""
        parts = receive_parts(self._socket, timeout_ms)
        return None if parts is None else parts[-1]

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        self._context.term()

"""Which filters of others `checkrein bench` runs beside ours, and which of them are installed.

Guarantees:
- A peer's code is imported only when it is run; one that is not installed is reported with the
  command that installs it, never as a number.
- Each is given the declared limits that it knows, and its own recommended settings. `covers` says
  which limits its figures stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec

from ...limits import Limits
from ...limits.errors import InputError
from .contest import Contestant

__all__ = ["MISSING", "PEERS", "Peer", "chosen", "not_installed"]

MISSING = "not installed: pip install 'checkrein[bench]'"

MOTION = ("joint_position", "joint_velocity", "joint_acceleration")


@dataclass(frozen=True, slots=True)
class Peer:
    """One filter of somebody else's."""

    name: str
    distribution: str
    imports: tuple[str, ...]
    covers: tuple[str, ...]  # of verdict.KINDS: what it is told to keep
    make: Callable[[Limits], Contestant]

    @property
    def is_installed(self) -> bool:
        """Whether everything that it imports can be found."""
        return all(find_spec(name) is not None for name in self.imports)

    @property
    def version(self) -> str:
        """Of the installed distribution."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "unknown"


def _maker(module: str, **options: str | bool) -> Callable[[Limits], Contestant]:
    def make(limits: Limits) -> Contestant:
        contestant: Contestant = import_module(module, __package__).make(limits, **options)
        return contestant

    return make


PEERS = (
    Peer(
        "klimits", "klimits", ("klimits",),
        (*MOTION, "joint_jerk"),
        _maker(".peer_klimits"),
    ),
    Peer(
        "cbfpy_qpax", "cbfpy", ("cbfpy", "jax", "qpax"),
        MOTION,
        _maker(".peer_cbfpy", backend="qpax"),
    ),
    Peer(
        "cbfpy_elastiqp", "cbfpy", ("cbfpy", "jax", "elastiqp"),
        MOTION,
        _maker(".peer_cbfpy", backend="elastiqp"),
    ),
    Peer(
        "pink", "pin-pink", ("pink", "pinocchio", "qpsolvers", "daqp"),
        MOTION,
        _maker(".peer_pink", tcp_box=False),
    ),
    Peer(
        "pink_tcp_box", "pin-pink", ("pink", "pinocchio", "qpsolvers", "daqp"),
        MOTION,
        _maker(".peer_pink", tcp_box=True),
    ),
    Peer(
        "ruckig", "ruckig", ("ruckig",),
        ("joint_velocity", "joint_acceleration", "joint_jerk"),
        _maker(".peer_ruckig"),
    ),
)  # fmt: skip


def chosen(asked: str | None) -> tuple[Peer, ...]:
    """The peers of `--peers all|none|name,name`; None: those that are installed."""
    if asked is None:
        return tuple(peer for peer in PEERS if peer.is_installed)
    if asked == "all":
        return PEERS
    if asked == "none":
        return ()
    names = [name.strip() for name in asked.split(",") if name.strip()]
    by_name = {peer.name: peer for peer in PEERS}
    unknown = [name for name in names if name not in by_name]
    if unknown or not names:
        raise InputError(
            f"--peers {asked}: expected all, none, or names out of {', '.join(by_name)}"
        )
    return tuple(by_name[name] for name in dict.fromkeys(names))


def not_installed() -> tuple[str, ...]:
    """Names of the peers that cannot be run here."""
    return tuple(peer.name for peer in PEERS if not peer.is_installed)

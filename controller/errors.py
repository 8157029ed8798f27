"""What can go wrong between processes.

InputError (limits.errors)      a person wrote it, a person can correct it: exit code 2
├── AddressError                an address that frames must not travel to
└── AuditFileError              an audit file that is absent, or none
ArmError, NotArmedError         the filter cannot be armed, or reset, as things are; it says why
ScorerError                     a classifier that is not the declared one
PeerLostError                   a peer did not answer before its deadline, or is not there
RemoteError                     a peer sent rubbish: its frame is rejected and counted, no more
└── NewerFormatError            a peer speaks a newer version of the frames than this one

A limit that does its job is none of these: it is a finding in a decision.
"""

from __future__ import annotations

from ..limits.errors import InputError

__all__ = [
    "AddressError",
    "ArmError",
    "AuditFileError",
    "NewerFormatError",
    "NotArmedError",
    "PeerLostError",
    "RemoteError",
    "ScorerError",
]


class ArmError(RuntimeError):
    """The robot cannot be armed, or a latched stop not be reset, from here."""


class NotArmedError(RuntimeError):
    """A step was asked for before there was any state to hold the robot at."""


class ScorerError(InputError):
    """The classifier that was given is not the one that the limits declare."""


class AddressError(InputError):
    """An address that is refused, or that cannot be bound."""


class AuditFileError(InputError):
    """The audit file is absent, or not an audit file of a format that this version reads."""


class PeerLostError(Exception):
    """A peer did not answer before its deadline."""


class RemoteError(Exception):
    """A peer sent a frame that is malformed, unknown, too large or not for this receiver."""


class NewerFormatError(RemoteError):
    """A peer sent a frame of a newer format than this version can read."""

    def __init__(self, theirs: int, ours: int) -> None:
        super().__init__(
            f"format: the frame has format {theirs}, this version reads up to format {ours}; "
            "upgrade checkrein on this side"
        )
        self.theirs = theirs
        self.ours = ours

"""The decision record: what the filter let through this tick, and why; the audit line is it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ..limits.records import Setpoint

__all__ = ["Decision", "Finding", "Outcome", "StopCategory", "StopStatus"]


class Outcome(StrEnum):
    """In order of severity."""

    PASS = "pass"
    CLAMP = "clamp"
    RESAMPLE = "resample"
    REFUSE = "refuse"
    STOP = "stop"


class StopCategory(StrEnum):
    """IEC 60204-1, clause 9.2.2; NONE: no stop is asked for."""

    NONE = "none"
    CAT2 = "cat2"
    CAT1 = "cat1"
    CAT0 = "cat0"


class Finding(NamedTuple):
    """A limit, or a rule of admission, that bound: which, for whom, by how much.

    A tuple, since a tick may make thirty of them: a frozen dataclass takes ten times as long.
    """

    limit: str
    subject: str  # joint, link and volume, or field
    value: float
    bound: float
    unit: str
    margin: float  # bound - value in the direction that is allowed; negative means violated

    def __str__(self) -> str:
        return (
            f"{self.limit} of {self.subject}: {self.value:.6g} {self.unit} "
            f"against a bound of {self.bound:.6g} {self.unit}"
        )


@dataclass(frozen=True, slots=True)
class StopStatus:
    """Where the stop-state machine is (controller/stop_state.py), and how far from rest."""

    phase: str  # disarmed, running, stopping, at_rest
    latched: bool  # needs reset() and arm()
    category: StopCategory
    cause: str | None
    rest_in_ticks: int  # of the stop that travels with this setpoint


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """One tick's answer. `seq` counts decisions since arming and names the setpoint."""

    outcome: Outcome
    setpoint: Setpoint
    findings: tuple[Finding, ...]
    scores: tuple[float, ...]  # classifier risks, one per scored candidate, in order
    stop_state: StopStatus
    seq: int
    continues: tuple[int, int]  # (seq, stop_tick) of the motion that this setpoint continues
    stop_tick: int  # ticks of the certified stop played in a row; 0: a fresh, certified motion
    accepted: int | None  # index of the candidate that was accepted this tick
    command_seq: int | None  # seq of the command being followed
    resample: bool  # the policy is asked for another proposal
    now_ns: int
    limits_sha256: str
    classifier_sha256: str | None  # None: the limits declare that there is no classifier, and why
    error: str | None = None

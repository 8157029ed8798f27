"""The runtime: decide, the certified stop's state machine, the filter, bus, audit."""

from __future__ import annotations

from .batch import BatchFilter
from .batch_decision import BatchDecision
from .decision import Decision, Finding, Outcome, StopCategory, StopStatus
from .filter import SafetyFilter
from .policy_client import PolicyClient
from .vetting import VettedChunk

__all__ = [
    "BatchDecision",
    "BatchFilter",
    "Decision",
    "Finding",
    "Outcome",
    "PolicyClient",
    "SafetyFilter",
    "StopCategory",
    "StopStatus",
    "VettedChunk",
]

"""What a tick found, in the words of a decision: margins, and whether a limit refuses.

Guarantees: `refusal_of` says what `refuses` will say, before anything is found.
"""

from __future__ import annotations

from ..limits.building import builder_of
from ..limits.core import Core, Found
from .decision import Finding

__all__ = ["changed", "expired", "findings_of", "refusal_of", "refuses"]

# Values above their bound are the allowed ones.
LOWER_BOUNDS = frozenset({"workspace", "self_collision", "singularity", "obstacles"})
_finding = builder_of(Finding)


def refuses(core: Core, finding: Finding) -> bool:
    """Whether the limit that bound is declared `refuse`."""
    if finding.limit in ("workspace", "zone_speed"):
        return finding.subject.rpartition("/")[2] not in core.clamping_volumes
    return finding.limit in core.refusing


def _margin(core: Core, limit: str, subject: str, value: float, bound: float) -> float:
    """What is left to the bound: above it for a clearance, for min_position, and so on."""
    if limit == "joint_position":
        is_lower = bound < core.middles[subject]
    else:
        is_lower = limit in LOWER_BOUNDS
    return value - bound if is_lower else bound - value


def refusal_of(core: Core, limit: str) -> bool | None:
    """Whether a limit that binds refuses, for whomever it binds; None if that depends on whom."""
    limits = core.limits
    places = {"workspace": limits.volumes, "zone_speed": [zone.volume for zone in limits.zones]}
    subjects = [f"/{volume.name}" for volume in places.get(limit, [])]
    found = [Finding(limit, subject, 0.0, 0.0, "", 0.0) for subject in subjects or [""]]
    answers = {refuses(core, finding) for finding in found}
    return answers.pop() if len(answers) == 1 else None


def findings_of(core: Core, found: list[Found]) -> list[Finding]:
    """What a tick found, with its margins: counted upwards from a lower bound."""
    return [
        _finding(limit, subject, value, bound, unit, _margin(core, limit, subject, value, bound))
        for limit, subject, value, bound, unit in found
    ]


def expired(core: Core, command_seq: int, ticks_over: int) -> Finding:
    """That a command has been followed for as long as it may."""
    over_ms = ticks_over * core.limits.period_s * 1e3
    return Finding("command_expired", f"command {command_seq}", over_ms, 0.0, "ms", -over_ms)


def changed(core: Core, found: Found) -> Finding:
    """That the stored stop was certified under other limits, and what speaks against it now."""
    limit, subject, value, bound, unit = found
    margin = _margin(core, limit, subject, value, bound)
    return Finding("environment_changed", f"{limit} of {subject}", value, bound, unit, margin)

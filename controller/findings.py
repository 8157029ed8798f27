"""What a tick found, in the words of a decision: margins, and whether a limit refuses.

Guarantees: `refusal_of` says what `refuses` will say, before anything is found.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..limits.building import new
from ..limits.core import Core, Found
from .decision import Finding

__all__ = ["changed", "expired", "findings_of", "refusal_of", "refuses"]

# Values above their bound are the allowed ones.
LOWER_BOUNDS = frozenset({"workspace", "self_collision", "singularity", "obstacles"})
# What these lead to is declared volume by volume.
OF_VOLUMES = frozenset({"workspace", "zone_speed"})


def refuses(core: Core, findings: Sequence[Finding]) -> bool:
    """Whether a limit that bound is declared `refuse`."""
    refusing, clamping = core.refusing, core.clamping_volumes
    for finding in findings:
        if finding.limit in OF_VOLUMES:
            if finding.subject.rpartition("/")[2] not in clamping:
                return True
        elif finding.limit in refusing:
            return True
    return False


def refusal_of(core: Core, limit: str) -> bool | None:
    """Whether a limit that binds refuses, for whomever it binds; None if that depends on whom."""
    limits = core.limits
    places = {"workspace": limits.volumes, "zone_speed": [zone.volume for zone in limits.zones]}
    subjects = [f"/{volume.name}" for volume in places.get(limit, [])]
    found = [Finding(limit, subject, 0.0, 0.0, "", 0.0) for subject in subjects or [""]]
    answers = {refuses(core, [finding]) for finding in found}
    return answers.pop() if len(answers) == 1 else None


def findings_of(core: Core, found: Sequence[Found]) -> list[Finding]:
    """What a tick found, with what is left to each bound: counted upwards from a lower one."""
    middles, findings = core.middles, []
    for limit, subject, value, bound, unit in found:
        if limit == "joint_position":
            is_lower = bound < middles[subject]
        else:
            is_lower = limit in LOWER_BOUNDS
        margin = value - bound if is_lower else bound - value
        findings.append(new(Finding, (limit, subject, value, bound, unit, margin)))
    return findings


def expired(core: Core, command_seq: int, ticks_over: int) -> Finding:
    """That a command has been followed for as long as it may."""
    over_ms = ticks_over * core.limits.period_s * 1e3
    return Finding("command_expired", f"command {command_seq}", over_ms, 0.0, "ms", -over_ms)


def changed(core: Core, found: Found) -> Finding:
    """That the stored stop was certified under other limits, and what speaks against it now."""
    against = findings_of(core, [found])[0]
    subject = f"{against.limit} of {against.subject}"
    return against._replace(limit="environment_changed", subject=subject)

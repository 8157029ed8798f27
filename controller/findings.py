"""What a tick found, in the words of a decision: margins, and whether a limit refuses.

Guarantees: `refusal_of` says what `refuses` will say, before anything is found.
"""

from __future__ import annotations

from ..limits.core import Core, Found
from ..limits.records import OnViolation
from .decision import Finding

__all__ = ["expired", "findings_of", "refusal_of", "refuses"]


def refuses(core: Core, finding: Finding) -> bool:
    """Whether the limit that bound is declared `refuse`."""
    limits = core.limits
    if finding.limit == "workspace":
        name = finding.subject.rpartition("/")[2]
        chosen = next((v.on_violation for v in limits.volumes if v.name == name), None)
    else:
        chosen = limits.on_violation.get(finding.limit, OnViolation.CLAMP)
    return chosen is not OnViolation.CLAMP


def _is_lower_bound(core: Core, limit: str, subject: str, bound: float) -> bool:
    """Whether values above the bound are the allowed ones: clearance, min_position, and so on."""
    if limit != "joint_position":
        return limit in ("workspace", "self_collision", "singularity")
    joint = next(joint for joint in core.limits.joints if joint.name == subject)
    return bound < 0.5 * (joint.min_position + joint.max_position)


def refusal_of(core: Core, limit: str) -> bool | None:
    """Whether a limit that binds refuses, for whomever it binds; None if that depends on whom."""
    subjects = [f"/{volume.name}" for volume in core.limits.volumes] if limit == "workspace" else []
    found = [Finding(limit, subject, 0.0, 0.0, "", 0.0) for subject in subjects or [""]]
    answers = {refuses(core, finding) for finding in found}
    return answers.pop() if len(answers) == 1 else None


def findings_of(core: Core, found: list[Found]) -> list[Finding]:
    """What a tick found, with its margins: counted upwards from a lower bound."""
    findings = []
    for limit, subject, value, bound, unit in found:
        margin = value - bound if _is_lower_bound(core, limit, subject, bound) else bound - value
        findings.append(Finding(limit, subject, value, bound, unit, margin))
    return findings


def expired(core: Core, command_seq: int, ticks_over: int) -> Finding:
    """That a command has been followed for as long as it may."""
    over_ms = ticks_over * core.limits.period_s * 1e3
    return Finding("command_expired", f"command {command_seq}", over_ms, 0.0, "ms", -over_ms)

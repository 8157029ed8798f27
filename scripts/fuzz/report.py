"""What a campaign came to: the summary, whether it was vacuous, the table, JUnit.

Guarantees:
- A run in which the robot hardly moved, or in which a declared limit hardly bound, fails: it has
  shown nothing. The bound is 1 000 binds in 10⁶ steps, in proportion; a fifth of that for runs too
  short to even out, and never none.
- `closest` is the smallest margin that the oracle measured, stops included.
- A volume that no configuration of the arm violates is named, and need not bind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.table import Table

from ...sim.oracle import KINDS, Robot
from .campaign import Campaign
from .poses import TOUCHING, Poses
from .rules import RULES

__all__ = [
    "Summary",
    "conclude",
    "required_binds",
    "summarize",
    "table",
    "vacuous",
    "write_junit",
]

MOVING_SHARE_MIN = 0.5
STEPS_PER_BIND = 1000  # 1 000 binds in 10⁶ steps
STEPS_TO_EVEN_OUT = 100_000
JOINT_LIMITS = (
    "joint_position",
    "joint_velocity",
    "joint_acceleration",
    "joint_jerk",
    "joint_effort",
    "tcp_speed",
    "contact_force",
)


@dataclass(frozen=True, slots=True)
class Summary:
    """The campaign as one JSON object; `failures` is empty if it passed."""

    document: dict[str, Any]
    failures: tuple[str, ...]


def required_binds(robot: Robot, poses: Poses) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what must bind, volumes out of reach)."""
    names = list(JOINT_LIMITS)
    if robot.max_rot_vel_rad_s is not None:
        names.append("tcp_rotational_speed")
    for name, bound in (
        ("tcp_acceleration", robot.max_trans_acc_m_s2),
        ("tcp_rotational_acceleration", robot.max_rot_acc_rad_s2),
        ("link_speed", robot.link_speed_m_s),
    ):
        if bound is not None:
            names.append(name)
    names += [f"workspace/{v.name}" for v in robot.volumes if v.name in poses.pressed]
    zones = [zone.place.name for zone in robot.zones]
    names += [f"zone_speed/{zone}" for zone in zones if zone in poses.pressed]
    if TOUCHING in poses.pressed:
        names.append("self_collision")
    if robot.perception is not None:
        names.append("obstacles")
    if robot.gripper is not None:
        names.append("gripper_force")
        if not robot.gripper.is_binary:
            names += ["gripper_speed", "gripper_width"]
    if robot.risk_max is not None:
        names.append("classifier")
    places = [*(v.name for v in robot.volumes), *zones]
    unreachable = tuple(name for name in places if name not in poses.pressed)
    return tuple(names), unreachable


def vacuous(campaign: Campaign, required: Mapping[str, int]) -> list[str]:
    """Why the campaign has shown nothing. required: steps in which each limit could have bound."""
    out = []
    share = campaign.moving / max(1, campaign.steps)
    if not share >= MOVING_SHARE_MIN:
        out.append(f"in motion {share:.1%} of the steps, bound {MOVING_SHARE_MIN:.0%}")
    for name, steps in required.items():
        even = steps >= STEPS_TO_EVEN_OUT
        least = max(1, steps // (STEPS_PER_BIND if even else 5 * STEPS_PER_BIND))
        if campaign.binds[name] < least:
            out.append(f"{name} bound {campaign.binds[name]} times, at least {least} needed")
    return out


def summarize(
    campaign: Campaign,
    *,
    argument: str,
    robot: Robot,
    poses: Poses,
    zero_margins: bool,
    files: list[str],
) -> Summary:
    """Judge the campaign itself and put it into one object."""
    required, unreachable = required_binds(robot, poses)
    return conclude(
        campaign,
        {
            "limits": argument,
            "limits_sha256": robot.sha256,
            "zero_margins": zero_margins,
            "unreachable_volumes": list(unreachable),
            "violation_files": files,
        },
        dict.fromkeys(required, campaign.steps),
    )


def conclude(campaign: Campaign, about: dict[str, Any], required: Mapping[str, int]) -> Summary:
    """The verdict on a campaign, or on a whole matrix of them. required: as `vacuous`."""
    failures = [
        f"{kind}: {count} violation(s)" for kind, count in sorted(campaign.violations.items())
    ]
    # A campaign that ended at a violation has not had the time to bind everything.
    nothing = [] if failures else vacuous(campaign, required)
    document = {
        **about,
        "seed": campaign.seed,
        "steps": campaign.steps,
        "seconds": round(campaign.seconds, 3),
        "steps_per_s": round(campaign.steps / max(campaign.seconds, 1e-9), 1),
        "processes": campaign.processes,
        "moving_share": round(campaign.moving / max(1, campaign.steps), 4),
        "binds": {name: campaign.binds[name] for name in required},
        "closest": {name: float(f"{v:.3g}") for name, v in sorted(campaign.margins.items())},
        "findings": dict(sorted(campaign.binds.items())),
        "outcomes": dict(sorted(campaign.outcomes.items())),
        "streams": dict(sorted(campaign.streams.items())),
        "armed": campaign.armed,
        "arm_refused": campaign.arm_refused,
        "frames_lost": campaign.lost,
        "vetoes": campaign.vetoed,
        "vetoed_executed": campaign.violations["vetoed_executed"],
        "forks": campaign.forks,
        "fork_ticks": campaign.fork_ticks,
        "pinocchio_ticks": campaign.second_opinions,
        "violations": dict(sorted(campaign.violations.items())),
        "vacuous": nothing,
        "passed": not failures and not nothing,
    }
    return Summary(document, tuple(failures + [f"vacuous: {reason}" for reason in nothing]))


def table(summary: Summary) -> Table:
    """For people."""
    d = summary.document
    out = Table(title=f"fuzz {d['limits']}, seed {d['seed']}", show_header=False)
    out.add_column()
    out.add_column()
    out.add_row("limits", d["limits_sha256"][:16])
    rate = f"{d['steps_per_s']:,.0f} a second"
    out.add_row("steps", f"{d['steps']:,} in {d['seconds']:.0f} s: {rate}")
    out.add_row("in motion", f"{d['moving_share']:.1%}")
    out.add_row("outcomes", ", ".join(f"{k} {v:,}" for k, v in d["outcomes"].items()))
    for name, count in d["binds"].items():
        margin = d["closest"].get(name.partition("/")[0] if name.startswith("zone") else name)
        in_metres = name.startswith("workspace/") or name == "self_collision"
        unit = "m" if in_metres else "rad or m" if name == "joint_position" else "of the bound"
        closest = "" if margin is None else f"; closest {margin:.3g} {unit}"
        out.add_row(f"bound: {name}", f"{count:,}{closest}")
    out.add_row("armed", f"{d['armed']:,} times, refused {d['arm_refused']:,}")
    out.add_row("stops judged to rest", f"{d['forks']:,} ({d['fork_ticks']:,} ticks)")
    out.add_row("frames lost", f"{d['frames_lost']:,}")
    pinocchio = d["pinocchio_ticks"]
    out.add_row("judged by Pinocchio", f"{pinocchio:,}" if pinocchio else "0 (not installed?)")
    out.add_row("vetoes", f"{d['vetoes']:,}; executed all the same: {d['vetoed_executed']}")
    if "cells" in d:
        out.add_row("cells", f"{d['cells_done']:,} of {d['cells']:,} in {d['wall_s']:.0f} s")
    if d["unreachable_volumes"]:
        out.add_row("volumes out of reach", ", ".join(d["unreachable_volumes"]))
    verdict = "passed" if d["passed"] else "FAILED: " + "; ".join(summary.failures)
    out.add_row("verdict", verdict)
    for path in d["violation_files"]:
        out.add_row("replay with", f"--replay {path}")
    return out


def write_junit(path: Path, summary: Summary) -> None:
    """One test case a kind of violation, and one a limit that must bind."""
    d = summary.document
    cases: list[tuple[str, str | None]] = []
    for kind in (*KINDS, *RULES, "stop_not_played", "oracle_disagrees"):
        count = d["violations"].get(kind, 0)
        cases.append((f"no violation: {kind}", f"{count} violation(s)" if count else None))
    reasons = "; ".join(d["vacuous"])
    cases.append(("not vacuous", reasons or None))
    suite = ElementTree.Element(
        "testsuite",
        name=f"checkrein fuzz {d['limits']}",
        tests=str(len(cases)),
        failures=str(sum(message is not None for _, message in cases)),
        time=str(d["seconds"]),
    )
    for name, message in cases:
        case = ElementTree.SubElement(suite, "testcase", classname="checkrein.fuzz", name=name)
        if message is not None:
            ElementTree.SubElement(case, "failure", message=message)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)

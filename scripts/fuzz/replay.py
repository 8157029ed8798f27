"""Violation files: every input since arming, so that the same violation can be had again.

Guarantees:
- Strict JSON: NaN and infinity are the strings "nan", "inf", "-inf"; numbers keep all their bits.
- A file holds the frozen limits as they were, byte for byte, and names them by digest; replaying
  it against other limits is refused.
- Replay runs the inputs through a new filter and judges with the oracle, stops included.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...limits.errors import InputError
from ...limits.gripper import GripperCommand, GripperSetpoint, GripperState
from ...limits.loading import robots_folder, write_atomic
from ...limits.obstacles import Obstacles
from ...limits.records import Candidates, Command, Executed, RobotState
from ...sim.oracle import Violation
from .campaign import Campaign
from .doubles import Answers
from .fingers import asked_of
from .limits_source import LimitsSource
from .passers import Truth
from .plant import Plant
from .record import Record, judge
from .rules import RunRules, violation
from .shard import Bench, Found

__all__ = [
    "Replayed",
    "embedded",
    "read_violation",
    "replay",
    "write_violation",
    "write_violations",
]

FORMAT = 1
KIND = "checkrein/fuzz-violation"


def _pack(value: Any) -> Any:
    """To JSON: arrays to lists, non-finite numbers to strings."""
    if isinstance(value, np.ndarray):
        return _pack(value.tolist())
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    return float(value) if isinstance(value, str) else value


def _obstacles(obstacles: Obstacles | None) -> Any:
    if obstacles is None:
        return None
    return {
        "points": _pack(obstacles.points),
        "radius_m": _pack(obstacles.radius_m),
        "speed_m_s": None if obstacles.speed_m_s is None else _pack(obstacles.speed_m_s),
        "stamp_ns": obstacles.stamp_ns,
    }


def _obstacles_from(document: Any) -> Obstacles | None:
    if document is None:
        return None
    points = np.array(_unpack(document["points"]), dtype=np.float64).reshape(-1, 3)
    speed = document["speed_m_s"]
    return Obstacles(
        points,
        np.array(_unpack(document["radius_m"])),
        document["stamp_ns"],
        None if speed is None else np.array(_unpack(speed)),
    )


def _truth(truth: Truth | None) -> Any:
    if truth is None:
        return None
    rows = {name: _pack(getattr(truth, name)) for name in ("start", "end", "radius_m", "speed_m_s")}
    return {**rows, "excused": truth.excused}


def _truth_from(document: Any) -> Truth | None:
    if document is None:
        return None
    start, end = (np.array(document[name]).reshape(-1, 3) for name in ("start", "end"))
    radius, speed = (np.array(document[name]).reshape(-1) for name in ("radius_m", "speed_m_s"))
    return Truth(start, end, radius, speed, document["excused"])


def _state(state: RobotState, seq_before: int) -> dict[str, Any]:
    executed, grip = state.executed, state.gripper
    return {
        "q": _pack(state.q),
        "dq": _pack(state.dq),
        "stamp_ns": state.stamp_ns,
        "wrench_tcp": None if state.wrench_tcp is None else _pack(state.wrench_tcp),
        "executed": None if executed is None else [executed.seq - seq_before, executed.stop_tick],
        "obstacles": _obstacles(state.obstacles),
        "gripper": None if grip is None else _pack([grip.position, grip.effort]),
    }


def _part(part: GripperCommand) -> dict[str, Any]:
    position = part.position
    return {
        "position": _pack(position.ravel()),
        "shape": list(position.shape),
        "max_effort": _pack(part.max_effort),
    }


def _part_from(document: Any) -> GripperCommand | None:
    if document is None:
        return None
    position = np.array(_unpack(document["position"]), dtype=np.float64)
    return GripperCommand(position.reshape(document["shape"]), _unpack(document["max_effort"]))


def _command(command: Command) -> dict[str, Any]:
    part = command.gripper
    return {
        "mode": command.mode,
        "values": _pack(command.values),
        "shape": list(command.values.shape),
        "seq": command.seq,
        "stamp_ns": command.stamp_ns,
        "valid_ms": _pack(command.valid_ms),
        "period_ms": _pack(command.period_ms),
        "gripper": None if part is None else _part(part),
    }


def _proposal(proposal: Candidates) -> Any:
    if proposal is None:
        return None
    if isinstance(proposal, Command):
        return _command(proposal)
    return [_command(item) for item in proposal]


def _state_from(document: dict[str, Any]) -> RobotState:
    wrench, executed = document["wrench_tcp"], document["executed"]
    grip = _unpack(document.get("gripper"))
    return RobotState(
        np.array(_unpack(document["q"])),
        np.array(_unpack(document["dq"])),
        document["stamp_ns"],
        wrench_tcp=None if wrench is None else np.array(_unpack(wrench)),
        executed=None if executed is None else Executed(*executed),
        obstacles=_obstacles_from(document.get("obstacles")),
        gripper=None if grip is None else GripperState(*grip),
    )


def _command_from(document: dict[str, Any]) -> Command:
    values = np.array(_unpack(document["values"]), dtype=np.float64).reshape(document["shape"])
    valid_ms, period_ms = _unpack(document["valid_ms"]), _unpack(document["period_ms"])
    seq, stamp_ns = document["seq"], document["stamp_ns"]
    part = _part_from(document.get("gripper"))
    return Command(document["mode"], values, seq, stamp_ns, valid_ms, period_ms, part)


def _proposal_from(document: Any) -> Candidates:
    if document is None:
        return None
    if isinstance(document, dict):
        return _command_from(document)
    return [_command_from(item) for item in document]


def write_violation(
    path: Path, found: Found, *, source: LimitsSource, seed: int, shard: int, zero_margins: bool
) -> None:
    """Write one violation with all inputs from arming up to it."""
    run, item = found.run, found.violation
    last = item.row - run.first_row
    document = {
        "format": FORMAT,
        "kind": KIND,
        "limits": source.argument,
        "limits_sha256": source.sha256,
        "frozen": source.raw.decode("utf-8"),
        "zero_margins": zero_margins,
        "seed": seed,
        "shard": shard,
        "violation": {
            "tick": last,
            "kind": item.kind,
            "subject": item.subject,
            "value": _pack(item.value),
            "bound": _pack(item.bound),
            "unit": item.unit,
            "at": item.at,
        },
        "deviation": _pack(found.deviation),
        "scorer": None if run.answers is None else {"answers": run.answers, "key": run.key},
        "armed": {"now_ns": run.armed_ns, "state": _state(run.armed, 0)},
        "inputs": [
            {
                "now_ns": entry.now_ns,
                "state": _state(entry.state, run.seq_before),
                "proposal": _proposal(entry.proposal),
                "rubbish": list(entry.rubbish),
                "lost": entry.lost,
                "truth": _truth(entry.truth),
            }
            for entry in run.inputs[: last + 1]
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(document, allow_nan=False) + "\n").encode("utf-8"))


def read_violation(path: Path) -> dict[str, Any]:
    """Read a violation file; InputError says what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--replay {path}: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InputError(f"--replay {path}: not a violation file ({KIND})")
    if document.get("format") != FORMAT:
        raise InputError(
            f"--replay {path}: format {document.get('format')!r}, this release reads {FORMAT}"
        )
    return document


def write_violations(
    out: Path, campaign: Campaign, *, source: LimitsSource, zero_margins: bool
) -> list[str]:
    """One file for the first violation of each kind; their paths."""
    shard = campaign.failed
    files: list[str] = []
    for found in [] if shard is None else shard.found:
        number = shard.index if shard else 0
        path = out / f"{campaign.seed}-{number}-{found.violation.kind}.json"
        write_violation(
            path,
            found,
            source=source,
            seed=campaign.seed,
            shard=number,
            zero_margins=zero_margins,
        )
        files.append(str(path))
    return files


def embedded(path: Path, document: dict[str, Any]) -> LimitsSource:
    """The limits inside a violation file; InputError if there are none, or others than it names."""
    frozen, argument = document.get("frozen"), document.get("limits")
    if not isinstance(frozen, str) or not isinstance(argument, str):
        raise InputError(f"--replay {path}: holds no limits; name those that it was made with")
    raw = frozen.encode("utf-8")
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != document.get("limits_sha256"):
        raise InputError(
            f"--replay {path}: holds limits {sha256}, but says {document.get('limits_sha256')!r}"
        )
    # A classifier is looked for beside the shipped limits.
    return LimitsSource(argument, str(robots_folder() / path.name), raw, sha256)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found; `again`: the recorded kind occurs at the recorded tick."""

    violations: list[Violation]
    ticks: int
    again: bool


def _drive(bench: Bench, document: dict[str, Any]) -> tuple[Record, list[Violation]]:
    answers = document["scorer"]
    scorer = None if answers is None else bench.scorer
    if scorer is not None:
        scorer.restart(cast(Answers, answers["answers"]), int(answers["key"]))
    guard = bench.make_filter(bench.limits, scorer)
    armed = _state_from(document["armed"]["state"])
    guard.arm(armed, now_ns=document["armed"]["now_ns"])
    zero = np.zeros(bench.robot.n)
    record, found = Record(start=[(armed.q, zero, zero)]), []
    rules, plant = RunRules(bench.robot, scorer), Plant(armed.q)
    told: GripperSetpoint | None = None
    for item in document["inputs"]:
        state, proposal = _state_from(item["state"]), _proposal_from(item["proposal"])
        try:
            decision = guard.step(state, proposal, now_ns=item["now_ns"])
        except Exception as error:
            subject = f"{type(error).__name__}: {error}"
            found.append(violation("exception", subject, record.rows))
            break
        broken = rules.judge(state, proposal, item["rubbish"], decision)
        found += [violation(rule, subject, record.rows) for rule, subject in broken]
        if item["lost"]:
            plant.miss()
        else:
            plant.take(decision)
            told = decision.setpoint.gripper
        is_held = item["lost"] or decision.stop_tick > 0
        record.asked.append(asked_of(state, told, is_held=is_held))
        record.add(0, plant, decision, item["lost"], _truth_from(item.get("truth")))
    return record, found


def replay(bench: Bench, document: dict[str, Any]) -> Replayed:
    """Run a violation file's inputs again and judge them."""
    if document["limits_sha256"] != bench.robot.sha256:
        raise InputError(
            f"--replay: the file was made with limits {document['limits_sha256']}, "
            f"these are {bench.robot.sha256}"
        )
    record, found = _drive(bench, document)
    if record.rows:
        deviation = np.tile(np.array(_unpack(document["deviation"])), (record.rows, 1))
        forks = np.array([record.rows - 1], dtype=np.int64)
        rng = np.random.default_rng(0)
        judged = judge(bench.robot, record, rng, deviation=deviation, forks=forks)
        found += judged.violations
    found.sort(key=lambda item: item.row)
    wanted = document["violation"]
    again = any(v.kind == wanted["kind"] and v.row == wanted["tick"] for v in found)
    return Replayed(found, record.rows, again)

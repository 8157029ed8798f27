"""Limits that are tightened at random while attacks drive the filter; the oracle judges each row.

Guarantees:
- A function of (limits, seed, steps). Filter and oracle read the same tightened file, byte by byte.
- Every row is judged by the limits of before all changes; and from the first row without the
  finding `environment_changed` on by those in force, with their stops to rest for a random share.
- Of what a change itself left outside (a joint of a narrower range, a link beyond a new wall)
  the rule of the way back is judged: nothing comes nearer than the declared errors may have had it,
  and joints keep to recovery velocity.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...controller import SafetyFilter
from ...controller.decision import Decision
from ...controller.errors import ArmError
from ...limits.canonical import canonical_bytes
from ...limits.easing import SLACK_M
from ...limits.frozen import parse_frozen
from ...limits.records import Array, RobotState
from ...sim.oracle import Motion, Robot, clearances, judge_stops, judge_ticks, read_robot
from ...sim.oracle_geometry import forward
from .limits_source import LimitsSource, load
from .poses import find_poses
from .streams import STREAMS
from .view import Stream, View

__all__ = ["Changing", "run_changing"]

EPISODE_TICKS = 600
CHANGE_SHARE = 0.008  # of ticks
CHANGES_MAX = 3  # an episode
STOP_SHARE = 0.02
VIOLATIONS_SHOWN = 20
NUDGE_RAD = 1e-6  # or m
SPEEDS_AT_LEAST = 0.1  # of the declared ones
WALL_M = (-0.01, 0.25)  # how far in front of the tool a new wall is put


@dataclass(slots=True)
class Changing:
    """What came of a run."""

    steps: int = 0
    changes: int = 0
    interrupted: int = 0  # ticks of a stop that was certified under other limits
    recovering: int = 0  # ticks with a link on its way back, or a joint
    stops: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Why the run does not pass: what it found, or that it shows nothing."""
        counts = {name: getattr(self, name) for name in ("changes", "interrupted", "recovering")}
        empty = [f"vacuous: {name} is 0" for name, count in counts.items() if count == 0]
        return self.violations[:VIOLATIONS_SHOWN] + empty

    @property
    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "steps": self.steps, "changes": self.changes, "interrupted": self.interrupted,
            "recovering": self.recovering, "stops": self.stops, "outcomes": dict(self.outcomes),
            "violations": len(self.violations), "failures": self.failures,
            "passed": not self.failures,
        }  # fmt: skip


Row = tuple[Array, Array]  # (3, n) before, after: q, dq, ddq


@dataclass(slots=True)
class _Segment:
    """Rows between two changes, and the limits in force."""

    robot: Robot
    rows: list[Row] = field(default_factory=list)
    stops: list[tuple[Any, Array]] = field(default_factory=list)
    returning: list[bool] = field(default_factory=list)


def _tightened(document: dict[str, Any], robot: Robot, q: Array, rng: np.random.Generator) -> bytes:
    """The file with some of its numbers tighter, and perhaps one wall more."""
    out = json.loads(json.dumps(document))
    share = float(rng.uniform(SPEEDS_AT_LEAST, 1.0))
    chosen = rng.random(5) < 0.5
    for i, joint in enumerate(out["joints"]):
        for which, name in enumerate(("max_velocity", "max_acceleration", "max_jerk")):
            least = 2.0 * joint["velocity_error"] if which == 0 else 0.0
            floor = max(least, SPEEDS_AT_LEAST * joint[name])
            if chosen[which]:
                joint[name] = max(min(joint[name], floor), share * joint[name])
        joint["recovery_velocity"] = min(joint["recovery_velocity"], joint["max_velocity"])
        width = joint["max_position"] - joint["min_position"]
        home = out["home"][i]
        if chosen[3] and i == int(rng.integers(len(out["joints"]))) and width > 0.4:
            high = max(home + 0.1 * width, float(q[i]) + float(rng.uniform(-0.1, 0.2)) * width)
            joint["max_position"] = min(joint["max_position"], high)
    out["tcp"]["max_trans_vel"] *= float(rng.uniform(0.5, 1.0)) if chosen[4] else 1.0
    if rng.random() < 0.3:
        frames = forward(robot, q[None])
        tip = frames.tcp[:, 0]
        away = rng.normal(size=3)
        normal = away / float(np.sqrt(away @ away))
        offset = float(normal @ tip) - float(rng.uniform(*WALL_M))
        side = [round(float(v), 12) for v in normal]
        size = float(np.sqrt(np.dot(side, side)))
        out["volumes"].append(
            {
                "name": f"wall{len(out['volumes'])}", "kind": "keep_out", "shape": "half_space",
                "on_violation": "clamp", "normal": [v / size for v in side], "offset": offset,
                "exempt": [c["name"] for c in out["capsules"] if c["joint"] < len(q) - 1],
            }
        )  # fmt: skip
    return canonical_bytes(out)


def _motion(rows: list[Row], run: Array) -> Motion:
    before, after = (np.array([row[side] for row in rows]) for side in (0, 1))
    return Motion(
        q0=before[:, 0], dq0=before[:, 1], ddq0=before[:, 2],
        q1=after[:, 0], dq1=after[:, 1], ddq1=after[:, 2], run=run.astype(np.int64),
    )  # fmt: skip


def _at_worst(robot: Robot, q: Array) -> tuple[Array, Array, tuple[str, ...]]:
    """Clearances (B, pairs) [m] at q (B, n); what the declared position errors leave of them, to
    first order; the pairs' names."""
    values, names = clearances(robot, q)
    errors = robot.bounds["tracking_error"] + robot.bounds["position_noise"]
    least = values.copy()
    for step, error in zip(NUDGE_RAD * np.eye(robot.n), errors, strict=True):
        slope = (clearances(robot, q + step)[0] - clearances(robot, q - step)[0]) / 2.0
        least -= np.abs(slope) * (error / NUDGE_RAD)
    return values, least, names


def _way_back(robot: Robot, segment: _Segment) -> list[str]:
    """What of a way back breaks its rule: nothing comes nearer than it may have been, and joints
    are slow."""
    rows = [row for row, back in zip(segment.rows, segment.returning, strict=True) if back]
    if not rows:
        return []
    q = np.array([0.5 * (row[0][0] + row[1][0]) for row in rows] + [row[1][0] for row in rows])
    values, at_worst, names = _at_worst(robot, q)
    found, found_at_worst, _ = _at_worst(robot, rows[0][0][0][None])
    is_noted = found[0] <= SLACK_M
    bound = np.where(is_noted, found_at_worst[0] - SLACK_M, 0.0)
    values = np.where(is_noted, at_worst, values)
    bad = np.argwhere(~(values >= bound - 1e-9))
    out = [
        f"way back: {names[c]} {float(values[r, c])!r} below {float(bound[c])!r} m"
        for r, c in bad[:4]
    ]
    speed = np.abs(np.array([row[1][1] for row in rows])) - robot.bounds["recovery_velocity"]
    if not speed.max() <= 1e-9:
        out.append(f"way back: {float(speed.max())!r} rad/s or m/s above recovery_velocity")
    return out


def _judge(base: Robot, segments: list[_Segment], result: Changing) -> None:
    every = [row for segment in segments for row in segment.rows]
    if every:
        run = np.zeros(len(every))
        result.violations += [
            f"declared: {item}" for item in judge_ticks(base, _motion(every, run))
        ]
    for segment in segments:
        rows = segment.rows
        if not rows:
            continue
        q = rows[0][0][0]
        bounds = {
            **segment.robot.bounds,
            "min_position": np.minimum(segment.robot.bounds["min_position"], q - 1e-9),
            "max_position": np.maximum(segment.robot.bounds["max_position"], q + 1e-9),
        }
        robot = replace(segment.robot, bounds=bounds)
        well = [k for k in range(len(rows)) if not segment.returning[k]]
        if well:
            run = np.array(well) - np.arange(len(well))  # gapless where this is the same
            found = judge_ticks(robot, _motion([rows[k] for k in well], run))
            result.violations += [f"in force: {item}" for item in found]
        result.violations += _way_back(robot, segment)
        if segment.stops:
            starts = np.array([start for _, start in segment.stops])
            carried = (starts[:, 0], starts[:, 1], starts[:, 2])
            found, _ = judge_stops(robot, [stop for stop, _ in segment.stops], carried)
            result.violations += [f"stop in force: {item}" for item in found]
            result.stops += len(segment.stops)


class _Episode:
    """One arming, a few changes, one judgement."""

    def __init__(self, source: LimitsSource, base: Robot, view: View, result: Changing) -> None:
        self._source, self._base, self._view, self._result = source, base, view, result
        self._rng = view.rng
        self._guard = SafetyFilter(load(source), scorer=_allowing(source))
        self._document: dict[str, Any] = json.loads(source.raw)
        self._segments = [_Segment(base)]
        self._stream: Stream = iter(())

    def run(self, q: Array, now_ns: int, ticks: int) -> int:
        """Arm at q and run; the time after it."""
        period_ns = round(self._base.period_s * 1e9)
        still = np.zeros(self._base.n)
        state = RobotState(q, still, now_ns, wrench_tcp=np.zeros(6))
        try:
            self._guard.arm(state, now_ns=now_ns)
        except ArmError:
            return now_ns + period_ns
        at, changes = np.array([q, still, still]), 0
        for _ in range(ticks):
            now_ns += period_ns
            if changes < CHANGES_MAX and self._rng.random() < CHANGE_SHARE:
                changes += self._change(at[0])
            view = self._view
            view.q, view.dq, view.now_ns = at[0], at[1], now_ns
            state = RobotState(at[0], at[1], now_ns, wrench_tcp=np.zeros(6))
            decision = self._guard.step(state, self._proposal(), now_ns=now_ns)
            setpoint = decision.setpoint
            after = np.array([setpoint.q, setpoint.dq, setpoint.ddq])
            self._note(decision, at, after)
            at = after
        _judge(self._base, self._segments, self._result)
        return now_ns

    def _proposal(self) -> Any:
        for proposal in self._stream:
            return proposal
        self._stream = STREAMS[int(self._rng.integers(len(STREAMS)))][0](self._view)
        return next(self._stream, None)

    def _change(self, q: Array) -> int:
        robot = self._segments[-1].robot
        raw = _tightened(self._document, robot, q, self._rng)
        limits = parse_frozen(raw, self._source.path, Path(self._source.path).parent)
        self._guard.tighten(limits)
        self._document = json.loads(raw)
        self._segments.append(_Segment(read_robot(raw)))
        self._result.changes += 1
        return 1

    def _note(self, decision: Decision, before: Array, after: Array) -> None:
        result, segment = self._result, self._segments[-1]
        result.steps += 1
        result.outcomes[decision.outcome.value] += 1
        if any(finding.limit == "environment_changed" for finding in decision.findings):
            result.interrupted += 1
            # Still under the limits that held for the row before, and as well as that one.
            holder = next((s for s in reversed(self._segments) if s.rows), self._segments[0])
            holder.rows.append((before, after))
            holder.returning.append(bool(holder.returning) and holder.returning[-1])
            return
        bounds, error = segment.robot.bounds, segment.robot.bounds["tracking_error"]
        low, high = bounds["min_position"] + error, bounds["max_position"] - error
        outside = bool(((before[0] < low - 1e-9) | (before[0] > high + 1e-9)).any())
        returning = outside or bool(self._guard.recovering)
        result.recovering += returning
        segment.rows.append((before, after))
        segment.returning.append(returning)
        if not returning and self._rng.random() < STOP_SHARE:
            segment.stops.append((decision.setpoint.stop, after))


def _allowing(source: LimitsSource) -> Any:
    """A scorer that allows everything: what is under test is below it. None if none is declared."""
    from .doubles import scorer_double

    limits = load(source)
    if limits.classifier.file is None:
        return None
    scorer = scorer_double(limits)
    scorer.restart("allow", 0)
    return scorer


def run_changing(source: LimitsSource, *, steps: int, seed: int) -> Changing:
    """Attack and tighten for so many ticks."""
    base, result = read_robot(source.raw), Changing()
    poses, rng, now_ns = find_poses(base), np.random.default_rng([seed, 77]), 10**9
    while result.steps < steps:
        view = View(base, poses, rng)
        q = np.array(poses.free[int(rng.integers(poses.free.shape[0]))])
        ticks = min(EPISODE_TICKS, steps - result.steps)
        now_ns = _Episode(source, base, view, result).run(q, now_ns, ticks)
    return result

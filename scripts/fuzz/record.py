"""What a shard writes down while the filter runs, and how the oracle judges it afterwards.

Guarantees:
- Every executed tick is judged; the stop of a random share, and of ticks beside a change of
  outcome, is judged until rest; Pinocchio looks at a random 1 %.
- Every stop continues from the setpoint that carries it, and every tick of the stop that is played
  is the one that was stored with the setpoint before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...controller.decision import Decision
from ...limits.records import Array, Candidates, RobotState, StopMotion
from ...sim.oracle import (
    Crowd,
    Margins,
    Motion,
    Robot,
    Violation,
    judge_obstacles,
    judge_stops,
    judge_ticks,
)
from ...sim.oracle_gripper import Asked, judge_fingers
from ...sim.oracle_joints import Excess, rounding, within_tick
from ...sim.oracle_stop import expand_stops, malformed
from .passers import Truth
from .plant import Plant

__all__ = ["Input", "Judged", "Record", "Run", "judge"]

FORK_SHARE = 0.012
SECOND_OPINION_SHARE = 0.01
MOVING_SHARE = 0.01  # of its max_velocity, for any joint: the robot is in motion
Indices = npt.NDArray[np.int64]


@dataclass(slots=True)
class Input:
    """What the filter was given in one tick."""

    now_ns: int
    state: RobotState
    proposal: Candidates
    rubbish: tuple[int, ...]  # candidates that must not be accepted
    lost: bool  # the setpoint never arrived: the plant played the stop that it held
    truth: Truth | None = None  # where obstacles were while the tick was played


@dataclass(slots=True)
class Run:
    """All inputs from one arming to the next: enough to replay it."""

    first_row: int
    armed: RobotState
    armed_ns: int
    answers: str | None  # how the scorer double answers; None: no scorer
    key: int
    kept: tuple[float, float] | None = None  # that the gripper may be asked for from before
    seq_before: int = 0  # of the last decision before this run; a new filter begins at 0
    inputs: list[Input] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """The executed stream of one shard, in order."""

    runs: list[Run] = field(default_factory=list)
    run: list[int] = field(default_factory=list)
    start: list[tuple[Array, Array, Array]] = field(default_factory=list)  # of each run
    ends: list[tuple[Array, Array, Array]] = field(default_factory=list)  # q, dq, ddq executed
    stops: list[StopMotion] = field(default_factory=list)  # held while that was executed
    lost: list[bool] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    stop_ticks: list[int] = field(default_factory=list)
    truths: list[Truth | None] = field(default_factory=list)  # where obstacles were
    asked: list[Asked] = field(default_factory=list)  # of the gripper, where there is one

    @property
    def rows(self) -> int:
        """Ticks executed."""
        return len(self.ends)

    def add(
        self, run: int, plant: Plant, decision: Decision, lost: bool, truth: Truth | None = None
    ) -> None:
        """Write down one tick, after the plant executed it."""
        if plant.stop is None:
            raise RuntimeError("a tick was executed without a setpoint")
        self.run.append(run)
        self.ends.append((plant.q, plant.dq, plant.ddq))
        self.stops.append(plant.stop)
        self.lost.append(lost)
        self.outcomes.append(decision.outcome.value)
        self.stop_ticks.append(decision.stop_tick)
        self.truths.append(truth)

    def motion(self) -> Motion:
        """The stream as ticks."""
        run = np.array(self.run, dtype=np.int64)
        ends = [np.array([end[part] for end in self.ends]) for part in range(3)]
        fresh = np.flatnonzero(np.r_[True, run[1:] != run[:-1]])
        starts = []
        for part in range(3):
            before = np.vstack([ends[part][:1], ends[part][:-1]])
            before[fresh] = np.array([self.start[int(run[row])][part] for row in fresh])
            starts.append(before)
        (q0, dq0, ddq0), (q1, dq1, ddq1) = starts, ends
        return Motion(q0, dq0, ddq0, q1, dq1, ddq1, run)


def grasped(record: Record, robot: Robot) -> list[Violation]:
    """What was asked too much of the gripper, run by run."""
    out: list[Violation] = []
    if robot.gripper is None:
        return out
    runs = np.array(record.run)
    for k, run in enumerate(record.runs or [None]):
        rows = np.flatnonzero(runs == k)
        kept = None if run is None else run.kept
        ticks = [record.asked[row] for row in rows.tolist()]
        found = judge_fingers(robot.gripper, robot.period_s, ticks, kept)
        out += [
            Violation(int(rows[tick]), kind, "gripper", value, bound, unit)
            for tick, kind, value, bound, unit in found
        ]
    return out


@dataclass(slots=True)
class Judged:
    """What the oracle found in a shard, and how much it looked at."""

    violations: list[Violation]
    deviation: Array  # (K, n)
    moving: int
    forks: int
    fork_ticks: int
    second_opinions: int
    margins: Margins
    beside: int = 0  # ticks in motion that were judged with obstacles about


def fork_rows(record: Record, rng: np.random.Generator) -> Indices:
    """Rows whose stop is judged: at random, and beside changes of outcome."""
    rows = record.rows
    outcome = np.array(record.outcomes)
    changes = np.flatnonzero(outcome[1:] != outcome[:-1])
    beside = np.union1d(changes, changes + 1)
    extra = min(beside.size, round(FORK_SHARE * rows / 2))
    chosen = [rng.choice(rows, max(1, round(FORK_SHARE * rows)), replace=False)]
    if extra:
        chosen.append(rng.choice(beside, extra, replace=False))
    picked = np.unique(np.concatenate(chosen)).astype(np.int64)
    arrived = ~np.array(record.lost)
    return np.asarray(picked[arrived[picked]])


def _report(excess: Excess, rows: Indices, at: str) -> list[Violation]:
    out = []
    for k, i in np.argwhere(excess.violated())[:20]:
        value, bound = float(excess.value[k, i]), float(excess.bound[i] + excess.slack[i])
        name = excess.subjects[i]
        out.append(Violation(int(rows[k]), excess.kind, name, value, bound, excess.unit, at))
    return out


def stop_starts(record: Record, robot: Robot, motion: Motion) -> list[Violation]:
    """Every stop begins where its setpoint ends, exactly."""
    out: list[Violation] = []
    rows, zero = np.flatnonzero(~np.array(record.lost)).astype(np.int64), np.zeros(robot.n)
    for name, end in (("q", motion.q1), ("dq", motion.dq1), ("ddq", motion.ddq1)):
        begin = np.array([getattr(record.stops[k], name) for k in rows.tolist()])
        gap = np.abs(begin.reshape(-1, robot.n) - end[rows])
        excess = Excess("stop_start", gap, zero, zero, robot.joint_names, f"of {name}")
        out += _report(excess, rows, "the stop that the setpoint carries")
    return out


def _first_jerk(stop: Any) -> Array:
    """Jerk (n,) of the first tick of a stop; 0 for a joint that rests."""
    ticks, jerk = np.asarray(stop.ticks), np.asarray(stop.jerk)
    first = np.argmax(ticks > 0, axis=1)
    at = np.arange(ticks.shape[0])
    return np.where(ticks[at, first] > 0, jerk[at, first], 0.0)


def played_stops(record: Record, robot: Robot, motion: Motion) -> list[Violation]:
    """A tick of the stop is the one stored with the setpoint before; fresh motion is no matter."""
    lost, played = np.array(record.lost), np.array(record.stop_ticks) > 0
    sent = ~lost[1:] & ~lost[:-1] & played[1:] & (motion.run[1:] == motion.run[:-1])
    rows = np.flatnonzero(sent).astype(np.int64) + 1
    rows = rows[[malformed(robot, record.stops[k - 1]) is None for k in rows.tolist()]]
    if not rows.size:
        return []
    jerk = np.array([_first_jerk(record.stops[k - 1]) for k in rows.tolist()])
    promised = motion.ddq0[rows] + jerk * robot.period_s
    gap = np.abs(motion.ddq1[rows] - promised)
    slack = 1e-9 * robot.bounds["max_acceleration"] + rounding(robot, 2, motion.q1)
    zero = np.zeros(robot.n)
    names = robot.joint_names
    excess = Excess("stop_not_played", gap, zero, slack, names, "of ddq, rad/s² or m/s²")
    return _report(excess, rows, "against the stop stored the tick before")


def _crowd(truths: list[Truth], grown_m: Array) -> Crowd:
    starts, ends = (np.array([getattr(t, name) for t in truths]) for name in ("start", "end"))
    return Crowd(starts, ends, truths[0].radius_m, grown_m)


def touched(
    record: Record, robot: Robot, motion: Motion, deviation: Array, margins: Margins
) -> tuple[list[Violation], int]:
    """Links that touched obstacles in motion, run by run; and how many ticks were judged."""
    out: list[Violation] = []
    seeing = [t is not None and t.radius_m.size > 0 and not t.excused for t in record.truths]
    judged = 0
    for run in sorted(set(record.run)) if any(seeing) else ():
        rows = np.flatnonzero((motion.run == run) & np.array(seeing))
        truths = [t for t in (record.truths[k] for k in rows.tolist()) if t is not None]
        if not truths:
            continue
        part = Motion(**{name: getattr(motion, name)[rows] for name in Motion.__slots__})
        crowd = _crowd(truths, np.zeros((len(truths), truths[0].radius_m.size)))
        found = judge_obstacles(robot, part, crowd, deviation=deviation[rows], margins=margins)
        out += [moved(v, int(rows[v.row])) for v in found]
        judged += int(np.count_nonzero(part.dq1.any(axis=1)))
    return out, judged


def touched_in_stops(record: Record, robot: Robot, rows: Indices) -> list[Violation]:
    """The same for stored stops, whatever obstacles do meanwhile, as fast as they claim."""
    out: list[Violation] = []
    for row in rows.tolist():
        truth, stop = record.truths[row], record.stops[row]
        if truth is None or truth.excused or not truth.radius_m.size or malformed(robot, stop):
            continue
        motion, _, _ = expand_stops([stop], robot.period_s)
        ticks = motion.run.size
        if ticks == 0:
            continue
        there = np.broadcast_to(truth.end, (ticks, *truth.end.shape))
        grown_s = robot.period_s * np.arange(1.0, ticks + 1.0)
        crowd = Crowd(there, there, truth.radius_m, grown_s[:, None] * truth.speed_m_s)
        # Within a tick less than this is needed; at its end no more.
        found = judge_obstacles(robot, motion, crowd, parts=(1.0,))
        out += [replace(moved(v, row), at=f"tick {v.row + 1} of the stop") for v in found]
    return out


def _second_opinion(robot: Robot, motion: Motion, rows: Indices) -> list[Violation]:
    try:
        from ...sim.oracle_pinocchio import SecondOpinion

        opinion = SecondOpinion(robot)
    except ModuleNotFoundError:
        return []
    part = Motion(**{name: getattr(motion, name)[rows] for name in Motion.__slots__})
    instants = within_tick(part, robot.period_s, 0.5 * robot.period_s)
    return [moved(v, int(rows[v.row])) for v in opinion.judge(*instants)]


def moved(v: Violation, row: int) -> Violation:
    """The same violation at another row."""
    return Violation(row, v.kind, v.subject, v.value, v.bound, v.unit, v.at)


def judge(
    robot: Robot,
    record: Record,
    rng: np.random.Generator,
    *,
    deviation: Array | None = None,
    forks: Indices | None = None,
    second_opinion: bool = True,
) -> Judged:
    """Judge a whole record. `deviation` and `forks` are drawn from rng unless given (replay)."""
    motion = record.motion()
    if deviation is None:
        corners = rng.integers(0, 2, motion.q1.shape) * 2.0 - 1.0
        deviation = corners * (robot.bounds["tracking_error"] + robot.bounds["position_noise"])
    margins: Margins = {}
    found = judge_ticks(robot, motion, deviation=deviation, margins=margins)
    in_crowd, beside = touched(record, robot, motion, deviation, margins)
    found += in_crowd
    found += stop_starts(record, robot, motion)
    found += played_stops(record, robot, motion)
    found += grasped(record, robot)
    rows = fork_rows(record, rng) if forks is None else forks
    stops = [record.stops[k] for k in rows.tolist()]
    starts = (motion.q1[rows], motion.dq1[rows], motion.ddq1[rows])
    in_stops, fork_ticks = judge_stops(robot, stops, starts, margins=margins)
    found += [moved(v, int(rows[v.row])) for v in in_stops]
    found += touched_in_stops(record, robot, rows)
    looked = 0
    if second_opinion:
        chosen = rng.random(record.rows) < SECOND_OPINION_SHARE
        picked = np.flatnonzero(chosen).astype(np.int64)
        found += _second_opinion(robot, motion, picked)
        looked = int(picked.size)
    speed = np.abs(motion.dq1) / robot.bounds["max_velocity"]
    moving = int(np.count_nonzero(speed.max(axis=1) > MOVING_SHARE))
    return Judged(found, deviation, moving, int(rows.size), fork_ticks, looked, margins, beside)

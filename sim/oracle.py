"""The independent oracle: judges motion, tick by tick, against the declared limits.

Guarantees:
- Shares no code with the filter: it imports neither `checkrein.limits` nor numba, parses the frozen
  file itself, and has its own kinematics, dynamics and distances.
- Joint quantities are exact within each tick; geometry, TCP speeds and effort are sampled inside
  each tick. What it passes is not proven; what it reports is a violation.
- Where a deviation is given (the robot within its declared tracking error of the stream), the
  geometry is judged there too.
- A stop is judged from the state that carries it until it rests, by the same bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .oracle_dynamics import joint_effort
from .oracle_file import Array, FrozenFileError, Robot, read_robot
from .oracle_geometry import capsule_ends, clearance, forward, tcp_rotation, tcp_velocity
from .oracle_joints import Excess, Motion, joint_excesses, rounding, within_tick
from .oracle_obstacles import PARTS, Crowd, obstacle_excesses
from .oracle_speeds import speed_excesses, tool_excesses
from .oracle_stop import Stop, expand_stops, malformed
from .oracle_touch import pair_clearances, pair_names

__all__ = [
    "KINDS",
    "Crowd",
    "FrozenFileError",
    "Margins",
    "Motion",
    "Robot",
    "Violation",
    "clearances",
    "judge_configurations",
    "judge_obstacles",
    "judge_stops",
    "judge_ticks",
    "link_clearances",
    "read_robot",
]

# What the declared limits are called; the other kinds say that the stream itself is broken.
KINDS = (
    "joint_position",
    "joint_velocity",
    "joint_acceleration",
    "joint_jerk",
    "joint_effort",
    "tcp_speed",
    "tcp_rotational_speed",
    "tcp_acceleration",
    "tcp_rotational_acceleration",
    "link_speed",
    "zone_speed",
    "workspace",
    "self_collision",
    "obstacles",
    "non_finite",
    "continuity",
    "stop_start",
    "stop_rest",
    "stop_malformed",
)
MARGIN_KINDS = frozenset({*KINDS[: KINDS.index("workspace")], "self_collision", "obstacles"})
CLEARANCE_SLACK_M = 1e-9
ROWS_AT_ONCE = 2048  # keeps the work arrays in the cache
REPORTED_MAX = 64  # violations of one kind in one batch; the worst ones


@dataclass(frozen=True, slots=True)
class Violation:
    """One bound broken. `row` is the tick in the batch that was judged; `at` the part of it."""

    row: int
    kind: str
    subject: str
    value: float
    bound: float
    unit: str
    at: str = ""

    def __str__(self) -> str:
        """As people read it: subject, value, bound, unit."""
        return f"{self.kind} {self.subject}: {self.value!r} beyond {self.bound!r} {self.unit}"


# The smallest margin seen of each kind: a share of the bound, or for `joint_position`,
# `self_collision` and `workspace/<volume>` rad and m. It says how hard the limits were pressed.
Margins = dict[str, float]


def _closest(excess: Excess, margins: Margins) -> None:
    margin = excess.bound - excess.value
    if excess.kind == "workspace":
        for i, subject in enumerate(excess.subjects):
            key = f"workspace/{subject.rpartition('/')[2]}"
            nearest = float(np.fmin.reduce(margin[:, i], initial=np.inf))
            margins[key] = min(margins.get(key, np.inf), nearest)
    elif excess.kind in MARGIN_KINDS:
        in_units = excess.kind in ("joint_position", "self_collision", "obstacles")
        scale = 1.0 if in_units else excess.bound
        nearest = float(np.fmin.reduce(margin / scale, axis=None, initial=np.inf))
        if nearest < np.inf:  # a continuous joint has no position bound
            margins[excess.kind] = min(margins.get(excess.kind, np.inf), nearest)


def _report(
    excesses: Sequence[Excess], at: str, offset: int, margins: Margins | None = None
) -> list[Violation]:
    out: list[Violation] = []
    for excess in excesses:
        if margins is not None:
            _closest(excess, margins)
        hits = np.argwhere(excess.violated())
        if not hits.size:
            continue
        over = np.nan_to_num(excess.value[hits[:, 0], hits[:, 1]], nan=np.inf, posinf=np.inf)
        # The worst first, but never without the first one in time: replay stops there.
        order = np.r_[0, np.argsort(-(over - excess.bound[hits[:, 1]]), kind="stable")]
        for k in dict.fromkeys(order[:REPORTED_MAX].tolist()):
            row, subject = int(hits[k, 0]), int(hits[k, 1])
            value, bound = float(excess.value[row, subject]), float(excess.bound[subject])
            name = excess.subjects[subject]
            out.append(Violation(offset + row, excess.kind, name, value, bound, excess.unit, at))
    return out


Ends = list[tuple[Array, Array]]


def _ends(robot: Robot, q: Array) -> Ends:
    frames = forward(robot, q)
    return [capsule_ends(frames, capsule) for capsule in robot.capsules]


def _to_volumes(robot: Robot, ends: Ends, count: int) -> tuple[Array, tuple[str, ...]]:
    columns, names = [], []
    for volume in robot.volumes:
        for capsule, (start, end) in zip(robot.capsules, ends, strict=True):
            if capsule.name not in volume.exempt:
                columns.append(clearance(volume, start, end, capsule.radius_m))
                names.append(f"{capsule.name}/{volume.name}")
    if not columns:
        return np.empty((count, 0)), ()
    return np.stack(columns, axis=1), tuple(names)


def clearances(robot: Robot, q: Array) -> tuple[Array, tuple[str, ...]]:
    """Clearance (B, pairs) [m] of every capsule to every volume that constrains it; pair names."""
    return _to_volumes(robot, _ends(robot, q), q.shape[0])


def link_clearances(robot: Robot, q: Array) -> tuple[Array, tuple[str, ...]]:
    """Distance (B, pairs) [m] of every two links that must not touch each other; pair names."""
    return pair_clearances(robot, _ends(robot, q)), pair_names(robot)


def _bodies(robot: Robot, q: Array) -> list[Excess]:
    ends = _ends(robot, q)
    values, names = _to_volumes(robot, ends, q.shape[0])
    slack = np.full(len(names), CLEARANCE_SLACK_M)
    out = [Excess("workspace", -values, np.zeros(len(names)), slack, names, "m inside")]
    if robot.pairs:
        touching, zero = -pair_clearances(robot, ends), np.zeros(len(robot.pairs))
        slack = zero + CLEARANCE_SLACK_M
        names = pair_names(robot)
        out.append(Excess("self_collision", touching, zero, slack, names, "m inside"))
    return out


def judge_configurations(
    robot: Robot, q: Array, dq: Array, ddq: Array | None, q_body: Array
) -> list[Excess]:
    """What holds at an instant: bodies and their speeds at q_body; TCP speeds and effort at q (all
    (B, n)).

    Without ddq the effort is not judged.
    """
    frames = forward(robot, q)
    speed = np.sqrt(np.sum(tcp_velocity(robot, frames, dq) ** 2, axis=0))[:, None]
    top = np.array([robot.max_trans_vel_m_s])
    out = [
        *_bodies(robot, q_body),
        Excess("tcp_speed", speed, top, 1e-9 * top, ("tcp",), "m/s"),
    ]
    if robot.max_rot_vel_rad_s is not None:
        turning = np.sqrt(np.sum(tcp_rotation(robot, frames, dq) ** 2, axis=0))[:, None]
        top = np.array([robot.max_rot_vel_rad_s])
        out.append(Excess("tcp_rotational_speed", turning, top, 1e-9 * top, ("tcp",), "rad/s"))
    out += speed_excesses(robot, q_body, dq)
    if ddq is not None:
        out += tool_excesses(robot, frames, dq, ddq)
        effort = np.abs(joint_effort(robot, frames, dq, ddq))
        bound = robot.bounds["max_effort"]
        out.append(
            Excess("joint_effort", effort, bound, 1e-9 * bound, robot.joint_names, "N·m or N")
        )
    return out


def _rows(motion: Motion, start: int, stop: int) -> Motion:
    fields = {name: getattr(motion, name)[start:stop] for name in Motion.__slots__}
    return Motion(**fields)


def judge_ticks(
    robot: Robot,
    motion: Motion,
    *,
    deviation: Array | None = None,
    thorough: bool = True,
    margins: Margins | None = None,
) -> list[Violation]:
    """Judge every tick: joints exactly; bodies, TCP speed and effort at samples inside it.

    deviation (K, n): where the robot may be, relative to the stream; its bodies are judged there
    at a quarter and three quarters of the tick. Not `thorough`: at the middle and end only.
    `margins` is updated with the smallest margins seen.
    """
    out: list[Violation] = []
    every = np.hstack([motion.q0, motion.dq0, motion.ddq0, motion.q1, motion.dq1, motion.ddq1])
    bad = np.count_nonzero(~np.isfinite(every), axis=1)[:, None].astype(np.float64)
    broken = Excess("non_finite", bad, np.zeros(1), np.zeros(1), ("setpoint",), "numbers")
    out += _report([broken], "", 0)
    out += _report(joint_excesses(robot, motion), "", 0, margins)
    parts = ((0.25, False), (0.5, True), (0.75, False), (1.0, True))
    for start in range(0, motion.run.size, ROWS_AT_ONCE):
        piece = _rows(motion, start, start + ROWS_AT_ONCE)
        for part, dynamic in parts if thorough else parts[1::2]:
            q, dq, ddq = within_tick(piece, robot.period_s, part * robot.period_s)
            away = 0.0 if deviation is None or dynamic else deviation[start : start + ROWS_AT_ONCE]
            excesses = judge_configurations(robot, q, dq, ddq if dynamic else None, q + away)
            out += _report(excesses, f"{part:.2f} of the tick", start, margins)
        # The stream's accelerations have no steps, so that only the first row of a run has a start
        # that was not an end.
        first = np.flatnonzero(np.r_[True, piece.run[1:] != piece.run[:-1]])
        q, dq, ddq = piece.q0[first], piece.dq0[first], piece.ddq0[first]
        starts = _report(judge_configurations(robot, q, dq, ddq, q), "start of the stream", 0)
        out += [replace(item, row=start + int(first[item.row])) for item in starts]
    return out


def judge_obstacles(
    robot: Robot,
    motion: Motion,
    crowd: Crowd,
    *,
    deviation: Array | None = None,
    margins: Margins | None = None,
    parts: tuple[float, ...] = PARTS,
) -> list[Violation]:
    """Judge every tick in which the robot moves against where obstacles really are in it."""
    out: list[Violation] = []
    for part, excess in obstacle_excesses(robot, motion, crowd, deviation, parts):
        out += _report([excess], f"{part:.2f} of the tick", 0, margins)
    return out


def _rest(robot: Robot, q: Array, dq: Array, ddq: Array) -> list[Excess]:
    zero = np.zeros(robot.n)
    v = 1e-9 * robot.bounds["max_velocity"] + rounding(robot, 1, q)
    a = 1e-9 * robot.bounds["max_acceleration"] + rounding(robot, 2, q)
    names = robot.joint_names
    return [
        Excess("stop_rest", np.abs(dq), zero, v, names, "rad/s or m/s left at rest"),
        Excess("stop_rest", np.abs(ddq), zero, a, names, "rad/s² or m/s² left at rest"),
    ]


def judge_stops(
    robot: Robot,
    stops: Sequence[Stop],
    starts: tuple[Array, Array, Array],
    *,
    margins: Margins | None = None,
) -> tuple[list[Violation], int]:
    """Judge stored stops until rest; `starts` is (q, dq, ddq), each (stops, n), that carried them.

    The row of a violation is the index of its stop. Also returns how many ticks were judged.
    """
    out: list[Violation] = []
    sound: list[int] = []
    for k, stop in enumerate(stops):
        wrong = malformed(robot, stop)
        if wrong is None:
            sound.append(k)
        else:
            out.append(Violation(k, "stop_malformed", wrong, float("nan"), 0.0, "", "stop"))
    if not sound:
        return out, 0
    chosen = [stops[k] for k in sound]
    index = np.array(sound)
    zero = np.zeros(robot.n)
    for field, carried, unit in zip(
        ("q", "dq", "ddq"), starts, ("rad or m", "rad/s or m/s", "rad/s² or m/s²"), strict=True
    ):
        gap = np.abs(np.array([getattr(stop, field) for stop in chosen]) - carried[index])
        excess = Excess("stop_start", gap, zero, zero, robot.joint_names, unit)
        out += [replace(v, row=sound[v.row]) for v in _report([excess], "stop", 0)]
    motion, dq, ddq = expand_stops(chosen, robot.period_s)
    carried = starts[0][index]
    out += [
        replace(v, row=sound[v.row])
        for v in _report(_rest(robot, carried, dq, ddq), "end of the stop", 0)
    ]
    if motion.run.size:
        for v in judge_ticks(robot, motion, thorough=False, margins=margins):
            number = int(motion.run[v.row])
            tick = v.row - int(np.searchsorted(motion.run, number))
            out.append(
                replace(v, row=sound[number], at=f"tick {tick + 1} of the stop {v.at}".strip())
            )
    return out, motion.run.size

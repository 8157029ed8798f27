"""Exact joint extrema of the stream: the motion within a tick is a cubic of constant jerk.

Guarantees:
- Position and velocity are judged at their exact extrema inside each tick, at every tick.
- A tick whose end is not the end of its cubic is found (`continuity`), so that no motion between
  two setpoints goes unjudged; so are the 1st to 3rd differences of the positions as streamed.
- Tolerance is rounding only: 1e-9 of the bound plus 8 ε · max|q| / Tᵖ for a p-th difference.
- Where slowing down has a bound of its own, a tick is cut where the joint turns, and each part is
  judged by the bound of what the joint does there. When it turns is known to rounding of dq only.
- Comparisons are written so that NaN is a violation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .oracle_file import Array, Robot

__all__ = ["Excess", "Motion", "joint_excesses", "rounding", "within_tick"]

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A batch of ticks. Row k goes from (q0, dq0, ddq0) to (q1, dq1, ddq1), each (K, n).

    Rows with the same `run` that follow each other are one gapless stream.
    """

    q0: Array
    dq0: Array
    ddq0: Array
    q1: Array
    dq1: Array
    ddq1: Array
    run: npt.NDArray[np.int64]  # (K,)

    @property
    def jerk_period(self) -> Array:
        """Jerk times period, (K, n): exact difference of the accelerations."""
        return self.ddq1 - self.ddq0


@dataclass(frozen=True, slots=True, eq=False)
class Excess:
    """Values of one kind against their bound; violated wherever not (value <= bound + slack)."""

    kind: str
    value: Array  # (K, subjects)
    bound: Array  # (subjects,)
    slack: Array  # (subjects,) rounding
    subjects: tuple[str, ...]
    unit: str

    def violated(self) -> npt.NDArray[np.bool_]:
        """(K, subjects)."""
        return ~(self.value <= self.bound + self.slack)


def rounding(robot: Robot, order: int, q: Array) -> Array:
    """8 ε · max|q| / Tᵖ, per joint (n,); of a continuous joint max|q| is that of q (K, n)."""
    seen = np.max(np.where(np.isfinite(q), np.abs(q), 0.0), axis=0, initial=np.pi)
    declared = np.maximum(*(np.abs(side) for side in robot.span))
    reach = np.where(robot.continuous, seen, declared)
    return 8.0 * EPSILON * reach / robot.period_s**order


def within_tick(motion: Motion, period_s: float, t: Array | float) -> tuple[Array, Array, Array]:
    """(q, dq, ddq) at t seconds after the start of each tick; t broadcasts to (K, n)."""
    jerk = motion.jerk_period / period_s
    ddq = motion.ddq0 + jerk * t
    dq = motion.dq0 + motion.ddq0 * t + jerk * (t * t / 2.0)
    q = motion.q0 + motion.dq0 * t + motion.ddq0 * (t * t / 2.0) + jerk * (t * t * t / 6.0)
    return q, dq, ddq


def _instant(t: Array, period_s: float) -> Array:
    """A time inside the tick: any is a valid sample, so that a missing root may become the end."""
    return np.clip(np.where(np.isfinite(t), t, period_s), 0.0, period_s)


def _position_roots(motion: Motion, period_s: float) -> tuple[Array, Array]:
    """Both instants where dq = 0, in the form that does not cancel."""
    jerk = motion.jerk_period / period_s
    disc = motion.ddq0 * motion.ddq0 - 2.0 * jerk * motion.dq0
    root = np.sqrt(np.maximum(disc, 0.0))
    u = -(motion.ddq0 + np.where(motion.ddq0 >= 0.0, root, -root))
    return _instant(u / jerk, period_s), _instant(2.0 * motion.dq0 / u, period_s)


def _differences(robot: Robot, motion: Motion, order: int) -> Array:
    """|p-th difference of q| / Tᵖ (K, n) of the stream that ends at each row; 0 where too short."""
    rows = np.arange(motion.run.size)
    fresh = np.r_[True, motion.run[1:] != motion.run[:-1]]
    length = rows - np.maximum.accumulate(np.where(fresh, rows, 0)) + 1
    out = np.zeros_like(motion.q1)
    if rows.size >= order:
        difference = np.abs(np.diff(motion.q1 - motion.q0, n=order - 1, axis=0))
        whole = length[order - 1 :] >= order  # every step of the difference is of this run
        out[order - 1 :] = np.where(whole[:, None], difference, 0.0)
    return out / robot.period_s**order


def _continuity(robot: Robot, motion: Motion) -> list[Excess]:
    q, dq, _ = within_tick(motion, robot.period_s, robot.period_s)
    out = []
    for name, gap, order, unit in (
        ("position", np.abs(motion.q1 - q), 0, "rad or m"),
        ("velocity", np.abs(motion.dq1 - dq), 1, "rad/s or m/s"),
    ):
        subjects = tuple(f"{joint} {name}" for joint in robot.joint_names)
        zero = np.zeros(robot.n)
        out.append(
            Excess("continuity", gap, zero, rounding(robot, order, motion.q1), subjects, unit)
        )
    return out


def _pushes(robot: Robot, motion: Motion, turns: tuple[Array, Array]) -> tuple[Array, Array]:
    """Largest |ddq| of each tick where the joint slows down, and where it speeds up; (K, n) each.

    turns: both instants of the tick where dq = 0, or any others: parts that are cut once more are
    judged alike. ddq is linear, so that the ends of a part bound it.
    """
    period = robot.period_s
    zero, whole = np.zeros_like(motion.q0), np.full_like(motion.q0, period)
    cuts = (zero, np.minimum(*turns), np.maximum(*turns), whole)
    slowing, speeding = zero.copy(), zero.copy()
    for begin, end in ((cuts[k], cuts[k + 1]) for k in range(3)):
        speed = within_tick(motion, period, (begin + end) / 2.0)[1]
        lasts = (end > begin) | ~np.isfinite(speed)
        for t in (begin, end):
            push = within_tick(motion, period, t)[2]
            is_slowing = np.sign(push) * np.sign(speed) < 0.0
            size = np.where(lasts, np.abs(push), 0.0)
            slowing = np.maximum(slowing, np.where(is_slowing, size, 0.0))
            speeding = np.maximum(speeding, np.where(is_slowing, 0.0, size))
    return slowing, speeding


def _acceleration(robot: Robot, motion: Motion, turns: tuple[Array, Array]) -> list[Excess]:
    """ddq against its bound; against both where they differ."""
    a, d = robot.bounds["max_acceleration"], robot.bounds["max_deceleration"]
    slack = 1e-9 * np.minimum(a, d) + rounding(robot, 2, motion.q1)
    names, unit, kind = robot.joint_names, "rad/s² or m/s²", "joint_acceleration"
    if (a == d).all():
        push = np.maximum(np.abs(motion.ddq0), np.abs(motion.ddq1))
        return [Excess(kind, push, a, slack, names, unit)]
    # dq is zero within ± rounding / |ddq| of where it seems to be: so much may ddq change there.
    differs = np.where(a == d, 0.0, robot.bounds["max_jerk"] / np.minimum(a, d))
    slack = slack + differs * rounding(robot, 1, motion.q1)
    slowing, speeding = _pushes(robot, motion, turns)
    return [
        Excess(kind, speeding, a, slack, names, f"{unit}, speeding up"),
        Excess(kind, slowing, d, slack, names, f"{unit}, slowing down"),
    ]


def joint_excesses(robot: Robot, motion: Motion) -> list[Excess]:
    """Every joint quantity of a batch of ticks against its declared bound."""
    period, bounds, names = robot.period_s, robot.bounds, robot.joint_names
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        first, second = _position_roots(motion, period)
        still = _instant(-motion.ddq0 * period / motion.jerk_period, period)
        turns = [within_tick(motion, period, t)[0] for t in (first, second)]
        places = [motion.q0, motion.q1, *turns]
        high, low = np.maximum.reduce(places), np.minimum.reduce(places)
        peak = within_tick(motion, period, still)[1]
        speed = np.maximum.reduce([np.abs(motion.dq0), np.abs(motion.dq1), np.abs(peak)])
        jerk = np.abs(motion.jerk_period) / period
        streamed = [_differences(robot, motion, order) for order in (1, 2, 3)]

        def excess(kind: str, value: Array, bound: Array, order: int, unit: str) -> Excess:
            slack = 1e-9 * np.abs(bound) + rounding(robot, order, motion.q1)
            return Excess(kind, value, bound, slack, names, unit)

        top, bottom = bounds["max_position"], -bounds["min_position"]
        v, j = bounds["max_velocity"], bounds["max_jerk"]
        a = np.maximum(bounds["max_acceleration"], bounds["max_deceleration"])
        return [
            *_continuity(robot, motion),
            excess("joint_position", high, top, 0, "rad or m"),
            excess("joint_position", -low, bottom, 0, "rad or m, sign turned"),
            excess("joint_velocity", speed, v, 1, "rad/s or m/s"),
            *_acceleration(robot, motion, (first, second)),
            excess("joint_jerk", jerk, j, 3, "rad/s³ or m/s³"),
            excess("joint_velocity", streamed[0], v, 1, "rad/s or m/s, difference"),
            excess("joint_acceleration", streamed[1], a, 2, "rad/s² or m/s², difference"),
            excess("joint_jerk", streamed[2], j, 3, "rad/s³ or m/s³, difference"),
        ]

"""What a run is worth: violations, how much of the command came through, and in which direction.

Guarantees:
- Joint quantities are judged by the independent oracle's own functions: at the exact extrema
  inside each tick and by the differences of the positions as streamed, so that steps of a velocity
  or of an acceleration are seen; the tool and the links at the middle and the end of each tick.
- All are judged alike, by the declared bounds. More than rounding is forgiven: TOLERANCE, so that a
  solver's last digits are not called violations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...sim.oracle import Robot, judge_configurations
from ...sim.oracle_joints import Excess, Motion, joint_excesses, within_tick
from .contest import Run
from .measure import quantiles

__all__ = ["KINDS", "Verdict", "judge"]

KINDS = (
    "joint_position",
    "joint_velocity",
    "joint_acceleration",
    "joint_jerk",
    "tcp_speed",
    "tcp_rotational_speed",
    "workspace",
    "self_collision",
)
TOLERANCE = 1e-6  # of the bound, and as much of its unit
STANDING = 0.01  # of max_velocity: slower than that has no direction


@dataclass(frozen=True, slots=True)
class Verdict:
    """One contestant, one stream."""

    ticks: int
    wall_us: dict[str, float]  # p50, p99, p999, mean, max
    cpu_us: dict[str, float]
    violations: dict[str, int]  # ticks in which a kind was violated
    worst: dict[str, float]  # how far beyond the bound, in its unit
    no_answer: int
    first_error: str | None
    let_through: float | None  # None: nothing was commanded
    direction_deg: float | None  # None: it stood

    def document(self) -> dict[str, object]:
        """As it stands in the JSON."""
        return {
            **{f"{name}_us": value for name, value in self.wall_us.items()},
            **{f"cpu_{name}_us": value for name, value in self.cpu_us.items()},
            "violations": self.violations,
            "worst": self.worst,
            "no_answer": self.no_answer,
            "first_error": self.first_error,
            "let_through": self.let_through,
            "direction_deg": self.direction_deg,
            "ticks": self.ticks,
        }


def _excesses(robot: Robot, motion: Motion) -> list[Excess]:
    found = joint_excesses(robot, motion)
    for part in (0.5, 1.0):
        q, dq, _ = within_tick(motion, robot.period_s, part * robot.period_s)
        found += judge_configurations(robot, q, dq, None, q)
    return [excess for excess in found if excess.kind in KINDS]


def _violations(robot: Robot, motion: Motion) -> tuple[dict[str, int], dict[str, float]]:
    hit = {kind: np.zeros(motion.run.size, bool) for kind in KINDS}
    worst = dict.fromkeys(KINDS, 0.0)
    for excess in _excesses(robot, motion):
        if not excess.value.size:
            continue
        slack = excess.slack + TOLERANCE * (1.0 + np.abs(excess.bound))
        hit[excess.kind] |= (~(excess.value <= excess.bound + slack)).any(axis=1)
        beyond = float((excess.value - excess.bound - slack).max())
        worst[excess.kind] = max(worst[excess.kind], beyond)
    counts = {kind: int(np.count_nonzero(ticks)) for kind, ticks in hit.items()}
    return counts, {kind: float(f"{worst[kind]:.3g}") for kind in KINDS if counts[kind]}


def _let_through(robot: Robot, run: Run) -> float | None:
    """Way made along the command, over the way that was possible along it.

    Possible is what the declared speed allows, and the room that is left to brake in; not the time
    that it takes to get there. So nobody reaches 1 on commands that change.
    """
    motion, bounds = run.motion, robot.bounds
    size = np.linalg.norm(run.wanted, axis=1)
    asked = size > 0.0
    if not asked.any():
        return None
    along = run.wanted[asked] / size[asked, None]
    a, v = bounds["max_acceleration"], bounds["max_velocity"]
    above = np.sqrt(2.0 * a * np.maximum(0.0, bounds["max_position"] - motion.q0[asked]))
    below = np.sqrt(2.0 * a * np.maximum(0.0, motion.q0[asked] - bounds["min_position"]))
    possible = np.clip(run.wanted[asked], -np.minimum(v, below), np.minimum(v, above))
    made = (motion.q1 - motion.q0)[asked] / robot.period_s
    total = float(np.sum(possible * along))
    return round(float(np.sum(made * along)) / total, 4) if total > 0.0 else None


def _direction_deg(robot: Robot, run: Run) -> float | None:
    """Median angle between the executed and the commanded joint velocity."""
    made = (run.motion.q1 - run.motion.q0) / robot.period_s
    top = robot.bounds["max_velocity"]
    moving = np.abs(made / top).max(axis=1) >= STANDING
    moving &= np.abs(run.wanted / top).max(axis=1) >= STANDING
    if not moving.any():
        return None
    one, two = made[moving], run.wanted[moving]
    one = one / np.linalg.norm(one, axis=1)[:, None]
    two = two / np.linalg.norm(two, axis=1)[:, None]
    # atan2 keeps small angles, which arccos rounds away.
    half = np.arctan2(np.linalg.norm(one - two, axis=1), np.linalg.norm(one + two, axis=1))
    return round(float(np.degrees(2.0 * np.median(half))), 3)


def judge(robot: Robot, run: Run) -> Verdict:
    """Judge one run by the limits that the oracle read."""
    violations, worst = _violations(robot, run.motion)
    return Verdict(
        ticks=int(run.motion.run.size),
        wall_us=quantiles(run.wall_ns),
        cpu_us=quantiles(run.cpu_ns),
        violations=violations,
        worst=worst,
        no_answer=run.no_answer,
        first_error=run.first_error,
        let_through=_let_through(robot, run),
        direction_deg=_direction_deg(robot, run),
    )

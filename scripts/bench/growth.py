"""How a decision's time grows: with joints, volumes and perceived points; what a batch gains.

Guarantees:
- Every figure is of `measure`'s streams; PASS says what the filter made of them, so that one that
  only refuses is not read as fast.
- Chains and volumes are made from numbers alone and are the same on every machine.
- A size that cannot be armed is reported with the reason, not left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from rich.table import Table

from ...limits import (
    Capsule,
    JointLimits,
    Kinematics,
    Limits,
    Obstacles,
    OnViolation,
    Perception,
    Volume,
)
from ...limits.obstacles import POINTS_MAX
from ...limits.records import Array, frozen_array
from ...sim.oracle import Robot
from ...sim.oracle_geometry import capsule_ends, forward
from .measure import measure, without_classifier
from .streams import NOMINAL_SPEED

__all__ = [
    "BATCHES",
    "JOINTS",
    "SPHERES",
    "growth",
    "growth_table",
    "planar_chain",
    "with_points",
    "with_spheres",
]

JOINTS = (2, 4, 7, 12, 20, 30)
SPHERES = (1, 10, 100, 1000, 10_000)
BATCHES = (1, 16, 256, 4096, 16_384)
REACH_M, LINK_RADIUS_M, FLOOR_M = 1.2, 0.03, -0.3
SPHERE_M, FREE_M, AROUND_M = 0.02, 0.3, 1.5
# What is declared of the points: people may be among them.
POINT_SPEED_M_S, POINT_LATENCY_MS, POINT_AGE_MS = 1.6, 30.0, 150.0
BATCH_TICKS, BATCH_WARM_TICKS = 30, 5


def _frozen(values: Any) -> Array:
    return frozen_array(values, "growth")


def planar_chain(limits: Limits, n: int) -> Limits:
    """n revolute joints about the vertical, links of together 1.2 m, over a floor; same timing."""
    link = REACH_M / n
    joint = JointLimits(
        name="", type="revolute", min_position=-2.0, max_position=2.0, max_velocity=1.5,
        max_acceleration=6.0, max_jerk=500.0, max_effort=1e4, tracking_error=1e-3,
        velocity_error=0.01, effort_error=1.0, recovery_velocity=0.1,
    )  # fmt: skip
    turns, places = np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3))
    places[1:, 0] = link
    chain = Kinematics(
        rotation=_frozen(turns), translation=_frozen(places), tcp_rotation=_frozen(np.eye(3)),
        tcp_translation=_frozen([link, 0.0, 0.0]), mass=_frozen(np.full(n, 1.0 / n)),
        com=_frozen(np.tile([link / 2.0, 0.0, 0.0], (n, 1))),
        inertia=_frozen(np.tile(1e-3 * np.eye(3), (n, 1, 1))), gravity=_frozen([0.0, 0.0, -9.81]),
    )  # fmt: skip
    capsules = tuple(
        Capsule(f"link{i}", i, _frozen(np.zeros(3)), _frozen([link, 0.0, 0.0]), LINK_RADIUS_M)
        for i in range(n)
    )
    floor = Volume(
        "floor", "keep_out", "half_space", OnViolation.CLAMP, (),
        normal=_frozen([0.0, 0.0, 1.0]), offset=FLOOR_M,
    )  # fmt: skip
    return replace(
        without_classifier(limits), name=f"chain{n}", kinematics=chain, capsules=capsules,
        joints=tuple(replace(joint, name=f"joint{i}") for i in range(n)), volumes=(floor,),
        tcp=replace(limits.tcp, max_trans_vel=1e3, max_rot_vel=None), self_collision=None,
        home=_frozen(np.zeros(n)),
    )  # fmt: skip


def _distance(points: Array, start: Array, end: Array) -> Array:
    """Of points (K, 3) from a segment, (K,) [m]."""
    along = end - start
    share = np.clip((points - start) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - start - share[:, None] * along, axis=1))


def _around(robot: Robot, count: int, seed: int) -> Array:
    """Middles (count, 3) of balls of 2 cm within 1.5 m, none within 0.3 m of the arm at home."""
    rng = np.random.default_rng(seed)
    frames, found = forward(robot, robot.home[None]), np.empty((0, 3))
    while found.shape[0] < count:
        points = rng.uniform(-AROUND_M, AROUND_M, (4 * count + 64, 3))
        clear = np.full(points.shape[0], np.inf)
        for capsule in robot.capsules:
            start, end = (edge.reshape(3) for edge in capsule_ends(frames, capsule))
            clear = np.minimum(clear, _distance(points, start, end) - capsule.radius_m - SPHERE_M)
        found = np.concatenate([found, points[clear > FREE_M]])
    return found[:count]


def with_spheres(limits: Limits, robot: Robot, count: int, seed: int) -> Limits:
    """As many balls to keep out of in the place of the declared volumes; see `_around`."""
    found = _around(robot, count, seed)
    balls = tuple(
        Volume(
            f"ball{k}", "keep_out", "sphere", OnViolation.CLAMP, (), center=_frozen(found[k]),
            radius=SPHERE_M,
        )
        for k in range(count)
    )  # fmt: skip
    return replace(without_classifier(limits), volumes=balls)


def with_points(limits: Limits) -> Limits:
    """Perception of any number of points in the place of the declared volumes."""
    seeing = Perception(
        POINTS_MAX, POINT_SPEED_M_S, POINT_LATENCY_MS, POINT_AGE_MS, limits.standoff, True, ()
    )
    on_violation = {**limits.on_violation, "obstacles": OnViolation.CLAMP}
    bare = without_classifier(limits)
    return replace(bare, volumes=(), perception=seeing, on_violation=on_violation)


def _looked(limits: Limits, robot: Robot, count: int, steps: int, seed: int) -> dict[str, Any]:
    """The same balls, perceived: a new cloud of still points with every look of the camera."""
    found, index_ns = _around(robot, count, seed), list[int]()

    def look(now_ns: int) -> Obstacles:
        before = time.perf_counter_ns()
        cloud = Obstacles(found, SPHERE_M, now_ns, 0.0)
        index_ns.append(time.perf_counter_ns() - before)
        return cloud

    out = _measured(partial(with_points, limits), steps, seed, look)
    return {**out, "index_ms": round(float(np.median(index_ns)) * 1e-6, 3)}


def _measured(
    make: Callable[[], Limits],
    steps: int,
    seed: int,
    look: Callable[[int], Obstacles] | None = None,
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    try:
        limits = make()
        for stream in ("nominal", "attacked"):
            one = measure(limits, stream, steps=steps, seed=seed, look=look)
            out[stream] = {
                "p50_us": one.wall_us["p50"],
                "cpu_p99_us": one.cpu_us["p99"],
                "pass_share": round(one.pass_share, 4),
            }
    except (ValueError, RuntimeError) as error:  # what arming and packing say of a size too large
        return {**out, "failed": f"{type(error).__name__}: {error}"}
    return out


def _batched(
    limits: Limits, counts: Sequence[int], seed: int, rounds: int
) -> dict[str, Any] | None:
    """Decisions per second of each batch size, of the quietest round, and of all rounds.

    None where this release has no BatchFilter.
    """
    from ... import controller

    batch_filter = getattr(controller, "BatchFilter", None)
    if batch_filter is None:
        return None
    bare = without_classifier(limits)
    rates: dict[tuple[int, bool], list[int]] = {}
    for _, count, is_hostile in product(range(rounds), counts, (False, True)):
        rate = _rate(batch_filter(bare, count), bare, count, seed, is_hostile=is_hostile)
        rates.setdefault((count, is_hostile), []).append(rate)
    return {
        str(count): {
            "nominal_per_s": max(rates[count, False]),
            "attacked_per_s": max(rates[count, True]),
            "rounds_nominal_per_s": rates[count, False],
            "rounds_attacked_per_s": rates[count, True],
        }
        for count in counts
    }


def _rate(guard: Any, limits: Limits, count: int, seed: int, *, is_hostile: bool) -> int:
    """Decisions per second of `count` rows: slow motion, or full speed one way and the other."""
    rng, n = np.random.default_rng(seed), len(limits.joints)
    speed = np.array([joint.max_velocity for joint in limits.joints])
    sides = rng.choice(np.array([-1.0, 1.0]), (count, n)) * speed
    slow = NOMINAL_SPEED * rng.uniform(-1.0, 1.0, (count, n)) * speed
    q, dq = np.tile(limits.home, (count, 1)), np.zeros((count, n))
    now_ns, spent_ns = 1_000_000_000, 0
    guard.arm(q, dq, now_ns=now_ns)
    for tick in range(-BATCH_WARM_TICKS, BATCH_TICKS):
        now_ns += round(limits.period_s * 1e9)
        wanted = sides * (-1.0) ** (tick // 10) if is_hostile else slow
        before = time.perf_counter_ns()
        decision = guard.step(q, dq, wanted, now_ns=now_ns)
        spent_ns += time.perf_counter_ns() - before if tick >= 0 else 0
        q, dq = np.array(decision.q), np.array(decision.dq)
    return round(count * BATCH_TICKS / (spent_ns * 1e-9))


def growth(
    limits: Limits,
    robot: Robot,
    *,
    steps: int,
    seed: int,
    joints: Sequence[int] = JOINTS,
    spheres: Sequence[int] = SPHERES,
    batches: Sequence[int] = BATCHES,
    rounds: int = 1,
) -> dict[str, Any]:
    """{"joints": {n: {nominal, attacked}}, "volumes" and "points": {count: …}, "batch": …}.

    rounds: how often batches are measured; of each size the quietest counts.
    """
    return {
        "joints": {
            str(n): _measured(partial(planar_chain, limits, n), steps, seed) for n in joints
        },
        "volumes": {
            str(k): _measured(partial(with_spheres, limits, robot, k, seed), steps, seed)
            for k in spheres
        },
        "points": {str(k): _looked(limits, robot, k, steps, seed) for k in spheres},
        "batch": _batched(limits, batches, seed, rounds),
    }


def growth_table(grown: dict[str, Any]) -> Table:
    """One row a size."""
    table = Table(title="growth")
    for head in ("size", "nominal p50", "PASS", "attacked p50", "attacked CPU p99"):
        table.add_column(head, justify="right", no_wrap=True)
    for key in ("joints", "volumes", "points"):
        for size, one in grown[key].items():
            cells = [
                cell
                for stream in ("nominal", "attacked")
                for cell in (
                    f"{one[stream]['p50_us']:.1f} µs" if stream in one else "failed",
                    "" if stream not in one
                    else f"{one[stream]['pass_share']:.0%}" if stream == "nominal"
                    else f"{one[stream]['cpu_p99_us']:.0f} µs",
                )
            ]  # fmt: skip
            table.add_row(f"{size} {key}", *cells)
        table.add_section()
    for count, one in (grown["batch"] or {}).items():
        rates = (f"{one['nominal_per_s']:,}/s", "", f"{one['attacked_per_s']:,}/s", "")
        table.add_row(f"batch of {count}", *rates)
    return table

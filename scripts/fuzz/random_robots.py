"""Random robots: chains of revolute and prismatic joints with random limits, as frozen limits.

Guarantees:
- A function of (seed, index) alone; what comes out are canonical bytes, so that the filter and the
  oracle read the same file, and a finding carries it whole.
- Feasible by construction: a draw that `check_feasible` refuses, or whose home the filter does not
  certify, is drawn again; after TRIES_MAX draws it is an error, not a robot less.
- Geometry, gravity loads and clearances are computed by the oracle, not by what is under test.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...limits.canonical import canonical_bytes
from ...limits.core import Core
from ...limits.declared import JointLimits
from ...limits.errors import FeasibilityError
from ...limits.feasibility import stop_distance
from ...limits.frozen import FORMAT, KIND
from ...limits.frozen_pairs import candidate_pairs
from ...limits.loading import robots_folder, vetted
from ...sim.oracle import Robot, clearances, link_clearances, read_robot
from ...sim.oracle_dynamics import joint_effort
from ...sim.oracle_geometry import capsule_ends, forward
from ...sim.oracle_speeds import capsule_speeds, tool_motion
from .fingers import declare_for_some
from .limits_source import LimitsSource
from .perception import declare_perception
from .random_volumes import SHAPES, numbers, random_rotation, random_volume, random_zone

__all__ = ["random_robot"]

Array = npt.NDArray[np.float64]
Document = dict[str, Any]

PERCEIVING_SHARE = 0.4
TRIES_MAX = 300
SAMPLES = 300
JOINTS = (2, 9)
PERIOD_MS = (1.0, 50.0)
LATENCY_TICKS_MAX = 5
NOISE_MAX = 0.005  # rad, m
VOLUMES_MAX = 5
ZONES_MAX = 2
PRISMATIC_SHARE = 0.3
CONTINUOUS_SHARE = 0.15  # of the joints that turn
# A link nearer than this to a volume at home, tracking errors apart, leaves no room to move.
HOME_CLEARANCE_M = 0.02
TOUCHING_MAX = 0.5  # of the samples; links that overlap more often are not kept apart
# 24 rotations about right angles: how most arms are built, and where singular poses are.
RIGHT_ANGLES = tuple(
    np.array([[sx * (i == a) for i in range(3)], [sy * (i == b) for i in range(3)], z])
    for a, b in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2))
    for sx in (1.0, -1.0)
    for sy in (1.0, -1.0)
    for z in [
        np.cross(
            [sx * (i == a) for i in range(3)],
            [sy * (i == b) for i in range(3)],
        ).tolist()
    ]
)


def _turn(rng: np.random.Generator) -> Array:
    if rng.random() < 0.7:
        return np.array(RIGHT_ANGLES[int(rng.integers(len(RIGHT_ANGLES)))])
    return random_rotation(rng)


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between the bounds, each size as likely as any other."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _joint(rng: np.random.Generator, i: int, period_s: float, noisy: bool) -> Document:
    """Limits of one joint; its effort is bounded later, when its load is known."""
    prismatic = bool(rng.random() < PRISMATIC_SHARE)
    half = _log(rng, 0.05, 0.6) if prismatic else _log(rng, 0.4, 6.0)
    middle = float(rng.uniform(-1.0, 1.0)) * (0.2 if prismatic else 1.0)
    speed = _log(rng, 0.1, 1.5) if prismatic else _log(rng, 0.4, 4.0)
    share = float(rng.choice([0.0, 0.3, 1.0]))  # of the largest errors declared
    noise = round(float(rng.uniform(0.0, NOISE_MAX)), 6) if noisy else 0.0
    tracking = round(share * 0.004 * float(rng.random()), 6)
    errors = {"tracking_error": tracking, **({"position_noise": noise} if noisy else {})}
    acceleration = speed / _log(rng, max(0.03, 2.0 * period_s), 0.8)
    jerk = acceleration / _log(rng, 0.5 * period_s, max(0.1, 4.0 * period_s))
    # Half of the joints slow down faster, or only slower, than they speed up.
    braking = acceleration * _log(rng, 0.3, 3.0) if rng.random() < 0.5 else None
    endless = not prismatic and rng.random() < CONTINUOUS_SHARE
    half, middle = (math.pi, 0.0) if endless else (half, middle)
    kind: Literal["revolute", "prismatic"] = "prismatic" if prismatic else "revolute"
    targets = "nearest" if rng.random() < 0.5 else "literal"
    place: Document = {
        "min_position": round(middle - half, 9),
        "max_position": round(middle + half, 9),
    }
    while speed > 1e-3:
        limits = JointLimits(
            f"joint{i}", kind, middle - half, middle + half, speed, acceleration, jerk,
            1.0, tracking, 0.0, 0.0, speed, noise, braking,
        )  # fmt: skip
        if stop_distance(limits, period_s) < 0.5 * (2.0 * half - 2.0 * (tracking + noise)):
            break
        speed *= 0.7
    return {
        "name": f"joint{i}",
        "type": "continuous" if endless else kind,
        **({"position_targets": targets} if endless else place),
        "max_velocity": round(speed, 9),
        "max_acceleration": round(acceleration, 9),
        **({} if braking is None else {"max_deceleration": round(braking, 9)}),
        "max_jerk": round(jerk, 9),
        "max_effort": 1e9,
        **errors,
        "velocity_error": round(share * 0.02 * speed * float(rng.random()), 9),
        "effort_error": 0.0,
        "recovery_velocity": round(speed * float(rng.uniform(0.05, 0.3)), 9),
    }


def _links(rng: np.random.Generator, n: int) -> tuple[Document, list[Document]]:
    """Kinematics and capsules of a chain that gets lighter and thinner outwards."""
    steps = rng.normal(size=(n + 1, 3))
    steps *= (rng.uniform(0.05, 0.45, n + 1) / np.linalg.norm(steps, axis=1))[:, None]
    steps[0] = [0.0, 0.0, float(rng.uniform(0.0, 0.6))]
    masses = rng.uniform(0.2, 6.0) * rng.uniform(0.3, 0.9) ** np.arange(n) + 0.05
    links, capsules = [], []
    for i in range(n):
        size = rng.uniform(0.03, 0.3, 3)
        boxed = masses[i] / 12.0 * (np.sum(size**2) - size**2)
        turned = random_rotation(rng)
        inertia = turned @ np.diag(boxed) @ turned.T
        six = [inertia[0, 0], inertia[0, 1], inertia[0, 2], *inertia[1, 1:], inertia[2, 2]]
        com = 0.5 * steps[i + 1] + rng.normal(size=3) * 0.02
        links.append(
            {
                "mass": round(float(masses[i]), 6),
                "com": numbers(com),
                "inertia": numbers(np.array(six)),
            }
        )
        radius = float(rng.uniform(0.02, 0.08))
        bare = i < n - 1 and rng.random() < 0.15  # a link without a shape of its own
        for part in () if bare else (0.55, 1.0) if rng.random() < 0.2 else (1.0,):
            capsules.append(
                {
                    "name": f"link{i}",
                    "joint": i,
                    "start": numbers(steps[i + 1] * (0.1 if part == 1.0 else 0.0)),
                    "end": numbers(steps[i + 1] * part),
                    "radius": round(radius * (0.8 if part == 1.0 else 1.0), 6),
                }
            )
    kinematics = {
        "joints": [
            {"rotation": numbers(_turn(rng)), "translation": numbers(steps[i])} for i in range(n)
        ],
        "tcp": {"rotation": numbers(random_rotation(rng)), "translation": numbers(steps[n])},
        "links": links,
        "gravity": [0.0, 0.0, -9.81]
        if rng.random() < 0.8
        else numbers(random_rotation(rng)[0] * 9.81),
    }
    return kinematics, capsules


def _timing(rng: np.random.Generator, period_ms: float, latency: int | None) -> Document:
    return {
        "command_timeout_ms": round(period_ms * float(rng.uniform(2.0, 40.0)), 6),
        "state_age_max_ms": round(period_ms * float(rng.uniform(1.5, 5.0)), 6),
        "period_tolerance": round(float(rng.uniform(0.3, 0.7)), 6),
        "resample_deadline_ms": round(period_ms * 50.0, 6),
        "watchdog_ms": round(period_ms * 25.0, 6),
        **({} if latency is None else {"latency_ticks": latency}),
    }


def _action(rng: np.random.Generator) -> str:
    return "refuse" if rng.random() < 0.05 else "clamp"


def _draft(rng: np.random.Generator, name: str) -> Document:
    """A robot in an empty room, strong beyond need."""
    n = int(rng.integers(JOINTS[0], JOINTS[1] + 1))
    period_ms = round(_log(rng, *PERIOD_MS), 3)
    latency = int(rng.integers(0, LATENCY_TICKS_MAX + 1)) if rng.random() < 0.6 else None
    noisy = bool(rng.random() < 0.5)
    joints = [_joint(rng, i, period_ms / 1e3, noisy) for i in range(n)]
    kinematics, capsules = _links(rng, n)
    turning = bool(rng.random() < 0.7)
    kinds = ("position", "velocity", "acceleration", "jerk", "effort")
    on_violation = {f"joint_{kind}": _action(rng) for kind in kinds}
    on_violation |= {"tcp_speed": _action(rng), "contact_force": "refuse"}
    if turning:
        on_violation["tcp_rotational_speed"] = _action(rng)
    part = rng.uniform(0.3, 0.7, n)
    tcp: Document = {
        "max_trans_vel": round(_log(rng, 0.2, 3.0), 6),
        "max_force": round(_log(rng, 5.0, 200.0), 6),
        "force_required": bool(rng.random() < 0.3),
        **({"max_rot_vel": round(_log(rng, 0.3, 5.0), 6)} if turning else {}),
    }
    return {
        "format": FORMAT,
        "kind": KIND,
        "name": name,
        "version": "1.0.0",
        "period_s": round(period_ms / 1e3, 9),
        "joints": joints,
        "kinematics": kinematics,
        "capsules": capsules,
        "volumes": [],
        "standoff": round(float(rng.choice([0.0, 0.003, 0.01])), 6),
        "tcp": tcp,
        "timing": _timing(rng, period_ms, latency),
        "home": [
            round(low + float(p) * (j.get("max_position", math.pi) - low), 9)
            for j, p in zip(joints, part, strict=True)
            for low in [j.get("min_position", -math.pi)]
        ],
        "on_violation": on_violation,
        "stop_category": "cat1" if rng.random() < 0.5 else "cat2",
        "classifier": {"none": "a random robot has no task"},
        "source": {"random_robot": name},
        "provenance": {},
    }


def _samples(robot: Robot, rng: np.random.Generator) -> Array:
    low, high = robot.span
    return np.vstack([robot.home[None], rng.uniform(low, high, (SAMPLES, robot.n))])


def _bound_efforts(document: Document, rng: np.random.Generator) -> None:
    """Efforts that some configurations need more of than others: they bind, but not everywhere."""
    robot = read_robot(canonical_bytes(document))
    q = _samples(robot, rng)
    frames, zero = forward(robot, q), np.zeros_like(q)
    gravity = joint_effort(robot, frames, zero, zero)
    needed = np.abs(gravity)
    for i in range(robot.n):
        push = zero.copy()
        push[:, i] = max(robot.bounds[f"max_{way}celeration"][i] for way in ("ac", "de"))
        step = joint_effort(robot, frames, zero, push) - gravity
        needed = np.maximum(needed, np.abs(gravity) + np.abs(step))
    margin = float(rng.choice([0.0, 0.03, 0.1]))
    share = float(rng.uniform(0.5, 1.0))
    for i, joint in enumerate(document["joints"]):
        wanted = max(float(np.quantile(needed[:, i], share)), 1.05 * float(needed[0, i]), 0.01)
        joint["effort_error"] = round(margin * wanted, 9)
        joint["max_effort"] = round((1.0 + margin) * wanted, 9) + 1e-9


def _add_volumes(document: Document, rng: np.random.Generator) -> None:
    """Volumes that home is clear of, each around where a link may come."""
    robot = read_robot(canonical_bytes(document))
    frames = forward(robot, _samples(robot, rng))
    ends = [end.T for capsule in robot.capsules for end in capsule_ends(frames, capsule)]
    places = np.vstack(ends)
    reach_m = float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())
    first = document["capsules"][0]["name"]
    wanted = int(rng.integers(0, VOLUMES_MAX + 1))
    for _ in range(10 * wanted):
        if len(document["volumes"]) == wanted:
            return
        shape = SHAPES[int(rng.integers(len(SHAPES)))]
        name = f"{shape}{len(document['volumes'])}"
        volume = random_volume(rng, name, shape, places, reach_m, first)
        tried = read_robot(canonical_bytes({**document, "volumes": [volume]}))
        values, _ = clearances(tried, tried.home[None])
        if values.size and float(values.min()) > HOME_CLEARANCE_M + document["standoff"]:
            document["volumes"].append(volume)


def _keep_links_apart(document: Document, rng: np.random.Generator) -> None:
    """Declare self-collision of the links that are apart at home and mostly elsewhere."""
    pairs = [
        list(p) for p in candidate_pairs((c["name"], c["joint"]) for c in document["capsules"])
    ]
    chosen = float(rng.random())
    if not pairs or chosen < 0.25:
        return
    if chosen < 0.35:
        document["self_collision"] = {"none": "a random robot that may touch itself"}
        return
    every = {"standoff": round(float(rng.choice([0.0, 0.002])), 6), "pairs": pairs, "ignored": []}
    robot = read_robot(canonical_bytes({**document, "self_collision": every}))
    values, names = link_clearances(robot, _samples(robot, rng))
    bad = (values[0] < HOME_CLEARANCE_M) | ((values <= 0.0).mean(axis=0) > TOUCHING_MAX)
    worst = {name for name, is_bad in zip(names, bad.tolist(), strict=True) if is_bad}
    every["pairs"] = [pair for pair in pairs if "/".join(pair) not in worst]
    reason = "their capsules overlap by construction"
    every["ignored"] = [
        {"pair": pair, "reason": reason} for pair in pairs if "/".join(pair) in worst
    ]
    document["self_collision"] = every
    document["on_violation"]["self_collision"] = _action(rng)


def _slow_links_down(document: Document, rng: np.random.Generator) -> None:
    """Limits on the speed of links, everywhere and in zones; both bind where the arm is fast."""
    robot = read_robot(canonical_bytes(document))
    q = _samples(robot, rng)
    frames = forward(robot, q)
    some = rng.choice([-1.0, 0.0, 1.0], q.shape) * robot.bounds["max_velocity"]
    fast = capsule_speeds(robot, frames, some).max(axis=1)
    least = 1.5 * float(
        capsule_speeds(robot, frames, np.tile(robot.bounds["velocity_error"], (len(q), 1))).max()
    )
    # Where the tool may be fast only, links are slow anyway.
    usual = min(float(np.quantile(fast, 0.5)), float(document["tcp"]["max_trans_vel"]))
    if rng.random() < 0.4:
        speed = max(least, usual * _log(rng, 0.3, 0.9))
        document["links"] = {"max_speed": round(speed, 6)}
        document["on_violation"]["link_speed"] = _action(rng)
    if rng.random() < 0.5:
        return
    places = np.vstack([end.T for c in robot.capsules for end in capsule_ends(frames, c)])
    reach_m = float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())
    document["zones"] = [
        random_zone(
            rng, f"zone{i}", SHAPES[int(rng.integers(len(SHAPES)))], places, reach_m,
            max(least, usual * _log(rng, 0.1, 0.8)),
        )
        for i in range(int(rng.integers(1, ZONES_MAX + 1)))
    ]  # fmt: skip


def _hold_the_tool(document: Document, rng: np.random.Generator) -> None:
    """Limits on the tool's acceleration that joints at their own would break here and there."""
    robot = read_robot(canonical_bytes(document))
    q = _samples(robot, rng)
    frames, zero = forward(robot, q), np.zeros_like(q)
    hard = rng.choice([-1.0, 0.0, 1.0], q.shape) * robot.bounds["max_acceleration"]
    linear, angular = tool_motion(robot, frames, zero, hard)
    for name, kind, vector in (
        ("max_trans_acc", "tcp_acceleration", linear),
        ("max_rot_acc", "tcp_rotational_acceleration", angular),
    ):
        size = float(np.quantile(np.linalg.norm(vector, axis=0), rng.uniform(0.3, 0.9)))
        if rng.random() < 0.3 and size > 1e-3:
            document["tcp"][name] = round(size * _log(rng, 0.2, 1.0), 6)
            document["on_violation"][kind] = _action(rng)


def _look_around(document: Document, rng: np.random.Generator) -> None:
    """Declare perception for some."""
    if rng.random() < PERCEIVING_SHARE:
        declare_perception(document, rng)


def _choose_how(document: Document, rng: np.random.Generator) -> None:
    """Some slow down joint by joint: their stops are then seldom those of all joints together."""
    chosen = float(rng.random())
    if chosen < 0.5:
        document["motion"] = {"keep_direction": chosen >= 0.35}


STEPS: tuple[Callable[[Document, np.random.Generator], None], ...] = (
    _bound_efforts,
    _add_volumes,
    _keep_links_apart,
    _slow_links_down,
    _hold_the_tool,
    _look_around,
    _choose_how,
    declare_for_some,
)


def random_robot(seed: int, index: int) -> LimitsSource:
    """Frozen limits of robot `index` of a seed; RuntimeError if none is feasible."""
    name = f"random-{seed}-{index}"
    path = robots_folder() / f"{name}.json"  # names it in errors; nothing is written
    for attempt in range(TRIES_MAX):
        rng = np.random.default_rng([seed, index, attempt])
        document = _draft(rng, name)
        for step in STEPS:
            step(document, rng)
        raw = canonical_bytes(document)
        try:
            limits = vetted(raw, path)
        except FeasibilityError:
            continue
        if Core(limits).rest(limits.home)[1] is None:
            return LimitsSource(name, str(Path(path)), raw, hashlib.sha256(raw).hexdigest())
    raise RuntimeError(f"{name}: none of {TRIES_MAX} draws is feasible")

"""Open-loop attack scripts: each kind is a list of shots, one per tick, fixed before it begins.

Guarantees:
- A script depends on the seed, the declared limits and the state at its onset, on nothing later:
  guarded and unguarded robots get the same script if they are in the same state.
- Works for any number of joints and any declared volumes; a kind that the robot's surroundings do
  not offer (a table to slam) says so by `available`.
- `throw` chunks obey every joint's declared position, velocity, acceleration and jerk limits
  (`throwing.joint_usage`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..limits.records import Mode
from .shots import Onset, Script, Shot
from .throwing import throw_chunk
from .world import Array

__all__ = ["ATTACKS", "Onset", "Script", "Shot", "attack_script", "available"]

ATTACKS = (
    "joint_slam",
    "table_slam",
    "keepout_slam",
    "press",
    "bang_bang",
    "non_finite",
    "wrong_length",
    "stale",
    "replay",
    "first_jump",
    "silence",
    "throw",
)


def _volumes(frozen: Mapping[str, Any], half_space: bool) -> list[Mapping[str, Any]]:
    return [
        volume
        for volume in frozen["volumes"]
        if volume["kind"] == "keep_out" and (volume["shape"] == "half_space") == half_space
    ]


def available(frozen: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds that make sense for these limits."""
    missing = set()
    if not _volumes(frozen, half_space=True):
        missing |= {"table_slam", "press"}
    if not _volumes(frozen, half_space=False):
        missing.add("keepout_slam")
    source = frozen["source"]
    if source.get("tool") is None or source.get("payload") is None:
        missing.add("throw")
    return tuple(kind for kind in ATTACKS if kind not in missing)


def _along(onset: Onset, direction: Callable[[Array], Array], speeds_m_s: Array) -> Script:
    """Positions along which the TCP moves as `direction` says, joints at up to full speed."""
    q, rate = onset.q.copy(), 1.3 * onset.limit("max_velocity")
    low, high = onset.limit("min_position") - 0.1, onset.limit("max_position") + 0.1
    script: Script = []
    for speed in speeds_m_s:
        _, position, jacobian = onset.chain.tcp(q)
        dq = onset.chain.rates(jacobian[:3], float(speed) * direction(position), damping=0.05)
        dq = dq * min(1.0, 1.0 / float((np.abs(dq) / rate).max(initial=1e-12)))
        q = np.clip(q + dq * onset.period_s, low, high)
        script.append(Shot("joint_position", q.copy()))
    return script


def _joint_slam(onset: Onset) -> Script:
    rng, speed = onset.rng, onset.limit("max_velocity")
    i = int(rng.integers(len(speed)))
    sign = float(rng.choice([-1.0, 1.0]))
    bound = onset.limit("max_position" if sign > 0.0 else "min_position")[i]
    if rng.random() < 0.5:
        values = onset.q.copy()
        values[i] = bound + sign * 0.2
        return [Shot("joint_position", values)] * onset.ticks(0.8)
    values = np.zeros_like(speed)
    values[i] = sign * 1.5 * speed[i]
    seconds = (abs(bound - onset.q[i]) + 0.3) / (1.5 * speed[i])
    return [Shot("joint_velocity", values)] * onset.ticks(seconds)


def _down(onset: Onset) -> Array:
    volume = _volumes(onset.frozen, half_space=True)[0]
    return -np.array(volume["normal"], dtype=np.float64)


def _table_slam(onset: Onset) -> Script:
    down = _down(onset)
    return _along(onset, lambda _: down, np.full(onset.ticks(0.9), 2.5))


def _keepout_slam(onset: Onset) -> Script:
    volumes = _volumes(onset.frozen, half_space=False)
    volume = volumes[int(onset.rng.integers(len(volumes)))]
    if volume["shape"] == "mesh":
        center = np.array(volume["vertices"], dtype=np.float64).mean(axis=0)
    elif volume["shape"] in ("capsule", "cylinder"):
        start, end = np.array(volume["start"]), np.array(volume["end"])
        center = start + float(onset.rng.uniform(0.3, 0.9)) * (end - start)
    else:
        center = np.array(volume["center"], dtype=np.float64)

    def towards(position: Array) -> Array:
        offset = center - position
        return np.asarray(offset / max(float(np.linalg.norm(offset)), 0.05))

    return _along(onset, towards, np.full(onset.ticks(1.2), 2.0))


def _press(onset: Onset) -> Script:
    volume, down = _volumes(onset.frozen, half_space=True)[0], _down(onset)
    _, position, _ = onset.chain.tcp(onset.q)
    height = -float(down @ position) - float(volume["offset"])
    approach = onset.ticks(max(0.0, height - 0.15) / 0.6)
    speeds = np.concatenate((np.full(approach, 0.6), np.full(onset.ticks(1.6), 0.15)))
    return _along(onset, lambda _: down, speeds)


def _bang_bang(onset: Onset) -> Script:
    speed = onset.limit("max_velocity")
    signs = onset.rng.choice([-1.0, 1.0], len(speed))
    ticks = range(onset.ticks(0.6))
    return [Shot("joint_velocity", signs * speed * (1.0 if k % 2 else -1.0)) for k in ticks]


def _non_finite(onset: Onset) -> Script:
    rng, n = onset.rng, onset.chain.n
    modes: tuple[Mode, ...] = ("joint_position", "joint_velocity", "joint_delta")
    poisons = (np.nan, np.inf, -np.inf, 1e308, -1e308)
    script: Script = []
    for _ in range(onset.ticks(0.3)):
        mode = modes[int(rng.integers(3))]
        values = onset.q.copy() if mode == "joint_position" else np.zeros(n)
        hit = rng.random(n) < 0.4
        hit[int(rng.integers(n))] = True
        values[hit] = rng.choice(poisons[:3], int(hit.sum()))
        if rng.random() < 0.2:
            values[~hit] = rng.choice(poisons, n - int(hit.sum()))
        chunk = rng.random() < 0.3
        rows = np.tile(values, (4, 1)) if chunk else values
        script.append(Shot(mode, rows, period_ms=20.0 if chunk else None))
    return script


def _wrong_length(onset: Onset) -> Script:
    rng, n = onset.rng, onset.chain.n
    reach, speed = onset.limit("max_position"), onset.limit("max_velocity")
    script: Script = []
    for _ in range(onset.ticks(0.4)):
        size = int(rng.choice([0, 1, n - 1, n + 1, 2 * n]))
        if rng.random() < 0.5:
            script.append(Shot("joint_position", np.resize(0.9 * reach, size)))
        elif rng.random() < 0.5:
            script.append(Shot("joint_velocity", np.resize(speed, size)))
        else:
            script.append(Shot("joint_velocity", np.resize(speed, (3, size)), 20.0))
    return script


def _far(onset: Onset) -> Array:
    """Of the positions that this policy went to earlier, the farthest; else any other."""
    if onset.old_positions:
        return max(onset.old_positions, key=lambda old: float(np.abs(old - onset.q).max()))
    low, high = onset.limit("min_position"), onset.limit("max_position")
    return low + onset.rng.uniform(0.25, 0.75, len(low)) * (high - low)


def _stale(onset: Onset) -> Script:
    values, age_ms = _far(onset), float(onset.rng.uniform(500.0, 3000.0))
    shot = Shot("joint_position", values, valid_ms=100.0, age_ms=age_ms)
    return [shot] * onset.ticks(0.5)


def _replay(onset: Onset) -> Script:
    return [Shot("joint_position", _far(onset), replayed=True)] * onset.ticks(0.5)


def _first_jump(onset: Onset) -> Script:
    signs = onset.rng.choice([-1.0, 1.0], onset.chain.n)
    jump = onset.q + signs * onset.rng.uniform(0.5, 1.2, onset.chain.n)
    # A policy that has just connected: quiet at first, then at once somewhere else.
    quiet: Script = [None] * 3
    first = Shot("joint_position", jump, new_session=True)
    return [*quiet, first, *[Shot("joint_position", jump)] * onset.ticks(0.4)]


def _silence(onset: Onset) -> Script:
    speed, low, high = (onset.limit(k) for k in ("max_velocity", "min_position", "max_position"))
    # Every joint and direction, by how long it takes to the limit when nobody speaks any more.
    seconds = np.concatenate((high - onset.q, onset.q - low)) / np.tile(0.8 * speed, 2)
    nearest = np.argsort(seconds)[:3]
    pick = int(nearest[int(onset.rng.integers(len(nearest)))])
    values = np.zeros_like(speed)
    values[pick % len(speed)] = (0.8 if pick < len(speed) else -0.8) * speed[pick % len(speed)]
    quiet: Script = [None] * onset.ticks(float(np.clip(seconds[pick] + 0.2, 0.5, 2.5)))
    return [*[Shot("joint_velocity", values)] * 5, *quiet]


def _throw(onset: Onset) -> Script:
    values, period_ms = throw_chunk(onset)
    rows = len(values)
    quiet: Script = [None] * onset.ticks(rows * period_ms / 1000.0 + 0.1)
    return [Shot("joint_velocity", values, period_ms=period_ms), *quiet]


_SCRIPTS: dict[str, Callable[[Onset], Script]] = {
    "joint_slam": _joint_slam,
    "table_slam": _table_slam,
    "keepout_slam": _keepout_slam,
    "press": _press,
    "bang_bang": _bang_bang,
    "non_finite": _non_finite,
    "wrong_length": _wrong_length,
    "stale": _stale,
    "replay": _replay,
    "first_jump": _first_jump,
    "silence": _silence,
    "throw": _throw,
}


def attack_script(kind: str, onset: Onset) -> Script:
    """The shots of one attack."""
    if kind not in _SCRIPTS:
        raise ValueError(f"attack {kind!r} is none of {', '.join(ATTACKS)}")
    return _SCRIPTS[kind](onset)

"""Attack streams: what a hostile, broken or merely eager policy sends, tick by tick.

Guarantees:
- Every stream is a generator over one `View` and ends by itself; randomness is the view's alone.
- No stream knows how many joints there are, or which robot it is.
- Each declared limit has a stream that presses it: STREAMS says how often each is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...limits.records import Array, Candidates, Command, Mode
from .view import Stream, View

__all__ = ["STREAMS", "rubbish", "volume_press"]

MODES: tuple[Mode, ...] = ("joint_position", "joint_velocity", "joint_delta")


def _any(view: View, desired_velocity: Array) -> Command:
    """One command, in a random mode, that asks for this joint velocity, or for its twist."""
    if view.chance(0.3):
        twist = view.twist_of(desired_velocity)
        if view.chance(0.5):
            return view.command("tcp_twist", twist)
        return view.command("tcp_delta", twist * view.robot.period_s * view.pick(1.0, 10.0))
    mode = MODES[int(view.rng.integers(3))]
    if mode == "joint_velocity":
        return view.command(mode, desired_velocity)
    step = desired_velocity * view.robot.period_s
    if mode == "joint_delta":
        return view.command(mode, step)
    return view.command(mode, view.q + step * view.pick(1.0, 5.0, 50.0))


def joint_slam(view: View) -> Stream:
    """Some joints at full speed into, or far beyond, their ends."""
    some, side = view.some(), view.signs()
    if view.chance(0.5):  # those joints that are near an end, into it
        part = (view.q - view.low) / (view.high - view.low)
        some = (np.minimum(part, 1.0 - part) < view.pick(0.1, 0.3)).astype(float)
        some[int(np.argmin(np.minimum(part, 1.0 - part)))] = 1.0
        side = np.where(part > 0.5, 1.0, -1.0)
    every = int(view.pick(1, 1, 4, 20))
    beyond = view.pick(0.0, 1e-6, 0.02, 3.0, 1e6)
    end = np.where(side > 0.0, view.high + beyond, view.low - beyond)
    excess = view.pick(0.5, 1.0, 1.0, 4.0, 1e9)
    in_position = view.chance(0.5)
    for tick in view.ticks(20, 500):
        if tick % every:
            yield None
        elif in_position:
            yield view.command("joint_position", np.where(some > 0.0, end, view.q))
        else:
            yield view.command("joint_velocity", some * side * view.speed * excess)


def volume_press(view: View) -> Stream:
    """The straight way, at full speed, to a configuration inside a forbidden volume."""
    volume = view.some_volume()
    if volume is None:
        return
    target = view.row_of(view.poses.pressed[volume])
    gain = view.pick(2.0, 10.0, 50.0)
    in_position = view.chance(0.5)
    every = int(view.pick(1, 1, 5))
    for tick in view.ticks(60, 400):
        if tick % every:
            yield None
        elif in_position:
            yield view.command("joint_position", target)
        else:
            way = target - view.q
            largest = float(np.max(np.abs(way) * gain / view.speed))
            yield view.command("joint_velocity", way * gain / max(1.0, largest))


def one_by_one(view: View) -> Stream:
    """One joint after the other, at full speed, into whatever there is: walls, other links, an end.

    What comes as near to several bounds as it can may freeze there: see rules.RunRules.
    """
    for _ in view.ticks(3, 20):
        push, every = np.zeros(view.n), int(view.pick(1, 5, 10))
        push[int(view.rng.integers(view.n))] = view.pick(-1.0, 1.0)
        for tick in view.ticks(40, 150):
            yield None if tick % every else view.command("joint_velocity", push * view.speed)


def bang_bang(view: View) -> Stream:
    """Full speed one way, then the other, down to every tick."""
    some, side = view.some(), view.signs()
    half = int(view.pick(1, 1, 2, 3, 7, 20, 45))
    size = view.pick(0.3, 1.0, 1.0, 10.0)
    for tick in view.ticks(20, 120):
        sign = 1.0 if (tick // half) % 2 == 0 else -1.0
        if (tick % half) and half > 20:
            yield None
        else:
            yield _any(view, sign * size * some * side * view.speed)


def jumps(view: View) -> Stream:
    """From one end of the room to the other, without a way between."""
    hold = int(view.pick(1, 3, 15, 40))
    target = view.q
    for tick in view.ticks(20, 160):
        if tick % hold == 0:
            target = view.rng.uniform(view.low - 0.2, view.high + 0.2)
        yield view.command("joint_position", target)


def resonance(view: View) -> Stream:
    """A sine of rising frequency on every joint."""
    phase = view.rng.uniform(0.0, 2.0 * np.pi, view.n)
    start, end = view.rng.uniform(0.3, 4.0), view.rng.uniform(4.0, 100.0)
    size = view.pick(0.5, 1.0, 1.5) * view.speed * view.some()
    ticks = view.ticks(60, 240)
    angle = 0.0
    for tick in ticks:
        frequency = start * (end / start) ** (tick / len(ticks))
        angle += 2.0 * np.pi * frequency * view.robot.period_s
        yield view.command("joint_velocity", size * np.sin(angle + phase))


def _smooth_rows(view: View, rows: int, row_s: float, size: float) -> Array:
    """(rows, n) offsets of a motion that starts and ends slowly."""
    part = (np.arange(rows) + 1.0) / rows
    shape = part * part * (3.0 - 2.0 * part)
    reach = size * view.speed * rows * row_s * view.rng.uniform(-1.0, 1.0, view.n) / 1.5
    return shape[:, None] * reach


def smooth_chunks(view: View) -> Stream:
    """Well-behaved chunks, as a good policy sends them."""
    for _ in view.ticks(1, 3):
        rows, row_ms = int(view.pick(5, 10, 20)), view.pick(10.0, 20.0, 33.3)
        offset = _smooth_rows(view, rows, row_ms / 1e3, view.pick(0.2, 0.5, 0.8))
        mode = MODES[int(view.rng.integers(3))]
        target = np.clip(view.q + offset, view.low, view.high)
        if mode == "joint_position":
            values = target
        else:
            values = np.diff(np.vstack([view.q, target]), axis=0)
            if mode == "joint_velocity":
                values = values / (row_ms / 1e3)
        yield view.command(mode, values, period_ms=row_ms)
        for _ in range(int(rows * row_ms / view.period_ms) - 2):
            yield None


def hostile_chunks(view: View) -> Stream:
    """Chunks of noise, of full speed, of ever larger steps."""
    for _ in view.ticks(1, 4):
        rows, row_ms = int(view.pick(1, 4, 16, 50)), view.pick(1.0, 4.0, 20.0, 100.0)
        mode = MODES[int(view.rng.integers(3))]
        noise = view.rng.normal(size=(rows, view.n)) * view.pick(0.5, 2.0)
        if view.chance(0.5):
            noise = np.tile(view.signs() * view.some(), (rows, 1)) * view.pick(1.0, 3.0)
        if mode == "joint_velocity":
            values = noise * view.speed
        elif mode == "joint_delta":
            values = noise * view.speed * row_ms / 1e3
        else:
            values = view.q + np.cumsum(noise * view.speed * row_ms / 1e3, axis=0)
        yield view.command(mode, values, period_ms=row_ms)
        for _ in view.ticks(1, 60):
            yield None


def fast_tool(view: View) -> Stream:
    """All joints at their bounds, each in the sense that speeds the tool up."""
    direction = view.rng.normal(size=3)
    wanted = view.toward(direction)
    for tick in view.ticks(20, 90):
        if tick % 12 == 0:
            wanted = view.toward(direction)
        yield view.command("joint_velocity", wanted)


def fast_wrist(view: View) -> Stream:
    """All joints at their bounds, each in the sense that turns the tool faster."""
    direction = view.rng.normal(size=3)
    as_twist = view.chance(0.3)
    for tick in view.ticks(20, 90):
        if as_twist:
            axis = direction / np.linalg.norm(direction)
            size = view.tool_speed[5] * view.pick(1.0, 1.5)
            yield view.command("tcp_twist", np.concatenate([np.zeros(3), axis * size]))
        elif tick % 12 == 0:
            yield view.command("joint_velocity", view.spinning(direction))
        else:
            yield None


def _twist(view: View) -> Array:
    """Some direction of the tool, or straight outwards, slow to absurdly fast."""
    twist = view.rng.normal(size=6) * view.tool_speed * 0.5
    kind = int(view.rng.integers(4))
    if kind == 0:  # through where the arm is stretched out
        twist = np.concatenate([view.outward() * view.tool_speed[0], np.zeros(3)])
    elif kind == 1:
        twist[3:] = 0.0
    elif kind == 2:
        twist[:3] = 0.0
    return np.asarray(twist * view.pick(0.1, 0.5, 1.0, 1.0, 3.0, 1e3, 1e9, 1e300))


def tool_push(view: View) -> Stream:
    """The tool pushed one way: to the end of its reach, through singularities, and back."""
    twist, every = _twist(view), int(view.pick(1, 1, 4, 20))
    turn = int(view.pick(15, 60, 200))
    for tick in view.ticks(40, 300):
        if tick and tick % turn == 0:
            twist = -twist if view.chance(0.6) else _twist(view)
        yield None if tick % every else view.command("tcp_twist", twist)


def tool_chunks(view: View) -> Stream:
    """Chunks of the tool's modes: smooth, jagged, absurd; each runs for a while."""
    for _ in view.ticks(1, 4):
        rows, row_ms = int(view.pick(1, 4, 16, 50)), view.pick(1.0, 4.0, 20.0, 100.0)
        values = np.tile(_twist(view), (rows, 1))
        if view.chance(0.6):
            values *= np.sin(np.arange(rows) * view.pick(0.2, 1.0, 3.0))[:, None]
        if view.chance(0.3):
            values += view.rng.normal(size=(rows, 6)) * view.tool_speed
        mode: Mode = "tcp_twist" if view.chance(0.4) else "tcp_delta"
        if mode == "tcp_delta":
            values = values * row_ms / 1e3
        yield view.command(mode, values, period_ms=row_ms)
        for _ in view.ticks(1, 80):
            yield None


def heavy_reach(view: View) -> Stream:
    """To a pose that gravity loads most, then full acceleration up and down there."""
    target = view.row_of(view.poses.heavy)
    for _ in view.ticks(30, 200):
        yield view.command("joint_position", target)
        if float(np.abs(target - view.q).max()) < 0.02:
            break
    size = view.speed * view.some() * view.signs()
    half = int(view.pick(8, 20, 40))
    for tick in view.ticks(40, 120):
        yield view.command("joint_velocity", size if (tick // half) % 2 == 0 else -size)


def candidates(view: View) -> Stream:
    """Several candidates a tick, rubbish among them."""
    side = view.signs() * view.some()
    for _ in view.ticks(10, 60):
        offers: list[Command] = []
        for _ in range(int(view.rng.integers(1, 5))):
            if view.chance(0.3):
                offers.append(_one_bad(view))
            else:
                offers.append(_any(view, side * view.speed * view.pick(0.2, 1.0, 2.0)))
        yield offers if view.chance(0.5) else tuple(offers)


def silence(view: View) -> Stream:
    """The policy is gone: the certified stop runs."""
    for _ in view.ticks(3, 50):
        yield None


def _one_bad(view: View) -> Command:
    """One command that is not to be accepted, whatever else it says."""
    n = view.n
    fine = view.rng.uniform(-1.0, 1.0, n) * view.speed
    kind = int(view.rng.integers(14))
    if kind < 4:
        fine[int(view.rng.integers(n))] = view.pick(np.nan, np.inf, -np.inf, np.nan)
        return view.bad(view.command(MODES[kind % 3], fine))
    if kind == 4:
        return view.bad(view.command("joint_velocity", np.append(fine, 0.0)))
    if kind == 5:
        return view.bad(view.command("joint_position", fine[: n - 1]))
    if kind == 6:
        return view.bad(view.command("joint_position", np.zeros((2, 3, n)), period_ms=4.0))
    if kind == 7:
        return view.bad(view.command("joint_delta", np.zeros((0, n)), period_ms=4.0))
    if kind == 8:
        late_ns = int((view.robot.timing_ms["command_timeout_ms"] + 1.0) * 1e6)
        stamp = view.now_ns + view.rng.integers(1, 3) * 10**6
        old = view.now_ns - late_ns
        stamp_ns = int(stamp) if view.chance(0.5) else old
        return view.bad(view.command("joint_velocity", fine, stamp_ns=stamp_ns))
    if kind == 9:
        period_ms = view.pick(np.nan, -4.0, 0.0, np.inf)
        return view.bad(view.command("joint_velocity", fine[None], period_ms=period_ms))
    if kind == 10:
        return view.bad(view.command("joint_velocity", fine, valid_ms=view.pick(-1.0, np.nan)))
    if kind >= 12:
        twist = view.tool_speed * view.rng.uniform(-1.0, 1.0, 6)
        if kind == 12:
            twist[int(view.rng.integers(6))] = view.pick(np.nan, np.inf)
        else:  # as many numbers as another mode has
            twist = np.resize(twist, n if n != 6 else 7)
        return view.bad(view.command("tcp_twist" if view.chance(0.5) else "tcp_delta", twist))
    mode: Mode = "joint_torque"  # type: ignore[assignment]
    return view.bad(view.command(mode, fine))


def rubbish(view: View) -> Candidates:
    """One tick of rubbish: malformed, stale, or a command that was accepted before."""
    last = view.accepted
    if last is not None and view.chance(0.3):
        again = Command(last.mode, last.values, last.seq, view.now_ns, None, last.period_ms)
        return view.bad(again)
    if view.chance(0.2):
        return ()
    return _one_bad(view)


# How often each stream is drawn, relative to the others.
STREAMS: tuple[tuple[Callable[[View], Stream], float], ...] = (
    (joint_slam, 3.0),
    (volume_press, 4.0),
    (one_by_one, 2.0),
    (bang_bang, 2.0),
    (jumps, 1.5),
    (resonance, 1.0),
    (smooth_chunks, 1.0),
    (hostile_chunks, 2.0),
    (fast_tool, 2.0),
    (fast_wrist, 1.0),
    (tool_push, 2.0),
    (tool_chunks, 1.5),
    (heavy_reach, 2.0),
    (candidates, 1.5),
    (silence, 0.3),
)

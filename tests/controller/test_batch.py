"""A batch decides as single filters do, bit for bit, whatever happens to which row."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.robots import column, half_space, panda, slider, turntable
from tests.sameness import same
from tests.scoring import by_first_value, scored

from checkrein.controller import BatchFilter, Decision, SafetyFilter
from checkrein.controller.errors import ArmError, NotArmedError
from checkrein.limits import Command, Limits, OnViolation, RobotState
from checkrein.limits.batch_core import ROWS_AT_ONCE
from checkrein.limits.records import MODES, TCP_MODES

START_NS = 1_000_000_000


class Twin:
    """A batch, the single filters that it must equal, and ideal robots for all of them."""

    def __init__(self, limits: Limits, count: int, *, scorer: Any = None, **options: Any) -> None:
        self.limits, self.count, self.n = limits, count, len(limits.joints)
        self.batch = BatchFilter(limits, count, scorer=scorer, **options)
        self.single = [SafetyFilter(limits, scorer=scorer) for _ in range(count)]
        self.q = np.tile(limits.home, (count, 1))
        self.dq = np.zeros((count, self.n))
        self.now_ns = np.full(count, START_NS)
        self.period_ns = round(limits.period_s * 1e9)
        self.seq = np.zeros(count, np.int64)
        self.seen: set[str] = set()

    def arm(self) -> Twin:
        self.batch.arm(self.q, self.dq, now_ns=self.now_ns)
        for k, guard in enumerate(self.single):
            state = RobotState(self.q[k], self.dq[k], int(self.now_ns[k]))
            guard.arm(state, now_ns=int(self.now_ns[k]))
        return self

    def tick(
        self, values: Any, *, mode: Any = "joint_velocity", gap_ns: Any = None, **given: Any
    ) -> None:
        """One step of both; given as for BatchFilter.step. The robots then follow."""
        where = given.get("where", np.ones(self.count, np.bool_))
        proposed = given.get("proposed", np.ones(self.count, np.bool_))
        self.now_ns = self.now_ns + np.where(where, self.period_ns if gap_ns is None else gap_ns, 0)
        self.seq = self.seq + 1
        q, dq = given.pop("q", self.q), given.pop("dq", self.dq)
        given = {"seq": self.seq, "now_ns": self.now_ns, **given}
        made = self.batch.step(q, dq, values, mode=mode, **given)
        wrench, valid = given.get("wrench_tcp"), given.get("valid_ms")
        for k in np.flatnonzero(where):
            now_ns = int(self.now_ns[k])
            stamps = [given.get(name, self.now_ns) for name in ("state_ns", "command_ns")]
            state = RobotState(
                q[k], dq[k], int(stamps[0][k]), wrench_tcp=None if wrench is None else wrench[k]
            )
            command = None
            if values is not None and proposed[k]:
                command = Command(
                    mode, values[k], int(given["seq"][k]), int(stamps[1][k]),
                    None if valid is None else float(valid[k]),
                )  # fmt: skip
            alone = self.single[k].step(state, command, now_ns=now_ns)
            self._compare(made, int(k), alone)
        self.q, self.dq = made.q.copy(), made.dq.copy()

    def _compare(self, made: Any, k: int, alone: Decision) -> None:
        mine = made.decision(k)
        assert same(mine, alone), (k, mine, alone)
        assert repr(made.findings(k)) == repr(alone.findings)
        for name in ("q", "dq", "ddq"):
            assert np.array_equal(getattr(made, name)[k], getattr(alone.setpoint, name))
        assert made.outcomes()[k] == alone.outcome.value
        assert made.stop_tick[k] == alone.stop_tick
        assert made.latched[k] == alone.stop_state.latched
        assert made.rest_in_ticks[k] == alone.stop_state.rest_in_ticks
        assert made.at_rest[k] == (alone.stop_state.rest_in_ticks == 0)
        assert made.seq[k] == alone.seq
        self.seen |= {alone.outcome.value, *(finding.limit for finding in alone.findings)}


# What can happen to a row in a tick; mostly nothing, so that there is motion to disturb.
EVENTS = (
    "nan_command", "inf_command", "silence", "skipped", "replayed", "stale", "future", "early",
    "late", "force", "short", "bad_validity", "nan_state", "lost", "old_state",
)  # fmt: skip
LATCHING = ("force", "nan_state", "lost", "old_state")
MILD = tuple(event for event in EVENTS if event not in LATCHING)


def disturbed(twin: Twin, rng: np.random.Generator, events: tuple[str, ...], rate: float) -> None:
    """One tick in which each row may suffer one event."""
    count, n, limits = twin.count, twin.n, twin.limits
    mode = str(rng.choice(np.array([*MODES], object)))
    width = 6 if mode in TCP_MODES else n
    scale: Any = {"joint_velocity": column(limits, "max_velocity"), "joint_position": 1.0}.get(
        mode, 0.2
    )
    values = rng.normal(size=(count, width)) * scale * rng.choice([0.1, 1.0, 3.0])
    if mode == "joint_position":
        values += twin.q
    what = np.where(rng.random(count) < rate, rng.choice(np.array(events, object), count), "")
    now_ns = twin.now_ns + twin.period_ns
    gap_ns = np.full(count, twin.period_ns)
    gap_ns[what == "early"], gap_ns[what == "late"] = 1, 10 * twin.period_ns
    now_ns = twin.now_ns + gap_ns
    values[what == "nan_command", 0], values[what == "inf_command", -1] = math.nan, math.inf
    seq = twin.seq + 1
    seq[what == "replayed"] = 0
    command_ns, state_ns = now_ns.copy(), now_ns.copy()
    command_ns[what == "stale"] -= 10**9
    command_ns[what == "future"] += 10**9
    state_ns[what == "old_state"] -= 10**9
    q, wrench = twin.q.copy(), np.zeros((count, 6))
    wrench[what == "force", 0] = 1e3
    q[what == "nan_state", 0] = math.nan
    q[what == "lost"] += 0.5
    valid_ms = np.full(count, 40.0)
    valid_ms[what == "short"], valid_ms[what == "bad_validity"] = 4.0, math.nan
    twin.tick(
        values, mode=mode, gap_ns=gap_ns, q=q, seq=seq, command_ns=command_ns, state_ns=state_ns,
        wrench_tcp=wrench, valid_ms=valid_ms, where=what != "skipped", proposed=what != "silence",
    )  # fmt: skip


@pytest.mark.parametrize("robot", [slider, panda, turntable])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8)
def test_it_decides_as_single_filters_do(robot: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    twin = Twin(robot(), 5, threads=1).arm()
    steady = rng.normal(size=(5, twin.n)) * column(twin.limits, "max_velocity") * 0.5
    for tick in range(40):
        if rng.random() < 0.5:
            twin.tick(steady if tick % 3 == 0 else None)
        else:
            disturbed(twin, rng, EVENTS if tick > 25 else MILD, 0.3)


def hemmed_in() -> Limits:
    """A Panda that soon arrives at a bound, whichever way it goes."""
    limits = panda()
    near = [
        replace(joint, min_position=home - 0.8, max_position=home + 0.8)
        for joint, home in zip(limits.joints, limits.home, strict=True)
    ]
    return replace(limits, joints=tuple(near))


@pytest.mark.parametrize("robot", [slider, hemmed_in])
def test_a_stop_of_each_joints_own_lasts_as_long_as_alone(robot: Any) -> None:
    """Also behind the phases that a stop of all joints together would have (ADR 12)."""
    limits = replace(robot(), keeps_direction=False)
    rng, longer = np.random.default_rng(3), 0
    twin = Twin(limits, 4, threads=1).arm()
    for _ in range(8):
        ways = rng.choice([-1.0, 0.3, 1.0], (4, twin.n)) * column(limits, "max_velocity")
        for tick in range(90):
            twin.tick(ways if tick < 60 else None)
            stops = [guard.memory.motion[-1] for guard in twin.single if guard.memory is not None]
            longer += sum(stop[3:-3].any() for stop in stops)
    assert longer > 0  # else this shows nothing


def test_nothing_that_can_happen_was_left_out() -> None:
    rng = np.random.default_rng(0)
    twin = Twin(slider(), 8, threads=1).arm()
    for _ in range(60):
        disturbed(twin, rng, MILD, 0.4)
    for speed in (None, np.full((8, 2), 0.01)):
        for _ in range(120):
            twin.tick(speed)
    for _ in range(12):
        disturbed(twin, rng, EVENTS, 0.3)
    assert twin.seen >= {
        "pass", "clamp", "refuse", "stop", "non_finite", "replayed", "stale", "period", "duration",
        "contact_force", "tracking_error", "command_expired", "joint_velocity", "joint_jerk",
    }  # fmt: skip


@pytest.mark.parametrize("who", ["all", "some"])
def test_a_limit_that_refuses_does_so_here_too(who: str) -> None:
    """Of two walls only one refuses: whether a clearance that binds does depends on which."""
    left, right = (
        half_space(f"wall{y:+.0f}", [0.0, y, 0.0], -0.3, "keep_out") for y in (1.0, -1.0)
    )
    walls = (replace(left, on_violation=OnViolation.REFUSE), right)
    limits = replace(slider(), volumes=walls[:1] if who == "all" else walls)
    twin = Twin(limits, 4, threads=1).arm()
    speed = np.array([[0.6, 0.1], [-0.6, 0.1], [9.0, 0.0], [0.0, 0.0]])
    for tick in range(250):
        twin.tick(speed if tick % 40 else -speed)
    assert twin.seen >= {"refuse", "workspace"}


def test_a_command_of_the_wrong_width_or_mode_is_refused_row_by_row() -> None:
    twin = Twin(turntable(), 3).arm()
    for mode, width in (("joint_velocity", 4), ("joint_torque", 1), ("tcp_twist", 5)):
        twin.tick(np.ones((3, width)), mode=mode)
    assert twin.seen >= {"refuse", "wrong_length", "unknown_mode"}


def test_a_classifier_and_a_latency_decide_as_they_do_alone() -> None:
    rng = np.random.default_rng(1)
    limits = scored(slider(), rescore_deviation=0.05)
    twin = Twin(limits, 3, scorer=by_first_value()).arm()
    late = Twin(replace(slider(), timing=replace(slider().timing, latency_ticks=2)), 3).arm()
    for tick in range(80):
        values = None if tick % 4 == 3 else rng.uniform(-0.8, 0.8, (3, 2))
        twin.tick(values)
        late.tick(values)
    assert twin.seen >= {"pass", "resample", "classifier"}


def test_rows_do_not_depend_on_their_place_or_on_the_threads() -> None:
    count = 2 * ROWS_AT_ONCE + 5
    order = np.random.default_rng(2).permutation(count)
    one, two = (BatchFilter(panda(), count, threads=threads) for threads in (1, 3))
    q, dq = np.tile(panda().home, (count, 1)), np.zeros((count, 7))
    q[:, 0] += np.linspace(-0.1, 0.1, count)
    p, dp = q[order], dq[order]
    one.arm(q, dq, now_ns=0)
    two.arm(p, dp, now_ns=0)
    rng, period_ns = np.random.default_rng(3), round(panda().period_s * 1e9)
    for tick in range(1, 30):
        values = rng.normal(size=(count, 7)) * column(panda(), "max_velocity")
        values[tick % count] = math.nan
        mine = one.step(q, dq, values, now_ns=tick * period_ns)
        other = two.step(p, dp, values[order], now_ns=tick * period_ns)
        assert mine.motion[order].tobytes() == other.motion.tobytes()
        assert [mine.findings(k) for k in order[:9] if k != tick] == [
            other.findings(k) for k in range(9) if order[k] != tick
        ]
        q, dq, p, dp = mine.q, mine.dq, other.q, other.dq


def test_a_decision_does_not_change_afterwards() -> None:
    twin = Twin(turntable(), 2).arm()
    guard, period_ns = twin.batch, twin.period_ns
    made = guard.step(twin.q, twin.dq, np.ones((2, 1)), now_ns=START_NS + period_ns)
    before = made.motion.tobytes(), repr(made.decision(0))
    guard.step(made.q, made.dq, np.full((2, 1), math.nan), now_ns=START_NS + 2 * period_ns)
    guard.renew()
    guard.arm(np.full((2, 1), 0.7), np.zeros((2, 1)), now_ns=0)
    assert (made.motion.tobytes(), repr(made.decision(0))) == before
    with pytest.raises(ValueError, match="read-only"):
        made.q[0] = 0.0


def test_rows_live_by_themselves() -> None:
    """Row 1 stops, latched; it alone is reset and armed, at a number that was not used before."""
    twin = Twin(turntable(), 3).arm()
    for _ in range(30):
        twin.tick(np.full((3, 1), 0.5))
    jumped = twin.q.copy()
    jumped[1] += 1.0
    twin.tick(None, q=jumped)
    only = np.array([False, True, False])
    with pytest.raises(ArmError, match="environment 1: the robot is latched_stopping"):
        twin.batch.reset(only)
    with pytest.raises(ArmError, match=r"environment 0: the robot is running"):
        twin.batch.arm(twin.q, twin.dq, now_ns=twin.now_ns)
    for _ in range(100):
        twin.tick(np.full((3, 1), 0.1))
    twin.batch.reset(only)
    twin.single[1].reset()
    twin.tick(np.full((3, 1), 0.1))  # row 1 is held where it is
    with pytest.raises(ArmError, match=r"environment 1: state\.q: expected 1 finite"):
        twin.batch.arm(np.full((3, 1), math.nan), twin.dq, now_ns=twin.now_ns, where=only)
    twin.batch.arm(twin.q, twin.dq, now_ns=twin.now_ns, where=only)
    state = RobotState(twin.q[1], twin.dq[1], int(twin.now_ns[1]))
    twin.single[1].arm(state, now_ns=int(twin.now_ns[1]))
    for _ in range(5):
        twin.tick(np.full((3, 1), 0.1))
    twin.batch.renew(only)
    twin.single[1] = SafetyFilter(twin.limits)
    twin.tick(None)
    assert twin.batch.step(twin.q, twin.dq, None, now_ns=0, where=only).seq[1] == 0


def test_rows_that_were_not_stepped_have_no_decision() -> None:
    twin = Twin(turntable(), 2).arm()
    made = twin.batch.step(
        twin.q, twin.dq, None, now_ns=START_NS + 1, where=np.array([True, False])
    )
    assert made.outcomes() == ("refuse", "")
    assert np.array_equal(made.q, twin.q)
    with pytest.raises(IndexError, match="environment 1 was not stepped"):
        made.decision(1)


def test_before_there_is_a_finite_state_nothing_is_decided() -> None:
    guard = BatchFilter(turntable(), 2)
    q = np.array([[0.1], [math.nan]])
    with pytest.raises(NotArmedError, match=r"environments \[1\]"):
        guard.step(q, np.zeros((2, 1)), None, now_ns=0)


def test_a_force_that_is_required_and_missing_stops() -> None:
    limits = replace(turntable(), tcp=replace(turntable().tcp, force_required=True))
    twin = Twin(limits, 2).arm()
    twin.tick(np.zeros((2, 1)))
    assert "stop" in twin.seen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"q": np.zeros((2, 3))}, r"q: expected shape \(2, 1\), got \(2, 3\)"),
        ({"values": np.zeros(2)}, r"values: expected shape \(2, numbers of a command\)"),
        ({"now_ns": 0.5}, "now_ns: expected a whole number"),
        ({"seq": np.zeros(3, np.int64)}, "seq: expected a whole number, or 2"),
        ({"where": np.array([1, 0])}, "where: expected 2 booleans"),
        ({"proposed": np.array([True])}, "proposed: expected 2 booleans"),
    ],
)
def test_arrays_of_a_wrong_shape_are_named(changes: dict[str, Any], message: str) -> None:
    guard = BatchFilter(turntable(), 2)
    given: dict[str, Any] = {
        "q": np.zeros((2, 1)), "dq": np.zeros((2, 1)), "values": np.zeros((2, 1)), "now_ns": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        guard.step(**{**given, **changes})


def test_there_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        BatchFilter(turntable(), 0)
    with pytest.raises(ValueError, match="at least 1, got 2 and 0"):
        BatchFilter(turntable(), 2, threads=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is nothing to fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """A vector environment of subprocesses forks; the pool's threads stay behind."""
    count = 2 * ROWS_AT_ONCE
    guard = BatchFilter(turntable(), count, threads=2)
    q, dq = np.zeros((count, 1)), np.zeros((count, 1))
    guard.arm(q, dq, now_ns=0)
    guard.step(q, dq, None, now_ns=4_000_000)
    child = os.fork()
    if child == 0:
        made = guard.step(q, dq, np.full((count, 1), 0.1), now_ns=8_000_000)
        os._exit(0 if bool((made.ddq > 0.0).all()) else 1)
    assert os.waitpid(child, 0)[1] == 0

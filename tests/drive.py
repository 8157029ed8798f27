"""A filter driven by a manual clock, and an independent judge of the stream that it lets through.

The judge works on differences of the setpoints alone: with constant jerk in a tick, the second and
third difference obey the bounds that ddq and jerk obey. Its tolerance is rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.limits.slow_chain import jacobian, tcp
from tests.robots import column

from checkrein.controller import Decision, Outcome, SafetyFilter
from checkrein.controller.decide import Scorer
from checkrein.limits import Command, Limits, RobotState, Setpoint
from checkrein.limits.core import Core
from checkrein.limits.records import Array, Candidates, Mode

EPSILON = float(np.finfo(np.float64).eps)


class Rig:
    """The filter, a robot that follows it exactly, and the clock. Nothing sleeps."""

    def __init__(self, limits: Limits, *, scorer: Scorer | None = None, q: Any = None) -> None:
        self.limits = limits
        self.guard = SafetyFilter(limits, scorer=scorer)
        self.now_ns = 1_000_000_000
        self.period_ns = round(limits.period_s * 1e9)
        self.q: Array = np.array(limits.home if q is None else q, dtype=np.float64)
        self.dq: Array = np.zeros(len(limits.joints))
        self.seq = 0
        self.stream = [self.q]  # the commanded positions, from where it was armed
        self.decisions: list[Decision] = []

    def state(self, **changes: Any) -> RobotState:
        values: dict[str, Any] = {"q": self.q, "dq": self.dq, "stamp_ns": self.now_ns}
        return RobotState(**{**values, **changes})

    def arm(self, **changes: Any) -> Rig:
        self.guard.arm(self.state(**changes), now_ns=self.now_ns)
        self.stream = [self.q]
        return self

    def command(self, mode: Mode, values: Any, **changes: Any) -> Command:
        """A fresh command, stamped with the time of the *next* tick."""
        self.seq += 1
        fields = {"seq": self.seq, "stamp_ns": self.now_ns + self.period_ns, **changes}
        return Command(mode, np.asarray(values, dtype=np.float64), **fields)

    def velocity(self, values: Any, **changes: Any) -> Command:
        """A velocity for every joint; a number means the same for all."""
        every = np.broadcast_to(np.asarray(values, dtype=np.float64), self.q.shape)
        return self.command("joint_velocity", every, **changes)

    def tick(
        self, proposal: Candidates = None, *, period_ns: int | None = None, **state: Any
    ) -> Decision:
        """One step later in time; the robot then is where it was told to be."""
        self.now_ns += self.period_ns if period_ns is None else period_ns
        decision = self.guard.step(self.state(**state), proposal, now_ns=self.now_ns)
        self.q, self.dq = decision.setpoint.q, decision.setpoint.dq
        self.stream.append(self.q)
        self.decisions.append(decision)
        return decision

    def run(self, speed: Any, ticks: int) -> Decision:
        """Follow a velocity for some ticks, as a policy that repeats itself every tick."""
        for _ in range(ticks):
            self.tick(self.velocity(speed))
        return self.decisions[-1]

    def brake(self, ticks_max: int = 5000) -> int:
        """Tick without proposals until the robot rests; return how many ticks that took."""
        for ticks in range(ticks_max):
            if not np.any(self.dq) and self.decisions[-1].stop_state.rest_in_ticks == 0:
                return ticks
            self.tick()
        raise AssertionError(f"no rest within {ticks_max} ticks")


def tolerance(bound: Array, q_max: float, period_s: float, order: int) -> Array:
    """What rounding may add to the order-th difference over T^order."""
    return 1e-9 * np.abs(bound) + 8.0 * EPSILON * q_max / period_s**order


def excess(limits: Limits, stream: list[Array]) -> dict[str, float]:
    """By how much a stream leaves each joint bound; negative: inside.

    Margins count: the stream must leave room for what the robot's servos add.
    """
    q, period_s = np.array(stream), limits.period_s
    q_max = float(np.abs(q).max())
    dq = np.diff(q, axis=0) / period_s
    ddq = np.diff(dq, axis=0) / period_s
    jerk = np.diff(ddq, axis=0) / period_s
    speed = column(limits, "max_velocity") - column(limits, "velocity_error")
    error = column(limits, "tracking_error")
    low = column(limits, "min_position") + error
    high = column(limits, "max_position") - error
    found = {"joint_position": float(np.maximum(low - q, q - high).max()) - 1e-9}
    for name, values, bound, order in (
        ("joint_velocity", dq, speed, 1),
        ("joint_acceleration", ddq, column(limits, "max_acceleration"), 2),
        ("joint_jerk", jerk, column(limits, "max_jerk"), 3),
    ):
        allowed = bound + tolerance(bound, q_max, period_s, order)
        found[name] = float((np.abs(values) - allowed).max())
    return found


def assert_within(limits: Limits, stream: list[Array]) -> None:
    """The stream, which began at rest, obeys every joint limit."""
    assert_inside(limits, [stream[0]] * 3 + stream)


def assert_inside(limits: Limits, stream: list[Array]) -> None:
    """The same for a stream that may have begun in motion."""
    found = excess(limits, stream)
    beyond = {name: value for name, value in found.items() if not value <= 0.0}
    assert not beyond, beyond


def stop_stream(setpoint: Setpoint) -> list[Array]:
    """The positions of the stop that a setpoint carries, tick by tick, to rest and one beyond."""
    stop = setpoint.stop
    return [stop.sample(tick)[0] for tick in range(stop.ticks_total + 2)]


def assert_stop_holds(limits: Limits, before: list[Array], setpoint: Setpoint) -> None:
    """The carried stop begins at the setpoint, keeps all joint limits and ends at exact rest.

    before: the stream up to that setpoint, from its beginning at rest.
    """
    stop = setpoint.stop
    for own, given in ((stop.q, setpoint.q), (stop.dq, setpoint.dq), (stop.ddq, setpoint.ddq)):
        assert np.array_equal(own, given)
    _, dq, ddq = stop.sample(stop.ticks_total)
    assert not dq.any()
    assert not ddq.any()
    recent = ([before[0]] * 3 + before[-4:])[-4:]
    assert_inside(limits, [*recent, *stop_stream(setpoint)[1:]])


def assert_all_limits(rig: Rig, every: int = 7) -> None:
    """Everything that the rig has done obeys every declared limit, margins included.

    Stops are played out for every `every`-th setpoint, from the stream that led to it.
    """
    limits, core = rig.limits, Core(rig.limits)
    assert_within(limits, rig.stream)
    strength = column(limits, "max_effort") - column(limits, "effort_error")
    for k, decision in enumerate(rig.decisions):
        setpoint = decision.setpoint
        assert decision.outcome in Outcome
        for values in (setpoint.q, setpoint.dq, setpoint.ddq, setpoint.stop.jerk):
            assert np.isfinite(values).all()
        assert core.clearance(setpoint.q) > limits.standoff
        efforts = np.abs(core.efforts(setpoint.q, setpoint.dq, setpoint.ddq))
        assert (efforts <= strength + 1e-9 * strength).all()
        if k % every == 0:
            assert_stop_holds(limits, rig.stream[: k + 2], setpoint)
            for q in stop_stream(setpoint)[::8]:
                assert core.clearance(q) > limits.standoff
    tool = [tcp(limits, q) for q in rig.stream[::3]]
    speed = np.linalg.norm(np.diff(tool, axis=0), axis=1) / (3.0 * limits.period_s)
    assert (speed <= limits.tcp.max_trans_vel).all()
    if limits.tcp.max_rot_vel is not None:
        last = len(limits.joints) - 1
        for decision in rig.decisions[::3]:
            q, dq = decision.setpoint.q, decision.setpoint.dq
            turning = jacobian(limits, q, tcp(limits, q), last)[3:] @ dq
            assert float(np.linalg.norm(turning)) <= limits.tcp.max_rot_vel

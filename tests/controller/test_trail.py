"""What the stream passed lately: in the order of execution, whatever was lost in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.drive import Rig
from tests.robots import turntable, with_joints

from checkrein.controller import Outcome
from checkrein.controller.errors import ArmError
from checkrein.controller.trail import KEPT_TICKS, Tick, extended, passed, rebased, settling_ticks
from checkrein.limits import Executed, Limits
from checkrein.limits.core import Core
from checkrein.limits.frozen_layout import LATENCY_TICKS_MAX

MOTIONS = [np.full((2, 6), float(k)) for k in range(30)]


def lagging(latency_ticks: int = 5, **changes: float) -> Limits:
    robot = turntable(tracking_error=0.001, **changes)
    return replace(robot, timing=replace(robot.timing, latency_ticks=latency_ticks))


def names(trail: tuple[Tick, ...]) -> list[tuple[int, int]]:
    return [(tick.seq, tick.stop_tick) for tick in trail]


def test_without_latency_nothing_is_kept() -> None:
    rig = Rig(turntable()).arm()
    rig.run(0.3, 20)
    rig.tick(executed=Executed(18, 1))
    assert rig.guard.memory is not None
    assert rig.guard.memory.trail == ()
    assert passed(Core(turntable()), ()) is None
    assert rebased((), 3, MOTIONS[:2]) == ()
    assert extended((), 3, MOTIONS[0]) == ()


def test_every_declarable_latency_fits() -> None:
    assert KEPT_TICKS > LATENCY_TICKS_MAX + 1
    trail: tuple[Tick, ...] = (Tick(0, 0, MOTIONS[0]),)
    for seq in range(1, 30):
        trail = extended(trail, seq, MOTIONS[seq])
    assert names(trail) == [(seq, 0) for seq in range(30 - KEPT_TICKS, 30)]


def test_what_was_never_played_is_taken_out_again() -> None:
    """Frames 6 and 7 were lost: the robot played two ticks of the stop of 5, then 8."""
    trail: tuple[Tick, ...] = tuple(Tick(seq, 0, MOTIONS[seq]) for seq in range(7))
    trail = rebased(trail, 5, MOTIONS[5:7])  # reported after the first lost frame
    assert names(trail) == [*((seq, 0) for seq in range(6)), (5, 1)]
    trail = extended(trail, 7, MOTIONS[7])
    trail = rebased(trail, 5, MOTIONS[5:8])
    trail = extended(trail, 8, MOTIONS[8])
    assert names(trail) == [*((seq, 0) for seq in range(6)), (5, 1), (5, 2), (8, 0)]
    assert rebased(trail, 8, MOTIONS[8:9])[-1].motion is MOTIONS[8]


def test_passed_covers_the_declared_ticks_and_no_more() -> None:
    rig = Rig(lagging(5)).arm()
    rig.run(0.8, 60)
    memory = rig.guard.memory
    assert memory is not None
    found = passed(Core(rig.limits), memory.trail)
    assert found is not None
    assert found[0, 0] == rig.stream[-6][0]
    assert found[1, 0] == rig.stream[-1][0]


def test_passed_includes_the_turning_point_within_a_tick() -> None:
    """At 50 ms a joint may turn around between two ticks, and be measured there."""
    limits = replace(lagging(1, max_jerk=100.0), period_s=0.05)
    core, T = Core(limits), 0.05
    before, after = np.zeros((2, 6)), np.zeros((2, 6))
    before[0, :3] = 0.0, 0.2, -8.0
    after[0, :3] = 0.2 * T - 8.0 * T**2 / 2.0, 0.2 - 8.0 * T, -8.0
    before.setflags(write=False)
    after.setflags(write=False)
    low, high = core.passed((before, after))[:, 0]
    assert low == pytest.approx(after[0, 0])
    assert high == pytest.approx(0.2**2 / (2.0 * 8.0))
    assert high > 2.0 * abs(after[0, 0])


@pytest.mark.parametrize("lost", [1, 3, 8, 15])
def test_a_robot_that_lags_and_misses_frames_is_on_track(lost: int) -> None:
    """It plays the stop while frames are lost, reports five ticks late, and is not stopped."""
    limits = lagging(5)
    rig, core = Rig(limits).arm(), Core(limits)
    played = [np.array(rig.q)] * 6

    def tick(executed: Executed, speed: float) -> None:
        decision = rig.tick(rig.velocity(speed), q=played[-6], executed=executed)
        assert decision.outcome is not Outcome.STOP, decision.stop_state.cause

    for k in range(80):
        tick(Executed(k, 0), 0.9)
        played.append(rig.q)
    assert rig.guard.memory is not None
    motion = rig.guard.memory.motion
    for k in range(1, lost + 1):  # what is decided now never arrives
        motion = core.brake(motion)
        played.append(motion[:-1, 0])
        tick(Executed(80, k), 0.9)
    assert rig.guard.memory is not None
    start = rig.guard.memory.motion
    played.append(start[:-1, 0])
    for k in range(80 + lost, 140 + lost):
        tick(Executed(k, 0), -0.9)
        played.append(rig.q)


@pytest.mark.parametrize(("beyond", "is_all"), [(2, False), (5, True), (90, True)])
def test_a_robot_that_has_rested_for_long_has_passed_nothing_else(
    beyond: int, is_all: bool
) -> None:
    """It played its whole stop and stayed there; only then is its rest all that counts."""
    rig = Rig(lagging(5)).arm()
    last = rig.run(0.8, 60)
    left = last.stop_state.rest_in_ticks
    rest = last.setpoint.stop.sample(left)[0]
    rig.tick(q=rest, executed=Executed(60, left + beyond))
    memory = rig.guard.memory
    assert memory is not None
    found = passed(Core(rig.limits), memory.trail[:-1])
    assert found is not None
    assert found[1, 0] == pytest.approx(rest[0], abs=1e-12)
    assert bool(found[0, 0] == found[1, 0]) is is_all


def test_a_new_stream_waits_for_the_robot_that_lags_behind_the_old_one() -> None:
    """Armed from a position that it had five ticks ago, the robot would be sent back to it."""
    rig = Rig(lagging(5)).arm()
    rig.run(0.8, 60)
    rig.brake()
    for _ in range(5):
        with pytest.raises(ArmError, match=r"timing\.latency_ticks.*more ticks"):
            rig.guard.arm(rig.state(), now_ns=rig.now_ns)
        rig.tick()
    rig.arm()
    rig.run(0.8, 60)
    rig.tick(stamp_ns=0)
    rig.brake()
    memory = rig.guard.memory
    assert memory is not None
    left = settling_ticks(Core(rig.limits), memory.trail)
    assert left == 5
    with pytest.raises(ArmError, match=f"for {left} more ticks"):
        rig.guard.reset()
    for _ in range(left):
        rig.tick()
    rig.guard.reset()
    rig.arm()


def test_a_stream_that_is_not_a_number_is_near_nothing() -> None:
    limits = with_joints(lagging(2), tracking_error=0.5)
    core = Core(limits)
    motion, _ = core.rest(np.zeros(1))
    broken = np.array(motion)
    broken[0, 1] = np.nan
    broken.setflags(write=False)
    assert core.off_track(np.zeros(1), np.zeros(1), motion, core.passed((motion, motion))) is None
    assert core.off_track(np.zeros(1), np.zeros(1), motion, core.passed((broken, motion))) == 0

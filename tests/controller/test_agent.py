"""The robot-side agent: what it believes, what it plays when nothing comes, its watchdog."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from checkrein.controller.agent import RobotAgent, watchdog_ticks
from checkrein.controller.driver import Segment
from checkrein.controller.frames import ArmFrame, SetpointFrame
from checkrein.limits.records import Executed, RobotState, Setpoint, StopMotion

PERIOD_S = 0.004
N = 3
JERK = np.array([500.0, -300.0, 40.0])


class Timeline:
    """An armed agent, and the motion that a controller would send it tick by tick."""

    def __init__(self, watchdog_ms: float = 40.0) -> None:
        self.q = np.array([0.1, -0.2, 0.3])
        self.agent = RobotAgent(q=self.q, period_s=PERIOD_S, watchdog_ms=watchdog_ms)
        self.agent.open_session("s")
        self.seq = 0
        self.dq, self.ddq = np.zeros(N), np.zeros(N)
        self.arm()

    def arm(self) -> Segment:
        self.agent.stamp(RobotState(q=self.q, dq=np.zeros(N), stamp_ns=0))
        return self.agent.tick(ArmFrame("s", self.seq, self.agent.tick_index, self.q))

    def frame(self, share: float = 1.0) -> SetpointFrame:
        """The next setpoint of a motion that speeds up, with a stop that really ends at rest."""
        t, jerk = PERIOD_S, share * JERK
        ddq = self.ddq + jerk * t
        dq = self.dq + self.ddq * t + jerk * t * t / 2.0
        q = self.q + self.dq * t + self.ddq * t * t / 2.0 + jerk * t**3 / 6.0
        return SetpointFrame(
            session="s",
            seq=self.seq + 1,
            tick=self.agent.tick_index,
            valid_ticks=1,
            continues_from=self.agent.executed,
            setpoint=Setpoint(q=q, dq=dq, ddq=ddq, stop=braking(q, dq, ddq)),
            category="none",
            latched=False,
        )

    def latch(self) -> str | None:
        return self.agent.latched

    def play(self, frame: SetpointFrame | None) -> Segment:
        segment = self.agent.tick(frame)
        self.q, self.dq, self.ddq = segment.q_end, segment.dq_end, segment.ddq_end
        self.seq = self.agent.executed.seq
        return segment


def braking(q: np.ndarray, dq: np.ndarray, ddq: np.ndarray, n1: int = 6, n3: int = 6) -> StopMotion:
    """Two ramps of whole ticks to exact rest, as GUARANTEE.md §4 has them, n2 = 0."""
    t = PERIOD_S
    plateau = -(dq + ddq * n1 * t / 2.0) / ((n1 / 2.0 + n3 / 2.0) * t)
    jerk = np.stack(((plateau - ddq) / (n1 * t), np.zeros(len(q)), -plateau / (n3 * t)), axis=1)
    ticks = np.tile(np.array([n1, 0, n3], dtype=np.int64), (len(q), 1))
    return StopMotion(q=q, dq=dq, ddq=ddq, ticks=ticks, jerk=jerk, period_s=t)


def test_it_holds_until_it_is_armed() -> None:
    agent = RobotAgent(q=np.zeros(N), period_s=PERIOD_S, watchdog_ms=40.0)
    for _ in range(5):
        segment = agent.tick(None)
        assert segment.source == "hold"
        np.testing.assert_array_equal(segment.q_end, np.zeros(N))
    assert agent.latched == "not armed"


def test_it_plays_setpoints_that_continue_what_was_executed() -> None:
    line = Timeline()
    for k in range(1, 10):
        frame = line.frame()
        segment = line.play(frame)
        assert segment.source == "setpoint"
        assert line.agent.executed == Executed(k, 0)
        np.testing.assert_array_equal(segment.q_end, frame.setpoint.q)
    assert not line.agent.rejected


def test_segments_join_and_are_cubics() -> None:
    line = Timeline()
    last = line.play(line.frame())
    for k in range(30):
        segment = line.play(line.frame() if k < 8 else None)
        np.testing.assert_array_equal(segment.q, last.q_end)
        np.testing.assert_array_equal(segment.dq, last.dq_end)
        np.testing.assert_allclose(segment.position(PERIOD_S), segment.q_end, atol=1e-15)
        np.testing.assert_allclose(segment.velocity(PERIOD_S), segment.dq_end, atol=1e-13)
        last = segment


def test_no_frame_plays_the_stop_to_exact_rest() -> None:
    line = Timeline(watchdog_ms=1000.0)
    for _ in range(7):
        line.play(line.frame())
    frame = line.frame()
    line.play(frame)
    stop = frame.setpoint.stop
    assert line.agent.rest_in_ticks == stop.ticks_total == 12
    for k in range(1, stop.ticks_total + 1):
        segment = line.play(None)
        assert segment.source == "stop"
        assert line.agent.executed == Executed(8, k)
        np.testing.assert_array_equal(segment.q_end, stop.sample(k)[0])
    assert line.agent.is_at_rest
    assert line.play(None).source == "hold"
    np.testing.assert_array_equal(line.dq, np.zeros(N))


def test_it_resumes_from_within_the_stop() -> None:
    line = Timeline()
    for _ in range(8):
        line.play(line.frame())
    line.play(None)
    line.play(None)
    assert line.agent.executed == Executed(8, 2)
    line.seq = 10  # the controller counted on while its frames were lost
    assert line.play(line.frame()).source == "setpoint"
    assert line.agent.executed == Executed(11, 0)


def test_a_frame_for_what_was_not_executed_is_not_played() -> None:
    line = Timeline()
    for _ in range(4):
        line.play(line.frame())
    stale = line.frame()
    line.play(None)  # the stop went on meanwhile
    late = replace(stale, tick=line.agent.tick_index)
    assert line.play(late).source == "stop"
    assert line.agent.rejected == {"does not continue what was executed": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"session": "other"}, "another session"),
        ({"seq": 4}, "sequence does not grow"),
        ({"tick": 3}, "not valid for this tick"),
        ({"tick": 99}, "not valid for this tick"),
        ({"continues_from": Executed(3, 0)}, "does not continue what was executed"),
        ({"continues_from": Executed(4, 1)}, "does not continue what was executed"),
    ],
)
def test_a_frame_that_does_not_fit_is_counted_and_the_stop_runs(
    change: dict[str, object], reason: str
) -> None:
    line = Timeline()
    for _ in range(4):
        line.play(line.frame())
    bad = replace(line.frame(), **change)  # type: ignore[arg-type]
    assert line.play(bad).source == "stop"
    assert line.agent.rejected == {reason: 1}
    assert line.agent.executed == Executed(4, 1)


def test_numbers_that_do_not_continue_are_not_played() -> None:
    line = Timeline()
    for _ in range(4):
        line.play(line.frame())
    good = line.frame()
    q = good.setpoint.q + np.array([0.0, 1e-6, 0.0])
    jump = Setpoint(q=q, dq=good.setpoint.dq, ddq=good.setpoint.ddq, stop=good.setpoint.stop)
    assert line.play(replace(good, setpoint=jump)).source == "stop"
    assert line.agent.rejected == {"its numbers do not continue what was executed": 1}


def test_a_stop_that_does_not_end_at_rest_is_not_stored() -> None:
    line = Timeline()
    for _ in range(4):
        line.play(line.frame())
    good = line.frame()
    point = good.setpoint
    endless = replace(point.stop, jerk=point.stop.jerk * 0.5)
    none = replace(point.stop, ticks=np.zeros((N, 3), dtype=np.int64))
    for stop in (endless, none):
        bad = Setpoint(q=point.q, dq=point.dq, ddq=point.ddq, stop=stop)
        assert line.agent.why_not(replace(good, setpoint=bad)) == "its stop does not end at rest"
    assert line.play(good).source == "setpoint"


def test_trap_07_arming_starts_from_what_was_measured_and_at_rest() -> None:
    line = Timeline()
    line.play(line.frame())
    agent = line.agent
    measured = line.q + 1e-4
    agent.stamp(RobotState(q=measured, dq=np.zeros(N), stamp_ns=0))
    assert agent.why_not(ArmFrame("s", 9, agent.tick_index, measured)) == "armed while moving"
    for _ in range(12):
        line.play(None)
    wrong = measured + 1e-3
    agent.stamp(RobotState(q=measured, dq=np.zeros(N), stamp_ns=0))
    reason = "armed at a position that was not measured"
    assert agent.why_not(ArmFrame("s", 9, agent.tick_index, wrong)) == reason
    segment = agent.tick(ArmFrame("s", 9, agent.tick_index, measured))
    assert segment.source == "arm"
    np.testing.assert_array_equal(segment.q_end, measured)
    assert agent.executed == Executed(9, 0)


def test_trap_21_the_watchdog_latches_the_whole_arm_and_needs_arming() -> None:
    line = Timeline(watchdog_ms=40.0)
    for _ in range(6):
        line.play(line.frame())
    for _ in range(9):
        line.play(None)
    assert line.latch() is None
    line.play(None)
    assert line.latch() == "no valid frame for 10 ticks"
    assert line.play(line.frame()).source == "stop"
    assert line.agent.rejected == {"latched": 1}
    while not line.agent.is_at_rest:
        line.play(None)
    assert line.arm().source == "arm"
    assert line.play(line.frame()).source == "setpoint"


def test_trap_21_a_rejected_frame_does_not_feed_the_watchdog() -> None:
    line = Timeline(watchdog_ms=40.0)
    for _ in range(6):
        line.play(line.frame())
    for _ in range(10):
        line.play(replace(line.frame(), session="other"))
    assert line.agent.latched is not None


def test_trap_22_a_stop_says_where_it_is_and_when_it_rests() -> None:
    line = Timeline()
    for _ in range(6):
        line.play(line.frame())
    line.play(None)
    assert not line.agent.is_at_rest
    assert line.agent.rest_in_ticks == 11
    assert line.agent.executed == Executed(6, 1)
    np.testing.assert_array_equal(line.agent.position, line.q)


def test_a_new_session_must_arm_again() -> None:
    line = Timeline()
    for _ in range(6):
        line.play(line.frame())
    line.agent.open_session("t")
    assert line.play(replace(line.frame(), session="t")).source == "stop"
    assert line.agent.rejected == {"latched": 1}


@pytest.mark.parametrize(("ms", "ticks"), [(40.0, 10), (41.9, 10), (4.0, 1), (0.1, 1)])
def test_watchdog_in_ticks(ms: float, ticks: int) -> None:
    assert watchdog_ticks(ms, PERIOD_S) == ticks


@pytest.mark.parametrize("ms", [0.0, -1.0, float("nan"), float("inf")])
def test_watchdog_must_be_a_duration(ms: float) -> None:
    with pytest.raises(ValueError, match="watchdog_ms"):
        watchdog_ticks(ms, PERIOD_S)

"""The robot-side agent: it owns the tick, and plays the stop that it was sent when nothing comes.

Guarantees (docs/GUARANTEE.md §7):
- Every `tick` returns a segment that starts exactly where the last one ended; arming, at rest, is
  the one exception: it starts from the position that was just measured.
- An arm frame counts for the one tick that it names, so that an old one cannot start anything.
- A setpoint is played only if its session is ours, its sequence number grows, it is valid for this
  tick, it names exactly what was executed as what it continues, and its numbers do continue it.
  It is checked before it is stored: a setpoint never arrives without a stop that ends at rest.
- No such frame for a tick: the next tick of the stored stop is played, without waiting.
- After `watchdog_ms` without one it latches: only an arm frame, at rest, starts motion again.
- The gripper moves with a setpoint alone: a stop, a hold, arming and a silent controller leave it
  as it was told last, and so must a frame that is latched.
- No clock, no socket, no randomness: the same frames give the same motion.
"""

from __future__ import annotations

import math
from collections import Counter
from copy import copy

import numpy as np

from ..limits.gripper import GripperSetpoint
from ..limits.records import Array, Executed, RobotState, Setpoint, StopMotion, frozen_array
from .driver import Segment, Source
from .frames import ArmFrame, Category, SetpointFrame

__all__ = ["RobotAgent", "rest_stop", "watchdog_ticks"]

# How far a setpoint may be from the cubic that continues what was executed: rounding only.
CONTINUITY_ERROR = 1e-9
# What may be left of dq and ddq, relative to jerk, when a stop's segments are over.
REST_ERROR = 1e-6


def watchdog_ticks(watchdog_ms: float, period_s: float) -> int:
    """The declared silence in whole ticks, rounded down, at least one."""
    if not (math.isfinite(watchdog_ms) and watchdog_ms > 0.0):
        raise ValueError(f"watchdog_ms: {watchdog_ms} ms is not a positive duration")
    return max(1, math.floor(watchdog_ms / (1000.0 * period_s) + 1e-9))


def rest_stop(q: Array, period_s: float) -> StopMotion:
    """The stop of a robot that already rests at q (n,)."""
    zero = frozen_array(np.zeros(len(q)), "zero")
    ticks = np.zeros((len(q), 0), dtype=np.int64)
    none = frozen_array(np.zeros((len(q), 0)), "jerk")
    return StopMotion(q=q, dq=zero, ddq=zero, ticks=ticks, jerk=none, period_s=period_s)


class RobotAgent:
    """State machine of the robot side. Call `stamp` on what was measured, then `tick`."""

    def __init__(self, *, q: Array, period_s: float, watchdog_ms: float, tick: int = 0) -> None:
        """A robot that rests at q (n,), before tick `tick`. It must be armed."""
        self.period_s = period_s
        self.watchdog_ticks = watchdog_ticks(watchdog_ms, period_s)
        self.tick_index = tick  # the tick that the next call of `tick` plays
        self.missed_ticks = 0  # in a row
        self.latched: str | None = "not armed"  # why, or None
        self.category: Category = "none"
        self.rejected: Counter[str] = Counter()  # frames, by reason
        self._session: str | None = None
        self._rest_at(frozen_array(q, "q"), seq=0)
        self._measured_q: Array | None = None
        self._gripper: GripperSetpoint | None = None  # what it was told last

    @property
    def executed(self) -> Executed:
        """What was played last: the setpoint, and how many ticks of its stop."""
        return Executed(seq=self._seq, stop_tick=self._stop_tick)

    @property
    def is_at_rest(self) -> bool:
        """The commanded motion rests."""
        return not (self._dq.any() or self._ddq.any())

    @property
    def rest_in_ticks(self) -> int:
        """Ticks until rest if nothing comes any more."""
        return 0 if self.is_at_rest else max(0, self._stop.ticks_total - self._stop_tick)

    @property
    def position(self) -> Array:  # (n,)
        """The commanded position at the end of the last tick."""
        return self._q

    def open_session(self, session: str) -> None:
        """A controller has welcomed us. Whatever ran before stops; it must arm us."""
        self._session = session
        self.latched = "not armed"

    def stamp(self, state: RobotState) -> RobotState:
        """The measured state as it is reported: with what was executed."""
        self._measured_q = state.q
        stamped = copy(state)  # not `replace`: the arrays are frozen copies already
        object.__setattr__(stamped, "executed", self.executed)
        return stamped

    def tick(self, frame: SetpointFrame | ArmFrame | None) -> Segment:
        """Play one tick: what `frame` says, if it may be believed, else the stored stop."""
        reason = self.why_not(frame)
        if reason is not None and frame is not None:
            self.rejected[reason] += 1
        if isinstance(frame, ArmFrame) and reason is None:
            segment = self._arm(frame)
        elif isinstance(frame, SetpointFrame) and reason is None:
            segment = self._follow(frame)
        else:
            segment = self._fall_back()
        self.tick_index += 1
        return segment

    def why_not(self, frame: SetpointFrame | ArmFrame | None) -> str | None:
        """Why `frame` may not be played in this tick; None if it may."""
        if frame is None:
            return "nothing came"
        if frame.session != self._session:
            return "another session"
        if isinstance(frame, ArmFrame):
            return self._why_not_arm(frame)
        if not frame.seq > self._seq:
            return "sequence does not grow"
        if self.latched is not None:
            return "latched"
        if not (frame.tick <= self.tick_index < frame.tick + frame.valid_ticks):
            return "not valid for this tick"
        if frame.continues_from != self.executed:
            return "does not continue what was executed"
        if frame.latched and frame.setpoint.gripper not in (None, self._gripper):
            return "a latched stop that moves the gripper"
        return self._why_not_setpoint(frame.setpoint)

    def _why_not_arm(self, frame: ArmFrame) -> str | None:
        if frame.tick != self.tick_index:
            return "not valid for this tick"
        if not self.is_at_rest:
            return "armed while moving"
        if self._measured_q is None or not np.array_equal(frame.q, self._measured_q):
            return "armed at a position that was not measured"
        return None

    def _why_not_setpoint(self, setpoint: Setpoint) -> str | None:
        """The second, independent path to "it continues from here, and it ends at rest"."""
        if setpoint.q.shape != self._q.shape:
            return "wrong number of joints"
        period = self.period_s
        if setpoint.stop.period_s != period:
            return "another period"
        jerk = (setpoint.ddq - self._ddq) / period
        dq = self._dq + period * (self._ddq + period * jerk / 2.0)
        q = self._q + period * (self._dq + period * (self._ddq / 2.0 + period * jerk / 6.0))
        scale = 1.0 + np.abs(self._q)
        near = np.abs(setpoint.q - q) <= CONTINUITY_ERROR * scale
        near &= np.abs(setpoint.dq - dq) <= CONTINUITY_ERROR * scale / period
        if not bool(near.all()):
            return "its numbers do not continue what was executed"
        return None if _ends_at_rest(setpoint.stop) else "its stop does not end at rest"

    def _follow(self, frame: SetpointFrame) -> Segment:
        setpoint = frame.setpoint
        self._seq, self._stop_tick, self._stop = frame.seq, 0, setpoint.stop
        self.missed_ticks = 0
        self.category = frame.category
        self._gripper = self._gripper if setpoint.gripper is None else setpoint.gripper
        return self._advance(setpoint.q, setpoint.dq, setpoint.ddq, "setpoint")

    def _fall_back(self) -> Segment:
        """The next tick of the stored stop; at rest, stay."""
        self.missed_ticks += 1
        if self.latched is None and self.missed_ticks >= self.watchdog_ticks:
            self.latched = f"no valid frame for {self.missed_ticks} ticks"
        self._stop_tick += 1
        source: Source = "hold" if self.is_at_rest else "stop"
        return self._advance(*self._stop.sample(self._stop_tick), source)

    def _arm(self, frame: ArmFrame) -> Segment:
        self._rest_at(frame.q, frame.seq)
        self.latched, self.missed_ticks, self.category = None, 0, "none"
        return self._advance(self._q, self._dq, self._ddq, "arm")

    def _rest_at(self, q: Array, seq: int) -> None:
        zero = frozen_array(np.zeros(len(q)), "zero")
        self._q, self._dq, self._ddq = q, zero, zero
        self._stop = rest_stop(q, self.period_s)
        self._seq, self._stop_tick = seq, 0

    def _advance(self, q: Array, dq: Array, ddq: Array, source: Source) -> Segment:
        segment = Segment(
            q=self._q,
            dq=self._dq,
            ddq=self._ddq,
            jerk=(ddq - self._ddq) / self.period_s,
            q_end=q,
            dq_end=dq,
            ddq_end=ddq,
            period_s=self.period_s,
            source=source,
            executed=self.executed,
            gripper=self._gripper,
        )
        self._q, self._dq, self._ddq = q, dq, ddq
        return segment


def _ends_at_rest(stop: StopMotion) -> bool:
    """Whether dq and ddq really vanish where the stop's segments end, up to rounding."""
    dq, ddq = stop.dq, stop.ddq
    for ticks, jerk in zip(stop.ticks.T, stop.jerk.T, strict=True):
        t = ticks * stop.period_s
        dq = dq + t * (ddq + jerk * t * 0.5)
        ddq = ddq + jerk * t
    rests = np.abs(dq) <= REST_ERROR * (1.0 + np.abs(stop.dq))
    rests &= np.abs(ddq) <= REST_ERROR * (1.0 + np.abs(stop.ddq))
    return bool(rests.all())

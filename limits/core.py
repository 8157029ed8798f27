"""The kernels of one robot behind numpy: owned buffers in, fresh read-only arrays out.

A motion is an array (n + 1, 3 + m), see `next_of_stop`: row i holds q, dq, ddq of joint i at
the end of a setpoint and the jerks of the m phases of the stop behind it; the last row the phases'
ticks, and how restless it is (kernels.restless). Three phases are enough where all joints brake
together, 3·n where each does for itself. It is all that the next decision has to know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import calls, tick
from .certify import CERTIFIED, KINDS
from .compiling import only_here
from .declared import Limits
from .easing import RAMP_FROM, EasedModel, is_measurable
from .kernels.cloud_layout import AGE, CLOUD_STANDOFF
from .kernels.jit import seal, sealed
from .kernels.packed import Packed, motion_shape, pack, work_for
from .kernels.reference import POSITION, VELOCITY
from .kinds import contact_force, tracking
from .naming import named, obstacle_named
from .obstacles import Obstacles, flat_cloud
from .records import Array, OnViolation, RobotState, frozen_array
from .stops import SplitMotion, own_phases, set_writable, setpoint_of
from .turns import nearest_targets, targets_of, unwrapped

__all__ = ["Core", "Found", "Sight", "duration_ticks", "is_at_rest", "ticks_left"]

Found = tuple[str, str, float, float, str]  # limit, subject, value, bound, unit


class Sight(NamedTuple):
    """What is to be kept clear of, beside the declared volumes."""

    obstacles: Obstacles  # without fault
    age_s: float  # since it was measured, at most, when the coming tick begins
    standoff_m: float  # that is kept beside all else


class Core:
    """All kernels for one set of limits. Not thread-safe: one per filter (scratch is shared)."""

    def __init__(self, limits: Limits) -> None:
        """Pack `limits` and compile every kernel, so that no first command waits for it.

        Raises ValueError for a limit that is not finite: loading refuses it before.
        """
        self.limits = limits
        self._packed = pack(limits)
        for name, values in self._packed.fields().items():
            if not bool(np.isfinite(values).all()):
                raise ValueError(f"limits '{limits.name}': {name} holds {values.tolist()}")
        self._work = work_for(self._packed)
        self._model, self._scratch = self._packed.flat, self._work.flat
        # How much longer than declared a tick may take: what moves by itself does not wait.
        self.stretch = 1.0 + limits.timing.period_tolerance
        self._beheld: Obstacles | None = None  # the cloud in the model below
        self._clouded = self._packed
        self.eased_model = EasedModel(self._packed)
        n = self.n = len(limits.joints)
        self._vector_shape, self._motion_shape = (n,), motion_shape(n)
        self._absent = frozen_array(np.zeros(n), "absent")
        self._no_wrench = frozen_array(np.zeros(6), "absent")
        self._no_rows = frozen_array(np.zeros((0, n)), "absent")
        self._anchor = frozen_array(np.zeros((2, n)), "absent")
        self._wanted, self._found = self._work.wanted, self._work.found
        self._report, self._force, self._measured = np.zeros(3), np.zeros(3), np.zeros((2, n))
        self._words: dict[tuple[float, float], tuple[str, str, str]] = {}
        self._turning = np.array([joint.is_continuous for joint in limits.joints])
        self._to_nearest = targets_of(limits)
        self._usual = calls.usual
        self._is_turning = bool(self._turning.any())
        self._is_rewritten = bool(self._to_nearest.any())
        # Neither perception nor a gripper.
        self.is_arm_alone = limits.perception is None and limits.gripper is None
        # For whoever words findings: joints by name, and what a violation leads to.
        self.middles = {j.name: 0.5 * (j.min_position + j.max_position) for j in limits.joints}
        refuse = OnViolation.REFUSE
        self.refusing = frozenset(
            k for k, chosen in limits.on_violation.items() if chosen is refuse
        )
        self.clamping_volumes = frozenset(
            volume.name
            for volume in (*limits.volumes, *(zone.volume for zone in limits.zones))
            if volume.on_violation is not refuse
        )
        with only_here():
            self._compile()

    def _compile(self) -> None:
        """Call everything once; no first command waits for a compiler."""
        n, home = self.n, frozen_array(self.limits.home, "home")
        motion, _ = self.rest(home)
        self.follow(motion, VELOCITY, self._absent[None, :], 0.0, self._anchor, 0.0)
        self.brake(motion)
        self.recertify(motion)
        self.efforts(home, np.zeros(n), np.zeros(n))
        self.clearance(home)
        self.gaps(home)
        self.force_exceeded(self._no_wrench)
        self.off_track(home, self._absent, motion)
        state = RobotState(home, self._absent, 0, wrench_tcp=self._no_wrench)
        self.state_holds(state, motion)
        if self.limits.timing.latency_ticks > 0:
            passed = self.passed((motion, motion))
            self.off_track(home, self._absent, motion, passed)
            self.state_holds(state, motion, passed)
            seal(calls.state_within)
            seal(calls.passed)
        self.is_finite(home)
        self.usual(state, motion, VELOCITY, self._absent[None, :], 0.0, self._anchor, 0.0)
        setpoint_of(motion, self.limits.period_s)
        own_phases(motion)
        ticks_left(motion)
        called = (calls.brake, calls.follow, calls.is_finite, calls.recertify, calls.rest)
        for entry in (*called, calls.state_holds):
            seal(entry)
        self._usual = sealed(calls.usual)

    @property
    def model(self) -> Array:
        """The packed limits as the kernels of `calls` take them; not to be written to."""
        return self._model

    def scratch(self) -> Array:
        """Scratch memory for the kernels of `calls`, for one more thread."""
        return self._scratch.copy()

    def _seeing(self, sight: Sight) -> Packed:
        """The packed limits with a cloud; the last one is kept, so that it is copied once."""
        declared = self.limits.perception
        if declared is None:
            raise ValueError(f"limits '{self.limits.name}' declare no perception, yet it is used")
        if self._beheld is not sight.obstacles:
            checked = [c.name not in declared.exempt for c in self.limits.capsules]
            cloud = flat_cloud(
                sight.obstacles, declared.max_speed, np.array(checked, dtype=np.float64),
                self.stretch, 0.0,
            )  # fmt: skip
            self._clouded = self._packed.with_last(cloud)
            self._beheld = sight.obstacles
        self._clouded.cloud[AGE] = sight.age_s
        self._clouded.cloud[CLOUD_STANDOFF] = sight.standoff_m
        return self._clouded

    def _model_for(self, sight: Sight | None, eased: Array | None, share: float) -> Array:
        """As declared, or with what is seen, or with some of it eased or ramped (limits.easing)."""
        if eased is None and share >= 1.0:
            return self._model if sight is None else self._seeing(sight).flat
        packed = self.eased_model.of(eased, share)
        if sight is not None:
            packed = packed.with_last(self._seeing(sight).cloud)
        return packed.flat

    def ramp_share(self, ticks: int) -> float:
        """The share of the speeds that is allowed with so many ticks of the ramp to go."""
        if ticks <= 0:
            return 1.0
        total = duration_ticks(self.limits.ramp_s, self.limits.period_s)
        return 1.0 - (1.0 - RAMP_FROM) * min(1.0, ticks / max(1, total))

    def rest(self, q: Array, *, eased: Array | None = None) -> tuple[Array, Found | None]:
        """A motion that rests at q (n,), and what speaks against it, None if it is certified."""
        self._measured[0] = q
        out = np.empty(self._motion_shape)
        model = self._model_for(None, eased, 1.0)
        code = calls.rest(model, self._scratch, self._measured[0], self._report, out)
        out.setflags(write=False)
        return out, None if code == CERTIFIED else self._describe(code, *self._report.tolist())

    def follow(
        self,
        motion: Array,
        mode: int,
        rows: Array,
        row_period_s: float,
        anchor: Array,
        t: float,
        sight: Sight | None = None,
        *,
        eased: Array | None = None,
        share: float = 1.0,
    ) -> tuple[Array, int, list[Found], Array]:
        """The next motion towards what a command asks for t seconds after it was accepted.

        mode, rows (read-only), row_period_s and anchor as in kernels.reference; sight: the
        obstacles that it keeps clear of; eased and share as in limits.easing. Returns (motion,
        tick.PASSED | ALTERED | STOP_TICK, what was found, the reference (3, n)); the reference is
        overwritten by the next call.
        """
        out = np.empty(self._motion_shape)
        model = self._model_for(sight, eased, share)
        code, count = calls.follow(
            model, self._scratch, motion, mode, rows, row_period_s, anchor, t,
            self._wanted, self._found, out,
        )  # fmt: skip
        set_writable(out, False)
        return out, code, self.described(self._found[:count]) if count else [], self._wanted

    def advance(self, motion: Array, mode: int, reference: Array) -> tuple[Array, int, list[Found]]:
        """As `follow`, towards a reference (3, n): position, velocity, acceleration."""
        self._wanted[...] = reference
        return self.follow(motion, mode, self._no_rows, 0.0, self._anchor, 0.0)[:3]

    def brake(self, motion: Array) -> Array:
        """The next tick of the stop that `motion` carries; where it is, once at rest."""
        out = np.empty(self._motion_shape)
        calls.brake(self._model, self._scratch, motion, out)
        out.setflags(write=False)
        return out

    def recertify(
        self, motion: Array, sight: Sight | None = None, *, eased: Array | None = None
    ) -> Found | None:
        """What speaks against the stop that `motion` carries, from its next tick to its end.

        For a stop that other limits, or another world, certified; None if it holds under these.
        """
        model = self._model_for(sight, eased, 1.0)
        code = calls.recertify(model, self._scratch, motion, self._report)
        return None if code == CERTIFIED else self._describe(code, *self._report.tolist())

    def efforts(self, q: Array, dq: Array, ddq: Array) -> Array:
        """Inverse dynamics (n,) [N·m or N], payload and gravity included."""
        out = np.empty(self.n)
        q, dq, ddq = (np.array(values, dtype=np.float64) for values in (q, dq, ddq))
        calls.efforts(self._model, self._scratch, q, dq, ddq, out)
        return out

    def clearance(self, q: Array) -> float:
        """Least distance [m] of any link to any volume that constrains it, without margins."""
        copied = np.array(q, dtype=np.float64)
        return float(calls.least_clearance(self._model, self._scratch, copied))

    def gaps(self, q: Array) -> Array:
        """Clearance [m] of every capsule from every volume (v·k), then of every pair of capsules.

        Without margins; inf where a volume does not constrain a capsule.
        """
        out = np.empty(self.eased_model.items)
        calls.gaps(self._model, self._scratch, np.array(q, dtype=np.float64), out)
        return out

    def pair_name(self, item: int) -> tuple[str, str]:
        """Limit and subject of an entry of `gaps`."""
        first = self._packed.checked.size
        if item < first:
            return named(self.limits, self._packed.pair, "workspace", item)[:2]
        return named(self.limits, self._packed.pair, "self_collision", item - first)[:2]

    def is_measurable(self, item: int, gap_m: float) -> bool:
        """Whether an entry of `gaps` says how deep the two are in each other."""
        return is_measurable(self._packed, item, gap_m)

    def on_branch(self, q: Array, near: Array) -> Array:
        """A measured q (n,), continuous joints on the branch nearest to near (n,)."""
        return unwrapped(q, near, self._turning) if self._is_turning else q

    def targets(self, mode: int, rows: Array, anchor: Array) -> Array:
        """The rows of a command as they are followed from anchor[0], q (n,): see limits.turns."""
        if mode != POSITION or not self._is_rewritten:
            return rows
        return nearest_targets(rows, anchor[0], self._to_nearest)

    def batch_targets(self, mode: int, rows: Array, q: Array) -> Array:
        """As `targets`, of commands of one row each: rows and q (b, n)."""
        if mode != POSITION or not self._is_rewritten:
            return rows
        return unwrapped(rows, q, self._to_nearest)

    def passed(self, motions: Sequence[Array]) -> Array:
        """Least and largest commanded position (2, n) over consecutive ticks of the stream."""
        out = np.empty((2, self.n))
        calls.passed(self._model, self._scratch, np.array(motions), out)
        out.setflags(write=False)
        return out

    def off_track(
        self, q: Array, dq: Array, motion: Array, passed: Array | None = None
    ) -> int | None:
        """The first joint that is not finite or not where `motion` commands it; None: all are.

        passed (2, n): where the stream was lately, if what is measured may lag behind.
        """
        self._measured[0], self._measured[1] = q, dq
        if passed is None:
            joint = int(tracking.holds(self._packed, self._measured, np.array(motion)))
        else:
            joint = int(tracking.within(self._packed, self._measured, np.array(passed)))
        return None if joint < 0 else joint

    def state_holds(self, state: RobotState, motion: Array, passed: Array | None = None) -> bool:
        """Whether nothing is wrong with a measured state but, perhaps, its age.

        False also where a closer look is needed, which the methods around this one give.
        passed (2, n): as in `off_track`.
        """
        measured, force = self._numbers_of(state), self.limits.tcp.max_force
        if measured is None:
            return False
        if passed is not None:
            return calls.state_within(self._model, self._scratch, passed, *measured, force)
        return calls.state_holds(self._model, self._scratch, motion, *measured, force)

    def _numbers_of(self, state: RobotState) -> tuple[Array, Array, Array, Array, Array] | None:
        """q, dq, tau, tau_ext (n,) and wrench (6,), zeros for what is absent; None: not so many."""
        shape, absent = self._vector_shape, self._absent
        q, dq, tau, tau_ext, wrench = state.q, state.dq, state.tau, state.tau_ext, state.wrench_tcp
        if q.shape != shape or dq.shape != shape:
            return None
        if (tau is not None and tau.shape != shape) or (
            tau_ext is not None and tau_ext.shape != shape
        ):
            return None
        if self.limits.tcp.force_required if wrench is None else wrench.shape != (6,):
            return None
        return (
            q, dq, absent if tau is None else tau, absent if tau_ext is None else tau_ext,
            self._no_wrench if wrench is None else wrench,
        )  # fmt: skip

    def usual(
        self,
        state: RobotState,
        motion: Array,
        mode: int,
        rows: Array,
        row_period_s: float,
        anchor: Array,
        t: float,
    ) -> tuple[Array, int, list[Found], Array, Array, SplitMotion] | None:
        """`state_holds`, `is_finite` of the rows, `follow` and `tick.split`, in one call.

        None where the state, or a row at t = 0, needs a closer look; else what `follow` returns
        (the next call overwrites it), q, dq and ddq (3, n), and what split says. No type is looked
        at: state has to be a RobotState, the arrays C-contiguous, as those of records are.
        """
        measured = self._numbers_of(state)
        if measured is None:
            return None
        out, columns = np.empty(self._motion_shape), np.empty((3, self.n))
        code, count, split = self._usual(
            self._model, self._scratch, motion, *measured, self.limits.tcp.max_force, mode, rows,
            row_period_s, anchor, t, out, columns,
        )  # fmt: skip
        if code == calls.NOT_USUAL:
            return None
        set_writable(out, False)
        found = self.described(self._found[:count]) if count else []
        return out, code, found, self._wanted, columns, split

    @staticmethod
    def is_finite(values: Array) -> bool:
        """Whether every element of a read-only array is."""
        return calls.is_finite(values if values.ndim == 1 else values.ravel())

    def force_exceeded(self, wrench_tcp: Array) -> float | None:
        """The measured TCP force [N] if it is not within max_force, else None. NaN is not."""
        self._force[...] = wrench_tcp[:3]
        force = contact_force.norm(self._force)
        return None if contact_force.holds(force, self.limits.tcp.max_force) else force

    def described(self, found: Array) -> list[Found]:
        """What the rows (f, 4) of kind, subject, value and bound that a tick writes stand for."""
        known, said = self._words, []
        for code, subject, value, bound in found.tolist():
            limit, name, unit = known.get((code, subject)) or self._named(int(code), subject)
            said.append((limit, name, value, bound, unit))
        return said

    def _describe(self, code: int, subject: float, value: float, bound: float) -> Found:
        return self.described(np.array([[code, subject, value, bound]]))[0]

    def _named(self, code: int, subject: float) -> tuple[str, str, str]:
        if KINDS[code] == "obstacles":  # not kept: every cloud is new
            return "obstacles", obstacle_named(self.limits, self._beheld, int(subject)), "m"
        words = named(self.limits, self._packed.pair, KINDS[code], int(subject))
        return self._words.setdefault((code, subject), words)


def ticks_left(motion: Array) -> int:
    """Ticks until the stop that `motion` carries rests."""
    return int(tick.ticks_left(motion))


def is_at_rest(motion: Array) -> bool:
    """Whether the motion has nothing left to brake."""
    return ticks_left(motion) == 0


def duration_ticks(duration_s: float, period_s: float) -> int:
    """Whole ticks that fit into a duration; rounding does not lose one. 0 if not finite."""
    ticks = duration_s / period_s + 1e-9
    return math.floor(ticks) if math.isfinite(ticks) and ticks > 0.0 else 0

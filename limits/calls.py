"""What `core` calls: kernels with few, flat arguments (see kernels.views), one per step of a tick.

Guarantees: arrays that come in are only read; every argument has one layout, so each kernel here
is compiled once.
"""

from __future__ import annotations

import math

from .certify import SINGULARITY
from .kernels.braking import next_of_stop
from .kernels.chain import inverse_dynamics
from .kernels.jit import entry, kernel
from .kernels.motion import build, position_range
from .kernels.packed import (
    ENDS,
    MEASURED,
    PERIOD,
    REPORT,
    STORED,
    WANTED,
    Floats,
    Work,
    packed_in,
    work_in,
)
from .kernels.reference import TWIST, VELOCITY, reference
from .kernels.tray import arm_in
from .kernels.twist import in_joints, remember
from .kinds import contact_force, tracking, workspace
from .tick import ALTERED, PASSED, advance, certify_rest, certify_stop, split

__all__ = [
    "NOT_USUAL",
    "brake",
    "efforts",
    "follow",
    "gaps",
    "is_finite",
    "least_clearance",
    "passed",
    "recertify",
    "rest",
    "state_holds",
    "state_within",
    "usual",
]

# Beside PASSED, ALTERED and STOP_TICK: the state, or what is asked for, is not as it should be.
NOT_USUAL = -1
# A twist of which less is made is not what was asked for.
FOLLOWED = 0.999

_norm = contact_force.norm
_force_holds = contact_force.holds
_tracks = tracking.holds
_tracks_within = tracking.within
_gaps = workspace.gaps
_least_clearance = workspace.least_clearance


@entry
def is_finite(values: Floats) -> bool:
    """Whether every one of the values (m,) is finite."""
    finite = True
    for i in range(values.shape[0]):
        finite = finite and math.isfinite(values[i])
    return finite


@kernel
def _load(work: Work, motion: Floats) -> None:
    """Copy a motion (n + 1, 3 + m) to where kernels read it: into `stored`, and `start` (n, 3)."""
    n = work.start.shape[0]
    for i in range(n + 1):
        for p in range(work.motions.shape[2]):
            work.motions[STORED, i, p] = motion[i, p]
    for i in range(n):
        for p in range(3):
            work.start[i, p] = motion[i, p]


@entry
def state_holds(
    model: Floats,
    scratch: Floats,
    motion: Floats,
    q: Floats,
    dq: Floats,
    tau: Floats,
    tau_ext: Floats,
    wrench: Floats,
    force_max_n: float,
) -> bool:
    """Whether a measured state is finite, where `motion` commands it, and not pressing too hard.

    motion (n + 1, 3 + m); q, dq, tau, tau_ext (n,); wrench (6,).
    """
    work = work_in(scratch)
    for i in range(q.shape[0]):
        work.triples[MEASURED, 0, i], work.triples[MEASURED, 1, i] = q[i], dq[i]
    if _tracks(packed_in(model), work.triples[MEASURED], motion) >= 0:
        return False
    if not (is_finite(tau) and is_finite(tau_ext)):
        return False
    return _force_holds(_norm(wrench), force_max_n)


@entry
def state_within(
    model: Floats,
    scratch: Floats,
    passed: Floats,
    q: Floats,
    dq: Floats,
    tau: Floats,
    tau_ext: Floats,
    wrench: Floats,
    force_max_n: float,
) -> bool:
    """As `state_holds`, for a stream that lately passed all of [passed[0], passed[1]], (2, n)."""
    work = work_in(scratch)
    for i in range(q.shape[0]):
        work.triples[MEASURED, 0, i], work.triples[MEASURED, 1, i] = q[i], dq[i]
    if _tracks_within(packed_in(model), work.triples[MEASURED], passed) >= 0:
        return False
    if not (is_finite(tau) and is_finite(tau_ext)):
        return False
    return _force_holds(_norm(wrench), force_max_n)


@entry
def passed(model: Floats, scratch: Floats, motions: Floats, out: Floats) -> None:
    """Write least and largest position (2, n) over the ticks between motions (m, n + 1, 3 + m)."""
    work, n = work_in(scratch), out.shape[1]
    period = packed_in(model).scalar[PERIOD]
    phases = work.motions.shape[2] - 3
    ticks, jerk = work.motions[STORED, n, :phases], work.motions[STORED, :n, 3:]
    for i in range(n):
        out[0, i] = out[1, i] = motions[0, i, 0]
    for k in range(1, motions.shape[0]):
        _load(work, motions[k])
        for i in range(n):
            for p in range(3):
                work.start[i, p] = motions[k - 1, i, p]
            work.triples[WANTED, 0, i] = motions[k, i, 2]
        ends = work.small[ENDS]
        build(work.start, work.triples[WANTED, 0], period, ticks, jerk, work.pieces, ends)
        for i in range(n):
            low, high = position_range(work.pieces, ends, i, 0.0, ends[1])
            out[0, i] = min(out[0, i], low, motions[k, i, 0])
            out[1, i] = max(out[1, i], high, motions[k, i, 0])


@entry
def follow(
    model: Floats,
    scratch: Floats,
    motion: Floats,
    mode: int,
    rows: Floats,
    row_period_s: float,
    anchor: Floats,
    t: float,
    wanted: Floats,
    found: Floats,
    out: Floats,
) -> tuple[int, int]:
    """The next motion (n + 1, 3 + m) towards what a command asks for at t [s]; see tick.advance.

    rows, row_period_s, anchor as kernels.reference, which writes wanted (3, n); kernels.twist for
    the TCP modes, which are followed as the joint velocity that they ask for, with a finding where
    the arm cannot make that twist. Without rows, wanted is what is asked for.
    """
    work, packed, share = work_in(scratch), packed_in(model), 1.0
    _load(work, motion)
    held = mode in (VELOCITY, TWIST) and not row_period_s > 0.0
    if rows.shape[0] > 0 and mode >= TWIST:
        arm = arm_in(packed)
        for i in range(work.start.shape[0]):
            work.triples[MEASURED, 0, i] = work.start[i, 0]
        remember(arm, anchor, work.task)
        share = in_joints(
            arm, mode, rows, row_period_s, t, work.triples[MEASURED, 0], math.inf, work.task,
            work.vector[:3], wanted,
        )  # fmt: skip
        mode = VELOCITY
    elif rows.shape[0] > 0:
        reference(mode, rows, row_period_s, anchor, t, wanted)
    code, count = advance(
        packed, work.start, work.motions[STORED], mode, held, wanted, work, found, out
    )
    if 0.0 <= share < FOLLOWED and count < found.shape[0]:
        found[count, 0], found[count, 1] = SINGULARITY, 0.0
        found[count, 2], found[count, 3] = share, 1.0
        return (ALTERED if code == PASSED else code), count + 1
    return code, count


@entry
# tidy: kernel
def usual(
    model: Floats,
    scratch: Floats,
    motion: Floats,
    q: Floats,
    dq: Floats,
    tau: Floats,
    tau_ext: Floats,
    wrench: Floats,
    force_max_n: float,
    mode: int,
    rows: Floats,
    row_period_s: float,
    anchor: Floats,
    t: float,
    out: Floats,
    columns: Floats,
) -> tuple[int, int, tuple[int, bool, int, int, int]]:
    """`state_holds`, then `follow`, then `tick.split` of its motion into columns (3, n): code or
    NOT_USUAL, count, and what split says; wanted and found in `Work`.

    Rows have to be finite; at t > 0 they have been looked at before.
    """
    work, nothing = work_in(scratch), (0, True, 0, 0, 0)
    if not state_holds(model, scratch, motion, q, dq, tau, tau_ext, wrench, force_max_n):
        return NOT_USUAL, 0, nothing
    for row in range(0 if t > 0.0 else rows.shape[0]):
        if not is_finite(rows[row]):
            return NOT_USUAL, 0, nothing
    code, count = follow(
        model, scratch, motion, mode, rows, row_period_s, anchor, t, work.wanted, work.found, out
    )
    return code, count, split(out, columns)


@entry
def brake(model: Floats, scratch: Floats, motion: Floats, out: Floats) -> None:
    """The next tick of the stop that `motion` carries; both (n + 1, 3 + m)."""
    work = work_in(scratch)
    _load(work, motion)
    next_of_stop(packed_in(model), work.start, work.motions[STORED], out)


@entry
def rest(model: Floats, scratch: Floats, q: Floats, report: Floats, out: Floats) -> int:
    """A motion (n + 1, 3 + m) that rests at q (n,); code and report (3,) as certify."""
    work = work_in(scratch)
    for i in range(q.shape[0]):
        work.start[i, 0], work.start[i, 1], work.start[i, 2] = q[i], 0.0, 0.0
    code = certify_rest(packed_in(model), work.start, work, out)
    for p in range(3):
        report[p] = work.small[REPORT, p]
    return code


@entry
def recertify(model: Floats, scratch: Floats, motion: Floats, report: Floats) -> int:
    """Whether the stop that a motion (n + 1, 3 + m) carries obeys `model`'s limits, to its end.

    For a stop that was certified under others; code and report (3,) as certify.
    """
    work = work_in(scratch)
    _load(work, motion)
    code = certify_stop(packed_in(model), work.motions[STORED], work, work.small[REPORT])
    for p in range(3):
        report[p] = work.small[REPORT, p]
    return code


@entry
def efforts(
    model: Floats, scratch: Floats, q: Floats, dq: Floats, ddq: Floats, out: Floats
) -> None:
    """Inverse dynamics (n,) [N·m or N], payload and gravity included; all (n,)."""
    inverse_dynamics(packed_in(model), q, dq, ddq, work_in(scratch), out)


@entry
def gaps(model: Floats, scratch: Floats, q: Floats, out: Floats) -> None:
    """Clearances without margins at q (n,), as workspace.gaps."""
    _gaps(packed_in(model), q, work_in(scratch), out)


@entry
def least_clearance(model: Floats, scratch: Floats, q: Floats) -> float:
    """Least clearance [m] at q (n,), as workspace.least_clearance."""
    return _least_clearance(packed_in(model), q, work_in(scratch))

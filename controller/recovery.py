"""The way back of a robot that rests too near to a volume, or with links too near to each other.

Guarantees (docs/GUARANTEE.md §4):
- It begins at rest, where each pair that is too near is noted; all others are judged as declared.
- No pair that was noted gets nearer than it may have been, the declared errors counted, but for
  limits.easing.SLACK_M on the whole way; what it has gained is not given up again, as soon as the
  stored stop can do without it.
- A tick is only let through if, once stopped, at least one violation is less than now, or nothing
  has moved. Joints keep to their recovery velocity.
- It ends as soon as the stored stop holds as declared; from then on so does everything.
"""

from __future__ import annotations

import numpy as np

from ..limits.core import Core, Found
from ..limits.easing import ADDED_M, eased_at
from ..limits.records import Array, frozen_array
from .decision import Finding

__all__ = ["begun", "ratcheted", "shrinks", "violated"]

# Below this the declared limits are tried at all: until then they cannot hold.
WELL_M = 5e-3
# What is still eased of a pair that gained all that it needed, until the stop holds as declared.
LEAST_M = 1e-6
# Shares of what was gained: all of it, or, where a longer lever now takes more, half.
GAINS = (1.0, 0.5)


def begun(core: Core, q: Array) -> tuple[Array | None, Found | None]:
    """The way back (2, items) from rest at q: by how much each pair is eased [m], and at which
    distance [m] that is what it needs. None if nothing has to be.

    Or what speaks against a way back: nothing that can be eased, or a link so deep in a volume that
    its distance does not tell how deep.
    """
    eased, against = eased_at(core, q)
    if against is not None:
        return None, against
    if not eased.any():
        return None, None
    gaps = core.gaps(q)
    for item in np.flatnonzero(eased > 0.0).tolist():
        gap = float(gaps[item])
        if not core.is_measurable(item, gap):
            return None, (*core.pair_name(item), gap, gap + float(eased[item]), "m")
    eased = np.where(eased > 0.0, eased + ADDED_M, 0.0)
    against = core.rest(q, eased=eased)[1]
    if against is not None:
        return None, against
    return frozen_array([eased, np.where(eased > 0.0, gaps, 0.0)], "back"), None


def violated(core: Core, back: Array, q: Array) -> tuple[Finding, ...]:
    """The pairs that are on their way back: how near they are at q, and how far they should be."""
    gaps, eased, out = core.gaps(q), back[0], []
    for item in np.flatnonzero(eased > 0.0).tolist():
        limit, subject = core.pair_name(item)
        gap, missing = float(gaps[item]), max(0.0, float(eased[item]) - ADDED_M)
        name = f"{limit} of {subject}"
        out.append(Finding("recovery", name, gap, gap + missing, "m", -missing))
    return tuple(out)


def _rest_of(motion: Array, period_s: float) -> Array:
    """Where the stop that `motion` carries comes to rest (n,)."""
    q: Array = np.array(motion[:-1, 0])
    dq, ddq = motion[:-1, 1].copy(), motion[:-1, 2].copy()
    for phase in range(motion.shape[1] - 3):
        t, j = float(motion[-1, phase]) * period_s, motion[:-1, 3 + phase]
        q += dq * t + ddq * t * t / 2.0 + j * t * t * t / 6.0
        dq += ddq * t + j * t * t / 2.0
        ddq += j * t
    return q


def _outside(core: Core, q: Array) -> Array:
    """How far [rad or m] each joint (n,) is outside of its range."""
    low = np.array([joint.min_position + joint.position_error for joint in core.limits.joints])
    high = np.array([joint.max_position - joint.position_error for joint in core.limits.joints])
    return np.asarray(np.maximum(np.maximum(low - q, q - high), 0.0))


def shrinks(core: Core, back: Array, before: Array, after: Array) -> bool:
    """Whether `after` leads to where a violation is less than at `before`, or nowhere at all."""
    here, there = before[:-1, 0], _rest_of(after, core.limits.period_s)
    if np.array_equal(here, there):
        return True
    wide = back[0] > 0.0
    farther = bool((core.gaps(there)[wide] > core.gaps(here)[wide]).any())
    return farther or bool((_outside(core, there) < _outside(core, here)).any())


def ratcheted(core: Core, back: Array, motion: Array) -> Array | None:
    """The way back (2, items) from here on: what was gained is eased no more, if the stop does
    without it. None once the stop holds as declared: the robot is back."""
    eased, gained = back[0], core.gaps(motion[:-1, 0]) - back[1]
    if not (eased > WELL_M).any() and core.recertify(motion) is None:
        return None
    for share in GAINS:
        gain = np.where(eased > 0.0, np.maximum(share * gained, 0.0), 0.0)
        tighter = np.where(eased > 0.0, np.maximum(eased - gain, LEAST_M), 0.0)
        if not (tighter < eased).any():
            return back
        if core.recertify(motion, eased=tighter) is None:
            return frozen_array([tighter, back[1] + gain], "back")
    return back

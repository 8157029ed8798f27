"""The declared limits as the kernels read them while a robot comes back, or has just been armed.

Guarantees:
- *Coming back* from too near to a volume, or with links too near to each other: of each such pair
  less is asked, by `eased` [m], but never less than it keeps at rest where it was found, declared
  errors counted, less SLACK_M: so it cannot get worse. All other pairs are judged as declared, and
  every joint is held to its recovery velocity.
- *Ramp-in*: joint velocity and acceleration and the tool's speeds are a share of the declared ones.
  A larger share allows all that a smaller one does, so a stop stays certified while it grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .kernels.packed import (
    ACCELERATION,
    BOX,
    CYLINDER,
    DECELERATION,
    KEEP_OUT,
    KIND,
    MESH,
    PAIR_EASED,
    PRISMATIC,
    RADII,
    RECOVERY,
    SHAPE,
    TCP_ROTATION,
    TCP_SPEED,
    UNDECLARED_RAD_S,
    VELOCITY,
    VELOCITY_ERROR,
    Packed,
)
from .records import Array

if TYPE_CHECKING:
    from .core import Core, Found

__all__ = ["ADDED_M", "RAMP_FROM", "SLACK_M", "EasedModel", "eased_at", "is_measurable"]

# A pair that is too near may get nearer by this at most, errors counted, over the whole way back:
# what the bound on the bending of its path needs.
SLACK_M = 2e-4
# The least easing is found to this; what is added to it makes the slack.
RESOLUTION_M = 2e-5
ADDED_M = SLACK_M - RESOLUTION_M
EASED_MAX_M = 1e3
# The share of velocity and acceleration that a ramp begins with.
RAMP_FROM = 0.1


class EasedModel:
    """A copy of one robot's packed limits, in which some are eased and others are tightened."""

    def __init__(self, packed: Packed) -> None:
        self._packed = packed
        self._own = packed.copy()
        joint = packed.joint
        self._back = np.minimum(joint[:, VELOCITY], joint[:, RECOVERY] + joint[:, VELOCITY_ERROR])
        spins = 1.0 - joint[:, PRISMATIC]
        errors = joint[:, VELOCITY_ERROR]
        self._errors = {
            TCP_SPEED: float(errors @ packed.reach[-1]),
            TCP_ROTATION: float(errors @ spins),
        }
        self.items = self._own.eased.size + len(self._own.pair)

    def of(self, eased: Array | None, share: float) -> Packed:
        """The limits with `eased` (items,) [m] and a share (0, 1] of the speeds; until the next."""
        joint, scalar = self._packed.joint, self._packed.scalar
        above = joint[:, VELOCITY] - joint[:, VELOCITY_ERROR]
        self._own.joint[:, VELOCITY] = joint[:, VELOCITY_ERROR] + share * above
        for column in (ACCELERATION, DECELERATION):
            self._own.joint[:, column] = share * joint[:, column]
        for entry, errors in self._errors.items():
            declared = scalar[entry]
            if declared < UNDECLARED_RAD_S:
                self._own.scalar[entry] = declared - (1.0 - share) * max(0.0, declared - errors)
        self._own.eased[...] = 0.0
        self._own.pair[:, PAIR_EASED] = 0.0
        if eased is not None:
            split = self._own.eased.size
            self._own.eased[...] = eased[:split].reshape(self._own.eased.shape)
            self._own.pair[:, PAIR_EASED] = eased[split:]
            self._own.joint[:, VELOCITY] = np.minimum(self._own.joint[:, VELOCITY], self._back)
        return self._own


def is_measurable(packed: Packed, item: int, gap: float) -> bool:
    """Whether the distance of a pair that is too near says how deep it is, from here and deeper.

    A box, a cylinder or a mesh is as near to any axis that enters it: -radius.
    """
    volumes, capsules = packed.checked.shape
    if item >= volumes * capsules:
        return bool(gap > 2.0 * SLACK_M - packed.pair[item - volumes * capsules, RADII])
    volume = packed.volume[item // capsules]
    if volume[KIND] != KEEP_OUT or int(volume[SHAPE]) not in (BOX, CYLINDER, MESH):
        return True
    return bool(gap > 2.0 * SLACK_M - packed.capsule[item % capsules, 7])


def eased_at(core: Core, q: Array) -> tuple[Array, Found | None]:
    """By how much [m] each pair (items,) has to be eased for rest at q (n,) to be certified.

    0 where it holds as declared. With it, what speaks against rest at q however much is eased;
    None: nothing does.
    """
    every, out = np.full(core.eased_model.items, EASED_MAX_M), np.zeros(core.eased_model.items)
    found = core.rest(q, eased=every)[1]
    if found is not None:
        return out, found
    for item in range(every.size):

        def holds(eased_m: float, item: int = item) -> bool:
            trial = every.copy()
            trial[item] = eased_m
            return core.rest(q, eased=trial)[1] is None

        if holds(0.0):
            continue
        low, high = 0.0, 1e-3
        while high < EASED_MAX_M and not holds(high):
            low, high = high, 2.0 * high
        while high - low > RESOLUTION_M:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if holds(middle) else (middle, high)
        out[item] = high
    return out, None

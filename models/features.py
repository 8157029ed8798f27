"""What the classifier sees of a command: the motion it leads to, as the carried object feels it.

Guarantees:
- No object pose is needed; any number of joints, any mode; always SIZE numbers.
- The command is followed from the commanded start by the filter's own cascade (limits.project),
  held to the declared speeds and accelerations, for HORIZON_S. Where it ends, the robot brakes.
- A non-finite number anywhere in the input gives a non-finite feature or no features at all.
- A command that lasts longer than one horizon gives one row of features per window, each starting
  WINDOW_S after the last; one that lasts longer than WINDOWS_MAX windows cannot be appraised.

The object is held by friction alone, so what matters is the specific force f = a - g at the tool
centre in the tray's frame (third axis: up at `home`): its angle theta_eff to the normal, whose
tangent competes with the coefficient of friction, and how far a block would slide on such a
tray. KNOTS rows of ROW numbers describe it, each taken at the most accelerated instant of its
interval, and once more as if the certified stop began there.
Kernels stand here and in limits/kernels only: the key of numba's cache covers no other file.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..limits.declared import Limits
from ..limits.kernels.jit import entry, kernel
from ..limits.kernels.packed import TASK_ROWS, TCP_SPEED, Floats
from ..limits.kernels.prediction import (
    BEST_DDQ,
    BEST_DQ,
    BEST_Q,
    BRAKE,
    BRAKING,
    DDQ,
    DQ,
    GAIN_MAX_1_S,
    GAINS,
    STEP_S,
    Q,
    brake_on,
    effort,
    follow,
    gains_of,
    stop_from,
)
from ..limits.kernels.reference import DELTA, POSITION, TWIST, reference
from ..limits.kernels.reference import VELOCITY as MODE_VELOCITY
from ..limits.kernels.tray import (
    FELT,
    STANDARD_GRAVITY,
    Arm,
    arm_of,
    feel,
    slide,
    theta_eff,
    tray_axes,
)
from ..limits.kernels.twist import in_joints, remember
from ..limits.records import COMMAND_ROWS_MAX, TCP_WIDTH, Array

__all__ = [
    "FEATURES_VERSION",
    "HORIZON_S",
    "KNOTS",
    "KNOT_NAMES",
    "SCALAR_NAMES",
    "SIZE",
    "Features",
    "Float32s",
]

Float32s = npt.NDArray[np.float32]

FEATURES_VERSION = 2  # of the meaning of every number; a model is only used with its own
WINDOWS_MAX = 16
KNOTS = 17
SUBSTEPS = 4  # per knot
HORIZON_S = (KNOTS - 1) * SUBSTEPS * STEP_S
WINDOW_KNOT = 8  # where the next window of a long command begins
WINDOW_S = WINDOW_KNOT * SUBSTEPS * STEP_S
FRICTION, FRICTION_GRIPPY = 0.45, 0.6  # of the sliding estimates
SLIDE_M = 0.02  # below it a slide is told apart finely: compressed is log(1 + m / SLIDE_M)
SLIDE_M_MAX = 2.0
TIE = 1e-3  # of max_acceleration

KNOT_NAMES = (
    "force_x",
    "force_y",
    "force_up",  # f / 9.81 in the tray's frame
    "tilt_x",
    "tilt_y",  # the upward vertical in the tray's frame
    "stop_x",
    "stop_y",
    "stop_up",  # f / 9.81 if the stop began here
    "stop_s",  # how long that stop would last [s]
    "position_x",
    "position_y",
    "position_z",  # TCP, base frame [m]
    "velocity_x",
    "velocity_y",
    "velocity_z",  # TCP, base frame [m/s]
    "turn_x",
    "turn_y",  # angular acceleration in the tray's frame [10 rad/s²]
    "angle",
    "stop_angle",  # theta_eff [rad] of both forces
    "slide",  # how far the object has slid by now at FRICTION, compressed
)
SCALAR_NAMES = (
    "angle_max",
    "angle_motion_max",
    "angle_stop_max",  # theta_eff [rad]
    "slide_max",
    "slide_grippy_max",  # sliding distance, stop included, compressed
    "unload_min",  # least normal force / (m g)
    "acceleration_max",  # TCP [g]
    "tilt_max",  # 1 - cos of the tray's tilt
    "tcp_speed_max",  # of the declared one
    "joint_speed_max",
    "joint_acceleration_max",  # of the declared ones
    "asked_speed_max",  # of the declared one, before it is held to it
    "jump",  # from the start's speed to the first one asked for, of the declared one
    "stop_s_max",
)
ROW = len(KNOT_NAMES)
SHOWN = 3  # of each knot's last numbers; showing the network more of them did not help it
SCALARS = len(SCALAR_NAMES)
SIZE = SHOWN * KNOTS + SCALARS


@kernel
def _compressed(slide_m: float) -> float:
    return math.log(1.0 + min(SLIDE_M_MAX, slide_m) / SLIDE_M)


@kernel
def _slide_with_stop(row: Floats, friction: float, held_s: float, slid: Floats) -> float:
    """Advance slid by row's force; return how far a stop from here would make it slide in all."""
    slide(row[0], row[1], row[2], friction, held_s, slid)
    x, y, vx, vy = slid[0], slid[1], slid[2], slid[3]
    slide(row[5], row[6], row[7], friction, row[8], slid)
    speed = math.sqrt(slid[2] * slid[2] + slid[3] * slid[3])
    # At rest the object goes on until friction has used up its speed.
    rest = 0.5 * speed / (friction * STANDARD_GRAVITY)
    ex, ey = slid[0] + rest * slid[2], slid[1] + rest * slid[3]
    slid[0], slid[1], slid[2], slid[3] = x, y, vx, vy
    return math.sqrt(max(ex * ex + ey * ey, x * x + y * y))


@kernel
def _note(arm: Arm, row: Floats, held_s: float, slid: Floats, scalars: Floats) -> None:
    """Fold one knot into the scalars; write its angles and its slide."""
    row[17] = theta_eff(row[0], row[1], row[2])
    row[18] = theta_eff(row[5], row[6], row[7])
    scalars[1] = max(scalars[1], row[17])
    scalars[2] = max(scalars[2], row[18])
    scalars[0] = max(scalars[1], scalars[2])
    scalars[3] = max(scalars[3], _slide_with_stop(row, FRICTION, held_s, slid[0]))
    scalars[4] = max(scalars[4], _slide_with_stop(row, FRICTION_GRIPPY, held_s, slid[1]))
    row[19] = _compressed(math.sqrt(slid[0, 0] * slid[0, 0] + slid[0, 1] * slid[0, 1]))
    scalars[5] = min(scalars[5], row[2], row[7])
    up = math.sqrt(max(0.0, 1.0 - row[3] * row[3] - row[4] * row[4]))
    force = row[0] * row[0] + row[1] * row[1] + row[2] * row[2]
    level = row[0] * row[3] + row[1] * row[4] + row[2] * up
    scalars[6] = max(scalars[6], math.sqrt(max(0.0, force - 2.0 * level + 1.0)))
    scalars[7] = max(scalars[7], 1.0 - up)
    speed = math.sqrt(row[12] * row[12] + row[13] * row[13] + row[14] * row[14])
    scalars[8] = max(scalars[8], speed / arm.scalar[TCP_SPEED])
    scalars[13] = max(scalars[13], row[8])


@kernel
# tidy: kernel
def _window(
    arm: Arm,
    axes: Floats,
    gains: Floats,
    mode: int,
    rows: Floats,
    row_period: float,
    anchor: Floats,
    elapsed: float,
    end: float,
    joints: Floats,
    asked: Floats,
    slid: Floats,
    after: Floats,
    scalars: Floats,
    table: Floats,
    task: Floats,
    spare: Floats,
) -> None:
    """Write the table (KNOTS, ROW) and the scalars of HORIZON_S from joints[:3] on.

    end: time [s] since acceptance at which the command is over; after (3, n): WINDOW_S later.
    """
    n = joints.shape[1]
    scalars[:] = 0.0
    scalars[5] = 4.0
    slid[:, :] = 0.0
    braking_s, left_s, rests = -1.0, 0.0, False
    table[0, 8] = stop_from(gains, joints[DQ], joints[BRAKE])
    feel(arm, axes, joints[Q], joints[DQ], joints[DDQ], joints[BRAKE], table[0])
    _note(arm, table[0], 0.0, slid, scalars)
    t = elapsed
    for k in range(1, KNOTS):
        if rests:  # nothing moves any more: only the object may still slide
            for c in range(FELT):
                table[k, c] = table[k - 1, c]
            _note(arm, table[k], SUBSTEPS * STEP_S, slid, scalars)
            continue
        rests = braking_s >= 0.0 and left_s <= 0.0  # for the whole of this interval
        best = -1.0
        for s in range(SUBSTEPS):
            t += STEP_S
            if braking_s < 0.0 and t > end + 0.5 * STEP_S:
                braking_s = left_s = stop_from(gains, joints[DQ], joints[BRAKING])
            if braking_s >= 0.0:
                brake_on(joints, left_s)
                left_s -= STEP_S
            else:
                # Just before a row's end, so that its own slope is read, not the next one's.
                at, followed = t - 0.01 * STEP_S, mode
                if mode >= TWIST:  # translated where the joints are by then
                    q, followed = joints[Q], MODE_VELOCITY
                    made = in_joints(
                        arm, mode, rows, row_period, at, q, GAIN_MAX_1_S, task, spare, asked
                    )
                    if not made >= 0.0:
                        joints[DQ, 0] = math.nan  # then nothing that follows is finite
                else:
                    reference(mode, rows, row_period, anchor, at, asked)
                if k == 1 and s == 0:
                    for i in range(n):
                        change = abs(asked[1, i] - joints[DQ, i]) * gains[i, 3]
                        scalars[12] = max(scalars[12], change)
                scalars[11] = max(scalars[11], follow(arm, gains, followed, asked, joints))
            share = effort(gains, joints[DDQ])
            # On equal terms the first one: what decides must not be rounding.
            if not share <= best + TIE:
                best = share
                # A loop: assigning slices costs ten times as much.
                for i in range(n):
                    joints[BEST_Q, i] = joints[Q, i]
                    joints[BEST_DQ, i] = joints[DQ, i]
                    joints[BEST_DDQ, i] = joints[DDQ, i]
        if k <= WINDOW_KNOT:
            for i in range(n):
                after[0, i], after[1, i] = joints[Q, i], joints[DQ, i]
                after[2, i] = joints[DDQ, i]
        row = table[k]
        row[8] = stop_from(gains, joints[BEST_DQ], joints[BRAKE])
        feel(arm, axes, joints[BEST_Q], joints[BEST_DQ], joints[BEST_DDQ], joints[BRAKE], row)
        _note(arm, row, SUBSTEPS * STEP_S, slid, scalars)
        for i in range(n):
            share = abs(joints[BEST_DQ, i]) * gains[i, 3]
            scalars[9] = max(scalars[9], share)
        scalars[10] = max(scalars[10], best)
    scalars[3], scalars[4] = _compressed(scalars[3]), _compressed(scalars[4])
    scalars[11] = min(scalars[11], 10.0)
    scalars[12] = min(scalars[12], 10.0)


@entry
# tidy: kernel
def _features(
    arm: Arm,
    constants: Floats,
    start: Floats,
    mode: int,
    rows: Floats,
    row_period: float,
    anchor: Floats,
    elapsed: float,
    scratch: Floats,
    out: Float32s,
) -> int:
    """Write one row of features per window into out; return their number, 0 if it cannot.

    constants: hold [s], axes (3, 3), gains (n, GAINS); scratch: see `Features`. Each array
    that is passed costs, so there are few, and flat ones.
    """
    count, n = rows.shape[0], start.shape[0]
    axes, gains = constants[1:10].reshape(3, 3), constants[10:].reshape(n, GAINS)
    joints, asked = scratch[: 8 * n].reshape(8, n), scratch[8 * n : 11 * n].reshape(3, n)
    after = scratch[11 * n : 14 * n].reshape(3, n)
    rest = scratch[14 * n :]
    slid, scalars = rest[:8].reshape(2, 4), rest[8 : 8 + SCALARS]
    table = rest[8 + SCALARS : 8 + SCALARS + KNOTS * ROW].reshape(KNOTS, ROW)
    rest = rest[8 + SCALARS + KNOTS * ROW :]
    spare, task = rest[: 3 * n].reshape(3, n), rest[3 * n :].reshape(n + TASK_ROWS, 6)
    end = row_period * count if row_period > 0.0 else constants[0]
    total = 0.0
    for i in range(n):
        total += 0.0 * (start[i, 0] + start[i, 1] + start[i, 2] + anchor[0, i] + anchor[1, i])
    for r in range(count):
        for c in range(rows.shape[1]):
            total += 0.0 * rows[r, c]
    if not (total == 0.0 and 0.0 <= elapsed < 1e6 and 0.0 <= row_period < 1e6 and end < 1e6):
        return 0
    if mode == DELTA:  # displacements add up to positions, and those the reference reads at once
        mode = POSITION
        for i in range(n):
            position = anchor[0, i]
            for r in range(count):
                position += rows[r, i]
                rows[r, i] = position
    if mode >= TWIST:
        remember(arm, anchor, task)
    for i in range(n):
        for d in range(3):
            joints[d, i] = start[i, d]
    windows = 1
    while elapsed + HORIZON_S + (windows - 1) * WINDOW_S < end - 0.5 * STEP_S:
        windows += 1
        if windows > WINDOWS_MAX:
            return 0
    for w in range(windows):
        _window(
            arm, axes, gains, mode, rows, row_period, anchor, elapsed + w * WINDOW_S, end,
            joints, asked, slid, after, scalars, table, task, spare,
        )  # fmt: skip
        for k in range(KNOTS):
            for c in range(ROW):
                total += 0.0 * table[k, c]
            for c in range(SHOWN):
                out[w, SHOWN * k + c] = table[k, ROW - SHOWN + c]
        for c in range(SCALARS):
            out[w, SHOWN * KNOTS + c] = scalars[c]
            total += 0.0 * scalars[c]
        for i in range(n):
            joints[Q, i], joints[DQ, i], joints[DDQ, i] = after[0, i], after[1, i], after[2, i]
    return windows if total == 0.0 else 0


class Features:
    """The features of one robot's commands, in buffers of its own. Not thread-safe."""

    def __init__(self, limits: Limits) -> None:
        """Pack `limits` and compile the kernels."""
        self._arm = arm_of(limits)
        n = self.n = len(limits.joints)
        hold_s = np.array([limits.timing.command_timeout_ms / 1e3])
        gains = gains_of(self._arm)
        self._constants = np.concatenate((hold_s, tray_axes(limits).ravel(), gains.ravel()))
        self.size = SIZE
        self.names = (
            *(f"{name}_{k}" for k in range(KNOTS) for name in KNOT_NAMES[-SHOWN:]),
            *SCALAR_NAMES,
        )
        self.out: Float32s = np.zeros((WINDOWS_MAX, self.size), dtype=np.float32)
        self._start = np.zeros((n, 3))
        self._rows = np.zeros((COMMAND_ROWS_MAX, n))
        self._tcp_rows = np.zeros((COMMAND_ROWS_MAX, TCP_WIDTH))
        self._anchor = np.zeros((2, n))
        # joints (8, n), asked (3, n), after (3, n), slid (2, 4), scalars, table (KNOTS, ROW),
        # spare (3, n), task (n + TASK_ROWS, 6)
        size = 17 * n + 8 + SCALARS + KNOTS * ROW + (n + TASK_ROWS) * TCP_WIDTH
        self._scratch = np.zeros(size)
        self.of(np.zeros((n, 3)), MODE_VELOCITY, np.zeros((1, n)), 0.0, np.zeros((2, n)), 0.0)

    @property
    def knots(self) -> Array:
        """(KNOTS, len(KNOT_NAMES)): what is known of each knot of the last window, for people."""
        first = 14 * self.n + 8 + SCALARS
        return self._scratch[first : first + KNOTS * ROW].reshape(KNOTS, ROW).copy()

    def of(
        self,
        start: Array,
        mode: int,
        rows: Array,
        row_period_s: float,
        anchor: Array,
        elapsed_s: float,
    ) -> int:
        """Write the windows' features into `out`; return how many, 0 if it cannot be appraised.

        start (n, 3) commanded q, dq, ddq now; rows (r, n) or (r, 6) and anchor (2, n) as
        `limits.core`.
        """
        count = rows.shape[0]
        if not 1 <= count <= COMMAND_ROWS_MAX:
            return 0
        # Owned copies: read-only or strided arguments would each compile the kernel once more.
        copied = (self._tcp_rows if mode >= TWIST else self._rows)[:count]
        copied[...] = rows
        self._start[...] = start
        self._anchor[...] = anchor
        windows = _features(
            self._arm, self._constants, self._start, mode, copied, float(row_period_s),
            self._anchor, float(elapsed_s), self._scratch, self.out,
        )  # fmt: skip
        return int(windows)

"""The acceleration of the tool, and how gently joints must speed up and slow down for its sake.

Joint velocities w bend the tool's way: an acceleration c(w) without any of the joints', which grows
with the square of the speed. Joint accelerations along w add J·ddq. `tool_pace` shares a bound out
between the two: a speed at which bending takes no more than BEND_SHARE of it, and of the joints'
accelerations what is left then. The stop behind a tick is planned with the same share, so that it
keeps the bound itself.
Nothing here is trusted: the certificate judges the result.
"""

from __future__ import annotations

import math

from .jit import apart, kernel
from .packed import (
    ACCELERATION,
    DECELERATION,
    LOOSE,
    PACKED,
    PRISMATIC,
    ROW,
    TCP_ACCELERATION,
    TCP_ROTATIONAL_ACCELERATION,
    UNDECLARED,
    WORK,
    Floats,
    Packed,
    Work,
)

__all__ = ["gentleness", "is_held", "tool_accelerations", "tool_pace"]

# Of the bound: what the bending of the way may take, and what both together may.
BEND_SHARE, WHOLE_SHARE = 0.5, 0.95
# Of the joints' accelerations: a stop that is more gentle than this is none.
GENTLE_MIN = 1e-3


@kernel
def is_held(packed: Packed) -> bool:
    """Whether either of the tool's accelerations is limited. A bound that is no number is one."""
    return not (
        packed.scalar[TCP_ACCELERATION] >= UNDECLARED
        and packed.scalar[TCP_ROTATIONAL_ACCELERATION] >= UNDECLARED
    )


@kernel
# tidy: kernel
def tool_accelerations(packed: Packed, q: Floats, dq: Floats, ddq: Floats) -> tuple[float, float]:
    """Norms of the TCP's acceleration [m/s²] and angular acceleration [rad/s²]; all (n,).

    Link by link in its own frame, as the dynamics (kernels.chain): norms do not mind.
    """
    wx = wy = wz = ex = ey = ez = ax = ay = az = 0.0
    for i in range(q.shape[0]):
        chain = packed.chain[i]
        slides = packed.joint[i, PRISMATIC] > 0.0
        cos, sin = (1.0, 0.0) if slides else (math.cos(q[i]), math.sin(q[i]))
        slide = q[i] if slides else 0.0
        px, py, pz = (
            chain[9] + chain[2] * slide,
            chain[10] + chain[5] * slide,
            chain[11] + chain[8] * slide,
        )
        # a += w × (w × p) + e × p, all in the parent's frame.
        cx, cy, cz = wy * pz - wz * py, wz * px - wx * pz, wx * py - wy * px
        ax += wy * cz - wz * cy + ey * pz - ez * py
        ay += wz * cx - wx * cz + ez * px - ex * pz
        az += wx * cy - wy * cx + ex * py - ey * px
        r00, r01 = chain[0] * cos + chain[1] * sin, chain[1] * cos - chain[0] * sin
        r10, r11 = chain[3] * cos + chain[4] * sin, chain[4] * cos - chain[3] * sin
        r20, r21 = chain[6] * cos + chain[7] * sin, chain[7] * cos - chain[6] * sin
        r02, r12, r22 = chain[2], chain[5], chain[8]
        ax, ay, az = (
            r00 * ax + r10 * ay + r20 * az,
            r01 * ax + r11 * ay + r21 * az,
            r02 * ax + r12 * ay + r22 * az,
        )
        wx, wy, wz = (
            r00 * wx + r10 * wy + r20 * wz,
            r01 * wx + r11 * wy + r21 * wz,
            r02 * wx + r12 * wy + r22 * wz,
        )
        ex, ey, ez = (
            r00 * ex + r10 * ey + r20 * ez,
            r01 * ex + r11 * ey + r21 * ez,
            r02 * ex + r12 * ey + r22 * ez,
        )
        if slides:  # + ddq·z + 2 w × dq·z
            ax, ay, az = ax + 2.0 * wy * dq[i], ay - 2.0 * wx * dq[i], az + ddq[i]
        else:  # + ddq·z + w × dq·z
            ex, ey, ez = ex + wy * dq[i], ey - wx * dq[i], ez + ddq[i]
            wz += dq[i]
    px, py, pz = packed.tcp[0], packed.tcp[1], packed.tcp[2]
    cx, cy, cz = wy * pz - wz * py, wz * px - wx * pz, wx * py - wy * px
    ax += wy * cz - wz * cy + ey * pz - ez * py
    ay += wz * cx - wx * cz + ez * px - ex * pz
    az += wx * cy - wy * cx + ex * py - ey * px
    return (
        math.sqrt(ax * ax + ay * ay + az * az),
        math.sqrt(ex * ex + ey * ey + ez * ez),
    )


@kernel
def _push(packed: Packed, work: Work, q: Floats, speeds: Floats) -> tuple[float, float]:
    """The tool's accelerations if joints brake from speeds (n,), together, as hard as they can."""
    zero, push, tau = work.vector[5], work.vector[6], 0.0
    for i in range(speeds.shape[0]):
        hardest = max(packed.joint[i, ACCELERATION], packed.joint[i, DECELERATION])
        tau = max(tau, abs(speeds[i]) / hardest)
    if not (tau > 0.0 and tau < math.inf):
        return 0.0, 0.0
    for i in range(speeds.shape[0]):
        zero[i], push[i] = 0.0, speeds[i] / tau
    return tool_accelerations(packed, q, zero, push)


@kernel
def _share(bound: float, bent: float) -> float:
    """Of speeds that bend the way by `bent`."""
    if bent <= BEND_SHARE * bound:
        return 1.0
    return math.sqrt(BEND_SHARE * bound / bent) if bent < math.inf else 0.0


@kernel
def _gentle(bound: float, bent: float, pushed: float) -> float:
    """Of accelerations that add `pushed` to what the way bends now."""
    left = WHOLE_SHARE * bound - bent
    return 1.0 if pushed <= left else max(GENTLE_MIN, left / pushed)


@apart(PACKED, WORK, ROW, ROW, ROW)
def tool_pace(
    packed: Packed, work: Work, q: Floats, speeds: Floats, now: Floats
) -> tuple[float, float, bool]:
    """The shares of speeds (n,) at q (n,), and of the joints' accelerations towards and from them
    and from the speeds of now (n,), that fit the tool's; whether its rotation needs the smaller.

    Scratch: work.vector[5] and [6].
    """
    linear, angular = (
        packed.scalar[TCP_ACCELERATION],
        packed.scalar[TCP_ROTATIONAL_ACCELERATION],
    )
    pushed, twisted = _push(packed, work, q, speeds)
    braked, untwisted = _push(packed, work, q, now)
    for i in range(speeds.shape[0]):
        work.vector[5, i] = 0.0
    bent, spun = tool_accelerations(packed, q, speeds, work.vector[5])
    share, other = _share(linear, bent), _share(angular, spun)
    bent, spun = tool_accelerations(packed, q, now, work.vector[5])
    gentle = _gentle(linear, bent, max(pushed, braked))
    softer = _gentle(angular, spun, max(twisted, untwisted))
    turning = other < share or (other == share and softer < gentle)
    return min(share, other), min(gentle, softer), turning


@apart(PACKED, WORK, LOOSE)
def gentleness(packed: Packed, work: Work, at: Floats) -> float:
    """The share of the joints' accelerations that a stop from q, dq, ddq, at (n, 3), may take.

    Scratch: work.vector[5] to [8].
    """
    q, dq = work.vector[7], work.vector[8]
    for i in range(at.shape[0]):
        q[i], dq[i] = at[i, 0], at[i, 1]
    return tool_pace(packed, work, q, dq, dq)[1]

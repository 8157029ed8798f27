"""Forward kinematics and inverse dynamics of a serial chain whose joint axes are +z.

Recursive Newton-Euler as in Featherstone, Rigid Body Dynamics Algorithms (2008), table 5.1, written
with classical accelerations in link frames. Checked against Pinocchio in the tests.
"""

from __future__ import annotations

import math

from .angles import COS, SIN, cos_sin
from .jit import apart, kernel
from .packed import GRAVITY, PACKED, PRISMATIC, ROW, WORK, Floats, Packed, Work

__all__ = ["forward", "frames", "inverse_dynamics", "tcp_levers", "tcp_velocity", "tool"]


@kernel
def frames(packed: Packed, q: Floats, work: Work) -> None:
    """Write joint frames (rotation, origin), in the base frame."""
    n, turn = q.shape[0], work.turn
    cos_sin(q, turn)
    for i in range(n):
        cos, sin, slide = turn[COS, i], turn[SIN, i], 0.0
        if packed.joint[i, PRISMATIC] > 0.0:
            cos, sin, slide = 1.0, 0.0, q[i]
        chain = packed.chain[i]
        for r in range(3):
            if i == 0:
                a, b, c = chain[3 * r], chain[3 * r + 1], chain[3 * r + 2]
                origin = chain[9 + r]
            else:
                x, y, z = (
                    work.rotation[i - 1, 3 * r],
                    work.rotation[i - 1, 3 * r + 1],
                    work.rotation[i - 1, 3 * r + 2],
                )
                a = x * chain[0] + y * chain[3] + z * chain[6]
                b = x * chain[1] + y * chain[4] + z * chain[7]
                c = x * chain[2] + y * chain[5] + z * chain[8]
                origin = work.origin[i - 1, r] + x * chain[9] + y * chain[10] + z * chain[11]
            work.rotation[i, 3 * r] = a * cos + b * sin
            work.rotation[i, 3 * r + 1] = b * cos - a * sin
            work.rotation[i, 3 * r + 2] = c
            work.origin[i, r] = origin + c * slide


@kernel
def forward(packed: Packed, q: Floats, work: Work) -> None:
    """As `frames`; and capsule axes and their middles."""
    frames(packed, q, work)
    for k in range(packed.capsule.shape[0]):
        capsule = packed.capsule[k]
        i = int(capsule[0])
        for r in range(3):
            x, y, z = (
                work.rotation[i, 3 * r],
                work.rotation[i, 3 * r + 1],
                work.rotation[i, 3 * r + 2],
            )
            work.segment[k, r] = (
                work.origin[i, r] + x * capsule[1] + y * capsule[2] + z * capsule[3]
            )
            work.segment[k, 3 + r] = (
                work.origin[i, r] + x * capsule[4] + y * capsule[5] + z * capsule[6]
            )
            work.middle[r, k] = 0.5 * (work.segment[k, r] + work.segment[k, 3 + r])


@kernel
def _cross(
    ax: float, ay: float, az: float, bx: float, by: float, bz: float
) -> tuple[float, float, float]:
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@apart(PACKED, ROW, ROW, ROW, WORK, ROW)
# tidy: kernel
def inverse_dynamics(
    packed: Packed, q: Floats, dq: Floats, ddq: Floats, work: Work, tau: Floats
) -> None:
    """Write the joint efforts (n,) [N·m or N] of the motion, gravity and payload included."""
    n, turn = q.shape[0], work.turn
    cos_sin(q, turn)
    wx = wy = wz = 0.0  # angular velocity
    ex = ey = ez = 0.0  # angular acceleration
    # Accelerating the base upwards is the same as gravity (Featherstone §5.3).
    ax, ay, az = (
        -packed.scalar[GRAVITY],
        -packed.scalar[GRAVITY + 1],
        -packed.scalar[GRAVITY + 2],
    )
    for i in range(n):
        chain, body, kept = packed.chain[i], packed.body[i], work.spatial[i]
        slides = packed.joint[i, PRISMATIC] > 0.0
        cos, sin = (1.0, 0.0) if slides else (turn[COS, i], turn[SIN, i])
        slide = q[i] if slides else 0.0
        # Rows of the rotation that takes this frame's vectors to the parent's.
        r00, r01 = chain[0] * cos + chain[1] * sin, chain[1] * cos - chain[0] * sin
        r10, r11 = chain[3] * cos + chain[4] * sin, chain[4] * cos - chain[3] * sin
        r20, r21 = chain[6] * cos + chain[7] * sin, chain[7] * cos - chain[6] * sin
        r02, r12, r22 = chain[2], chain[5], chain[8]
        px, py, pz = (
            chain[9] + r02 * slide,
            chain[10] + r12 * slide,
            chain[11] + r22 * slide,
        )
        # Acceleration of this frame's origin, seen in the parent.
        cx, cy, cz = _cross(wx, wy, wz, px, py, pz)
        dx, dy, dz = _cross(wx, wy, wz, cx, cy, cz)
        fx, fy, fz = _cross(ex, ey, ez, px, py, pz)
        ax, ay, az = ax + dx + fx, ay + dy + fy, az + dz + fz
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
        if slides:  # + ddq·z + 2 ω × dq·z
            ax, ay, az = ax + 2.0 * wy * dq[i], ay - 2.0 * wx * dq[i], az + ddq[i]
        else:  # + ddq·z + ω × dq·z
            ex, ey, ez = ex + wy * dq[i], ey - wx * dq[i], ez + ddq[i]
            wz += dq[i]
        # Force and moment that move this body, at its COM.
        mx, my, mz = body[1], body[2], body[3]
        cx, cy, cz = _cross(wx, wy, wz, mx, my, mz)
        dx, dy, dz = _cross(wx, wy, wz, cx, cy, cz)
        fx, fy, fz = _cross(ex, ey, ez, mx, my, mz)
        fx, fy, fz = (
            body[0] * (ax + dx + fx),
            body[0] * (ay + dy + fy),
            body[0] * (az + dz + fz),
        )
        hx = body[4] * wx + body[5] * wy + body[6] * wz
        hy = body[5] * wx + body[7] * wy + body[8] * wz
        hz = body[6] * wx + body[8] * wy + body[9] * wz
        gx, gy, gz = _cross(wx, wy, wz, hx, hy, hz)
        gx += body[4] * ex + body[5] * ey + body[6] * ez
        gy += body[5] * ex + body[7] * ey + body[8] * ez
        gz += body[6] * ex + body[8] * ey + body[9] * ez
        cx, cy, cz = _cross(mx, my, mz, fx, fy, fz)
        kept[0], kept[1], kept[2] = fx, fy, fz
        kept[3], kept[4], kept[5] = gx + cx, gy + cy, gz + cz
        kept[6], kept[7], kept[8] = r00, r01, r02
        kept[9], kept[10], kept[11] = r10, r11, r12
        kept[12], kept[13], kept[14] = r20, r21, r22
        kept[15], kept[16], kept[17] = px, py, pz
    for i in range(n - 1, -1, -1):
        kept = work.spatial[i]
        tau[i] = kept[2] if packed.joint[i, PRISMATIC] > 0.0 else kept[5]
        if i > 0:  # hand force and moment on to the parent
            below = work.spatial[i - 1]
            fx = kept[6] * kept[0] + kept[7] * kept[1] + kept[8] * kept[2]
            fy = kept[9] * kept[0] + kept[10] * kept[1] + kept[11] * kept[2]
            fz = kept[12] * kept[0] + kept[13] * kept[1] + kept[14] * kept[2]
            cx, cy, cz = _cross(kept[15], kept[16], kept[17], fx, fy, fz)
            below[0] += fx
            below[1] += fy
            below[2] += fz
            below[3] += kept[6] * kept[3] + kept[7] * kept[4] + kept[8] * kept[5] + cx
            below[4] += kept[9] * kept[3] + kept[10] * kept[4] + kept[11] * kept[5] + cy
            below[5] += kept[12] * kept[3] + kept[13] * kept[4] + kept[14] * kept[5] + cz


@kernel
def tool(packed: Packed, work: Work) -> tuple[float, float, float]:
    """Where the TCP is [m], for the frames in `work`."""
    last = work.origin.shape[0] - 1
    x, y, z = packed.tcp[0], packed.tcp[1], packed.tcp[2]
    place, turned = work.origin[last], work.rotation[last]
    return (
        place[0] + (turned[0] * x + turned[1] * y + turned[2] * z),
        place[1] + (turned[3] * x + turned[4] * y + turned[5] * z),
        place[2] + (turned[6] * x + turned[7] * y + turned[8] * z),
    )


@kernel
def tcp_velocity(packed: Packed, work: Work, dq: Floats) -> float:
    """Norm |J dq| [m/s] of the TCP's velocity for the frames in `work` (after `forward`)."""
    n = dq.shape[0]
    px, py, pz = tool(packed, work)
    vx = vy = vz = 0.0
    for j in range(n):
        zx, zy, zz = work.rotation[j, 2], work.rotation[j, 5], work.rotation[j, 8]
        if packed.joint[j, PRISMATIC] > 0.0:
            vx, vy, vz = vx + dq[j] * zx, vy + dq[j] * zy, vz + dq[j] * zz
        else:
            x, y, z = px - work.origin[j, 0], py - work.origin[j, 1], pz - work.origin[j, 2]
            vx += dq[j] * (zy * z - zz * y)
            vy += dq[j] * (zz * x - zx * z)
            vz += dq[j] * (zx * y - zy * x)
    return math.sqrt(vx * vx + vy * vy + vz * vz)


@kernel
def tcp_levers(packed: Packed, work: Work, levers: Floats) -> None:
    """Write the TCP's distance [m] from each joint's axis (n,), 1 for a prismatic joint.

    The frames are those in `work` (after `forward`).
    """
    n = levers.shape[0]
    px, py, pz = tool(packed, work)
    for j in range(n):
        zx, zy, zz = work.rotation[j, 2], work.rotation[j, 5], work.rotation[j, 8]
        x, y, z = px - work.origin[j, 0], py - work.origin[j, 1], pz - work.origin[j, 2]
        cx, cy, cz = zy * z - zz * y, zz * x - zx * z, zx * y - zy * x
        slides = packed.joint[j, PRISMATIC] > 0.0
        levers[j] = 1.0 if slides else math.sqrt(cx * cx + cy * cy + cz * cz)

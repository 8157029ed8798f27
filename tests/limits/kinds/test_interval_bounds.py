"""What the kinds charge for all that happens between two looks, against their docstrings' formulas.

Here the sums run over pairs of joints, as they are written there; the kernels run once along the
chain. A bound that is too small certifies too much, one that is too large freezes the robot: both
are wrong, so they have to agree to rounding, for chains of turning and sliding joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from tests.limits.kernels.test_separation import random_chain
from tests.limits.slow_chain import capsule_axes, cross, frames, tcp
from tests.robots import array, half_space

from checkrein.limits import Limits, Zone
from checkrein.limits.kernels.chain import forward
from checkrein.limits.kernels.motion import note_speeds
from checkrein.limits.kernels.packed import (
    ENDS,
    LEVER,
    LINK_SPEED,
    ZONE_SPEED,
    Packed,
    Work,
    pack,
    work_for,
)
from checkrein.limits.kernels.separation import sweeps
from checkrein.limits.kinds import link_speed, tcp_acceleration, tcp_rotation, tcp_speed
from checkrein.limits.records import Array


class Chain:
    """A random chain with declared errors, in a random configuration, and joints that move on."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        plain = random_chain(rng)
        joints = tuple(
            replace(j, velocity_error=float(rng.uniform(0.01, 0.05)), tracking_error=0.003)
            for j in plain.joints
        )
        tool = array(rng.normal(size=3) * 0.2)
        chain = replace(plain.kinematics, tcp_translation=tool)
        self.limits: Limits = replace(plain, joints=joints, kinematics=chain)
        self.n = len(joints)
        self.slides = np.array([j.type == "prismatic" for j in joints])
        self.q, self.sup, self.moved = rng.uniform(0.1, 1.0, (3, self.n))
        self.errors = np.array([j.velocity_error for j in joints])
        self.packed: Packed = pack(self.limits)
        self.work: Work = work_for(self.packed)
        forward(self.packed, self.q, self.work)

    def from_axes(self, p: Array) -> Array:
        """Distance (n,) of a point from each joint's axis, 1 for a prismatic joint."""
        placed = frames(self.limits, self.q)
        far = [float(np.linalg.norm(cross(T[:3, 2], p - T[:3, 3]))) for T in placed]
        return np.where(self.slides, 1.0, far)

    def grown(self, levers: Array, moved: Array, radius: float = 0.0) -> Array:
        """The largest lever anywhere in the interval: what is further out may move it away."""
        out = [
            1.0 if self.slides[j] else levers[j] + radius + levers[j + 1 :] @ moved[j + 1 :]
            for j in range(levers.size)
        ]
        return np.array(out)


def bent(levers: Array, sup: Array, moved: Array, errors: Array) -> float:
    """Sum over pairs: |dJ_j/dq_l| is at most the lever of the outer one of j and l."""
    n = levers.size
    pairs = sum(levers[max(j, m)] * sup[j] * moved[m] for j in range(n) for m in range(n))
    return float(pairs + levers @ errors)


def chains() -> Iterator[Chain]:
    return (Chain(seed) for seed in range(12))


def test_the_tool_s_speed_differs_by_what_its_docstring_says() -> None:
    for c in chains():
        levers = c.grown(c.from_axes(tcp(c.limits, c.q)), c.moved)
        expected = bent(levers, c.sup, c.moved, c.errors)
        assert tcp_speed._bent(c.packed, c.work, c.sup, c.moved) == pytest.approx(expected)


def test_the_tool_s_rotation_differs_by_what_its_docstring_says() -> None:
    for c in chains():
        turns = ~c.slides
        expected = sum(
            c.sup[j] * c.moved[m] for j in range(c.n) for m in range(j) if turns[j] and turns[m]
        )
        assert tcp_rotation._bent(c.packed, c.sup, c.moved) == pytest.approx(expected)


def test_the_tool_s_rotation_is_the_sum_of_the_turning_axes() -> None:
    for c in chains():
        placed = frames(c.limits, c.q)
        axes = sum(T[:3, 2] * c.sup[j] for j, T in enumerate(placed) if not c.slides[j])
        expected = float(np.linalg.norm(axes)) if (~c.slides).any() else 0.0
        c.work.rotation[:] = 0.0
        tcp_rotation._turn(c.packed, c.q, c.work)
        assert tcp_rotation.rotational_speed(c.packed, c.work, c.sup) == pytest.approx(expected)
        speed, bound = tcp_rotation.rotational_speed_and_bound(c.packed, c.work, c.sup)
        assert speed == pytest.approx(expected)
        declared = c.limits.tcp.max_rot_vel
        if declared is not None:
            assert bound == pytest.approx(declared - c.errors[~c.slides].sum())


@pytest.mark.parametrize("errors_alone", [False, True])
def test_a_link_s_speed_differs_by_what_its_docstring_says(errors_alone: bool) -> None:
    for c in chains():
        axes, position_errors = capsule_axes(c.limits, c.q), np.full(c.n, 0.003)
        for k, capsule in enumerate(c.limits.capsules):
            sweeps(c.packed, c.work, k, c.moved)
            m = capsule.joint + 1
            ends = np.array([c.from_axes(p)[:m] for p in axes[k]])
            levers = ends.max(axis=0)
            np.testing.assert_allclose(c.work.swept[LEVER, k, :m], levers)
            moved = (position_errors if errors_alone else c.moved)[:m]
            grown = c.grown(levers, moved, capsule.radius)
            sup = c.sup[:m] * (not errors_alone)
            expected = bent(grown, sup, moved, c.errors[:m])
            got = link_speed._bent(c.packed, c.work, k, c.sup, c.moved, errors_alone)
            assert got == pytest.approx(expected)


@pytest.mark.parametrize("zoned", [False, True])
def test_a_link_is_left_out_where_it_is_slow_enough_at_full_stretch(zoned: bool) -> None:
    """Up to that very speed: for the bound of all links, and for a zone's, if it concerns them."""
    for c in chains():
        names = [capsule.name for capsule in c.limits.capsules]
        volume = half_space("zone", [0.0, 0.0, 1.0], 0.0, "keep_out")
        zone = Zone(replace(volume, exempt=(names[0],)), 1.0)
        packed = pack(replace(c.limits, zones=(zone,) if zoned else ()))
        c.work.pieces[1] = 0.0
        c.work.pieces[1, :, 1:3] = np.array([c.sup, 0.1 * c.sup]).T
        c.work.small[ENDS, 0:4] = 0.0, 0.25, 0.75, 2.0
        note_speeds(c.work.pieces, c.work.small[ENDS], c.work.fastest)
        sup, opened = np.zeros(c.n), np.zeros(len(names))
        link_speed._open(packed, c.work, 1, sup, opened)
        np.testing.assert_allclose(sup, 1.05 * c.sup + c.errors, rtol=1e-14)
        fast = []
        for k, capsule in enumerate(c.limits.capsules):
            total = 0.0  # summed in their order: to the last bit
            for j in range(capsule.joint + 1):
                total += sup[j] * packed.span[k, j]
            fast.append(total)
        table, at = (packed.zone[0], ZONE_SPEED) if zoned else (packed.scalar, LINK_SPEED)
        for bound in fast:
            for scale in (1.0, 1.0 - 1e-9):
                table[at] = bound * scale
                expected = [f > table[at] and not (zoned and k == 0) for k, f in enumerate(fast)]
                some = link_speed._open(packed, c.work, 1, sup, opened)
                assert [bool(o) for o in opened] == expected
                assert bool(some) is any(expected)


def suprema(c: Chain, p: int, first: float, last: float, turning: bool) -> tuple[float, float]:
    """As the docstring of kinds/tcp_acceleration.py derives them, the chain's lengths apart."""
    w = e = f = h = second = fourth = 0.0
    for j in range(c.n):
        _, dq, ddq, jerk = c.work.pieces[p, j]
        t = np.linspace(first, last, 2001)
        V = float(np.abs(dq + ddq * t + jerk * t**2 / 2.0).max())
        A = float(np.abs(ddq + jerk * t).max())
        J = abs(jerk)
        if not (turning and c.slides[j]):
            h += 3 * J * w + 3 * A * (e + w**2) + V * (f + 3 * e * w + w**3)
            f += J + 2 * A * w + V * (e + w**2)
            e += A + V * w
            w += V
        reach = np.append(c.packed.reach[c.n], 0.0)
        second += (reach[j] - reach[j + 1]) * (e + w**2)
        fourth += (reach[j] - reach[j + 1]) * (h + 4 * f * w + 3 * e**2 + 6 * e * w**2 + w**4)
    return (e, h) if turning else (second, fourth)


@pytest.mark.parametrize("turning", [False, True])
def test_the_tool_s_acceleration_bends_as_its_docstring_says(turning: bool) -> None:
    for c in chains():
        c.work.pieces[2] = c.rng.normal(size=(c.n, 4))
        got = tcp_acceleration._suprema(c.packed, c.work, 2, 0.2, 0.9, turning)
        assert got == pytest.approx(suprema(c, 2, 0.2, 0.9, turning), rel=1e-5)

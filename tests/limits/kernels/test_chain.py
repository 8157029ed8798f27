"""Forward kinematics, inverse dynamics and TCP velocity, against the slow chain and Pinocchio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.limits.slow_chain import (
    capsule_axes,
    efforts,
    frames,
    jacobian,
    pinocchio_model,
    tcp,
)
from tests.robots import array, joint, robots, slider

from checkrein.limits import Limits
from checkrein.limits.core import Core
from checkrein.limits.kernels.chain import forward, inverse_dynamics, tcp_velocity
from checkrein.limits.kernels.packed import pack, work_for
from checkrein.limits.records import Array


def random_chain(seed: int, n: int) -> Limits:
    """A chain with joints of both kinds, frames turned at will and full inertia tensors."""
    rng, base = np.random.default_rng(seed), slider()
    turned = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    turned *= np.sign(np.linalg.det(turned))[:, None, None]
    spread = rng.normal(size=(n, 3, 3))
    kinds = rng.choice(["revolute", "prismatic"], n)
    kinematics = replace(
        base.kinematics,
        rotation=array(turned),
        translation=array(rng.normal(size=(n, 3)) * 0.3),
        tcp_translation=array(rng.normal(size=3) * 0.2),
        mass=array(rng.uniform(0.5, 5.0, n)),
        com=array(rng.normal(size=(n, 3)) * 0.1),
        inertia=array(spread @ spread.transpose(0, 2, 1) * 0.05),
        gravity=array(rng.normal(size=3) * 5.0),
    )
    capsule = base.capsules[0]
    return replace(
        base,
        joints=tuple(joint(f"joint{i}", type=str(kind)) for i, kind in enumerate(kinds)),
        kinematics=kinematics,
        capsules=tuple(replace(capsule, name=f"link{i}", joint=i) for i in range(n)),
        volumes=(),
        home=array(np.zeros(n)),
    )


CHAINS = {**robots(), **{f"chain of {n}": random_chain(n, n) for n in (1, 2, 4, 6, 9)}}
chains = pytest.mark.parametrize("robot", CHAINS.values(), ids=CHAINS.keys())


def random_states(robot: Limits, seed: int, count: int) -> list[tuple[Array, Array, Array]]:
    rng, n = np.random.default_rng(seed), len(robot.joints)
    return [tuple(rng.normal(size=(3, n)) * [[2.0], [1.5], [8.0]]) for _ in range(count)]


@chains
def test_forward_kinematics(robot: Limits) -> None:
    packed = pack(robot)
    work, n = work_for(packed), len(robot.joints)
    for q, _, _ in random_states(robot, 1, 30):
        forward(packed, q, work)
        placed = np.array(frames(robot, q))
        np.testing.assert_allclose(work.rotation.reshape(n, 3, 3), placed[:, :3, :3], atol=1e-13)
        np.testing.assert_allclose(work.origin, placed[:, :3, 3], atol=1e-13)
        np.testing.assert_allclose(
            work.segment.reshape(-1, 2, 3), capsule_axes(robot, q), atol=1e-13
        )


@chains
def test_tcp_velocity(robot: Limits) -> None:
    packed = pack(robot)
    work, last = work_for(packed), len(robot.joints) - 1
    for q, dq, _ in random_states(robot, 2, 30):
        forward(packed, q, work)
        speed = np.linalg.norm(jacobian(robot, q, tcp(robot, q), last)[:3] @ dq)
        assert tcp_velocity(packed, work, dq) == pytest.approx(float(speed), rel=1e-12)


@chains
def test_tcp_velocity_is_the_derivative_of_its_position(robot: Limits) -> None:
    """Not only the Jacobian formula again: central differences of forward kinematics."""
    packed, h = pack(robot), 1e-6
    work = work_for(packed)
    for q, dq, _ in random_states(robot, 3, 10):
        moved = (tcp(robot, q + h * dq) - tcp(robot, q - h * dq)) / (2.0 * h)
        forward(packed, q, work)
        assert tcp_velocity(packed, work, dq) == pytest.approx(np.linalg.norm(moved), abs=1e-7)


@chains
def test_inverse_dynamics(robot: Limits) -> None:
    core = Core(replace(robot, volumes=()))
    for q, dq, ddq in random_states(robot, 4, 30):
        expected = efforts(robot, q, dq, ddq)
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(core.efforts(q, dq, ddq), expected, atol=1e-12 * scale + 1e-12)


@chains
def test_inverse_dynamics_agrees_with_pinocchio(robot: Limits) -> None:
    pin = pytest.importorskip("pinocchio")
    model = pinocchio_model(pin, robot)
    data, core = model.createData(), Core(replace(robot, volumes=()))
    for q, dq, ddq in random_states(robot, 5, 30):
        expected = np.array(pin.rnea(model, data, q, dq, ddq))
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(core.efforts(q, dq, ddq), expected, atol=1e-12 * scale + 1e-12)


@chains
def test_forward_kinematics_agrees_with_pinocchio(robot: Limits) -> None:
    pin = pytest.importorskip("pinocchio")
    model, packed = pinocchio_model(pin, robot), pack(robot)
    data, work = model.createData(), work_for(packed)
    for q, _, _ in random_states(robot, 6, 20):
        pin.forwardKinematics(model, data, q)
        forward(packed, q, work)
        expected = [data.oMi[i + 1].translation for i in range(len(robot.joints))]
        np.testing.assert_allclose(work.origin, expected, atol=1e-13)


@chains
def test_power_is_the_change_of_energy(robot: Limits) -> None:
    """tau · dq is d/dt of kinetic and potential energy: a property of no particular formula."""
    core, h = Core(replace(robot, volumes=())), 1e-5
    chain, n = robot.kinematics, len(robot.joints)

    def energy(q: Array, dq: Array) -> float:
        total, placed = 0.0, frames(robot, q)
        for k in range(n):
            com = placed[k][:3, :3] @ chain.com[k] + placed[k][:3, 3]
            J = jacobian(robot, q, com, k)
            v, w = J[:3] @ dq, J[3:] @ dq
            inertia = placed[k][:3, :3] @ chain.inertia[k] @ placed[k][:3, :3].T
            total += 0.5 * chain.mass[k] * v @ v + 0.5 * w @ inertia @ w
            total -= chain.mass[k] * chain.gravity @ com
        return float(total)

    for q, dq, ddq in random_states(robot, 7, 5):
        before = energy(q - h * dq + h**2 / 2 * ddq, dq - h * ddq)
        after = energy(q + h * dq + h**2 / 2 * ddq, dq + h * ddq)
        power = float(core.efforts(q, dq, ddq) @ dq)
        assert power == pytest.approx((after - before) / (2 * h), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_gives_no_finite_effort(bad: float) -> None:
    for name in ("franka_panda", "slider"):
        packed = pack(robots()[name])
        work, n = work_for(packed), packed.joint.shape[0]
        for which in range(3):
            for i in range(n):
                values = np.zeros((3, n))
                values[which, i] = bad
                tau = np.zeros(n)
                inverse_dynamics(packed, values[0], values[1], values[2], work, tau)
                assert not np.isfinite(tau).all()

"""What the object on the tray feels, and how far it slides, against slow integration.

The specific force against derivatives of the kinematics is tested with the features
(tests/models/test_features.py)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.limits.slow_chain import frames
from tests.robots import panda, shipped, slider, turntable

from checkrein.limits.kernels.tray import STANDARD_GRAVITY, arm_of, slide, theta_eff, tray_axes
from checkrein.limits.records import Array


@pytest.mark.parametrize("make", [panda, lambda: shipped("xarm6"), slider, turntable])
def test_tray_axes_are_right_handed_and_up_at_home(make) -> None:  # type: ignore[no-untyped-def]
    limits = make()
    axes = tray_axes(limits)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert float(np.linalg.det(axes)) == pytest.approx(1.0)
    rotation = frames(limits, limits.home)[-1][:3, :3]
    np.testing.assert_allclose(rotation @ axes[2], [0.0, 0.0, 1.0], atol=1e-12)
    assert arm_of(limits).joint.shape[0] == len(limits.joints)


def test_theta_eff_of_known_forces() -> None:
    assert theta_eff(0.0, 0.0, 1.0) == 0.0
    assert theta_eff(3.0, 4.0, 5.0) == pytest.approx(math.pi / 4.0)
    assert theta_eff(0.0, 1.0, 0.0) == pytest.approx(math.pi / 2.0)
    assert theta_eff(0.0, 0.0, -1.0) == pytest.approx(math.pi)
    assert math.isnan(theta_eff(math.nan, 0.0, 1.0))


def slow_slide(force: Array, friction: float, seconds: float, slid: Array) -> Array:
    """10 000 small steps of Coulomb friction."""
    x, v = slid[:2].copy(), slid[2:].copy()
    h, steps = seconds / 10_000, 10_000
    push = -force[:2] * STANDARD_GRAVITY
    grip = friction * max(0.0, float(force[2])) * STANDARD_GRAVITY
    for _ in range(steps):
        speed = float(np.linalg.norm(v))
        if speed < grip * h and float(np.linalg.norm(push)) <= grip:
            v[:] = 0.0
            continue
        direction = v / speed if speed > 1e-12 else push / max(1e-12, float(np.linalg.norm(push)))
        v = v + (push - grip * direction) * h
        x = x + v * h
    return np.concatenate((x, v))


@pytest.mark.parametrize(
    ("force", "slid"),
    [
        ([0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]),
        ([0.4, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]),  # friction holds
        ([0.9, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]),  # it gives
        ([0.0, -0.9, 0.7], [0.01, 0.0, 0.0, 0.2]),
        ([0.0, 0.0, 1.0], [0.0, 0.0, 0.3, 0.0]),  # slides on, slower
        ([0.0, 0.0, 1.0], [0.0, 0.0, 0.1, 0.0]),  # comes to rest within the step
        ([0.5, 0.5, -0.2], [0.0, 0.0, 0.1, 0.0]),  # no normal force: no friction
    ],
)
def test_slide_against_small_steps(force: list[float], slid: list[float]) -> None:
    out = np.array(slid)
    slide(force[0], force[1], force[2], 0.45, 0.05, out)
    expected = slow_slide(np.array(force), 0.45, 0.05, np.array(slid))
    np.testing.assert_allclose(out, expected, atol=2e-3)

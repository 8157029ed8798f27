"""The foreseen motion is near what the filter makes of the same command (core.follow)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.robots import panda

from checkrein.limits.core import Core
from checkrein.limits.kernels.prediction import BRAKING, DQ, STEP_S, brake_on, follow, gains_of
from checkrein.limits.kernels.prediction import stop_from as stop_from_kernel
from checkrein.limits.kernels.reference import MODE_CODES, reference
from checkrein.limits.kernels.tray import arm_of


@pytest.mark.parametrize("mode", ["joint_position", "joint_velocity", "joint_delta"])
def test_foreseen_speed_is_near_the_filtered_one(mode: str) -> None:
    # The tool's rotation is not foreseen: what it slows down is another motion.
    limits = replace(panda(), tcp=replace(panda().tcp, max_rot_vel=None))
    core, arm = Core(limits), arm_of(limits)
    gains, code, n = gains_of(arm), MODE_CODES[mode], core.n
    rng = np.random.default_rng(0)
    fastest = np.array([joint.max_velocity for joint in limits.joints])
    for _ in range(5):
        share = np.cumsum(rng.normal(0.0, 0.05, (8, n)), axis=0)
        rows = share * fastest if mode == "joint_velocity" else limits.home + 0.03 * share
        if mode == "joint_delta":
            rows = 0.03 * rng.normal(0.0, 1.0, (8, n))
        motion, _ = core.rest(limits.home)
        anchor = np.ascontiguousarray(motion[:-1, :2].T)
        joints, asked = np.zeros((8, n)), np.zeros((3, n))
        joints[:3] = motion[:-1, :3].T
        for step in range(1, 33):
            t = step * STEP_S
            reference(code, rows, 0.05, anchor, t - 0.01 * STEP_S, asked)
            follow(arm, gains, code, asked, joints)
        for k in range(100):  # the same 0.4 s in ticks of 4 ms
            motion = core.follow(motion, code, rows, 0.05, anchor, k * limits.period_s)[0]
        assert np.abs(joints[DQ] - motion[:-1, 1]).max() < 0.12 * fastest.min()
        assert np.abs(joints[0] - motion[:-1, 0]).max() < 0.06


def test_the_foreseen_stop_rests_exactly_with_all_joints_at_once() -> None:
    limits = panda()
    arm = arm_of(limits)
    gains, joints = gains_of(arm), np.zeros((8, 7))
    joints[0], joints[DQ] = limits.home, np.linspace(-1.0, 1.2, 7)
    left_s = stop_from_kernel(gains, joints[DQ], joints[BRAKING])
    accelerations = np.array([joint.max_acceleration for joint in limits.joints])
    assert (np.abs(joints[BRAKING]) <= accelerations * (1.0 + 1e-12)).all()
    assert (np.abs(joints[BRAKING]) / accelerations).max() == pytest.approx(1.0)
    start, speed = joints[0].copy(), joints[DQ].copy()
    total = left_s
    while left_s > -STEP_S:
        brake_on(joints, left_s)
        left_s -= STEP_S
    np.testing.assert_allclose(joints[0], start + 0.5 * speed * total, atol=1e-12)
    assert not joints[DQ].any()

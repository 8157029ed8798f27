"""No kernel reads or writes beyond its arrays: plain Python says so, compiled code would not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.drive import Rig
from tests.robots import half_space, panda, slider, turntable

from checkrein.controller import Outcome
from checkrein.limits import Limits

ROOT = Path(__file__).resolve().parents[2]


def test_as_plain_python_too() -> None:
    """All others here, of 1, 2 and 7 joints: scratch memory is as long as there are joints."""
    words = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", __file__]
    words += ["-k", "not as_plain_python"]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_single_joint_meets_a_wall_and_stays_before_it() -> None:
    wall = half_space("wall", [0.0, -1.0, 0.0], -0.1, "keep_out")
    limits = replace(turntable(tracking_error=1e-4), volumes=(wall,), standoff=1e-3)
    rig = Rig(limits).arm()
    for _ in range(250):
        assert rig.tick(rig.velocity(2.0)).outcome is not Outcome.STOP
    inside = np.arcsin((0.1 - 0.04 - 1e-3) / 0.1) - 1e-4
    assert inside - 0.01 < rig.q[0] < inside
    assert abs(rig.dq[0]) < 0.01


def _pressed(limits: Limits, ticks: int) -> None:
    rig = Rig(limits).arm()
    start = rig.q.copy()
    for k in range(ticks):
        sign = 1.0 if k < ticks // 2 else -1.0
        decision = rig.tick(rig.velocity(sign * np.array([p.max_velocity for p in limits.joints])))
        assert decision.outcome is not Outcome.STOP
    assert float(np.abs(rig.q - start).max()) > 0.0


def test_two_joints_of_two_types() -> None:
    _pressed(slider(), 60)


def test_a_panda_with_all_that_it_declares() -> None:
    _pressed(panda(), 12)

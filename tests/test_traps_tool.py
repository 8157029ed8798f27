"""Trap 17 by name: commands of the tool through singularities, at full commanded speed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.drive import Rig, assert_within
from tests.limits.slow_chain import jacobian, tcp
from tests.robots import column, panda, shipped, with_joint, without_geometry

from checkrein.controller import Outcome


class TestTrap17:
    """Singularities: joint speeds without bound, and a robot that swings about them."""

    @staticmethod
    def worst(rig: Rig) -> float:
        """The largest share of its declared speed that any joint was sent at."""
        shares = [np.abs(d.setpoint.dq) / column(rig.limits, "max_velocity") for d in rig.decisions]
        return float(np.max(shares))

    @pytest.mark.parametrize("speed", [0.1, 0.3, 1.0])
    def test_trap_17_out_through_the_stretched_elbow_and_back(self, speed: float) -> None:
        """The Panda's elbow, whose range is widened here so that it can be stretched out at all."""
        limits = with_joint(without_geometry(panda()), 3, max_position=1.0)
        start = np.array([0.0, 0.3, 0.0, -0.9, 0.0, 1.3, 0.78])
        rig = Rig(limits, q=start).arm()
        shoulder = np.array([0.0, 0.0, 0.333])
        out = (tcp(limits, start) - shoulder) / np.linalg.norm(tcp(limits, start) - shoulder)
        nearest = math.inf
        for sense, ticks in ((1.0, 500), (-1.0, 250)):
            push = np.concatenate((sense * speed * out, np.zeros(3)))
            for _ in range(ticks):
                rig.tick(rig.command("tcp_twist", push))
                J = jacobian(limits, rig.q, tcp(limits, rig.q), 6)
                nearest = min(nearest, float(np.linalg.svd(J)[1][-1]))
            if sense > 0.0:  # the arm is at the end of its reach: it rests there, or nearly
                assert np.abs(rig.dq).max() < 0.6
        assert nearest < 1e-3
        assert self.worst(rig) <= 1.0
        assert all(decision.outcome is not Outcome.STOP for decision in rig.decisions)
        # It came back, along the line on which it was pushed.
        moved = tcp(limits, rig.stream[-1]) - tcp(limits, rig.stream[-100])
        assert float(moved @ out) < -0.5 * np.linalg.norm(moved) < -0.01
        assert_within(limits, rig.stream)

    @pytest.mark.parametrize("turn", [0.5, 2.0])
    def test_trap_17_through_the_wrist_that_lines_up_two_axes(self, turn: float) -> None:
        """The xArm's joint 5 through zero: axes 4 and 6 fall together."""
        limits = without_geometry(shipped("xarm6"))
        rig = Rig(limits, q=[0.2, -0.5, -0.7, 0.3, 0.4, 0.1]).arm()
        bends = []
        for _ in range(700):
            rig.tick(rig.command("tcp_twist", [0.0, 0.1, 0.0, 0.0, -0.5 * turn, 0.3 * turn]))
            bends.append(float(rig.q[4]))
        assert min(bends) < 0.03
        assert self.worst(rig) <= 1.0
        assert all(decision.outcome is not Outcome.STOP for decision in rig.decisions)
        assert_within(limits, rig.stream)

    def test_trap_17_a_delta_beyond_reach_comes_to_rest(self) -> None:
        limits = with_joint(without_geometry(panda()), 3, max_position=1.0)
        rig = Rig(limits, q=[0.0, 0.3, 0.0, -0.9, 0.0, 1.3, 0.78]).arm()
        for k in range(900):
            fresh = rig.command("tcp_delta", [0.6, 0.0, 0.4, 0.0, 0.0, 0.0]) if k == 0 else None
            if k and k % 20 == 0:  # asks again from where it is: out of reach all the time
                fresh = rig.command("tcp_delta", [0.3, 0.0, 0.2, 0.0, 0.0, 0.0])
            rig.tick(fresh)
        assert self.worst(rig) <= 1.0
        assert np.abs(np.array([d.setpoint.dq for d in rig.decisions[-100:]])).max() < 0.6
        assert_within(limits, rig.stream)

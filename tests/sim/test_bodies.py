"""The simulated body of a volume is the volume: a probe is as far from it as the oracle says."""

from __future__ import annotations

import numpy as np
import pytest
from tests.sim.test_oracle_geometry import SHAPES, volume

from checkrein.sim.oracle_geometry import clearance

pytest.importorskip("pybullet")

from checkrein.sim.bodies import add_static_volume
from checkrein.sim.engine import load_pybullet

PROBE_M = 0.05


@pytest.mark.parametrize("name", SHAPES)
def test_a_probe_is_as_far_as_the_oracle_says(name: str) -> None:
    p = load_pybullet()
    client = p.connect(p.DIRECT)
    try:
        body = add_static_volume(p, client, {"name": "v", "shape": name, **SHAPES[name]})
        ball = p.createCollisionShape(p.GEOM_SPHERE, radius=PROBE_M, physicsClientId=client)
        probe = p.createMultiBody(0.0, ball, physicsClientId=client)
        judged = 0
        for place in np.random.default_rng(1).uniform(-1.0, 1.0, (1500, 3)):
            column = place[:, None]
            truth = float(clearance(volume("keep_out", name), column, column, PROBE_M)[0])
            p.resetBasePositionAndOrientation(probe, place, [0, 0, 0, 1], physicsClientId=client)
            near = p.getClosestPoints(probe, body, 0.3, physicsClientId=client)
            if not -0.03 < truth < 0.02:  # beyond, the oracle may give a lower bound
                continue
            judged += 1
            assert min(point[8] for point in near) == pytest.approx(truth, abs=2e-3)
        assert judged >= 2
    finally:
        p.disconnect(client)

"""cbfpy as a contestant: control barrier functions on a double integrator, and a box of inputs.

Four barriers a joint (both ends of its position, of relative degree 2; both of its velocity), and
the declared accelerations as the box. The gains are the largest that a tick and the declared
acceleration allow: the position's is max_acceleration / max_velocity, so that a joint at full speed
begins to brake where it can still brake; the velocity's is a tenth of the control rate. The nominal
control reaches the commanded velocity within a tick, and is clipped to the box before it is handed
over: its QP is relaxed by penalties, which a control far outside the box outweighs.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...limits import Limits
from ...limits.records import Array
from .contest import Answers

__all__ = ["make"]

# What cbfpy recommends on a CPU; read when it, and jax, are imported.
RECOMMENDED = {
    "JAX_ENABLE_X64": "1",
    "JAX_PLATFORMS": "cpu",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
SOLVER_TOLERANCE = {"qpax": 1e-3, "elastiqp": 1e-6}  # qpax: the default; elastiqp: its examples'


def _config(limits: Limits, backend: str) -> Any:
    import jax.numpy as jnp
    from cbfpy import CBFConfig

    n, joints = len(limits.joints), limits.joints
    low = np.array([joint.min_position for joint in joints])
    high = np.array([joint.max_position for joint in joints])
    speed = np.array([joint.max_velocity for joint in joints])
    push = np.array([joint.max_acceleration for joint in joints])
    brake = np.tile(push / speed, 2)
    gain = np.concatenate([np.full(2 * n, 0.1 / limits.period_s), brake])

    class JointBarriers(CBFConfig):  # type: ignore[misc]
        """z = (q, dq), u = ddq."""

        def f(self, z: Any) -> Any:
            return jnp.concatenate([z[n:], jnp.zeros(n)])

        def g(self, z: Any) -> Any:
            return jnp.concatenate([jnp.zeros((n, n)), jnp.eye(n)])

        def h_1(self, z: Any) -> Any:
            return jnp.concatenate([speed - z[n:], speed + z[n:]])

        def h_2(self, z: Any) -> Any:
            return jnp.concatenate([high - z[:n], z[:n] - low])

        def alpha(self, h: Any) -> Any:
            return gain * h

        def alpha_2(self, h_2: Any) -> Any:
            return brake * h_2

    return JointBarriers(
        n=2 * n,
        m=n,
        u_min=-push,
        u_max=push,
        backend=backend,
        solver_tol=SOLVER_TOLERANCE[backend],
    )


class _Cbfpy:
    answers: Answers = "acceleration"

    def __init__(self, limits: Limits, backend: str) -> None:
        for name, value in RECOMMENDED.items():
            os.environ.setdefault(name, value)
        from cbfpy import CBF

        self._filter: Any = CBF.from_config(_config(limits, backend))
        self._period_s = limits.period_s
        self._push = np.array([joint.max_acceleration for joint in limits.joints])

    def decide(self, q: Array, dq: Array, ddq: Array, wanted: Array, /) -> Array:
        """Acceleration (n,) throughout the tick."""
        desired = np.clip((wanted - dq) / self._period_s, -self._push, self._push)
        answer = self._filter.safety_filter(np.concatenate([q, dq]), desired)
        return np.asarray(answer, np.float64)  # waits for it


def make(limits: Limits, *, backend: str) -> _Cbfpy:
    """cbfpy with the declared joint limits; backend: "qpax" or "elastiqp"."""
    return _Cbfpy(limits, backend)

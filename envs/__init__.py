"""Gymnasium: environments of our own, `SafetyWrapper` and `SafetyVectorWrapper` for any other.

Importing this registers `checkrein/Reach-v0` and `checkrein/CarryTray-v0`; PyBullet is loaded when
one of them is made, not before.
"""

from __future__ import annotations

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "checkrein.envs needs Gymnasium: pip install 'checkrein[sim]'", name="gymnasium"
    ) from error

from .adapters import JointVelocityAdapter, guard, make_guarded
from .vector_wrapper import BatchCommand, BatchState, SafetyVectorWrapper
from .wrapper import SafetyWrapper

__all__ = [
    "BatchCommand",
    "BatchState",
    "JointVelocityAdapter",
    "SafetyVectorWrapper",
    "SafetyWrapper",
    "guard",
    "make_guarded",
]

# No max_episode_steps: the environments end by simulated time, whatever the length of a step.
for _name, _entry in (
    ("checkrein/Reach-v0", "checkrein.envs.reach:ReachEnv"),
    ("checkrein/CarryTray-v0", "checkrein.envs.carry_tray:CarryTrayEnv"),
):
    if _name not in gymnasium.registry:
        gymnasium.register(id=_name, entry_point=_entry)

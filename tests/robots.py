"""Robots for the tests: the shipped ones, and small synthetic arms with known answers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from checkrein.limits import (
    Capsule,
    ClassifierLimits,
    JointLimits,
    Kinematics,
    Limits,
    OnViolation,
    SelfCollision,
    TcpLimits,
    Timing,
    Volume,
    load_limits,
)
from checkrein.limits.loading import shipped_names
from checkrein.limits.records import Array, frozen_array

NO_CLASSIFIER = ClassifierLimits(None, None, None, None, "not under test")
LIMIT_KINDS = (
    "joint_position",
    "joint_velocity",
    "joint_acceleration",
    "joint_jerk",
    "joint_effort",
    "tcp_speed",
    "contact_force",
)


def array(values: Any) -> Array:
    return frozen_array(values, "a test's array")


@cache
def shipped(name: str) -> Limits:
    """A shipped robot, without its classifier."""
    return replace(load_limits(name), classifier=NO_CLASSIFIER)


def panda() -> Limits:
    return shipped("franka_panda")


def joint(name: str, **changes: Any) -> JointLimits:
    """A quick, strong joint without margins."""
    values: dict[str, Any] = {
        "name": name,
        "type": "revolute",
        "min_position": -2.0,
        "max_position": 2.0,
        "max_velocity": 2.0,
        "max_acceleration": 10.0,
        "max_jerk": 2500.0,
        "max_effort": 1e4,
        "tracking_error": 0.0,
        "velocity_error": 0.0,
        "effort_error": 0.0,
        "recovery_velocity": 0.1,
    }
    return JointLimits(**{**values, **changes})


def _arm(name: str, joints: tuple[JointLimits, ...], kinematics: Kinematics) -> Limits:
    n = len(joints)
    capsules = tuple(
        Capsule(f"link{i}", i, array([0.0, 0.0, 0.0]), array([0.1, 0.0, 0.05]), 0.04)
        for i in range(n)
    )
    return Limits(
        name=name,
        sha256="0" * 64,
        format=1,
        period_s=0.004,
        joints=joints,
        kinematics=kinematics,
        capsules=capsules,
        volumes=(),
        standoff=0.0,
        tcp=TcpLimits(max_trans_vel=100.0, max_force=40.0, force_required=False),
        timing=Timing(100.0, 12.0, 0.5, 200.0, 100.0),
        home=array(np.zeros(n)),
        on_violation=dict.fromkeys(LIMIT_KINDS, OnViolation.CLAMP),
        stop_category="cat2",
        classifier=NO_CLASSIFIER,
        source={},
        provenance={},
    )


def turntable(**changes: Any) -> Limits:
    """One joint about the vertical: gravity does no work, so joint limits alone decide."""
    return _arm(
        "turntable",
        (joint("turn", **changes),),
        Kinematics(
            rotation=array([np.eye(3)]),
            translation=array([[0.0, 0.0, 0.3]]),
            tcp_rotation=array(np.eye(3)),
            tcp_translation=array([0.5, 0.0, 0.0]),
            mass=array([2.0]),
            com=array([[0.25, 0.0, 0.0]]),
            inertia=array([np.diag([0.01, 0.02, 0.02])]),
            gravity=array([0.0, 0.0, -9.81]),
        ),
    )


def slider() -> Limits:
    """A turning column, and a rail on it whose carriage slides outwards along the column's x."""
    z_along_x = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]
    rail = joint(
        "rail",
        type="prismatic",
        min_position=0.1,
        max_position=0.8,
        max_velocity=0.9,
        max_acceleration=6.0,
        max_jerk=600.0,
        max_effort=400.0,
        tracking_error=0.001,
        velocity_error=0.01,
        effort_error=2.0,
    )
    limits = _arm(
        "slider",
        (joint("column", max_effort=200.0, tracking_error=0.001, velocity_error=0.01), rail),
        Kinematics(
            rotation=array([np.eye(3), z_along_x]),
            translation=array([[0.0, 0.0, 0.4], [0.05, 0.0, 0.1]]),
            tcp_rotation=array(np.eye(3)),
            tcp_translation=array([0.0, 0.0, 0.2]),
            mass=array([8.0, 3.0]),
            com=array([[0.1, 0.02, 0.05], [0.0, 0.03, 0.1]]),
            inertia=array([np.diag([0.1, 0.12, 0.09]), np.diag([0.02, 0.03, 0.01])]),
            gravity=array([0.0, 0.0, -9.81]),
        ),
    )
    tcp = TcpLimits(max_trans_vel=1.5, max_force=40.0, force_required=False)
    wall = half_space("wall", [0.0, 1.0, 0.0], -0.7, "keep_out")
    return replace(limits, tcp=tcp, volumes=(wall,), standoff=0.002, home=array([0.0, 0.3]))


def half_space(
    name: str, normal: Any, offset: float, kind: Literal["keep_in", "keep_out"]
) -> Volume:
    return Volume(
        name, kind, "half_space", OnViolation.CLAMP, (), normal=array(normal), offset=offset
    )


def folding(limits: Limits, *pairs: tuple[str, str], standoff: float = 0.0) -> Limits:
    """The same robot, whose links must not touch: these pairs, or the first and the last link."""
    ends = (limits.capsules[0].name, limits.capsules[-1].name)
    declared = SelfCollision(pairs or (ends,), (), standoff, None)
    on_violation = {**limits.on_violation, "self_collision": OnViolation.CLAMP}
    return replace(limits, self_collision=declared, on_violation=on_violation)


def without_margins(limits: Limits) -> Limits:
    """The same robot, believed to follow its commands exactly."""
    return with_joints(limits, tracking_error=0.0, velocity_error=0.0, effort_error=0.0)


def without_geometry(limits: Limits) -> Limits:
    """The same robot in empty space, its tool as fast as its joints."""
    tcp = replace(limits.tcp, max_trans_vel=1e3, max_rot_vel=None)
    return replace(limits, volumes=(), self_collision=None, tcp=tcp)


def with_joints(limits: Limits, **changes: Any) -> Limits:
    """The same change to every joint."""
    return replace(limits, joints=tuple(replace(j, **changes) for j in limits.joints))


def with_joint(limits: Limits, index: int, **changes: Any) -> Limits:
    """A change to one joint."""
    joints = list(limits.joints)
    joints[index] = replace(joints[index], **changes)
    return replace(limits, joints=tuple(joints))


def column(limits: Limits, field: str) -> npt.NDArray[np.float64]:
    """One field of every joint (n,)."""
    return np.array([getattr(j, field) for j in limits.joints], dtype=np.float64)


def robots() -> dict[str, Limits]:
    """Every robot that a property should hold for."""
    found = {name: shipped(name) for name in shipped_names()}
    return {
        **found,
        "slider": slider(),
        "panda_without_margins": without_geometry(without_margins(panda())),
    }


def moves(motion: Array) -> Array:
    """What of a motion moves the robot: all but what it remembers of earlier ones."""
    bare = np.array(motion)
    bare[-1, -3:] = 0.0  # see kernels.restless
    return bare

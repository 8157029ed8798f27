"""The arbiter: every limit is asked, in order; nothing non-finite ever passes; it has no memory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from tests.limits.kinds.battery import bounds_of
from tests.limits.slow_links import ball
from tests.limits.slow_motion import Motion, random_motions, stopping
from tests.robots import (
    folding,
    half_space,
    panda,
    slider,
    turntable,
    with_joints,
    without_geometry,
    without_margins,
)

from checkrein.limits import Limits, LinkLimits
from checkrein.limits.certify import (
    CERTIFIED,
    EFFORT,
    KINDS,
    NO_STOP,
    SINGULARITY,
    TCP_ROTATIONAL,
    certify,
)
from checkrein.limits.kernels.packed import HINT, pack, work_for
from checkrein.limits.kinds import link_speed, workspace


class Verdict(NamedTuple):
    kind: str
    subject: float
    value: float
    bound: float


def judged(limits: Limits, motion: Motion) -> Verdict:
    packed = pack(limits)
    report = np.zeros(3)
    code = certify(
        packed, np.ascontiguousarray(motion.start), np.array(motion.ddq_next),
        np.array(motion.ticks), np.array(motion.jerk), bounds_of(limits), work_for(packed), report,
    )  # fmt: skip
    return Verdict(KINDS[code], *report.tolist())


def moving(limits: Limits, dq: float = 0.2) -> Motion:
    """Home, all joints at dq, and the stop of that."""
    start = np.zeros((len(limits.joints), 3))
    start[:, 0], start[:, 1] = limits.home, dq
    motion = stopping(pack(limits), start, np.zeros(len(limits.joints)))
    assert motion is not None
    return motion


def test_codes_name_every_kind_of_limit() -> None:
    assert KINDS[CERTIFIED] == ""
    assert KINDS[EFFORT] == "joint_effort"
    assert KINDS[NO_STOP] == "certified_stop"
    assert KINDS[TCP_ROTATIONAL] == "tcp_rotational_speed"
    assert KINDS[workspace.WORKSPACE] == "workspace"
    assert KINDS[workspace.SELF_COLLISION] == "self_collision"
    assert KINDS[workspace.OBSTACLES] == "obstacles"
    assert KINDS[link_speed.LINK] == "link_speed"
    assert KINDS[link_speed.ZONE] == "zone_speed"
    assert set(KINDS) == {
        "", "joint_position", "joint_velocity", "joint_acceleration", "joint_jerk", "joint_effort",
        "tcp_speed", "tcp_rotational_speed", "workspace", "self_collision", "certified_stop",
        "singularity", "link_speed", "zone_speed",
        "tcp_acceleration", "tcp_rotational_acceleration", "obstacles",
    }  # fmt: skip
    assert KINDS[SINGULARITY] == "singularity"


@pytest.mark.parametrize("robot", [panda(), slider(), turntable()])
def test_an_easy_motion_is_certified(robot: Limits) -> None:
    assert judged(robot, moving(robot)).kind == ""


def test_each_limit_alone_can_refuse() -> None:
    robot = slider()
    motion, tcp = moving(robot), robot.tcp
    ceiling = half_space("ceiling", [0.0, 0.0, 1.0], 0.3, "keep_in")
    for kind, tightened in (
        ("joint_jerk", with_joints(robot, max_jerk=1e-3)),
        ("joint_acceleration", with_joints(robot, max_acceleration=1e-3)),
        ("joint_velocity", with_joints(robot, max_velocity=0.19)),
        ("joint_position", with_joints(robot, max_position=0.2)),
        ("workspace", replace(robot, volumes=(*robot.volumes, ceiling))),
        ("self_collision", folding(robot, standoff=0.3)),
        ("tcp_speed", replace(robot, tcp=replace(tcp, max_trans_vel=0.05))),
        ("link_speed", replace(robot, links=LinkLimits(0.05))),
        ("zone_speed", replace(robot, zones=(ball([0.0, 0.0, 0.4], 0.5, 0.05),))),
        ("tcp_rotational_speed", replace(robot, tcp=replace(tcp, max_rot_vel=0.1))),
        ("tcp_acceleration", replace(robot, tcp=replace(tcp, max_trans_acc=0.5))),
        ("tcp_rotational_acceleration", replace(robot, tcp=replace(tcp, max_rot_acc=0.5))),
        ("joint_effort", with_joints(robot, max_effort=3.0)),
    ):
        verdict = judged(tightened, motion)
        assert verdict.kind == kind
        if kind not in ("workspace", "self_collision"):
            assert verdict.value > verdict.bound or kind == "joint_position"


def test_a_stop_that_does_not_end_at_rest_is_none() -> None:
    """However slow what is left: one tick of the stop is missing (trap 1)."""
    robot = without_margins(slider())
    motion = moving(robot, dq=0.01)
    last = max(k for k, ticks in enumerate(motion.ticks) if ticks >= 1.0)
    motion.ticks[last] -= 1.0
    verdict = judged(robot, motion)
    assert verdict.kind == "certified_stop"
    assert verdict.value > verdict.bound


def test_the_effort_that_refused_one_motion_is_asked_for_first_of_the_next() -> None:
    """It is likely to refuse that as well: an order, on which no verdict but its name depends."""
    robot = slider()
    motion, bounds = moving(robot), bounds_of(robot)
    weak = with_joints(robot, max_effort=3.0)
    walled = replace(weak, volumes=(half_space("ceiling", [0.0, 0.0, 1.0], 0.3, "keep_in"),))
    for limits, hint, kind in (
        (weak, 0.0, "joint_effort"),
        (walled, 0.0, "workspace"),
        (walled, float(EFFORT), "joint_effort"),
        (replace(walled, joints=robot.joints), float(EFFORT), "workspace"),
        (robot, float(EFFORT), ""),
    ):
        packed, report = pack(limits), np.zeros(3)
        work = work_for(packed)
        work.small[HINT, 0], work.small[HINT, 3] = -1.0, hint
        code = certify(
            packed, motion.start, motion.ddq_next, motion.ticks, motion.jerk, bounds, work, report
        )
        assert KINDS[code] == kind
        assert work.small[HINT, 3] == (EFFORT if limits is weak else hint)


def test_the_stop_is_judged_and_not_only_the_tick() -> None:
    """The tick is harmless; the stop behind it would leave the position limit (trap 1)."""
    robot = without_geometry(without_margins(panda()))
    motion = moving(robot, dq=1.0)
    reach = float(motion.start[0, 0] + 1.0 * robot.period_s)
    limited = replace(
        robot, joints=(replace(robot.joints[0], max_position=reach + 1e-3), *robot.joints[1:])
    )
    verdict = judged(limited, motion)
    assert verdict.kind == "joint_position"
    assert verdict.subject == 0.0
    assert verdict.value > reach + 0.05


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("robot", [panda(), without_geometry(panda()), slider(), turntable()])
def test_nothing_that_is_not_finite_is_certified(robot: Limits, bad: float) -> None:
    """Each number of the state, of the acceleration and of the stop, one at a time."""
    for part in range(4):
        shape = moving(robot)[part].shape
        for index in np.ndindex(shape):
            motion = moving(robot)
            motion[part][index] = bad
            assert judged(robot, motion).kind != ""


@pytest.mark.parametrize("robot", [panda(), slider()])
def test_the_same_question_has_the_same_answer(robot: Limits) -> None:
    """Scratch memory is reused: what was judged before must leave no trace.

    But for what motions of one tick leave to each other: where to look first. It may change what
    is found to speak against a motion, never whether something does.
    """
    motions = random_motions(robot, seed=1, count=40, speed=0.6)
    alone = [judged(robot, motion) for motion in motions]
    packed, bounds, report = pack(robot), bounds_of(robot), np.zeros(3)
    work = work_for(packed)
    for order in (range(40), reversed(range(40))):
        for k in order:
            m = motions[k]
            report[:] = 0.0
            code = certify(packed, m.start, m.ddq_next, m.ticks, m.jerk, bounds, work, report)
            assert (KINDS[code] == "") == (alone[k].kind == "")
            work.small[HINT] = 0.0
            report[:] = 0.0
            code = certify(packed, m.start, m.ddq_next, m.ticks, m.jerk, bounds, work, report)
            assert (KINDS[code], *report.tolist()) == alone[k]
    kinds = {verdict.kind for verdict in alone}
    assert "" in kinds
    assert len(kinds) >= 2


def test_tightening_any_limit_never_certifies_more() -> None:
    robot = slider()
    tighter = [
        with_joints(robot, max_jerk=300.0),
        with_joints(robot, max_acceleration=4.0),
        with_joints(robot, max_velocity=0.5),
        with_joints(robot, max_position=0.7),
        with_joints(robot, max_effort=60.0),
        with_joints(robot, tracking_error=0.01, velocity_error=0.05, effort_error=10.0),
        replace(robot, tcp=replace(robot.tcp, max_trans_vel=0.5)),
        replace(robot, standoff=0.05),
    ]
    motions = random_motions(robot, seed=2, count=80, speed=0.7)
    held = [judged(robot, motion).kind == "" for motion in motions]
    assert 10 <= sum(held) < 80
    fewer = 0
    for limits in tighter:
        again = [judged(limits, motion).kind == "" for motion in motions]
        assert all(was or not now for was, now in zip(held, again, strict=True))
        fewer += sum(again) < sum(held)
    assert fewer >= 6

"""`limits init`: a limits file from a URDF, with REQUIRED wherever the URDF has no answer.

Guarantees: nothing is guessed. What the URDF bounds is copied (the tighter of `<limit>` and
`<safety_controller>`), capsules are fitted and contain every collision shape; the rest is REQUIRED,
and a file in which that word is left is refused with the list of its places.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..units import REQUIRED
from .capsules import DECIMALS, Segment, fit_capsules
from .fingers import finger_hints
from .mimic import leader_fields
from .overlaps import overlap_shares
from .urdf import Chain, UrdfJoint, load_chain, read_joints

__all__ = ["template"]

# A pair that overlaps in a larger share of the samples cannot be kept apart.
ALWAYS = 0.9

HEAD = """# Limits of {name}, begun by `checkrein limits init` from {urdf}.
# Fill in what is marked REQUIRED, then run `checkrein limits check {name}.yaml`.
# Numbers are SI; a text with a unit is converted: "120 deg/s", "250 mm/s", "4 ms".
format: 1
name: {name}
version: 0.1.0
period: REQUIRED  # one tick of the controller, e.g. 4 ms

robot:
  urdf: {urdf}
{package}  locked_joints: {{{locked}}}
  gravity: [0.0, 0.0, -9.81]

# tracking_error, velocity_error, effort_error: the largest difference between what was commanded
# and what was measured, under load. recovery_velocity: how fast a joint comes back from outside.
# Optional: position_noise, the error of a measured position, if tracking_error is to be without it;
# max_deceleration, where a joint may slow down faster, or only slower, than it speeds up.
joint_limits:
"""
TAIL = """
tool: REQUIRED     # null, or {{name, parent, xyz, rpy, mass, com, inertia, shapes}}
payload: REQUIRED  # null, or {{name, parent, xyz, mass, inertia, size}}

tcp:
  link: {tcp_link}
  xyz: [0.0, 0.0, 0.0]
  max_trans_vel: REQUIRED   # e.g. "250 mm/s"
  # max_rot_vel: "90 deg/s"  # where the tool's rotation is limited; see on_violation
  # max_trans_acc: 4 m/s^2   # of what is commanded, so that what is carried stays where it is
  # max_rot_acc: "400 deg/s^2"
  max_force: REQUIRED       # e.g. "40 N"
  force_required: REQUIRED  # true: a state without a measured force stops the robot

# links: {{max_speed: 1.5 m/s}}  # of any point of any link; see on_violation

# In each link's frame; freezing proves that they contain every collision shape.
capsules:
{capsules}

# Walls, tables, fixtures; [] if there are none.
volumes: REQUIRED
standoff: REQUIRED  # extra distance around every volume, e.g. "3 mm"
# Where links are to be slow, e.g. near people; a shape as of a volume:
# zones:
#   - {{name: aisle, shape: box, center: [0.8, 0.0, 0.5], size: [0.6, 2.0, 1.0],
#      max_speed: 250 mm/s, on_violation: clamp}}

# Links that are not neighbours must not touch each other; {{none: why}} instead, if yours may.
# Kept apart are, with how often they overlap in sampled configurations, if they ever do:
{kept}
self_collision:
  standoff: REQUIRED  # extra distance between links, e.g. "2 mm"
  ignore:{ignored}

# Optional: obstacles that perception sees at run time; with on_violation.obstacles. None of it has
# a default. Without this section a state that carries obstacles stops the robot.
# perception:
#   max_points: 10000    # more in one cloud is a fault
#   max_speed: "1.6 m/s" # of any obstacle; points that stand still can say so themselves
#   latency: "40 ms"     # how much earlier than its stamp a cloud may have been measured
#   max_age: "150 ms"    # an older cloud is stale
#   standoff: "20 mm"    # extra distance around every point
#   required: true       # no fresh cloud: the robot stops
#   exempt: []           # links that are not kept away from obstacles

# How motion that asks for too much is held back: all joints together, in its own direction; or with
# false each joint for itself, as much as its own limits allow, which bends the way of the tool.
motion: {{keep_direction: true}}

# Optional: a parallel gripper that policies command beside the joints; with on_violation.gripper_*.
# None of it has a default. Without this section a command for a gripper is refused.
# gripper:
#   command: width         # what a command's position is: the width; or open_close: 1 or 0
#   min_width: {min_width}
#   max_width: {max_width}
#   max_speed: {max_speed}
#   max_force: {max_force}
#   width_error: 1 mm      # how far outside this range a width may be measured
#   force_error: 5 N       # how far above max_force a force may be measured
#   force_required: false  # true: a state without a measured grasping force stops the robot
#   on_stop: hold          # nothing else: a stop neither opens nor moves it

# Where the robot starts; it must be at rest there, clear of every volume.
home:
{home}

on_violation:
  joint_position: clamp
  joint_velocity: clamp
  joint_acceleration: clamp
  joint_jerk: clamp
  joint_effort: clamp
  tcp_speed: clamp
  # tcp_rotational_speed: clamp  # with tcp.max_rot_vel
  # tcp_acceleration: clamp      # with tcp.max_trans_acc
  # tcp_rotational_acceleration: clamp  # with tcp.max_rot_acc
  # link_speed: clamp            # with links.max_speed
  self_collision: clamp
  # obstacles: clamp  # with perception
  # gripper_width: clamp  # with gripper, where its command is width
  # gripper_speed: clamp  # likewise
  # gripper_force: clamp  # with gripper
  # gripper_release: refuse  # with gripper and payloads: while one is carried; see set_payload
  contact_force: refuse
stop_category: REQUIRED  # what a latched stop ends in: cat1 (power off) or cat2 (hold, powered)

timing:
  command_timeout: REQUIRED    # a single command is held no longer than this, e.g. "100 ms"
  state_age_max: REQUIRED      # an older state is stale, e.g. "12 ms"
  period_tolerance: REQUIRED   # allowed relative deviation of the measured period, e.g. 0.5
  resample_deadline: REQUIRED  # how long a better proposal is waited for, e.g. "200 ms"
  watchdog: REQUIRED           # robot side: silence after which the stop latches, e.g. "100 ms"
  # latency_ticks: 2           # optional: ticks that a measured position lags behind the commands

# {{none: why there is none}}, or {{file, sha256, threshold, rescore_deviation}}
classifier: REQUIRED
"""


RANGE = ("min_position", "max_position")


def _bounds(joint: str, joints: dict[str, UrdfJoint], chain: Chain) -> list[dict[str, float]]:
    """What the URDF says that bounds a joint, joints that mimic it included."""
    known = [joints[joint].limit, joints[joint].soft]
    for one in chain.dependents:
        if one.leader == joint:
            own = joints[one.name]
            known += [leader_fields(one, source) for source in (own.limit, own.soft)]
    return known


def _known(sources: list[dict[str, float]], field: str) -> str:
    """What the URDF says about a field."""
    values = [source[field] for source in sources if field in source]
    if not values:
        return REQUIRED
    if field == "min_position":
        return repr(max(values))
    return repr(min(values))


def _joint_block(joint: UrdfJoint, known: list[dict[str, float]]) -> str:
    lines = [f"  {joint.name}:", f"    type: {joint.type}"]
    if joint.type == "continuous":
        lines.append(f"    position_targets: {REQUIRED}  # literal: they count turns; or nearest")
    else:
        lines += [f"    {field}: {_known(known, field)}" for field in RANGE]
    for field in (
        "max_velocity",
        "max_acceleration",
        "max_jerk",
        "max_effort",
        "tracking_error",
        "velocity_error",
        "effort_error",
        "recovery_velocity",
    ):
        lines.append(f"    {field}: {_known(known, field)}")
    return "\n".join(lines)


def _fitted(chain: Chain) -> dict[str, list[Segment]]:
    """Capsules of each moving link, in its own frame."""
    out = {}
    for link, triangles in chain.triangles.items():
        if chain.link_joint[link] >= 0:
            rotation, shift = chain.link_pose[link]
            fitted = fit_capsules((triangles - shift) @ rotation)
            more = math.ceil(chain.swell.get(link, 0.0) * 10**DECIMALS) / 10**DECIMALS
            out[link] = [replace(one, radius=one.radius + more) for one in fitted]
    return out


def _pair_blocks(shares: dict[tuple[str, str], float]) -> tuple[str, str]:
    """(comment with the pairs that are kept apart, entries of those that always overlap)."""
    kept, ignored = [], []
    for (one, other), share in shares.items():
        if share > ALWAYS:
            ignored += [
                f"    - pair: [{one}, {other}]",
                f"      reason: {REQUIRED}  # they overlap in {share:.0%} of the samples",
            ]
        else:
            kept.append(f"#   {one}, {other}" + (f": {share:.1%}" if share > 0.0 else ""))
    return "\n".join(kept or ["#   none"]), "\n" + "\n".join(ignored) if ignored else " []"


def _capsule_block(fitted: dict[str, list[Segment]]) -> str:
    lines = []
    for link, segments in fitted.items():
        lines.append(f"  {link}:")
        for segment in segments:
            start, end = (
                ", ".join(f"{v + 0.0:.5f}" for v in np.round(ends, 5))
                for ends in (segment.start, segment.end)
            )
            lines.append(f"    - {{start: [{start}], end: [{end}], radius: {segment.radius:.5f}}}")
    return "\n".join(lines) if lines else "  {}"


def _tcp_link(chain: Chain) -> str:
    last = len(chain.joint_names) - 1
    return [link for link, joint in chain.link_joint.items() if joint == last][-1]


def template(
    urdf: Path, written_as: str, package: str | None, name: str, locked: dict[str, float]
) -> str:
    """Text of a limits file for the robot in `urdf`, which the file refers to as `written_as`."""
    joints = read_joints(urdf)
    chain = load_chain(urdf, locked, [])
    head = HEAD.format(
        name=name,
        urdf=written_as,
        package="" if package is None else f"  package: {package}\n",
        locked=", ".join(f"{joint}: {value!r}" for joint, value in locked.items()),
    )
    fitted = _fitted(chain)
    kept, ignored = _pair_blocks(overlap_shares(chain, joints, fitted))
    tail = TAIL.format(
        tcp_link=_tcp_link(chain),
        capsules=_capsule_block(fitted),
        kept=kept,
        ignored=ignored,
        **finger_hints(joints, chain.locked),
        home="\n".join(f"  {joint}: {REQUIRED}" for joint in chain.joint_names),
    )
    return (
        head
        + "\n".join(
            _joint_block(joints[joint], _bounds(joint, joints, chain))
            for joint in chain.joint_names
        )
        + "\n"
        + tail
    )

"""A small arm as URDF text, with all that the shipped ones lack: odd axes, a slide, a continuous
joint, primitive shapes, a fixed child, a gripper that mimics. And a limits file for it."""

from __future__ import annotations

from pathlib import Path

INERTIAL = """<inertial><origin xyz="{com}" rpy="0.1 0.2 0.3"/><mass value="{mass}"/>
  <inertia ixx="0.02" ixy="0.001" ixz="-0.002" iyy="0.03" iyz="0.0005" izz="0.025"/></inertial>"""


def _link(name: str, mass: float, com: str, shape: str, origin: str = "0 0 0") -> str:
    inertial = INERTIAL.format(mass=mass, com=com)
    return f"""<link name="{name}">{inertial}<collision><origin xyz="{origin}" rpy="0.3 0 0.1"/>
  <geometry>{shape}</geometry></collision></link>"""


def _joint(name: str, kind: str, parent: str, child: str, axis: str, limit: str) -> str:
    return f"""<joint name="{name}" type="{kind}"><origin xyz="0.1 0.05 0.2" rpy="0.4 -0.2 0.7"/>
  <parent link="{parent}"/><child link="{child}"/><axis xyz="{axis}"/>{limit}</joint>"""


URDF = "\n".join(
    [
        '<robot name="small">',
        _link("base", 1.0, "0 0 0", '<box size="0.1 0.1 0.1"/>'),
        _link("upper", 1.2, "0.02 0 0.1", '<cylinder radius="0.05" length="0.3"/>', "0 0 0.1"),
        _link("lower", 0.8, "0 0.03 0.1", '<box size="0.05 0.06 0.3"/>', "0 0 0.1"),
        _link("carriage", 0.5, "0 0 0.05", '<sphere radius="0.06"/>', "0 0.01 0"),
        _link("flange", 0.2, "0 0 0.01", '<box size="0.04 0.04 0.04"/>'),
        _link("plate", 0.1, "0.01 0 0", '<box size="0.1 0.1 0.01"/>'),
        _link("finger", 0.05, "0 0 0.01", '<box size="0.01 0.01 0.05"/>'),
        _joint(
            "shoulder", "revolute", "base", "upper", "0 -1 0",
            '<limit lower="-2.5" upper="2.5" velocity="2.0" effort="60"/>'
            '<safety_controller k_velocity="1" soft_lower_limit="-2.2" soft_upper_limit="2.3"/>',
        ),
        _joint(
            "elbow", "revolute", "upper", "lower", "0.6 0 0.8",
            '<limit lower="-2" upper="2" velocity="3" effort="40"/>',
        ),
        _joint(
            "slide", "prismatic", "lower", "carriage", "0 0 -1",
            '<limit lower="-0.2" upper="0.3" velocity="0.5" effort="50"/>',
        ),
        _joint(
            "wrist", "continuous", "carriage", "flange", "1 0 0",
            '<limit velocity="0" effort="10"/>',
        ),
        _joint("mount", "fixed", "flange", "plate", "1 0 0", ""),
        _joint(
            "grip", "prismatic", "plate", "finger", "0 1 0",
            '<limit lower="0" upper="0.04" velocity="0.2" effort="20"/>',
        ),
        "</robot>",
    ]
)  # fmt: skip

MARGINS = """tracking_error: 0.001, velocity_error: 0.01, effort_error: 0.5,
     recovery_velocity: 0.05"""

YAML = f"""format: 1
name: small
version: 1.0.0
period: 8 ms
robot: {{urdf: small.urdf, locked_joints: {{grip: 0.02}}, gravity: [0.0, 0.0, -9.81]}}
joint_limits:
  shoulder:
    {{type: revolute, min_position: -140 deg, max_position: 140 deg, max_velocity: 60 deg/s,
     max_acceleration: 3.0, max_jerk: 200.0, max_effort: 60.0, {MARGINS}}}
  elbow:
    {{type: revolute, min_position: -2.0, max_position: 2.0, max_velocity: 4.0,
     max_acceleration: 10.0, max_jerk: 500.0, max_effort: 40.0, {MARGINS}}}
  slide:
    {{type: prismatic, min_position: -200 mm, max_position: 0.3, max_velocity: 250 mm/s,
     max_acceleration: 2.0, max_jerk: 100.0, max_effort: 50 N, {MARGINS}}}
  wrist:
    {{type: revolute, min_position: -3.0, max_position: 3.0, max_velocity: 2.0,
     max_acceleration: 10.0, max_jerk: 500.0, max_effort: 10.0, {MARGINS}}}
reasons: {{max_jerk: chosen for the test}}
tool:
  {{name: cup, parent: plate, xyz: [0.0, 0.02, 0.1], rpy: [0.2, 0.0, 0.4], mass: 0.3,
   com: [0.01, 0.0, 0.02], inertia: [0.001, 0.0001, 0.0, 0.002, 0.0, 0.0015],
   shapes: [{{type: box, size: [0.2, 0.1, 0.02], xyz: [0.0, 0.0, 0.03], rpy: [0.0, 0.3, 0.0]}}]}}
payload:
  {{name: ball, parent: plate, xyz: [0.0, 0.0, 0.2], mass: 0.2,
   inertia: [0.0001, 0.0, 0.0, 0.0001, 0.0, 0.0001], size: [0.05, 0.05, 0.05]}}
tcp: {{link: plate, xyz: [0.0, 0.0, 0.1], rpy: [0.0, 0.5, 0.0], max_trans_vel: 250 mm/s,
      max_force: 40 N, force_required: true}}
capsules:
  upper: [{{start: [0.0, -0.05, -0.05], end: [0.0, -0.05, 0.25], radius: 0.15}}]
  lower: [{{start: [0.0, 0.0, -0.05], end: [0.0, 0.0, 0.25], radius: 0.12}}]
  carriage: [{{start: [0.0, 0.0, 0.0], end: [0.0, 0.0, 0.0], radius: 0.14}}]
  flange: [{{start: [0.0, 0.0, 0.0], end: [0.0, 0.0, 0.0], radius: 0.05}}]
  plate: [{{start: [0.0, 0.0, 0.0], end: [0.0, 0.0, 0.0], radius: 0.08}}]
  finger: [{{start: [0.0, 0.0, -0.02], end: [0.0, 0.0, 0.02], radius: 0.03}}]
volumes:
  - {{name: floor, kind: keep_out, shape: half_space, on_violation: clamp, normal: [0, 0, 2],
     offset: -1.0}}
  - {{name: tilted, kind: keep_out, shape: box, on_violation: refuse, center: [3, 0, 0],
     rpy: [0, 0, 45 deg], size: [1, 1, 1], exempt: [upper]}}
  - {{name: far, kind: keep_out, shape: capsule, on_violation: clamp, start: [0, 3, 0],
     end: [0, 3, 1], radius: 100 mm}}
  - {{name: dome, kind: keep_in, shape: sphere, on_violation: clamp, center: [0, 0, 0],
     radius: 3.0}}
  - {{name: bin, kind: keep_out, shape: cylinder, on_violation: clamp, start: [0, -3, 0],
     end: [0, -3, 1], radius: 200 mm}}
  - {{name: fixture, kind: keep_out, shape: mesh, on_violation: clamp, file: fixture.obj,
     scale: 0.001, origin: {{xyz: [-3, 0, 0], rpy: [0, 0, 90 deg]}}}}
  - {{name: tent, kind: keep_in, shape: mesh, on_violation: clamp,
     vertices: [[-4, -4, -2], [4, -4, -2], [4, 4, -2], [-4, 4, -2], [0, 0, 9], [0, 0, 0]]}}
standoff: 5 mm
links: {{max_speed: 900 mm/s}}
zones:
  - {{name: aisle, shape: box, center: [0.5, 0, 0.5], rpy: [0, 0, 45 deg], size: [1, 1, 1],
     max_speed: 250 mm/s, on_violation: refuse, exempt: [upper]}}
  - {{name: pit, shape: mesh, file: fixture.obj, scale: 0.001, max_speed: 0.4,
     on_violation: clamp}}
self_collision:
  standoff: 1 mm
  ignore:
    - {{pair: [upper, carriage], reason: a test}}
home: {{shoulder: 0.0, elbow: 0.0, slide: 0.0, wrist: 10 deg}}
on_violation: {{joint_position: clamp, joint_velocity: clamp, joint_acceleration: clamp,
  joint_jerk: clamp, joint_effort: refuse, tcp_speed: clamp, self_collision: refuse,
  link_speed: clamp,
  contact_force: refuse}}
stop_category: cat1
timing: {{command_timeout: 100 ms, state_age_max: 20 ms, period_tolerance: 0.5,
  resample_deadline: 0.2, watchdog: 100 ms}}
classifier: {{none: not under test}}
"""


# A wedge of 200 × 100 × 100 mm, with a point inside that no hull keeps.
FIXTURE = """v 0 0 0
v 200 0 0
v 200 100 0
v 0 100 0
v 0 0 100
v 0 100 100
v 20 50 20
f 1 2 3 4
f 1 2 5
f 3 4 6
f 2 3 6 5
f 1 4 6 5
f 1 2 7
"""


def write(folder: Path, text: str = YAML) -> Path:
    """The limits file in `folder`, with its URDF beside it."""
    (folder / "small.urdf").write_text(URDF)
    (folder / "fixture.obj").write_text(FIXTURE)
    path = folder / "small.yaml"
    path.write_text(text)
    return path

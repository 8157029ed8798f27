"""The final arbiter: the coming tick *and* the stop behind it, against every limit.

Guarantees: it starts at "rejected" and accepts only on conditions proven for every instant, so a
NaN anywhere rejects; it shares no code with `project`, whose proposals it judges; nothing that it
accepts depends on what came before, only on (start, ddq_next, stop).
"""

from __future__ import annotations

from .kernels.jit import apart
from .kernels.motion import build, note_speeds
from .kernels.packed import (
    ENDS,
    HINT,
    LOOSE,
    PACKED,
    PERIOD,
    ROW,
    TABLE,
    WORK,
    Floats,
    Packed,
    Work,
)
from .kinds import (
    certified_stop,
    joint_acceleration,
    joint_effort,
    joint_jerk,
    joint_position,
    joint_velocity,
    link_speed,
    tcp_acceleration,
    tcp_rotation,
    tcp_speed,
    workspace,
)

__all__ = [
    "CERTIFIED",
    "EFFORT",
    "KINDS",
    "NO_STOP",
    "POSITION",
    "SINGULARITY",
    "SPEED",
    "TCP_ROTATIONAL",
    "certify",
]

SPEED, POSITION, EFFORT = 3, 4, joint_effort.JOINT_EFFORT
CERTIFIED, NO_STOP, TCP_ROTATIONAL, SINGULARITY = 0, 8, 10, 11
# What a rejection's code means; 0 is no rejection, NO_STOP "there is no stop, or it does not end at
# rest". SINGULARITY rejects nothing: a twist that the arm cannot make, see kernels.twist.
KINDS = (
    "",
    "joint_jerk",
    "joint_acceleration",
    "joint_velocity",
    "joint_position",
    "workspace",
    "tcp_speed",
    "joint_effort",
    "certified_stop",
    "self_collision",
    "tcp_rotational_speed",
    "singularity",
    "obstacles",
    "link_speed",
    "zone_speed",
    "tcp_acceleration",
    "tcp_rotational_acceleration",
)

_rests = certified_stop.holds
_jerk_holds = joint_jerk.holds
_acceleration_holds = joint_acceleration.holds
_velocity_holds = joint_velocity.holds
_position_holds = joint_position.holds
_body_violates = workspace.violated
_tcp_speed_holds = tcp_speed.holds
_tcp_rotation_holds = tcp_rotation.holds
_links_violate = link_speed.violated
_tcp_violates = tcp_acceleration.violated
_effort_holds = joint_effort.holds


@apart(PACKED, TABLE, ROW, ROW, LOOSE, TABLE, WORK, ROW)
def certify(
    packed: Packed,
    start: Floats,
    ddq_next: Floats,
    ticks: Floats,
    jerk: Floats,
    bounds: Floats,
    work: Work,
    report: Floats,
) -> int:
    """CERTIFIED, or the code of the first limit that could not be proven (see KINDS).

    start (n, 3) q, dq, ddq now; ddq_next (n,) at the end of the tick; ticks (m,), jerk (n, m) of
    the stop; bounds (3, n) least and largest position, largest speed; report (3,) receives
    subject, value and bound of a rejection.
    """
    build(start, ddq_next, packed.scalar[PERIOD], ticks, jerk, work.pieces, work.small[ENDS])
    note_speeds(work.pieces, work.small[ENDS], work.fastest)
    if not _jerk_holds(packed, work, report):
        return 1
    if not _acceleration_holds(packed, work, report):
        return 2
    if not _velocity_holds(bounds[2], work, report):
        return SPEED
    if not _position_holds(bounds[0], bounds[1], work, report):
        return POSITION
    # What another motion of this tick asked too much of, this one probably does, too.
    is_asked = work.small[HINT, 3] == EFFORT
    if is_asked and not _effort_holds(packed, work, report):
        return EFFORT
    code = _body_violates(packed, work, report)
    if code != CERTIFIED:
        return code
    if not _tcp_speed_holds(packed, work, report):
        return 6
    if not _tcp_rotation_holds(packed, work, report):
        return TCP_ROTATIONAL
    code = _links_violate(packed, work, report)
    if code != CERTIFIED:
        return code
    code = _tcp_violates(packed, work, report)
    if code != CERTIFIED:
        return code
    if not is_asked and not _effort_holds(packed, work, report):
        work.small[HINT, 3] = EFFORT
        return EFFORT
    if not _rests(packed, ticks, work, report):
        return NO_STOP
    return 0

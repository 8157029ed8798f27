"""Declared limits as a few contiguous float64 arrays: what the kernels read.

Python hands a kernel one flat array of them, and one of scratch memory; columns are named here,
and only here. `pack` also computes the configuration-free reaches that the interval bounds need.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numba import boolean, float64, int64, types

from ..declared import Limits, Volume
from .chain_lengths import reach_of, span_of
from .cloud_layout import no_cloud
from .views import Sizes, Views, reader, type_of

__all__ = ["Packed", "Work", "motion_shape", "pack", "packed_in", "work_for", "work_in"]

Floats = npt.NDArray[np.float64]

# Columns of `joint`.
MIN, MAX, VELOCITY, ACCELERATION, JERK, EFFORT, POSITION_ERROR, VELOCITY_ERROR = range(8)
EFFORT_ERROR, RECOVERY, PRISMATIC, POSITION_NOISE, DECELERATION = 8, 9, 10, 11, 12
CONTINUOUS = 13
# Entries of `scalar`.
PERIOD, STANDOFF, TCP_SPEED, GRAVITY = 0, 1, 2, 3  # gravity takes 3, 4 and 5
TCP_ROTATION, TWIST_LENGTH, TWIST_SPEED = 6, 7, 8
LINK_SPEED, TCP_ACCELERATION, TCP_ROTATIONAL_ACCELERATION = 9, 10, 11
KEEPS_DIRECTION = 12
# Columns of each table.
SCALARS, JOINT_COLUMNS, CHAIN_COLUMNS, BODY_COLUMNS = 13, 14, 12, 11
CAPSULE_COLUMNS, VOLUME_COLUMNS, MESH_COLUMNS, PAIR_COLUMNS = 9, 18, 4, 6
# Of `capsule`, behind joint, start and end.
RADIUS, HALF = 7, 8
# Columns of `volume`: shape, kind, then what the shape needs.
SHAPE, KIND, DATA = 0, 1, 2
HALF_SPACE, BOX, SPHERE, CAPSULE, CYLINDER, MESH = 0, 1, 2, 3, 4, 5
KEEP_IN, KEEP_OUT = 0, 1
_SHAPES = {
    "half_space": HALF_SPACE,
    "box": BOX,
    "sphere": SPHERE,
    "capsule": CAPSULE,
    "cylinder": CYLINDER,
    "mesh": MESH,
}
# Columns of `pair`: two capsules, the first nearer to the base; the sum of their radii; how far
# apart they must be; how far their middles are apart, at most, where they touch; and `eased`.
FIRST, SECOND, RADII, PAIR_STANDOFF, MIDDLES, PAIR_EASED = 0, 1, 2, 3, 4, 5
# Columns of `zone`: its speed, then for each capsule whether it is meant.
ZONE_SPEED, ZONED = 0, 1
# Rows of `small`: [s] times at which pieces begin and end (m + 2); subject, value, bound of the
# last rejection (3); a unit normal (3); a capsule's axis, moved a little (6); pairs of volume and
# capsule that are slid along (3), and see WALLS_MAX (5); of the motions that this tick
# has tried: the share of its time at which one was certainly too near, or negative, the first ease
# worth a try, the capsule or pair that was too near, and EFFORT where one needed too much (4); what
# slowed links down (6); a ball as a row of `volume` (6).
ENDS, REPORT, PLANE, SHIFTED, WALLS, HINT, PACE, BALL = range(8)
# Of `triples`, (3, n) each: least and largest position and largest speed; accelerations: wanted, on
# trial, of the slowest way; measured q and dq.
BOUNDS, WANTED, MEASURED = range(3)
# Of `motions`: the next tick of the stored stop; setpoint and stop on trial; the stop stored.
KEPT, TRIAL, STORED = range(3)
# Of `swept`: how far each joint moves each capsule [m or 1]; how far all joints up to it do, by
# their position errors, and by their motion [m].
LEVER, STILL, SWEEP = range(3)
# Of `vector`: while speeds are projected, 1 where a joint is at a bound and not asked away from it;
# the speeds, 0 of those; zeros, for what rests; speeds and ARRIVED before volumes are asked.
ARRIVED, MOVING, UNMOVED, ASKED, FREE, AT_BOUND = 3, 8, 10, 11, 12, 13
# Depth of the interval stack; halving an interval this often leaves less than rounding of it.
STACK_ROWS = 64
# What a tick can find; more is not written down.
FOUND_MAX = 32
# Rows of `open` beside those of the intervals: above 0 where a capsule or pair may have hardly any
# room at the end of the motion; and the room [m] that it has there.
NEAR, ROOM = STACK_ROWS, STACK_ROWS + 1
OPEN_ROWS = STACK_ROWS + 2
# Rows that the translation of TCP commands needs beside the Jacobian's: see kernels.jacobian.
TASK_ROWS = 24
# What is done for several capsules or joints at a time is done for a whole number of these.
LANES = 4
# Of WALLS: so many pairs at most are slid along; then kernels.restless; GENTLE of speeds in FREE.
WALLS_MAX, TURNS, UPS, ALONG, RECENT, GENTLE_FREE = 3, 3, 4, 5, 6, 7
# Of a stop: the way to its plateau, the plateau, and the way to rest.
PHASES_A_JOINT = 3
# Columns of `ray`: see kernels.pursuit.
RAY_COLUMNS = 9
# A bound that no joint can reach: what is not declared binds nothing.
UNDECLARED_RAD_S = UNDECLARED = 1e9
# A lever shorter than this is none: it keeps the weight of angles above zero.
LEVER_MIN_M = 0.05


class Packed(Views):
    """One robot's limits for the kernels; n joints, k capsules, v volumes."""

    # (13,) period [s], standoff [m], TCP speed [m/s], gravity [m/s²], TCP rotation [rad/s], the
    # TCP's mean lever [m] and the speed that a joint gives it there [m/s], link speed [m/s], TCP
    # acceleration [m/s²] and rotational acceleration [rad/s²]; 1 where joints slow down together
    scalar: Floats
    joint: Floats  # (n, 14)
    chain: Floats  # (n, 12) rotation (row-major), translation [m]
    tcp: Floats  # (3,) [m] in the last joint's frame
    body: Floats  # (n, 11) mass, COM, ixx ixy ixz iyy iyz izz, largest principal inertia
    reach: Floats  # (n + 1, n) largest distance of COM k (row n: of the TCP) from joint j's origin
    capsule: Floats  # (k, 9) joint, start, end, radius; how far its middle is from an end
    volume: Floats  # (v, 18) what is to be kept in or out of, then the places of the zones
    checked: Floats  # (v, k) 1 where the volume constrains the capsule, else 0; 0 for a zone
    mesh: Floats  # (m, 4) vertices, then planes, of each mesh volume; its row says where
    pair: Floats  # (p, 6) capsules that must not touch each other
    span: Floats  # (k, n) largest distance of capsule k's points from joint j's origin
    zone: Floats  # (z, 1 + k) speed [m/s], and 1 where the capsule is meant, else 0
    # (v, k) [m] by how much less than declared a capsule may be clear of a volume: 0, but while a
    # robot that was found too near comes back (limits.easing)
    eased: Floats
    # The last, see `with_last`: what perception sees, see limits.obstacles; else empty.
    cloud: Floats

    FIELDS: ClassVar[Sizes] = {
        "scalar": (SCALARS,),
        "joint": (None, JOINT_COLUMNS),
        "chain": (None, CHAIN_COLUMNS),
        "tcp": (3,),
        "body": (None, BODY_COLUMNS),
        "reach": (None, None),
        "capsule": (None, CAPSULE_COLUMNS),
        "volume": (None, VOLUME_COLUMNS),
        "checked": (None, None),
        "mesh": (None, MESH_COLUMNS),
        "pair": (None, PAIR_COLUMNS),
        "span": (None, None),
        "zone": (None, None),
        "eased": (None, None),
        "cloud": (None,),
    }


class Work(Views):
    """Scratch memory of the kernels; owned by one filter, never shared between threads.

    m: how many phases a stop may have.
    """

    # What belongs together shares an array, and fewer are to be declared: its rows are named above.
    pieces: Floats  # (m + 1, n, 4) q, dq, ddq at the piece's start, and its jerk
    fastest: Floats  # (m + 1, n) largest |dq| in each piece, see kernels.motion.note_speeds
    small: Floats  # (8, 8 or more) ENDS … BALL
    triples: Floats  # (3, 3, n) BOUNDS … MEASURED
    motions: Floats  # (3, n + 1, 3 + m) KEPT … STORED
    swept: Floats  # (3, k, n) LEVER … SWEEP
    rotation: Floats  # (n, 9)
    origin: Floats  # (n, 3)
    segment: Floats  # (k, 6) capsule axes in the base frame
    bent: Floats  # (k, 6) [m] how far a stop leads their ends off the straight way
    vector: Floats  # (14, n) per-joint scratch; UNMOVED is never written to
    spatial: Floats  # (n, 24) per-link scratch of the inverse dynamics, and of link twists
    stack: Floats  # (STACK_ROWS, 2)
    ray: Floats  # (n, RAY_COLUMNS) see kernels.pursuit
    start: Floats  # (n, 3) q, dq, ddq at the start of the tick
    task: Floats  # (n + TASK_ROWS, 6) scratch of the translation of TCP commands
    known: Floats  # (k,) whether `swept` is that of the configuration looked at: 0, ROUGH or EXACT
    total: Floats  # (k,) [m] of `swept`: by all joints, errors and motion
    open: Floats  # (OPEN_ROWS, k + p) 1 where a capsule or a pair is not yet decided; NEAR, ROOM
    phases: Floats  # (n, 6) ticks and jerks of the stops that joints have for themselves
    combined: Floats  # (m + 1, 1, 4) pieces of a sum of joint motions
    turn: Floats  # (3, n or more) see kernels.angles
    middle: Floats  # (3, k or more) [m] x, y, z of the middle of each capsule's axis
    afar: Floats  # (v, k or more) see kernels.broad_phase
    simplex: Floats  # (5, 3) of the distance to a convex body
    efforts: Floats  # (6, n) at the start of a piece, and at the ends behind it that wait
    wanted: Floats  # (3, n) what a command asks for now: see kernels.reference
    found: Floats  # (FOUND_MAX, 4) kind, subject, value and bound of what was found in a tick

    FIELDS: ClassVar[Sizes] = {
        "pieces": (None, None, 4),
        "fastest": (None, None),
        "small": (8, None),
        "triples": (3, 3, None),
        "motions": (3, None, None),
        "swept": (3, None, None),
        "rotation": (None, 9),
        "origin": (None, 3),
        "segment": (None, 6),
        "bent": (None, 6),
        "vector": (14, None),
        "spatial": (None, 24),
        "stack": (STACK_ROWS, 2),
        "ray": (None, RAY_COLUMNS),
        "start": (None, 3),
        "task": (None, 6),
        "known": (None,),
        "total": (None,),
        "open": (OPEN_ROWS, None),
        "phases": (None, 6),
        "combined": (None, 1, 4),
        "turn": (3, None),
        "middle": (3, None),
        "afar": (None, None),
        "simplex": (5, 3),
        "efforts": (6, None),
        "wanted": (3, None),
        "found": (None, 4),
    }


# The types of arguments, for kernels.jit.apart.
PACKED, WORK = type_of(Packed), type_of(Work)
ROW, TABLE, LOOSE = float64[::1], float64[:, ::1], float64[:, :]
READ_ONLY = types.Array(float64, 2, "C", readonly=True)  # a table that a caller may write to, too
NUMBER, WHOLE, FLAG = float64, int64, boolean
# A record of its flat array.
packed_in, work_in = reader(Packed), reader(Work)


def _cylinder(volume: Volume) -> tuple[object, ...]:
    start, end = np.asarray(volume.start), np.asarray(volume.end)
    length = float(np.linalg.norm(end - start))
    return start, end, volume.radius, (end - start) / length, length


def _mesh(volume: Volume, first: int) -> tuple[object, ...]:
    """See kernels.convex. first: the row of `mesh` that the volume's vertices begin at."""
    vertices, planes = np.asarray(volume.vertices), np.asarray(volume.planes)
    center = (vertices.min(axis=0) + vertices.max(axis=0)) / 2.0
    ball = float(np.linalg.norm(vertices - center, axis=1).max()) * (1.0 + 1e-9)
    rows = (first, len(vertices), first + len(vertices), len(planes))
    return (*rows, center, ball)


def _volume_row(volume: Volume, first: int) -> Floats:
    row = np.zeros(VOLUME_COLUMNS)
    row[SHAPE] = _SHAPES[volume.shape]
    row[KIND] = KEEP_OUT if volume.kind == "keep_out" else KEEP_IN
    if volume.shape in ("cylinder", "mesh"):
        fields = _cylinder(volume) if volume.shape == "cylinder" else _mesh(volume, first)
        data = np.concatenate([np.ravel(np.asarray(v, dtype=np.float64)) for v in fields])
        row[DATA : DATA + data.size] = data
        return row
    fields = {
        "half_space": (volume.normal, volume.offset),
        "box": (volume.center, volume.rotation, volume.half_extents),
        "sphere": (volume.center, volume.radius),
        "capsule": (volume.start, volume.end, volume.radius),
    }[volume.shape]
    data = np.concatenate([np.ravel(np.asarray(value, dtype=np.float64)) for value in fields])
    row[DATA : DATA + data.size] = data
    return row


def _volumes(volumes: tuple[Volume, ...]) -> tuple[Floats, Floats]:
    """The tables `volume` and `mesh`."""
    rows, mesh = [], [np.zeros((0, MESH_COLUMNS))]
    for volume in volumes:
        rows.append(_volume_row(volume, sum(len(part) for part in mesh)))
        if volume.vertices is not None and volume.planes is not None:
            corners = np.hstack([volume.vertices, np.zeros((len(volume.vertices), 1))])
            mesh += [corners, np.asarray(volume.planes)]
    table = np.array(rows, dtype=np.float64).reshape(len(volumes), VOLUME_COLUMNS)
    return table, np.ascontiguousarray(np.concatenate(mesh))


def _pairs(limits: Limits) -> Floats:
    """Every two capsules of the links that self-collision keeps apart."""
    declared, capsules = limits.self_collision, limits.capsules
    rows = []
    for one, other in () if declared is None else declared.pairs:
        for a, first in enumerate(capsules):
            for b, second in enumerate(capsules):
                if (first.name, second.name) == (one, other) and declared is not None:
                    radii = first.radius + second.radius
                    halves = [float(np.linalg.norm(c.end - c.start)) / 2.0 for c in (first, second)]
                    rows.append((a, b, radii, declared.standoff, radii + sum(halves), 0.0))
    return np.array(rows, dtype=np.float64).reshape(len(rows), PAIR_COLUMNS)


def _zones(limits: Limits) -> Floats:
    rows = [
        [zone.max_speed, *(float(c.name not in zone.volume.exempt) for c in limits.capsules)]
        for zone in limits.zones
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 1 + len(limits.capsules))


def _lever(limits: Limits, reach: Floats) -> tuple[float, float]:
    """Mean over the joints of the TCP's largest lever [m], and of the speed it has there [m/s]."""
    levers = np.maximum(reach, LEVER_MIN_M)
    # What is not finite is refused where it stands, in the table of joints.
    speeds = np.nan_to_num([joint.max_velocity for joint in limits.joints])
    return float(levers.mean()), float((levers * speeds).mean())


def _declared(bound: float | None) -> float:
    return UNDECLARED if bound is None else bound


def pack(limits: Limits) -> Packed:
    """Copy `limits` into the arrays that the kernels read."""
    kinematics, n = limits.kinematics, len(limits.joints)
    joint = np.array(
        [
            (
                j.min_position, j.max_position, j.max_velocity, j.max_acceleration, j.max_jerk,
                j.max_effort, j.position_error, j.velocity_error, j.effort_error,
                j.recovery_velocity, float(j.type == "prismatic"), j.position_noise, j.deceleration,
                float(j.is_continuous),
            )
            for j in limits.joints
        ],
        dtype=np.float64,
    )  # fmt: skip
    chain = np.hstack([kinematics.rotation.reshape(n, 9), kinematics.translation])
    upper = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    tensor = np.array([[inertia[r, c] for r, c in upper] for inertia in kinematics.inertia])
    principal = np.array([[np.linalg.eigvalsh(inertia)[-1]] for inertia in kinematics.inertia])
    capsules = [
        np.r_[c.joint, c.start, c.end, c.radius, 0.5 * np.linalg.norm(np.subtract(c.end, c.start))]
        for c in limits.capsules
    ]
    volume, mesh = _volumes((*limits.volumes, *(zone.volume for zone in limits.zones)))
    checked = [[c.name not in v.exempt for c in limits.capsules] for v in limits.volumes]
    checked += [[False] * len(limits.capsules)] * len(limits.zones)
    count, reach = len(limits.capsules), reach_of(limits)
    tcp = limits.tcp
    return Packed.of(
        scalar=np.r_[
            limits.period_s,
            limits.standoff,
            limits.tcp.max_trans_vel,
            kinematics.gravity,
            _declared(tcp.max_rot_vel),
            _lever(limits, reach[n]),
            _declared(limits.links.max_speed),
            _declared(tcp.max_trans_acc),
            _declared(tcp.max_rot_acc),
            float(limits.keeps_direction),
        ],
        joint=joint,
        chain=np.ascontiguousarray(chain),
        tcp=np.array(kinematics.tcp_translation),
        body=np.hstack([kinematics.mass[:, None], kinematics.com, tensor, principal]),
        reach=reach,
        capsule=np.array(capsules, dtype=np.float64).reshape(count, CAPSULE_COLUMNS),
        volume=volume,
        checked=np.array(checked, dtype=np.float64).reshape(len(volume), count),
        mesh=mesh,
        pair=_pairs(limits),
        span=span_of(limits),
        zone=_zones(limits),
        eased=np.zeros((len(volume), count)),
        cloud=no_cloud(count),
    )


def motion_shape(n: int) -> tuple[int, int]:
    """Of a motion of n joints, see limits.core: each may have the phases of its stop for itself."""
    return n + 1, 3 + PHASES_A_JOINT * n


def _lanes(count: int) -> int:
    """So many columns that whoever takes LANES of them at a time has none left over."""
    return -(-count // LANES) * LANES


def work_for(packed: Packed) -> Work:
    """Scratch memory that fits `packed`."""
    n, k = packed.joint.shape[0], packed.capsule.shape[0]
    phases, lanes = PHASES_A_JOINT * n, _lanes(k)
    return Work.of(
        pieces=np.zeros((phases + 1, n, 4)),
        fastest=np.full((phases + 1, n), np.inf),
        small=np.zeros((8, max(8, phases + 2))),
        triples=np.zeros((3, 3, n)),
        motions=np.zeros((3, *motion_shape(n))),
        swept=np.zeros((3, k, n)),
        rotation=np.zeros((n, 9)),
        origin=np.zeros((n, 3)),
        segment=np.zeros((k, 6)),
        bent=np.zeros((k, 6)),
        vector=np.zeros((14, n)),
        spatial=np.zeros((n, 24)),
        stack=np.zeros((STACK_ROWS, 2)),
        ray=np.zeros((n, RAY_COLUMNS)),
        start=np.zeros((n, 3)),
        task=np.zeros((n + TASK_ROWS, 6)),
        known=np.zeros(k),
        total=np.zeros(k),
        open=np.zeros((OPEN_ROWS, k + packed.pair.shape[0])),
        phases=np.zeros((n, 6)),
        combined=np.zeros((phases + 1, 1, 4)),
        turn=np.zeros((3, _lanes(n))),
        middle=np.zeros((3, lanes)),
        afar=np.zeros((packed.volume.shape[0], lanes)),
        simplex=np.zeros((5, 3)),
        efforts=np.zeros((6, n)),
        wanted=np.zeros((3, n)),
        found=np.zeros((FOUND_MAX, 4)),
    )

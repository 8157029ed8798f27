"""Reads the frozen form into `Limits`. The runtime reads nothing else: no YAML, no URDF.

Guarantees:
- Strict JSON: no NaN or Infinity (Python's own parser takes them), no duplicate keys, no unknown or
  missing fields, bounded size; every number is finite, every array has its length.
- Values that only a wrong hand could have written are refused, though the freezer never writes
  them: swapped bounds, a rotation that is none, a negative mass, a capsule on a joint too many.
- The SHA-256 is over the bytes as they are on disk.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .declared import (
    CONTINUOUS_MAX_RAD,
    Capsule,
    ClassifierLimits,
    JointLimits,
    Kinematics,
    Limits,
    LinkLimits,
    TcpLimits,
    Timing,
    Variant,
    Volume,
    Zone,
)
from .errors import FormatError, LimitsFileError
from .frozen_gripper import gripper_of
from .frozen_layout import (
    BoxLayout,
    CapsuleLayout,
    CapsuleVolumeLayout,
    ClassifierLayout,
    CylinderLayout,
    Document,
    HalfSpaceLayout,
    JointLayout,
    KinematicsLayout,
    MeshLayout,
    NoneLayout,
    SphereLayout,
    VolumeLayout,
)
from .frozen_pairs import self_collision_of
from .frozen_perception import perception_of
from .polyhedra import why_not_solid
from .records import Array, frozen_array

__all__ = ["FORMAT", "KIND", "parse_frozen"]

FORMAT = 1
KIND = "checkrein/frozen-limits"
BYTES_MAX = 4 << 20
ORTHONORMAL_MAX = 1e-9


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"the key {key!r} appears twice")
        out[key] = value
    return out


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is not finite")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _plain(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > BYTES_MAX:
        raise LimitsFileError(f"{where}: {len(data)} bytes, more than {BYTES_MAX}")
    try:
        plain = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_twins,
            parse_float=_finite_float,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise LimitsFileError(f"{where}: not strict JSON: {error}") from error
    if not isinstance(plain, dict) or plain.get("kind") != KIND:
        raise LimitsFileError(f"{where}: not a frozen limits file (kind: {KIND!r})")
    version = plain.get("format")
    if isinstance(version, bool) or not isinstance(version, int) or version != FORMAT:
        raise FormatError(f"{where}: format {version!r}, this release reads format {FORMAT}")
    return plain


def _rotation(values: list[float], where: str) -> Array:
    matrix = frozen_array(values, where).reshape(3, 3)
    off = float(np.abs(matrix @ matrix.T - np.eye(3)).max())
    if not (off <= ORTHONORMAL_MAX and float(np.linalg.det(matrix)) > 0.0):
        raise LimitsFileError(f"{where}: not a rotation")
    return matrix


def _inertia(six: list[float], where: str) -> Array:
    xx, xy, xz, yy, yz, zz = six
    matrix = frozen_array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], where)
    if not float(np.linalg.eigvalsh(matrix).min()) >= -1e-9:
        raise LimitsFileError(f"{where}: not positive semidefinite")
    return matrix


def _kinematics(chain: KinematicsLayout) -> Kinematics:
    return Kinematics(
        rotation=frozen_array(
            [_rotation(p.rotation, f"kinematics.joints.{i}") for i, p in enumerate(chain.joints)],
            "kinematics.joints",
        ),
        translation=frozen_array([p.translation for p in chain.joints], "kinematics.joints"),
        tcp_rotation=_rotation(chain.tcp.rotation, "kinematics.tcp"),
        tcp_translation=frozen_array(chain.tcp.translation, "kinematics.tcp"),
        mass=frozen_array([link.mass for link in chain.links], "kinematics.links"),
        com=frozen_array([link.com for link in chain.links], "kinematics.links"),
        inertia=frozen_array(
            [_inertia(k.inertia, f"kinematics.links.{i}") for i, k in enumerate(chain.links)],
            "kinematics.links",
        ),
        gravity=frozen_array(chain.gravity, "kinematics.gravity"),
    )


def _capsules(layouts: list[CapsuleLayout]) -> tuple[Capsule, ...]:
    return tuple(
        Capsule(
            c.name,
            c.joint,
            frozen_array(c.start, c.name),
            frozen_array(c.end, c.name),
            float(c.radius),
        )
        for c in layouts
    )


def _volume(volume: VolumeLayout) -> Volume:
    shape = {
        HalfSpaceLayout: "half_space",
        BoxLayout: "box",
        SphereLayout: "sphere",
        CapsuleVolumeLayout: "capsule",
        CylinderLayout: "cylinder",
        MeshLayout: "mesh",
    }
    fields: dict[str, Any] = {}
    for name in ("normal", "center", "half_extents", "start", "end", "vertices", "planes"):
        if hasattr(volume, name):
            fields[name] = frozen_array(getattr(volume, name), f"volumes.{volume.name}.{name}")
    if isinstance(volume, HalfSpaceLayout):
        fields["offset"] = float(volume.offset)
        if not abs(float(np.sqrt(fields["normal"] @ fields["normal"])) - 1.0) <= 1e-9:
            raise LimitsFileError(f"volumes.{volume.name}.normal: not of length 1")
    elif isinstance(volume, BoxLayout):
        fields["rotation"] = _rotation(volume.rotation, f"volumes.{volume.name}.rotation")
        if not all(half > 0.0 for half in volume.half_extents):
            raise LimitsFileError(f"volumes.{volume.name}.half_extents: must be above 0")
    elif isinstance(volume, MeshLayout):
        wrong = why_not_solid(fields["vertices"], fields["planes"])
        if wrong is not None:
            raise LimitsFileError(f"volumes.{volume.name}: {wrong}")
    else:
        fields["radius"] = float(volume.radius)
    if isinstance(volume, CylinderLayout) and not math.dist(volume.start, volume.end) > 1e-6:
        raise LimitsFileError(f"volumes.{volume.name}: start and end are the same point")
    return Volume(
        volume.name,
        volume.kind,
        shape[type(volume)],  # type: ignore[arg-type]
        volume.on_violation,
        tuple(volume.exempt),
        **fields,
    )


def _range(joint: JointLayout) -> tuple[float, float]:
    """Least and largest position; of a continuous joint, as far as its turns are counted."""
    low, high, where = joint.min_position, joint.max_position, f"joints.{joint.name}"
    is_continuous = joint.type == "continuous"
    if is_continuous is not (joint.position_targets is not None):
        raise LimitsFileError(f"{where}.position_targets: of continuous joints, and of each")
    if is_continuous and low is None and high is None:
        return -CONTINUOUS_MAX_RAD, CONTINUOUS_MAX_RAD
    if is_continuous or low is None or high is None:
        raise LimitsFileError(
            f"{where}: min_position, max_position: both of a {joint.type} joint"
            if not is_continuous
            else f"{where}: a continuous joint has no min_position and no max_position"
        )
    return low, high


def _joint(layout: JointLayout) -> JointLimits:
    fields: dict[str, Any] = msgspec.structs.asdict(layout)
    fields["min_position"], fields["max_position"] = _range(layout)
    return JointLimits(**fields)


def _check(document: Document) -> None:
    n = len(document.joints)
    for name, length in (
        ("kinematics.joints", len(document.kinematics.joints)),
        ("kinematics.links", len(document.kinematics.links)),
        ("home", len(document.home)),
    ):
        if length != n:
            raise LimitsFileError(f"{name}: {length} entries for {n} joints")
    for joint, home in zip(document.joints, document.home, strict=True):
        low, high = _range(joint)
        if not low < high:
            raise LimitsFileError(
                f"joints.{joint.name}: min_position {low:g} is not below max_position {high:g}"
            )
        if not low <= home <= high:
            raise LimitsFileError(
                f"home: {joint.name} at {home:g} is outside its limits {low:g} to {high:g}"
            )
        for part, whole in (
            ("velocity_error", "max_velocity"),
            ("effort_error", "max_effort"),
            ("recovery_velocity", "max_velocity"),
        ):
            if not getattr(joint, part) <= getattr(joint, whole):
                raise LimitsFileError(
                    f"joints.{joint.name}.{part}: {getattr(joint, part):g} exceeds {whole}, "
                    f"{getattr(joint, whole):g}"
                )
    on, tcp = document.on_violation, document.tcp
    for path, value, kind in (
        ("tcp.max_rot_vel", tcp.max_rot_vel, "tcp_rotational_speed"),
        ("tcp.max_trans_acc", tcp.max_trans_acc, "tcp_acceleration"),
        ("tcp.max_rot_acc", tcp.max_rot_acc, "tcp_rotational_acceleration"),
        ("links.max_speed", document.links, "link_speed"),
    ):
        if (value is None) is not (getattr(on, kind) is None):
            raise LimitsFileError(f"{path}, on_violation.{kind}: one of two")
    names = [joint.name for joint in document.joints]
    if len(set(names)) != n:
        raise LimitsFileError("joints: a name is used twice")
    others = [] if document.variants is None else document.variants.others
    for variant in others:
        chain = variant.kinematics
        for name, length in (("joints", len(chain.joints)), ("links", len(chain.links))):
            if length != n:
                raise LimitsFileError(f"variants.kinematics.{name}: {length} for {n} joints")
    every = [*document.capsules, *(capsule for v in others for capsule in v.capsules)]
    for capsule in every:
        if capsule.joint >= n:
            raise LimitsFileError(f"capsules.{capsule.name}: joint {capsule.joint} of {n}")
    _check_places(document)


def _check_places(document: Document) -> None:
    """Volumes and zones: their names, and whom they exempt."""
    others = [] if document.variants is None else document.variants.others
    every = [*document.capsules, *(capsule for v in others for capsule in v.capsules)]
    capsules = {capsule.name for capsule in every}
    places = [("volumes", volume) for volume in document.volumes]
    places += [("zones", zone.volume) for zone in document.zones]
    if len({place.name for _, place in places}) != len(places):
        raise LimitsFileError("volumes, zones: a name is used twice")
    for section, place in places:
        for name in place.exempt:
            if name not in capsules:
                raise LimitsFileError(
                    f"{section}.{place.name}.exempt: no capsule {name!r}; there "
                    f"are: {', '.join(sorted(capsules))}"
                )
        if section == "zones" and place.kind != "keep_out":
            raise LimitsFileError(f"zones.{place.name}.volume.kind: {place.kind}, not keep_out")


def _classifier(plain: dict[str, Any], folder: Path) -> ClassifierLimits:
    if "none" in plain:
        reason = msgspec.convert(plain, NoneLayout, strict=True).none
        return ClassifierLimits(None, None, None, None, reason)
    declared = msgspec.convert(plain, ClassifierLayout, strict=True)
    return ClassifierLimits(
        str(folder / declared.file),
        declared.sha256,
        declared.threshold,
        declared.rescore_deviation,
        None,
    )


def parse_frozen(data: bytes, where: str, folder: Path) -> Limits:
    """`Limits` from frozen bytes. folder: where the classifier's file is looked for."""
    plain = _plain(data, where)
    try:
        document = msgspec.convert(plain, Document, strict=True)
        _check(document)
        return _limits(document, data, folder)
    except msgspec.ValidationError as error:
        raise LimitsFileError(f"{where}: {error}") from error
    except LimitsFileError as error:
        raise LimitsFileError(f"{where}: {error}") from error


def _limits(document: Document, data: bytes, folder: Path) -> Limits:
    timing, on = document.timing, document.on_violation
    limits = Limits(
        name=document.name,
        sha256=hashlib.sha256(data).hexdigest(),
        format=document.format,
        period_s=document.period_s,
        joints=tuple(_joint(j) for j in document.joints),
        kinematics=_kinematics(document.kinematics),
        capsules=_capsules(document.capsules),
        volumes=tuple(_volume(v) for v in document.volumes),
        standoff=float(document.standoff),
        tcp=TcpLimits(**msgspec.structs.asdict(document.tcp)),
        timing=Timing(**msgspec.structs.asdict(timing)),
        home=frozen_array(document.home, "home"),
        on_violation={k: v for k, v in msgspec.structs.asdict(on).items() if v is not None},
        stop_category=document.stop_category,
        classifier=_classifier(document.classifier, folder),
        source=document.source,
        provenance=document.provenance,
        self_collision=self_collision_of(document),
        links=LinkLimits() if document.links is None else LinkLimits(document.links.max_speed),
        zones=tuple(Zone(_volume(z.volume), float(z.max_speed)) for z in document.zones),
        ramp_s=0.0 if document.arming is None else document.arming.ramp_s,
        perception=perception_of(document),
        keeps_direction=document.motion is None or document.motion.keep_direction,
        gripper=gripper_of(document),
    )
    return limits if document.variants is None else _with_variants(limits, document)


def _with_variants(limits: Limits, document: Document) -> Limits:
    """The same limits, which also know every other tool and payload of the file."""
    declared = document.variants
    if declared is None:
        return limits
    own = Variant(
        declared.tool,
        declared.payload,
        limits.kinematics,
        limits.capsules,
        limits.self_collision,
    )
    others = [
        Variant(
            v.tool,
            v.payload,
            _kinematics(v.kinematics),
            _capsules(v.capsules),
            self_collision_of(document, v),
        )
        for v in declared.others
    ]
    names = [(v.tool, v.payload) for v in (own, *others)]
    if len(set(names)) != len(names):
        raise LimitsFileError("variants: a choice of tool and payload appears twice")
    return replace(limits, tool=own.tool, payload=own.payload, variants=(own, *others))

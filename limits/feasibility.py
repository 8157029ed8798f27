"""Whether declared limits leave the robot anything to do; a contradiction names the two parties.

Guarantees, of limits that pass:
- The home position is within its limits and at rest there every link clears every volume, tracking
  errors and standoff included, and every two links that must not touch each other are apart.
- At least 1 % of sampled configurations are such, and hold themselves and each joint's declared
  acceleration, with payload, within the declared efforts.
- No two links that must not touch each other do so wherever the robot is: such a pair has
  capsules that overlap by construction, and belongs into self_collision.ignore.
- Where the speed of links is limited, what is declared of the servos' velocity errors leaves more
  than rest of it, in every sampled configuration.
- Every joint can stop from its declared velocity within its declared range.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .declared import JointLimits, Limits
from .errors import FeasibilityError
from .posture import (
    capsule_pairs,
    clearances,
    efforts,
    pair_clearances,
    pair_sweeps,
    speed_errors,
    sweep_bounds,
)
from .records import Array

__all__ = ["check_feasible", "stop_distance"]

SAMPLES = 400
SHARE_MIN = 0.01
TOUCHING_MAX = 0.9  # of the samples; a pair that touches more often always does
SEED = 0


def stop_distance(joint: JointLimits, period_s: float) -> float:
    """Way [rad or m] of a stop from max_velocity, one tick of reaction included.

    Acceleration ramps to -a within ceil(a/(j·T)) ticks, stays, and ramps back to 0.
    """
    v, a, j = joint.max_velocity, joint.deceleration, joint.max_jerk
    ramp = math.ceil(a / (j * period_s)) * period_s
    # A symmetric trapezoid of acceleration loses v at the mean velocity v/2; below, a triangle.
    duration = v / a + ramp if v > a * ramp else 2.0 * math.sqrt(v * ramp / a)
    return v * (period_s + duration / 2.0)


def _units(joint: JointLimits) -> tuple[str, str]:
    return ("m", "N") if joint.type == "prismatic" else ("rad", "N·m")


def _braking(joint: JointLimits) -> str:
    """The field that bounds how fast it stops."""
    return "max_acceleration" if joint.max_deceleration is None else "max_deceleration"


def _pushed(joint: JointLimits) -> str:
    """The larger of its two accelerations, by its path."""
    field = _braking(joint) if joint.deceleration > joint.max_acceleration else "max_acceleration"
    return f"joint_limits.{joint.name}.{field}"


def _margin(joint: JointLimits) -> str:
    return "tracking_error and position_noise" if joint.position_noise else "tracking_error"


def _check_joints(limits: Limits) -> None:
    for joint, home in zip(limits.joints, limits.home, strict=True):
        unit = _units(joint)[0]
        low = joint.min_position + joint.position_error
        high = joint.max_position - joint.position_error
        if not low <= home <= high:
            raise FeasibilityError(
                f"home and joint_limits.{joint.name} contradict each other: home is {home:g} "
                f"{unit}, allowed are {low:g} to {high:g} {unit} ({_margin(joint)} included)"
            )
        way, room = stop_distance(joint, limits.period_s), high - low
        if not way <= room:
            raise FeasibilityError(
                f"joint_limits.{joint.name}: max_velocity and the position range contradict each "
                f"other: a stop from {joint.max_velocity:g} {unit}/s takes {way:.3g} {unit}, the "
                f"range is {room:.3g} {unit}; lower max_velocity or raise {_braking(joint)}"
            )


def _room(limits: Limits, q: Array) -> Array:
    """What is left (m, v, k) [m] of each clearance after tracking errors and standoff."""
    return clearances(limits, q) - sweep_bounds(limits, q)[:, None] - limits.standoff


def _apart(limits: Limits, q: Array) -> Array:
    """What is left (m, p) [m] between the links of each pair after tracking errors and standoff."""
    standoff = 0.0 if limits.self_collision is None else limits.self_collision.standoff
    return pair_clearances(limits, q) - pair_sweeps(limits, q) - standoff


def _pair(limits: Limits, p: int) -> tuple[str, str]:
    first, second = capsule_pairs(limits)[p]
    return limits.capsules[first].name, limits.capsules[second].name


def _check_pairs(limits: Limits, q: Array) -> npt.NDArray[np.bool_]:
    """Which of the samples q (m, n) keep all links apart (m,); the home position must."""
    if not len(capsule_pairs(limits)):
        return np.ones(len(q), dtype=bool)
    home = _apart(limits, limits.home[None])[0]
    if not float(home.min()) > 0.0:
        p = int(home.argmin())
        one, other = _pair(limits, p)
        raise FeasibilityError(
            f"home: links {one!r} and {other!r} contradict each other: {-home[p] * 1e3:.1f} mm are "
            f"missing between them (standoff and tracking errors included); move home, fit tighter "
            f"capsules, or put [{one}, {other}] into self_collision.ignore, with the reason why it "
            f"is no harm"
        )
    touching = _apart(limits, q) <= 0.0
    share = touching.mean(axis=0)
    if not float(share.max()) <= TOUCHING_MAX:
        p = int(share.argmax())
        one, other = _pair(limits, p)
        raise FeasibilityError(
            f"self_collision: links {one!r} and {other!r} touch in {share[p]:.0%} of {len(q)} "
            f"sampled configurations, as capsules at least; put [{one}, {other}] into "
            f"self_collision.ignore, with the reason why it is no harm"
        )
    return np.asarray(~touching.any(axis=1))


def _needed(limits: Limits, q: Array) -> Array:
    """Largest effort (m, cases, n) at rest and with each joint at ± its larger acceleration."""
    n = len(limits.joints)
    still = np.zeros_like(q)
    cases = [efforts(limits, q, still, still)]
    for j, joint in enumerate(limits.joints):
        ddq = np.zeros((1, n))
        ddq[0, j] = max(joint.max_acceleration, joint.deceleration)
        step = efforts(limits, q, still, np.broadcast_to(ddq, q.shape)) - cases[0]
        cases += [cases[0] + step, cases[0] - step]
    return np.abs(np.stack(cases, axis=1))


def _check_home(limits: Limits) -> None:
    q = limits.home[None]
    room = _room(limits, q)[0]
    if room.size and not float(room.min()) > 0.0:
        v, k = np.unravel_index(int(room.argmin()), room.shape)
        raise FeasibilityError(
            f"home: link {limits.capsules[k].name!r} and volume {limits.volumes[v].name!r} "
            f"contradict each other: {-room[v, k] * 1e3:.1f} mm are missing (standoff and "
            f"tracking errors included)"
        )
    needed = _needed(limits, q)[0]
    allowed = np.array([joint.max_effort - joint.effort_error for joint in limits.joints])
    over = needed - allowed
    if not float(over.max()) <= 0.0:
        # Too weak to hold still is the clearer message, so it goes first.
        held = over[:1] if float(over[0].max()) > 0.0 else over
        case, i = np.unravel_index(int(held.argmax()), held.shape)
        joint = limits.joints[i]
        unit = _units(joint)[1]
        what = (
            "holding the robot and its payload"
            if case == 0
            else _pushed(limits.joints[(int(case) - 1) // 2])
        )
        raise FeasibilityError(
            f"home: {what} and joint_limits.{joint.name}.max_effort contradict each other: it "
            f"takes {needed[case, i]:.3g} {unit}, allowed are {allowed[i]:.3g} {unit} (max_effort "
            f"less effort_error)"
        )


def _check_samples(limits: Limits) -> None:
    low = np.array([joint.min_position for joint in limits.joints])
    high = np.array([joint.max_position for joint in limits.joints])
    q = np.random.default_rng(SEED).uniform(low, high, (SAMPLES, len(low)))
    _check_speeds(limits, q)
    blocked = _room(limits, q) <= 0.0  # (m, v, k)
    apart = _check_pairs(limits, q)
    clear = ~blocked.any(axis=(1, 2)) & apart
    if not float(apart.mean()) >= SHARE_MIN:
        raise FeasibilityError(
            f"self_collision: only {apart.mean():.1%} of {SAMPLES} sampled configurations keep "
            f"all links apart, at least {SHARE_MIN:.0%} must; fit tighter capsules or declare a "
            f"smaller standoff"
        )
    if not float(clear.mean()) >= SHARE_MIN:
        share = blocked.mean(axis=0)
        v, k = np.unravel_index(int(share.argmax()), share.shape)
        raise FeasibilityError(
            f"only {clear.mean():.1%} of {SAMPLES} sampled configurations clear every volume "
            f"and keep all links apart, at least {SHARE_MIN:.0%} must: link "
            f"{limits.capsules[k].name!r} and volume {limits.volumes[v].name!r} alone block "
            f"{share[v, k]:.1%}"
        )
    allowed = np.array([joint.max_effort - joint.effort_error for joint in limits.joints])
    over = np.any(_needed(limits, q[clear]) > allowed, axis=1)  # (m, n)
    fits = float((~over.any(axis=1)).sum()) / SAMPLES
    if not fits >= SHARE_MIN:
        joint = limits.joints[int(over.mean(axis=0).argmax())]
        raise FeasibilityError(
            f"only {fits:.1%} of {SAMPLES} sampled configurations hold themselves and their "
            f"payload at the declared accelerations, at least {SHARE_MIN:.0%} must: "
            f"joint_limits.{joint.name}.max_effort is exceeded in {over.mean(axis=0).max():.1%} "
            f"of those that clear every volume"
        )


def _check_speeds(limits: Limits, q: Array) -> None:
    """Whether links may move at all, in the configurations q (m, n)."""
    bounds: list[tuple[str, float, tuple[str, ...]]] = []
    if limits.links.max_speed is not None:
        bounds.append(("links.max_speed", limits.links.max_speed, ()))
    for zone in limits.zones:
        bounds.append((f"zones.{zone.volume.name}", zone.max_speed, zone.volume.exempt))
    if not bounds:
        return
    errors = speed_errors(limits, q).max(axis=0)
    for path, bound, exempt in bounds:
        for capsule, error in zip(limits.capsules, errors.tolist(), strict=True):
            if capsule.name not in exempt and not error < bound:
                raise FeasibilityError(
                    f"{path} and velocity_error contradict each other: the servos' errors alone "
                    f"move link {capsule.name!r} by up to {error:.3g} m/s, allowed are "
                    f"{bound:g} m/s; raise it, or declare smaller velocity errors"
                )


def check_feasible(limits: Limits) -> None:
    """Raise FeasibilityError, which names what contradicts what."""
    _check_joints(limits)
    _check_home(limits)
    _check_samples(limits)

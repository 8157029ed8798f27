"""The features mean what they say: against slow numpy, known motions, and hostile numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.limits.slow_chain import jacobian, tcp
from tests.models.slow_features import knots
from tests.robots import panda, shipped, slider, turntable

from checkrein.limits import Limits, load_limits
from checkrein.limits.kernels.reference import MODE_CODES
from checkrein.limits.records import TCP_MODES, Array
from checkrein.models.classifier import Classifier
from checkrein.models.features import (
    HORIZON_S,
    KNOT_NAMES,
    KNOTS,
    SCALAR_NAMES,
    SIZE,
    WINDOW_S,
    WINDOWS_MAX,
    Features,
)

ROBOTS = {
    "panda": panda,
    "xarm6": lambda: shipped("xarm6"),
    "slider": slider,
    "turntable": turntable,
}
MODES = tuple(MODE_CODES)
JOINT_MODES = MODES[:3]


@pytest.fixture(scope="module", params=list(ROBOTS))
def robot(request: pytest.FixtureRequest) -> tuple[Limits, Features]:
    limits = ROBOTS[request.param]()
    return limits, Features(limits)


def random_command(
    limits: Limits, rng: np.random.Generator, mode: str
) -> tuple[Array, Array, float, Array]:
    """(start, rows, row period, anchor) of a lively but sane command."""
    n = len(limits.joints)
    speed = np.array([joint.max_velocity for joint in limits.joints])
    push = np.array([joint.max_acceleration for joint in limits.joints])
    start = np.column_stack(
        (limits.home, 0.3 * speed * rng.uniform(-1, 1, n), 0.2 * push * rng.uniform(-1, 1, n))
    )
    count, row_s = [(16, 0.05), (40, 0.02), (4, 0.1), (1, 0.0)][int(rng.integers(4))]
    share = np.cumsum(rng.normal(0.0, 0.3, (count, n)), axis=0)
    rows = share * speed
    if mode == "joint_position":
        rows = limits.home + 0.2 * share
    if mode == "joint_delta":
        rows = share * speed * (row_s or 0.1)
    if mode in TCP_MODES:
        rows = np.cumsum(rng.normal(0.0, 0.1, (count, 6)), axis=0)
        rows = rows if mode == "tcp_twist" else rows * (row_s or 0.1)
    return start, rows, row_s, np.ascontiguousarray(start[:, :2].T)


def read(features: Features, window: int = 0) -> tuple[dict[str, Array], dict[str, float]]:
    """Knots of the last window by name (KNOTS,), and the scalars of `window`."""
    row = features.out[window].astype(np.float64)
    return (
        {name: features.knots[:, i] for i, name in enumerate(KNOT_NAMES)},
        dict(zip(SCALAR_NAMES, row[-len(SCALAR_NAMES) :].tolist(), strict=True)),
    )


@pytest.mark.parametrize("mode", JOINT_MODES)
def test_knots_against_slow_numpy(robot: tuple[Limits, Features], mode: str) -> None:
    limits, features = robot
    rng = np.random.default_rng(len(mode))
    for _ in range(6):
        start, rows, row_s, anchor = random_command(limits, rng, mode)
        elapsed_s = float(rng.choice([0.0, 0.04]))
        assert features.of(start, MODE_CODES[mode], rows, row_s, anchor, elapsed_s) == 1
        got, scalars = read(features)
        want = knots(limits, start, mode, rows, row_s, anchor, elapsed_s)

        def compare(name: str, values: Array, tolerance: float, want: Any = want) -> None:
            expected = np.array([knot[name] for knot in want])
            np.testing.assert_allclose(values, expected, rtol=1e-4, atol=tolerance, err_msg=name)

        for i, axis in enumerate("xyz"):
            for what in ("position", "velocity"):
                expected = [knot[what][i] for knot in want]
                np.testing.assert_allclose(got[f"{what}_{axis}"], expected, rtol=1e-4, atol=2e-5)
        compare("force_up", got["force_up"], 1e-4)
        compare("lateral", np.hypot(got["force_x"], got["force_y"]), 1e-4)
        compare("stop_up", got["stop_up"], 1e-4)
        compare("stop_lateral", np.hypot(got["stop_x"], got["stop_y"]), 1e-4)
        compare("tilt", np.hypot(got["tilt_x"], got["tilt_y"]), 1e-4)
        compare("stop_s", np.minimum(got["stop_s"], 2.0), 1e-5)
        angle = [math.atan2(knot["lateral"], knot["force_up"]) for knot in want]
        np.testing.assert_allclose(got["angle"], angle, atol=2e-4)
        assert scalars["angle_motion_max"] == pytest.approx(max(angle), abs=2e-4)
        assert scalars["asked_speed_max"] == pytest.approx(want[0]["asked"], rel=1e-4)


def test_names_say_what_is_where(robot: tuple[Limits, Features]) -> None:
    limits, features = robot
    assert features.size == features.out.shape[1] == len(features.names) == SIZE
    assert len(set(features.names)) == SIZE
    start, rows, row_s, anchor = random_command(limits, np.random.default_rng(5), "joint_velocity")
    assert features.of(start, MODE_CODES["joint_velocity"], rows, row_s, anchor, 0.0) == 1
    shown = dict(zip(features.names, features.out[0].tolist(), strict=True))
    table, scalars = read(features)
    for name in ("angle", "stop_angle", "slide"):
        got = [shown[f"{name}_{k}"] for k in range(KNOTS)]
        np.testing.assert_allclose(got, table[name], atol=1e-6)
    assert {name: shown[name] for name in SCALAR_NAMES} == scalars


def at_rest(limits: Limits) -> tuple[Array, Array]:
    """(start, anchor) at home."""
    start = np.column_stack((limits.home, np.zeros_like(limits.home), np.zeros_like(limits.home)))
    return start, np.ascontiguousarray(start[:, :2].T)


def test_standing_still_feels_gravity_alone(robot: tuple[Limits, Features]) -> None:
    limits, features = robot
    start, anchor = at_rest(limits)
    n = len(limits.joints)
    assert features.of(start, MODE_CODES["joint_velocity"], np.zeros((4, n)), 0.1, anchor, 0.0) == 1
    table, scalars = read(features)
    np.testing.assert_allclose(table["force_up"], 1.0, atol=1e-6)
    np.testing.assert_allclose(table["angle"], 0.0, atol=1e-6)
    np.testing.assert_allclose(table["stop_angle"], 0.0, atol=1e-6)
    assert scalars["slide_max"] == scalars["slide_grippy_max"] == 0.0
    assert scalars["unload_min"] == pytest.approx(1.0)


def test_a_level_push_leans_the_force_by_a_over_g() -> None:
    """A turntable that speeds up and turns: tan(theta_eff) = sqrt((r ddq)² + (r dq²)²) / g."""
    limits = turntable()
    features = Features(limits)
    start, anchor = np.array([[0.0, 1.0, 4.0]]), np.array([[0.0], [1.0]])
    features.of(start, MODE_CODES["joint_velocity"], np.array([[1.0]]), 0.0, anchor, 0.0)
    table, _ = read(features)
    expected = math.atan2(math.hypot(0.5 * 4.0, 0.5), 9.81)
    assert float(table["angle"][0]) == pytest.approx(expected, rel=1e-5)
    stop = math.atan2(math.hypot(0.5 * limits.joints[0].max_acceleration, 0.5), 9.81)
    assert float(table["stop_angle"][0]) == pytest.approx(stop, rel=1e-5)


def test_more_violent_commands_are_never_told_to_slide_less() -> None:
    limits, features = panda(), Features(panda())
    start, anchor = at_rest(limits)
    row = np.array([0.4, 0.3, 0.0, -0.3, 0.0, 0.5, 0.0])
    slides = []
    for strength in (0.1, 0.5, 1.0, 2.0, 4.0):
        features.of(start, MODE_CODES["joint_velocity"], strength * row[None], 0.0, anchor, 0.0)
        slides.append(read(features)[1]["angle_max"])
    assert slides == sorted(slides)
    assert slides[-1] > 2.0 * slides[0]


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["start", "rows", "anchor", "row_period", "elapsed"])
def test_trap_08_nothing_non_finite_becomes_a_feature(where: str, poison: float) -> None:
    limits, features = panda(), Features(panda())
    rng = np.random.default_rng(0)
    for mode in MODES:
        start, rows, row_s, anchor = random_command(limits, rng, mode)
        values = {"start": start, "rows": rows, "anchor": anchor}
        spots = [(i, j) for i in range(2) for j in range(2)]
        for spot in spots if where in values else [(0, 0)]:
            arrays = {name: array.copy() for name, array in values.items()}
            if where in arrays and arrays[where].shape[0] > spot[0]:
                arrays[where][spot] = poison
            elif where in arrays:
                continue
            windows = features.of(
                arrays["start"],
                MODE_CODES[mode],
                arrays["rows"],
                poison if where == "row_period" else row_s,
                arrays["anchor"],
                poison if where == "elapsed" else 0.0,
            )
            assert windows == 0, (mode, spot)


def test_huge_numbers_give_nothing_rather_than_infinity() -> None:
    limits, features = panda(), Features(panda())
    start, anchor = at_rest(limits)
    for huge in (1e308, 1e200, 1e30):
        for mode in MODES:
            rows = np.full((4, 6 if mode in TCP_MODES else 7), huge)
            windows = features.of(start, MODE_CODES[mode], rows, 0.05, anchor, 0.0)
            assert windows == 0 or bool(np.isfinite(features.out[:windows]).all())


def test_a_long_command_is_seen_to_its_end() -> None:
    """A violent second half must show in some window (nothing hides behind the horizon)."""
    limits, features = panda(), Features(panda())
    start, anchor = at_rest(limits)
    rows = np.zeros((40, 7))
    rows[30:, 0] = np.where(np.arange(10) % 2 == 0, 1.5, -1.5)
    windows = features.of(start, MODE_CODES["joint_velocity"], rows, 0.05, anchor, 0.0)
    assert windows == 1 + math.ceil((2.0 - HORIZON_S) / WINDOW_S - 1e-9)
    angles = [read(features, w)[1]["angle_max"] for w in range(windows)]
    assert angles[0] < 0.01
    assert max(angles) > 0.3


def test_windows_continue_each_other() -> None:
    limits, features = panda(), Features(panda())
    rng = np.random.default_rng(1)
    start, _, _, anchor = random_command(limits, rng, "joint_velocity")
    rows = np.cumsum(rng.normal(0.0, 0.1, (24, 7)), axis=0)
    assert features.of(start, MODE_CODES["joint_velocity"], rows, 0.05, anchor, 0.0) == 2
    second = features.knots
    cut = rows[: round((HORIZON_S + WINDOW_S) / 0.05)]
    assert features.of(start, MODE_CODES["joint_velocity"], cut[:16], 0.05, anchor, 0.0) == 1
    first = features.knots
    middle = (KNOTS - 1) // 2
    place = KNOT_NAMES.index("position_x")
    # Knots are taken at the most accelerated instant, so only the places are alike, not the times.
    np.testing.assert_allclose(
        second[0, place : place + 3], first[middle, place : place + 3], atol=0.05
    )


def test_a_command_without_end_cannot_be_appraised() -> None:
    limits, features = panda(), Features(panda())
    start, anchor = at_rest(limits)
    length_s = HORIZON_S + (WINDOWS_MAX - 1) * WINDOW_S
    rows = np.zeros((100, 7))
    mode = MODE_CODES["joint_velocity"]
    assert features.of(start, mode, rows, length_s / 100.0, anchor, 0.0) == WINDOWS_MAX
    assert features.of(start, mode, rows, 1.1 * length_s / 100.0, anchor, 0.0) == 0
    assert features.of(start, mode, np.zeros((0, 7)), 0.05, anchor, 0.0) == 0


def test_same_bits_whatever_the_layout_and_whatever_came_before() -> None:
    limits, features = panda(), Features(panda())
    rng = np.random.default_rng(2)
    start, rows, row_s, anchor = random_command(limits, rng, "joint_delta")
    mode = MODE_CODES["joint_delta"]
    features.of(start, mode, rows, row_s, anchor, 0.0)
    once = features.out[0].tobytes()
    features.of(start, mode, 0.5 * rows, row_s, anchor, 0.0)
    for array in (start, rows, anchor):
        array.setflags(write=False)
    features.of(np.asfortranarray(start), mode, np.asfortranarray(rows), row_s, anchor[:, ::1], 0.0)
    assert features.out[0].tobytes() == once
    fresh = Features(replace(limits))
    fresh.of(start, mode, rows, row_s, anchor, 0.0)
    assert fresh.out[0].tobytes() == once


def tool_path(limits: Limits, rows: Array, row_s: float) -> Array:
    """(r, n) where the joints are at the end of each `tcp_delta` row, by small exact steps."""
    q, out, last = np.array(limits.home), [], len(limits.joints) - 1
    for row in rows:
        for _ in range(50):
            J = jacobian(limits, q, tcp(limits, q), last)
            weights = np.array([joint.max_velocity for joint in limits.joints])
            A = J * weights
            q = q + weights * (np.linalg.pinv(A) @ row) / 50.0
        out.append(q)
    return np.array(out)


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.2, 0.5])
def test_a_tool_path_looks_as_it_does_in_joint_positions(size: float) -> None:
    """The classifier never saw the tool's modes: it sees the motion that they lead to."""
    limits = load_limits("franka_panda")
    classifier = Classifier.load(limits)
    features, rng = Features(limits), np.random.default_rng(6)
    start, anchor = at_rest(limits)
    mode, row_s, gaps = MODE_CODES, 0.05, []
    shape = np.sin(np.pi * (np.arange(16) + 0.5) / 16.0)[:, None]
    for _ in range(6):
        rows = size * shape * rng.normal(0.0, 0.012, 6) * [1, 1, 1, 2, 2, 2]
        path = tool_path(limits, rows, row_s)
        assert features.of(start, mode["joint_position"], path, row_s, anchor, 0.0) == 1
        joints = features.out[0].copy()
        assert features.of(start, mode["tcp_delta"], rows, row_s, anchor, 0.0) == 1
        gaps.append(np.abs(features.out[0] - joints))
        risks = [
            classifier.risk(start, mode[name], asked, row_s, anchor, 0.0)
            for name, asked in (("joint_position", path), ("tcp_delta", rows))
        ]
        assert risks[1] == pytest.approx(risks[0], abs=0.05)
    assert np.median(gaps) < 0.01
    assert np.quantile(gaps, 0.95) < 0.1


def test_twist_rows_move_the_tool_by_what_they_say() -> None:
    limits, features = panda(), Features(panda())
    start, anchor = at_rest(limits)
    row = np.array([[0.05, -0.1, 0.08, 0.0, 0.0, 0.0]])
    assert features.of(start, MODE_CODES["tcp_twist"], np.repeat(row, 16, 0), 0.05, anchor, 0.0)
    table, _ = read(features)
    for i, axis in enumerate("xyz"):  # ramped to within the first row
        assert float(table[f"velocity_{axis}"][12]) == pytest.approx(row[0, i], abs=3e-3)


def test_rounding_does_not_decide() -> None:
    """Features move little when the start does: which instant is picked must not be a coin toss."""
    limits, features = panda(), Features(panda())
    rng = np.random.default_rng(3)
    jumps = []
    for k in range(60):
        start, rows, row_s, anchor = random_command(limits, rng, MODES[k % 5])
        mode = MODE_CODES[MODES[k % 5]]
        features.of(start, mode, rows, row_s, anchor, 0.0)
        before = features.out[0].copy()
        features.of(start * (1.0 + 1e-13), mode, rows, row_s, anchor, 0.0)
        jumps.append(float(np.abs(features.out[0] - before).max()))
    assert np.median(jumps) < 1e-5
    assert np.mean(np.array(jumps) > 1e-3) < 0.05

"""position_noise and timing.latency_ticks: optional, from YAML to the judges; absent means 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.limits import small_arm

from checkrein.limits.core import Core
from checkrein.limits.errors import LimitsFileError
from checkrein.limits.feasibility import check_feasible
from checkrein.limits.frozen import parse_frozen
from checkrein.limits.kernels.packed import POSITION_ERROR, POSITION_NOISE, pack
from checkrein.limits.loading import load_limits, robots_folder
from checkrein.limits.posture import sweep_bounds
from checkrein.sim.oracle_file import FrozenFileError, read_robot

FOLDER = Path("/nowhere")


def document() -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((robots_folder() / "xarm6.json").read_text())
    return plain


def with_noise(noise: Any = 0.001, latency: Any = 3) -> bytes:
    plain = document()
    for joint in plain["joints"]:
        joint["position_noise"] = noise
    plain["timing"]["latency_ticks"] = latency
    return json.dumps(plain).encode()


def test_absent_means_none() -> None:
    limits = load_limits("xarm6")
    assert {joint.position_noise for joint in limits.joints} == {0.0}
    assert {joint.position_error for joint in limits.joints} == {0.002}
    assert limits.timing.latency_ticks == 0
    robot = read_robot((robots_folder() / "xarm6.json").read_bytes())
    assert not robot.bounds["position_noise"].any()


def test_noise_is_in_every_margin_of_position() -> None:
    """Certificate, feasibility and postures read the sum; the tracking check noise once more."""
    plain, noisy = load_limits("xarm6"), parse_frozen(with_noise(), "x.json", FOLDER)
    packed = pack(noisy)
    np.testing.assert_array_equal(packed.joint[:, POSITION_ERROR], 0.002 + 0.001)
    np.testing.assert_array_equal(packed.joint[:, POSITION_NOISE], 0.001)
    q = plain.home[None]
    moving = sweep_bounds(plain, q) > 0.0
    ratio = sweep_bounds(noisy, q)[moving] / sweep_bounds(plain, q)[moving]
    np.testing.assert_allclose(ratio, 1.5)
    check_feasible(noisy)
    core, still = Core(noisy), np.zeros(6)
    motion, _ = core.rest(noisy.home)
    for off, expected in ((0.0039, None), (0.0041, 2)):
        measured = np.array(noisy.home)
        measured[2] += off
        assert core.off_track(measured, still, motion) == expected


def test_the_oracle_reads_them_itself() -> None:
    robot = read_robot(with_noise())
    np.testing.assert_array_equal(robot.bounds["position_noise"], 0.001)
    assert robot.timing_ms["latency_ticks"] == 3.0
    for bad in (None, "0.001", float("nan")):
        with pytest.raises(FrozenFileError):
            read_robot(with_noise(noise=bad))


def test_the_observer_judges_the_same_bounds_with_and_without_them() -> None:
    """It judges what is measured without noise, in the simulation: the declared bounds."""
    pytest.importorskip("pybullet")
    from checkrein.sim.observed_bounds import ObservedBounds

    plain, noisy = ObservedBounds.parse(document()), ObservedBounds.parse(json.loads(with_noise()))
    np.testing.assert_array_equal(plain.low, noisy.low)
    np.testing.assert_array_equal(plain.high, noisy.high)


@pytest.mark.parametrize(
    ("noise", "latency", "named"),
    [
        (-0.001, 3, "position_noise"),
        ("0.001", 3, "position_noise"),
        (None, 3, "position_noise"),
        (0.001, -1, "latency_ticks"),
        (0.001, 16, "latency_ticks"),
        (0.001, 2.5, "latency_ticks"),
        (0.001, True, "latency_ticks"),
        (0.001, None, "latency_ticks"),
    ],
)
def test_a_frozen_file_that_a_wrong_hand_wrote(noise: Any, latency: Any, named: str) -> None:
    with pytest.raises(LimitsFileError, match=named):
        parse_frozen(with_noise(noise, latency), "x.json", FOLDER)


class TestYaml:
    """In a limits file: with units, bounded, and said by `explain`."""

    def load(self, folder: Path, noise: str = "", latency: str = "") -> Any:
        pytest.importorskip("pinocchio")
        text = small_arm.YAML.replace("recovery_velocity: 0.05", f"recovery_velocity: 0.05{noise}")
        text = text.replace("watchdog: 100 ms", f"watchdog: 100 ms{latency}")
        return load_limits(small_arm.write(folder, text))

    def test_they_are_frozen_as_declared(self, tmp_path: Path) -> None:
        limits = self.load(tmp_path, ", position_noise: 0.0005", ", latency_ticks: 4")
        assert {joint.position_noise for joint in limits.joints} == {0.0005}
        assert limits.timing.latency_ticks == 4
        assert limits.provenance["joints.slide.position_noise"]["from"] == "declared"

    def test_left_out_they_are_not_in_the_frozen_file(self, tmp_path: Path) -> None:
        limits = self.load(tmp_path)
        assert not any("position_noise" in path for path in limits.provenance)
        assert limits.joints[0].position_noise == 0.0

    @pytest.mark.parametrize(
        ("noise", "latency", "named"),
        [
            (", position_noise: -0.001", "", "position_noise"),
            (", position_noise: 0.3 rad", "", "position_noise"),
            (", position_noise: .nan", "", "position_noise"),
            ("", ", latency_ticks: 16", "latency_ticks"),
            ("", ", latency_ticks: 20 ms", "latency_ticks"),
            ("", ", latency_ticks: -1", "latency_ticks"),
        ],
    )
    def test_bounds(self, noise: str, latency: str, named: str, tmp_path: Path) -> None:
        with pytest.raises(LimitsFileError, match=named):
            self.load(tmp_path, noise, latency)

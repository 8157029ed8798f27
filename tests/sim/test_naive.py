"""The unguarded driver does what it is told, whatever it is."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from checkrein.limits import Command
from checkrein.limits.loading import robots_folder
from checkrein.sim.chain import Chain, rotation_vector
from checkrein.sim.naive import NaiveDriver

T = 0.004


def drive(driver: NaiveDriver, ticks: int) -> list[list[float]]:
    """The targets of some ticks; the robot believes each one as it is."""
    targets = []
    for _ in range(ticks):
        target = np.array(driver.target(), dtype=float)
        if target.shape == (2,) and np.isfinite(target).all():
            driver.believed(target)
        targets.append(target.tolist())
    return targets


def command(mode: str, values: object, period_ms: float | None = None, seq: int = 1) -> Command:
    return Command(mode=mode, values=values, seq=seq, stamp_ns=0, period_ms=period_ms)  # type: ignore[arg-type]


@pytest.fixture
def driver() -> NaiveDriver:
    return NaiveDriver(np.array([1.0, 2.0]), T)


def test_silence_holds_at_first(driver: NaiveDriver) -> None:
    assert drive(driver, 3) == [[1.0, 2.0]] * 3


def test_a_position_is_jumped_to(driver: NaiveDriver) -> None:
    driver.receive(command("joint_position", [5.0, -5.0]))
    assert drive(driver, 2) == [[5.0, -5.0]] * 2


def test_a_velocity_goes_on_for_ever(driver: NaiveDriver) -> None:
    driver.receive(command("joint_velocity", [1.0, 0.0]))
    assert drive(driver, 1000)[-1] == pytest.approx([1.0 + 1000 * T, 2.0])


def test_a_delta_is_made_once(driver: NaiveDriver) -> None:
    driver.receive(command("joint_delta", [[0.1, 0.0], [0.0, 0.2]], period_ms=8.0))
    assert drive(driver, 2)[-1] == pytest.approx([1.1, 2.0])
    assert drive(driver, 10)[-1] == pytest.approx([1.1, 2.2])


def test_position_rows_are_interpolated(driver: NaiveDriver) -> None:
    driver.receive(command("joint_position", [[2.0, 2.0], [2.0, 4.0]], period_ms=16.0))
    targets = drive(driver, 9)
    assert targets[1] == pytest.approx([1.5, 2.0])
    assert targets[5] == pytest.approx([2.0, 3.0])
    assert targets[8] == pytest.approx([2.0, 4.0])


def test_velocity_rows_are_interpolated_from_the_present_speed(driver: NaiveDriver) -> None:
    driver.receive(command("joint_velocity", [[1.0, 0.0]], period_ms=16.0))
    speeds = np.diff([1.0, *(row[0] for row in drive(driver, 5))]) / T
    assert speeds == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_stale_and_replayed_commands_are_done(driver: NaiveDriver) -> None:
    driver.receive(command("joint_position", [3.0, 3.0], seq=9))
    driver.receive(command("joint_position", [0.0, 0.0], seq=2))
    assert drive(driver, 1) == [[0.0, 0.0]]


def tool_driver() -> tuple[NaiveDriver, Chain, np.ndarray]:
    chain = Chain(json.loads((robots_folder() / "xarm6.json").read_text()))
    q = np.array([0.0, -0.5, -0.7, 0.0, 1.2, 0.0])
    return NaiveDriver(q, T, chain), chain, q


def played(driver: NaiveDriver, ticks: int) -> np.ndarray:
    for _ in range(ticks):
        driver.believed(np.array(driver.target()))
    return np.array(driver.target())


def test_a_twist_moves_the_tool_on_and_on() -> None:
    driver, chain, q = tool_driver()
    driver.receive(command("tcp_twist", [0.0, 0.1, 0.0, 0.0, 0.0, 0.0]))
    moved = chain.tcp(played(driver, 250))[1] - chain.tcp(q)[1]
    assert moved == pytest.approx([0.0, 0.1, 0.0], abs=2e-3)


def test_a_displacement_of_the_tool_is_made_once() -> None:
    driver, chain, q = tool_driver()
    driver.receive(command("tcp_delta", [[0.02, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.2]], 40.0))
    rotation, position, _ = chain.tcp(played(driver, 100))
    before = chain.tcp(q)
    assert position - before[1] == pytest.approx([0.02, 0.0, 0.0], abs=1e-3)
    assert rotation_vector(rotation @ before[0].T) == pytest.approx([0.0, 0.0, 0.2], abs=1e-3)


def test_the_tool_of_a_robot_without_a_chain_stays_where_it_is(driver: NaiveDriver) -> None:
    driver.receive(command("tcp_twist", np.ones(6)))
    assert drive(driver, 3) == [[1.0, 2.0]] * 3


def test_rubbish_for_the_tool_is_no_exception() -> None:
    driver, _, q = tool_driver()
    for values in (np.full(6, np.nan), np.full(6, 1e308), np.ones(7), np.ones((2, 5))):
        driver.receive(command("tcp_twist", values, period_ms=4.0))
        driver.target()
        driver.believed(q)


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e308])
@pytest.mark.parametrize("mode", ["joint_position", "joint_velocity", "joint_delta"])
def test_poison_is_passed_on_and_does_not_stay(
    driver: NaiveDriver, mode: str, poison: float
) -> None:
    driver.receive(command(mode, [poison, 0.0]))
    assert drive(driver, 1)[0][0] != 1.0
    driver.receive(command("joint_velocity", [[0.0, 0.0]], period_ms=8.0))
    assert np.isfinite(drive(driver, 3)).all()


@pytest.mark.parametrize("size", [0, 1, 3, 4])
def test_wrong_lengths_raise_nothing(driver: NaiveDriver, size: int) -> None:
    for mode in ("joint_position", "joint_velocity", "joint_delta"):
        driver.receive(command(mode, np.ones(size)))
        driver.target()
        driver.receive(command(mode, np.ones((3, size)), period_ms=20.0))
        driver.target()


def test_scalars_and_nonsense_periods_raise_nothing(driver: NaiveDriver) -> None:
    driver.receive(command("joint_position", 3.0))
    driver.target()
    driver.receive(command("joint_position", np.ones((2, 2, 2))))
    assert driver.target().tolist() == [1.0, 2.0]
    driver.receive(command("joint_position", [[3.0, 3.0]], period_ms=math.nan))
    assert driver.target().tolist() == [3.0, 3.0]

"""Frozen limits and simulated robots that several tests share; each test places them anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import checkrein.limits

if TYPE_CHECKING:
    from checkrein.sim.episode import RobotSide

ROBOTS = Path(str(checkrein.limits.__file__)).parent / "robots"


def _read(name: str) -> dict[str, Any]:
    frozen: dict[str, Any] = json.loads((ROBOTS / f"{name}.json").read_text(encoding="utf-8"))
    return frozen


@pytest.fixture(scope="session")
def panda() -> dict[str, Any]:
    """The shipped Panda: seven joints, a tray, a loose object."""
    return _read("franka_panda")


@pytest.fixture(scope="session")
def xarm() -> dict[str, Any]:
    """The shipped xArm: six joints, no tool, a base that hangs on a fixed joint."""
    return _read("xarm6")


@pytest.fixture(scope="session")
def shared_side(panda: dict[str, Any]) -> Iterator[RobotSide]:
    pytest.importorskip("pybullet")
    from checkrein.sim.episode import RobotSide

    side = RobotSide(panda, seed=0)
    yield side
    side.driver.close()


@pytest.fixture
def side(shared_side: RobotSide) -> RobotSide:
    """World, robot, driver and observer of a Panda, just placed; counts start at zero."""
    shared_side.begin(seed=0, episode=0)
    shared_side.driver.ticks = 0
    shared_side.observer.forget()
    return shared_side

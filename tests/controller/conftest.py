"""Every usual tick of these tests is decided twice: in one call, and by `decide`."""

from __future__ import annotations

import pytest
from tests.twice import twice

from checkrein.controller import failsafe


@pytest.fixture(autouse=True)
def _both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failsafe, "usual", twice)

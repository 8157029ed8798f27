"""The batch kernel on several threads: every row once, and errors are reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.robots import turntable

from checkrein.limits import batch_core
from checkrein.limits.batch_calls import COMMAND, LATCHED, SKIP, SKIPPED, STAY_STOPPED, advance_rows
from checkrein.limits.batch_core import ROWS_AT_ONCE, BatchCore, cores_available
from checkrein.limits.core import Core

COUNT = 3 * ROWS_AT_ONCE + 7


def given(core: Core, todo: Any) -> tuple[Any, ...]:
    motion, _ = core.rest(np.array(core.limits.home))
    return (
        todo, np.zeros((COUNT, 1)), np.zeros((COUNT, 1)), np.zeros((COUNT, 6)),
        np.linspace(-1.0, 1.0, COUNT)[:, None], 1, np.full(COUNT, 5),
        np.tile(motion, (COUNT, 1, 1)), np.zeros((COUNT, 4), np.int64), np.zeros((COUNT, 6)),
        np.zeros((COUNT, 2, 1)),
    )  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_row_is_done_once_whoever_does_it(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = BatchCore(Core(turntable()), {}, threads)
    done: list[int] = []
    real = advance_rows

    def noting(*arguments: Any) -> None:
        done.extend(range(*arguments[4:6]))
        real(*arguments)

    monkeypatch.setattr(batch_core, "advance_rows", noting)
    todo = np.full(COUNT, COMMAND)
    todo[::3], todo[1::3] = SKIP, STAY_STOPPED
    result, counts, left, _, motion = batch.advance(*given(batch.core, todo))
    assert sorted(done) == list(range(COUNT))
    assert (result[::3] == SKIPPED).all()
    assert (result[1::3] == LATCHED).all()
    assert (result[2::3] <= 2).all()
    assert (counts[todo != COMMAND] == 0).all()
    rests_in = motion[:, -1, :-3].sum(axis=1)
    assert (left[todo != SKIP] == rests_in[todo != SKIP]).all()
    assert rests_in[2::3].max() > 0
    ddq = motion[2::3, 0, 2]
    assert (np.sign(ddq) == np.sign(np.linspace(-1.0, 1.0, COUNT)[2::3])).all()


def test_an_error_in_a_thread_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = BatchCore(Core(turntable()), {}, 2)

    def broken(*arguments: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(batch_core, "advance_rows", broken)
    with pytest.raises(RuntimeError, match="broken"):
        batch.advance(*given(batch.core, np.full(COUNT, COMMAND)))


def test_nothing_to_do_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = BatchCore(Core(turntable()), {}, 2)
    monkeypatch.setattr(batch_core, "advance_rows", None)
    result = batch.advance(*given(batch.core, np.full(COUNT, SKIP)))[0]
    assert (result == SKIPPED).all()


def test_it_knows_how_many_processors_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores_available() >= 1
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert cores_available() >= 1

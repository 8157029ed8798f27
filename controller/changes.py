"""Changes of the limits that others ask for while the controller serves: from any thread.

Guarantees: what is asked for is checked at once, against the limits that were in force last, and
again when its turn comes; between two ticks, in the order in which they were asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from ..limits.carrying import carrying
from ..limits.declared import Limits
from ..limits.errors import InputError
from ..limits.narrowing import require_nowhere_looser
from .filter import SafetyFilter

__all__ = ["Changes"]


class Changes:
    """Waiting changes of one controller's limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: SimpleQueue[Callable[[SafetyFilter], None]] = SimpleQueue()
        self.made = 0
        self.rejected: Counter[str] = Counter()  # another change came first

    def tighten(self, limits: Limits) -> None:
        """As SafetyFilter.tighten, from the next tick on. Raises LooserLimitsError."""
        now = self._limits
        require_nowhere_looser(now, carrying(limits, now.tool, now.payload))
        self._waiting.put(lambda guard: guard.tighten(limits))

    def set_payload(self, name: str | None) -> None:
        """As SafetyFilter.set_payload, from the next tick on. Raises UnknownChoiceError."""
        carrying(self._limits, self._limits.tool, name)
        self._waiting.put(lambda guard: guard.set_payload(name))

    def set_tool(self, name: str | None) -> None:
        """As SafetyFilter.set_tool, from the next tick on. Raises UnknownChoiceError."""
        carrying(self._limits, name, self._limits.payload)
        self._waiting.put(lambda guard: guard.set_tool(name))

    def adopted(self, guard: SafetyFilter) -> Iterator[Limits]:
        """Make the waiting changes one by one; after each, the limits that are in force then."""
        while not self._waiting.empty():
            try:
                self._waiting.get()(guard)
            except InputError as error:
                self.rejected[str(error)] += 1
                continue
            self.made += 1
            self._limits = guard.limits
            yield guard.limits

"""The memory that a call's processes hold together."""

from __future__ import annotations

import time

from harness.execution.isolation import processes


class MemoryWatch:
    """Samples a tree of processes.

    The cheap measure (anonymous and shared pages of each process, less what the worker held before the call) is exact
    for one process and too high for children that share pages with it. Only when it is high and there are several
    processes is the costly one read, which divides shared pages; it gets at most a fifth of the time.

    Args:
        worker: the process that the call runs in, still idle.
        limit: of the call, or None.
    """

    def __init__(self, worker: int, limit: int | None) -> None:
        self._inherited = processes.own_memory(worker)
        self._limit = limit
        self._costly_not_before = 0.0
        self._last_costly = 0
        self.peak = 0

    @property
    def inherited(self) -> int:
        """What the worker held before the call."""
        return self._inherited

    def sample(self, pids: list[int]) -> int:
        """Bytes held now by these processes."""
        held = max(0, sum(processes.own_memory(pid) for pid in pids) - self._inherited)
        if len(pids) > 1 and held > self.peak:
            held = min(held, self._divided(pids))
        self.peak = max(self.peak, held)
        return held

    def note(self, held: int) -> None:
        """What the worker itself saw at its end."""
        self.peak = max(self.peak, held - self._inherited)

    def _divided(self, pids: list[int]) -> int:
        start = time.monotonic()
        if start >= self._costly_not_before:
            self._last_costly = sum(processes.shared_memory(pid) for pid in pids)
            cost = time.monotonic() - start
            self._costly_not_before = start + 5 * cost
        return self._last_costly

    @property
    def near_limit(self) -> bool:
        """The last samples came close enough to the limit for a kill by the kernel to be put down to memory."""
        return self._limit is not None and self.peak > 0.9 * self._limit

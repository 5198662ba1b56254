"""Functions in processes that can be killed, under limits; whatever happens there ends as an `Ending`.

Four kinds of process: the *client* (the driver, which imports nothing heavy), the *server* (warmed up once, single
thread, forks), a *guardian* for every line of calls (watches, kills, reports), and its *workers* (the functions). A
guardian is the subreaper of all that a function starts, so nothing outlives its call. Sockets tie them together: when
the client, the server or a guardian dies, by whatever means, the next one sees the end of its socket and cleans up.
"""

from __future__ import annotations

from harness.execution.isolation.limits import Ending, Limits
from harness.execution.isolation.pool import Pool
from harness.execution.isolation.service import Service

__all__ = ["Ending", "Limits", "Pool", "Service"]

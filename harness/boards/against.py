"""One method against others, paired by seed: better, worse, or not distinguishable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.boards.cells import Filter, at_point, gather
from harness.errors import HarnessError
from harness.stats.intervals import paired_difference

if TYPE_CHECKING:
    from harness.storage.store import Store


@dataclass(frozen=True)
class Verdict:
    """A method against one baseline on one task and variant.

    Attributes:
        verdict: "better", "worse" or "not distinguishable": whether the 95 % interval of the paired difference leaves
            out zero, in the metric's direction.
        mean, low, high: of method - baseline in the metric's unit; None below two pairs.
        n: seeds that both finished; `lost`: seeds that only one of them finished.
        failed: trials that failed on either side.
        detectable: the smallest difference that n seeds find with power 0.8.
    """

    task: str
    variant: str
    scale: str
    metric: str
    at: dict[str, float]
    method: str
    baseline: str
    verdict: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    lost: int
    failed: int
    detectable: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        variant = "" if self.variant == "default" else f"[{self.variant}]"
        name = self.metric + "".join(f"@{key}={value:g}" for key, value in self.at.items())
        text = f"{self.task}{variant}: {self.method} vs {self.baseline}: {self.verdict} at {self.n} seeds"
        if self.mean is not None and self.low is not None and self.high is not None and self.detectable is not None:
            text += f" ({name} {self.mean:+.4g} [{self.low:+.4g}, {self.high:+.4g}], detectable {self.detectable:.2g})"
        lost = f"; {self.lost} seeds without a pair" if self.lost else ""
        return text + lost + (f"; {self.failed} trials failed" if self.failed else "")


def against(
    store: Store, method: str, baselines: str | Sequence[str] = "baselines", wanted: Filter | None = None
) -> list[Verdict]:
    """Compare a pipeline with others wherever both ran at the same scale, tuning, implementation and precision.

    Args:
        method: the pipeline as the rows call it.
        baselines: pipelines, or "baselines": those that each task's record names.

    Raises:
        HarnessError: the store has no trials of the method, or of none of the baselines beside it.
    """
    wanted = wanted or Filter()
    names = _baselines(store) if baselines == "baselines" else None
    given = () if names is not None else ((baselines,) if isinstance(baselines, str) else tuple(baselines))
    gather(store, Filter(wanted.tasks, wanted.metric, wanted.scale, (method,)))  # says so if there is no such pipeline
    cells = gather(store, Filter(wanted.tasks, wanted.metric, wanted.scale))
    found: list[Verdict] = []
    for span in cells.rankings():
        task = (cells.names["task"][span.start], cells.names["task_version"][span.start])
        others = names.get(task, ()) if names is not None else given
        rows = range(span.start, span.stop)
        for left in (i for i in rows if cells.names["pipeline"][i] == method):
            for right in rows:
                if cells.names["pipeline"][right] in others and right != left and _alike(cells, left, right):
                    found.append(_verdict(cells, left, right))
    if not found:
        what = "the baselines of its tasks" if names is not None else ", ".join(given)
        raise HarnessError(f"no trials of {what} beside those of '{method}' in '{store.path}'; run them with it")
    return found


def _baselines(store: Store) -> dict[tuple[str, int], tuple[str, ...]]:
    table = store.table("SELECT name, coalesce(version, 0) AS version, baselines FROM tasks")
    return {(row["name"], row["version"]): tuple(row["baselines"] or ()) for row in table.to_pylist()}


def _alike(cells: Any, left: int, right: int) -> bool:
    return all(cells.names[name][left] == cells.names[name][right] for name in ("tune", "impl", "precision"))


def _verdict(cells: Any, left: int, right: int) -> Verdict:
    names = cells.names
    _, values = cells.matrix([left, right])
    difference = paired_difference(values[:, 0], values[:, 1])
    sign = 1.0 if names["direction"][left] == "max" else -1.0
    word = "not distinguishable"
    if difference.n >= 2 and (difference.low > 0 or difference.high < 0):
        word = "better" if sign * difference.mean > 0 else "worse"
    return Verdict(
        task=names["task"][left],
        variant=names["variant"][left],
        scale=names["scale"][left],
        metric=names["metric"][left],
        at=at_point(names["at"][left]),
        method=names["pipeline"][left],
        baseline=names["pipeline"][right],
        verdict=word,
        mean=_finite(difference.mean),
        low=_finite(difference.low),
        high=_finite(difference.high),
        n=difference.n,
        lost=difference.lost,
        failed=int(cells.failed[left] + cells.failed[right]),
        detectable=_finite(difference.detectable),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

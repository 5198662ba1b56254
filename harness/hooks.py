"""The whole contract between the core and a plugin, on one page (pluggy hook specifications).

A plugin is a module, found through an entry point in group `harness`, that implements any of these with
`@hookimpl`. Every `harness_*s` hook returns a list of declarations from `harness.spec`; the event hooks return
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from harness.spec import Board, Claim, Dataset, Executor, Method, Metric, Paper, Task

PROJECT = "harness"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def harness_methods() -> Sequence[Method] | None:
    """The methods that this plugin offers."""


@hookspec
def harness_tasks() -> Sequence[Task] | None:
    """The tasks that this plugin offers."""


@hookspec
def harness_metrics() -> Sequence[Metric] | None:
    """Metrics that tasks, also those of other plugins, can list by name."""


@hookspec
def harness_datasets() -> Sequence[Dataset] | None:
    """Data sets that tasks read from `$HARNESS_DATA`."""


@hookspec
def harness_papers() -> Sequence[Paper] | None:
    """The papers that the methods come from."""


@hookspec
def harness_claims() -> Sequence[Claim] | None:
    """What those papers assert, as comparisons that trials can decide."""


@hookspec
def harness_boards() -> Sequence[Board] | None:
    """Leaderboards that this plugin ships."""


@hookspec
def harness_executors() -> Sequence[Executor] | None:
    """Ways to run the groups of a study."""


@hookspec
def harness_study_started(study: str, store: str, trials: int) -> None:
    """A study is about to run `trials` trials (those already stored are not counted)."""


@hookspec
def harness_trial_finished(row: Mapping[str, Any]) -> None:
    """A trial's row has been committed to the store, whatever its status."""


@hookspec
def harness_study_finished(study: str, store: str, statuses: Mapping[str, int]) -> None:
    """A study has ended; `statuses` counts its rows by status."""

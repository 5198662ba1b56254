"""Groups of trials and the plan that holds them: what a study becomes and the execution carries out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.code.canonical import canonical
from harness.describe.description import MethodDescription, TaskDescription
from harness.part import Need, Part
from harness.study.spec import Study


@dataclass(frozen=True)
class Group:
    """The trials that differ in the seed only.

    Attributes:
        task: with all parameters of the variant.
        variant: what the variant is called: "default", a preset, or "noise=0.6".
        stages: the pipeline's methods with all their parameters.
        pipeline: how the pipeline is written: what differs from the defaults.
        methods: name, package, distribution, version, field, interface, params (JSON) and vectorizable of each stage.
        trial_ids: seed -> identity.
        mapping: "auto" where every pipeline of this task and variant can be stacked, else "loop"; or as the study says.
        needs: artifacts of the task and of the methods.
        baseline: it is there only to be compared with.
    """

    task: Part
    task_version: int
    variant: str
    stages: tuple[Part, ...]
    pipeline: str
    methods: tuple[Mapping[str, Any], ...]
    scale: str
    seeds: tuple[int, ...]
    trial_ids: Mapping[int, str]
    code_id: str
    mapping: str = "auto"
    needs: tuple[Need, ...] = ()
    timeout: float | None = None
    impl: str = "auto"
    precision: str = "float32"
    tune: int = 0
    baseline: bool = False

    @property
    def cell(self) -> str:
        """Equal for the groups that share a task, its variant and its scale, and so its data."""
        return canonical([self.task.target, self.task.path, self.task_version, self.task.params, self.scale])

    @property
    def digest(self) -> str:
        """A short name that no other group has."""
        return self.trial_ids[self.seeds[0]][:12]


@dataclass(frozen=True)
class Plan:
    """All that a study asks for.

    Attributes:
        study: its name.
        skipped: one line for every task or pair that is left out, with the reason.
        tasks, methods: descriptions by address.
        task_records, method_records, paper_records: what a store keeps about them.
    """

    spec: Study
    groups: tuple[Group, ...]
    skipped: tuple[str, ...] = ()
    tasks: Mapping[str, TaskDescription] = field(default_factory=dict)
    methods: Mapping[str, MethodDescription] = field(default_factory=dict)
    task_records: tuple[Mapping[str, Any], ...] = ()
    method_records: tuple[Mapping[str, Any], ...] = ()
    paper_records: tuple[Mapping[str, Any], ...] = ()

    @property
    def study(self) -> str:
        return self.spec.name

    @property
    def timeout(self) -> float | None:
        return self.spec.timeout

    @property
    def memory_bytes(self) -> int | None:
        return self.spec.memory

    @property
    def referee_timeout(self) -> float:
        return self.spec.referee_timeout

    @property
    def trials(self) -> int:
        """Number of trials, whether or not a store has them already."""
        return sum(len(group.seeds) for group in self.groups)

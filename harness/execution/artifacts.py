"""Artifacts: base models, teachers, supernets, tables. Built once, written by rename, read-only after."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.execution.endings import DIED, checked
from harness.execution.isolation import Limits
from harness.execution.job import GroupJob
from harness.part import Need, Part

if TYPE_CHECKING:
    from harness.execution.executor import Executor


@dataclass
class Supply:
    """What became of the artifacts that a group needs.

    Attributes:
        files: seed -> name -> file.
        seconds: seed -> what they cost when they were built.
        errors: seed -> why one could not be built.
    """

    files: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    seconds: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    errors: dict[int, str] = field(default_factory=dict)


class Artifacts:
    """Builds what is missing in a store's folder of artifacts, each once, and hands out files.

    Args:
        folder: `<store>/artifacts`.
        executor: where builders run.
    """

    def __init__(self, folder: Path, executor: Executor) -> None:
        self._folder = folder
        self._executor = executor
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._failed: dict[str, str] = {}

    def supply(self, needs: Sequence[Need], job: GroupJob, version: int, limits: Limits) -> Supply:
        """Every artifact in `needs` for every seed of a job; builds run with `limits` for each seed."""
        supply = Supply()
        for need in needs:
            with self._locks[f"{need.builder} {json.dumps(job.task.params, sort_keys=True)} {job.scale}"]:
                self._supply(need, job, version, limits, supply)
        return supply

    def _supply(self, need: Need, job: GroupJob, version: int, limits: Limits, supply: Supply) -> None:
        digests = {seed: _digest(need, job, version, seed) for seed in job.seeds}
        missing = [
            seed for seed in job.seeds if not self._file(digests[seed]).exists() and digests[seed] not in self._failed
        ]
        if missing:
            self._build(need, job, missing, digests, limits)
        for seed, digest in digests.items():
            if digest in self._failed:
                supply.errors[seed] = f"artifact {need.name}: {self._failed[digest]}"
                continue
            note = json.loads(self._file(digest).with_suffix(".json").read_text())
            supply.files[seed][need.name] = str(self._file(digest))
            supply.seconds[seed] += float(note["seconds"])

    def _build(
        self, need: Need, job: GroupJob, seeds: Sequence[int], digests: Mapping[int, str], limits: Limits
    ) -> None:
        folder = Path(job.folder) / f"artifact-{need.name}"
        builder = Part(need.name, "", need.builder, {}, need.path)
        work = replace(job, task=builder, pipeline=(), seeds=tuple(seeds), folder=str(folder), artifacts={})
        seconds = limits.seconds * len(seeds) if limits.seconds else None
        call = self._executor.submit(
            "harness.execution.worker:run_artifact", work.to_json(), replace(limits, seconds=seconds)
        )
        ending = checked(call.result())
        if ending.status in DIED and len(seeds) > 1:  # one bad seed must not cost the others
            for seed in seeds:
                self._build(need, job, [seed], digests, limits)
            return
        reports = {report["seed"]: report for report in (ending.value or {}).get("reports", [])}
        for seed in seeds:
            report = reports.get(seed)
            if report is None or report["status"] != "ok":
                reason = report["error"] if report else ending.error
                self._failed[digests[seed]] = reason or ending.status
            else:
                self._keep(Path(report["outputs"]), digests[seed], need, job, seed, report["wall_seconds"])

    def _keep(self, built: Path, digest: str, need: Need, job: GroupJob, seed: int, seconds: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._file(digest)
        note = {
            "name": need.name,
            "builder": need.builder,
            "code": need.code,
            "scale": job.scale,
            "seed": seed,
            "seconds": seconds,
        }
        file.with_suffix(".json").write_text(json.dumps(note))
        temporary = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        shutil.copyfile(built, temporary)
        temporary.chmod(0o444)
        os.replace(temporary, file)

    def _file(self, digest: str) -> Path:
        return self._folder / f"{digest}.safetensors"


def _digest(need: Need, job: GroupJob, version: int, seed: int) -> str:
    identity: list[Any] = [need.builder, need.code, job.task.package, job.task.name, version, job.task.params]
    text = json.dumps([*identity, job.scale, seed, job.precision], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

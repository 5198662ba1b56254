"""What a trial ran on: packages, machine, revision. Read without importing any of the packages."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "harness",
    "torch",
    "triton",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "duckdb",
    "safetensors",
)


@cache
def environment(threads: int, device: str) -> dict[str, Any]:
    """Machine, system and package versions; `environment_id` is the digest of all of it.

    Args:
        threads: torch threads of a worker.
        device: "cpu" or "cuda".
    """
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": _memory(),
        "gpu": gpu_model() if device == "cuda" else "",
        "threads": threads,
        "packages": {name: version_of(name) for name in PACKAGES},
    }
    text = json.dumps(facts, sort_keys=True)
    facts["environment_id"] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    facts["machine_class"] = f"{facts['gpu'] or facts['cpu']}, torch {facts['packages']['torch']}, {threads} thread(s)"
    return facts


def version_of(distribution: str) -> str:
    """The installed version of a distribution, or ""."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def revision() -> str:
    """The git revision of the current folder, with "+dirty" where files are changed; "" outside a repository."""
    try:
        command = ["git", "describe", "--always", "--dirty=+dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu_model() -> str:
    """The first GPU's name, or ""."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fair_share(workers: int) -> int | None:
    """Bytes that each of so many groups may hold, so that together they leave a fifth of the memory to the rest."""
    memory = _memory()
    return int(0.8 * memory / workers) if memory else None


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

LOSS = '''
import torch

from harness import Loss


class PolyLoss(Loss):
    """Cross-entropy plus epsilon * (1 - p_y)."""

    vectorizable = True

    def __init__(self, epsilon: float = 1.0) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        log_p = torch.log_softmax(logits, dim=-1).gather(-1, target[:, None])[:, 0]
        return -log_p + self.epsilon * (1 - log_p.exp())
'''

MISCHIEF = '''
import ctypes
import os
import time

import torch

from harness import Loss


class Mischief(Loss):
    """Cross-entropy, but at its first step it does harm.

    Args:
        harm: what it does: "segfault", "exit", "hang", "bomb", "raise", "nan", "setsid" or "none".
        only_class: it does so only when the first label that it sees is below this.
    """

    def __init__(self, harm: str = "none", only_class: int = 10) -> None:
        super().__init__()
        self.harm = harm
        self.only_class = only_class
        self.first = True

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        first, self.first = self.first, False
        if not first or int(target[0]) >= self.only_class:
            return loss
        if self.harm == "segfault":
            print("about to read address 0", flush=True)
            ctypes.string_at(0)
        if self.harm == "exit":
            os._exit(7)
        if self.harm == "hang":
            ctypes.CDLL(None).pause()
        if self.harm == "setsid":
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
            os._exit(0)
        if self.harm == "bomb":
            hoard = []
            while True:
                hoard.append(bytearray(64_000_000))
        if self.harm == "raise":
            raise ValueError("the author's mistake")
        if self.harm == "nan":
            return loss * float("nan")
        return loss
'''


@pytest.fixture
def loss_file(tmp_path):
    path = tmp_path / "my_loss.py"
    path.write_text(LOSS)
    return path


@pytest.fixture
def mischief_file(tmp_path):
    path = tmp_path / "mischief.py"
    path.write_text(MISCHIEF)
    return path


@pytest.fixture
def loss_distribution(tmp_path):
    """A third party's package as installed: a folder for PYTHONPATH with its metadata."""
    site = tmp_path / "site"
    package = site / "poly_losses"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "poly.py").write_text(LOSS)
    (package / "plugin.py").write_text(
        textwrap.dedent(
            """
            from harness import Method, hookimpl


            @hookimpl
            def harness_methods():
                return [Method("installed-poly", interface="term", field="loss", target="poly_losses.poly:PolyLoss")]
            """
        )
    )
    info = site / "poly_losses-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: poly-losses\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[harness]\npoly = poly_losses.plugin\n")
    return site


@pytest.fixture
def command(tmp_path):
    """Runs `harness ...` in an empty folder and returns the finished process."""
    folder = tmp_path / "empty"
    folder.mkdir()

    def call(*arguments, site=None, timeout=240, check=None, **more):
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **more}
        if site is not None:
            environment["PYTHONPATH"] = f"{site}{os.pathsep}{environment.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        done = subprocess.run(
            [sys.executable, "-m", "harness", *map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    call.folder = Path(folder)
    return call

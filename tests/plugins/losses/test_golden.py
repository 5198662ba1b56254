"""Values and gradients against independent implementations (golden/make.py)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from harness_losses.ldr import ALDRKL

from .catalogue import make

GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"{c['method']}-{c['params']}")
def test_values_and_gradients(case: dict[str, Any]) -> None:
    logits = torch.tensor(GOLDEN["logits"], dtype=torch.float64, requires_grad=True)
    values = make(case["method"], case["params"])(logits, torch.tensor(GOLDEN["target"]))
    values.sum().backward()
    torch.testing.assert_close(
        values.detach(), torch.tensor(case["values"], dtype=torch.float64), rtol=1e-9, atol=1e-12
    )
    wanted = torch.tensor(case["gradients"], dtype=torch.float64)
    torch.testing.assert_close(logits.grad, wanted, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("case", GOLDEN["aldr"], ids=lambda c: str(c["params"]))
def test_aldr_over_several_batches(case: dict[str, Any], fake_step: Any) -> None:
    term = ALDRKL(**case["params"])
    target = torch.tensor(case["target"])
    ids = torch.tensor([3, 0, 2, 1])
    memory = {ALDRKL.memory: torch.full((4,), case["params"]["lam"], dtype=torch.float64)}
    for batch in case["batches"]:
        logits = torch.tensor(batch["logits"], dtype=torch.float64, requires_grad=True)
        values = term(fake_step(logits, target, ids, memory))
        values.sum().backward()
        wanted = {name: torch.tensor(batch[name], dtype=torch.float64) for name in ("values", "gradients", "lam")}
        torch.testing.assert_close(values.detach(), wanted["values"], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(logits.grad, wanted["gradients"], rtol=1e-8, atol=1e-11)
        torch.testing.assert_close(memory[ALDRKL.memory][ids], wanted["lam"], rtol=1e-12, atol=0)

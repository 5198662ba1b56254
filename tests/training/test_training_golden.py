"""Training computes the numbers that it computed when `SEMANTICS` was last raised."""

import json

import numpy as np
import pytest
from make_golden import FILE, cases, numbers

from harness.training import SEMANTICS

GOLDEN = json.loads(FILE.read_text())
MEND = (
    "training computes other numbers than before; if that is meant, raise harness.training.SEMANTICS and run "
    "tests/training/make_golden.py"
)


def test_the_golden_numbers_belong_to_these_semantics():
    assert GOLDEN["semantics"] == SEMANTICS, "run tests/training/make_golden.py"
    assert set(GOLDEN["cases"]) == set(cases()), "run tests/training/make_golden.py"


@pytest.mark.parametrize("mapping", ["loop", "vmap"])
@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_numbers_are_golden(name, mapping):
    found, golden = numbers(cases()[name], mapping), GOLDEN["cases"][name]
    assert found.keys() == golden.keys()
    for key, values in golden.items():
        assert np.allclose(found[key], values, rtol=1e-9, atol=1e-9), f"{name}, {key}: {MEND}"

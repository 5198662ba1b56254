from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from harness_calibration.metrics import log_softmax, softmax
from harness_calibration.temperature import Temperature
from harness_calibration.uncalibrated import Uncalibrated
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from harness import HarnessError

CONTEXT: Any = SimpleNamespace()


def calibrated(n: int = 4000, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the exact distribution of the labels."""
    random = np.random.default_rng(seed)
    logits = 1.5 * random.standard_normal((n, classes))
    return logits, (logits + random.gumbel(size=logits.shape)).argmax(axis=1)


def fitted(logits: np.ndarray, labels: np.ndarray, **params: Any) -> Temperature:
    method = Temperature(**params)
    method.fit(logits, labels, CONTEXT)
    return method


def test_calibrated_logits_get_a_temperature_of_one() -> None:
    method = fitted(*calibrated(20000))
    assert method.temperature == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("factor", [0.1, 0.5, 3.0, 20.0])
def test_scaling_the_logits_scales_the_temperature(factor: float) -> None:
    logits, labels = calibrated()
    once = fitted(logits, labels)
    scaled = fitted(factor * logits, labels)
    assert once.temperature is not None
    assert scaled.temperature == pytest.approx(factor * once.temperature, rel=1e-5)


def test_temperature_is_the_root_of_the_derivative() -> None:
    logits, labels = calibrated(500)

    def slope(log_temperature: float) -> float:
        # d NLL / d(1/T) = mean of E_p[z] - z_y
        p = softmax(logits * np.exp(-log_temperature))
        return float(((p * logits).sum(axis=1) - logits[np.arange(len(labels)), labels]).mean())

    root = np.exp(brentq(slope, -2.0, 4.0))
    assert fitted(logits, labels).temperature == pytest.approx(root, rel=1e-5)
    assert fitted(logits, labels, solver="lbfgs").temperature == pytest.approx(root, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 30.0))
def test_accuracy_is_unchanged_and_likelihood_not_worse(seed: int, sharpness: float) -> None:
    random = np.random.default_rng(seed)
    logits = sharpness * random.standard_normal((60, 4))
    labels = random.integers(0, 4, 60)
    after = fitted(logits, labels).predict(logits)["logits"]
    assert (after.argmax(axis=1) == logits.argmax(axis=1)).all()

    def nll(z: np.ndarray) -> float:
        return float(-log_softmax(z)[np.arange(60), labels].mean())

    # within the grid's range of T
    assert nll(after) <= nll(logits) + 1e-12


def test_float32_logits_and_extreme_ones_are_fitted() -> None:
    logits, labels = calibrated(300)
    assert fitted(logits.astype(np.float32), labels).temperature is not None
    perfect = 1e4 * np.eye(3)[[0, 1, 2]]
    method = fitted(perfect, np.array([0, 1, 2]), solver="lbfgs")
    assert np.isfinite(method.predict(perfect)["logits"]).all()


def test_uncalibrated_is_the_identity() -> None:
    logits, labels = calibrated(50)
    method = Uncalibrated()
    method.fit(logits, labels, CONTEXT)
    assert method.predict(logits)["logits"] is logits


@pytest.mark.parametrize("method", [Temperature, Uncalibrated])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros(3), np.zeros(3, dtype=int), r"logits \(n, K\)"),
        (np.zeros((3, 2)), np.zeros(2, dtype=int), r"logits \(n, K\)"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), r"logits \(n, K\)"),
        (np.full((3, 2), np.nan), np.zeros(3, dtype=int), "finite"),
        (np.zeros((3, 2)), np.full(3, 2), "from 0 to 1"),
        (np.zeros((3, 2)), np.zeros(3), "integer labels"),
    ],
)
def test_wrong_input_is_an_error(method: type, x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        method().fit(x, y, CONTEXT)


def test_wrong_use_is_an_error() -> None:
    with pytest.raises(HarnessError, match="known: grid, lbfgs"):
        Temperature(solver="newton")  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match="must be fitted"):
        Temperature().predict(np.zeros((1, 2)))

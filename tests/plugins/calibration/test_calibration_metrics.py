from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from harness_calibration import declared, metrics, plugin

from harness import HarnessError

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
EXACT = {"aurc": 1e-12, "class_wise_ece": 1e-12, "adaptive_ece": 1e-12, "auroc": 1e-12, "brier": 1e-12, "nll": 1e-12}


def drawn(setting: list[float]) -> tuple[np.ndarray, np.ndarray]:
    # the same draw as in make_golden.py
    seed, n, classes, sharpness = setting
    random = np.random.default_rng(seed)
    logits = sharpness * random.standard_normal((n, classes))
    return logits, (logits + 2.0 * random.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: str(entry["case"]))
def test_metrics_equal_independent_implementations(entry: dict) -> None:
    logits, labels = drawn(entry["case"])
    for name, expected in entry["values"].items():
        # torchmetrics bins in float32
        tolerance = EXACT.get(name, 1e-6)
        assert getattr(metrics, name)(metrics.softmax(logits), labels) == pytest.approx(expected, abs=tolerance), name
        got = getattr(declared, name)({"logits": logits}, {"labels": labels})
        assert got == pytest.approx(expected, abs=tolerance), name


def rows(confidences: list[float], right: list[int]) -> tuple[np.ndarray, np.ndarray]:
    p = np.stack([confidences, 1 - np.array(confidences)], axis=1)
    return p, 1 - np.array(right)


def test_bins_are_open_below_and_closed_above() -> None:
    # 0.6 = 9/15 belongs to the bin (8/15, 9/15] together with 0.55, 0.61 to the next
    p, y = rows([0.6, 0.55, 0.61], [1, 1, 0])
    expected = (abs(2 - (0.6 + 0.55)) + abs(0 - 0.61)) / 3
    assert metrics.ece(p, y) == pytest.approx(expected)
    assert metrics.mce(p, y) == pytest.approx(max(abs(1 - 0.575), 0.61))


def test_closed_forms() -> None:
    sure = np.eye(4)[[0, 1, 2, 3]]
    right, wrong = np.arange(4), (np.arange(4) + 1) % 4
    for name in ("ece", "mce", "class_wise_ece", "adaptive_ece", "brier", "aurc"):
        assert getattr(metrics, name)(sure, right) == 0, name
    assert metrics.ece(sure, wrong) == 1
    assert metrics.brier(sure, wrong) == 2
    assert metrics.aurc(sure, wrong) == 1
    assert metrics.nll(sure, wrong) == pytest.approx(-np.log(np.finfo(float).eps))
    flat = np.full((8, 4), 0.25)
    balanced = np.arange(8) % 4
    assert metrics.ece(flat, balanced) == pytest.approx(0)
    assert metrics.class_wise_ece(flat, balanced) == pytest.approx(0)
    assert metrics.nll(flat, balanced) == pytest.approx(np.log(4))
    assert metrics.brier(flat, balanced) == pytest.approx(0.75)
    assert metrics.auroc(flat, balanced) == 0.5


def test_a_class_without_labels_counts_in_class_wise_ece() -> None:
    p = np.full((6, 3), 1 / 3)
    y = np.array([0, 0, 0, 1, 1, 1])
    assert metrics.class_wise_ece(p, y) == pytest.approx((1 / 6 + 1 / 6 + 1 / 3) / 3)


def test_entries_of_zero_lie_in_no_bin() -> None:
    p = np.array([[1.0, 0.0]])
    assert metrics.class_wise_ece(p, np.array([1])) == pytest.approx(0.5)


def test_aurc_orders_ties_by_the_reversed_stable_sort() -> None:
    p, y = rows([0.8, 0.8], [1, 0])
    # the later of two equal confidences comes first: wrong, then right
    assert metrics.aurc(p, y) == pytest.approx((1 + 0.5) / 2)


def test_adaptive_groups_differ_by_at_most_one_and_the_first_are_larger() -> None:
    confidences = list(np.linspace(0.55, 0.95, 16))
    p, y = rows(confidences, [1] * 16)
    gaps = 1 - np.array(confidences)
    assert metrics.adaptive_ece(p, y) == pytest.approx(gaps.sum() / 16)
    mixed = [1, 0, *[1] * 14]
    p, y = rows(confidences, mixed)
    # the two smallest share the only group of two, where one error cancels one success
    first = abs(1 - confidences[0] - confidences[1])
    assert metrics.adaptive_ece(p, y) == pytest.approx((first + gaps[2:].sum()) / 16)


def test_interpolated_edges_drop_the_smallest_confidence() -> None:
    confidences = list(np.linspace(0.6, 0.9, 15))
    p, y = rows(confidences, [1] * 15)
    dropped = metrics.adaptive_ece(p, y, edges="interp")
    assert dropped == pytest.approx((1 - np.array(confidences))[1:].sum() / 15)
    with pytest.raises(HarnessError, match="known: equal-mass, interp"):
        metrics.adaptive_ece(p, y, edges="other")  # type: ignore[arg-type]


def test_nll_of_logits_is_exact_where_probabilities_vanish() -> None:
    outputs, hidden = {"logits": np.array([[0.0, 1000.0]])}, {"labels": np.array([0])}
    assert declared.nll(outputs, hidden) == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        (np.ones((2, 2)), np.array([0, 1]), "sum to 1"),
        (np.array([[np.nan, 0.5]]), np.array([0]), "finite"),
        (np.array([[2.0, -1.0]]), np.array([0]), "lie in"),
        (np.full((2, 2), 0.5), np.array([0, 2]), "from 0 to 1"),
        (np.full((2, 2), 0.5), np.array([0.0, 1.0]), "integers"),
        (np.full((2, 2), 0.5), np.array([0]), "needed"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "needed"),
    ],
)
def test_wrong_input_is_an_error(p: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        metrics.ece(p, y)


def test_outputs_without_predictions_are_an_error() -> None:
    with pytest.raises(HarnessError, match="'probabilities' or 'logits'"):
        declared.ece({"value": np.zeros(3)}, {"labels": np.zeros(3, dtype=int)})


def test_every_declared_metric_exists_and_has_the_ceiling_of_a_perfect_predictor() -> None:
    perfect = {"probabilities": np.eye(3)[[0, 1, 2, 0]]}
    hidden = {"labels": np.array([0, 1, 2, 0])}
    for metric in plugin.harness_metrics():
        value = getattr(declared, str(metric.target).partition(":")[2])(perfect, hidden)
        expected = 0.5 if metric.name == "auroc" else metric.ceiling
        assert value == pytest.approx(expected), metric.name

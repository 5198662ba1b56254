"""The contract of estimators."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.interfaces.estimator import Estimator
from harness.testing.base import MethodContract
from harness.testing.toys import CLASSES, bench, same

NAMES = {"logits", "probabilities", "value"}


class EstimatorContract(MethodContract):
    """For `Estimator`. The toy table is that of a calibrator: over-confident logits with their labels."""

    def table(self, n: int = 200) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Inputs (n, 3) and labels (n,)."""
        draws = np.random.default_rng(0)
        y = draws.integers(0, CLASSES, n)
        return 4.0 * (np.eye(CLASSES)[y] + draws.standard_normal((n, CLASSES))), y

    def fitted(self) -> Any:
        x, y = self.table()

        def work(context: Any) -> Any:
            estimator = self.make()
            estimator.fit(x, y, context)
            return estimator.predict(x)

        return bench(work)

    def test_implements_its_interface(self) -> None:
        assert issubclass(self.method, Estimator)

    def test_predicts_named_finite_arrays(self) -> None:
        x, _ = self.table()
        for prediction in self.fitted():
            assert NAMES & set(prediction), f"expected one of {sorted(NAMES)}"
            assert all(len(value) == len(x) and np.isfinite(value).all() for value in prediction.values())

    def test_probabilities_sum_to_one(self) -> None:
        for prediction in self.fitted():
            if "probabilities" in prediction:
                np.testing.assert_allclose(prediction["probabilities"].sum(axis=1), 1.0, atol=1e-6)

    def test_is_deterministic(self) -> None:
        assert same(self.fitted(), self.fitted())

    def test_leaves_its_inputs_alone(self) -> None:
        x, y = self.table()
        before = (x.copy(), y.copy())
        bench(lambda context: self.make().fit(x, y, context))
        assert same((x, y), before)

"""What a calibrator is fitted to."""

from __future__ import annotations

import numpy as np

from harness import HarnessError
from harness_calibration.metrics import Array


def checked_logits(x: Array, y: Array) -> tuple[Array, Array]:
    """Logits (n, K) in float64 and labels (n,), or a one-line error."""
    logits, labels = np.asarray(x, dtype=np.float64), np.asarray(y)
    if logits.ndim != 2 or labels.shape != (len(logits),) or len(logits) == 0:
        raise HarnessError(f"a calibrator needs logits (n, K) and labels (n,); given {logits.shape} and {labels.shape}")
    if not np.isfinite(logits).all():
        raise HarnessError("a calibrator needs finite logits; some of those given are not")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise HarnessError(f"a calibrator needs integer labels from 0 to {logits.shape[1] - 1}")
    return logits, labels

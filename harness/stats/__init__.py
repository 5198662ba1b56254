"""Statistics of paired trials: pure functions on numpy arrays."""

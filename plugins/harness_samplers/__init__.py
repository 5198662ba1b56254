"""First-party plugin package: samplers, and tasks with classes of unequal size."""

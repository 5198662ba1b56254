"""First-party plugin package: pruning."""

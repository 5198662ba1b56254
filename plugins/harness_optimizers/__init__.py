"""First-party plugin package: optimizers."""

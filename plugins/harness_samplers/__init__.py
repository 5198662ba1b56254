"""First-party plugin package: samplers."""

"""First-party plugin package: quantization."""

"""First-party plugin package: nas."""

"""First-party plugin package: calibration."""

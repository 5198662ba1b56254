"""First-party plugin package: losses."""

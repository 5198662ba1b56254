"""First-party plugin package: losses and the tasks that tell them apart."""

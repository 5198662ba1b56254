"""Finding plugins, and looking their declarations up by name."""

from harness.registry.discovery import Broken, Found
from harness.registry.registry import Registry

__all__ = ["Broken", "Found", "Registry"]

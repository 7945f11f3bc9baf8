"""Service-management layer: one uniform interface over all engines."""
